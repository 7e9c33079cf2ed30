#include "nat/tcp_state.h"

#include <array>

namespace sekisho::nat {
namespace {

constexpr size_t kStates = static_cast<size_t>(SessionState::kCount);
constexpr size_t kEvents = static_cast<size_t>(TcpEvent::kCount);

using enum SessionState;

// What an event does in each direction, {outbound, inbound}.
struct Next {
    SessionState outbound;
    SessionState inbound;
};
using Row = std::array<Next, kEvents>;  // by TcpEvent

constexpr Row row(SessionState none, Next syn, Next ack, Next fin, SessionState reset) {
    return {Next{none, none}, syn, ack, fin, Next{reset, reset}};
}

// What depends on the opener or on the past (an ACK in kTcpHalfOpen and kTcpReset, a FIN in
// kTcpHalfOpen) stands here as if the condition held.
constexpr std::array<Row, kStates> make_table() {
    constexpr SessionState kOpenOut = kTcpOpenOutbound, kOpenIn = kTcpOpenInbound;
    constexpr SessionState kHalf = kTcpHalfOpen, kEst = kTcpEstablished, kClosing = kTcpClosing;
    constexpr SessionState kFinOut = kTcpFinOutbound, kFinIn = kTcpFinInbound;
    constexpr SessionState kRst = kTcpReset, kPicked = kTcpPickedUp;
    std::array<Row, kStates> t{};
    for (size_t i = 0; i < kStates; ++i) {
        const auto s = static_cast<SessionState>(i);
        t[i] = row(s, {s, s}, {s, s}, {s, s}, s);
    }
    auto set = [&t](SessionState s, Next syn, Next ack, Next fin, SessionState reset) {
        t[static_cast<size_t>(s)] = row(s, syn, ack, fin, reset);
    };
    //             SYN                  ACK                  FIN                  RST
    set(kOpenOut, {kOpenOut, kHalf}, {kOpenOut, kOpenOut}, {kOpenOut, kOpenOut}, kRst);
    set(kOpenIn, {kHalf, kOpenIn}, {kOpenIn, kOpenIn}, {kOpenIn, kOpenIn}, kRst);
    set(kHalf, {kHalf, kHalf}, {kEst, kEst}, {kFinOut, kFinIn}, kRst);
    set(kEst, {kEst, kEst}, {kEst, kEst}, {kFinOut, kFinIn}, kRst);
    set(kFinOut, {kFinOut, kFinOut}, {kFinOut, kFinOut}, {kFinOut, kClosing}, kRst);
    set(kFinIn, {kFinIn, kFinIn}, {kFinIn, kFinIn}, {kClosing, kFinIn}, kRst);
    set(kClosing, {kOpenOut, kOpenIn}, {kClosing, kClosing}, {kClosing, kClosing}, kClosing);
    set(kPicked, {kOpenOut, kPicked}, {kPicked, kEst}, {kPicked, kFinIn}, kRst);
    set(kRst, {kOpenOut, kOpenIn}, {kEst, kEst}, {kRst, kRst}, kRst);
    return t;
}
constexpr std::array<Row, kStates> kTable = make_table();

uint32_t read32(const uint8_t* p) {
    return uint32_t{p[0]} << 24 | uint32_t{p[1]} << 16 | uint32_t{p[2]} << 8 | p[3];
}

// The shift count of a SYN's window scale option (RFC 7323 2.2; at most 14), or kNoScale.
uint8_t scale_option(const uint8_t* tcp) {
    const size_t end = size_t{tcp[12]} >> 4 << 2;
    for (size_t i = 20; i < end && tcp[i] != 0;) {
        if (tcp[i] == 1) {
            ++i;
            continue;
        }
        if (i + 1 >= end || tcp[i + 1] < 2 || i + tcp[i + 1] > end) {
            break;
        }
        if (tcp[i] == 3 && tcp[i + 1] == 3) {
            return tcp[i + 2] > 14 ? uint8_t{14} : tcp[i + 2];
        }
        i += tcp[i + 1];
    }
    return kNoScale;
}

constexpr size_t index_of(Direction d) {
    return static_cast<size_t>(d);
}

constexpr uint16_t has_ack_flag(Direction d) {
    return d == Direction::kOutbound ? flow::kHasAckOutbound : flow::kHasAckInbound;
}

// The scale of what `d` announces; it counts only if both SYNs had one (RFC 7323 2.2).
unsigned scale_of(const Session& s, Direction d) {
    const unsigned outbound = s.window_scales & 15;
    const unsigned inbound = s.window_scales >> 4;
    const bool scaled = outbound != kNoScale && inbound != kNoScale;
    return !scaled ? 0 : d == Direction::kOutbound ? outbound : inbound;
}

// The window that `d` announced last, in bytes.
uint32_t window_of(const Session& s, Direction d) {
    return (s.flags & has_ack_flag(d)) != 0 ? uint32_t{s.tcp_window[index_of(d)]} << scale_of(s, d)
                                            : 0;
}

}  // namespace

SessionState next_tcp_state(
    SessionState state, TcpEvent event, Direction direction, Direction opener, bool was_established
) {
    if (state == kTcpHalfOpen && (event == TcpEvent::kAck || event == TcpEvent::kFin) &&
        direction != opener) {
        return state;
    }
    if (state == kTcpReset && event == TcpEvent::kAck && !was_established) {
        return state;
    }
    const Next next = kTable[static_cast<size_t>(state)][static_cast<size_t>(event)];
    return direction == Direction::kOutbound ? next.outbound : next.inbound;
}

TcpSegment read_tcp_segment(const uint8_t* tcp) {
    const uint8_t flags = tcp[13];
    return TcpSegment{
        read32(tcp + 4),
        read32(tcp + 8),
        static_cast<uint16_t>(tcp[14] << 8 | tcp[15]),
        flags,
        (flags & packet::kSyn) != 0 ? scale_option(tcp) : kNoScale,
    };
}

bool is_reset_in_window(const Session& session, Direction direction, const TcpSegment& segment) {
    const Direction other = opposite(direction);
    const bool answers_syn =
        (session.state == kTcpOpenOutbound && direction == Direction::kInbound) ||
        (session.state == kTcpOpenInbound && direction == Direction::kOutbound);
    if (answers_syn) {
        return (segment.flags & packet::kAck) != 0 &&
               segment.acknowledgement == session.tcp_ack[index_of(direction)];
    }
    return segment.sequence - session.tcp_ack[index_of(other)] <= window_of(session, other);
}

void note_tcp_window(Session& session, Direction direction, const TcpSegment& segment) {
    const size_t d = index_of(direction);
    const bool opening = session.state == kTcpOpenOutbound || session.state == kTcpOpenInbound ||
                         session.state == kTcpHalfOpen;
    const bool is_syn = (segment.flags & packet::kSyn) != 0;
    if (is_syn && opening) {
        const Direction other = opposite(direction);
        if ((session.flags & has_ack_flag(other)) == 0) {
            session.tcp_ack[index_of(other)] = segment.sequence + 1;
        }
        const unsigned shift = direction == Direction::kOutbound ? 0 : 4;
        const unsigned kept = session.window_scales & (0xf0U >> shift);
        session.window_scales =
            static_cast<uint8_t>(kept | static_cast<unsigned>(segment.scale) << shift);
    }
    if ((segment.flags & packet::kAck) != 0) {
        const unsigned scale = is_syn ? scale_of(session, direction) : 0;
        session.tcp_ack[d] = segment.acknowledgement;
        session.tcp_window[d] = static_cast<uint16_t>(segment.window >> scale);
        session.flags = static_cast<uint16_t>(session.flags | has_ack_flag(direction));
    }
}

}  // namespace sekisho::nat
