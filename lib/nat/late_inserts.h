// LateInserts: entries of an index whose buckets are not here yet. They are inserted together, when somebody is about to
// look or the burst is at its end, so that all their buckets are waited for at once.
//
//   Bound     kMost entries; one more settles those before it. Whoever adds has asked the index for room for kMost.
//   Errors    with that room no insert fails. One that does is a bug of ours; it is counted in failed().
//   Cost      one store an entry, then its insert. Allocates nothing. Thread: the shard's worker.
#pragma once

#include <array>
#include <cstdint>

#include "flow/flow_index.h"
#include "packet/packet.h"

namespace sekisho::nat {

class LateInserts {
  public:
    static constexpr uint32_t kMost = 2 * packet::kBurst;

    void add(flow::FlowIndex& index, uint64_t hash, uint32_t value) {
        if (count_ == kMost) {
            settle();
        }
        entries_[count_++] = {&index, hash, value};
    }
    // The same for an entry whose bucket is here.
    void insert_now(flow::FlowIndex& index, uint64_t hash, uint32_t value) {
        failed_ += index.insert(hash, value) ? 0 : 1;
    }
    void settle() {
        for (uint32_t i = 0; i < count_; ++i) {
            entries_[i].index->prefetch_first(entries_[i].hash);
        }
        for (uint32_t i = 0; i < count_; ++i) {
            entries_[i].index->prefetch_spare(entries_[i].hash);
        }
        for (uint32_t i = 0; i < count_; ++i) {
            insert_now(*entries_[i].index, entries_[i].hash, entries_[i].value);
        }
        count_ = 0;
    }
    bool empty() const { return count_ == 0; }
    uint64_t failed() const { return failed_; }

  private:
    struct Entry {
        flow::FlowIndex* index;
        uint64_t hash;
        uint32_t value;
    };
    std::array<Entry, kMost> entries_;
    uint32_t count_ = 0;
    uint64_t failed_ = 0;
};

}  // namespace sekisho::nat
