// What rules lead inside: an endpoint of a pool that nobody has, from which a packet from outside goes on to a subscriber
// (destination NAT by rules; the judge has asked them about the flow's first packet).
//
//   Session   X:x <-> X':x' with the remote endpoint Y:y, made by the first packet and bounded as what outsiders open always is: so
//             many unanswered ones a mapping, a quarter of the tables and of the subscriber's limits kept for what begins inside.
//   Mapping   X:x <-> X':x' as of a service's member (service.cc): several subscribers may stand behind X':x', and X:x may have other
//             mappings. It is the sessions that tell whose a packet is.
//   Ports     only such as no dynamic mapping may come to have (may_forward), so none is ever taken away from a subscriber.
//   Shards    the home of X':x' has asked the rules, the session is on its subscriber's shard. A claim of the flow
//             (remote_claims.h) tells all shards where; it goes with the session.
//   Source    RFC 2663 4.1.2 (bidirectional NAT); LEGACY I5.
#include "nat/nat_shard.h"
#include "packet/views.h"

namespace sekisho::nat {
namespace {

AdmitResult refused(DropReason reason) {
    return {AdmitResult::kRefused, reason, {kNoIndex}, {kNoIndex}};
}

// As the subscriber's answers show it.
FlowKey answer_of(const FlowKey& inbound, const Forward& to) {
    return FlowKey::of(
        to.to.address,
        inbound.source(),
        to.to.port,
        inbound.source_port(),
        inbound.protocol(),
        to.realm
    );
}

Mapping mapping_of(const FlowKey& inbound, const Forward& to) {
    Mapping m{};
    m.internal_address = to.to.address.raw;
    m.external_address = inbound.destination().raw;
    m.internal_port = to.to.port.raw;
    m.external_port = inbound.destination_port().raw;
    m.protocol = static_cast<uint8_t>(inbound.protocol());
    m.realm = to.realm.value;
    m.block = kForwarded;
    return m;
}

}  // namespace

bool NatShard::may_forward(const FlowKey& inbound) const {
    const ExternalIndex external = directory_->find(inbound.destination());
    const uint16_t port = inbound.destination_port().host();
    const bool has_ports =
        inbound.protocol() == Protocol::kTcp || inbound.protocol() == Protocol::kUdp;
    if (!has_ports || port == 0 || external.value == kNoIndex ||
        !directory_->is_serving(external) || find_static(inbound, Direction::kInbound) != nullptr) {
        return false;
    }
    const Pool& pool = pools_[(*directory_)[external].pool.value];
    return port < pool.ports.first || port > pool.ports.last || is_reserved(pool.reserved, port);
}

Session NatShard::scratch_forwarded(const FlowKey& inbound, const Forward& to) const {
    return scratch_of(mapping_of(inbound, to), kNoIndex, inbound.source(), inbound.source_port());
}

AdmitResult NatShard::forward_inbound(
    const FlowKey& key, const Forward& to, PacketKind kind, uint8_t tcp_flags, Tick now
) {
    const uint32_t found = find_made(key, Direction::kInbound, now).value;
    if (found != kNoIndex) {
        return {AdmitResult::kSession, {}, {found}, {kNoIndex}};
    }
    if (kind == PacketKind::kTcp && (tcp_flags & kOpeningFlags) != packet::kSyn) {
        const Inside receiver{to.realm, to.to.address, to.to.port};
        log_stray(key, Direction::kInbound, receiver, tcp_flags, now);
        return refused(DropReason::kNoSession);
    }
    if (find_made(answer_of(key, to), Direction::kOutbound, now).value != kNoIndex) {
        return refused(DropReason::kTargetInUse);
    }
    const Outcome mapping = find_or_make_forwarded(key, to, now);
    if (!mapping.is_made()) {
        return refused(mapping.reason());
    }
    settle();
    const AdmitResult result = admit_opening(key, mapping.index(), now);
    if (result.kind == AdmitResult::kRefused && mappings_[mapping.index()].sessions == 0) {
        release_mapping(mapping.index(), false, EndCause::kUndone, now);
    }
    return result;
}

NatShard::Outcome NatShard::find_or_make_forwarded(
    const FlowKey& key, const Forward& to, Tick now
) {
    const FlowKey internal = service_key(mapping_of(key, to));
    const uint32_t found = find_mapping(hash_of(internal), internal, kInternalSide);
    return found != kNoIndex ? Outcome::made(found) : make_forwarded(key, to, now);
}

// A quarter of the mapping table is kept for outbound ones, as of the session table.
NatShard::Outcome NatShard::make_forwarded(const FlowKey& key, const Forward& to, Tick now) {
    if (mappings_.size() >= share_for_inbound(mappings_.limit()) || !mappings_.has_room() ||
        !mapping_index_.has_room(LateInserts::kMost)) {
        return Outcome::refused(DropReason::kMappingTableFull);
    }
    if (!log_.may_start(kLogForwarded, waits_)) {
        return Outcome::refused(DropReason::kLogFull);
    }
    const FlowKey of_whom = subscriber_key(to.to.address, to.realm);
    const Outcome subscriber = find_or_make_subscriber(hash_of(of_whom), of_whom, now);
    if (!subscriber.is_made()) {
        return subscriber;
    }
    Subscriber& s = subscribers_[subscriber.index()];
    const uint32_t most = limits_of(s).mappings;
    if (most != 0 && s.mappings >= share_for_inbound(most)) {
        release_subscriber_if_idle(subscriber.index());
        return Outcome::refused(DropReason::kSubscriberMappingLimit);
    }
    const uint32_t mapping = make_mapping(
        answer_of(key, to),
        subscriber.index(),
        key.destination(),
        Outcome::of_port(kForwarded, key.destination_port().host())
    );
    ++s.mappings;
    const uint64_t internal = hash_of(mapping_key(mapping, kInternalSide));
    late_.insert_now(mapping_index_, internal, mapping << 1 | kInternalSide);
    const uint64_t external = hash_of(mapping_key(mapping, kExternalSide));
    late_.add(mapping_index_, external, mapping << 1 | kExternalSide);
    log_mapping(mapping, now);
    return Outcome::made(mapping);
}

}  // namespace sekisho::nat
