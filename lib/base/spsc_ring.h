// A bounded ring between exactly one producing and one consuming thread; in bulk.
//
//   Shape     capacity is a power of two; elements are trivially copyable and moved by value.
//   Errors    push() takes as many as fit and says how many; nothing is overwritten.
//   Cost      one acquire load at most and one release store a call; producer and consumer indexes lie on lines of
//             their own, each side keeps a copy of the other's. Allocates only when made.
//   Thread    push by the producer only, pop by the consumer only, size() by anyone (a hint).
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <type_traits>

namespace sekisho::base {

template <class T>
class SpscRing {
    static_assert(std::is_trivially_copyable_v<T>);

  public:
    explicit SpscRing(size_t capacity)
        : mask_(std::bit_ceil(std::max<size_t>(capacity, 2)) - 1),
          slots_(std::make_unique<T[]>(mask_ + 1)) {}

    size_t capacity() const { return mask_ + 1; }

    size_t push(std::span<const T> items) {
        const size_t tail = tail_.load(std::memory_order_relaxed);
        if (mask_ + 1 - (tail - head_seen_) < items.size()) {
            head_seen_ = head_.load(std::memory_order_acquire);
        }
        const size_t n = std::min(items.size(), mask_ + 1 - (tail - head_seen_));
        for (size_t i = 0; i < n; ++i) {
            slots_[(tail + i) & mask_] = items[i];
        }
        tail_.store(tail + n, std::memory_order_release);
        return n;
    }
    bool push(const T& item) { return push(std::span<const T>(&item, 1)) == 1; }

    size_t pop(std::span<T> out) {
        const size_t head = head_.load(std::memory_order_relaxed);
        if (tail_seen_ - head < out.size()) {
            tail_seen_ = tail_.load(std::memory_order_acquire);
        }
        const size_t n = std::min(out.size(), tail_seen_ - head);
        for (size_t i = 0; i < n; ++i) {
            out[i] = slots_[(head + i) & mask_];
        }
        head_.store(head + n, std::memory_order_release);
        return n;
    }
    bool pop(T& out) { return pop(std::span<T>(&out, 1)) == 1; }

    size_t size() const {
        return tail_.load(std::memory_order_acquire) - head_.load(std::memory_order_acquire);
    }
    bool empty() const { return size() == 0; }
    // Room that the producer may count on.
    size_t room() const {
        return capacity() -
               (tail_.load(std::memory_order_relaxed) - head_.load(std::memory_order_acquire));
    }

  private:
    size_t mask_;
    std::unique_ptr<T[]> slots_;
    alignas(64) std::atomic<size_t> tail_{0};  // producer's line
    size_t head_seen_ = 0;
    alignas(64) std::atomic<size_t> head_{0};  // consumer's line
    size_t tail_seen_ = 0;
};

}  // namespace sekisho::base
