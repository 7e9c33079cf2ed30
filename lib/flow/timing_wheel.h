// TimingWheel: when is an entry to be looked at again.
//
//   Shape     kSlots slots of kSlotMs; doubly linked lists through an array of 8-byte links beside
//             the entries, which are named by index (below 2^31); a bit for each slot that is not
//             empty. An entry is in the wheel at most once.
//   Units     Tick, wraps; deadlines lie less than the horizon (2.3 hours) ahead of the last
//             advance, a later one is put at the horizon and fires early: the owner looks at its
//             own deadline and schedules again. A deadline that is past already fires in the next
//             slot. What is 24.8 days away or more counts as past.
//   Law       an entry never fires before its deadline (but for the horizon), and at most kSlotMs
//             and the backlog of the bounded work after it. schedule() on an entry in the wheel
//             moves it at once.
//   Cost      schedule, cancel: O(1), two or three lines touched. advance: at most `budget`
//             entries, whatever the jump of time; empty slots are skipped 64 at a time.
//   Owner     one thread. Derived state: can be rebuilt from the records.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/types.h"

namespace sekisho::flow {

class TimingWheel {
  public:
    static constexpr uint32_t kSlotMs = 512;
    static constexpr uint32_t kSlots = 16384;  // 8 388 s: beyond the longest RFC default (7 440 s)

    // Bytes of memory, 64-byte aligned: 8 an entry and 66 KiB.
    static size_t bytes_for(size_t entries);

    TimingWheel() = default;
    // Lays an empty wheel over `memory` (bytes_for(entries), 64-byte aligned, owned by the arena).
    TimingWheel(std::span<std::byte> memory, size_t entries, Tick now);

    void schedule(uint32_t entry, Tick deadline);
    void cancel(uint32_t entry);
    bool is_scheduled(uint32_t entry) const { return links_[entry].previous != kNotIn; }

    // Calls fire(entry) for entries whose slot has passed; each is out of the wheel when fire is
    // called, which may schedule or cancel any entry. Returns how many fired: less than `budget`
    // when nothing more is due.
    template <class Fire>
    uint32_t advance(Tick now, uint32_t budget, Fire&& fire) {
        uint32_t fired = 0;
        while (fired < budget && (heads_[kDue] != kEnd || take_next_slot(now))) {
            const uint32_t entry = heads_[kDue];
            cancel(entry);
            ++fired;
            fire(entry);
        }
        return fired;
    }

    void prefetch(uint32_t entry) const { __builtin_prefetch(&links_[entry]); }

  private:
    // Zeroes mean 'not in the wheel', so that fresh arena memory is an empty wheel's.
    struct Links {
        uint32_t next;      // an entry or kEnd
        uint32_t previous;  // an entry + 1, or kHead | list, or kNotIn
    };
    static constexpr uint32_t kNotIn = 0;
    static constexpr uint32_t kEnd = 0xffffffff;
    static constexpr uint32_t kHead = 0x80000000;
    static constexpr uint32_t kDue =
        kSlots;  // the list whose slot has passed and which is being fired

    void push(uint32_t list, uint32_t entry);
    bool take_next_slot(Tick now);
    uint32_t slot_after(uint32_t slots) const { return (done_.ms / kSlotMs + slots) % kSlots; }
    uint32_t empty_slots_ahead(uint32_t limit) const;

    Links* links_ = nullptr;
    uint32_t* heads_ = nullptr;
    uint64_t* occupied_ = nullptr;
    Tick done_;  // a multiple of kSlotMs: every slot up to it has been taken
};

}  // namespace sekisho::flow

namespace sekisho {
using flow::TimingWheel;
}
