// Filter: which subscribers, mappings or sessions a listing or a clear is about. What is not given
// admits all.
//
//   Words     subscriber A | realm NAME | external A[:P] | remote A[:P] | protocol NAME
//             (base/protocol_name.h); all
//             that are given must hold. An internal address is of several subscribers where realms
//             have it in common; without `realm` all of them are meant.
//   Order     addresses and ports in network order, like the records. An ICMP query's identifier
//             counts as its port.
//   Thread    values, pure.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "base/types.h"
#include "config/config.h"
#include "control/params.h"
#include "nat/nat_shard.h"

namespace sekisho::control {

struct EndpointFilter {
    Ipv4Addr address;
    std::optional<Port> port;
    bool admits(uint32_t raw_address, uint16_t raw_port) const {
        return raw_address == address.raw && (!port || port->raw == raw_port);
    }
};

struct Filter {
    std::optional<Ipv4Addr> subscriber;
    std::optional<RealmId> realm;
    std::optional<EndpointFilter> external;
    std::optional<EndpointFilter> remote;
    std::optional<Protocol> protocol;

    bool is_empty() const { return !subscriber && !realm && !external && !remote && !protocol; }
    bool admits(const Session& session) const;
    bool admits(const nat::SessionView& view
    ) const;  // the same; `remote` may be whom it has sent to
    // Without `remote`, which a mapping alone cannot answer.
    bool admits(const nat::Mapping& mapping) const;
    bool admits(const nat::MappingView& view) const;  // the same; `external` may be within its run
    // Only `subscriber`, `realm` and `external` without a port; see needs_sessions().
    bool admits(const nat::SubscriberView& subscriber_view) const;
    // Whether a listing of subscribers must ask their sessions.
    bool needs_sessions() const { return remote || protocol || (external && external->port); }
};

// Reads the five parameters; mistakes are the reader's. `realms`: those that there are.
Filter read_filter(ParamReader& params, const std::vector<config::RealmSettings>& realms);

// "A" or "A:P", strictly.
std::optional<EndpointFilter> parse_endpoint(std::string_view text);

inline constexpr std::string_view kWantedAddress = "an IPv4 address like 192.0.2.1";
inline constexpr std::string_view kWantedRealm = "the name of a realm on the internal side";
inline constexpr std::string_view kWantedEndpoint =
    "an IPv4 address, or address and port like 192.0.2.1:4000";
inline constexpr std::string_view kWantedProtocol =
    "tcp, udp, icmp, sctp, dccp, udp-lite, gre or esp";

}  // namespace sekisho::control
