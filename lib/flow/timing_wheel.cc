#include "flow/timing_wheel.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>

namespace sekisho::flow {

namespace {

constexpr size_t kOccupiedWords = TimingWheel::kSlots / 64;

constexpr size_t round_up_line(size_t bytes) {
    return (bytes + 63) & ~size_t{63};
}

constexpr size_t kHeadBytes = round_up_line((TimingWheel::kSlots + 1) * sizeof(uint32_t));
constexpr size_t kOccupiedBytes = kOccupiedWords * sizeof(uint64_t);

// The slot number is taken from the tick itself, so the wheel must turn a whole number of times
// while the tick wraps.
static_assert((uint64_t{1} << 32) % (uint64_t{TimingWheel::kSlotMs} * TimingWheel::kSlots) == 0);

}  // namespace

size_t TimingWheel::bytes_for(size_t entries) {
    return kHeadBytes + kOccupiedBytes + round_up_line(entries * sizeof(Links));
}

TimingWheel::TimingWheel(std::span<std::byte> memory, size_t entries, Tick now)
    : links_(reinterpret_cast<Links*>(memory.data() + kHeadBytes + kOccupiedBytes)),
      heads_(reinterpret_cast<uint32_t*>(memory.data())),
      occupied_(reinterpret_cast<uint64_t*>(memory.data() + kHeadBytes)),
      done_{now.ms / kSlotMs * kSlotMs} {
    assert(memory.size() >= bytes_for(entries) && entries < kHead);
    assert(reinterpret_cast<uintptr_t>(memory.data()) % 64 == 0);
    std::fill_n(heads_, kSlots + 1, kEnd);
    std::fill_n(occupied_, kOccupiedWords, 0);
    std::memset(static_cast<void*>(links_), 0, entries * sizeof(Links));
}

void TimingWheel::push(uint32_t list, uint32_t entry) {
    const uint32_t next = heads_[list];
    links_[entry] = {next, kHead | list};
    heads_[list] = entry;
    if (next != kEnd) {
        links_[next].previous = entry + 1;
    } else {
        occupied_[list / 64] |= uint64_t{1} << (list % 64);
    }
}

void TimingWheel::schedule(uint32_t entry, Tick deadline) {
    cancel(entry);
    const int32_t ahead_ms = elapsed_ms(done_, deadline);
    uint32_t slots = 1;
    if (ahead_ms > 0) {
        slots = std::min((static_cast<uint32_t>(ahead_ms) + kSlotMs - 1) / kSlotMs, kSlots - 1);
    }
    push(slot_after(slots), entry);
}

void TimingWheel::cancel(uint32_t entry) {
    const Links link = links_[entry];
    if (link.previous == kNotIn) {
        return;
    }
    links_[entry].previous = kNotIn;
    if (link.next != kEnd) {
        links_[link.next].previous = link.previous;
    }
    if ((link.previous & kHead) == 0) {
        links_[link.previous - 1].next = link.next;
        return;
    }
    const uint32_t list = link.previous & ~kHead;
    heads_[list] = link.next;
    if (link.next == kEnd && list != kDue) {
        occupied_[list / 64] &= ~(uint64_t{1} << (list % 64));
    }
}

// How many of the next `limit` slots are empty before the first that is not; `limit` when all are.
uint32_t TimingWheel::empty_slots_ahead(uint32_t limit) const {
    uint32_t empty = 0;
    while (empty < limit) {
        const uint32_t slot = slot_after(1 + empty);
        const uint64_t rest = occupied_[slot / 64] >> (slot % 64);
        if (rest != 0) {
            return std::min(limit, empty + static_cast<uint32_t>(std::countr_zero(rest)));
        }
        empty += 64 - slot % 64;
    }
    return limit;
}

// Makes the entries of the next slot that has passed and is not empty the due ones. The whole list
// changes its head, so that what fire() schedules for a past deadline goes into a later slot and
// cannot be met again at once.
bool TimingWheel::take_next_slot(Tick now) {
    const int32_t passed_ms = elapsed_ms(done_, now);
    if (passed_ms < static_cast<int32_t>(kSlotMs)) {
        return false;
    }
    const uint32_t passed = static_cast<uint32_t>(passed_ms) / kSlotMs;
    const uint32_t limit = std::min(passed, kSlots);
    const uint32_t empty = empty_slots_ahead(limit);
    if (empty == limit) {
        done_ = done_ + passed * kSlotMs;
        return false;
    }
    done_ = done_ + (empty + 1) * kSlotMs;
    const uint32_t slot = slot_after(0);
    heads_[kDue] = heads_[slot];
    links_[heads_[kDue]].previous = kHead | kDue;
    heads_[slot] = kEnd;
    occupied_[slot / 64] &= ~(uint64_t{1} << (slot % 64));
    return true;
}

}  // namespace sekisho::flow
