// RecallBook: what a home has asked back from the other shards, and who waits for it.
//
//   Shape     a recall is about one address homed here, or about a pool; both are slots of one
//             array, made at start. Waiting requests hang on their slot, first come, first served.
//   Bounds    kMaxRecalls recalls run at a time, kMaxWaiting requests wait; beyond that a request
//             is answered as if nothing had come back.
//   Memory of failure   a recall that brought nothing is not tried again in the same tick
//             (PITFALLS 4: bounded work a refused packet).
//   Cost      O(1) each. Thread: the home shard's worker.
#pragma once

#include <cstdint>
#include <vector>

#include "base/types.h"
#include "nat/messages.h"

namespace sekisho::nat {

class RecallBook {
  public:
    static constexpr unsigned kMaxRecalls = 64;
    static constexpr unsigned kMaxWaiting = 4096;

    RecallBook() = default;
    explicit RecallBook(size_t slots) : slots_(slots), nodes_(kMaxWaiting) {
        for (uint32_t i = 0; i < kMaxWaiting; ++i) {
            nodes_[i].next = i + 1 < kMaxWaiting ? i + 1 : kNoIndex;
        }
        free_ = 0;
    }

    bool is_running(size_t slot) const { return slots_[slot].awaited > 0; }
    bool has_failed(size_t slot, Tick now) const {
        return slots_[slot].has_failed && slots_[slot].failed_at == now;
    }
    bool has_room() const { return running_ < kMaxRecalls; }

    void start(size_t slot, unsigned shards_asked) {
        slots_[slot].awaited = shards_asked;
        slots_[slot].returned = 0;
        ++running_;
    }
    // A block of the slot came back.
    void note_return(size_t slot) { ++slots_[slot].returned; }
    uint32_t returned(size_t slot) const { return slots_[slot].returned; }
    // One of the shards asked has answered. True when it was the last.
    bool note_done(size_t slot) {
        if (slots_[slot].awaited == 0 || --slots_[slot].awaited > 0) {
            return false;
        }
        --running_;
        return true;
    }
    void fail(size_t slot, Tick now) {
        slots_[slot].has_failed = true;
        slots_[slot].failed_at = now;
    }

    // False if no more requests can wait.
    bool wait(size_t slot, const ShardMessage& request) {
        if (free_ == kNoIndex) {
            return false;
        }
        const uint32_t n = free_;
        free_ = nodes_[n].next;
        nodes_[n] = {request, kNoIndex};
        Slot& s = slots_[slot];
        (s.first == kNoIndex ? s.first : nodes_[s.last].next) = n;
        s.last = n;
        return true;
    }
    bool has_waiting(size_t slot) const { return slots_[slot].first != kNoIndex; }
    // The first that waits; only if has_waiting().
    ShardMessage pop(size_t slot) {
        Slot& s = slots_[slot];
        const uint32_t n = s.first;
        s.first = nodes_[n].next;
        nodes_[n].next = free_;
        free_ = n;
        return nodes_[n].message;
    }

  private:
    struct Slot {
        uint32_t first = kNoIndex;
        uint32_t last = kNoIndex;
        uint32_t returned = 0;  // blocks, in this round
        uint32_t awaited = 0;   // shards that have not answered yet
        Tick failed_at;
        bool has_failed = false;
    };
    struct Node {
        ShardMessage message;
        uint32_t next = kNoIndex;
    };
    std::vector<Slot> slots_;
    std::vector<Node> nodes_;
    uint32_t free_ = kNoIndex;
    unsigned running_ = 0;
};

}  // namespace sekisho::nat
