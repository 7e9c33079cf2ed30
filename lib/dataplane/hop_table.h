// HopTable: one shard's copy of the neighbours, and its own way from (address, link) to their ids.
//
//   Who writes   only the shard, from the commands of the slow path (Back::kNeighbour), in ring order.
//   Shape        entries by NeighbourId, 32 bytes each: the entry's last 16 bytes hold the link header ready to be stored
//                before an IPv4 header with no VLAN tag. Ids are found by a hash table with linear probing, at most half
//                full; it is keyed, since subscribers choose on-link addresses.
//   Cost         at(): one load. find(): one or two lines. put(): as find. Nothing allocates after it is made.
//   Thread       the shard's worker.
#pragma once

#include <cstdint>
#include <vector>

#include "base/keyed_hash.h"
#include "dataplane/neighbour.h"
#include "dataplane/network.h"

namespace sekisho::dataplane {

class HopTable {
  public:
    HopTable(const Network& network, const HashSecret& secret);

    const NeighbourEntry& at(NeighbourId id) const { return entries_[id.value]; }
    void prefetch(NeighbourId id) const { __builtin_prefetch(&entries_[id.value]); }
    // 0 if the slow path has said nothing about it.
    NeighbourId find(Ipv4Addr address, LinkId link) const;
    // Replaces all that was known of the id. Ids beyond the capacity are ignored.
    void put(const NeighbourUpdate& update);

  private:
    uint32_t slot_of(Ipv4Addr address, LinkId link) const;
    void erase(NeighbourId id);
    void insert(NeighbourId id);

    const Network& network_;
    HashSecret secret_;
    std::vector<NeighbourEntry> entries_;
    std::vector<uint16_t> slots_;  // ids; 0: empty
};

}  // namespace sekisho::dataplane
