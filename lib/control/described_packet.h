// A packet as a client describes it, and its way past the rules.
//
//   Words     protocol, source A[:P], destination A[:P]; in-link, out-link, realm; way: forward, local-in or local-out;
//             translated-source, translated-destination A[:P]: what the NAT makes of it; icmp: a name or TYPE/CODE; tcp-flags:
//             syn,ack; tos or dscp; ttl; length; fragment: whole, first or later; state; mark; day, time: of the operator's
//             clock; payload: patterns that were found. doc/cli.md has their defaults.
//   Assumed   where links, realm or way are not given, they are those that the routes say.
//   Errors    kInvalidParams.
//   Thread    pure.
#pragma once

#include <optional>
#include <vector>

#include "config/config.h"
#include "control/filter.h"
#include "control/rpc_error.h"
#include "dataplane/network.h"
#include "rules/groups.h"
#include "rules/linear.h"

namespace sekisho::control {

enum class PacketWay : uint8_t { kForward, kLocalIn, kLocalOut };
std::string_view name_of(PacketWay way);

struct DescribedPacket {
    rules::RulePacket packet;  // as it arrives; `patterns` of it is not set
    std::optional<PacketWay> way;
    std::optional<LinkId> in_link;
    std::optional<LinkId> out_link;
    std::optional<RealmId> realm;  // the subscriber's
    std::optional<EndpointFilter> translated_source;
    std::optional<EndpointFilter> translated_destination;
    std::vector<rules::PatternId> patterns;
};
tl::expected<DescribedPacket, RpcError> read_packet(
    const Json& params, const config::Config& config
);

// What the packet shows where it is asked about, in this order.
struct HookView {
    rules::Hook hook;
    rules::RulePacket packet;  // its `patterns` are those of the described one
    bool must_pass = true;     // what is denied there goes no further
};
struct PacketViews {
    PacketWay way = PacketWay::kForward;
    std::vector<HookView> views;
};
// `described` outlives what is made of it. `groups`: nullptr: none.
PacketViews views_of(
    const DescribedPacket& described,
    const dataplane::Network& network,
    const rules::SubscriberGroups* groups
);

}  // namespace sekisho::control
