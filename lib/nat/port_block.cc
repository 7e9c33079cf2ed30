#include "nat/port_block.h"

#include <algorithm>
#include <atomic>
#include <bit>

#include "base/mutation.h"

namespace sekisho::nat {
namespace {

constexpr size_t kMapsPerBlock = size_t{kProtocolSlots} * 3;

// Ports given out twice: what tests of RFC 4787 REQ-3 and RFC 5382 REQ-7 must not pass with.
bool gives_twice(unsigned slot) {
    return (is_mutated(Mutation::kRfc4787Req3) && slot == protocol_slot(Protocol::kUdp)) ||
           (is_mutated(Mutation::kRfc5382Req7) && slot == protocol_slot(Protocol::kTcp));
}

uint32_t words_for(uint32_t largest) {
    return (largest + 63) / 64;
}

}  // namespace

size_t PortBlockTable::bitmap_words(size_t blocks, uint32_t largest) {
    return blocks * kMapsPerBlock * words_for(largest);
}

PortBlockTable::PortBlockTable(
    std::span<PortBlock> blocks, std::span<uint64_t> bitmaps, uint32_t largest
)
    : pool_(blocks), bitmaps_(bitmaps), words_(words_for(largest)) {}

PortBlockTable::Bitmaps PortBlockTable::bitmaps_of(uint32_t block, unsigned slot) const {
    uint64_t* first = bitmaps_.data() + (size_t{block} * kMapsPerBlock + size_t{slot} * 3) * words_;
    return {first, first + words_, first + 2 * size_t{words_}};
}

uint32_t PortBlockTable::allocate(
    ExternalIndex external, uint16_t number, uint32_t subscriber, uint8_t epoch
) {
    const uint32_t block = pool_.allocate();
    if (block == kNoIndex) {
        return kNoIndex;
    }
    std::fill_n(bitmaps_of(block, 0).in_use, kMapsPerBlock * words_, 0);
    pool_[block] = PortBlock{
        .next = kNoIndex,
        .external = external.value,
        .number = number,
        .cursor = 0,
        .subscriber = subscriber,
        .in_use = {0, 0, 0},
        .epoch = epoch,
        .state = 0,
        .empty_previous = kNoIndex,
        .empty_next = kNoIndex};
    std::atomic_signal_fence(std::memory_order_release);
    pool_[block].state = kBlockHeld;
    return block;
}

// They are taken by nobody: no count knows of them.
void PortBlockTable::reserve(uint32_t block, std::span<const uint64_t> ports) {
    for (unsigned slot = 0; slot < kProtocolSlots; ++slot) {
        std::ranges::copy(ports, bitmaps_of(block, slot).in_use);
    }
}

void PortBlockTable::withhold(uint32_t block, unsigned slot, uint32_t bit) {
    bitmaps_of(block, slot).in_use[bit / 64] |= uint64_t{1} << (bit % 64);
}

void PortBlockTable::release(uint32_t block) {
    pool_[block].state = 0;
    std::atomic_signal_fence(std::memory_order_release);
    pool_.release(block);
    pool_.end_of_burst();  // no packet of a burst names a block: it may be reused at once
}

// Brings the rest bitmaps to the clock's epoch. An 8-bit difference that has come round lets ports
// rest longer, never shorter.
void PortBlockTable::look(uint32_t block, const RestClock& clock) {
    PortBlock& b = pool_[block];
    const auto passed = static_cast<uint8_t>(clock.epoch() - b.epoch);
    if (passed == 0) {
        return;
    }
    b.epoch = clock.epoch();
    for (unsigned slot = 0; slot < kProtocolSlots; ++slot) {
        const Bitmaps maps = bitmaps_of(block, slot);
        for (uint32_t w = 0; w < words_; ++w) {
            const uint64_t kept = passed == 1 ? maps.now[w] : 0;
            maps.before[w] = kept;
            maps.now[w] = 0;
        }
    }
}

uint32_t PortBlockTable::first_free(const Bitmaps& maps, uint32_t from, uint32_t to, PortWish wish)
    const {
    uint64_t mask = ~uint64_t{0} << (from % 64);
    for (uint32_t w = from / 64; w <= to / 64; ++w) {
        const uint64_t all = ~(maps.in_use[w] | maps.now[w] | maps.before[w]);
        const uint64_t free = granted(all, wish) & mask;
        if (free != 0) {
            const uint32_t bit = w * 64 + static_cast<uint32_t>(std::countr_zero(free));
            return bit <= to ? bit : kNoPort;
        }
        mask = ~uint64_t{0};
    }
    return kNoPort;
}

// NOLINTNEXTLINE(readability-function-size): where to look, and for what
uint32_t PortBlockTable::allocate_port(
    uint32_t block, unsigned slot, BitSpan span, uint32_t start, RestClock& clock, PortWish wish
) {
    PortBlock& b = pool_[block];
    if (b.in_use[slot] > span.last - span.first) {
        return kNoPort;
    }
    look(block, clock);
    const Bitmaps maps = bitmaps_of(block, slot);
    const uint32_t from = gives_twice(slot) ? span.first : std::clamp(start, span.first, span.last);
    uint32_t bit = first_free(maps, from, span.last, wish);
    if (bit == kNoPort && from > span.first) {
        bit = first_free(maps, span.first, from - 1, wish);
    }
    if (bit == kNoPort) {
        return kNoPort;
    }
    mark(b, maps, slot, bit);
    b.cursor = static_cast<uint16_t>(bit == span.last ? span.first : bit + 1);
    return bit;
}

bool PortBlockTable::take_port(uint32_t block, unsigned slot, uint32_t bit, RestClock& clock) {
    look(block, clock);
    const Bitmaps maps = bitmaps_of(block, slot);
    if (first_free(maps, bit, bit, PortWish::kAny) == kNoPort) {
        return false;
    }
    mark(pool_[block], maps, slot, bit);
    return true;
}

void PortBlockTable::mark(PortBlock& block, const Bitmaps& maps, unsigned slot, uint32_t bit) {
    maps.in_use[bit / 64] |= uint64_t{gives_twice(slot) ? 0U : 1U} << (bit % 64);
    ++block.in_use[slot];
}

void PortBlockTable::release_port(
    uint32_t block, unsigned slot, uint32_t bit, bool rests, RestClock& clock
) {
    look(block, clock);
    const Bitmaps maps = bitmaps_of(block, slot);
    const uint64_t mask = uint64_t{1} << (bit % 64);
    maps.in_use[bit / 64] &= ~mask;
    --pool_[block].in_use[slot];
    if (rests) {
        maps.now[bit / 64] |= mask;
        clock.add_resting(1);
    }
}

uint16_t PortBlockTable::marked(uint32_t block, unsigned slot) const {
    const std::span words(bitmaps_of(block, slot).in_use, words_);
    int bits = 0;
    for (const uint64_t word : words) {
        bits += std::popcount(word);
    }
    return static_cast<uint16_t>(bits);
}

bool PortBlockTable::is_in_use(uint32_t block, unsigned slot, uint32_t bit) const {
    return (bitmaps_of(block, slot).in_use[bit / 64] >> (bit % 64) & 1) != 0;
}

bool PortBlockTable::is_resting(uint32_t block, unsigned slot, uint32_t bit, RestClock& clock) {
    look(block, clock);
    const Bitmaps maps = bitmaps_of(block, slot);
    return ((maps.now[bit / 64] | maps.before[bit / 64]) >> (bit % 64) & 1) != 0;
}

bool PortBlockTable::is_rested(uint32_t block, RestClock& clock) {
    look(block, clock);
    uint64_t any = 0;
    for (unsigned slot = 0; slot < kProtocolSlots; ++slot) {
        const Bitmaps maps = bitmaps_of(block, slot);
        for (uint32_t w = 0; w < words_; ++w) {
            any |= maps.now[w] | maps.before[w];
        }
    }
    return any == 0;
}

}  // namespace sekisho::nat
