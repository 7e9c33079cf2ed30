#include "nat/external_directory.h"

#include <algorithm>
#include <bit>

#include "base/mutation.h"

namespace sekisho::nat {
namespace {

// Spreads neighbouring addresses over the slots. The table holds only the operator's own addresses,
// so nobody can build collisions and no key is needed.
uint32_t slot_hash(Ipv4Addr address) {
    return (address.host() * 0x9e3779b1U) ^ (address.host() >> 15);
}

}  // namespace

ExternalDirectory::ExternalDirectory(const NatSettings& settings, unsigned shards)
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
        for (const AddressRange& range : pool.addresses) {
            if (is_mutated(Mutation::kRfc6888Req3Ranges) && &range != &pool.addresses.front()) {
                break;
            }
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

ShardId ExternalDirectory::owner_of(ExternalIndex index, Port port) const {
    const ExternalAddress& a = addresses_[index.value];
    const uint8_t owner = owners_[a.first_owner + (uint32_t{port.host()} >> a.block_shift)].load(
        std::memory_order_acquire
    );
    return owner == kOwnedByHome ? a.home : ShardId{owner};
}

uint8_t ExternalDirectory::owner_byte(ExternalIndex index, uint16_t block) const {
    return owners_[addresses_[index.value].first_owner + block].load(std::memory_order_acquire);
}

void ExternalDirectory::set_owner(ExternalIndex index, uint16_t block, uint8_t owner) {
    owners_[addresses_[index.value].first_owner + block].store(owner, std::memory_order_release);
}

}  // namespace sekisho::nat
