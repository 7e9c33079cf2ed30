#include "config/rule_words.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "base/text.h"

namespace sekisho::config {
namespace {

tl::unexpected<std::string> want(std::string text) {
    return tl::unexpected<std::string>(std::move(text));
}

constexpr std::string_view kWantedAddresses =
    "an IPv4 address, a prefix or a range, such as 192.0.2.1, 10.0.0.0/8 or 192.0.2.4-192.0.2.9";

struct IcmpName {
    std::string_view name;
    rules::IcmpKind kind;
};
constexpr rules::IcmpKind kind_of(uint8_t type) {
    return {{type, type}, {0, 255}};
}
constexpr rules::IcmpKind kind_of(uint8_t type, uint8_t code) {
    return {{type, type}, {code, code}};
}
// RFC 792, RFC 1122 3.2.2.1, RFC 1256, RFC 1812 5.2.7.1.
constexpr IcmpName kIcmpNames[] = {
    {"any", {}},
    {"echo-reply", kind_of(0)},
    {"destination-unreachable", kind_of(3)},
    {"network-unreachable", kind_of(3, 0)},
    {"host-unreachable", kind_of(3, 1)},
    {"protocol-unreachable", kind_of(3, 2)},
    {"port-unreachable", kind_of(3, 3)},
    {"fragmentation-needed", kind_of(3, 4)},
    {"source-route-failed", kind_of(3, 5)},
    {"network-unknown", kind_of(3, 6)},
    {"host-unknown", kind_of(3, 7)},
    {"network-prohibited", kind_of(3, 9)},
    {"host-prohibited", kind_of(3, 10)},
    {"administratively-prohibited", kind_of(3, 13)},
    {"source-quench", kind_of(4)},
    {"redirect", kind_of(5)},
    {"echo-request", kind_of(8)},
    {"router-advertisement", kind_of(9)},
    {"router-solicitation", kind_of(10)},
    {"time-exceeded", kind_of(11)},
    {"ttl-exceeded", kind_of(11, 0)},
    {"reassembly-time-exceeded", kind_of(11, 1)},
    {"parameter-problem", kind_of(12)},
    {"timestamp-request", kind_of(13)},
    {"timestamp-reply", kind_of(14)},
};

std::optional<uint32_t> parse_two_digits(std::string_view text, uint32_t most) {
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    if (text.size() != 2 || !is_digit(text[0]) || !is_digit(text[1])) {
        return std::nullopt;
    }
    const auto value = static_cast<uint32_t>((text[0] - '0') * 10 + (text[1] - '0'));
    return value <= most ? std::optional(value) : std::nullopt;
}

rules::Range<uint8_t> narrow(rules::Range<uint32_t> span) {
    return {static_cast<uint8_t>(span.first), static_cast<uint8_t>(span.last)};
}

}  // namespace

Parsed<rules::AddressRange> parse_any_addresses(std::string_view text) {
    if (text.find('/') != std::string_view::npos) {
        const auto prefix = parse_prefix(text);
        if (!prefix) {
            return want(
                base::parse_ipv4_with_length(text) ? prefix.error() : std::string(kWantedAddresses)
            );
        }
        return rules::range_of(*prefix);
    }
    const size_t dash = text.find('-');
    const auto first = parse_address(text.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : parse_address(text.substr(dash + 1));
    if (!first || !last) {
        return want(std::string(kWantedAddresses));
    }
    if (*last < *first) {
        return want(fmt::format("{}-{} (the lower end first)", format(*last), format(*first)));
    }
    return rules::AddressRange{*first, *last};
}

std::string format(const rules::AddressRange& range) {
    return format(nat::AddressRange{range.first, range.last});
}

Parsed<rules::MaskedAddress> parse_masked(std::string_view text) {
    const size_t slash = text.find('/');
    const auto address = parse_address(text.substr(0, slash));
    const auto mask =
        slash == std::string_view::npos ? std::nullopt : parse_address(text.substr(slash + 1));
    if (!address || !mask) {
        return want("an address and a mask, such as 10.0.0.1/255.0.0.255");
    }
    return rules::MaskedAddress{*address, *mask};
}

std::string format(const rules::MaskedAddress& address) {
    return fmt::format("{}/{}", format(address.address), format(address.mask));
}

Parsed<rules::Range<uint32_t>> parse_span(std::string_view text, uint32_t most) {
    const size_t dash = text.find('-');
    const auto first = base::parse_decimal(text.substr(0, dash), most);
    const auto last =
        dash == std::string_view::npos ? first : base::parse_decimal(text.substr(dash + 1), most);
    if (!first || !last) {
        return want(fmt::format("a number from 0 to {}, or two with a dash between", most));
    }
    if (*last < *first) {
        return want(fmt::format("{}-{} (the lower end first)", *last, *first));
    }
    return rules::Range<uint32_t>{static_cast<uint32_t>(*first), static_cast<uint32_t>(*last)};
}

std::string format_span(uint32_t first, uint32_t last) {
    return first == last ? fmt::format("{}", first) : fmt::format("{}-{}", first, last);
}

std::optional<uint32_t> parse_bits_number(std::string_view text, uint32_t most) {
    if (!text.starts_with("0x")) {
        const auto value = base::parse_decimal(text, most);
        return value ? std::optional(static_cast<uint32_t>(*value)) : std::nullopt;
    }
    const std::string_view digits = text.substr(2);
    uint32_t value = 0;
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    const bool is_whole = error == std::errc() && end == digits.data() + digits.size();
    return is_whole && value <= most ? std::optional(value) : std::nullopt;
}

Parsed<Bits> parse_bits(std::string_view text, uint32_t most) {
    const size_t slash = text.find('/');
    const auto value = parse_bits_number(text.substr(0, slash), most);
    const auto mask = slash == std::string_view::npos
                          ? std::optional(most)
                          : parse_bits_number(text.substr(slash + 1), most);
    if (!value || !mask) {
        return want(fmt::format(
            "a number from 0 to 0x{:x}, or a number and a mask, such as 0x10 or 0x10/0x1c", most
        ));
    }
    if ((*value & ~*mask) != 0) {
        return want(
            fmt::format("0x{:x}/0x{:x} (no bits set beyond the mask)", *value & *mask, *mask)
        );
    }
    return Bits{*value, *mask};
}

std::string format_bits(Bits bits, uint32_t most) {
    return bits.mask == most ? fmt::format("0x{:x}", bits.value)
                             : fmt::format("0x{:x}/0x{:x}", bits.value, bits.mask);
}

Parsed<rules::IcmpKind> parse_icmp(std::string_view text) {
    const auto named = std::ranges::find(kIcmpNames, text, &IcmpName::name);
    if (named != std::end(kIcmpNames)) {
        return named->kind;
    }
    const size_t slash = text.find('/');
    const auto type = parse_span(text.substr(0, slash), 255);
    const auto code = slash == std::string_view::npos ? rules::Range<uint32_t>{0, 255}
                                                      : parse_span(text.substr(slash + 1), 255);
    if (!type || !code) {
        return want("an ICMP message: a name such as echo-request, a type or TYPE/CODE, such as 3/1"
        );
    }
    return rules::IcmpKind{narrow(*type), narrow(*code)};
}

std::string format(const rules::IcmpKind& kind) {
    const auto named = std::ranges::find(kIcmpNames, kind, &IcmpName::kind);
    if (named != std::end(kIcmpNames)) {
        return std::string(named->name);
    }
    std::string text = format_span(kind.type.first, kind.type.last);
    if (kind.code != rules::Range<uint8_t>{0, 255}) {
        text += "/" + format_span(kind.code.first, kind.code.last);
    }
    return text;
}

std::optional<uint32_t> parse_time_of_day(std::string_view text) {
    constexpr uint32_t kMost[] = {24, 59, 59};
    constexpr uint32_t kDay = rules::TimeOfWeek::kDay;
    const bool has_seconds = text.size() == 8;
    if (text.size() != 5 && !has_seconds) {
        return std::nullopt;
    }
    uint32_t second = 0;
    for (size_t i = 0; i < 3; ++i) {
        const std::string_view part = text.substr(std::min(i * 3, text.size()), 2);
        const bool is_there = i < 2 || has_seconds;
        const bool has_colon = i == 0 || !is_there || text[i * 3 - 1] == ':';
        const auto value = is_there ? parse_two_digits(part, kMost[i]) : std::optional(0U);
        if (!value || !has_colon) {
            return std::nullopt;
        }
        second = second * 60 + *value;
    }
    return second <= kDay ? std::optional(second) : std::nullopt;
}

std::string format_time_of_day(uint32_t second) {
    const std::string text = fmt::format("{:02}:{:02}", second / 3600, second / 60 % 60);
    return second % 60 == 0 ? text : fmt::format("{}:{:02}", text, second % 60);
}

std::optional<int16_t> parse_signed(std::string_view text) {
    const bool is_negative = text.starts_with('-');
    const uint64_t most = is_negative ? 32768 : 32767;
    const auto value = base::parse_decimal(text.substr(is_negative ? 1 : 0), most);
    if (!value) {
        return std::nullopt;
    }
    const auto number = static_cast<int64_t>(*value);
    return static_cast<int16_t>(is_negative ? -number : number);
}

std::optional<uint8_t> find_word(std::span<const Word> words, std::string_view text) {
    const auto found = std::ranges::find(words, text, &Word::name);
    return found == words.end() ? std::nullopt : std::optional(found->value);
}

std::string_view word_of(std::span<const Word> words, unsigned value) {
    const auto found =
        std::ranges::find_if(words, [value](const Word& word) { return word.value == value; });
    return found == words.end() ? std::string_view() : found->name;
}

std::string list_words(std::span<const Word> words) {
    std::string out;
    for (size_t i = 0; i < words.size(); ++i) {
        out += i == 0 ? "" : i + 1 == words.size() ? " or " : ", ";
        out += words[i].name;
    }
    return out;
}

}  // namespace sekisho::config
