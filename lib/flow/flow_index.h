// FlowIndex: from a 64-bit hash to 32-bit entry numbers. It holds tags, never keys: the caller
// compares.
//
//   Shape     buckets of one cache line: ten 16-bit tags, ten 32-bit values, and how many entries
//             whose first bucket this is lie elsewhere, so that a miss mostly ends after one line.
//             Two choices: the sum of the two bucket numbers is a function of the tag alone (modulo
//             the number of buckets, which need not be a power of two), so an entry moves without
//             its key. A tag's lowest bit says that the entry lies in its second bucket.
//   Hash      keyed (base/keyed_hash.h): the high bits choose the bucket, the low 15 the tag.
//             Without the key nobody can aim at a bucket, so neither the tag's spread nor the
//             overflow chains need a key of their own.
//   Bytes     bytes_for(entries): a line for every 8 entries (80 % load), plus the overflow area:
//             8.02 bytes an entry. It may be filled further: no insert fails below 90 % of slots().
//   Owner     one writer and reader, the shard's worker. Derived state: can be rebuilt from the
//             records.
//   Cost      find: one line when the entry is in its first bucket, else two; insert: usually one
//             or two lines, at most kMaxMoves moves and kMaxLooked lines; erase: as find. Nothing
//             allocates.
//   Errors    insert() returns false when no place was found within the bounds; every entry can
//             still be found then.
//
// Values: a caller that needs a direction keeps it in the value. The same (hash, value) pair is
// never inserted twice.
//
// A burst goes through it in passes, so that memory is waited for once and not 32 times:
// prefetch_first() for all; find_first() for all with a match that accepts any tag (a candidate),
// then prefetch the candidate's record, or prefetch_second() where there is none and more; at last
// compare, and find() or find_rest() for the few that failed.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include "base/types.h"

namespace sekisho::flow {

inline constexpr unsigned kBucketSlots = 10;

struct alignas(64) Bucket {
    uint16_t tags[kBucketSlots];  // tag << 1 | lies in its second bucket; 0: empty
    uint16_t overflowed;          // entries of this first bucket that lie in the overflow area
    uint16_t displaced;           // entries of this first bucket that lie in their second one
    uint32_t values[kBucketSlots];
};
static_assert(sizeof(Bucket) == 64);

// Which of a bucket's tags equal `tag`: bit 2 * slot is set.
inline uint32_t slots_with(const Bucket& bucket, uint16_t tag) {
    constexpr uint32_t kSlotBits = 0x55555;
#if defined(__AVX2__)
    const __m256i line = _mm256_load_si256(reinterpret_cast<const __m256i*>(&bucket));
    const __m256i same = _mm256_cmpeq_epi16(line, _mm256_set1_epi16(static_cast<int16_t>(tag)));
    return static_cast<uint32_t>(_mm256_movemask_epi8(same)) & kSlotBits;
#elif defined(__SSE2__)
    const auto* line = reinterpret_cast<const __m128i*>(&bucket);
    const __m128i wanted = _mm_set1_epi16(static_cast<int16_t>(tag));
    const int low = _mm_movemask_epi8(_mm_cmpeq_epi16(_mm_load_si128(line), wanted));
    const int high = _mm_movemask_epi8(_mm_cmpeq_epi16(_mm_load_si128(line + 1), wanted));
    return (static_cast<uint32_t>(low) | static_cast<uint32_t>(high) << 16) & kSlotBits;
#else
    uint32_t mask = 0;
    for (unsigned i = 0; i < kBucketSlots; ++i) {
        mask |= static_cast<uint32_t>(bucket.tags[i] == tag) << (2 * i);
    }
    return mask & kSlotBits;
#endif
}

class FlowIndex {
  public:
    static constexpr unsigned kEntriesPerBucket = 8;  // what bytes_for() reckons with
    static constexpr unsigned kMaxMoves = 4;
    static constexpr unsigned kMaxLooked = 200;

    // Bytes of memory, 64-byte aligned, for `entries` entries (at most 2^31).
    static size_t bytes_for(size_t entries);

    FlowIndex() = default;
    // Lays an empty index over `memory` (bytes_for(entries), 64-byte aligned, owned by the arena).
    FlowIndex(std::span<std::byte> memory, size_t entries);

    void prefetch_first(uint64_t hash) const { __builtin_prefetch(&buckets_[first_of(hash)]); }
    void prefetch_second(uint64_t hash) const {
        __builtin_prefetch(&buckets_[other_of(first_of(hash), tag_of(hash))]);
    }

    // Before an insert, the first bucket being here: asks for the second one if the first is full.
    void prefetch_spare(uint64_t hash) const {
        if (slots_with(buckets_[first_of(hash)], 0) == 0) {
            prefetch_second(hash);
        }
    }

    // Calls match(value) for each entry whose tag fits until it returns true; returns that value,
    // or kNoIndex.
    template <class Match>
    uint32_t find(uint64_t hash, Match&& match) const {
        bool more;
        const uint32_t value = find_first(hash, match, more);
        return value != kNoIndex || !more ? value : find_rest(hash, match);
    }

