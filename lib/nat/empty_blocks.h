// EmptyBlocks: the blocks that a shard holds and nobody uses, so that a recall finds one at once.
//
//   Shape     a list of blocks an external address, in the order in which they will have rested;
//             the addresses that have such blocks in a list for each pool and home.
//   Cost      push, remove: O(1). find: at most kLooked blocks.
//   Owner     one thread. Derived state.
#pragma once

#include <cstdint>
#include <vector>

#include "base/types.h"
#include "nat/external_directory.h"
#include "nat/port_block.h"

namespace sekisho::nat {

class EmptyBlocks {
  public:
    static constexpr unsigned kLooked = 64;

    EmptyBlocks() = default;
    EmptyBlocks(const ExternalDirectory& directory, size_t pools);

    // At the front what is rested already, else at the back.
    void push(PortBlockTable& blocks, uint32_t block, bool is_rested);
    void remove(PortBlockTable& blocks, uint32_t block);
    // The first block of the address (or, with kNoIndex, of any address of the pool with this home)
    // that has rested; kNoIndex if there is none among those looked at.
    uint32_t find_rested(
        PortBlockTable& blocks, ExternalIndex external, PoolId pool, ShardId home, RestClock& clock
    ) const;

  private:
    struct List {
        uint32_t first = kNoIndex;  // blocks
        uint32_t last = kNoIndex;
        uint32_t previous = kNoIndex;  // addresses with the same pool and home
        uint32_t next = kNoIndex;
    };
    uint32_t& head_of(uint32_t external);
    uint32_t find_in(PortBlockTable& blocks, uint32_t external, RestClock& clock, unsigned& looked)
        const;

    const ExternalDirectory* directory_ = nullptr;
    std::vector<List> lists_;      // by ExternalIndex
    std::vector<uint32_t> heads_;  // by pool * shards + home
};

}  // namespace sekisho::nat
