// Network: the links, own addresses and routes of the appliance, compiled from the configuration.
// Immutable once made, but as a whole.
//
//   Changes   another is made beside it and the two are swapped while nobody takes a turn (appliance_change.cc): the same links,
//             whose addresses, and routes, may differ. Who keeps anything that follows from them is told to follow.
//   Cost      route(): a binary search over the runs of addresses that the routes make within a first octet (of n routes at
//             most 2n + 1 in all, and a few for each connected prefix); no branch to guess. is_own(): one probe.
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
};

// Where a packet goes next.
struct Hop {
    LinkId link;
    Ipv4Addr next_hop;  // a gateway, or the destination itself if it is on the link
    bool on_link = false;

    Hop towards(Ipv4Addr destination) const {
        return {link, on_link ? destination : next_hop, on_link};
    }
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
    // Longest prefix; nothing: no route. The network and broadcast addresses of an on-link prefix
    // have none (RFC 2644: directed broadcasts are not forwarded).
    std::optional<Hop> route(Ipv4Addr destination) const {
        const Hop* hop = find_route(destination);
        return hop == nullptr ? std::nullopt : std::optional(hop->towards(destination));
    }
    // The same: the hop as the route gives it, or nullptr.
    const Hop* find_route(Ipv4Addr destination) const;
    // Whether it is one of the appliance's own addresses, on whatever link.
    bool is_own(Ipv4Addr address) const { return own_.find(address.raw) != kNoIndex; }
    // Whether it is one of the appliance's own addresses on this link.
    bool is_own_on(LinkId link, Ipv4Addr address) const;
    // Whether a host with this address may stand on the link: in one of its prefixes, and neither
    // network nor broadcast.
    bool is_host_on(LinkId link, Ipv4Addr address) const;
    // Whether it is the network or broadcast address of any link's prefix.
    bool is_link_broadcast(Ipv4Addr address) const;
    // The own address with which the appliance speaks on a link to `peer`: the one whose prefix
    // holds it, else the first; 0.0.0.0 if the link has none.
    Ipv4Addr own_address(LinkId link, Ipv4Addr peer) const;
    // The link on which packets to a group go on that came on `from`; nothing: they are dropped.
    std::optional<LinkId> find_multicast(LinkId from, Ipv4Addr group) const;
    // What the parse stage must know of each link, by LinkId.
    std::vector<packet::LinkView> link_views() const;

    struct RouteEntry {
        Ipv4Prefix prefix;
        Hop hop;
    };
    // All of them, link by link.
    std::vector<std::pair<LinkId, Ipv4Addr>> own_addresses() const;
    // Connected and static ones, longest first.
    const std::vector<RouteEntry>& routes() const { return routes_; }
    // Those whose link address the configuration gives.
    const std::vector<config::NeighbourSettings>& static_neighbours() const {
        return static_neighbours_;
    }

  private:
    // Open addressing, at most half full, never changed once made: 32-bit key -> number.
    class Table {
      public:
        explicit Table(size_t entries);
        // False: the key is there already, and keeps its value.
        bool insert(uint32_t key, uint32_t value);
        // kNoIndex: none. Only the operator fills these tables, so a plain multiplicative hash will do.
        uint32_t find(uint32_t key) const {
            size_t at = first_slot(key);
            while (slots_[at].value != kNoIndex && slots_[at].key != key) {
                at = (at + 1) & mask_;
            }
            return slots_[at].value;
        }

      private:
        struct Slot {
            uint32_t key = 0;
            uint32_t value = kNoIndex;
        };
        size_t first_slot(uint32_t key) const {
            return (uint64_t{key} * 0x9e3779b97f4a7c15ULL >> 32) & mask_;
        }
        std::vector<Slot> slots_;
        size_t mask_;
    };

    void add_links(
        const config::Config& config,
        const std::vector<unsigned>& device_of_link,
        const std::vector<MacAddr>& macs
    );
    void compile_routes();
    void compile_intervals();
    void index_runs();
    std::vector<uint32_t> borders() const;
    uint32_t meaning_of(uint32_t route, Ipv4Addr destination) const;

    std::vector<Link> links_;
    std::vector<RouteEntry> routes_;
    std::vector<config::NeighbourSettings> static_neighbours_;
    std::vector<config::MulticastSettings> multicast_;
    // What routes_ mean, as runs of addresses that go the same way: where each run begins, host order, ascending from 0,
    // and the index in routes_ or kNoIndex.
    std::vector<uint32_t> run_starts_;
    std::vector<uint32_t> run_routes_;
    struct Runs {
        uint32_t first;
        uint32_t count;
    };
    std::array<Runs, 256> by_octet_;  // the runs in which addresses with this first octet lie
    Table own_;
};

}  // namespace sekisho::dataplane
