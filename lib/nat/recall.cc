// The blocks homed here: granting free ones, calling back empty ones when none is free.
#include <cassert>

#include "nat/nat_shard.h"

namespace sekisho::nat {
namespace {

ShardMessage answer(const ShardMessage& request, MessageKind kind, ShardId from) {
    ShardMessage m = request;
    m.kind = kind;
    m.from = from;
    return m;
}

}  // namespace

void NatShard::handle(const ShardMessage& message, Tick now) {
    return_unclaimed(now);
    process(message, now);
}

void NatShard::process(const ShardMessage& message, Tick now) {
    switch (message.kind) {
        case MessageKind::kBlockRequest:
            serve(message, now);
            break;
        case MessageKind::kBlockGrant:
            take_in(message, now);
            break;
        case MessageKind::kBlockRefusal:
            accept_refusal(message, now);
            break;
        case MessageKind::kBlockReturn:
            take_back(message.external, message.block);
            break;
        case MessageKind::kBlockRecall:
            answer_recall(message, now);
            break;
        case MessageKind::kRecallDone:
            finish_recall(message, now);
            break;
        case MessageKind::kPortRequest:
            serve_single(message, now);
            break;
        case MessageKind::kPortGrant:
            take_in_single(message, now);
            break;
        case MessageKind::kPortReturn:
            singles_.release(
                message.external,
                message.flags >> kSlotShift,
                message.block,
                (message.flags & kRested) == 0 && may_rest(message.pool, now),
                clock_of(message.pool, now)
            );
            break;
    }
}

// What a shard says to itself is done at once.
void NatShard::dispatch(ShardId to, const ShardMessage& message, Tick now) {
    if (to == shard_) {
        process(message, now);
        return;
    }
    [[maybe_unused]] const bool sent = outbox_.send(to, message);
    assert(sent);
}

bool NatShard::is_home_of(ShardId shard, PoolId pool) const {
    return (directory_->homes_of(pool) >> shard.value & 1) != 0;
}

size_t NatShard::recall_slot(ExternalIndex external, PoolId pool) const {
    return external.value != kNoIndex ? external.value / shards_
                                      : directory_->capacity() / shards_ + 1 + pool.value;
}

void NatShard::serve(const ShardMessage& request, Tick now) {
    if (grant_free(request, now)) {
        return;
    }
    const bool is_paired = request.external.value != kNoIndex;
    const bool may_recall =
        is_paired ? (request.flags & kAhead) == 0
                  : (request.flags & kMayRecall) != 0 && is_home_of(shard_, request.pool);
    if (may_recall) {
        recall(request, now);
    } else {
        none_left(request, now);
    }
}

bool NatShard::grant_free(const ShardMessage& request, Tick now) {
    ExternalIndex external = request.external;
    if (external.value == kNoIndex) {
        external = home_.find_most(request.pool);
    }
    if (external.value == kNoIndex) {
        return false;
    }
    const Pool& pool = pools_[request.pool.value];
    const uint32_t blocks = pool.span.last - pool.span.first + 1U;
    const uint32_t start = pool.is_random ? pool.span.first + random_below(blocks) : 0;
    const uint16_t block = home_.take(external, start);
    if (block == kNoBlock) {
        return false;
    }
    ShardMessage grant = answer(request, MessageKind::kBlockGrant, shard_);
    grant.external = external;
    grant.block = block;
    dispatch(request.requester, grant, now);
    return true;
}

// A block that this shard holds itself, empty and rested, goes home within the shard.
bool NatShard::reclaim_own(const ShardMessage& request, Tick now) {
    const uint32_t block =
        may_give_up_block()
            ? empty_.find_rested(
                  blocks_, request.external, request.pool, shard_, clock_of(request.pool, now)
              )
            : kNoIndex;
    if (block == kNoIndex) {
        return false;
    }
    give_up_block(block, now);
    return grant_free(request, now);
}

void NatShard::recall(const ShardMessage& request, Tick now) {
    const size_t slot = recall_slot(request.external, request.pool);
    if (recalls_.is_running(slot)) {
        if (!recalls_.wait(slot, request)) {
            none_left(request, now);
        }
        return;
    }
    if (recalls_.has_failed(slot, now)) {
        none_left(request, now);
        return;
    }
    if (reclaim_own(request, now)) {
        return;
    }
    if (shards_ == 1) {
        recalls_.fail(slot, now);
    }
    if (shards_ == 1 || !recalls_.has_room() || !recalls_.wait(slot, request)) {
        none_left(request, now);
        return;
    }
    start_recall(request);
}

void NatShard::start_recall(const ShardMessage& request) {
    recalls_.start(recall_slot(request.external, request.pool), shards_ - 1);
    const ShardMessage question = answer(request, MessageKind::kBlockRecall, shard_);
    for (unsigned s = 0; s < shards_; ++s) {
        if (s != shard_.value) {
            dispatch({static_cast<uint8_t>(s)}, question, {});
        }
    }
}

void NatShard::take_back(ExternalIndex external, uint16_t block) {
    [[maybe_unused]] const bool was_out = home_.give_back(external, block);
    assert(was_out);
    const PoolId pool = (*directory_)[external].pool;
    pools_[pool.value].none_left_at = {};
    recalls_.note_return(recall_slot(external, pool));
    recalls_.note_return(recall_slot({kNoIndex}, pool));
}

// All shards have answered. If something came back, those that still wait are worth another round;
// each round that brings a block serves somebody, since the receiver uses a block before it can be
// asked to give it back (WaitListener), so it ends.
void NatShard::finish_recall(const ShardMessage& done, Tick now) {
    const size_t slot = recall_slot(done.external, done.pool);
    if (!recalls_.note_done(slot)) {
        return;
    }
    const bool something_came = recalls_.returned(slot) > 0;
    while (recalls_.has_waiting(slot)) {
        const ShardMessage request = recalls_.pop(slot);
        if (grant_free(request, now)) {
            continue;
        }
        if (something_came) {
            recall(request, now);
        } else if (!reclaim_own(request, now)) {
            recalls_.fail(slot, now);
            none_left(request, now);
        }
        if (something_came && recalls_.is_running(slot)) {
            return;
        }
    }
}

void NatShard::refuse(const ShardMessage& request, Tick now) {
    if ((request.flags & kAhead) == 0) {
        ++pools_[request.pool.value].refused;
    }
    dispatch(request.requester, answer(request, MessageKind::kBlockRefusal, shard_), now);
}

// A paired request ends at its address's home, or goes on as one for any address where pairing is soft
// (RFC 7857 4). An unpaired one goes to the next home, in a second
// round with leave to call blocks back, and is refused by the last.
void NatShard::none_left(ShardMessage request, Tick now) {
    if (request.external.value != kNoIndex) {
        const bool is_soft = pools_[request.pool.value].pairing == Pairing::kSoft;
        if (!is_soft || (request.flags & kAhead) != 0) {
            refuse(request, now);
            return;
        }
        request.external = {kNoIndex};
        serve(request, now);
        return;
    }
    request.tried |= uint64_t{1} << shard_.value;
    for (unsigned i = 1; i < shards_; ++i) {
        const ShardId next{static_cast<uint8_t>((shard_.value + i) % shards_)};
        const bool was_tried = (request.tried >> next.value & 1) != 0;
        if (!was_tried && is_home_of(next, request.pool)) {
            dispatch(next, answer(request, MessageKind::kBlockRequest, shard_), now);
            return;
        }
    }
    if ((request.flags & (kMayRecall | kAhead)) != 0) {
        refuse(request, now);
        return;
    }
    request.flags |= kMayRecall;
    request.tried = 0;
    serve(request, now);
}

}  // namespace sekisho::nat
