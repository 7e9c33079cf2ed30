// Addresses and ports as people write them: strict parsers and formatters.
//
//   Parsers   take the whole text or nothing: no spaces, signs, leading zeros or missing parts.
//   Errors    an empty optional; the caller knows what it wanted and says so.
//   Cost      control code: formatting allocates. Thread: pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "base/types.h"

namespace sekisho::base {

// Dotted decimal, four parts: "192.0.2.1".
std::optional<Ipv4Addr> parse_ipv4(std::string_view text);

// An address and a length, as an interface has them: "100.64.0.1/10".
struct Ipv4WithLength {
    Ipv4Addr address;
    uint8_t length = 32;
    friend constexpr bool operator==(const Ipv4WithLength&, const Ipv4WithLength&) = default;
};
std::optional<Ipv4WithLength> parse_ipv4_with_length(std::string_view text);

// As above, but bits beyond the length must be zero: "100.64.0.0/10".
std::optional<Ipv4Prefix> parse_ipv4_prefix(std::string_view text);

// Six two-digit hexadecimal parts with colons: "02:00:00:00:00:01".
std::optional<MacAddr> parse_mac(std::string_view text);

// 0 to 65535, decimal.
std::optional<Port> parse_port(std::string_view text);

// An unsigned decimal number up to `limit`.
std::optional<uint64_t> parse_decimal(std::string_view text, uint64_t limit);

std::string to_text(Ipv4Addr address);
std::string to_text(Ipv4Prefix prefix);
std::string to_text(const MacAddr& mac);
std::string to_text(Port port);

}  // namespace sekisho::base

// fmt::format("{}", address); width and alignment as for strings.
#define SEKISHO_TEXT_FORMATTER(Type)                                        \
    template <>                                                             \
    struct fmt::formatter<Type> : fmt::formatter<std::string_view> {        \
        template <class Context>                                            \
        auto format(const Type& value, Context& context) const {            \
            const std::string text = sekisho::base::to_text(value);         \
            return fmt::formatter<std::string_view>::format(text, context); \
        }                                                                   \
    };
SEKISHO_TEXT_FORMATTER(sekisho::base::Ipv4Addr)
SEKISHO_TEXT_FORMATTER(sekisho::base::Ipv4Prefix)
SEKISHO_TEXT_FORMATTER(sekisho::base::MacAddr)
SEKISHO_TEXT_FORMATTER(sekisho::base::Port)
#undef SEKISHO_TEXT_FORMATTER
