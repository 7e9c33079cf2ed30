// What a subscriber asks of its mappings by itself (RFC 6888 REQ-9; RFC 6887 11).
//
//   Mapping   of an internal endpoint, endpoint-independent, as an outbound packet would make it: in the policy's pool, out of the
//             subscriber's blocks, within its limits. One that is there already is leased as it is.
//   Filter    whoever leases a mapping wants to be reached: everybody is admitted, whatever the policy's filtering.
//   End       a lease ends with its lifetime, or when its subscriber says so; sessions that use the mapping go on, and it ends with
//             the last of them. Then its port rests (REQ-8), and its end is logged.
//   Refused   who maps by the remote endpoint has no mapping that could be asked for (kNotAuthorized).
#include <algorithm>

#include "base/mutation.h"
#include "nat/nat_shard.h"
#include "nat/policy.h"

namespace sekisho::nat {
namespace {

constexpr uint32_t kMsPerSecond = 1000;

LeaseAnswer refused(PcpResult result) {
    return {.kind = LeaseAnswer::kRefused, .result = result};
}

PcpResult result_of(DropReason reason) {
    switch (reason) {
        case DropReason::kNoPolicy:
            return PcpResult::kNotAuthorized;
        case DropReason::kSubscriberPortLimit:
        case DropReason::kSubscriberMappingLimit:
            return PcpResult::kUserExceededQuota;
        default:
            return PcpResult::kNoResources;
    }
}

RemoteEndpoint external_endpoint(const Mapping& m) {
    return {{m.external_address}, {m.external_port}};
}

// Whether an external endpoint is what was suggested, as far as anything was.
bool is_as_suggested(const RemoteEndpoint& external, const RemoteEndpoint& suggested) {
    return (suggested.port.raw == 0 || suggested.port == external.port) &&
           (suggested.address.raw == 0 || suggested.address == external.address);
}

FlowKey endpoint_of(const LeaseRequest& request) {
    return FlowKey::of(request.internal, {}, request.port, {}, request.protocol, request.realm);
}

LeaseAnswer given(const RemoteEndpoint& external, Seconds lifetime) {
    return {LeaseAnswer::kGranted, PcpResult::kSuccess, external, lifetime, {kNoIndex}};
}

}  // namespace

LeaseAnswer NatShard::lease(const LeaseRequest& request, Tick now) {
    if (is_mutated(Mutation::kRfc6888Req9)) {
        return refused(PcpResult::kNotAuthorized);
    }
    settle();
    if (request.lifetime.value == 0) {
        return end_leases(request, now);
    }
    const FlowKey key = endpoint_of(request);
    const PolicyId policy = policy_of(request.internal, request.realm);
    if (policy == kNoPolicy) {
        return refused(PcpResult::kNotAuthorized);
    }
    // It is there for good; who asks for it may rely on it as long as on any other.
    if (const StaticEntry* const entry = find_static(key, Direction::kOutbound)) {
        const RemoteEndpoint external{entry->external, entry->external_of(request.port)};
        const bool will_do = !request.must_match || is_as_suggested(external, request.suggested);
        return entry->is_member() ? refused(PcpResult::kNotAuthorized)
               : will_do          ? given(external, settings_->pcp.max_lifetime)
                                  : refused(PcpResult::kCannotProvideExternal);
    }
    const PolicySettings& p = settings_->policies[policy.value];
    if (p.mapping[request.protocol] != MappingBehaviour::kEndpointIndependent) {
        return refused(PcpResult::kNotAuthorized);
    }
    const uint32_t mapping = find_mapping(hash_of(key), key, kInternalSide);
    return mapping == kNoIndex ? make_leased(request, key, now)
                               : lease_found(request, mapping, now);
}

// The mapping is there, leased or not.
LeaseAnswer NatShard::lease_found(const LeaseRequest& request, uint32_t mapping, Tick now) {
    const Mapping& m = mappings_[mapping];
    const uint32_t lease = leases_.find(mapping);
    if (is_static(m) || (lease != kNoIndex && leases_[lease].nonce != request.nonce)) {
        return refused(PcpResult::kNotAuthorized);
    }
    if (request.must_match && !is_as_suggested(external_endpoint(m), request.suggested)) {
        return refused(PcpResult::kCannotProvideExternal);
    }
    if (directory_->is_serving(external_of(m))) {
        return attach_lease(request, mapping, now);
    }
    // Its address is being taken away: what there is goes on to its end, no longer.
    if (lease == kNoIndex || directory_->is_withdrawn({m.external_address})) {
        return refused(PcpResult::kNoResources);
    }
    const int32_t left = elapsed_ms(now, Tick{leases_[lease].end_ms});
    const uint32_t whole = left > 0 ? static_cast<uint32_t>(left) / kMsPerSecond : 0;
    return given(external_endpoint(m), {std::max(whole, 1U)});
}

// There is none: what a first packet would make, but for the session.
LeaseAnswer NatShard::make_leased(const LeaseRequest& request, const FlowKey& key, Tick now) {
    const FlowKey of_whom = subscriber_key(request.internal, request.realm);
    if (!leases_.has_room()) {
        return refused(PcpResult::kNoResources);
    }
    const Outcome found = find_or_make_subscriber(hash_of(of_whom), of_whom, now);
    if (!found.is_made()) {
        return refused(result_of(found.reason()));
    }
    const uint32_t subscriber = found.index();
    if (leases_.count_of(subscriber) >= settings_->pcp.mappings_per_subscriber) {
        release_subscriber_if_idle(subscriber);
        return refused(PcpResult::kUserExceededQuota);
    }
    const Way way{key, key, 0};
    const Outcome port = take_suggested(subscriber, request, now);
    const bool is_in_vain =
        !port.is_made() && request.must_match && request.suggested.port.raw != 0;
    const Outcome mapping = port.is_made()
                                ? enter_mapping(way, hash_of(key), {subscriber, port}, now)
                            : is_in_vain ? port
                                         : allocate_mapping(way, hash_of(key), subscriber, now);
    if (mapping.kind() == MakeResult::kHold) {
        return {.kind = LeaseAnswer::kHold, .waiting = {subscriber}};
    }
    if (!mapping.is_made()) {
        log_refusal(of_whom, subscriber, mapping.reason(), now);
        release_subscriber_if_idle(subscriber);
        const bool is_other = mapping.reason() == DropReason::kNoMapping;
        return refused(is_other ? PcpResult::kCannotProvideExternal : result_of(mapping.reason()));
    }
    settle();
    const RemoteEndpoint external = external_endpoint(mappings_[mapping.index()]);
    if (request.must_match && !is_as_suggested(external, request.suggested)) {
        release_mapping(mapping.index(), false, EndCause::kUndone, now);
        return refused(PcpResult::kCannotProvideExternal);
    }
    return attach_lease(request, mapping.index(), now);
}

// The suggested port, if it is free in a block that the subscriber has; of ports that are given out one by one the home decides.
// Refused: kNoMapping: it is not to be had.
NatShard::Outcome NatShard::take_suggested(
    uint32_t subscriber, const LeaseRequest& request, Tick now
) {
    const Outcome none = Outcome::refused(DropReason::kNoMapping);
    const FlowKey key = endpoint_of(request);
    const Subscriber& s = subscribers_[subscriber];
    const Pool& own = pools_[pool_of(s).value];
    const uint32_t wanted = request.suggested.port.host();
    if (wanted == 0 || (own.has_singles && is_single(own, key))) {
        return none;
    }
    const bool keeps_parity = own.keeps_parity && request.protocol == Protocol::kUdp;
    if (keeps_parity && (wanted ^ request.port.host()) % 2 != 0) {
        return none;
    }
    if (const auto reason = why_no_mapping(key, subscriber)) {
        return Outcome::refused(*reason);
    }
    if (!may_take_port(subscriber, request.protocol)) {
        return Outcome::refused(DropReason::kSubscriberPortLimit);
    }
    for (uint32_t block = s.first_block; block != kNoIndex; block = blocks_[block].next) {
        const PortBlock& b = blocks_[block];
        const ExternalAddress& address = (*directory_)[{b.external}];
        const uint32_t shift = pools_[address.pool.value].shift;
        const uint32_t bit = wanted - (uint32_t{b.number} << shift);
        const BitSpan span = usable_bits(b);
        const bool is_here =
            wanted >> shift == b.number && bit >= span.first && bit <= span.last &&
            is_as_suggested({address.address, request.suggested.port}, request.suggested);
        const bool was_empty = blocks_.is_empty(block);
        const unsigned slot = protocol_slot(request.protocol);
        if (is_here && !is_aged(block, now) &&
            blocks_.take_port(block, slot, bit, clock_of(address.pool, now))) {
            note_taken(block, was_empty);
            return Outcome::of_port(block, wanted);
        }
    }
    return none;
}

// The nonce is right; a new lease is within the bounds of the table, and of its subscriber.
LeaseAnswer NatShard::attach_lease(const LeaseRequest& request, uint32_t mapping, Tick now) {
    const PcpSettings& settings = settings_->pcp;
    const Seconds lifetime =
        std::clamp(request.lifetime, settings.min_lifetime, settings.max_lifetime);
    const Tick end = now + lifetime.ms();
    Mapping& m = mappings_[mapping];
    const uint32_t lease = leases_.find(mapping);
    if (lease != kNoIndex) {
        leases_.renew(lease, end);
        return given(external_endpoint(m), lifetime);
    }
    const bool is_within = leases_.count_of(m.subscriber) < settings.mappings_per_subscriber;
    const bool is_made =
        is_within && leases_.add(mapping, m.subscriber, request.nonce, end) != kNoIndex;
    if (is_made) {
        ++m.sessions;
        return given(external_endpoint(m), lifetime);
    }
    if (m.sessions == 0) {
        release_mapping(mapping, false, EndCause::kUndone, now);
    }
    return refused(is_within ? PcpResult::kNoResources : PcpResult::kUserExceededQuota);
}

// Those of a nonce, of an internal endpoint or of all; what is not there has ended (RFC 6887 15).
LeaseAnswer NatShard::end_leases(const LeaseRequest& request, Tick now) {
    const FlowKey of_whom = subscriber_key(request.internal, request.realm);
    if (request.port.raw != 0 &&
        find_static(endpoint_of(request), Direction::kOutbound) != nullptr) {
        return refused(PcpResult::kNotAuthorized);
    }
    const uint32_t subscriber = find_subscriber(hash_of(of_whom), of_whom);
    bool is_anothers = false;
    for (uint32_t lease = subscriber == kNoIndex ? kNoIndex : leases_.first_of(subscriber);
         lease != kNoIndex;) {
        const uint32_t next = leases_[lease].next;
        const Mapping& m = mappings_[leases_[lease].mapping];
        const bool is_meant =
            (request.all_protocols || static_cast<Protocol>(m.protocol) == request.protocol) &&
            (request.port.raw == 0 || m.internal_port == request.port.raw);
        if (is_meant && leases_[lease].nonce == request.nonce) {
            drop_lease(lease, EndCause::kClosed, now);
        } else {
            is_anothers = is_anothers || is_meant;
        }
        lease = next;
    }
    return is_anothers ? refused(PcpResult::kNotAuthorized) : given({}, {});
}

LeaseAnswer NatShard::external_for(RealmId realm, Ipv4Addr internal, Tick now) {
    if (is_mutated(Mutation::kRfc6888Req9)) {
        return refused(PcpResult::kNotAuthorized);
    }
    const FlowKey of_whom = subscriber_key(internal, realm);
    const Outcome found = find_or_make_subscriber(hash_of(of_whom), of_whom, now);
    if (!found.is_made()) {
        return refused(result_of(found.reason()));
    }
    const uint32_t subscriber = found.index();
    const PoolSettings& pool = settings_->pools[pool_of(subscribers_[subscriber]).value];
    const Pool& own = pools_[pool_of(subscribers_[subscriber]).value];
    Outcome paired = Outcome::made(kNoIndex);
    // One whose address drains gets its next mapping elsewhere.
    const ExternalIndex former{subscribers_[subscriber].external};
    const bool is_paired = former.value != kNoIndex && directory_->is_serving(former);
    if (!is_paired && own.is_deterministic) {
        paired =
            hold_own_block(subscriber, now) ? paired : Outcome::refused(DropReason::kPoolExhausted);
    } else if (!is_paired && !own.has_only_singles) {
        paired = acquire_block(subscriber, now);
    }
    if (paired.kind() == MakeResult::kHold) {
        return {.kind = LeaseAnswer::kHold, .waiting = {subscriber}};
    }
    const ExternalIndex external{subscribers_[subscriber].external};
    Ipv4Addr address{};
    if (external.value != kNoIndex) {
        address = (*directory_)[external].address;
    } else if (paired.is_made() && pool.address_count() == 1) {
        address = pool.addresses.front().first;
    }
    release_subscriber_if_idle(subscriber);
    if (!paired.is_made()) {
        return refused(result_of(paired.reason()));
    }
    return address.raw != 0 ? given({address, {}}, {}) : refused(PcpResult::kNetworkFailure);
}

bool NatShard::clear_lease(MappingIndex index, Tick now) {
    const uint32_t lease = leases_.find(index.value);
    if (lease == kNoIndex) {
        return false;
    }
    drop_lease(lease, EndCause::kCleared, now);
    return true;
}

// The mapping ends with it, unless sessions use it.
void NatShard::drop_lease(uint32_t lease, EndCause cause, Tick now) {
    settle();
    const uint32_t mapping = leases_[lease].mapping;
    leases_.remove(lease);
    if (--mappings_[mapping].sessions == 0) {
        release_mapping(mapping, true, cause, now);
    }
}

void NatShard::advance_leases(Tick now, uint32_t budget) {
    lease_epoch_.seconds(now);
    leases_.advance(now, budget, [&](uint32_t lease) { drop_lease(lease, EndCause::kIdle, now); });
    if (sweeps_.lease == kNoIndex) [[likely]] {
        return;
    }
    const uint32_t end = std::min(sweeps_.lease + budget, leases_.high_water());
    for (; sweeps_.lease < end; ++sweeps_.lease) {
        const Lease& lease = leases_[sweeps_.lease];
        const bool is_lost =
            lease.state != 0 &&
            (directory_->is_withdrawn({mappings_[lease.mapping].external_address}) ||
             (sweeps_.ends_displaced && is_displaced(mappings_[lease.mapping], {})));
        if (is_lost) {
            // RFC 6887 8.5: so that clients ask anew, not at half their lifetimes.
            lease_epoch_ = LeaseEpoch(now);
            drop_lease(sweeps_.lease, EndCause::kWithdrawn, now);
        }
    }
    sweeps_.lease = end == leases_.high_water() ? kNoIndex : sweeps_.lease;
}

}  // namespace sekisho::nat