    // As find, but looks only in the first bucket, and says in `more` whether find_rest() must be
    // asked.
    template <class Match>
    uint32_t find_first(uint64_t hash, Match&& match, bool& more) const {
        const Bucket& bucket = buckets_[first_of(hash)];
        more = (bucket.overflowed | bucket.displaced) != 0;
        return find_in(bucket, static_cast<uint16_t>(tag_of(hash) << 1), match);
    }

    // As find, but leaves the first bucket's own entries out: the second bucket, then the overflow
    // area.
    template <class Match>
    uint32_t find_rest(uint64_t hash, Match&& match) const {
        const uint32_t first = first_of(hash);
        const uint32_t tag = tag_of(hash);
        if (buckets_[first].displaced != 0) {
            const Bucket& second = buckets_[other_of(first, tag)];
            const uint32_t value = find_in(second, static_cast<uint16_t>(tag << 1 | 1), match);
            if (value != kNoIndex) {
                return value;
            }
        }
        return buckets_[first].overflowed == 0 ? kNoIndex : find_overflow(hash, match);
    }

    [[nodiscard]] bool insert(uint64_t hash, uint32_t value);
    // False when the pair is not there.
    bool erase(uint64_t hash, uint32_t value);
    void clear();
    size_t size() const { return size_; }
    size_t overflow_size() const { return overflow_size_; }
    size_t overflow_capacity() const { return overflow_capacity_; }
    // Places in the buckets, all told.
    size_t slots() const { return size_t{bucket_count_} * kBucketSlots; }
    // Whether the next `count` inserts cannot fail, whatever their hashes.
    bool has_room(uint32_t count) const { return overflow_capacity_ - overflow_size_ >= count; }

  private:
    __extension__ typedef unsigned __int128 Wide;
    struct Overflow {
        uint64_t hash;
        uint32_t value;
        uint32_t next;
    };
    struct Step {  // of the search for room: the bucket to which `slot` of the parent's bucket may
                   // move
        uint32_t bucket;
        uint16_t parent;
        uint8_t slot;
        uint8_t depth;
    };
    struct Place {
        uint32_t bucket;
        unsigned slot;
    };

    static uint32_t buckets_for(size_t entries);
    static uint32_t overflow_for(uint32_t buckets);

    uint32_t first_of(uint64_t hash) const {
        return static_cast<uint32_t>((static_cast<Wide>(hash) * bucket_count_) >> 64);
    }
    static uint32_t tag_of(uint64_t hash) {
        const auto tag = static_cast<uint32_t>(hash & 0x7fff);
        return tag + (tag == 0);
    }
    // The other of an entry's two buckets; its own inverse.
    uint32_t other_of(uint32_t bucket, uint32_t tag) const {
        const uint64_t spread = (tag * 0x9e3779b97f4a7c15ULL) >> 32;
        const auto sum = static_cast<uint32_t>((spread * bucket_count_) >> 32);
        return sum - bucket + (sum < bucket ? bucket_count_ : 0);
    }
    uint32_t& chain_of(uint64_t hash) const {
        return chains_[(((hash >> 16) & 0xffffffff) * overflow_capacity_) >> 32];
    }

    template <class Match>
    static uint32_t find_in(const Bucket& bucket, uint16_t tag, Match&& match) {
        for (uint32_t mask = slots_with(bucket, tag); mask != 0; mask &= mask - 1) {
            const uint32_t value = bucket.values[static_cast<unsigned>(std::countr_zero(mask)) / 2];
            if (match(value)) {
                return value;
            }
        }
        return kNoIndex;
    }
    template <class Match>
    uint32_t find_overflow(uint64_t hash, Match&& match) const {
        for (uint32_t i = chain_of(hash); i != kNoIndex; i = overflow_[i].next) {
            if (overflow_[i].hash == hash && match(overflow_[i].value)) {
                return overflow_[i].value;
            }
        }
        return kNoIndex;
    }

    bool put(uint32_t bucket, uint16_t tag, uint32_t value);
    bool make_room(uint32_t first, uint32_t second, Place& room);
    bool is_on_path(std::span<const Step> steps, unsigned step, uint32_t bucket) const;
    bool may_leave(uint32_t bucket, unsigned slot) const;
    void move(Place from, Place to);
    bool insert_overflow(uint64_t hash, uint32_t value, Bucket& first);
    bool erase_overflow(uint64_t hash, uint32_t value);

    Bucket* buckets_ = nullptr;
    uint32_t bucket_count_ = 0;
    uint32_t overflow_capacity_ = 0;
    uint32_t overflow_free_ = kNoIndex;
    uint32_t overflow_size_ = 0;
    Overflow* overflow_ = nullptr;
    uint32_t* chains_ = nullptr;
    size_t size_ = 0;
};

}  // namespace sekisho::flow

namespace sekisho {
using flow::FlowIndex;
}
