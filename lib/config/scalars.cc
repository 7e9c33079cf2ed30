#include "config/scalars.h"

#include <algorithm>
#include <array>
#include <bit>
#include <iterator>

#include <fmt/format.h>

#include "base/text.h"

namespace sekisho::config {
namespace {

struct UnitName {
    std::string_view suffix;
    uint64_t factor;
};
constexpr std::array kCountUnits = {
    UnitName{"Ki", 1024},
    UnitName{"Mi", uint64_t{1024} * 1024},
    UnitName{"k", 1000},
    UnitName{"M", 1000000}};
constexpr std::array kTimeUnits = {UnitName{"s", 1}, UnitName{"m", 60}, UnitName{"h", 3600}};

std::optional<uint64_t> factor_of(std::string_view suffix, std::span<const UnitName> units) {
    for (const UnitName& unit : units) {
        if (unit.suffix == suffix) {
            return unit.factor;
        }
    }
    return std::nullopt;
}

Ipv4Addr masked(Ipv4Prefix prefix) {
    return Ipv4Addr::from_host(prefix.address.host() & prefix.mask_host());
}

Ipv4Addr last_of(Ipv4Prefix prefix) {
    return Ipv4Addr::from_host(prefix.address.host() | ~prefix.mask_host());
}

tl::unexpected<std::string> want(std::string text) {
    return tl::unexpected<std::string>(std::move(text));
}

}  // namespace

std::optional<uint64_t> parse_number(std::string_view text, Unit unit) {
    size_t digits = 0;
    while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') {
        ++digits;
    }
    const auto value = base::parse_decimal(text.substr(0, digits), UINT64_MAX);
    const std::string_view suffix = text.substr(digits);
    if (!value || suffix.empty()) {
        return value;
    }
    std::optional<uint64_t> factor;
    if (unit == Unit::kCount) {
        factor = factor_of(suffix, kCountUnits);
    } else if (unit == Unit::kSeconds) {
        factor = factor_of(suffix, kTimeUnits);
    }
    uint64_t product = 0;
    if (!factor || __builtin_mul_overflow(*value, *factor, &product)) {
        return std::nullopt;
    }
    return product;
}

std::string describe(const NumberRule& rule) {
    const std::string source = rule.source.empty() ? "" : fmt::format(" ({})", rule.source);
    switch (rule.unit) {
        case Unit::kNone:
            return fmt::format("a whole number from {} to {}{}", rule.low, rule.high, source);
        case Unit::kCount:
            return fmt::format(
                "a count from {} to {}{}, with k, M, Ki or Mi if need be",
                rule.low,
                rule.high,
                source
            );
        case Unit::kSeconds:
            return fmt::format(
                "a duration from {} to {} seconds{}, such as 300, 300s, 5m or 2h",
                rule.low,
                rule.high,
                source
            );
    }
    return {};
}

std::optional<Ipv4Addr> parse_address(std::string_view text) {
    return base::parse_ipv4(text);
}

Parsed<Ipv4Prefix> parse_prefix(std::string_view text) {
    const auto written = base::parse_ipv4_with_length(text);
    if (!written) {
        return want("an IPv4 prefix with a length from 0 to 32, such as 10.0.0.0/8");
    }
    Ipv4Prefix prefix{written->address, written->length};
    prefix.address = masked(prefix);
    if (prefix.address != written->address) {
        return want(format(prefix) + " (no bits set beyond the length)");
    }
    return prefix;
}

Parsed<InterfaceAddress> parse_interface_address(std::string_view text) {
    const auto written = base::parse_ipv4_with_length(text);
    if (!written || written->length == 0 || !is_unicast(written->address)) {
        return want("an own IPv4 address with the link's prefix length, such as 192.0.2.1/24");
    }
    const Ipv4Prefix prefix{written->address, written->length};
    if (prefix.length < 31 &&
        (written->address == masked(prefix) || written->address == last_of(prefix))) {
        return want("a host's address in that prefix, not its first or last");
    }
    return InterfaceAddress{written->address, written->length};
}

