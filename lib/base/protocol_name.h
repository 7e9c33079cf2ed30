// The protocols' names, as the configuration, the client and the log have them.
//
//   Source    IANA protocol numbers; RFC 8512 (transport-protocol).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/types.h"

namespace sekisho::base {

struct ProtocolName {
    std::string_view text;
    Protocol protocol;
};
inline constexpr ProtocolName kProtocolNames[] = {
    {"tcp", Protocol::kTcp},
    {"udp", Protocol::kUdp},
    {"icmp", Protocol::kIcmp},
    {"sctp", Protocol::kSctp},
    {"dccp", Protocol::kDccp},
    {"udp-lite", Protocol::kUdpLite},
    {"gre", Protocol::kGre},
    {"esp", Protocol::kEsp},
};

// The number for what has no name here.
inline std::string protocol_name(uint8_t number) {
    for (const ProtocolName& known : kProtocolNames) {
        if (static_cast<uint8_t>(known.protocol) == number) {
            return std::string(known.text);
        }
    }
    return std::to_string(number);
}

inline std::optional<Protocol> parse_protocol(std::string_view text) {
    for (const ProtocolName& known : kProtocolNames) {
        if (known.text == text) {
            return known.protocol;
        }
    }
    return std::nullopt;
}

}  // namespace sekisho::base
