// BoxIndex: finds all boxes that hold a key, among up to hundreds of thousands.
//
//   Idea      Most boxes fix some bits of the key: a prefix of an address, a port, the protocol. A table is a mask of such
//             bits and a hash over the key's: a packet asks it once and gets the few boxes that have the packet's own
//             bits there. Masks are chosen greedily, so that few tables hold nearly all boxes with few in a bucket
//             (tuple space search with relaxed tuples: Srinivasan 1999, Daly 2019). The rest, which fix nothing in common, are
//             a list, eight to a step.
//   Why       no box is kept twice, so memory is linear whatever the rules are; all tables are asked at once, so that
//             their cache misses overlap, also between the packets of a burst; building is a matter of counting.
//   Cost      find: one probe for each table and a comparison for each box of the buckets found.
//   Thread    immutable once built. Building is control code and allocates.
//   Source    ARCHITECTURE 5; doc/adr.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "rules/box.h"

namespace sekisho::rules {

// A box and whose it is: the number of its rule, and two marks.
struct BoxRef {
    static constexpr uint32_t kMustAsk = 1U << 31;  // the box may hold more than the rule does
    static constexpr uint32_t kEnds = 1U << 30;     // the rule surely ends the walk
    static constexpr uint32_t kRule = kEnds - 1;
};
struct OwnedBox {
    Box box;
    uint32_t ref = 0;
};

// Eight boxes at a time, lane by lane.
class BoxList {
  public:
    static constexpr unsigned kLanes = 8;

    BoxList() = default;
    // By the number of their rules.
    explicit BoxList(std::span<const OwnedBox> boxes);
    size_t size() const { return refs_.size(); }
    size_t bytes() const {
        return blocks_.size() * sizeof(Block) + refs_.size() * sizeof(uint32_t);
    }
    // Calls found(ref) for each box that has the key, until it says false; each block first asks is_wanted(ref) of its first.
    template <class Found, class IsWanted>
    void find(const Key& key, const Found& found, const IsWanted& is_wanted) const {
        for (size_t block = 0; block < blocks_.size(); ++block) {
            const size_t first = block * kLanes;
            if (!is_wanted(refs_[first])) {
                return;
            }
            for (unsigned hits = blocks_[block].hits(key); hits != 0; hits &= hits - 1) {
                found(refs_[first + static_cast<unsigned>(__builtin_ctz(hits))]);
            }
        }
    }

  private:
    typedef uint32_t Lanes __attribute__((vector_size(kLanes * sizeof(uint32_t))));
    struct Block {
        Lanes source_first, source_span;
        Lanes destination_first, destination_span;
        Lanes source_port_first, source_port_span;
        Lanes destination_port_first, destination_port_span;
        Lanes word, word_bits;
        unsigned hits(const Key& key) const;
    };
    std::vector<Block> blocks_;
    std::vector<uint32_t> refs_;
};

class BoxIndex {
  public:
    static constexpr unsigned kMostTables = 64;
    static constexpr unsigned kBurst = 32;

    BoxIndex() = default;
    explicit BoxIndex(std::vector<OwnedBox> boxes);

    size_t table_count() const { return tables_.size(); }
    size_t rest_count() const { return rest_.size(); }
    size_t bytes() const;

    // What a burst finds out step by step; its owner's.
    struct Probe {
        uint32_t count[kBurst];
        uint64_t hits[kBurst]
                     [kMostTables];  // at first where the slots are (from bit 16), and their names
    };
    // Asks for the lines of all tables.
    void probe(std::span<const Key> keys, Probe& probe) const;
    // Reads them, and asks for the boxes.
    void open(std::span<const Key> keys, Probe& probe) const;
    // Calls found(ref) for each box that has the key, in no order.
    template <class Found, class IsWanted>
    void find(
        const Key& key, size_t i, const Probe& probe, const Found& found, const IsWanted& is_wanted
    ) const {
        for (uint32_t hit = 0; hit < probe.count[i]; ++hit) {
            find_in(Bucket::of(probe.hits[i][hit]), key, found);
        }
        rest_.find(key, found, is_wanted);
    }

  private:
    // A slot of a table, as one word: a tag of the hash in bits 0 to 11; in bits 12 to 15 how far it is from where it belongs; in
    // bits 16 to 30 how many boxes, 0: it is empty; bit 31: what belongs here or before may be behind; the first of the
    // boxes in the high half. No two slots that belong to one place have the same tag.
    struct Bucket {
        static constexpr uint64_t kName = 0xffff;
        static constexpr uint64_t kCount = 0x7fff0000;
        static constexpr uint64_t kGoesOn = uint64_t{1} << 31;
        static constexpr unsigned kFarShift = 12;
        static constexpr unsigned kFarthest = 15;
        uint32_t first;
        uint32_t count;
        static Bucket of(uint64_t slot) {
            return {static_cast<uint32_t>(slot >> 32), static_cast<uint32_t>(slot >> 16 & 0x7fff)};
        }
        static bool is(uint64_t slot, uint64_t name) {
            return ((slot ^ name) & kName) == 0 && (slot & kCount) != 0;
        }
        uint64_t slot(uint64_t name) const {
            return uint64_t{first} << 32 | uint64_t{count} << 16 | name;
        }
    };
    template <class Found>
    void find_in(const Bucket& bucket, const Key& key, const Found& found) const {
        for (uint32_t b = bucket.first; b < bucket.first + bucket.count; ++b) {
            if (boxes_[b].has(key)) {
                found(refs_[b]);
            }
        }
    }

    struct alignas(32) Table {
        Key mask;
        uint32_t first_slot = 0;
        uint32_t shift = 0;  // of the hash, to the slot's number
        uint32_t slots() const { return uint32_t{1} << (64 - shift); }
    };

    using Buckets = std::map<uint64_t, std::vector<OwnedBox>>;  // by the hash

    static uint64_t hash_of(const Key& key, const Key& mask);
    static uint64_t tag_of(uint64_t hash) { return hash >> 24 & 0xfff; }
    void add_table(const Key& mask, const std::vector<OwnedBox>& placed);
    bool fill(const Table& table, size_t size, const Buckets& buckets);
    uint64_t find_behind(const Table& table, uint64_t wanted) const;

    std::vector<Table> tables_;
    std::vector<uint64_t> slots_;
    std::vector<Box> boxes_;
    std::vector<uint32_t> refs_;
    BoxList rest_;
};

}  // namespace sekisho::rules
