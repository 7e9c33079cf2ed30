// Ports that are given out one by one: of a pool that preserves ports, or below 1024 where the port
// ranges are kept (RFC 4787 REQ-3 a). All 'free' of them is their home's (single_ports.h).
//
//   Choice    the internal port itself at the paired address; where pairing allows it, the same port
//             at another address; then another port, at random (RFC 6056). One that is in use, rests
//             or is a static mapping's is not free.
//   Homes     a request that may be served by any address goes from home to home twice, as one for
//             a block does: first for the wanted port, then for another in its place.
//   Held      a packet whose port comes from another shard is held, and asks again when the answer
//             is here; what was granted waits for it in `granted_` until the next message.
#include <algorithm>

#include "base/mutation.h"
#include "nat/nat_shard.h"

namespace sekisho::nat {
namespace {

constexpr uint32_t kLooked = 64;  // addresses, a request and home; the next goes on behind them

unsigned slot_of(const ShardMessage& message) {
    return message.flags >> kSlotShift;
}

}  // namespace

// ICMP identifiers are no ports, and some protocols have none: no range of theirs is well-known.
bool NatShard::is_single(const Pool& pool, const FlowKey& key) const {
    return pool.has_only_singles ||
           (pool.has_singles && protocol_slot(key.protocol()) != protocol_slot(Protocol::kIcmp) &&
            key.source_port().host() < kFirstHighPort);
}

SingleWish NatShard::single_wish(PoolId pool_id, unsigned slot, uint16_t port) const {
    const Pool& pool = pools_[pool_id.value];
    SingleWish wish{.slot = slot, .range = pool.ports};
    if (pool.keeps_ranges && slot != protocol_slot(Protocol::kIcmp)) {
        const bool is_low = port < kFirstHighPort;
        wish.range = is_low ? PortRange{pool.ports.first, kFirstHighPort - 1}
                            : PortRange{kFirstHighPort, pool.ports.last};
        wish.range.first = std::max(wish.range.first, pool.ports.first);
        wish.range.last = std::min(wish.range.last, pool.ports.last);
    }
    if (pool.keeps_parity && slot == protocol_slot(Protocol::kUdp)) {
        wish.parity = port % 2 == 0 ? PortWish::kEven : PortWish::kOdd;
    }
    return wish;
}

// --- the shard that asks -------------------------------------------------------------------------

NatShard::Outcome NatShard::allocate_single(uint32_t subscriber, const FlowKey& key, Tick now) {
    Outcome claimed = claim_single(subscriber, key);
    if (claimed.is_made()) {
        return claimed;
    }
    Subscriber& s = subscribers_[subscriber];
    if (s.wait == BlockWait::kNone) {
        if (was_refused_now(s, protocol_slot(key.protocol()), now)) {
            return Outcome::refused(DropReason::kPoolExhausted);
        }
        if (waits_ >= kMaxWaits) {
            return Outcome::refused(DropReason::kHeldOverflow);
        }
        request_single(subscriber, key, now);
        if (s.wait == BlockWait::kNone) {
            claimed = claim_single(subscriber, key);
            return claimed.is_made() ? claimed : Outcome::refused(DropReason::kPoolExhausted);
        }
    }
    s.wait = BlockWait::kNeeded;
    s.marks.is_held = true;
    return Outcome::hold();
}

NatShard::Outcome NatShard::claim_single(uint32_t subscriber, const FlowKey& key) {
    const SingleGrant granted = granted_;
    if (granted.subscriber != subscriber || granted.slot != protocol_slot(key.protocol()) ||
        granted.wanted != key.source_port().host()) {
        return Outcome::refused({});
    }
    granted_ = {};
    directory_->set_port_owner(granted.external, granted.slot, granted.port, shard_.value);
    return Outcome::of_port(kSinglePort | granted.external.value, granted.port);
}

void NatShard::request_single(uint32_t subscriber, const FlowKey& key, Tick now) {
    Subscriber& s = subscribers_[subscriber];
    ++waits_;
    s.wait = BlockWait::kNeeded;
    ShardMessage request;
    request.kind = MessageKind::kPortRequest;
    request.from = shard_;
    request.requester = shard_;
    request.flags =
        static_cast<uint8_t>(protocol_slot(key.protocol()) << kSlotShift | kSinglePorts);
    request.block = key.source_port().host();
    request.pool = pool_of(s);
    request.external = {is_mutated(Mutation::kRfc6888Req2) ? kNoIndex : s.external};
    request.subscriber = subscriber;
    request.subscriber_generation = s.generation;
    const ShardId home =
        request.external.value == kNoIndex ? shard_ : (*directory_)[request.external].home;
    dispatch(home, request, now);
}

void NatShard::take_in_single(const ShardMessage& grant, Tick now) {
    return_unclaimed(now);
    SingleGrant port;
    port.subscriber = grant.subscriber;
    port.external = grant.external;
    port.port = grant.block;
    port.wanted = static_cast<uint16_t>(grant.tried);
    port.slot = static_cast<uint8_t>(slot_of(grant));
    if (!is_awaited(grant)) {
        give_back_single(port, false, now);
        return;
    }
    // A static mapping has come to have it: whoever waits asks anew.
    if (is_fixed_single(port)) [[unlikely]] {
        give_back_single(port, false, now);
        end_wait(grant.subscriber);
        release_subscriber_if_idle(grant.subscriber);
        return;
    }
    Subscriber& s = subscribers_[grant.subscriber];
    if (s.external == kNoIndex) {
        s.external = grant.external.value;
    }
    granted_ = port;
    end_wait(grant.subscriber);
}

// The packet that it was for did not come again: it was dropped meanwhile, or its session exists.
void NatShard::return_unclaimed(Tick now) {
    if (granted_.subscriber != kNoIndex) {
        const SingleGrant port = granted_;
        granted_ = {};
        give_back_single(port, false, now);
        release_subscriber_if_idle(port.subscriber);
    }
}

// --- giving ports back ---------------------------------------------------------------------------

// Whether the end of a mapping can be told to its port's home now.
bool NatShard::may_release(const Mapping& m) const {
    return !has_single_port(m) || shards_ == 1 ||
           (*directory_)[{m.block & ~kSinglePort}].home == shard_ ||
           outbox_.room() > outbox_reserve_;
}

void NatShard::release_single(const Mapping& m, bool rests, Tick now) {
    SingleGrant port;
    port.external = {m.block & ~kSinglePort};
    port.port = Port{m.external_port}.host();
    port.slot = static_cast<uint8_t>(protocol_slot(static_cast<Protocol>(m.protocol)));
    directory_->set_port_owner(port.external, port.slot, port.port, kOwnedByHome);
    give_back_single(port, rests, now);
}

void NatShard::give_back_single(const SingleGrant& port, bool rests, Tick now) {
    const ExternalAddress& address = (*directory_)[port.external];
    ShardMessage back;
    back.kind = MessageKind::kPortReturn;
    back.from = shard_;
    back.requester = shard_;
    back.flags = static_cast<uint8_t>(port.slot << kSlotShift | (rests ? 0 : kRested));
    back.block = port.port;
    back.pool = address.pool;
    back.external = port.external;
    dispatch(address.home, back, now);
}

// --- the home ------------------------------------------------------------------------------------

void NatShard::serve_single(ShardMessage request, Tick now) {
    while (!grant_single(request, now)) {
        if (pass_on_single(request, now)) {
            return;
        }
    }
}

bool NatShard::grant_single_of(const ShardMessage& request, ExternalIndex external, Tick now) {
    const RestClock& clock = clock_of(request.pool, now);
    const unsigned slot = slot_of(request);
    const SingleWish wish = single_wish(request.pool, slot, request.block);
    const bool is_in_range = wish.range.first <= request.block && request.block <= wish.range.last;
    uint16_t port = 0;
    if (is_in_range && singles_.take(external, slot, request.block, clock)) {
        port = request.block;
    } else if ((request.flags & kOtherPort) != 0) {
        const uint32_t size = wish.range.last + 1U - wish.range.first;
        const auto start = static_cast<uint16_t>(wish.range.first + random_below(size));
        port = singles_.take_any(external, wish, start, clock);
    }
    if (port == 0) {
        return false;
    }
    ShardMessage grant = request;
    grant.kind = MessageKind::kPortGrant;
    grant.from = shard_;
    grant.external = external;
    grant.block = port;
    grant.tried = request.block;
    dispatch(request.requester, grant, now);
    return true;
}

// First the paired address; where pairing allows or nothing is paired yet, others homed here. Where
// the subscriber will want blocks as well, it is paired with an address that has some, if one of those
// has the port.
bool NatShard::grant_single(const ShardMessage& request, Tick now) {
    const Pool& pool = pools_[request.pool.value];
    const bool is_paired = request.external.value != kNoIndex;
    if (is_paired && (*directory_)[request.external].home == shard_ &&
        grant_single_of(request, request.external, now)) {
        return true;
    }
    if (is_paired && pool.pairing == Pairing::kHard) {
        return false;
    }
    const ExternalIndex most =
        pool.has_only_singles ? ExternalIndex{kNoIndex} : home_.find_most(request.pool);
    if (most.value != kNoIndex && grant_single_of(request, most, now)) {
        return true;
    }
    const SingleWish wish = single_wish(request.pool, slot_of(request), request.block);
    const bool is_choosy =
        !pool.has_only_singles && !is_paired && (request.flags & kOtherPort) == 0;
    // In the second round none is met again before it may have a port.
    const uint32_t homed = singles_.homed_of(request.pool);
    const uint32_t looked = (request.flags & kOtherPort) != 0 ? homed : std::min(homed, kLooked);
    for (uint32_t i = 0; i < looked; ++i) {
        const ExternalIndex external =
            singles_.next_address(request.pool, wish, clock_of(request.pool, now));
        if (external.value == kNoIndex) {
            return false;
        }
        const bool will_do = !is_choosy || home_.free_blocks_of(external) > 0;
        if (will_do && grant_single_of(request, external, now)) {
            return true;
        }
    }
    return false;
}

// To the next home, or to the first one's second round. True if the request has left this one, or has
// been refused by the last.
bool NatShard::pass_on_single(ShardMessage& request, Tick now) {
    const bool is_bound =
        request.external.value != kNoIndex && pools_[request.pool.value].pairing == Pairing::kHard;
    request.tried |= uint64_t{1} << shard_.value;
    for (unsigned i = 1; i < shards_ && !is_bound; ++i) {
        const ShardId next{static_cast<uint8_t>((shard_.value + i) % shards_)};
        const bool was_tried = (request.tried >> next.value & 1) != 0;
        if (!was_tried && is_home_of(next, request.pool)) {
            request.from = shard_;
            dispatch(next, request, now);
            return true;
        }
    }
    if ((request.flags & kOtherPort) != 0) {
        refuse(request, now);
        return true;
    }
    request.flags |= kOtherPort;
    request.tried = 0;
    const ShardId first =
        request.external.value != kNoIndex ? (*directory_)[request.external].home : shard_;
    if (first == shard_) {
        return false;
    }
    dispatch(first, request, now);
    return true;
}

}  // namespace sekisho::nat
