#include "nat/external_directory.h"

#include <algorithm>
#include <bit>
#include <optional>
#include <span>

#include "base/mutation.h"
#include "base/secret.h"
#include "nat/port_block.h"

namespace sekisho::nat {
namespace {

// Spreads neighbouring addresses over the slots. The table holds only the operator's own addresses,
// so nobody can build collisions and no key is needed.
uint32_t slot_hash(Ipv4Addr address) {
    return (address.host() * 0x9e3779b1U) ^ (address.host() >> 15);
}

// The shard of whoever has held a forward's ports last.
std::optional<ShardId> owner_by_trigger(const TriggerTable& triggers, std::optional<size_t> rule) {
    const Ipv4Addr holder = rule ? triggers.last_holder(*rule) : Ipv4Addr{};
    return holder == Ipv4Addr{} ? std::nullopt : std::optional(triggers.shard_of(holder));
}

}  // namespace

// Where well-known ports are given out alone, a block that has some of them has no others.
BlockSpan block_span(const PoolSettings& pool) {
    if (pool.port_selection == PortSelection::kPreserve) {
        return {1, 0};
    }
    const auto shift = static_cast<unsigned>(std::countr_zero(pool.port_block_size));
    const uint32_t low = has_single_ports(pool) ? kFirstHighPort + pool.port_block_size - 1 : 1;
    const uint32_t first = std::max<uint32_t>(pool.ports.first, low) >> shift;
    const uint32_t last = uint32_t{pool.ports.last} >> shift;
    return first > last ? BlockSpan{1, 0}
                        : BlockSpan{static_cast<uint16_t>(first), static_cast<uint16_t>(last)};
}

bool has_single_ports(const PoolSettings& pool) {
    return pool.port_selection == PortSelection::kPreserve ||
           (pool.port_ranges == PortRanges::kPreserve && pool.ports.first < kFirstHighPort);
}

PortRange single_ports(const PoolSettings& pool) {
    const bool has_all = pool.port_selection == PortSelection::kPreserve;
    const uint16_t last = has_all ? uint16_t{65535} : uint16_t{kFirstHighPort - 1};
    return {std::max<uint16_t>(pool.ports.first, 1), std::min(pool.ports.last, last)};
}

ExternalDirectory::ExternalDirectory(
    const NatSettings& settings,
    unsigned shards,
    const ShardOfSubscriber& shard_of,
    const HashSecret& secret
)
    : shards_(shards), shard_of_(shard_of), secret_(secret) {
    for (size_t p = 0; p < settings.pools.size(); ++p) {
        const PoolSettings& pool = settings.pools[p];
        first_of_pool_.push_back(static_cast<uint32_t>(addresses_.size()));
        const size_t ranges =
            is_mutated(Mutation::kRfc6888Req3Ranges) ? size_t{1} : pool.addresses.size();
        for (const AddressRange& range : std::span(pool.addresses).first(ranges)) {
            add(PoolId{static_cast<uint16_t>(p)}, range, block_shift(pool));
        }
    }
    first_of_pool_.push_back(static_cast<uint32_t>(addresses_.size()));
    capacity_ = most_addresses(addresses_.size());
    claims_ = std::make_unique<RemoteClaims>(
        settings.limits.address_only_sessions, base::draw_secret().value_or(HashSecret{})
    );
    if (settings.has_destination_rules && shards > 1) {
        const uint32_t most = std::min(settings.limits.sessions, RemoteClaims::kMost);
        forwarded_ =
            std::make_unique<RemoteClaims>(most, base::draw_secret().value_or(HashSecret{}));
    }
    homes_.resize(settings.pools.size(), 0);
    index_addresses();
    mark_singles(settings);
    statics_ = StaticTable(settings, shard_of, secret);
    triggers_ = TriggerTable(settings, shard_of);
    if (!statics_.empty() || triggers_.are_any()) {
        reserve_statics(settings);
    }
}

void ExternalDirectory::add(PoolId pool, AddressRange range, uint8_t shift) {
    const size_t blocks = 65536U >> shift;
    const size_t count = size_t{range.last.host()} - range.first.host() + 1;
    owners_.push_back(std::make_unique<std::atomic<uint8_t>[]>(count * blocks));
    for (size_t i = 0; i < count; ++i) {
        const ShardId home{static_cast<uint8_t>(addresses_.size() % shards_)};
        const Ipv4Addr address = Ipv4Addr::from_host(static_cast<uint32_t>(range.first.host() + i));
        std::atomic<uint8_t>* const owners = owners_.back().get() + i * blocks;
        for (size_t b = 0; b < blocks; ++b) {
            owners[b].store(kOwnedByHome, std::memory_order_relaxed);
        }
        addresses_.push_back({address, pool, home, shift, AddressState::kServing, owners});
    }
}

// Those that are gone or withdrawn cannot be found.
void ExternalDirectory::index_addresses() {
    lowest_ = addresses_.empty() ? 0 : ~uint32_t{0};
    uint32_t highest = 0;
    slots_.assign(std::bit_ceil(addresses_.size() * 2 + 2), kNoIndex);
    mask_ = static_cast<uint32_t>(slots_.size() - 1);
    std::ranges::fill(homes_, 0);
    for (uint32_t i = 0; i < addresses_.size(); ++i) {
        const ExternalAddress& address = addresses_[i];
        homes_[address.pool.value] |= uint64_t{1} << address.home.value;
        if (address.state == AddressState::kGone || address.state == AddressState::kWithdrawn) {
            continue;
        }
        lowest_ = std::min(lowest_, address.address.host());
        highest = std::max(highest, address.address.host());
        uint32_t slot = slot_hash(address.address) & mask_;
        while (slots_[slot] != kNoIndex) {
            slot = (slot + 1) & mask_;
        }
        slots_[slot] = i;
    }
    reach_ = highest >= lowest_ ? highest - lowest_ : 0;
}

// A byte a port and protocol, but where there is only one shard to own it.
void ExternalDirectory::mark_singles(const NatSettings& settings) {
    last_single_.resize(settings.pools.size(), 0);
    size_t bytes = 0;
    for (uint32_t i = 0; i < addresses_.size(); ++i) {
        ExternalAddress& address = addresses_[i];
        const PoolSettings& pool = settings.pools[address.pool.value];
        if (!has_single_ports(pool)) {
            continue;
        }
        const PortRange ports = single_ports(pool);
        for (uint32_t b = uint32_t{ports.first} >> address.block_shift;
             b <= uint32_t{ports.last} >> address.block_shift;
             ++b) {
            set_owner({i}, static_cast<uint16_t>(b), kSingles);
        }
        last_single_[address.pool.value] = ports.last;
        address.first_single = static_cast<uint32_t>(bytes);
        bytes += kProtocolSlots * (ports.last + size_t{1});
    }
    if (shards_ > 1 && bytes != 0) {
        port_owners_ = std::vector<std::atomic<uint8_t>>(bytes);
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

ShardId ExternalDirectory::owner_of(ExternalIndex index, const FlowKey& inbound) const {
    if (is_address_only(inbound.protocol())) [[unlikely]] {
        return owner_by_remote(index, inbound);
    }
    const Port port = inbound.destination_port();
    const ExternalAddress& a = addresses_[index.value];
    const uint8_t owner =
        a.owners[uint32_t{port.host()} >> a.block_shift].load(std::memory_order_acquire);
    if (owner < kSingles) [[likely]] {
        return {owner};
    }
    return owner == kOwnedByHome ? owner_by_flow(a, inbound) : owner_of_port(a, inbound);
}

// Of a port that nobody has: whom rules have led the flow to, or the home.
ShardId ExternalDirectory::owner_by_flow(const ExternalAddress& address, const FlowKey& inbound)
    const {
    const bool are_any = forwarded_ != nullptr && forwarded_->size() != 0;
    return are_any ? forwarded_->find_flow(inbound).value_or(address.home) : address.home;
}

// What stands in force comes before what has gone, whose sessions are claimed where both are (NatShard::is_displaced).
ShardId ExternalDirectory::owner_of_port(const ExternalAddress& address, const FlowKey& inbound)
    const {
    const Port port = inbound.destination_port();
    const bool are_claimed = forwarded_ != nullptr && forwarded_->size() != 0;
    if (const auto claimed = are_claimed ? forwarded_->find_flow(inbound) : std::nullopt) {
        return *claimed;
    }
    const auto* const entry = statics_.find_external(
        {address.address, port}, inbound.protocol(), {inbound.source(), inbound.source_port()}
    );
    if (entry != nullptr) {
        return entry->shard;
    }
    if (const auto shard = owner_by_trigger(triggers_, triggers_.find_forwarded(inbound))) {
        return *shard;
    }
    if (statics_.has_former()) [[unlikely]] {
        const auto* const former =
            statics_.find_former({address.address, port}, inbound.protocol());
        if (former != nullptr) {
            return former->shard;
        }
    }
    const auto former = triggers_.are_any() ? triggers_.find_former(inbound) : std::nullopt;
    if (const auto shard = owner_by_trigger(triggers_, former)) {
        return *shard;
    }
    if (!shared_.empty()) [[unlikely]] {
        const auto index = static_cast<uint32_t>(&address - addresses_.data());
        const auto block = static_cast<uint16_t>(port.host() >> address.block_shift);
        const uint8_t sharing = shared_.holder_of({index}, block);
        if (sharing < kSingles) {
            return {sharing};
        }
    }
    const uint32_t size = last_single_[address.pool.value] + 1U;
    if (port_owners_.empty() || port.host() >= size) {
        return owner_by_flow(address, inbound);
    }
    const uint8_t owner =
        port_owners_[address.first_single + protocol_slot(inbound.protocol()) * size + port.host()]
            .load(std::memory_order_acquire);
    return owner == 0 ? owner_by_flow(address, inbound) : ShardId{static_cast<uint8_t>(owner - 1)};
}

bool ExternalDirectory::is_elsewhere(ExternalIndex index, const FlowKey& inbound, ShardId self)
    const {
    const ExternalAddress& a = addresses_[index.value];
    const auto block = static_cast<uint16_t>(inbound.destination_port().host() >> a.block_shift);
    const ShardId owner = owner_of(index, inbound);
    return owner != self && (is_address_only(inbound.protocol()) ||
                             owner_byte(index, block) != kSingles || owner != a.home);
}

// As one more than the shard's number: what is zero is nobody's.
void ExternalDirectory::set_port_owner(
    ExternalIndex index, unsigned slot, uint16_t port, uint8_t owner
) {
    if (!port_owners_.empty()) {
        const ExternalAddress& address = addresses_[index.value];
        const uint32_t size = last_single_[address.pool.value] + 1U;
        port_owners_[address.first_single + slot * size + port].store(
            static_cast<uint8_t>(owner + 1), std::memory_order_release
        );
    }
}

// A whole address is its one inside host's, and of what was one the sessions still are; otherwise who has claimed the remote
// address.
ShardId ExternalDirectory::owner_by_remote(ExternalIndex index, const FlowKey& inbound) const {
    const ExternalAddress& a = addresses_[index.value];
    const RemoteEndpoint own{a.address, Port{}};
    const StaticEntry* entry =
        statics_.empty()
            ? nullptr
            : statics_.find_external(own, inbound.protocol(), {inbound.source(), Port{}});
    if (entry == nullptr && statics_.has_former()) [[unlikely]] {
        entry = statics_.find_former(own, inbound.protocol());
    }
    return entry != nullptr
               ? entry->shard
               : claims_->find(index, inbound.protocol(), inbound.source()).value_or(a.home);
}

uint8_t ExternalDirectory::owner_byte(ExternalIndex index, uint16_t block) const {
    return addresses_[index.value].owners[block].load(std::memory_order_acquire);
}

void ExternalDirectory::set_owner(ExternalIndex index, uint16_t block, uint8_t owner) {
    addresses_[index.value].owners[block].store(owner, std::memory_order_release);
}

}  // namespace sekisho::nat
