// An inbound packet without session: does anything inside have its destination, and does the
// filtering behaviour admit its sender (RFC 4787 REQ-8, RFC 5382 REQ-3).
#include "base/mutation.h"
#include "nat/nat_shard.h"
#include "packet/views.h"

namespace sekisho::nat {
namespace {

AdmitResult refused(DropReason reason) {
    return {AdmitResult::kRefused, reason, {kNoIndex}, {kNoIndex}};
}
AdmitResult admitted(uint32_t session) {
    return {AdmitResult::kSession, {}, {session}, {kNoIndex}};
}

}  // namespace

AdmitResult NatShard::admit_inbound(
    const FlowKey& key, PacketKind kind, uint8_t tcp_flags, Tick now
) {
    settle();
    const uint32_t found = find_live_session(key, hash_of(key), Direction::kInbound, now);
    if (found != kNoIndex) {
        return admitted(found);
    }
    if (key.protocol() == Protocol::kIcmp && has_static(key, Direction::kInbound)) {
        return admit_to_static(key, kind, tcp_flags, now);  // keeps identifiers of either side
    }
    uint32_t mapping =
        find_mapping_by_external(key.destination(), key.destination_port(), key.protocol()).value;
    if (is_mutated(Mutation::kRfc7857S6) && mapping == kNoIndex) {
        mapping =
            find_mapping_by_external(key.destination(), key.destination_port(), Protocol::kUdp)
                .value;
    }
    if (mapping != kNoIndex && directory_->statics().has_followed()) [[unlikely]] {
        mapping = mapping_in_force(key, mapping);
    }
    if (mapping == kNoIndex && !port_uses_.is_empty() && is_shared(key)) [[unlikely]] {
        return refused(DropReason::kFiltered);  // only what has a session
    }
    if (mapping == kNoIndex) {
        return admit_to_static(key, kind, tcp_flags, now);
    }
    if (!admits(mapping, key.source()) || is_from_control(key, mappings_[mapping])) {
        return refused(DropReason::kFiltered);
    }
    if (kind != PacketKind::kTcp) {
        return {AdmitResult::kMappingOnly, {}, {kNoIndex}, {mapping}};
    }
    const bool opens =
        (tcp_flags & (packet::kSyn | packet::kAck | packet::kRst | packet::kFin)) == packet::kSyn;
    if (opens) {
        return admit_opening(key, mapping, now);
    }
    const Mapping& m = mappings_[mapping];
    const Inside receiver{{m.realm}, {m.internal_address}, {m.internal_port}};
    log_stray(key, Direction::kInbound, receiver, tcp_flags, now);
    return refused(DropReason::kNoSession);
}

// A block that another shard holds by now: the packet was on its way here when it changed.
DropReason NatShard::no_mapping_reason(const FlowKey& key) const {
    const ExternalIndex external = directory_->find(key.destination());
    if (external.value != kNoIndex && directory_->is_elsewhere(external, key, shard_)) {
        return DropReason::kStaleOwner;
    }
    return key.protocol() == Protocol::kIcmp ? DropReason::kIcmpNoSession : DropReason::kNoMapping;
}

bool NatShard::admits(uint32_t mapping, Ipv4Addr remote) const {
    const Mapping& m = mappings_[mapping];
    if (remote_of({mapping}).exclusive != 0) {
        return false;
    }
    if (has_static_entry(m)) {
        return is_admitted_by_access(m, remote);
    }
    switch (numbers_.at(m.policy).filtering[static_cast<Protocol>(m.protocol)]) {
        case FilteringBehaviour::kEndpointIndependent:
            return true;
        case FilteringBehaviour::kAddressDependent:
            return permissions_.count(mapping, remote.raw) != 0 ||
                   leases_.find(mapping) != kNoIndex;
        case FilteringBehaviour::
            kAddressAndPortDependent:  // what has a session, and this packet has none
            return leases_.find(mapping) != kNoIndex;  // its subscriber has asked for everybody
    }
    return false;
}

// A mapping that lives by unanswered openings alone gets no further ones: it must end with them, or
// outsiders could keep it. One that its subscriber has asked for (lease.cc) lives by that.
AdmitResult NatShard::admit_opening(const FlowKey& key, uint32_t mapping, Tick now) {
    Mapping& m = mappings_[mapping];
    const Subscriber& s = subscribers_[m.subscriber];
    const SubscriberLimits& limits = limits_of(s);
    if (m.inbound_openings >= limits.inbound_openings ||
        (m.inbound_openings == m.sessions && !is_static(m))) {
        return refused(DropReason::kTcpUnsolicited);
    }
    if (const auto reason = check_opening_limits(s, key.protocol())) {
        return refused(*reason);
    }
    if (sessions_.size() >= share_for_inbound(sessions_.limit())) {
        return refused(DropReason::kSessionTableFull);
    }
    if (!log_.may_start(kLogSessions, waits_)) {
        return refused(DropReason::kLogFull);
    }
    const SessionState first = key.protocol() == Protocol::kTcp ? SessionState::kTcpOpenInbound
                                                                : SessionState::kUnanswered;
    const uint32_t session = make_session(mapping, {{key.source(), key.source_port()}}, first, now);
    if (session == kNoIndex) {
        return refused(DropReason::kSessionTableFull);
    }
    index_session(session, hash_of(key_of(session, Direction::kOutbound)));
    settle();
    Session& made = sessions_[session];
    made.flags = static_cast<uint16_t>(made.flags | flow::kInboundOpened);
    ++m.inbound_openings;
    return admitted(session);
}

}  // namespace sekisho::nat
