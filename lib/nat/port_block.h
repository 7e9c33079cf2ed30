// PortBlock: the port blocks that a shard holds, and which of their ports are in use or rest.
//
//   Shape     a header of 32 bytes a block; beside it, for each of three protocols, three bitmaps:
//             in use, resting now, resting before. 320 bytes at 256 ports.
//   Rest      a freed port rests at least the pool's quarantine T and less than 2 T (RFC 6888
//             REQ-8). Time is cut into epochs of T: a freed port is noted in "now"; when a block is
//             looked at in a later epoch, "now" becomes "before" and "before" becomes free. No
//             timer a port.
//   Free      a port that is in none of the three bitmaps and within the pool's range; never 0.
//   Protocols TCP ports, UDP ports and ICMP identifiers are three separate spaces.
//   Cost      allocate_port: O(words of a block), until the last port; release_port: O(1).
//   Owner     the shard that holds the block. Truth: the header, whose `state` is written last; the
//             bitmaps can be rebuilt from the mappings.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/types.h"
#include "flow/record_pool.h"

namespace sekisho::nat {

struct PortBlock {
    uint32_t next;            // in the subscriber's list
    uint32_t external;        // ExternalIndex
    uint16_t number;          // within the address: first port >> block shift
    uint16_t cursor;          // sequential selection: the bit after the last one given
    uint32_t subscriber;      // SubscriberIndex
    uint16_t in_use[3];       // ports, by protocol_slot()
    uint8_t epoch;            // in which the bitmaps were last looked at
    uint8_t state;            // written last: 0 free, else BlockState
    uint32_t empty_previous;  // in its address's list of empty blocks, while it is empty
    uint32_t empty_next;
};
static_assert(sizeof(PortBlock) == 32);

enum BlockState : uint8_t {
    kBlockHeld = 1,
    kBlockFirst = 2,   // beside: its subscriber keeps it
    kBlockParked = 4,  // beside: it is empty and kept
    kBlockAged = 8,    // beside: it takes no new mapping any more
};

inline constexpr unsigned kProtocolSlots = 3;
inline constexpr uint32_t kNoPort = 0xffffffff;

constexpr unsigned protocol_slot(Protocol p) {
    return p == Protocol::kTcp ? 0 : p == Protocol::kUdp ? 1 : 2;
}

// Which ports will do (RFC 4787 4.2.2, 4.2.3).
enum class PortWish : uint8_t {
    kAny,
    kEven,
    kOdd,
    kEvenOfPair,  // even, and the next one is free as well
};

// The bits of a block that lie within the pool's port range, both included.
struct BitSpan {
    uint32_t first;
    uint32_t last;
};

// Of the free ports of a word those that will do; even ports are even bits, since blocks begin at
// multiples of 64.
constexpr uint64_t granted(uint64_t free, PortWish wish) {
    constexpr uint64_t kEvenBits = 0x5555555555555555;
    switch (wish) {
        case PortWish::kAny:
            return free;
        case PortWish::kEven:
            return free & kEvenBits;
        case PortWish::kOdd:
            return free & ~kEvenBits;
        case PortWish::kEvenOfPair:
            return free & free >> 1 & kEvenBits;
    }
    return 0;
}

// The pool's epochs: how long ago a block was looked at, whatever the clock does; and how many of
// its ports rest: those that were freed in this epoch or the one before.
class RestClock {
  public:
    RestClock() = default;
    RestClock(uint32_t quarantine_ms, Tick now) : length_(quarantine_ms), start_(now) {}
    // Goes to the epoch that `now` lies in. At least every 24 days, or the clock's wrap hides some.
    void advance(Tick now) {
        const int32_t elapsed = elapsed_ms(start_, now);
        if (length_ != 0 && elapsed >= 0 && static_cast<uint32_t>(elapsed) >= length_) {
            const uint32_t epochs = static_cast<uint32_t>(elapsed) / length_;
            start_ = start_ + epochs * length_;
            epoch_ += epochs;
            freed_before_ = epochs == 1 ? freed_now_ : 0;
            freed_now_ = 0;
        }
    }
    // From now on. What rests rests for the new length at least; without one nothing does.
    void set_length(uint32_t quarantine_ms, Tick now) {
        advance(now);
        length_ = quarantine_ms;
        start_ = now;
        if (quarantine_ms == 0) {
            epoch_ += 2;
            freed_now_ = freed_before_ = 0;
        }
    }
    uint8_t epoch() const { return static_cast<uint8_t>(epoch_); }
    uint32_t epochs() const { return epoch_; }
    uint32_t resting() const { return freed_now_ + freed_before_; }
    void add_resting(uint32_t ports) { freed_now_ += ports; }

