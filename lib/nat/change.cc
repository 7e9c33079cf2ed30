// Settings that change while the shard runs. Sessions, mappings and blocks stay; what is new is made by the new settings.
#include <algorithm>

#include "base/mutation.h"
#include "nat/nat_shard.h"

namespace sekisho::nat {

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

void NatShard::change_settings(const TableShares& shares, Tick now) {
    const auto before = timeouts_ms_;
    set_timeouts(settings_->timeouts);
    bool is_lower = false;
    for (size_t c = 0; c < before.size(); ++c) {
        for (size_t state = 0; state < before[c].size(); ++state) {
            is_lower = is_lower || timeouts_ms_[c][state] < before[c][state];
        }
    }
    swept_ = is_lower ? 0 : swept_;
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
    may_be_aged_ = max_age_of_any_ != 0 || directory_->are_any_draining();
    swept_blocks_ = directory_->are_any_draining() ? 0 : kNoIndex;
    sessions_.set_limit(shares.sessions);
    mappings_.set_limit(shares.mappings);
    subscribers_.set_limit(shares.subscribers);
    table_limits_told_ = {};
}

// Timers stand where the timeouts of before have put them. A few sessions a turn go where they belong, so that nobody
// whose time is over keeps a port until then.
void NatShard::sweep(Tick now, uint32_t budget) {
    if (swept_ == kNoIndex) {
        return;
    }
    const uint32_t end = std::min(swept_ + budget, sessions_.high_water());
    for (; swept_ < end; ++swept_) {
        if ((sessions_[swept_].flags & flow::kLive) != 0) {
            fire_session(swept_, now);
        }
    }
    swept_ = end == sessions_.high_water() ? kNoIndex : swept_;
}

// An empty block at an address that was taken away waits for no release delay, nor for its subscriber's last mapping.
void NatShard::sweep_blocks(Tick now, uint32_t budget) {
    if (swept_blocks_ == kNoIndex) {
        return;
    }
    const uint32_t end = std::min(swept_blocks_ + budget, blocks_.high_water());
    for (; swept_blocks_ < end; ++swept_blocks_) {
        const uint32_t block = swept_blocks_;
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
    swept_blocks_ = end == blocks_.high_water() ? kNoIndex : swept_blocks_;
}

}  // namespace sekisho::nat
