#include "nat/external_directory.h"

#include <algorithm>
#include <bit>
#include <span>

#include "base/mutation.h"

namespace sekisho::nat {
namespace {

// Spreads neighbouring addresses over the slots. The table holds only the operator's own addresses,
// so nobody can build collisions and no key is needed.
uint32_t slot_hash(Ipv4Addr address) {
    return (address.host() * 0x9e3779b1U) ^ (address.host() >> 15);
}

}  // namespace

BlockSpan block_span(const PoolSettings& pool) {
    const auto shift = static_cast<unsigned>(std::countr_zero(pool.port_block_size));
    const uint32_t first = std::max<uint32_t>(pool.ports.first, 1);
    return {
        static_cast<uint16_t>(first >> shift),
        static_cast<uint16_t>(uint32_t{pool.ports.last} >> shift)};
}

ExternalDirectory::ExternalDirectory(
    const NatSettings& settings, unsigned shards, const ShardOfSubscriber& shard_of
)
    : shards_(shards) {
    uint32_t owners = 0;
    const auto add = [&](PoolId pool, AddressRange range, uint8_t shift) {
        for (uint64_t a = range.first.host(); a <= range.last.host(); ++a) {
            const ShardId home{static_cast<uint8_t>(addresses_.size() % shards)};
            const Ipv4Addr address = Ipv4Addr::from_host(static_cast<uint32_t>(a));
            addresses_.push_back({address, pool, home, shift, owners});
            owners += 65536U >> shift;
        }
    };
    for (size_t p = 0; p < settings.pools.size(); ++p) {
        const PoolSettings& pool = settings.pools[p];
        const auto shift = static_cast<uint8_t>(std::countr_zero(pool.port_block_size));
        first_of_pool_.push_back(static_cast<uint32_t>(addresses_.size()));
        const size_t ranges =
            is_mutated(Mutation::kRfc6888Req3Ranges) ? size_t{1} : pool.addresses.size();
        for (const AddressRange& range : std::span(pool.addresses).first(ranges)) {
            add(PoolId{static_cast<uint16_t>(p)}, range, shift);
        }
    }
    first_of_pool_.push_back(static_cast<uint32_t>(addresses_.size()));
    owners_ = std::make_unique<std::atomic<uint8_t>[]>(owners);
    for (uint32_t i = 0; i < owners; ++i) {
        owners_[i].store(kOwnedByHome, std::memory_order_relaxed);
    }
    const auto by_address = [](const ExternalAddress& a, const ExternalAddress& b) {
        return a.address.host() < b.address.host();
    };
    if (!addresses_.empty()) {
        const auto [low, high] = std::ranges::minmax_element(addresses_, by_address);
        lowest_ = low->address.host();
        reach_ = high->address.host() - lowest_;
    }
    slots_.assign(std::bit_ceil(addresses_.size() * 2 + 2), kNoIndex);
    mask_ = static_cast<uint32_t>(slots_.size() - 1);
    for (uint32_t i = 0; i < addresses_.size(); ++i) {
        uint32_t slot = slot_hash(addresses_[i].address) & mask_;
        while (slots_[slot] != kNoIndex) {
            slot = (slot + 1) & mask_;
        }
        slots_[slot] = i;
    }
    if (!settings.static_mappings.empty()) {
        statics_ = StaticTable(settings, shard_of);
        reserve_statics(settings);
    }
}

// Of a whole address the owner bytes say all; elsewhere a block may hold ports of several
// subscribers.
void ExternalDirectory::reserve_statics(const NatSettings& settings) {
    for (const StaticEntry& entry : statics_.entries()) {
        const ExternalIndex index = find(entry.external);
        if (index.value == kNoIndex) {
            continue;  // of no pool: lib/config refuses it
        }
        const uint8_t shift = addresses_[index.value].block_shift;
        const auto first = static_cast<uint16_t>(entry.external_first >> shift);
        const auto last =
            static_cast<uint16_t>((uint32_t{entry.external_first} + entry.more) >> shift);
        for (uint32_t block = first; block <= last; ++block) {
            const uint8_t owner = entry.is_whole ? entry.shard.value : kHasStatics;
            set_owner(index, static_cast<uint16_t>(block), owner);
        }
        reserved_.push_back({index, first, last});
    }
    is_full_.resize(addresses_.size());
    for (const Reserved& r : reserved_) {
        const BlockSpan span = block_span(settings.pools[addresses_[r.external.value].pool.value]);
        bool has_free = false;
        for (uint32_t b = span.first; b <= span.last && !has_free; ++b) {
            has_free = owner_byte(r.external, static_cast<uint16_t>(b)) == kOwnedByHome;
        }
        is_full_[r.external.value] = has_free ? 0 : 1;
    }
}

ExternalIndex ExternalDirectory::find_near(Ipv4Addr address) const {
    for (uint32_t slot = slot_hash(address) & mask_; slots_[slot] != kNoIndex;
         slot = (slot + 1) & mask_) {
        if (addresses_[slots_[slot]].address == address) {
            return ExternalIndex{slots_[slot]};
        }
    }
    return ExternalIndex{kNoIndex};
}

ShardId ExternalDirectory::owner_of(ExternalIndex index, Port port, Protocol protocol) const {
    const ExternalAddress& a = addresses_[index.value];
    const uint8_t owner = owners_[a.first_owner + (uint32_t{port.host()} >> a.block_shift)].load(
        std::memory_order_acquire
    );
    if (owner < kHasStatics) [[likely]] {
        return {owner};
    }
    const StaticEntry* entry =
        owner == kHasStatics ? statics_.find_external(a.address, port, protocol) : nullptr;
    return entry != nullptr ? entry->shard : a.home;
}

uint8_t ExternalDirectory::owner_byte(ExternalIndex index, uint16_t block) const {
    return owners_[addresses_[index.value].first_owner + block].load(std::memory_order_acquire);
}

void ExternalDirectory::set_owner(ExternalIndex index, uint16_t block, uint8_t owner) {
    owners_[addresses_[index.value].first_owner + block].store(owner, std::memory_order_release);
}

}  // namespace sekisho::nat
