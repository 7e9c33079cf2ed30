// AddressSet: up to millions of addresses and prefixes, changed while packets are looked up in it.
//
//   Shape     an open-addressing table of 8-byte slots, keyed hash (PITFALLS 16), at most three quarters full; one entry
//             for each prefix, of any length. A range is as many prefixes as it takes (prefixes_of).
//   Cost      has(): one probe for each length that is in the set. insert, erase: one; a table that grows is filled
//             anew, in the writer's time. Memory: 8 bytes a slot, 11 to 21 an entry.
//   Thread    one writer; any number of readers at the same time, which see each change whole, before or after. What a
//             reader may still be looking at is kept until release_outgrown(), which the writer calls when no
//             look-up begun before is still under way.
//   Source    ARCHITECTURE 5.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/keyed_hash.h"
#include "base/types.h"
#include "rules/condition.h"

namespace sekisho::rules {

// The fewest prefixes that are the range together, ascending.
std::vector<Ipv4Prefix> prefixes_of(const AddressRange& range);

class AddressSet {
  public:
    explicit AddressSet(const HashSecret& secret);

    bool has(Ipv4Addr address) const;
    // Whether just this prefix is an entry.
    bool has_entry(Ipv4Prefix prefix) const;
    // false: it was there already; it was not there.
    bool insert(Ipv4Prefix prefix);
    bool erase(Ipv4Prefix prefix);
    size_t size() const { return size_; }
    size_t bytes() const;
    // Asks for the line in which an address by itself would be.
    void prefetch(Ipv4Addr address) const;

    void release_outgrown() { outgrown_.clear(); }

  private:
    struct Table {
        explicit Table(size_t count) : mask(count - 1), slots(count) {}
        size_t mask;
        std::vector<std::atomic<uint64_t>> slots;
    };
    static constexpr uint64_t kEmpty = 0;  // ends a probe
    static constexpr uint64_t kErased = 1;
    static constexpr uint64_t kLive =
        2;  // with the address in the high half, the length in bits 8 to 15
    static constexpr size_t kFirstSlots = 64;

    static uint64_t slot_of(uint32_t address, unsigned length) {
        return uint64_t{address} << 32 | uint64_t{length} << 8 | kLive;
    }
    static uint64_t slot_of(Ipv4Prefix prefix) {
        return slot_of(prefix.address.host() & prefix.mask_host(), prefix.length);
    }
    bool finds(const Table& table, uint64_t wanted) const;
    std::atomic<uint64_t>* find(Table& table, uint64_t wanted) const;
    void place(Table& table, uint64_t entry) const;
    void grow();
    size_t start_of(const Table& table, uint64_t entry) const {
        return keyed_hash(secret_, entry, 0) & table.mask;
    }

    HashSecret secret_;
    std::unique_ptr<Table> table_;
    std::atomic<const Table*> published_;
    std::atomic<uint64_t> lengths_{0};    // bit n: an entry of n bits is there
    std::array<size_t, 33> of_length_{};  // entries
    size_t size_ = 0;
    size_t taken_ = 0;  // slots that are not empty
    std::vector<std::unique_ptr<Table>> outgrown_;
};

// The sets of a RuleSet, by SetId. What has no table has no address in it.
class AddressSets {
  public:
    void put(SetId id, std::shared_ptr<const AddressSet> set) {
        sets_.resize(std::max<size_t>(sets_.size(), size_t{id.value} + 1));
        sets_[id.value] = std::move(set);
    }
    bool has(SetId id, Ipv4Addr address) const {
        return id.value < sets_.size() && sets_[id.value] != nullptr &&
               sets_[id.value]->has(address);
    }

  private:
    std::vector<std::shared_ptr<const AddressSet>> sets_;
};

}  // namespace sekisho::rules
