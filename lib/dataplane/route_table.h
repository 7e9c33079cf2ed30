// RouteTable: where packets go by their destination, as one realm sees it: its own routes and those of the external side. With
// it the appliance's own addresses in that realm, and the addresses there that are no host's.
//
//   Cost      find(): a binary search over the runs of addresses that the routes make within a first octet (of n routes at
//             most 2n + 1 in all, and a few for each connected prefix); no branch to guess. is_own(): one probe.
//   Thread    immutable once compile() is done; read by all.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/types.h"

namespace sekisho::dataplane {

// Where a packet goes next.
struct Hop {
    LinkId link;
    Ipv4Addr next_hop;  // a gateway, or the destination itself if it is on the link
    bool on_link = false;

    Hop towards(Ipv4Addr destination) const {
        return {link, on_link ? destination : next_hop, on_link};
    }
};

struct RouteEntry {
    Ipv4Prefix prefix;
    Hop hop;
};

// The prefix of this length that holds the address.
Ipv4Prefix prefix_of(Ipv4Addr address, uint8_t length);
// The all-zeros or all-ones address of a prefix. Prefixes of 31 and 32 bits have none (RFC 3021).
bool is_edge(const Ipv4Prefix& prefix, Ipv4Addr address);
// Longest first; of two routes to one prefix the first stays: connected before static.
void sort_routes(std::vector<RouteEntry>& routes);

class RouteTable {
  public:
    // `routes`: sorted; `own`: the appliance's addresses that the realm knows.
    RouteTable(std::vector<RouteEntry> routes, std::span<const Ipv4Addr> own);

    // The hop as the longest route gives it, or nullptr. The network and broadcast addresses of an on-link prefix have none
    // (RFC 2644: directed broadcasts are not forwarded).
    const Hop* find(Ipv4Addr destination) const;
    bool is_own(Ipv4Addr address) const { return own_.has(address.raw); }
    // Whether it is the network or broadcast address of an on-link prefix.
    bool is_link_broadcast(Ipv4Addr address) const;

  private:
    // Open addressing, at most half full, never changed once made.
    class AddressSet {
      public:
        explicit AddressSet(std::span<const Ipv4Addr> addresses);
        // Only the operator fills these sets, so a plain multiplicative hash will do.
        bool has(uint32_t address) const {
            size_t at = first_slot(address);
            while (slots_[at].is_used && slots_[at].address != address) {
                at = (at + 1) & mask_;
            }
            return slots_[at].is_used;
        }

      private:
        struct Slot {
            uint32_t address = 0;
            bool is_used = false;
        };
        size_t first_slot(uint32_t address) const {
            return (uint64_t{address} * 0x9e3779b97f4a7c15ULL >> 32) & mask_;
        }
        std::vector<Slot> slots_;
        size_t mask_;
    };
    struct Runs {
        uint32_t first;
        uint32_t count;
    };

    void compile_runs();
    void index_runs();
    std::vector<uint32_t> borders() const;
    uint32_t meaning_of(uint32_t route, Ipv4Addr destination) const;

    std::vector<RouteEntry> routes_;
    // What routes_ mean, as runs of addresses that go the same way: where each run begins, host order, ascending from 0,
    // and the index in routes_ or kNoIndex.
    std::vector<uint32_t> run_starts_;
    std::vector<uint32_t> run_routes_;
    std::array<Runs, 256> by_octet_{};  // the runs in which addresses with this first octet lie
    AddressSet own_;
};

}  // namespace sekisho::dataplane
