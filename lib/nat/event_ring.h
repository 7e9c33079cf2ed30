// The ring of a shard's events: written by its worker, read by the logger thread.
//
//   Shape     in the shard's arena: a header with the two positions, each on a line of its own, then
//             the events; a power of two of them. Positions count all events that were ever written
//             (tail) and taken (head), so an event's sequence number is its position + 1, and a
//             process that re-attaches finds what is left between head and tail.
//   Errors    room() says how many more fit; write() wants one.
//   Cost      a write: 64 bytes and one release store; the other side's position is read only when
//             the room known of is used up.
//   Thread    EventWriter: the shard's worker. EventReader: one thread. Positions: anyone.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <new>
#include <span>

#include "nat/event.h"

namespace sekisho::nat {

struct EventRingHeader {
    alignas(64) std::atomic<uint64_t> tail;  // written by the worker
    alignas(64) std::atomic<uint64_t> head;  // written by the reader
};
static_assert(sizeof(EventRingHeader) == 128);

constexpr size_t event_ring_bytes(size_t events) {
    return sizeof(EventRingHeader) + std::bit_ceil(events) * sizeof(Event);
}

// Header and slots of a section of event_ring_bytes(): zeroed, or as another process has left it.
class EventRing {
  public:
    EventRing() = default;
    explicit EventRing(std::span<std::byte> memory)
        : header_(reinterpret_cast<EventRingHeader*>(memory.data())),
          slots_(reinterpret_cast<Event*>(memory.data() + sizeof(EventRingHeader))),
          mask_((memory.size() - sizeof(EventRingHeader)) / sizeof(Event) - 1) {
        assert(std::has_single_bit(mask_ + 1));
    }
    bool is_made() const { return header_ != nullptr; }
    size_t capacity() const { return is_made() ? mask_ + 1 : 0; }
    // Events ever written and taken: what lies between is in the ring. May be read by anyone.
    uint64_t written() const {
        return is_made() ? header_->tail.load(std::memory_order_acquire) : 0;
    }
    uint64_t taken() const { return is_made() ? header_->head.load(std::memory_order_acquire) : 0; }

  protected:
    EventRingHeader* header_ = nullptr;
    Event* slots_ = nullptr;
    uint64_t mask_ = 0;
};

class EventWriter : public EventRing {
  public:
    EventWriter() = default;
    explicit EventWriter(std::span<std::byte> memory)
        : EventRing(memory), tail_(written()), head_seen_(taken()) {}

    // How many more events fit, as far as that matters: looks at the reader only if fewer than
    // `wanted` are known to.
    size_t room(size_t wanted) {
        const size_t known = mask_ + 1 - (tail_ - head_seen_);
        if (known >= wanted) [[likely]] {
            return known;
        }
        head_seen_ = header_->head.load(std::memory_order_acquire);
        return mask_ + 1 - (tail_ - head_seen_);
    }
    // There is room. Gives the event its number.
    void write(const Event& event) {
        assert(tail_ - head_seen_ <= mask_);
        Event& slot = slots_[tail_ & mask_];
        slot = event;
        slot.sequence = ++tail_;
        header_->tail.store(tail_, std::memory_order_release);
        __builtin_prefetch(&slots_[(tail_ + 1) & mask_], 1);
    }

  private:
    uint64_t tail_ = 0;
    uint64_t head_seen_ = 0;
};

class EventReader : public EventRing {
  public:
    using EventRing::EventRing;

    // The oldest events, as many as lie in one piece; they stay in the ring until pop().
    std::span<const Event> front() const {
        const uint64_t head = header_->head.load(std::memory_order_relaxed);
        const uint64_t held = written() - head;
        const uint64_t first = head & mask_;
        return {slots_ + first, static_cast<size_t>(std::min(held, mask_ + 1 - first))};
    }
    void pop(size_t events) {
        const uint64_t head = header_->head.load(std::memory_order_relaxed);
        header_->head.store(head + events, std::memory_order_release);
    }
};

}  // namespace sekisho::nat