  private:
    uint32_t length_ = 0;
    uint32_t epoch_ = 0;
    uint32_t freed_now_ = 0;
    uint32_t freed_before_ = 0;
    Tick start_;
};

class PortBlockTable {
  public:
    // Bytes beside the headers for `blocks` blocks of at most `largest` ports.
    static size_t bitmap_words(size_t blocks, uint32_t largest);

    PortBlockTable() = default;
    PortBlockTable(std::span<PortBlock> blocks, std::span<uint64_t> bitmaps, uint32_t largest);

    // A held block without a port in use or resting, or kNoIndex; its lists are the caller's.
    uint32_t allocate(ExternalIndex external, uint16_t number, uint32_t subscriber, uint8_t epoch);
    // Ports of it that nobody gets: a bit each, from its first on. Just after allocate().
    void reserve(uint32_t block, std::span<const uint64_t> ports);
    // One of them, later on: whoever has it keeps it, nobody gets it anew until the block is released.
    void withhold(uint32_t block, unsigned slot, uint32_t bit);
    void release(uint32_t block);

    // Takes the first free port's bit at or after `start`, going round; kNoPort if there is none.
    // NOLINTNEXTLINE(readability-function-size): where to look, and for what
    uint32_t allocate_port(
        uint32_t block,
        unsigned slot,
        BitSpan span,
        uint32_t start,
        RestClock& clock,
        PortWish wish = PortWish::kAny
    );
    // Takes just this one; false if it is in use or rests.
    bool take_port(uint32_t block, unsigned slot, uint32_t bit, RestClock& clock);
    // The ports in use or reserved at and after `start`, going round, until match(bit) is true; kNoPort if it
    // is of none.
    template <class Match>
    uint32_t find_in_use(uint32_t block, unsigned slot, uint32_t start, Match&& match) const {
        const uint32_t size = words_ * 64;
        for (uint32_t i = 0; i < size; ++i) {
            const uint32_t bit = (start + i) % size;
            if (is_in_use(block, slot, bit) && match(bit)) {
                return bit;
            }
        }
        return kNoPort;
    }
    // Gives a port back; it rests if `rests`.
    void release_port(uint32_t block, unsigned slot, uint32_t bit, bool rests, RestClock& clock);
    bool is_in_use(uint32_t block, unsigned slot, uint32_t bit) const;
    // Ports in use or reserved, counted in the bitmap.
    uint16_t marked(uint32_t block, unsigned slot) const;
    bool is_resting(uint32_t block, unsigned slot, uint32_t bit, RestClock& clock);

    bool is_empty(uint32_t block) const {
        const PortBlock& b = pool_[block];
        return (b.in_use[0] | b.in_use[1] | b.in_use[2]) == 0;
    }
    // Whether no port of it rests any more.
    bool is_rested(uint32_t block, RestClock& clock);

    // Header and bitmaps, if there is such a block.
    void prefetch(uint32_t block, unsigned slot) const {
        if (block == kNoIndex) {
            return;
        }
        pool_.prefetch(block);
        const auto* maps = reinterpret_cast<const std::byte*>(bitmaps_of(block, slot).in_use);
        __builtin_prefetch(maps);
        __builtin_prefetch(maps + 64);
    }

    PortBlock& operator[](uint32_t block) { return pool_[block]; }
    const PortBlock& operator[](uint32_t block) const { return pool_[block]; }
    uint32_t size() const { return pool_.size(); }
    uint32_t capacity() const { return pool_.capacity(); }
    uint32_t high_water() const { return pool_.high_water(); }

  private:
    struct Bitmaps {
        uint64_t* in_use;
        uint64_t* now;
        uint64_t* before;
    };
    Bitmaps bitmaps_of(uint32_t block, unsigned slot) const;
    void look(uint32_t block, const RestClock& clock);
    static void mark(PortBlock& block, const Bitmaps& maps, unsigned slot, uint32_t bit);
    uint32_t first_free(const Bitmaps& maps, uint32_t from, uint32_t to, PortWish wish) const;

    flow::RecordPool<PortBlock> pool_;
    std::span<uint64_t> bitmaps_;
    uint32_t words_ = 0;  // of one bitmap
};

}  // namespace sekisho::nat
