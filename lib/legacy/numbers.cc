#include "legacy/numbers.h"

#include <algorithm>
#include <bit>
#include <charconv>

#include <fmt/format.h>

#include "base/text.h"

namespace sekisho::legacy {
namespace {

template <class T>
std::optional<T> read_digits(std::string_view text, int digits_of) {
    T value{};
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value, digits_of);
    return error == std::errc{} && stop == end ? std::optional(value) : std::nullopt;
}

}  // namespace

std::optional<uint32_t> read_number(std::string_view text, uint32_t most) {
    const auto value = read_digits<uint32_t>(text, 10);
    return value && *value <= most ? value : std::nullopt;
}

std::optional<uint8_t> read_hex_byte(std::string_view text) {
    if (text.starts_with("0x") || text.starts_with("0X")) {
        text.remove_prefix(2);
    }
    return read_digits<uint8_t>(text, 16);
}

std::optional<Ipv4Addr> read_dotted(std::string_view text) {
    uint32_t address = 0;
    for (int part = 0; part < 4; ++part) {
        const size_t dot = text.find('.');
        if ((dot == std::string_view::npos) != (part == 3)) {
            return std::nullopt;
        }
        const auto byte = read_number(text.substr(0, dot), 255);
        if (!byte) {
            return std::nullopt;
        }
        address = address << 8 | *byte;
        text.remove_prefix(std::min(text.size(), dot == std::string_view::npos ? 0 : dot + 1));
    }
    return Ipv4Addr::from_host(address);
}

std::optional<Ipv4Addr> read_mask(std::string_view text) {
    if (const auto dotted = read_dotted(text)) {
        return dotted;
    }
    const auto bits = read_number(text, 32);
    if (!bits) {
        return std::nullopt;
    }
    return Ipv4Addr::from_host(Ipv4Prefix{Ipv4Addr{}, static_cast<uint8_t>(*bits)}.mask_host());
}

std::optional<unsigned> bits_of(Ipv4Addr mask) {
    const auto ones = static_cast<unsigned>(std::countl_one(mask.host()));
    return static_cast<unsigned>(std::popcount(mask.raw)) == ones ? std::optional(ones)
                                                                  : std::nullopt;
}

std::string to_text(const HostMask& host) {
    const auto bits = bits_of(host.mask);
    if (!bits) {
        return fmt::format("{}/{}", host.address, host.mask);
    }
    return *bits == 32 ? base::to_text(host.address) : fmt::format("{}/{}", host.address, *bits);
}

std::string rounded_to_millions(uint64_t count) {
    constexpr uint64_t kMostUnits = 99999;
    constexpr uint64_t kMostThousands = 9999;
    if (count <= kMostUnits) {
        return fmt::format("{}", count);
    }
    const uint64_t thousands = (count + 500) / 1000;
    if (thousands <= kMostThousands) {
        return fmt::format("{}K", thousands);
    }
    return fmt::format("{}M", (count + 500000) / 1000000);
}

std::string rounded_to_billions(uint64_t count) {
    constexpr uint64_t kMostMillions = 9999;
    const uint64_t millions = (count + 500000) / 1000000;
    return millions <= kMostMillions ? rounded_to_millions(count)
                                     : fmt::format("{}G", (millions + 500) / 1000);
}

}  // namespace sekisho::legacy
