// TCP's part of track(): every segment that is not plain data of an established connection.
#include "nat/nat_shard.h"
#include "nat/tcp_state.h"

namespace sekisho::nat {
namespace {

TcpEvent event_of(const Session& s, Direction direction, const TcpSegment& segment) {
    if ((segment.flags & packet::kRst) != 0) {
        return is_reset_in_window(s, direction, segment) ? TcpEvent::kReset : TcpEvent::kNone;
    }
    if ((segment.flags & packet::kSyn) != 0) {
        return TcpEvent::kSyn;
    }
    if ((segment.flags & packet::kFin) != 0) {
        return TcpEvent::kFin;
    }
    return (segment.flags & packet::kAck) != 0 ? TcpEvent::kAck : TcpEvent::kNone;
}

bool has_handshake(SessionState s) {
    return s == SessionState::kTcpEstablished || s == SessionState::kTcpFinOutbound ||
           s == SessionState::kTcpFinInbound;
}

bool is_closed(SessionState s) {
    return is_tcp_closed(s);
}

bool is_open(SessionState s) {
    return s == SessionState::kTcpOpenOutbound || s == SessionState::kTcpOpenInbound;
}

// Whether an inbound segment keeps a session alive. Without a handshake, and once closed, repeating
// a segment does not, nor does going round between opening and reset: a stranger who sends a SYN
// now and then would hold the subscriber's port for ever.
bool refreshes_inbound(const Session& s, SessionState next) {
    const bool took_part =
        (s.flags & flow::kWasEstablished) != 0 || (s.flags & flow::kInboundOpened) == 0;
    return has_handshake(next) || (next != s.state && took_part);
}

// Nor does a subscriber's reset that answers a stranger (RFC 7857 7.1).
bool refreshes_outbound(const Session& s, const TcpSegment& segment) {
    const bool was_theirs =
        (s.flags & flow::kWasEstablished) == 0 && (s.flags & flow::kInboundOpened) != 0;
    return (segment.flags & packet::kRst) == 0 || !was_theirs;
}

}  // namespace

void NatShard::track_tcp(uint32_t session, Direction direction, const uint8_t* tcp, Tick now) {
    Session& s = sessions_[session];
    const TcpSegment segment = read_tcp_segment(tcp);
    const Direction opener =
        (s.flags & flow::kInboundOpened) != 0 ? Direction::kInbound : Direction::kOutbound;
    const SessionState next = next_tcp_state(
        s.state,
        event_of(s, direction, segment),
        direction,
        opener,
        (s.flags & flow::kWasEstablished) != 0
    );
    const bool refreshes = direction == Direction::kOutbound ? refreshes_outbound(s, segment)
                                                             : refreshes_inbound(s, next);
    if (refreshes) {
        s.last_activity = now.ms;
    }
    if (next != s.state) {
        change_state(session, next, direction, now);
    }
    if ((segment.flags & packet::kRst) == 0) {
        note_tcp_window(s, direction, segment);
    }
    if ((segment.flags & packet::kSyn) != 0 && (s.flags & flow::kClampMss) != 0) {
        ++syns_to_clamp_;
    }
}

void NatShard::change_state(uint32_t session, SessionState next, Direction direction, Tick now) {
    Session& s = sessions_[session];
    const SessionState last = s.state;
    s.state = next;
    count_half_open(subscribers_[mappings_[s.mapping].subscriber], last, next);
    if (is_closed(last) && is_open(next)) {
        s.flags = static_cast<uint16_t>(
            s.flags & ~(flow::kHasAckOutbound | flow::kHasAckInbound | flow::kWasEstablished |
                        flow::kSeenOutbound | flow::kSeenInbound)
        );
        s.flags =
            static_cast<uint16_t>(s.flags | flow::kSeenOutbound << static_cast<size_t>(direction));
        s.window_scales = static_cast<uint8_t>(kNoScale << 4 | kNoScale);
        set_opener(s, direction);
    }
    if (has_handshake(next)) {
        s.flags = static_cast<uint16_t>(s.flags | flow::kWasEstablished);
        set_opener(s, Direction::kOutbound);
    }
    if (timeout_ms(s, next) < timeout_ms(s, last)) {
        session_wheel_.schedule(session, now + static_cast<uint32_t>(timeout_ms(s, next)));
    }
}

// A packet of a session that only one side has used so far. False: it does not keep it alive: what was opened from outside lives by
// its subscriber's answers.
bool NatShard::take_unanswered(uint32_t session, Direction direction, Tick now) {
    Session& s = sessions_[session];
    const auto protocol = static_cast<Protocol>(s.protocol);
    if (protocol == Protocol::kUdp) {
        if (direction == Direction::kInbound) {
            return false;
        }
        set_opener(s, Direction::kOutbound);
        change_state(session, SessionState::kUdp, direction, now);
    } else if (direction == Direction::kInbound) {
        s.state = answered_state(protocol);
        session_wheel_.schedule(session, now + static_cast<uint32_t>(timeout_ms(s, s.state)));
    }
    return true;
}

// A session opened from outside counts against its mapping until its handshake is complete. A
// second connection in a closed session may pass the bound: the session is there already.
void NatShard::set_opener(Session& s, Direction opener) {
    const bool counts = (s.flags & flow::kInboundOpened) != 0;
    if (counts == (opener == Direction::kInbound)) {
        return;
    }
    Mapping& m = mappings_[s.mapping];
    m.inbound_openings = static_cast<uint16_t>(m.inbound_openings + (counts ? -1 : 1));
    s.flags = static_cast<uint16_t>(s.flags ^ flow::kInboundOpened);
}

}  // namespace sekisho::nat
