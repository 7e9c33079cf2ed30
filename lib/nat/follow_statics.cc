// Static mappings and forwards that come and go while the appliance runs, and the port blocks that are granted to nobody for
// them.
//
//   Fixed     a block with an external port of an entry, former ones included, has the owner byte kHasStatics: each of its ports
//             is looked up. If it lies at home it is granted no more; if a subscriber has it, it is shared (shared_blocks.h) until it
//             comes home, and those of its ports that the entry has are given out no more.
//   Singles   where ports are given out one by one the byte stays what it is; their home takes out those of the entry.
//   Former    an entry that was taken away keeps its ports until no shard has a session of it, and then for the quarantine of
//             its pool (RFC 6888 REQ-8).
//   Whole     of a whole address that was there at the start the bytes name its shard; of one that comes later they do not.
#include <algorithm>
#include <set>
#include <utility>

#include "nat/external_directory.h"
#include "nat/mapping.h"

namespace sekisho::nat {
namespace {

// Whether an address is or was one host's as a whole.
bool is_whole_address(const StaticTable& statics, Ipv4Addr address) {
    const RemoteEndpoint first{address, Port::from_host(1)};
    const StaticEntry* const entry = statics.find_external(first, Protocol::kTcp, {});
    const StaticEntry* const former = statics.find_former(first, Protocol::kTcp);
    return (entry != nullptr && entry->is_whole) || (former != nullptr && former->is_whole);
}

}  // namespace

ExternalDirectory::Reserved ExternalDirectory::reserve(
    const StaticEntry& entry, ExternalIndex index
) {
    const uint8_t shift = addresses_[index.value].block_shift;
    const auto [first, last] = entry.external_ports();
    return {index, static_cast<uint16_t>(first >> shift), static_cast<uint16_t>(last >> shift)};
}

// At the start. Of a whole address the owner bytes say all, but where ports are given out one by one; elsewhere a block may
// hold ports of several subscribers.
void ExternalDirectory::reserve_statics(const NatSettings& settings) {
    std::vector<StaticEntry> entries = statics_.entries();
    places_.assign(entries.size(), ExternalIndex{kNoIndex});
    trigger_places_.assign(triggers_.size(), ExternalIndex{kNoIndex});
    for (size_t i = 0; i < triggers_.size(); ++i) {
        entries.push_back(triggers_.entry(i));
    }
    for (size_t i = 0; i < entries.size(); ++i) {
        const StaticEntry& entry = entries[i];
        const ExternalIndex index = find(entry.external);
        if (index.value == kNoIndex) {
            continue;  // of no pool: lib/config refuses it
        }
        reserved_.push_back(reserve(entry, index));
        for (uint32_t block = reserved_.back().first; block <= reserved_.back().last; ++block) {
            const auto number = static_cast<uint16_t>(block);
            const bool keeps = owner_byte(index, number) == kSingles;
            const uint8_t owner = entry.is_whole ? entry.shard.value : kHasStatics;
            set_owner(index, number, keeps ? kSingles : owner);
        }
        (i < places_.size() ? places_[i] : trigger_places_[i - places_.size()]) = index;
    }
    is_full_.resize(addresses_.size());
    for (const Reserved& r : reserved_) {
        mark_full(settings, r.external);
    }
}

bool ExternalDirectory::has_fixed_port(ExternalIndex index, uint16_t block) const {
    const ExternalAddress& address = addresses_[index.value];
    const uint32_t first = uint32_t{block} << address.block_shift;
    const uint32_t last = first + (1U << address.block_shift) - 1;
    const PortRange ports{static_cast<uint16_t>(first), static_cast<uint16_t>(last)};
    return statics_.has_any_of(address.address, ports) ||
           triggers_.has_any_of(address.address, ports);
}

void ExternalDirectory::mark_full(const NatSettings& settings, ExternalIndex index) {
    const PoolSettings& pool = settings.pools[addresses_[index.value].pool.value];
    const BlockSpan span = block_span(pool);
    bool has_free =
        span.count() == 0 &&
        owner_byte(index, static_cast<uint16_t>(pool.ports.last / pool.port_block_size)) ==
            kSingles &&
        !is_whole_address(statics_, addresses_[index.value].address);
    for (uint32_t b = span.first; b <= span.last && !has_free; ++b) {
        has_free = !has_fixed_port(index, static_cast<uint16_t>(b));
    }
    is_full_[index.value] = has_free ? 0 : 1;
}

bool ExternalDirectory::is_fixed(Ipv4Addr external, Port port, Protocol protocol) const {
    return statics_.has_external({external, port}, protocol) ||
           triggers_.has_external(external, port, protocol);
}

void ExternalDirectory::give_up(ExternalIndex index, uint16_t block) {
    if (is_fixed_block(index, block)) {
        shared_.give_up(index, block);
        return;
    }
    set_owner(index, block, kOwnedByHome);
}

Result<ExternalDirectory::StaticPlan> ExternalDirectory::plan_statics(const NatSettings& next
) const {
    return triggers_.plan(next).map([&](TriggerRules&& rules) {
        return StaticPlan{{next, shard_of_, secret_, &statics_}, std::move(rules)};
    });
}

StaticEntry ExternalDirectory::entry_of(uint32_t block) const {
    return block >= kTriggerBlock ? triggers_.entry(block & ~kTriggerBlock)
                                  : statics_.entries()[block & ~kStaticBlock];
}

EntryState ExternalDirectory::state_of(uint32_t block) const {
    return block >= kTriggerBlock ? triggers_.state(block & ~kTriggerBlock)
                                  : statics_.entries()[block & ~kStaticBlock].state;
}

ExternalIndex& ExternalDirectory::place_of(uint32_t block) {
    return block >= kTriggerBlock ? trigger_places_[block & ~kTriggerBlock]
                                  : places_[block & ~kStaticBlock];
}

std::vector<uint32_t> ExternalDirectory::blocks_of_all() const {
    std::vector<uint32_t> all;
    for (uint32_t id = 0; id < places_.size(); ++id) {
        all.push_back(kStaticBlock | id);
    }
    for (uint32_t rule = 0; rule < trigger_places_.size(); ++rule) {
        all.push_back(kTriggerBlock | rule);
    }
    return all;
}

bool ExternalDirectory::have_former() const {
    for (size_t rule = 0; rule < triggers_.size(); ++rule) {
        if (triggers_.state(rule) == EntryState::kFormer) {
            return true;
        }
    }
    return statics_.has_former();
}

void ExternalDirectory::follow_statics(const NatSettings& settings, StaticPlan&& next, Tick now) {
    static_change_ = {};
    statics_ = std::move(next.statics);
    statics_.stand_on(settings);
    triggers_.follow(std::move(next.triggers));
    places_.resize(statics_.entries().size(), ExternalIndex{kNoIndex});
    trigger_places_.resize(triggers_.size(), ExternalIndex{kNoIndex});
    const bool had_any = !is_full_.empty() || !statics_.empty() || triggers_.are_any();
    is_full_.resize(had_any ? addresses_.size() : 0);
    const std::vector<uint32_t> all = blocks_of_all();
    // Of one that has come back into force nothing is known when it goes again.
    std::erase_if(empty_since_, [&](const auto& each) {
        return state_of(each.first) != EntryState::kFormer;
    });
    let_rested_go(settings, all, now);
    for (const uint32_t block : all) {
        if (state_of(block) == EntryState::kInForce && place_of(block).value == kNoIndex) {
            begin_entry(block);
        }
    }
    std::set<uint32_t> touched;
    for (const auto* changed : {&static_change_.added, &static_change_.let_go}) {
        for (const StaticRun& run : *changed) {
            touched.insert(run.external.value);
        }
    }
    for (const uint32_t index : touched) {
        mark_full(settings, {index});
    }
    static_change_.is_any = true;
}

// Of a trigger forward one for each protocol.
void ExternalDirectory::add_runs(
    std::vector<StaticRun>& runs, ExternalIndex index, const StaticEntry& entry
) {
    if (entry.service != kTriggerService) {
        runs.push_back({index, entry});
        return;
    }
    for (const Protocol protocol : {Protocol::kTcp, Protocol::kUdp}) {
        runs.push_back({index, entry});
        runs.back().entry.protocol = protocol;
    }
}

// An address that no pool has yet: when it comes.
void ExternalDirectory::begin_entry(uint32_t block) {
    const StaticEntry entry = entry_of(block);
    const ExternalIndex index = find(entry.external);
    if (index.value == kNoIndex) {
        return;
    }
    place_of(block) = index;
    const Reserved blocks = reserve(entry, index);
    for (uint32_t number = blocks.first; number <= blocks.last; ++number) {
        fix(index, static_cast<uint16_t>(number), entry);
    }
    add_runs(static_change_.added, index, entry);
}

// Whether the bytes of its address name the shard of a whole one that was there at the start.
bool ExternalDirectory::is_of_whole(const StaticEntry& entry) const {
    const StaticEntry* const former =
        statics_.find_former({entry.external, Port::from_host(1)}, Protocol::kTcp);
    return former != nullptr && former->is_whole;
}

void ExternalDirectory::fix(ExternalIndex index, uint16_t block, const StaticEntry& entry) {
    const uint8_t owner = owner_byte(index, block);
    if (owner == kSingles || owner == kHasStatics) {
        return;
    }
    set_owner(index, block, kHasStatics);
    if (owner != kOwnedByHome && is_of_whole(entry)) {
        return;
    }
    if (owner != kOwnedByHome) {
        shared_.add(index, block, owner);
    }
    static_change_.fixed.push_back({index, block, block});
}

// Of what has no port of any entry any more.
void ExternalDirectory::unfix(ExternalIndex index, uint16_t block) {
    if (owner_byte(index, block) == kSingles || has_fixed_port(index, block)) {
        return;
    }
    set_owner(index, block, shared_.holder_of(index, block));
    shared_.remove(index, block);
    static_change_.unfixed.push_back({index, block, block});
}

// All at once, and then the blocks that none of those that are left has a port of.
void ExternalDirectory::let_rested_go(
    const NatSettings& settings, const std::vector<uint32_t>& all, Tick now
) {
    std::vector<uint32_t> entries;
    for (const uint32_t block : all) {
        if (state_of(block) != EntryState::kFormer || !has_rested(settings, block, now)) {
            continue;
        }
        empty_since_.erase(block);
        const ExternalIndex index = std::exchange(place_of(block), ExternalIndex{kNoIndex});
        if (index.value != kNoIndex) {
            add_runs(static_change_.let_go, index, entry_of(block));
        }
        if (block >= kTriggerBlock) {
            triggers_.let_go(block & ~kTriggerBlock);
        } else {
            entries.push_back(block & ~kStaticBlock);
        }
    }
    if (!entries.empty()) {
        statics_.let_go(entries);
    }
    std::set<std::pair<uint32_t, uint16_t>> emptied;
    for (const auto& [index, entry] : static_change_.let_go) {
        const Reserved blocks = reserve(entry, index);
        for (uint32_t number = blocks.first; number <= blocks.last; ++number) {
            emptied.emplace(index.value, static_cast<uint16_t>(number));
        }
    }
    for (const auto& [index, number] : emptied) {
        unfix({index}, number);
    }
}

bool ExternalDirectory::has_rested(const NatSettings& settings, uint32_t block, Tick now) {
    const auto empty = empty_since_.find(block);
    const ExternalIndex place = place_of(block);
    if (empty == empty_since_.end() || place.value == kNoIndex) {
        return empty != empty_since_.end();
    }
    const ExternalAddress& address = addresses_[place.value];
    const uint32_t rest = settings.pools[address.pool.value].port_quarantine.ms();
    return address.state == AddressState::kWithdrawn ||
           elapsed_ms(empty->second, now) >= static_cast<int32_t>(rest);
}

bool ExternalDirectory::have_rested(
    const NatSettings& settings, const std::function<uint32_t(uint32_t)>& uses, Tick now
) {
    bool have_any = false;
    for (const uint32_t block : have_former() ? blocks_of_all() : std::vector<uint32_t>{}) {
        if (state_of(block) != EntryState::kFormer) {
            continue;
        }
        const bool is_held =
            block >= kTriggerBlock && triggers_.holder(block & ~kTriggerBlock) != Ipv4Addr{};
        if (uses(block) == 0 && !is_held) {  // whose release is in the log
            empty_since_.try_emplace(block, now);
        }
        have_any = have_any || has_rested(settings, block, now);
    }
    return have_any;
}

}  // namespace sekisho::nat
