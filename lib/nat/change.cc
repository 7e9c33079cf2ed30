// Settings that change while the shard runs. Sessions, mappings and blocks stay; what is new is made by the new settings.
#include <algorithm>

#include "base/mutation.h"
#include "nat/nat_shard.h"

namespace sekisho::nat {
namespace {

// Whether a flow's packets are led to this shard whatever the static table says of them.
bool is_claimed(RemoteClaims* claims, const FlowKey& inbound, ShardId shard) {
    return claims != nullptr &&
           (claims->find_flow(inbound) == shard ||
            claims->claim_flow(inbound, shard) == RemoteClaims::Answer::kGranted);
}

}  // namespace

// What of a pool's settings may change.
void NatShard::tune(Pool& pool, const PoolSettings& p) const {
    pool.rests = p.port_quarantine.value != 0;
    pool.most_resting = ~uint32_t{0};
    if (p.port_quarantine_ports != 0 && !is_mutated(Mutation::kRfc6888Req8Settings)) {
        const uint32_t more = shard_.value < p.port_quarantine_ports % shards_ ? 1 : 0;
        pool.most_resting = p.port_quarantine_ports / shards_ + more;
    }
    pool.blocks_per_subscriber = p.blocks_per_subscriber;
    pool.quarantine_ms = p.port_quarantine.ms();
    pool.release_delay_ms = p.block_release_delay.ms();
}

void NatShard::change_settings(const TableShares& shares, Tick now, bool routes_changed) {
    const SessionTimeouts::Change timeouts = timeouts_.follow(settings_->timeouts);
    for (size_t i = 0; i < pools_.size(); ++i) {
        Pool& pool = pools_[i];
        const uint32_t quarantine = pool.quarantine_ms;
        tune(pool, settings_->pools[i]);
        if (pool.quarantine_ms != quarantine) {
            pool.clock.set_length(pool.quarantine_ms, now);
        }
    }
    build_policies();
    home_.follow(*settings_, *directory_);
    if (directory_->static_change().is_any) {
        follow_statics(now);
    }
    may_be_aged_ = max_age_of_any_ != 0 || directory_->are_any_draining();
    begin_sweeps(timeouts, routes_changed);
    const bool are_others = shares.sessions != sessions_.limit() ||
                            shares.mappings != mappings_.limit() ||
                            shares.subscribers != subscribers_.limit();
    if (are_others) {
        table_limits_told_ = {};
    }
    sessions_.set_limit(shares.sessions);
    mappings_.set_limit(shares.mappings);
    subscribers_.set_limit(shares.subscribers);
}

// To one that is under way this is added.
void NatShard::begin_sweeps(SessionTimeouts::Change timeouts, bool routes_changed) {
    sweeps_.sets_classes = sweeps_.sets_classes || timeouts.are_classes_other;
    sweeps_.sets_timers = sweeps_.sets_timers || timeouts.is_any_lower || sweeps_.sets_classes;
    sweeps_.ends_withdrawn = sweeps_.ends_withdrawn || directory_->are_any_withdrawn() ||
                             settings_->has_destination_rules;
    sweeps_.forgets_hops = sweeps_.forgets_hops || routes_changed;
    // Whatever has changed of the tables: a weight or an entry that comes back adds nothing, but leads packets elsewhere.
    sweeps_.ends_displaced = sweeps_.ends_displaced || directory_->static_change().is_any;
    const bool ends_any = sweeps_.ends_withdrawn || sweeps_.ends_displaced;
    sweeps_.marks_triggers = sweeps_.marks_triggers || (directory_->static_change().is_any &&
                                                        directory_->triggers().are_any());
    if (sweeps_.sets_timers || ends_any || sweeps_.forgets_hops || sweeps_.marks_triggers) {
        sweeps_.begin_sessions(sessions_.high_water());
    }
    sweeps_.block = directory_->are_any_draining() ? 0 : kNoIndex;
    sweeps_.lease = ends_any && leases_.high_water() != 0 ? 0 : kNoIndex;
}

// Timers stand where the timeouts of before have put them. A few sessions a turn go where they belong, so that nobody
// whose time is over keeps a port until then. To look at one costs a fraction of what it costs to end it.
void NatShard::sweep(Tick now, uint32_t budget) {
    constexpr uint64_t kLookedForEach = 16;
    if (sweeps_.session == kNoIndex) {
        return;
    }
    uint64_t looks = std::min<uint64_t>(kLookedForEach * budget, sweeps_.left);
    uint32_t done = 0;
    for (; looks > 0 && done < budget; --looks, --sweeps_.left) {
        const uint32_t session = sweeps_.session;
        sweeps_.session = session + 1 == sessions_.high_water() ? 0 : session + 1;
        const bool is_live = (sessions_[session].flags & flow::kLive) != 0;
        done += is_live && sweep_session(session, now) ? 1 : 0;
    }
    // Until the leases at withdrawn addresses have ended, too, nothing is made there: their mappings outlive their sessions.
    if (sweeps_.left == 0 && sweeps_.lease == kNoIndex) {
        end_session_sweep();
    }
}

// Nobody has a class any more whose entry was taken away. Where another one has waited for it, all come to their turn again.
void NatShard::end_session_sweep() {
    const bool has_set_classes = sweeps_.sets_classes;
    sweeps_.end_sessions();
    if (has_set_classes && timeouts_.release_left()) {
        sweeps_.sets_classes = sweeps_.sets_timers = true;
        sweeps_.begin_sessions(sessions_.high_water());
    }
}

// Whether its external address is the appliance's no more. One at which rules have led it inside holds no block there that
// would keep the address until the end. A hairpin ends with the mapping that it goes to.
bool NatShard::is_cut_off(const Session& s) const {
    const auto is_lost = [this](uint32_t address) {
        const Ipv4Addr external{address};
        return directory_->is_withdrawn(external) ||
               (settings_->has_destination_rules && directory_->find(external).value == kNoIndex);
    };
    const bool is_hairpin = (s.flags & flow::kSessionHairpin) != 0;
    return directory_->is_withdrawn({s.external_address}) ||
           (is_forwarded(mappings_[s.mapping]) && is_lost(s.external_address)) ||
           (is_hairpin && is_lost(s.remote_address));
}

// False: it was only looked at.
bool NatShard::sweep_session(uint32_t session, Tick now) {
    Session& s = sessions_[session];
    if (sweeps_.forgets_hops) {
        s.next_hop[0] = s.next_hop[1] = 0;
    }
    if (sweeps_.ends_withdrawn && is_cut_off(s)) {
        ++pools_[pool_of_mapping(mappings_[s.mapping]).value].withdrawn;
        expire_session(session, EndCause::kWithdrawn, now);
        return true;
    }
    if (sweeps_.ends_displaced &&
        is_displaced(mappings_[s.mapping], {{s.remote_address}, {s.remote_port}})) {
        const FlowKey inbound = key_of(session, Direction::kInbound);
        const bool stays = has_static_entry(mappings_[s.mapping]) &&
                           is_claimed(directory_->forwarded(), inbound, shard_);
        if (!stays) {
            expire_session(session, EndCause::kWithdrawn, now);
        }
        return true;
    }
    if (sweeps_.marks_triggers) {
        mark_control(session);
    }
    if (sweeps_.sets_classes) {
        constexpr uint16_t kRest = (1 << flow::kTimeoutShift) - 1;
        const uint16_t own = timeouts_.class_of(static_cast<Protocol>(s.protocol), {s.remote_port});
        s.flags = static_cast<uint16_t>((s.flags & kRest) | own);
    }
    if (sweeps_.sets_timers) {
        fire_session(session, now);
    }
    return sweeps_.sets_timers;
}

// An empty block at an address that was taken away waits for no release delay, nor for its subscriber's last mapping.
void NatShard::sweep_blocks(Tick now, uint32_t budget) {
    if (sweeps_.block == kNoIndex) {
        return;
    }
    const uint32_t end = std::min(sweeps_.block + budget, blocks_.high_water());
    for (; sweeps_.block < end; ++sweeps_.block) {
        const uint32_t block = sweeps_.block;
        PortBlock& b = blocks_[block];
        const bool is_to_go =
            b.state != 0 && blocks_.is_empty(block) && !directory_->is_serving({b.external});
        if (!is_to_go) {
            continue;
        }
        if ((b.state & kBlockParked) == 0) {
            empty_.remove(blocks_, block);
            block_wheel_.cancel(block);
        }
        b.state = static_cast<uint8_t>(kBlockHeld | (b.state & kBlockAged));
        note_empty(block, now);
    }
    sweeps_.block = end == blocks_.high_water() ? kNoIndex : sweeps_.block;
}

}  // namespace sekisho::nat
