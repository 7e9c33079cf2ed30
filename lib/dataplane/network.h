// Network: the links, own addresses and routes of the appliance, compiled from the configuration. Immutable once made.
//
//   Cost      route(): one hash probe a prefix length that occurs. is_own(): one probe.
//   Thread    read by all.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/types.h"
#include "config/config.h"

namespace sekisho::dataplane {

struct Link {                      // by LinkId, in the order of the configuration
    std::string name;
    unsigned device = 0;           // index of its device
    RealmId realm;
    config::Side side = config::Side::kInternal;
    MacAddr mac;
    std::vector<config::InterfaceAddress> addresses;
    uint16_t mtu = 1500;
    std::vector<uint16_t> vlans;   // outermost first
    bool proxy_arp = false;
};

// Where a packet goes next.
struct Hop {
    LinkId link;
    Ipv4Addr next_hop;             // a gateway, or the destination itself if it is on the link
    bool on_link = false;
};

class Network {
  public:
    // `macs`: by device index; `device_of_link`: by LinkId.
    Network(const config::Config& config, const std::vector<unsigned>& device_of_link, const std::vector<MacAddr>& macs);

    const std::vector<Link>& links() const { return links_; }
    const Link& link(LinkId id) const { return links_[id.value]; }
    std::optional<Hop> route(Ipv4Addr destination) const;   // longest prefix; nothing: no route
    bool is_own(Ipv4Addr address) const;                     // one of the appliance's own addresses
    // The own address with which the appliance speaks on a link to `peer`: the one whose prefix holds it, else the first.
    Ipv4Addr own_address(LinkId link, Ipv4Addr peer) const;

    struct RouteEntry {
        Ipv4Prefix prefix;
        Hop hop;
    };
    const std::vector<RouteEntry>& routes() const { return routes_; }  // connected and static, longest first

  private:
    std::vector<Link> links_;
    std::vector<RouteEntry> routes_;
    // the dataplane module completes this
};

}  // namespace sekisho::dataplane
