// PairCounts: how often each pair of two words is in use; what is in use no more has no record.
//
//   Uses      permissions (mapping, remote address): to whom a mapping has sent, for
//             address-dependent filtering (RFC 4787 5, REQ-8); port uses (external address, port
//             and protocol): the mappings of a port that several remotes share (RFC 7857 3).
//   Shape     a record a pair, found by an index; the caller sees to it that there are at most as
//             many pairs as records.
//   Cost      one probe each. Nothing allocates after the constructor. Thread: the shard's worker.
#pragma once

#include <cstdint>
#include <span>

#include "base/keyed_hash.h"
#include "base/types.h"
#include "flow/flow_index.h"
#include "flow/record_pool.h"

namespace sekisho::nat {

struct PairCount {
    uint32_t first;
    uint32_t second;
    uint32_t count;
    uint32_t reserved;
};

class PairCounts {
  public:
    PairCounts() = default;
    PairCounts(
        std::span<PairCount> records, std::span<std::byte> index_memory, const HashSecret* secret
    )
        : pool_(records), index_(index_memory, records.size()), secret_(secret) {}

    uint32_t count(uint32_t first, uint32_t second) const {
        const uint32_t p = pool_.capacity() == 0 ? kNoIndex : find(first, second);
        return p == kNoIndex ? 0 : pool_[p].count;
    }
    // `by` more; false if there is no room.
    [[nodiscard]] bool add(uint32_t first, uint32_t second, uint32_t by = 1) {
        const uint32_t found = find(first, second);
        if (found != kNoIndex) {
            pool_[found].count += by;
            return true;
        }
        const uint32_t p = pool_.allocate();
        if (p == kNoIndex) {
            return false;
        }
        pool_[p] = PairCount{first, second, by, 0};
        if (!index_.insert(hash(first, second), p)) {
            pool_.release(p);
            return false;
        }
        return true;
    }
    // `by` less, at least down to none.
    void remove(uint32_t first, uint32_t second, uint32_t by = 1) {
        const uint32_t p = pool_.capacity() == 0 ? kNoIndex : find(first, second);
        if (p == kNoIndex) {
            return;
        }
        if (pool_[p].count > by) {
            pool_[p].count -= by;
            return;
        }
        index_.erase(hash(first, second), p);
        pool_.release(p);
    }
    void end_of_burst() { pool_.end_of_burst(); }
    uint32_t size() const { return pool_.size(); }
    bool is_empty() const { return pool_.capacity() == 0 || pool_.size() == 0; }

  private:
    uint64_t hash(uint32_t first, uint32_t second) const {
        return keyed_hash(*secret_, first, second);
    }
    uint32_t find(uint32_t first, uint32_t second) const {
        return index_.find(hash(first, second), [&](uint32_t p) {
            return pool_[p].first == first && pool_[p].second == second;
        });
    }

    flow::RecordPool<PairCount> pool_;
    flow::FlowIndex index_;
    const HashSecret* secret_ = nullptr;
};

}  // namespace sekisho::nat
