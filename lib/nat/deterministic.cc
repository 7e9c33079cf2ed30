// Blocks by formula (RFC 7422): a subscriber takes its own without asking any home, since nobody else ever
// has it; what it needs beyond comes from the overflow pool. No event tells of such a block.
#include "nat/nat_shard.h"

namespace sekisho::nat {

bool NatShard::is_by_formula(const PortBlock& b) const {
    return pools_[(*directory_)[{b.external}].pool.value].is_deterministic;
}

// Takes the subscriber's own block, unless it holds it: at the end of its list, where the oldest is. False:
// there is no room for it.
bool NatShard::hold_own_block(uint32_t subscriber, Tick now) {
    Subscriber& s = subscribers_[subscriber];
    const PoolId pool_id = pool_of(s);
    const Pool& pool = pools_[pool_id.value];
    uint32_t oldest = kNoIndex;
    for (uint32_t block = s.first_block; block != kNoIndex; block = blocks_[block].next) {
        oldest = block;
    }
    if (oldest != kNoIndex && is_by_formula(blocks_[oldest])) {
        return true;
    }
    const auto external = pool.formula->external_of({s.address}, {s.realm});
    if (!external) {
        return false;
    }
    const ExternalIndex index = directory_->find(external->address);
    const auto number = static_cast<uint16_t>(external->ports.first >> pool.shift);
    const uint32_t block =
        blocks_.allocate(index, number, subscriber, clock_of(pool_id, now).epoch());
    if (block == kNoIndex) {
        return false;
    }
    s.external = index.value;
    blocks_[block].next = kNoIndex;
    (oldest == kNoIndex ? s.first_block : blocks_[oldest].next) = block;
    ++s.blocks;
    ++pools_[pool_id.value].held;
    directory_->set_owner(index, number, shard_.value);
    note_granted(block, now);
    note_empty(block, now);
    return true;
}

// Of a request for a block: the pool, and (below) the address that it is to be of, if any.
PoolId NatShard::pool_to_ask(const Subscriber& s) const {
    const PoolId pool = pool_of(s);
    return pools_[pool.value].is_deterministic ? pools_[pool.value].overflow : pool;
}

ExternalIndex NatShard::external_to_ask(const Subscriber& s) const {
    const PoolId pool = pool_to_ask(s);
    if (pools_[pool.value].pairing == Pairing::kNone) {
        return {kNoIndex};
    }
    if (pool == pool_of(s)) {
        const bool is_paired = s.external != kNoIndex && directory_->is_serving({s.external});
        return {is_paired ? s.external : kNoIndex};
    }
    for (uint32_t block = s.first_block; block != kNoIndex; block = blocks_[block].next) {
        if (!is_by_formula(blocks_[block]) && directory_->is_serving({blocks_[block].external})) {
            return {blocks_[block].external};
        }
    }
    return {kNoIndex};
}

}  // namespace sekisho::nat