Parsed<nat::AddressRange> parse_address_range(std::string_view text) {
    static constexpr std::string_view kWanted =
        "an IPv4 address, a prefix or a range, such as 203.0.113.0/28 or 203.0.113.64-203.0.113.79";
    nat::AddressRange range;
    const size_t dash = text.find('-');
    if (text.find('/') != std::string_view::npos) {
        const auto prefix = parse_prefix(text);
        if (!prefix) {
            return base::parse_ipv4_with_length(text) ? want(prefix.error())
                                                      : want(std::string(kWanted));
        }
        range = {prefix->address, last_of(*prefix)};
    } else {
        const auto first = parse_address(text.substr(0, dash));
        const auto last =
            dash == std::string_view::npos ? first : parse_address(text.substr(dash + 1));
        if (!first || !last) {
            return want(std::string(kWanted));
        }
        range = {*first, *last};
    }
    if (range.last < range.first) {
        return want(
            fmt::format("{}-{} (the lower end first)", format(range.last), format(range.first))
        );
    }
    // 127/8 is the only hole in the unicast space, so it suffices to look at the ends and at it.
    const bool over_loopback =
        range.first < Ipv4Addr::of(127, 0, 0, 0) && range.last > Ipv4Addr::of(127, 255, 255, 255);
    if (!is_unicast(range.first) || !is_unicast(range.last) || over_loopback) {
        return want("unicast addresses (RFC 1812 5.3.7)");
    }
    return range;
}

Parsed<nat::PortRange> parse_port_range(std::string_view text) {
    static constexpr std::string_view kWanted =
        "a range of ports from 1 to 65535, such as 1024-65535";
    const size_t dash = text.find('-');
    if (dash == std::string_view::npos) {
        return want(std::string(kWanted));
    }
    const auto first = base::parse_decimal(text.substr(0, dash), UINT16_MAX);
    const auto last = base::parse_decimal(text.substr(dash + 1), UINT16_MAX);
    if (!first || !last || *first < 1) {
        return want(std::string(kWanted));
    }
    if (*first > *last) {
        return want(fmt::format("{}-{} (the lower end first)", *last, *first));
    }
    return nat::PortRange{static_cast<uint16_t>(*first), static_cast<uint16_t>(*last)};
}

Parsed<nat::PortRange> parse_ports(std::string_view text) {
    if (text.find('-') != std::string_view::npos) {
        return parse_port_range(text);
    }
    const auto port = base::parse_decimal(text, UINT16_MAX);
    if (!port || *port < 1) {
        return want("a port or a range of ports from 1 to 65535, such as 80 or 8000-8015");
    }
    return nat::PortRange{static_cast<uint16_t>(*port), static_cast<uint16_t>(*port)};
}

bool is_unicast(Ipv4Addr address) {
    const uint32_t top = address.host() >> 24;
    return top != 0 && top != 127 && top < 224;
}

// 0/8, 127/8 and 224/3. A shorter prefix, such as 0.0.0.0/0 or 128.0.0.0/1, holds others too.
bool is_without_unicast(Ipv4Prefix prefix) {
    static constexpr Ipv4Prefix kNone[] = {
        {Ipv4Addr::of(0, 0, 0, 0), 8},
        {Ipv4Addr::of(127, 0, 0, 0), 8},
        {Ipv4Addr::of(224, 0, 0, 0), 3}};
    return std::any_of(std::begin(kNone), std::end(kNone), [&](Ipv4Prefix none) {
        return prefix.length >= none.length && none.contains(prefix.address);
    });
}

std::string format(Ipv4Addr address) {
    return base::to_text(address);
}

std::string format(Ipv4Prefix prefix) {
    return fmt::format("{}/{}", format(prefix.address), prefix.length);
}

std::string format(nat::AddressRange range) {
    if (range.first == range.last) {
        return format(range.first);
    }
    const uint64_t count = range.size();
    if (std::has_single_bit(count) && range.first.host() % count == 0) {
        return format(Ipv4Prefix{range.first, static_cast<uint8_t>(32 - std::countr_zero(count))});
    }
    return fmt::format("{}-{}", format(range.first), format(range.last));
}

}  // namespace sekisho::config
