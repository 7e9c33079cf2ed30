#include "rules/box_index.h"

#include <algorithm>
#include <bit>

#include "rules/mask_choice.h"

namespace sekisho::rules {
namespace {

constexpr size_t kFewBoxes = 32;  // a list is as fast as tables

uint32_t rule_of(const OwnedBox& box) {
    return box.ref & BoxRef::kRule;
}

}  // namespace

BoxList::BoxList(std::span<const OwnedBox> boxes) {
    std::vector<OwnedBox> sorted(boxes.begin(), boxes.end());
    std::ranges::stable_sort(sorted, {}, rule_of);
    blocks_.resize((sorted.size() + kLanes - 1) / kLanes);
    for (size_t i = 0; i < blocks_.size() * kLanes; ++i) {
        Block& block = blocks_[i / kLanes];
        const size_t lane = i % kLanes;
        if (i >= sorted.size()) {  // which no key is in
            block.source_port_first[lane] = ~0U;
            continue;
        }
        const Box& box = sorted[i].box;
        block.source_first[lane] = box.first.source;
        block.source_span[lane] = box.span.source;
        block.destination_first[lane] = box.first.destination;
        block.destination_span[lane] = box.span.destination;
        block.source_port_first[lane] = box.first.ports & 0xffff;
        block.source_port_span[lane] = box.span.ports & 0xffff;
        block.destination_port_first[lane] = box.first.ports >> 16;
        block.destination_port_span[lane] = box.span.ports >> 16;
        block.word[lane] = box.first.word;
        block.word_bits[lane] = box.span.word;
        refs_.push_back(sorted[i].ref);
    }
}

unsigned BoxList::Block::hits(const Key& key) const {
    const uint32_t source_port = key.ports & 0xffff;
    const uint32_t destination_port = key.ports >> 16;
    const auto held = (key.source - source_first <= source_span) &
                      (key.destination - destination_first <= destination_span) &
                      (source_port - source_port_first <= source_port_span) &
                      (destination_port - destination_port_first <= destination_port_span) &
                      (((key.word ^ word) & word_bits) == 0);
#if defined(__AVX2__)
    return static_cast<unsigned>(_mm256_movemask_ps(reinterpret_cast<__m256>(held)));
#else
    unsigned bits = 0;
    for (unsigned lane = 0; lane < kLanes; ++lane) {
        bits |= (static_cast<unsigned>(held[lane]) & 1U) << lane;
    }
    return bits;
#endif
}

uint64_t BoxIndex::hash_of(const Key& key, const Key& mask) {
    const uint64_t a = (key.source & mask.source) | uint64_t{key.destination & mask.destination}
                                                        << 32;
    const uint64_t b = (key.ports & mask.ports) | uint64_t{key.word & mask.word} << 32;
    uint64_t hash = a * 0x9e3779b97f4a7c15ULL + b * 0xc2b2ae3d27d4eb4fULL;
    hash ^= hash >> 32;
    return hash * 0xbf58476d1ce4e5b9ULL;
}

BoxIndex::BoxIndex(std::vector<OwnedBox> boxes) {
    std::vector<Chosen> chosen;
    if (boxes.size() > kFewBoxes) {
        chosen = choose_masks(boxes, kMostTables);
    }
    for (const Chosen& table : chosen) {
        add_table(table.mask, table.boxes);
    }
    rest_ = BoxList(boxes);
}

// Half full at most, and fuller only where it would be larger than its neighbours in the cache are worth.
void BoxIndex::add_table(const Key& mask, const std::vector<OwnedBox>& placed) {
    Buckets buckets;
    for (const OwnedBox& box : placed) {
        buckets[hash_of(box.box.first, mask)].push_back(box);
    }
    const auto first_slot = static_cast<uint32_t>(slots_.size());
    const auto first_box = boxes_.size();
    size_t size = std::bit_ceil(buckets.size() * 2);
    Table table{mask, first_slot, 0};
    do {
        slots_.resize(first_slot);
        boxes_.resize(first_box);
        refs_.resize(first_box);
        table.shift = static_cast<uint32_t>(64 - std::countr_zero(size));
        slots_.resize(first_slot + size);
        size *= 2;
    } while (!fill(table, table.slots(), buckets));
    tables_.push_back(table);
}

// false: something would be too far from where it belongs.
bool BoxIndex::fill(const Table& table, size_t size, const Buckets& buckets) {
    uint64_t* const slots = &slots_[table.first_slot];
    // Those of one place and tag are one bucket.
    std::map<std::pair<uint64_t, uint64_t>, std::vector<OwnedBox>> by_name;
    for (const auto& [hash, boxes] : buckets) {
        auto& in_bucket = by_name[{hash >> table.shift, tag_of(hash)}];
        in_bucket.insert(in_bucket.end(), boxes.begin(), boxes.end());
    }
    for (auto& [name, in_bucket] : by_name) {
        std::ranges::stable_sort(in_bucket, {}, rule_of);
        const Bucket bucket{
            static_cast<uint32_t>(boxes_.size()), static_cast<uint32_t>(in_bucket.size())};
        size_t slot = name.first;
        unsigned far = 0;
        for (; Bucket::of(slots[slot]).count != 0; ++far) {
            slots[slot] |= Bucket::kGoesOn;
            slot = (slot + 1) & (size - 1);
        }
        if (far > Bucket::kFarthest) {
            return false;
        }
        slots[slot] |= bucket.slot(name.second | uint64_t{far} << Bucket::kFarShift);
        for (const OwnedBox& box : in_bucket) {
            boxes_.push_back(box.box);
            refs_.push_back(box.ref);
        }
    }
    return true;
}

size_t BoxIndex::bytes() const {
    return tables_.size() * sizeof(Table) + slots_.size() * sizeof(uint64_t) +
           boxes_.size() * sizeof(Box) + refs_.size() * sizeof(uint32_t) + rest_.bytes();
}

void BoxIndex::probe(std::span<const Key> keys, Probe& probe) const {
    for (size_t i = 0; i < keys.size(); ++i) {
        for (size_t t = 0; t < tables_.size(); ++t) {
            const Table& table = tables_[t];
            const uint64_t hash = hash_of(keys[i], table.mask);
            const uint64_t slot = table.first_slot + (hash >> table.shift);
            __builtin_prefetch(&slots_[slot]);
            probe.hits[i][t] = slot << 16 | tag_of(hash);
        }
    }
}

// What is not where it belongs: 0, or its slot. `wanted`: where the search begins, and the name.
uint64_t BoxIndex::find_behind(const Table& table, uint64_t wanted) const {
    const uint32_t start = static_cast<uint32_t>(wanted >> 16) - table.first_slot;
    for (unsigned far = 1; far <= Bucket::kFarthest; ++far) {
        const uint32_t at = table.first_slot + ((start + far) & (table.slots() - 1));
        const uint64_t slot = slots_[at];
        if (Bucket::is(slot, wanted | uint64_t{far} << Bucket::kFarShift)) {
            return slot;
        }
        if ((slot & Bucket::kGoesOn) == 0) {
            break;
        }
    }
    return 0;
}

// Of each packet the slots are put together that have its name: without a branch, but for what is not where it belongs.
void BoxIndex::open(std::span<const Key> keys, Probe& probe) const {
    for (size_t i = 0; i < keys.size(); ++i) {
        uint64_t wanted[kMostTables];
        uint64_t* const hits = probe.hits[i];
        std::copy_n(hits, tables_.size(), wanted);
        uint32_t count = 0;
        uint64_t going_on = 0;
        for (size_t t = 0; t < tables_.size(); ++t) {
            const uint64_t slot = slots_[wanted[t] >> 16];
            const bool is_hit = Bucket::is(slot, wanted[t]);
            hits[count] = slot;
            count += is_hit ? 1 : 0;
            going_on |= uint64_t{!is_hit && (slot & Bucket::kGoesOn) != 0} << t;
        }
        for (; going_on != 0; going_on &= going_on - 1) {
            const auto t = static_cast<size_t>(__builtin_ctzll(going_on));
            hits[count] = find_behind(tables_[t], wanted[t]);
            count += hits[count] != 0 ? 1 : 0;
        }
        for (uint32_t hit = 0; hit < count; ++hit) {
            const uint32_t first = Bucket::of(hits[hit]).first;
            __builtin_prefetch(&boxes_[first]);
            __builtin_prefetch(&refs_[first]);
        }
        probe.count[i] = count;
    }
}

}  // namespace sekisho::rules
