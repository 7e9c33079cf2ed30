// An outbound packet without session: may it have one, and with which mapping and port.
#include "base/mutation.h"
#include "nat/nat_shard.h"
#include "packet/views.h"

namespace sekisho::nat {
namespace {

MakeResult refused(DropReason reason, Refusal answer = Refusal::kSilent) {
    return {.kind = MakeResult::kRefused, .reason = reason, .answer = answer};
}
MakeResult made(uint32_t session) {
    return {.kind = MakeResult::kMade, .session = {session}};
}
MakeResult result_of(Outcome opened) {
    switch (opened.kind()) {
        case MakeResult::kMade:
            return made(opened.index());
        case MakeResult::kHold:
            return {.kind = MakeResult::kHold, .waiting = {opened.index()}};
        default:
            return refused(opened.reason(), opened.answer());
    }
}

// A segment in the middle of a connection.
bool may_be_picked_up(PacketKind kind, uint8_t tcp_flags) {
    return kind == PacketKind::kTcp && (tcp_flags & kOpeningFlags) == packet::kAck;
}

// Why a packet may not open a session, whoever sent it. Only a SYN opens a TCP session (RFC 5382
// REQ-2), but where connections are picked up; an ICMP reply answers nothing that we know.
std::optional<DropReason> why_no_opener(PacketKind kind, uint8_t tcp_flags) {
    if (kind == PacketKind::kTcp) {
        const bool opens = (tcp_flags & kOpeningFlags) == packet::kSyn;
        return opens ? std::nullopt : std::optional(DropReason::kNoSession);
    }
    if (is_mutated(Mutation::kRfc6888Req1) && kind == PacketKind::kIcmpQuery) {
        return DropReason::kUnknownProtocol;
    }
    if (kind == PacketKind::kIcmpQuery) {
        const bool is_reply = (tcp_flags & packet::kIcmpReply) != 0;
        return is_reply ? std::optional(DropReason::kIcmpNoSession) : std::nullopt;
    }
    return std::nullopt;
}

SessionState first_state(Protocol protocol) {
    switch (protocol) {
        case Protocol::kTcp:
            return SessionState::kTcpOpenOutbound;
        case Protocol::kUdp:
            return SessionState::kUdp;
        case Protocol::kIcmp:
            return SessionState::kIcmp;
        case Protocol::kUdpLite:
            return SessionState::kUdp;
        default:
            return SessionState::kUnanswered;
    }
}

}  // namespace

MakeResult NatShard::make_outbound(
    const FlowKey& key, PacketKind kind, uint8_t tcp_flags, Tick now
) {
    const MakeResult result = open_outbound(key, foresee(key, hash_of(key)), kind, tcp_flags, now);
    settle();
    return result;
}

// To one without a record: whom no policy covers is told so, what is not translated is prohibited.
Refusal NatShard::answer_to(const FlowKey& key) const {
    const PolicyId policy = policy_of(key.source(), key.realm());
    return policy.value < settings_->policies.size() ? settings_->policies[policy.value].refusal
                                                     : Refusal::kProhibited;
}

bool NatShard::picks_up(const FlowKey& key) const {
    if (!picks_up_any_) {
        return false;
    }
    const PolicyId policy = policy_of(key.source(), key.realm());
    return policy.value < settings_->policies.size() &&
           settings_->policies[policy.value].tcp_pickup;
}

bool NatShard::passes_protocol(const FlowKey& key) const {
    const PolicyId policy = policy_of(key.source(), key.realm());
    return policy.value >= settings_->policies.size() ||  // refused for that
           settings_->policies[policy.value].address_only[key.protocol()];
}

// NOLINTNEXTLINE(readability-function-size): a newcomer is what the caller knows of the key
MakeResult NatShard::open_outbound(
    const FlowKey& key, const Newcomer& newcomer, PacketKind kind, uint8_t tcp_flags, Tick now
) {
    const uint32_t found = find_live_session(key, newcomer.session_hash, Direction::kOutbound, now);
    if (found != kNoIndex) {
        return made(found);
    }
    const bool is_picked_up = may_be_picked_up(kind, tcp_flags) && picks_up(key);
    const auto no_opener = is_picked_up ? std::nullopt : why_no_opener(kind, tcp_flags);
    if (no_opener) {
        if (*no_opener == DropReason::kNoSession) {
            const Inside sender{key.realm(), key.source(), key.source_port()};
            log_stray(key, Direction::kOutbound, sender, tcp_flags, now);
        }
        const bool is_static_reply =
            *no_opener == DropReason::kIcmpNoSession && has_static(key, Direction::kOutbound);
        return is_static_reply ? MakeResult{.kind = MakeResult::kStaticOnly} : refused(*no_opener);
    }
    if (kind == PacketKind::kAddressOnly && !passes_protocol(key)) {
        return refused(DropReason::kUnknownProtocol);
    }
    const SessionState first =
        is_picked_up ? SessionState::kTcpPickedUp : first_state(key.protocol());
    // One call, so that it becomes a part of this.
    Way way{key, key, newcomer.session_hash};
    const Newcomer* led = &newcomer;
    Newcomer chosen;
    if (newcomer.pool != kNoPool) [[unlikely]] {
        chosen = for_chosen(key, newcomer);
        way.tag = chosen.tag;
        led = &chosen;
    }
    if (redirects_ && kind != PacketKind::kAddressOnly) [[unlikely]] {
        if (const auto target = newcomer.target ? newcomer.target : redirects_->target_of(key)) {
            way = redirected_way(way, *target);
        }
    }
    return result_of(open_new(way, *led, first, now));
}

bool NatShard::may_open(const FlowKey& key, PacketKind kind, uint8_t tcp_flags) const {
    return (may_be_picked_up(kind, tcp_flags) && picks_up(key)) ||
           !why_no_opener(kind, tcp_flags).has_value();
}

SessionIndex NatShard::find_made(const FlowKey& key, Direction direction, Tick now) {
    settle();
    return {find_live_session(key, hash_of(key), direction, now)};
}

// It opens a flow: whether it may, and what it needs for that.
NatShard::Outcome NatShard::open_new(
    const Way& way, const Newcomer& newcomer, SessionState first, Tick now
) {
    const FlowKey& key = way.key;
    const Sought sought =
        way.redirected ? seek_redirected(way, newcomer, now) : seek_mapping(key, newcomer, now);
    const FlowKey of_whom = subscriber_key(key.source(), key.realm(), way.tag);
    if (!sought.subscriber.is_made()) {
        const DropReason reason = sought.subscriber.reason();
        log_refusal(of_whom, kNoIndex, reason, now);
        return Outcome::refused(reason, answer_to(key));
    }
    uint32_t mapping = sought.mapping;
    const uint32_t subscriber = sought.subscriber.index();
    if (mapping != kNoIndex && sweeps_.ends_withdrawn &&
        directory_->is_withdrawn({mappings_[mapping].external_address})) [[unlikely]] {
        return Outcome::refused(DropReason::kAddressWithdrawn);
    }
    const Refusal answer = numbers_.at(subscribers_[subscriber].policy).refusal;
    if (const auto reason = check_limits(subscriber, key.protocol(), now)) {
        log_refusal(of_whom, subscriber, *reason, now);
        release_subscriber_if_idle(subscriber);
        return Outcome::refused(*reason, answer);
    }
    if (mapping == kNoIndex) {
        const Outcome outcome = way.keeps_source
                                    ? make_untranslated(way, sought.hash, subscriber)
                                    : allocate_mapping(way, sought.hash, subscriber, now);
        if (outcome.kind() == MakeResult::kHold) {
            return Outcome::hold(subscriber);
        }
        if (outcome.kind() == MakeResult::kRefused) {
            log_refusal(of_whom, subscriber, outcome.reason(), now);
            release_subscriber_if_idle(subscriber);
            return Outcome::refused(outcome.reason(), answer);
        }
        mapping = outcome.index();
    }
    // Where a former static mapping's sessions go on, one may be with the same host outside.
    const bool are_several = redirects_ || directory_->statics().has_former();
    const bool may_be_taken = way.redirected || (are_several && is_static(mappings_[mapping]));
    if (may_be_taken && is_taken(mapping, way)) {
        if (mappings_[mapping].sessions == 0) {
            release_mapping(mapping, false, EndCause::kUndone, now);
        }
        return Outcome::refused(DropReason::kTargetInUse, answer);
    }
    const Outcome session = make_outbound_session(way, mapping, first, now);
    if (!session.is_made()) {
        log_refusal(of_whom, kNoIndex, session.reason(), now);
        return Outcome::refused(session.reason(), answer);
    }
    Subscriber& s = subscribers_[subscriber];
    take_token(s, limits_of(s).sessions_per_second, now);
    return session;
}

// Of a protocol without ports to translate the remote address must be nobody else's behind the external one.
bool NatShard::claim_remote(const FlowKey& key, const Mapping& m, DropReason& reason) {
    if (!is_address_only(key.protocol()) || is_static(m)) {
        return true;
    }
    const ExternalIndex external = external_of(m);
    switch (directory_->claims().claim(external, key.protocol(), key.destination(), shard_)) {
        case RemoteClaims::Answer::kGranted:
            return true;
        case RemoteClaims::Answer::kTaken:
            reason = DropReason::kRemoteTaken;
            return false;
        case RemoteClaims::Answer::kFull:
            reason = DropReason::kAddressOnlyFull;
            break;
    }
    return false;
}

void NatShard::release_remote(const Mapping& m, Ipv4Addr remote) {
    const auto protocol = static_cast<Protocol>(m.protocol);
    if (is_address_only(protocol) && !is_static(m)) {
        const ExternalIndex external = external_of(m);
        directory_->claims().release(external, protocol, remote, shard_);
    }
}

// The session and, where the filter asks for it, the permission; a mapping made in vain goes again.
NatShard::Outcome NatShard::make_outbound_session(
    const Way& way, uint32_t mapping, SessionState first, Tick now
) {
    const FlowKey& key = way.onward;
    Remote remote{{key.destination(), key.destination_port()}};
    if (way.redirected) {
        remote.original = {way.key.destination(), way.key.destination_port()};
    }
    Mapping& m = mappings_[mapping];
    const bool needs_permission =
        numbers_.at(m.policy).filtering[key.protocol()] == FilteringBehaviour::kAddressDependent;
    DropReason reason = DropReason::kSessionTableFull;
    const bool claimed = claim_remote(key, m, reason);
    const bool permitted =
        claimed && (!needs_permission || permissions_.add(mapping, key.destination().raw));
    const uint32_t session = permitted ? make_session(mapping, remote, first, now) : kNoIndex;
    if (session != kNoIndex) {
        Session& s = sessions_[session];
        const uint16_t flag = needs_permission ? flow::kPermission : 0;
        s.flags = static_cast<uint16_t>(s.flags | flag);
        index_session(session, way.hash);
        return Outcome::made(session);
    }
    if (claimed) {
        release_remote(m, key.destination());
    }
    if (needs_permission && permitted) {
        permissions_.remove(mapping, key.destination().raw);
    }
    if (m.sessions == 0) {
        release_mapping(mapping, false, EndCause::kUndone, now);
    }
    return Outcome::refused(reason);
}

}  // namespace sekisho::nat
