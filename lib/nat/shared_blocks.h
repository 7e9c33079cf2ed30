// SharedBlocks: the port blocks that a shard holds although ports of static mappings lie in them: they were granted before the
// mappings came. Their owner byte says kHasStatics, so that each port is looked up; whose the others are is told here.
//
//   Life      added while no turn runs; the holder gives its part up when the block goes home; then it is a block of static
//             ports like any other.
//   Thread    find: any. give_up(): the holder's. All else while no turn runs.
//   Cost      a tree of a few nodes. Only for what goes to such a block.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>

#include "base/types.h"

namespace sekisho::nat {

inline constexpr uint8_t kOwnedByHome = 0xff;  // free: the home shard answers for it

class SharedBlocks {
  public:
    bool empty() const { return holders_.empty(); }
    void add(ExternalIndex external, uint16_t block, uint8_t holder) {
        holders_[key_of(external, block)].store(holder, std::memory_order_release);
    }
    void remove(ExternalIndex external, uint16_t block) { holders_.erase(key_of(external, block)); }
    // A shard, or kOwnedByHome.
    uint8_t holder_of(ExternalIndex external, uint16_t block) const {
        const auto found = holders_.find(key_of(external, block));
        return found == holders_.end() ? kOwnedByHome
                                       : found->second.load(std::memory_order_acquire);
    }
    void give_up(ExternalIndex external, uint16_t block) {
        const auto found = holders_.find(key_of(external, block));
        if (found != holders_.end()) {
            found->second.store(kOwnedByHome, std::memory_order_release);
        }
    }

  private:
    static uint64_t key_of(ExternalIndex external, uint16_t block) {
        return uint64_t{external.value} << 16 | block;
    }
    std::map<uint64_t, std::atomic<uint8_t>> holders_;
};

}  // namespace sekisho::nat
