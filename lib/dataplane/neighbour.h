// Neighbours: next hops and their link addresses.
//
//   Who writes   the slow path keeps the truth (resolution, ageing, held packets); each shard has a copy of its own, which
//                changes only by the commands on the ring back to it.
//   Ids          NeighbourId 1 .. capacity-1; 0 means not known yet. A gateway's entry is never given up. An on-link
//                entry may be reused for another address, or for the same one in another realm, so a cached id counts only if
//                `gateway || (address, realm) == destination of the packet` (PITFALLS 8: nothing stale is believed).
#pragma once

#include <cstdint>
#include <vector>

#include "base/types.h"

namespace sekisho::dataplane {

struct alignas(32) NeighbourEntry {  // one shard's copy; half a line
    Ipv4Addr address;                // next hop
    MacAddr mac;
    LinkId link;
    uint8_t resolved = 0;
    uint8_t gateway = 0;         // not the destination itself but a router
    uint8_t header_length = 14;  // of the L2 header below: 14, 18 or 22
    uint16_t mtu = 1500;
    uint8_t header[14] = {};  // the shard's: an untagged link header
    RealmId realm;            // the shard's: of the link, as Link::view()
};
static_assert(sizeof(NeighbourEntry) == 32);

inline constexpr unsigned kNeighbourCapacity = 65535;

// From the slow path to every shard, in ring order. It replaces all that the shard knew of `id`: an address for which the id
// stood before is no longer known by it. entry.resolved == 0: forget the entry's link address; packets for it are punted.
struct NeighbourUpdate {
    NeighbourId id;
    NeighbourEntry entry;
};

}  // namespace sekisho::dataplane
