// Network: the links, own addresses and routes of the appliance, compiled from the configuration.
// Immutable once made, but as a whole.
//
//   Changes   another is made beside it and the two are swapped while nobody takes a turn (appliance_change.cc): the same links,
//             whose addresses, and routes, may differ. Who keeps anything that follows from them is told to follow.
//   Realms    every realm on the internal side is an address space of its own, and sees besides only the external side, all
//             realms of which are one. So an address means nothing without the realm in which it is looked up, two internal
//             realms may have the same one, and no route leads from one of them to another.
//   Cost      find_route(), is_own(): as those of RouteTable, and two loads.
//   Thread    read by all.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/types.h"
#include "config/config.h"
#include "dataplane/route_table.h"
#include "packet/parse.h"

namespace sekisho::dataplane {

struct Link {  // by LinkId, in the order of the configuration
    std::string name;
    unsigned device = 0;  // index of its device
    RealmId realm;
    config::Side side = config::Side::kInternal;
    MacAddr mac;
    std::vector<config::InterfaceAddress> addresses;
    uint16_t mtu = 1500;
    std::vector<uint16_t> vlans;  // outermost first
    bool proxy_arp = false;

    // The realm as which it looks addresses up: its own, or the one of all links on the external side.
    RealmId view() const { return side == config::Side::kInternal ? realm : kExternalRealm; }
};

class Network {
  public:
    // `macs`: by device index; `device_of_link`: by LinkId.
    Network(
        const config::Config& config,
        const std::vector<unsigned>& device_of_link,
        const std::vector<MacAddr>& macs
    );

    const std::vector<Link>& links() const { return links_; }
    const Link& link(LinkId id) const { return links_[id.value]; }
    RealmId view_of(LinkId id) const { return links_[id.value].view(); }
    // Those on the internal side that have a link.
    const std::vector<RealmId>& internal_realms() const { return internal_realms_; }

    // All of these ask as `realm` sees it; kExternalRealm stands for all realms of its side.
    //
    // By the longest prefix; nothing, or nullptr: no route. The network and broadcast addresses of an on-link prefix have
    // none (RFC 2644: directed broadcasts are not forwarded).
    std::optional<Hop> route(RealmId realm, Ipv4Addr destination) const {
        const Hop* hop = find_route(realm, destination);
        return hop == nullptr ? std::nullopt : std::optional(hop->towards(destination));
    }
    // The same: the hop as the route gives it.
    const Hop* find_route(RealmId realm, Ipv4Addr destination) const {
        return seen_by(realm).find(destination);
    }
    // Whether it is one of the appliance's own addresses, in the realm or on the external side.
    bool is_own(RealmId realm, Ipv4Addr address) const { return seen_by(realm).is_own(address); }
    // Whether it is the network or broadcast address of a prefix on a link.
    bool is_link_broadcast(RealmId realm, Ipv4Addr address) const {
        return seen_by(realm).is_link_broadcast(address);
    }
    // Whether the address lies in the realm itself, the appliance's own ones too.
    bool is_inside(RealmId realm, Ipv4Addr address) const;
    // The same of any realm on the internal side.
    bool is_inside_any(Ipv4Addr address) const {
        return (inside_.find(address) != nullptr || inside_.is_own(address)) &&
               is_inside_some(address);
    }

    // Whether it is one of the appliance's own addresses on this link.
    bool is_own_on(LinkId link, Ipv4Addr address) const;
    // Whether a host with this address may stand on the link: in one of its prefixes, and neither
    // network nor broadcast.
    bool is_host_on(LinkId link, Ipv4Addr address) const;
    // The own address with which the appliance speaks on a link to `peer`: the one whose prefix
    // holds it, else the first; 0.0.0.0 if the link has none.
    Ipv4Addr own_address(LinkId link, Ipv4Addr peer) const;
    // The link on which packets to a group go on that came on `from`; nothing: they are dropped.
    std::optional<LinkId> find_multicast(LinkId from, Ipv4Addr group) const;
    // What the parse stage must know of each link, by LinkId.
    std::vector<packet::LinkView> link_views() const;

    // All of them, link by link.
    std::vector<std::pair<LinkId, Ipv4Addr>> own_addresses() const;
    // Connected and static ones of all realms, longest first.
    const std::vector<RouteEntry>& routes() const { return routes_; }
    // Those whose link address the configuration gives.
    const std::vector<config::NeighbourSettings>& static_neighbours() const {
        return static_neighbours_;
    }

  private:
    void add_links(
        const config::Config& config,
        const std::vector<unsigned>& device_of_link,
        const std::vector<MacAddr>& macs
    );
    std::vector<RouteEntry> routes_of(const config::Config& config) const;
    template <class Takes>  // of the links that `takes` names, what is seen
    RouteTable table_of(const std::vector<RouteEntry>& all, Takes takes) const;
    void compile_realms(const std::vector<RouteEntry>& all);
    void list_routes(const std::vector<RouteEntry>& all);
    bool is_inside_some(Ipv4Addr address) const;
    const RouteTable& seen_by(RealmId realm) const { return tables_[table_of_[realm.value]]; }

    std::vector<Link> links_;
    std::vector<RealmId> internal_realms_;
    std::vector<RouteEntry> routes_;
    std::vector<config::NeighbourSettings> static_neighbours_;
    std::vector<config::MulticastSettings> multicast_;
    std::vector<RouteTable> tables_;       // the first is the external side's
    std::array<uint8_t, 256> table_of_{};  // by RealmId
    RouteTable inside_{{}, {}};            // all realms on the internal side at once: a first guess
};

}  // namespace sekisho::dataplane
