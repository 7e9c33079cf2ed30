#include "base/text.h"

namespace sekisho::base {
namespace {

std::optional<uint8_t> hex_digit(char c) {
    if (c >= '0' && c <= '9') {
        return static_cast<uint8_t>(c - '0');
    }
    if (c >= 'a' && c <= 'f') {
        return static_cast<uint8_t>(c - 'a' + 10);
    }
    if (c >= 'A' && c <= 'F') {
        return static_cast<uint8_t>(c - 'A' + 10);
    }
    return std::nullopt;
}

}  // namespace

std::optional<uint64_t> parse_decimal(std::string_view text, uint64_t limit) {
    if (text.empty() || (text.size() > 1 && text.front() == '0')) {
        return std::nullopt;
    }
    uint64_t value = 0;
    for (const char c : text) {
        if (c < '0' || c > '9') {
            return std::nullopt;
        }
        const auto digit = static_cast<uint64_t>(c - '0');
        if (digit > limit || value > (limit - digit) / 10) {
            return std::nullopt;
        }
        value = value * 10 + digit;
    }
    return value;
}

std::optional<Ipv4Addr> parse_ipv4(std::string_view text) {
    uint32_t address = 0;
    for (int part = 0; part < 4; ++part) {
        const size_t dot = part < 3 ? text.find('.') : text.size();
        if (dot == std::string_view::npos) {
            return std::nullopt;
        }
        const auto value = parse_decimal(text.substr(0, dot), 255);
        if (!value) {
            return std::nullopt;
        }
        address = address << 8 | static_cast<uint32_t>(*value);
        text.remove_prefix(part < 3 ? dot + 1 : dot);
    }
    return Ipv4Addr::from_host(address);
}

std::optional<Ipv4WithLength> parse_ipv4_with_length(std::string_view text) {
    const size_t slash = text.find('/');
    if (slash == std::string_view::npos) {
        return std::nullopt;
    }
    const auto address = parse_ipv4(text.substr(0, slash));
    const auto length = parse_decimal(text.substr(slash + 1), 32);
    if (!address || !length) {
        return std::nullopt;
    }
    return Ipv4WithLength{*address, static_cast<uint8_t>(*length)};
}

std::optional<Ipv4Prefix> parse_ipv4_prefix(std::string_view text) {
    const auto parts = parse_ipv4_with_length(text);
    if (!parts) {
        return std::nullopt;
    }
    const Ipv4Prefix prefix{parts->address, parts->length};
    if ((prefix.address.host() & ~prefix.mask_host()) != 0) {
        return std::nullopt;
    }
    return prefix;
}

std::optional<MacAddr> parse_mac(std::string_view text) {
    if (text.size() != 17) {
        return std::nullopt;
    }
    MacAddr mac;
    for (size_t i = 0; i < 6; ++i) {
        const auto high = hex_digit(text[3 * i]);
        const auto low = hex_digit(text[3 * i + 1]);
        if (!high || !low || (i < 5 && text[3 * i + 2] != ':')) {
            return std::nullopt;
        }
        mac.bytes[i] = static_cast<uint8_t>(*high << 4 | *low);
    }
    return mac;
}

std::optional<Port> parse_port(std::string_view text) {
    const auto value = parse_decimal(text, 65535);
    if (!value) {
        return std::nullopt;
    }
    return Port::from_host(static_cast<uint16_t>(*value));
}

std::string to_text(Ipv4Addr address) {
    const uint32_t a = address.host();
    return fmt::format("{}.{}.{}.{}", a >> 24, a >> 16 & 0xff, a >> 8 & 0xff, a & 0xff);
}

std::string to_text(Ipv4Prefix prefix) {
    return fmt::format("{}/{}", to_text(prefix.address), prefix.length);
}

std::string to_text(const MacAddr& mac) {
    const uint8_t* b = mac.bytes;
    return fmt::format(
        "{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", b[0], b[1], b[2], b[3], b[4], b[5]
    );
}

std::string to_text(Port port) {
    return fmt::format("{}", port.host());
}

}  // namespace sekisho::base
