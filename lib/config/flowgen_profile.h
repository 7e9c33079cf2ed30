// What a `flowgen:` device plays: the language of its profile, key=value,... in any order.
//
//   role=subscribers|internet   which far end; the only key that must be given
//   subscribers=N  sessions=M   N subscribers with M sessions each; flows=F: only the first F sessions of all
//   fan-out=K                   K sessions share an internal endpoint, to K different remote endpoints
//   protocol=udp|tcp|icmp|mix   mix: of eight sessions five TCP, two UDP, one ICMP
//   size=BYTES|imix             of a frame without its check sequence; imix: 7 x 64, 4 x 594, 1 x 1514
//   prefix=A/L  remote=A/L      subscribers are A+1, A+2, ...; remote endpoints lie in the other prefix
//   direction=outbound|inbound|both   what is sent once the sessions stand
//   check=all|sample            how much of what comes back is looked at (one frame in 64)
//   seed=S                      of the random orders
//
//   Errors    the key or value that was found, and what was wanted. Both ends of one appliance must be given the same
//             values; only the role differs.
//   Thread    pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

#include "config/device.h"

namespace sekisho::config {

enum class FlowgenRole : uint8_t { kSubscribers, kInternet };
// kEsp: of the bench alone, which sends it one way and looks at no frame; no profile names it.
enum class FlowgenProtocol : uint8_t { kUdp, kTcp, kIcmp, kMix, kEsp };
enum class FlowgenDirection : uint8_t { kOutbound, kInbound, kBoth };

inline constexpr uint32_t kFlowgenMostFlows = 1U << 26;
inline constexpr uint16_t kFlowgenLeastSize = 64;
inline constexpr uint16_t kFlowgenMostSize = 1514;
inline constexpr uint16_t kFlowgenFirstPort = 1024;

struct FlowgenProfile {
    FlowgenRole role = FlowgenRole::kSubscribers;
    FlowgenProtocol protocol = FlowgenProtocol::kUdp;
    FlowgenDirection direction = FlowgenDirection::kBoth;
    bool check_all = true;
    uint16_t size = kFlowgenLeastSize;  // 0: imix
    uint32_t subscribers = 1000;
    uint32_t sessions = 64;  // of a subscriber
    uint32_t fan_out = 1;
    uint32_t flows = 64000;  // in all
    Ipv4Prefix prefix{Ipv4Addr::of(10, 0, 0, 0), 8};
    Ipv4Prefix remote{Ipv4Addr::of(198, 18, 0, 0), 16};
    uint64_t seed = 1;
    friend bool operator==(const FlowgenProfile&, const FlowgenProfile&) = default;
};

// `items`: the parts of the profile between its commas.
tl::expected<FlowgenProfile, DeviceMistake> parse_flowgen_profile(
    const std::vector<std::string>& items
);

}  // namespace sekisho::config
