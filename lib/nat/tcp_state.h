// The TCP states of a session: what one segment does to it. Pure functions, no tables.
//
//   Source    RFC 7857 2 (which points to RFC 6146 3.5.2); RFC 5382 REQ-2 (all valid sequences,
//             simultaneous open).
//   Opening   SYN of one side: open; SYN of both: half-open; then an ACK of the opener:
//             established. So only a three-way handshake earns the long timer (PITFALLS 11).
//   Closing   a FIN a direction; both: closing.
//   Reset     a RST counts only if it is in the window (PITFALLS 13): then kTcpReset, four minutes
//             more. Any other RST is translated and changes nothing. Data within these four
//             minutes proves the RST a fake: established again, if it ever was (RFC 6146
//             3.5.2.2, TRANS).
//   Again     SYN after closing or reset: a new connection of the same endpoints; the mapping
//             stays.
//   Picked up a connection whose opening was not seen (a setting) is established when the other side
//             has answered; until then it has the short timer of an opening.
//   Window    tcp_ack[d] and tcp_window[d] come from segments of direction d and say what the other
//             side may send. Until the first ACK, a side's SYN seeds it: its sequence number + 1 is
//             what the other side will acknowledge. A SYN's window is never scaled (RFC 7323 2.2), so
//             a SYN/ACK's is kept as what, scaled, comes to no more.
//   Order     sequence numbers in host order. Cost: a table look-up. Thread: pure.
#pragma once

#include <cstdint>

#include "base/types.h"
#include "flow/session.h"
#include "packet/views.h"

namespace sekisho::nat {

// A TCP session without a handshake.
constexpr bool is_half_open(SessionState s) {
    return s == SessionState::kTcpOpenOutbound || s == SessionState::kTcpOpenInbound ||
           s == SessionState::kTcpHalfOpen || s == SessionState::kTcpPickedUp;
}

// What a segment says, reduced to what the states need. The order is that of the table in
// tcp_state.cc.
enum class TcpEvent : uint8_t {
    kNone,   // no state depends on it: a RST out of window, a segment without ACK
    kSyn,    // SYN, with ACK or without
    kAck,    // ACK, none of SYN, FIN, RST: data among them
    kFin,    // FIN
    kReset,  // a RST in window
    kCount
};

// The next state. `opener`: who sent the first SYN; `was_established`: whether a handshake has ever
// been completed.
SessionState next_tcp_state(
    SessionState state, TcpEvent event, Direction direction, Direction opener, bool was_established
);

struct TcpSegment {
    uint32_t sequence;
    uint32_t acknowledgement;
    uint16_t window;  // unscaled
    uint8_t flags;
    uint8_t scale;  // of a SYN's window scale option; kNoScale if there is none
};
inline constexpr uint8_t kNoScale = 15;

// Reads a header whose 20 bytes and data offset parse has checked; options are read for a SYN only.
TcpSegment read_tcp_segment(const uint8_t* tcp);

// Whether a RST of `direction` lies where the receiver would accept it: from the last
// acknowledgement of the other side to the end of its window (RFC 5961 3.2 asks for the exact left
// edge; a RST after lost data lies within). In answer to a SYN it must acknowledge just that SYN
// (RFC 793 3.4).
bool is_reset_in_window(const Session& session, Direction direction, const TcpSegment& segment);

// Notes acknowledgement and window and, of a SYN while the connection opens, scale and sequence
// number. Not for a RST.
void note_tcp_window(Session& session, Direction direction, const TcpSegment& segment);

// Whether the connection was seen to close: its port may go to the same subscriber at once
// (RFC 6888 REQ-8 A).
// Of these a segment that opens a connection has just the SYN.
inline constexpr uint8_t kOpeningFlags = packet::kSyn | packet::kAck | packet::kRst | packet::kFin;

constexpr bool is_tcp_closed(SessionState s) {
    return s == SessionState::kTcpClosing || s == SessionState::kTcpReset;
}

}  // namespace sekisho::nat
