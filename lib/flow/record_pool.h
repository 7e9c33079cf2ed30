// RecordPool: which records of a fixed array are in use. The free list runs through the free
// records themselves.
//
//   Shape     an array of T in the arena, named by 32-bit index; a free record keeps the next free
//             one's index in the four bytes at kLinkOffset, which must not hold the state byte.
//             Records beyond the highest ever used are never touched, so sparse memory stays
//             sparse.
//   Reuse     release() puts a record into limbo; end_of_burst() makes what is there free. So
//             whatever a burst still holds of a record that it freed is not somebody else's yet
//             (ARCHITECTURE 1). Last freed, first used.
//   Errors    allocate() returns kNoIndex when no record is free; those in limbo are not.
//   Cost      O(1) each, one line touched; nothing allocates memory.
//   Owner     one thread. Derived state: can be rebuilt from the records' state bytes.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

#include "base/types.h"

namespace sekisho::flow {

template <class T, size_t kLinkOffset = 0>
class RecordPool {
    static_assert(std::is_trivially_copyable_v<T>);
    static_assert(kLinkOffset + sizeof(uint32_t) <= sizeof(T));

  public:
    RecordPool() = default;
    // `records`: zeroed, owned by the arena, fewer than 2^32 - 1.
    explicit RecordPool(std::span<T> records)
        : records_(records), limit_(static_cast<uint32_t>(records.size())) {
        assert(records.size() < kNoIndex);
    }

    // A free record, its bytes as they were left; the caller builds it whole and marks it live
    // last.
    uint32_t allocate() {
        uint32_t index = free_;
        if (index == kNoIndex) {
            if (used_ == records_.size()) {
                return kNoIndex;
            }
            index = used_++;
        } else {
            free_ = next_of(index);
            if (free_ != kNoIndex) {
                __builtin_prefetch(&records_[free_], 1);
            }
        }
        ++size_;
        return index;
    }

    // The caller has cleared the live mark. The link overwrites four bytes of the record at once.
    void release(uint32_t index) {
        assert(index < used_ && size_ > 0);
        if (limbo_ == kNoIndex) {
            limbo_last_ = index;
        }
        set_next(index, limbo_);
        limbo_ = index;
        --size_;
    }

    void end_of_burst() {
        if (limbo_ == kNoIndex) {
            return;
        }
        set_next(limbo_last_, free_);
        free_ = limbo_;
        limbo_ = kNoIndex;
    }

    T& operator[](uint32_t index) { return records_[index]; }
    const T& operator[](uint32_t index) const { return records_[index]; }
    uint32_t index_of(const T& record) const {
        return static_cast<uint32_t>(&record - records_.data());
    }
    // Whether allocate() would succeed now, and within the limit.
    bool has_room() const {
        return size_ < limit_ && (free_ != kNoIndex || used_ < records_.size());
    }
    // At most so many at a time, up to capacity(); those beyond stay. allocate() is not asked for more.
    void set_limit(uint32_t limit) { limit_ = limit < capacity() ? limit : capacity(); }
    uint32_t limit() const { return limit_; }
    // Allocated and not released.
    uint32_t size() const { return size_; }
    uint32_t capacity() const { return static_cast<uint32_t>(records_.size()); }
    // No record at or above this index was ever in use: the bound of a walk.
    uint32_t high_water() const { return used_; }

    void prefetch(uint32_t index) const { __builtin_prefetch(&records_[index], 1); }

  private:
    uint32_t next_of(uint32_t index) const {
        uint32_t next;
        std::memcpy(
            &next, reinterpret_cast<const std::byte*>(&records_[index]) + kLinkOffset, sizeof(next)
        );
        return next;
    }
    void set_next(uint32_t index, uint32_t next) {
        std::memcpy(
            reinterpret_cast<std::byte*>(&records_[index]) + kLinkOffset, &next, sizeof(next)
        );
    }

    std::span<T> records_;
    uint32_t limit_ = 0;
    uint32_t free_ = kNoIndex;
    uint32_t limbo_ = kNoIndex;
    uint32_t limbo_last_ = kNoIndex;
    uint32_t used_ = 0;
    uint32_t size_ = 0;
};

}  // namespace sekisho::flow

namespace sekisho {
using flow::RecordPool;
}
