// The blocks that this shard holds: ports out of them, asking for more, giving them up.
#include <algorithm>
#include <cassert>

#include "base/mutation.h"
#include "nat/nat_shard.h"

namespace sekisho::nat {
namespace {

constexpr uint32_t kPortsPerBlockAhead = 8;  // the next block is asked for at 7/8

}  // namespace

// --- ports ---------------------------------------------------------------------------------------

BitSpan NatShard::usable_bits(const PortBlock& b) const {
    const Pool& pool = pools_[(*directory_)[{b.external}].pool.value];
    const uint32_t first = uint32_t{b.number} << pool.shift;
    const uint32_t last = first + (1U << pool.shift) - 1;
    return {
        std::max<uint32_t>(first, pool.ports.first) - first,
        std::min<uint32_t>(last, pool.ports.last) - first};
}

// Parity and contiguity are UDP's (RFC 4787 REQ-4). Parity is kept or the packet refused: a NAT that
// kept it only while it is idle would behave differently under load (REQ-11).
uint32_t NatShard::allocate_from(uint32_t block, const FlowKey& key, Tick now) {
    const PoolId pool = (*directory_)[{blocks_[block].external}].pool;
    if (!pools_[pool.value].keeps_parity || key.protocol() != Protocol::kUdp) {
        return take_port(block, key.protocol(), PortWish::kAny, now);
    }
    if (key.source_port().host() % 2 != 0) {
        return take_port(block, key.protocol(), PortWish::kOdd, now);
    }
    const uint32_t port = pools_[pool.value].keeps_contiguity
                              ? take_port(block, key.protocol(), PortWish::kEvenOfPair, now)
                              : kNoPort;
    return port != kNoPort ? port : take_port(block, key.protocol(), PortWish::kEven, now);
}

uint32_t NatShard::take_port(uint32_t block, Protocol protocol, PortWish wish, Tick now) {
    PortBlock& b = blocks_[block];
    const PoolId pool_id = (*directory_)[{b.external}].pool;
    const Pool& pool = pools_[pool_id.value];
    const BitSpan span = usable_bits(b);
    const uint32_t size = span.last - span.first + 1;
    const uint32_t start = pool.is_random ? span.first + random_below(size) : b.cursor;
    const bool was_empty = blocks_.is_empty(block);
    const uint32_t bit = blocks_.allocate_port(
        block, protocol_slot(protocol), span, start, clock_of(pool_id, now), wish
    );
    if (bit == kNoPort) {
        return kNoPort;
    }
    note_taken(block, was_empty);
    return (uint32_t{b.number} << pool.shift) + bit;
}

void NatShard::note_taken(uint32_t block, bool was_empty) {
    PortBlock& b = blocks_[block];
    if (!was_empty) {
        return;
    }
    if ((b.state & kBlockParked) == 0) {
        empty_.remove(blocks_, block);
        block_wheel_.cancel(block);
    }
    const Pool& pool = pools_[(*directory_)[{b.external}].pool.value];
    const bool is_first = b.next == kNoIndex && pool.keeps_first;
    b.state = is_first ? kBlockHeld | kBlockFirst : kBlockHeld;
    if (pool.max_age_ms != 0) [[unlikely]] {
        watch_age(block);
    }
}

// The external port after that of the mapping of the port before this one, if that is free.
NatShard::Outcome NatShard::allocate_neighbour(uint32_t subscriber, const FlowKey& key, Tick now) {
    const Pool& pool = pools_[pool_of(subscribers_[subscriber]).value];
    const uint16_t internal = key.source_port().host();
    const bool is_second = internal % 2 != 0 && key.protocol() == Protocol::kUdp;
    if (!pool.keeps_contiguity || !is_second) {
        return Outcome::refused({});
    }
    const FlowKey before = FlowKey::of(
        key.source(),
        key.destination(),
        Port::from_host(static_cast<uint16_t>(internal - 1)),
        key.destination_port(),
        key.protocol(),
        key.realm()
    );
    const PoolTag tag = numbers_.tag_of(subscribers_[subscriber].policy);
    const MappingIndex mapping = find_mapping_of(before, tag);
    if (mapping.value == kNoIndex || is_static(mappings_[mapping.value]) ||
        has_single_port(mappings_[mapping.value]) || is_aged(mappings_[mapping.value].block, now)) {
        return Outcome::refused({});
    }
    const Mapping& first = mappings_[mapping.value];
    const PoolId its_pool = (*directory_)[{blocks_[first.block].external}].pool;
    const uint32_t port = Port{first.external_port}.host() + 1U;
    const uint32_t bit = port & ((1U << pools_[its_pool.value].shift) - 1);
    const BitSpan span = usable_bits(blocks_[first.block]);
    if (port % 2 == 0 || bit > span.last) {
        return Outcome::refused({});
    }
    const bool is_taken =
        blocks_.take_port(first.block, protocol_slot(key.protocol()), bit, clock_of(its_pool, now));
    return is_taken ? Outcome::of_port(first.block, port) : Outcome::refused({});
}

// Where pairing is soft, blocks at another address come after all of those at the paired one.
NatShard::Outcome NatShard::allocate_from_held(uint32_t subscriber, const FlowKey& key, Tick now) {
    const Subscriber& s = subscribers_[subscriber];
    bool is_elsewhere = false;
    const auto allocate = [&](uint32_t block) {
        const uint32_t port = is_aged(block, now) ? kNoPort : allocate_from(block, key, now);
        if (port != kNoPort) {
            ask_ahead(subscriber, block, key.protocol(), now);
        }
        return port;
    };
    for (uint32_t block = s.first_block; block != kNoIndex; block = blocks_[block].next) {
        const bool at_paired = blocks_[block].external == s.external;
        is_elsewhere = is_elsewhere || !at_paired;
        const uint32_t port = at_paired ? allocate(block) : kNoPort;
        if (port != kNoPort) {
            return Outcome::of_port(block, port);
        }
    }
    for (uint32_t block = is_elsewhere ? s.first_block : kNoIndex; block != kNoIndex;
         block = blocks_[block].next) {
        const bool at_paired = blocks_[block].external == s.external;
        const uint32_t port = at_paired ? kNoPort : allocate(block);
        if (port != kNoPort) {
            return Outcome::of_port(block, port);
        }
    }
    return Outcome::refused({});
}

NatShard::Outcome NatShard::allocate_port(uint32_t subscriber, const FlowKey& key, Tick now) {
    const Subscriber& s = subscribers_[subscriber];
    if (!may_take_port(subscriber, key.protocol())) {
        return Outcome::refused(DropReason::kSubscriberPortLimit);
    }
    const Pool& pool = pools_[pool_of(s).value];
    if (pool.has_singles && is_single(pool, key)) {
        return allocate_single(subscriber, key, now);
    }
    if (pool.is_deterministic && !hold_own_block(subscriber, now)) {
        return Outcome::refused(DropReason::kPoolExhausted);
    }
    const Outcome neighbour = allocate_neighbour(subscriber, key, now);
    if (neighbour.is_made()) {
        return neighbour;
    }
    const Outcome held = allocate_from_held(subscriber, key, now);
    if (held.is_made()) {
        return held;
    }
    if (!may_have_block(subscriber, now)) {
        return Outcome::refused(DropReason::kSubscriberPortLimit);
    }
    const Outcome outcome = acquire_block(subscriber, now);
    if (!outcome.is_made()) {
        return outcome;
    }
    // None, where reserved ports leave none of the parity that is wanted.
    const uint32_t port = allocate_from(outcome.index(), key, now);
    return port != kNoPort ? Outcome::of_port(outcome.index(), port)
                           : Outcome::refused(DropReason::kPoolExhausted);
}

void NatShard::release_port(const Mapping& m, bool rests, Tick now) {
    if (has_single_port(m)) {
        release_single(m, rests, now);
        return;
    }
    const PortBlock& b = blocks_[m.block];
    const PoolId pool_id = (*directory_)[{b.external}].pool;
    const Pool& pool = pools_[pool_id.value];
    const uint32_t bit = Port{m.external_port}.host() & ((1U << pool.shift) - 1);
    blocks_.release_port(
        m.block,
        protocol_slot(static_cast<Protocol>(m.protocol)),
        bit,
        rests && may_rest(pool_id, now),
        clock_of(pool_id, now)
    );
    if (directory_->are_any_shared()) [[unlikely]] {
        withhold_fixed(m);
    }
    if (blocks_.is_empty(m.block)) {
        note_empty(m.block, now);
    }
}

// --- asking for blocks ---------------------------------------------------------------------------

// As many as are set that still take new mappings, besides the one by formula; with those that are too old
// twice as many, so that nobody keeps a pool by one mapping in each block.
bool NatShard::may_have_block(uint32_t subscriber, Tick now) const {
    constexpr uint32_t kMost = 255;  // Subscriber::blocks
    const Subscriber& s = subscribers_[subscriber];
    const PoolId pool = pool_to_ask(s);
    if (pool == kNoPool) {
        return false;
    }
    const uint32_t own = pool == pool_of(s) ? 0 : 1;
    const uint32_t each = pools_[pool.value].blocks_per_subscriber;
    if (s.blocks < std::min(own + each, kMost)) {
        return true;
    }
    if (!may_be_aged_ || s.blocks >= std::min(own + 2 * each, kMost)) {
        return false;
    }
    uint32_t young = 0;
    for (uint32_t block = s.first_block; block != kNoIndex; block = blocks_[block].next) {
        young += is_aged(block, now) ? 0 : 1;
    }
    return young < own + each;
}

// A block for a subscriber that has no free port. Where the answer comes from another shard the
// packet is held; where the home is this one, it is here at once.
NatShard::Outcome NatShard::acquire_block(uint32_t subscriber, Tick now) {
    Subscriber& s = subscribers_[subscriber];
    if (s.wait == BlockWait::kNone) {
        if (!log_.may_start(kLogBlocks, waits_)) {
            return Outcome::refused(DropReason::kLogFull);
        }
        if (was_refused_now(s, kRefusedBlock, now)) {
            return Outcome::refused(DropReason::kPoolExhausted);
        }
        if (!request_block(subscriber, BlockWait::kNeeded, now)) {
            return Outcome::refused(DropReason::kHeldOverflow);
        }
        if (s.wait == BlockWait::kNone) {
            return was_refused_now(s, kRefusedBlock, now)
                       ? Outcome::refused(DropReason::kPoolExhausted)
                       : Outcome::made(s.first_block);
        }
    }
    s.wait = BlockWait::kNeeded;
    s.marks.is_held = true;
    return Outcome::hold();
}

// Asks another shard for the next block before this one is full. Never done where the home is this
// shard; a block that came too early is empty and can be called back.
void NatShard::ask_ahead(uint32_t subscriber, uint32_t block, Protocol protocol, Tick now) {
    const Subscriber& s = subscribers_[subscriber];
    const PortBlock& b = blocks_[block];
    if (shards_ == 1 || (*directory_)[{b.external}].home == shard_ ||
        pools_[pool_of(s).value].is_deterministic) {
        return;
    }
    const BitSpan span = usable_bits(b);
    const uint32_t size = span.last - span.first + 1;
    const bool is_due = b.in_use[protocol_slot(protocol)] == size - size / kPortsPerBlockAhead;
    if (is_due && block == s.first_block && s.wait == BlockWait::kNone &&
        may_have_block(subscriber, now) && log_.may_start(kLogBlocks, waits_)) {
        (void)request_block(subscriber, BlockWait::kAhead, now);
    }
}

// False if too many requests are under way.
bool NatShard::request_block(uint32_t subscriber, BlockWait wait, Tick now) {
    if (waits_ >= kMaxWaits) {
        return false;
    }
    Subscriber& s = subscribers_[subscriber];
    ++waits_;
    s.wait = wait;
    s.marks.refused = static_cast<uint8_t>(s.marks.refused & ~(1U << kRefusedBlock) & 0xf);
    ShardMessage request;
    request.kind = MessageKind::kBlockRequest;
    request.from = shard_;
    request.requester = shard_;
    request.flags = wait == BlockWait::kAhead ? kAhead : 0;
    request.pool = pool_to_ask(s);
    request.external =
        is_mutated(Mutation::kRfc6888Req2) ? ExternalIndex{kNoIndex} : external_to_ask(s);
    request.subscriber = subscriber;
    request.subscriber_generation = s.generation;
    const ShardId home =
        request.external.value == kNoIndex ? shard_ : (*directory_)[request.external].home;
    dispatch(home, request, now);
    return true;
}

void NatShard::end_wait(uint32_t subscriber) {
    Subscriber& s = subscribers_[subscriber];
    s.wait = BlockWait::kNone;
    --waits_;
    if (s.marks.is_held) {
        s.marks.is_held = false;
        if (listener_ != nullptr) {
            listener_->wait_is_over({subscriber});
        }
    }
}

bool NatShard::is_awaited(const ShardMessage& answer) const {
    if (answer.subscriber >= subscribers_.high_water()) {
        return false;
    }
    const Subscriber& s = subscribers_[answer.subscriber];
    return s.state != 0 && s.generation == answer.subscriber_generation &&
           s.wait != BlockWait::kNone;
}

// What was granted while its address was taken away, or while a static mapping came to lie in it, goes back.
void NatShard::take_in(const ShardMessage& grant, Tick now) {
    const bool is_wanted = is_awaited(grant);
    const bool serves = directory_->is_serving(grant.external) &&
                        !directory_->is_fixed_block(grant.external, grant.block);
    const uint32_t block =
        is_wanted && serves
            ? blocks_.allocate(
                  grant.external, grant.block, grant.subscriber, clock_of(grant.pool, now).epoch()
              )
            : kNoIndex;
    if (block == kNoIndex) {
        ShardMessage back = grant;
        back.kind = MessageKind::kBlockReturn;
        back.from = shard_;
        dispatch((*directory_)[grant.external].home, back, now);
        if (is_wanted && serves) {
            accept_refusal(grant, now);
        } else if (is_wanted) {
            end_wait(grant.subscriber);  // whoever waits asks anew, for another address
            release_subscriber_if_idle(grant.subscriber);
        }
        return;
    }
    Subscriber& s = subscribers_[grant.subscriber];
    blocks_[block].next = s.first_block;
    s.first_block = block;
    ++s.blocks;
    const bool is_paired = s.external != kNoIndex && directory_->is_serving({s.external});
    s.external = is_paired ? s.external : grant.external.value;
    ++pools_[grant.pool.value].held;
    directory_->set_owner(grant.external, grant.block, shard_.value);
    note_granted(block, now);
    note_empty(block, now);
    log_block(EventKind::kBlockGranted, blocks_[block], now);
    end_wait(grant.subscriber);
}

void NatShard::accept_refusal(const ShardMessage& refusal, Tick now) {
    if (!is_awaited(refusal)) {
        return;
    }
    if ((refusal.flags & kAhead) == 0) {
        const bool is_single = (refusal.flags & kSinglePorts) != 0;
        const unsigned slot = refusal.flags >> kSlotShift;
        note_refusal(refusal.subscriber, is_single ? slot : kRefusedBlock, now);
        if (!is_single && refusal.external.value == kNoIndex) {
            pools_[refusal.pool.value].none_left_at = none_left_at_ = now;
        }
    }
    end_wait(refusal.subscriber);
    release_subscriber_if_idle(refusal.subscriber);
}

void NatShard::note_granted(uint32_t block, Tick now) {
    const PortBlock& b = blocks_[block];
    const Pool& pool = pools_[(*directory_)[{b.external}].pool.value];
    if (!pool.reserved.empty()) {
        const size_t words = (size_t{1} << pool.shift) / 64;
        blocks_.reserve(block, std::span(pool.reserved).subspan(b.number * words, words));
    }
    if (pool.max_age_ms != 0) {
        granted_at_[block] = now.ms;
    }
}

// --- their age -----------------------------------------------------------------------------------

// Whether no new mapping gets a port of it any more: it ends when it is empty.
bool NatShard::is_aged(uint32_t block, Tick now) const {
    if (!may_be_aged_) [[likely]] {
        return false;
    }
    return !directory_->is_serving({blocks_[block].external}) || ms_to_grow_old(block, now) == 0;
}

// Of a block of a pool without such a bound all that there is.
uint32_t NatShard::ms_to_grow_old(uint32_t block, Tick now) const {
    const PortBlock& b = blocks_[block];
    const uint32_t most = pools_[(*directory_)[{b.external}].pool.value].max_age_ms;
    if (most == 0 || (b.state & kBlockAged) != 0) {
        return most == 0 ? kNoIndex : 0;
    }
    const int32_t age = elapsed_ms(Tick{granted_at_[block]}, now);
    return age < 0 ? most : most - std::min(most, static_cast<uint32_t>(age));
}

// The wheel tells when it is too old, since a comparison of ticks alone would make it young again. Only
// while it is not among the empty ones, which the wheel lets go.
void NatShard::watch_age(uint32_t block) {
    const uint32_t most = pools_[(*directory_)[{blocks_[block].external}].pool.value].max_age_ms;
    block_wheel_.schedule(block, Tick{granted_at_[block]} + most);
}

void NatShard::grow_old(uint32_t block, Tick now) {
    PortBlock& b = blocks_[block];
    assert(max_age_of_any_ != 0);
    if (ms_to_grow_old(block, now) != 0) {
        watch_age(block);  // beyond the wheel's horizon
        return;
    }
    const bool was_parked = (b.state & kBlockParked) != 0;
    b.state = kBlockHeld | kBlockAged;
    if (was_parked) {
        note_empty(block, now);
    }
}

// --- giving blocks up ----------------------------------------------------------------------------

// At an address that the appliance has no more, nobody could get a port too early.
bool NatShard::has_rested(uint32_t block, Tick now) {
    const ExternalAddress& address = (*directory_)[{blocks_[block].external}];
    return address.state == AddressState::kWithdrawn ||
           blocks_.is_rested(block, clock_of(address.pool, now));
}

// The last port of a block is free: it may be called back as soon as it has rested, and goes home
// by itself after the release delay. What was freed last rests less than two quarantines.
void NatShard::note_empty(uint32_t block, Tick now) {
    const PoolId pool_id = (*directory_)[{blocks_[block].external}].pool;
    const Pool& pool = pools_[pool_id.value];
    if (park(block, now)) {
        return;
    }
    const bool is_rested = has_rested(block, now);
    empty_.push(blocks_, block, is_rested);
    const uint32_t rest = is_rested ? 0 : 2 * pool.quarantine_ms;
    const uint32_t to_age = max_age_of_any_ == 0 ? kNoIndex : ms_to_grow_old(block, now);
    const uint32_t young = is_aged(block, now) ? 0 : to_age;
    const uint32_t delay = std::min(pool.release_delay_ms, young - std::min(young, rest));
    block_wheel_.schedule(block, now + (rest + delay));
}

// An empty first block that its subscriber keeps, since it has mappings elsewhere, is on no list; the wheel
// tells its age alone.
bool NatShard::park(uint32_t block, Tick now) {
    PortBlock& b = blocks_[block];
    if ((b.state & kBlockFirst) == 0 || subscribers_[b.subscriber].mappings == 0 ||
        is_aged(block, now)) {
        return false;
    }
    b.state = static_cast<uint8_t>(b.state | kBlockParked);
    return true;
}

// The subscriber's last mapping is gone: its first block goes as any other.
void NatShard::end_parking(uint32_t subscriber, Tick now) {
    for (uint32_t block = subscribers_[subscriber].first_block; block != kNoIndex;
         block = blocks_[block].next) {
        if ((blocks_[block].state & kBlockParked) != 0) {
            blocks_[block].state = kBlockHeld;
            note_empty(block, now);
        }
    }
}

void NatShard::fire_block(uint32_t block, Tick now) {
    if (!blocks_.is_empty(block) || (blocks_[block].state & kBlockParked) != 0) {
        grow_old(block, now);
        return;
    }
    const bool is_rested = has_rested(block, now);
    const bool has_room = shards_ == 1 || outbox_.room() > outbox_reserve_;
    if (!is_rested || !has_room || !may_give_up_block()) {
        block_wheel_.schedule(block, now + flow::TimingWheel::kSlotMs);
        return;
    }
    give_up_block(block, now);
}

void NatShard::give_up_block(uint32_t block, Tick now) {
    const PortBlock b = blocks_[block];
    const bool is_granted = !is_by_formula(b);
    if (is_granted) {
        log_block(EventKind::kBlockReleased, b, now);
    }
    Subscriber& s = subscribers_[b.subscriber];
    uint32_t* link = &s.first_block;
    while (*link != block) {
        link = &blocks_[*link].next;
    }
    *link = b.next;
    --s.blocks;
    empty_.remove(blocks_, block);
    block_wheel_.cancel(block);
    blocks_.release(block);
    const ExternalAddress& address = (*directory_)[{b.external}];
    --pools_[address.pool.value].held;
    directory_->give_up({b.external}, b.number);
    ShardMessage back;
    back.kind = MessageKind::kBlockReturn;
    back.from = shard_;
    back.requester = shard_;
    back.block = b.number;
    back.pool = address.pool;
    back.external = {b.external};
    if (is_granted) {
        dispatch(address.home, back, now);
    }
    release_subscriber_if_idle(b.subscriber);
}

void NatShard::answer_recall(const ShardMessage& recall, Tick now) {
    const uint32_t block =
        may_give_up_block()
            ? empty_.find_rested(
                  blocks_, recall.external, recall.pool, recall.from, clock_of(recall.pool, now)
              )
            : kNoIndex;
    if (block != kNoIndex) {
        give_up_block(block, now);
    }
    ShardMessage done = recall;
    done.kind = MessageKind::kRecallDone;
    done.from = shard_;
    dispatch(recall.from, done, now);
}

}  // namespace sekisho::nat
