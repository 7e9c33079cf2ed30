// What a shard tells its log (event_log.h), and the ends that wait for room in it.
//
//   Pending   an ended session or mapping that could not be logged yet, or whose port's home could not be
//             told yet, keeps its record: it is in no
//             index and on no wheel, and its port is not free. The list of them, in the order of their
//             ends, runs through the records, in fields that nobody needs any more.
#include <cassert>

#include "nat/nat_shard.h"
#include "nat/sections.h"

namespace sekisho::nat {
namespace {

constexpr uint32_t kPendingSession = 0x80000000;  // in a link: the rest is a SessionIndex
constexpr uint32_t kToldUnitMs = 1024;            // of Subscriber::limits_told_at
constexpr uint16_t kEnded = 2;  // Mapping::state, low byte; the rest in the high one
constexpr unsigned kCauseShift = 8;
constexpr uint16_t kRests = 0x8000;
constexpr int32_t kInvalidEveryMs = 100;  // of a shard: a flood of invalid segments fills no log

Event event_of(EventKind kind, Tick now) {
    Event event{};
    event.kind = kind;
    event.tick_ms = now.ms;
    return event;
}

Event with_cause(const Event& event, EndCause cause) {
    Event ended = event;
    ended.cause = static_cast<uint8_t>(cause);
    return ended;
}

// An ended mapping needs neither policy nor counts: there lie the time and cause of its end, and the
// link to the next.
void mark_ended(Mapping& m, bool rests, EndCause cause, Tick now) {
    m.policy = static_cast<uint16_t>(now.ms);
    m.inbound_openings = static_cast<uint16_t>(now.ms >> 16);
    m.sessions = kNoIndex;
    m.state = static_cast<uint16_t>(
        kEnded | static_cast<unsigned>(cause) << kCauseShift | (rests ? kRests : 0)
    );
}
Tick end_of(const Mapping& m) {
    return {uint32_t{m.policy} | uint32_t{m.inbound_openings} << 16};
}
EndCause cause_of(const Mapping& m) {
    return static_cast<EndCause>((m.state & ~kRests) >> kCauseShift);
}

// No log of blocks tells of one that rules have led inside.
EventClass class_of(const Mapping& m) {
    return is_forwarded(m) ? kLogForwarded : kLogMappings;
}
// The configuration tells of it at any time.
bool is_untold(const Mapping& m) {
    return is_static(m) && !is_forwarded(m);
}

void mark_ended(Session& s, EndCause cause, Tick now) {
    s.flags = 0;
    s.mapping = now.ms;
    s.verdict = kNoIndex;
    s.ip_delta = static_cast<uint16_t>(cause);
}

}  // namespace

EventReader NatShard::event_reader() const {
    return log_.ring().is_made() ? EventReader(arena_.section(section::kEvents)
                                                   .first(event_ring_bytes(log_.ring().capacity())))
                                 : EventReader();
}

// Where ports are shared, only the remote endpoint tells mappings of one port apart (RFC 7857 3). The
// policy is the subscriber's: an ended mapping does not know its own any more.
Event NatShard::mapping_event(EventKind kind, uint32_t mapping, Tick now) const {
    const Mapping& m = mappings_[mapping];
    Event event = event_of(kind, now);
    event.realm = m.realm;
    event.protocol = m.protocol;
    event.internal_address = m.internal_address;
    event.external_address = m.external_address;
    event.internal_port = m.internal_port;
    event.external_port = shown_external_port(m);
    const MappingRemote remote = remote_of({mapping});
    if ((remote.exclusive & kExclusive) == 0 &&
        overloads(m.subscriber, static_cast<Protocol>(m.protocol))) {
        event.remote_address = remote.address;
        event.remote_port = remote.port;
    }
    return event;
}

void NatShard::log_mapping(uint32_t mapping, Tick now) {
    if (log_.logs(class_of(mappings_[mapping]))) {
        log_.write(mapping_event(EventKind::kMappingCreated, mapping, now));
    }
}

// What the outside has seen, and, where that is another one, to whom the subscriber has sent.
Event NatShard::session_event(EventKind kind, uint32_t session, Tick now) const {
    const Session& s = sessions_[session];
    Event event = event_of(kind, now);
    event.realm = realm_of(s).value;
    event.protocol = s.protocol;
    event.internal_address = s.internal_address;
    event.external_address = s.external_address;
    event.remote_address = s.remote_address;
    event.internal_port = s.internal_port;
    event.external_port = s.external_port;
    event.remote_port = s.remote_port;
    if ((s.realm & flow::kRedirectedRealm) != 0) [[unlikely]] {
        event.sent_to_address = originals_[session].address;
        event.sent_to_port = originals_[session].port;
    }
    return event;
}

void NatShard::log_session(uint32_t session, Tick now) {
    if (log_.logs(session_class(static_cast<Protocol>(sessions_[session].protocol)))) {
        log_.write(session_event(EventKind::kSessionCreated, session, now));
    }
}

void NatShard::log_block(EventKind kind, const PortBlock& b, Tick now) {
    if (!log_.logs(kLogBlocks)) {
        return;
    }
    const ExternalAddress& address = (*directory_)[{b.external}];
    const Subscriber& s = subscribers_[b.subscriber];
    const BitSpan span = usable_bits(b);
    const uint32_t first = uint32_t{b.number} << pools_[address.pool.value].shift;
    Event event = event_of(kind, now);
    event.realm = s.realm;
    event.internal_address = s.address;
    event.external_address = address.address.raw;
    event.external_port = Port::from_host(static_cast<uint16_t>(first + span.first)).raw;
    event.last_port = Port::from_host(static_cast<uint16_t>(first + span.last)).raw;
    event.pool = address.pool.value;
    log_.write(event);
}

// A subscriber's own limits are told of once a minute for each subscriber and limit, what concerns
// all once a minute. Only while there is room: the next refusal tells it otherwise.
void NatShard::log_refusal(
    const FlowKey& of_whom, uint32_t subscriber, DropReason reason, Tick now
) {
    if (!log_.logs(kLogLimits) || !log_.may_start(kLogLimits, waits_)) {
        return;
    }
    Event event = event_of(EventKind::kLimitReached, now);
    event.cause = static_cast<uint8_t>(reason);
    event.realm = of_whom.realm().value;
    event.internal_address = of_whom.source().raw;
    event.pool =
        subscriber == kNoIndex ? uint16_t{0xffff} : pool_of(subscribers_[subscriber]).value;
    if (reason == DropReason::kPoolExhausted && subscriber == kNoIndex) {
        const auto tag = static_cast<PoolTag>(of_whom.rest >> kTagShift);
        event.pool = numbers_.pool_of(policy_of(of_whom.source(), of_whom.realm()), tag).value;
    }
    if (reason == DropReason::kPoolExhausted && pools_[event.pool].overflow != kNoPool) {
        event.pool = pools_[event.pool].overflow.value;
    }
    bool* told = nullptr;
    switch (reason) {
        case DropReason::kSubscriberPortLimit:
        case DropReason::kSubscriberSessionLimit:
        case DropReason::kSubscriberMappingLimit:
        case DropReason::kSubscriberHalfOpen:
        case DropReason::kSubscriberRate:
            if (is_subscriber_limit_due(subscribers_[subscriber], reason, now)) {
                log_.write(event);
            }
            return;
        case DropReason::kPoolExhausted:
            told = &pools_[event.pool].was_told;
            break;
        case DropReason::kSessionTableFull:
            told = &table_limits_told_[0];
            break;
        case DropReason::kMappingTableFull:
            told = &table_limits_told_[1];
            break;
        case DropReason::kSubscriberTableFull:
            told = &table_limits_told_[2];
            break;
        case DropReason::kAddressOnlyFull:
            told = &table_limits_told_[3];
            break;
        default:
            return;
    }
    forget_limits(now);
    if (!*told) {
        *told = true;
        log_.write(event);
    }
}

// One minute for all limits that are not a subscriber's, begun by the first that is reached.
void NatShard::forget_limits(Tick now) {
    if (!log_.is_due(limits_were_told_, limits_told_at_, now)) {
        return;
    }
    limits_were_told_ = true;
    limits_told_at_ = now.ms;
    table_limits_told_ = {};
    for (Pool& pool : pools_) {
        pool.was_told = false;
    }
}

bool NatShard::is_subscriber_limit_due(Subscriber& s, DropReason reason, Tick now) {
    const auto first = static_cast<unsigned>(DropReason::kSubscriberPortLimit);
    const uint32_t bit = 1U << (static_cast<unsigned>(reason) - first);
    const auto at = static_cast<uint16_t>(now.ms / kToldUnitMs);
    const auto ago = static_cast<uint16_t>(at - s.limits_told_at);
    const bool is_old = ago > EventLog::kTellAgainMs / kToldUnitMs;
    if (s.limits_told == 0 || is_old) {
        s.limits_told = 0;
        s.limits_told_at = at;
    }
    const bool is_due = (s.limits_told & bit) == 0;
    s.limits_told = static_cast<uint8_t>(s.limits_told | bit);
    return is_due;
}

bool NatShard::may_log_invalid(Tick now) {
    const int32_t ago = elapsed_ms(Tick{invalid_told_at_}, now);
    if (!log_.logs(kLogInvalid) || (ago >= 0 && ago < kInvalidEveryMs) ||
        !log_.may_start(kLogInvalid, waits_)) {
        return false;
    }
    invalid_told_at_ = now.ms;
    return true;
}

// Of a segment that lies outside of its connection's window.
void NatShard::log_invalid(
    uint32_t session, Direction direction, const TcpSegment& segment, WindowFault fault, Tick now
) {
    if (!may_log_invalid(now)) {
        return;
    }
    Event event = session_event(EventKind::kSegmentInvalid, session, now);
    event.cause = static_cast<uint8_t>(fault);
    event.inbound = direction == Direction::kInbound ? 1 : 0;
    event.sequence_number = segment.sequence;
    event.count = segment.acknowledgement;
    log_.write(event);
}

// Of a segment that has no session and may open none. Outbound it has no external endpoint, and may never get one.
void NatShard::log_stray(
    const FlowKey& key, Direction direction, const Inside& inside, uint8_t flags, Tick now
) {
    if (!may_log_invalid(now)) {
        return;
    }
    const bool is_inbound = direction == Direction::kInbound;
    Event event = event_of(EventKind::kSegmentInvalid, now);
    event.cause = static_cast<uint8_t>(WindowFault::kNoSession);
    event.realm = inside.realm.value;
    event.protocol = static_cast<uint8_t>(key.protocol());
    event.internal_address = inside.address.raw;
    event.internal_port = inside.port.raw;
    if (is_inbound) {
        event.external_address = key.destination().raw;
        event.external_port = key.destination_port().raw;
    }
    event.remote_address = is_inbound ? key.source().raw : key.destination().raw;
    event.remote_port = is_inbound ? key.source_port().raw : key.destination_port().raw;
    event.inbound = is_inbound ? 1 : 0;
    event.count = flags;
    log_.write(event);
}

// --- ends ----------------------------------------------------------------------------------------

// The session is in no index and on no wheel any more; its record goes once its end is logged.
void NatShard::end_session(uint32_t session, EndCause cause, Tick now) {
    Session& s = sessions_[session];
    const bool is_logged = log_.logs(session_class(static_cast<Protocol>(s.protocol)));
    if (!is_logged || log_.may_end(waits_)) {
        if (is_logged) {
            log_.write(with_cause(session_event(EventKind::kSessionEnded, session, now), cause));
        }
        sessions_.release(session);
        return;
    }
    mark_ended(s, cause, now);
    append_pending(session | kPendingSession);
}

// The same for a mapping; with the record goes the port.
void NatShard::end_mapping(uint32_t mapping, bool rests, EndCause cause, Tick now) {
    const bool is_logged =
        log_.logs(class_of(mappings_[mapping])) && !is_untold(mappings_[mapping]);
    if ((!is_logged || log_.may_end(waits_)) && may_release(mappings_[mapping])) {
        if (is_logged) {
            log_.write(with_cause(mapping_event(EventKind::kMappingEnded, mapping, now), cause));
        }
        free_mapping(mapping, rests, now);
        return;
    }
    mark_ended(mappings_[mapping], rests, cause, now);
    append_pending(mapping);
}

uint32_t& NatShard::pending_link(uint32_t pending) {
    return (pending & kPendingSession) != 0 ? sessions_[pending & ~kPendingSession].verdict
                                            : mappings_[pending].sessions;
}

void NatShard::append_pending(uint32_t pending) {
    (pending_first_ == kNoIndex ? pending_first_ : pending_link(pending_last_)) = pending;
    pending_last_ = pending;
    log_.note_pending(1);
}

bool NatShard::may_end_now(uint32_t pending) {
    return (!log_.is_on() || log_.has_room_for_end(waits_)) &&
           ((pending & kPendingSession) != 0 || may_release(mappings_[pending]));
}

void NatShard::write_pending(Tick now, uint32_t budget) {
    log_.write_lost(now);
    for (; pending_first_ != kNoIndex && budget > 0 && may_end_now(pending_first_); --budget) {
        const uint32_t pending = pending_first_;
        pending_first_ = pending_link(pending);
        if ((pending & kPendingSession) != 0) {
            const uint32_t session = pending & ~kPendingSession;
            const Session& s = sessions_[session];
            const auto cause = static_cast<EndCause>(s.ip_delta);
            const Event ended = session_event(EventKind::kSessionEnded, session, {s.mapping});
            log_.write(with_cause(ended, cause));
            log_.note_pending(-1
            );  // behind the write: whoever reads that none waits finds its number given
            sessions_.release(session);
            continue;
        }
        const Mapping& m = mappings_[pending];
        if (log_.logs(class_of(m))) {
            const Event ended = mapping_event(EventKind::kMappingEnded, pending, end_of(m));
            log_.write(with_cause(ended, cause_of(m)));
        }
        log_.note_pending(-1);
        free_mapping(pending, (m.state & kRests) != 0, now);
    }
}

}  // namespace sekisho::nat
