#include "rules/address_set.h"

#include <bit>

namespace sekisho::rules {

std::vector<Ipv4Prefix> prefixes_of(const AddressRange& range) {
    std::vector<Ipv4Prefix> prefixes;
    const uint64_t end = uint64_t{range.last.host()} + 1;
    for (uint64_t at = range.first.host(); at < end;) {
        const unsigned aligned = at == 0 ? 32 : static_cast<unsigned>(std::countr_zero(at));
        const auto fitting = static_cast<unsigned>(std::bit_width(end - at)) - 1;
        const unsigned bits = std::min(aligned, fitting);
        prefixes.push_back(
            {Ipv4Addr::from_host(static_cast<uint32_t>(at)), static_cast<uint8_t>(32 - bits)}
        );
        at += uint64_t{1} << bits;
    }
    return prefixes;
}

// An entry is found by readers from the moment its slot is written, as one word. A slot once taken is never empty again in the
// same table, so that no probe that is under way ends too early.
AddressSet::AddressSet(const HashSecret& secret)
    : secret_(secret), table_(std::make_unique<Table>(kFirstSlots)), published_(table_.get()) {}

bool AddressSet::finds(const Table& table, uint64_t wanted) const {
    for (size_t at = start_of(table, wanted);; at = (at + 1) & table.mask) {
        const uint64_t entry = table.slots[at].load(std::memory_order_acquire);
        if (entry == wanted || entry == kEmpty) {
            return entry == wanted;
        }
    }
}

std::atomic<uint64_t>* AddressSet::find(Table& table, uint64_t wanted) const {
    for (size_t at = start_of(table, wanted);; at = (at + 1) & table.mask) {
        const uint64_t entry = table.slots[at].load(std::memory_order_relaxed);
        if (entry == wanted || entry == kEmpty) {
            return entry == wanted ? &table.slots[at] : nullptr;
        }
    }
}

void AddressSet::place(Table& table, uint64_t entry) const {
    size_t at = start_of(table, entry);
    while (table.slots[at].load(std::memory_order_relaxed) != kEmpty) {
        at = (at + 1) & table.mask;
    }
    table.slots[at].store(entry, std::memory_order_release);
}

bool AddressSet::has(Ipv4Addr address) const {
    const Table& table = *published_.load(std::memory_order_acquire);
    for (uint64_t left = lengths_.load(std::memory_order_acquire); left != 0; left &= left - 1) {
        const auto length = static_cast<uint8_t>(std::countr_zero(left));
        if (finds(table, slot_of(Ipv4Prefix{address, length}))) {
            return true;
        }
    }
    return false;
}

bool AddressSet::has_entry(Ipv4Prefix prefix) const {
    return finds(*published_.load(std::memory_order_acquire), slot_of(prefix));
}

void AddressSet::prefetch(Ipv4Addr address) const {
    const Table& table = *published_.load(std::memory_order_acquire);
    __builtin_prefetch(&table.slots[start_of(table, slot_of(Ipv4Prefix{address, 32}))]);
}

bool AddressSet::insert(Ipv4Prefix prefix) {
    const uint64_t entry = slot_of(prefix);
    if (find(*table_, entry) != nullptr) {
        return false;
    }
    if ((taken_ + 1) * 4 > table_->slots.size() * 3) {
        grow();
    }
    place(*table_, entry);
    ++taken_;
    ++size_;
    ++of_length_[prefix.length];
    lengths_.store(
        lengths_.load(std::memory_order_relaxed) | uint64_t{1} << prefix.length,
        std::memory_order_release
    );
    return true;
}

bool AddressSet::erase(Ipv4Prefix prefix) {
    std::atomic<uint64_t>* slot = find(*table_, slot_of(prefix));
    if (slot == nullptr) {
        return false;
    }
    slot->store(kErased, std::memory_order_release);
    --size_;
    if (--of_length_[prefix.length] == 0) {
        lengths_.store(
            lengths_.load(std::memory_order_relaxed) & ~(uint64_t{1} << prefix.length),
            std::memory_order_release
        );
    }
    return true;
}

// Also where it is only full of what was erased: then it stays as large as it is.
void AddressSet::grow() {
    size_t slots = kFirstSlots;
    while (slots < (size_ + 1) * 2) {
        slots *= 2;
    }
    auto table = std::make_unique<Table>(slots);
    for (const auto& slot : table_->slots) {
        const uint64_t entry = slot.load(std::memory_order_relaxed);
        if (entry != kEmpty && entry != kErased) {
            place(*table, entry);
        }
    }
    taken_ = size_;
    published_.store(table.get(), std::memory_order_release);
    outgrown_.push_back(std::move(table_));
    table_ = std::move(table);
}

size_t AddressSet::bytes() const {
    size_t slots = table_->slots.size();
    for (const auto& table : outgrown_) {
        slots += table->slots.size();
    }
    return slots * sizeof(uint64_t);
}

}  // namespace sekisho::rules
