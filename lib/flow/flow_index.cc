#include "flow/flow_index.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>

namespace sekisho::flow {

namespace {

constexpr uint16_t kCountLimit = 0xffff;
constexpr uint16_t kNoParent = 0xffff;

constexpr size_t round_up_line(size_t bytes) {
    return (bytes + 63) & ~size_t{63};
}

}  // namespace

uint32_t FlowIndex::buckets_for(size_t entries) {
    return static_cast<uint32_t>(
        std::max<size_t>(1, (entries + kEntriesPerBucket - 1) / kEntriesPerBucket)
    );
}

// Only a run of bad luck above 90 % load gets here, so the area is small; the bound above keeps a
// chain short even then.
uint32_t FlowIndex::overflow_for(uint32_t buckets) {
    return std::clamp<uint32_t>(buckets / 1024, 128, 4096);
}

size_t FlowIndex::bytes_for(size_t entries) {
    const uint32_t buckets = buckets_for(entries);
    const size_t overflow = overflow_for(buckets);
    return buckets * sizeof(Bucket) +
           round_up_line(overflow * (sizeof(Overflow) + sizeof(uint32_t)));
}

FlowIndex::FlowIndex(std::span<std::byte> memory, size_t entries)
    : buckets_(reinterpret_cast<Bucket*>(memory.data())),
      bucket_count_(buckets_for(entries)),
      overflow_capacity_(overflow_for(bucket_count_)) {
    assert(memory.size() >= bytes_for(entries));
    assert(reinterpret_cast<uintptr_t>(memory.data()) % alignof(Bucket) == 0);
    overflow_ = reinterpret_cast<Overflow*>(buckets_ + bucket_count_);
    chains_ = reinterpret_cast<uint32_t*>(overflow_ + overflow_capacity_);
    clear();
}

void FlowIndex::clear() {
    std::memset(static_cast<void*>(buckets_), 0, bucket_count_ * sizeof(Bucket));
    std::fill_n(chains_, overflow_capacity_, kNoIndex);
    for (uint32_t i = 0; i < overflow_capacity_; ++i) {
        overflow_[i].next = i + 1 < overflow_capacity_ ? i + 1 : kNoIndex;
    }
    overflow_free_ = 0;
    overflow_size_ = 0;
    size_ = 0;
}

bool FlowIndex::put(uint32_t bucket, uint16_t tag, uint32_t value) {
    Bucket& b = buckets_[bucket];
    const uint32_t empty = slots_with(b, 0);
    if (empty == 0) {
        return false;
    }
    const unsigned slot = static_cast<unsigned>(std::countr_zero(empty)) / 2;
    b.tags[slot] = tag;
    b.values[slot] = value;
    return true;
}

bool FlowIndex::insert(uint64_t hash, uint32_t value) {
    const uint32_t first = first_of(hash);
    const uint32_t tag = tag_of(hash);
    const auto first_tag = static_cast<uint16_t>(tag << 1);
    const auto second_tag = static_cast<uint16_t>(first_tag | 1);
    if (put(first, first_tag, value)) {
        ++size_;
        return true;
    }
    Bucket& home = buckets_[first];
    const uint32_t second = other_of(first, tag);
    const bool may_displace = second != first && home.displaced != kCountLimit;
    if (may_displace && put(second, second_tag, value)) {
        ++home.displaced;
        ++size_;
        return true;
    }
    Place room{};
    if (make_room(first, may_displace ? second : first, room)) {
        Bucket& b = buckets_[room.bucket];
        const bool displaced = room.bucket != first;
        b.tags[room.slot] = displaced ? second_tag : first_tag;
        b.values[room.slot] = value;
        home.displaced = static_cast<uint16_t>(home.displaced + displaced);
        ++size_;
        return true;
    }
    return insert_overflow(hash, value, home);
}

bool FlowIndex::is_on_path(std::span<const Step> steps, unsigned step, uint32_t bucket) const {
    for (;;) {
        if (steps[step].bucket == bucket) {
            return true;
        }
        if (steps[step].parent == kNoParent) {
            return false;
        }
        step = steps[step].parent;
    }
}

// An entry in its first bucket may leave it only while the count of such entries can grow.
bool FlowIndex::may_leave(uint32_t bucket, unsigned slot) const {
    const Bucket& b = buckets_[bucket];
    return (b.tags[slot] & 1) != 0 || b.displaced != kCountLimit;
}

void FlowIndex::move(Place from, Place to) {
    Bucket& source = buckets_[from.bucket];
    Bucket& target = buckets_[to.bucket];
    const auto tag = static_cast<uint16_t>(source.tags[from.slot] ^ 1);
    target.tags[to.slot] = tag;
    target.values[to.slot] = source.values[from.slot];
    source.tags[from.slot] = 0;
    if ((tag & 1) != 0) {
        ++source.displaced;
    } else {
        --target.displaced;
    }
}

// Frees a slot in `first` or `second`, both full: looks, breadth first, for the nearest bucket with
// room and moves the entries on the way there by one bucket each. A path never meets a bucket
// twice, so the moves do not disturb each other.
bool FlowIndex::make_room(uint32_t first, uint32_t second, Place& room) {
    std::array<Step, kMaxLooked> steps;  // only [0, count) is ever read
    unsigned count = 0;
    steps[count++] = {first, kNoParent, 0, 0};
    if (second != first) {
        steps[count++] = {second, kNoParent, 0, 0};
    }
    // Most often one of the first few looks finds room: they wait for memory together.
    for (unsigned slot = 0; slot < kBucketSlots; ++slot) {
        __builtin_prefetch(&buckets_[other_of(first, buckets_[first].tags[slot] >> 1)], 1);
    }
    for (unsigned look = 0; look < count * kBucketSlots; ++look) {
        const unsigned at = look / kBucketSlots;
        const unsigned slot = look % kBucketSlots;
        const uint32_t bucket = steps[at].bucket;
        const uint32_t other = other_of(bucket, buckets_[bucket].tags[slot] >> 1);
        if (!may_leave(bucket, slot) || is_on_path(steps, at, other)) {
            continue;
        }
        const uint32_t empty = slots_with(buckets_[other], 0);
        if (empty == 0 && count < kMaxLooked && steps[at].depth + 1U < kMaxMoves) {
            steps[count++] = {
                other,
                static_cast<uint16_t>(at),
                static_cast<uint8_t>(slot),
                static_cast<uint8_t>(steps[at].depth + 1)};
        }
        if (empty == 0) {
            continue;
        }
        Place to{other, static_cast<unsigned>(std::countr_zero(empty)) / 2};
        Place from{bucket, slot};
        move(from, to);
        for (unsigned step = at; steps[step].parent != kNoParent; step = steps[step].parent) {
            to = from;
            from = {steps[steps[step].parent].bucket, steps[step].slot};
            move(from, to);
        }
        room = from;
        return true;
    }
    return false;
}

bool FlowIndex::insert_overflow(uint64_t hash, uint32_t value, Bucket& first) {
    if (overflow_free_ == kNoIndex) {
        return false;
    }
    const uint32_t i = overflow_free_;
    overflow_free_ = overflow_[i].next;
    uint32_t& chain = chain_of(hash);
    overflow_[i] = {hash, value, chain};
    chain = i;
    ++overflow_size_;
    ++first.overflowed;
    ++size_;
    return true;
}

bool FlowIndex::erase_overflow(uint64_t hash, uint32_t value) {
    for (uint32_t* link = &chain_of(hash); *link != kNoIndex; link = &overflow_[*link].next) {
        const uint32_t i = *link;
        if (overflow_[i].hash == hash && overflow_[i].value == value) {
            *link = overflow_[i].next;
            overflow_[i].next = overflow_free_;
            overflow_free_ = i;
            --overflow_size_;
            return true;
        }
    }
    return false;
}

bool FlowIndex::erase(uint64_t hash, uint32_t value) {
    const uint32_t first = first_of(hash);
    const uint32_t tag = tag_of(hash);
    const auto erase_in = [&](Bucket& b, uint32_t stored) {
        uint32_t mask = slots_with(b, static_cast<uint16_t>(stored));
        const auto slot = [&] { return static_cast<unsigned>(std::countr_zero(mask)) / 2; };
        while (mask != 0 && b.values[slot()] != value) {
            mask &= mask - 1;
        }
        if (mask == 0) {
            return false;
        }
        b.tags[slot()] = 0;
        return true;
    };
    Bucket& home = buckets_[first];
    if (!erase_in(home, tag << 1)) {
        if (home.displaced != 0 && erase_in(buckets_[other_of(first, tag)], tag << 1 | 1)) {
            --home.displaced;
        } else if (home.overflowed != 0 && erase_overflow(hash, value)) {
            --home.overflowed;
        } else {
            return false;
        }
    }
    --size_;
    return true;
}

}  // namespace sekisho::flow
