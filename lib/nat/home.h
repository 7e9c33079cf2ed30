// HomeBlocks: the free port blocks of the external addresses that are homed on one shard.
//
//   Shape     bitmaps of free blocks an address, and of those that are here and kept back (fixed); the addresses of a pool in lists by their number
//             of free blocks, so that the one with the most is found at once (PITFALLS 1, 2).
//   Cost      find_most: O(1); take: O(words of an address's bitmap, 16 at most); give_back: O(1).
//   Owner     the home shard. Derived state: what no shard holds is free.
#pragma once

#include <cstdint>
#include <vector>

#include "base/types.h"
#include "nat/external_directory.h"
#include "nat/settings.h"

namespace sekisho::nat {

inline constexpr uint16_t kNoBlock = 0xffff;

class HomeBlocks {
  public:
    HomeBlocks() = default;
    HomeBlocks(const NatSettings& settings, const ExternalDirectory& directory, ShardId home);

    // The address of the pool with the most free blocks, or kNoIndex if none has one.
    ExternalIndex find_most(PoolId pool) const;
    // The directory has followed a change of settings: its new addresses are homed here, too, those that it closed give no
    // more blocks.
    void follow(const NatSettings& settings, const ExternalDirectory& directory);
    // Takes a free block of an address homed here, the first at or after `start` going round, or
    // kNoBlock.
    uint16_t take(ExternalIndex external, uint32_t start);
    // False if the block is here already or no block of the pool: a bug of the sender. One that is fixed is granted no more.
    [[nodiscard]] bool give_back(ExternalIndex external, uint16_t block);
    bool is_free(ExternalIndex external, uint16_t block) const;
    // Here, but kept back for static mappings.
    bool is_kept(ExternalIndex external, uint16_t block) const;
    // Of a pool, addresses homed here that are closed and not gone.
    uint32_t draining(PoolId pool, const ExternalDirectory& directory) const;
    uint32_t free_blocks(PoolId pool) const { return pools_[pool.value].free; }
    uint32_t free_blocks_of(ExternalIndex e) const { return addresses_[e.value / shards_].free; }

  private:
    struct Address {
        uint32_t first_word;
        uint32_t previous;  // in the list of its pool and count; indexes of addresses_
        uint32_t next;
        uint16_t free;
        PoolId pool;
        bool is_open = true;  // in its list; a closed one only takes blocks back
    };
    struct Pool {
        std::vector<uint32_t> heads;  // by number of free blocks
        uint32_t most = 0;            // no address has more
        uint32_t free = 0;
        BlockSpan span{};
    };
    void add(PoolId pool);
    void open(uint32_t address);
    void close(uint32_t address);
    static void lower_most(Pool& pool);
    void withhold_reserved(const NatSettings& settings, uint32_t first);
    void reserve(const ExternalDirectory::Reserved& reserved, bool is_static);
    void follow_statics(const ExternalDirectory& directory);
    void fix(const ExternalDirectory::Reserved& reserved);
    void unfix(const ExternalDirectory::Reserved& reserved);
    bool is_of_pool(const Address& address, uint16_t block) const;
    void make_free(uint32_t address, uint16_t block);
    void link(uint32_t address);
    void unlink(uint32_t address);

    unsigned shards_ = 1;
    unsigned home_ = 0;
    std::vector<Address> addresses_;  // by ExternalIndex / shards
    std::vector<Pool> pools_;
    std::vector<uint64_t> free_bits_;
    // In step with them: to be granted to nobody, wherever it is; and those of them that are here.
    std::vector<uint64_t> fixed_bits_;
    std::vector<uint64_t> kept_bits_;
};

}  // namespace sekisho::nat
