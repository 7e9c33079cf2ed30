#include <algorithm>
#include <bit>

#include <fmt/format.h>

#include "base/mutation.h"
#include "nat/nat_shard.h"
#include "nat/record_layouts.h"
#include "nat/sections.h"

namespace sekisho::nat {
namespace {

using namespace section;

bool filters_by_address(const NatSettings& settings) {
    return std::ranges::any_of(settings.policies, [](const PolicySettings& p) {
        return p.filtering.has(FilteringBehaviour::kAddressDependent);
    });
}

bool maps_by_remote(const NatSettings& settings) {
    return std::ranges::any_of(settings.policies, [](const PolicySettings& p) {
        return p.mapping != PerProtocol(MappingBehaviour::kEndpointIndependent);
    });
}

bool tracks_windows(const NatSettings& settings) {
    return std::ranges::any_of(settings.policies, [](const PolicySettings& p) {
        return p.tcp_window != WindowPolicy::kOff;
    });
}

bool redirects(const NatSettings& settings) {
    return settings.has_destination_rules ||
           std::ranges::any_of(settings.destination_nat, [](const DestinationNatSettings& rule) {
               return !rule.is_inbound;
           });
}

bool overloads_ports(const NatSettings& settings) {
    return std::ranges::any_of(settings.policies, &PolicySettings::port_overloading);
}

// Blocks that one shard may come to hold.
uint32_t most_blocks(const NatSettings& settings, const NatShardPlan& plan) {
    uint64_t there_are = 0;
    uint64_t addresses = 0;
    uint64_t largest_span = 0;
    uint64_t per_subscriber = 0;
    uint64_t by_formula = 0;
    for (const PoolSettings& pool : settings.pools) {
        by_formula |= pool.port_selection == PortSelection::kDeterministic ? 1U : 0U;
        const BlockSpan span = block_span(pool);
        there_are += pool.address_count() * span.count();
        addresses += pool.address_count();
        largest_span = std::max<uint64_t>(largest_span, span.count());
        // Those that are too old come on top of the others. Those that drain do so as far as there is room; else who wants
        // another block asks again.
        const uint64_t twice = pool.block_max_age.value != 0 ? 2 : 1;
        per_subscriber = std::max(per_subscriber, twice * pool.blocks_per_subscriber);
    }
    there_are += (ExternalDirectory::most_addresses(addresses) - addresses) * largest_span;
    const uint64_t wanted = std::min(there_are, (per_subscriber + by_formula) * plan.subscribers);
    return static_cast<uint32_t>(std::clamp<uint64_t>(wanted, 1, 0x3fffffff));
}

uint32_t largest_block(const NatSettings& settings) {
    uint32_t largest = 64;
    for (const PoolSettings& pool : settings.pools) {
        largest = std::max(largest, pool.port_block_size);
    }
    return largest;
}

// Of one shard; 0: nobody may ask for mappings.
uint32_t leases_of(const NatSettings& settings, const NatShardPlan& plan) {
    const uint32_t share = (settings.pcp.mappings + plan.shards - 1) / plan.shards;
    return settings.pcp.enabled ? std::min(share, plan.mappings) : 0;
}

base::ArenaPlan arena_plan(const NatShardPlan& plan, const NatSettings& settings) {
    const uint64_t blocks = most_blocks(settings, plan);
    const uint64_t words = PortBlockTable::bitmap_words(blocks, largest_block(settings));
    base::ArenaPlan arena;
    arena.name = plan.arena_name;
    arena.huge_directory = plan.huge_directory;
    arena.facts = plan.facts;
    arena.identity = {static_cast<uint16_t>(plan.shards), plan.shard.value, kNatLayoutDigest};
    const uint64_t s = plan.sessions;
    const uint64_t m = plan.mappings;
    const uint64_t u = plan.subscribers;
    arena.sections = {
        {kSessions, flow::SessionTable::bytes_for(s), s, false},
        {kSessionIndex, flow::FlowIndex::bytes_for(2 * s), 2 * s, false},
        {kSessionWheel, flow::TimingWheel::bytes_for(s), s, false},
        {kMappings, m * sizeof(Mapping), m, false},
        {kMappingIndex, flow::FlowIndex::bytes_for(2 * m), 2 * m, false},
        {kSubscribers, u * sizeof(Subscriber), u, false},
        {kSubscriberIndex, flow::FlowIndex::bytes_for(u), u, false},
        {kBlocks, blocks * sizeof(PortBlock), blocks, true},
        {kBlockBitmaps, words * sizeof(uint64_t), words, true},
        {kBlockWheel, flow::TimingWheel::bytes_for(blocks), blocks, true},
    };
    const auto add_counts = [&](uint32_t records, uint32_t index, uint64_t count) {
        arena.sections.push_back({records, count * sizeof(PairCount), count, false});
        arena.sections.push_back({index, flow::FlowIndex::bytes_for(count), count, false});
    };
    if (filters_by_address(settings)) {
        add_counts(kPermissions, kPermissionIndex, s);
    }
    if (maps_by_remote(settings) || redirects(settings)) {
        arena.sections.push_back({kMappingRemotes, m * sizeof(MappingRemote), m, false});
    }
    if (tracks_windows(settings)) {
        arena.sections.push_back({kTcpWindows, s * sizeof(TcpWindow), s, false});
    }
    if (redirects(settings) || !settings.trigger_forwards.empty()) {
        arena.sections.push_back({kOriginals, s * sizeof(OriginalDestination), s, false});
    }
    if (overloads_ports(settings)) {
        add_counts(kPortUses, kPortUseIndex, m);
    }
    if (const uint64_t leases = leases_of(settings, plan); leases != 0) {
        arena.sections.push_back({kLeases, leases * sizeof(Lease), leases, false});
        arena.sections.push_back(
            {kLeaseIndex, flow::FlowIndex::bytes_for(2 * leases), 2 * leases, false}
        );
        arena.sections.push_back({kLeaseWheel, flow::TimingWheel::bytes_for(leases), leases, false}
        );
    }
    if (settings.events.logged != 0) {
        const uint64_t ring = settings.events.ring;
        arena.sections.push_back({kEvents, event_ring_bytes(ring), ring, false});
    }
    return arena;
}

// A secret of its own for the choice of ports, so that nothing that a port shows tells of the
// indexes' secret.
HashSecret derive_secret(const HashSecret& secret, ShardId shard) {
    HashSecret derived;
    for (uint64_t i = 0; i < 4; ++i) {
        derived.words[i] = keyed_hash(secret, i, 0x706f727473ULL << 8 | shard.value);
    }
    return derived;
}

}  // namespace

Result<std::unique_ptr<NatShard>> NatShard::create(
    const NatShardPlan& plan, const NatSettings& settings, ExternalDirectory& directory, Tick now
) {
    if (plan.shards == 0 || plan.shards > 64 || plan.shard.value >= plan.shards) {
        return failure(fmt::format(
            "shard {} of {}: 1 to 64 shards are possible", plan.shard.value, plan.shards
        ));
    }
    if (plan.sessions == 0 || plan.mappings == 0 || plan.subscribers == 0) {
        return failure(fmt::format(
            "the table limits leave shard {} no entry: raise limits.sessions, mappings and "
            "subscribers to the number of workers at least",
            plan.shard.value
        ));
    }
    std::unique_ptr<NatShard> shard(new NatShard());
    shard->settings_ = &settings;
    shard->directory_ = &directory;
    auto built = shard->build(plan, now);
    if (!built) {
        return tl::unexpected<Error>(built.error());
    }
    return shard;
}

std::vector<uint64_t> reserved_bits(const PoolSettings& pool) {
    std::vector<uint64_t> bits(pool.reserved_ports.empty() ? 0 : 1024);
    for (const PortRange& range : pool.reserved_ports) {
        for (uint32_t port = range.first; port <= range.last; ++port) {
            bits[port / 64] |= uint64_t{1} << (port % 64);
        }
    }
    return bits;
}

Result<void> NatShard::build(const NatShardPlan& plan, Tick now) {
    auto arena = Arena::create(arena_plan(plan, *settings_));
    if (!arena) {
        return tl::unexpected<Error>(arena.error());
    }
    arena_ = std::move(*arena);
    shard_ = plan.shard;
    shards_ = plan.shards;
    secret_ = plan.secret;
    port_secret_ = derive_secret(plan.secret, plan.shard);
    timeouts_.follow(settings_->timeouts);
    numbers_ = PolicyNumbers(*settings_);
    lay_out_records(plan, now);
    build_pools(now);
    build_policies();
    may_be_aged_ = max_age_of_any_ != 0;
    if (max_age_of_any_ != 0) {
        granted_at_.resize(blocks_.capacity());
    }
    if (nat::redirects(*settings_)) {
        redirects_.emplace(*settings_, directory_->statics(), secret_);
    }
    build_triggers();
    static_sessions_.resize(directory_->statics().entries().size());
    singles_ = SinglePorts(*settings_, *directory_, shard_);
    if (std::ranges::any_of(policies_, &Policy::has_protocol_limits) &&
        std::ranges::any_of(pools_, &Pool::has_singles)) {
        singles_used_.resize(plan.subscribers);
    }
    home_ = HomeBlocks(*settings_, *directory_, shard_);
    empty_ = EmptyBlocks(*directory_, settings_->pools.size());
    recalls_ = RecallBook(directory_->capacity() / shards_ + 1 + settings_->pools.size());
    // One message for each request under way anywhere; for each recall that can run the question, a
    // block and the answer.
    outbox_reserve_ = size_t{shards_} * (kMaxWaits + 3 * RecallBook::kMaxRecalls);
    outbox_ = Outbox(shards_, shards_ == 1 ? 0 : outbox_reserve_ + kReturnRoom);
    return {};
}

void NatShard::lay_out_records(const NatShardPlan& plan, Tick now) {
    const uint32_t blocks = most_blocks(*settings_, plan);
    sessions_ = flow::SessionTable(arena_.records<Session>(kSessions).first(plan.sessions));
    session_index_ = flow::FlowIndex(arena_.section(kSessionIndex), size_t{plan.sessions} * 2);
    session_wheel_ = flow::TimingWheel(arena_.section(kSessionWheel), plan.sessions, now);
    mappings_ = flow::RecordPool<Mapping>(arena_.records<Mapping>(kMappings).first(plan.mappings));
    mapping_index_ = flow::FlowIndex(arena_.section(kMappingIndex), size_t{plan.mappings} * 2);
    subscribers_ = flow::RecordPool<Subscriber>(
        arena_.records<Subscriber>(kSubscribers).first(plan.subscribers)
    );
    subscriber_index_ = flow::FlowIndex(arena_.section(kSubscriberIndex), plan.subscribers);
    blocks_ = PortBlockTable(
        arena_.records<PortBlock>(kBlocks).first(blocks),
        arena_.records<uint64_t>(kBlockBitmaps),
        largest_block(*settings_)
    );
    block_wheel_ = flow::TimingWheel(arena_.section(kBlockWheel), blocks, now);
    const auto counts = [&](section::Section records, section::Section index, uint32_t count) {
        const auto found = arena_.records<PairCount>(records);
        return found.empty() ? PairCounts()
                             : PairCounts(found.first(count), arena_.section(index), &secret_);
    };
    permissions_ = counts(kPermissions, kPermissionIndex, plan.sessions);
    port_uses_ = counts(kPortUses, kPortUseIndex, plan.mappings);
    windows_ = arena_.records<TcpWindow>(kTcpWindows);
    originals_ = arena_.records<OriginalDestination>(kOriginals);
    remotes_ = arena_.records<MappingRemote>(kMappingRemotes);
    if (const uint32_t leases = leases_of(*settings_, plan); leases != 0) {
        leases_ = LeaseTable(
            {arena_.records<Lease>(kLeases).first(leases),
             arena_.section(kLeaseIndex),
             arena_.section(kLeaseWheel)},
            secret_,
            now
        );
    }
    lease_epoch_ = LeaseEpoch(now);
    if (settings_->events.logged != 0) {
        const size_t ring = event_ring_bytes(settings_->events.ring);
        log_.open(arena_.section(kEvents).first(ring), settings_->events);
    }
}

void NatShard::build_pools(Tick now) {
    for (const PoolSettings& p : settings_->pools) {
        Pool pool;
        pool.ports = {std::max<uint16_t>(p.ports.first, 1), p.ports.last};
        pool.span = block_span(p);
        pool.shift = static_cast<uint8_t>(std::countr_zero(p.port_block_size));
        pool.is_random = p.port_selection != PortSelection::kSequential;
        pool.keeps_parity = p.port_parity;
        pool.keeps_contiguity = p.port_contiguity;
        pool.has_singles = has_single_ports(p);
        pool.is_deterministic = p.port_selection == PortSelection::kDeterministic;
        pool.overflow = p.overflow;
        pool.has_only_singles = p.port_selection == PortSelection::kPreserve;
        pool.keeps_ranges = p.port_ranges == PortRanges::kPreserve;
        pool.pairing = p.pairing;
        pool.reserved = reserved_bits(p);
        pool.keeps_first = p.keeps_first_block;
        keeps_any_first_ = keeps_any_first_ || pool.keeps_first;
        pool.max_age_ms = p.block_max_age.ms();
        tune(pool, p);
        pool.clock = RestClock(pool.quarantine_ms, now);
        max_age_of_any_ = std::max(max_age_of_any_, pool.max_age_ms);
        if (pool.is_deterministic) {
            pool.formula.emplace(*settings_, PoolId{static_cast<uint16_t>(pools_.size())});
        }
        pools_.push_back(std::move(pool));
    }
}

void NatShard::build_policies() {
    policies_.clear();
    for (const PolicySettings& p : settings_->policies) {
        constexpr ProtocolLimits kNone;
        const bool has = p.limits.tcp != kNone || p.limits.udp != kNone || p.limits.icmp != kNone;
        policies_.push_back({has});
        picks_up_any_ = picks_up_any_ || p.tcp_pickup;
    }
}

uint32_t NatShard::random_below(uint32_t end) {
    const uint64_t drawn = keyed_hash(port_secret_, ++port_draws_, 0) >> 32;
    return static_cast<uint32_t>(drawn * end >> 32);
}

void NatShard::connect(MessageSink* sink, WaitListener* listener) {
    outbox_.connect(sink);
    listener_ = listener;
}

void NatShard::advance(Tick now, uint32_t budget) {
    return_unclaimed(now);
    for (Pool& pool : pools_) {
        pool.clock.advance(now);  // so that the clock's wrap hides no epoch
    }
    if (!sweeps_.are_done()) [[unlikely]] {
        sweep(now, budget);
        sweep_blocks(now, budget);
    }
    session_wheel_.advance(now, budget, [&](uint32_t session) { fire_session(session, now); });
    block_wheel_.advance(now, budget, [&](uint32_t block) { fire_block(block, now); });
    advance_leases(now, budget);
    if (directory_->triggers().are_any()) [[unlikely]] {
        advance_triggers(now);
    }
    release_lingering(now, budget);
    write_pending(now, budget);
    outbox_.flush();
}

void NatShard::end_of_burst() {
    sessions_.end_of_burst();
    mappings_.end_of_burst();
    subscribers_.end_of_burst();
    permissions_.end_of_burst();
    port_uses_.end_of_burst();
    leases_.end_of_burst();
}

}  // namespace sekisho::nat
