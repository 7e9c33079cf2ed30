// Whether a TCP segment lies where both ends of its connection would take it. Pure functions on a
// record beside the session, for policies that ask for it.
//
//   Rules     of a segment of direction d, o being the other side (RFC 9293 3.10.7.4, with what only
//             a bystander must assume: he sees neither what is lost behind him nor what is late):
//             1 it begins no further than the last byte that o has ever allowed;
//             2 it ends no further back than o's largest window behind d's last byte;
//             3 it acknowledges nothing that o has not sent;
//             4 nor less than d's largest window, 66 000 at least, behind o's last byte.
//   Unseen    what is not known of a side yet is not judged: its next segment says it. A bare SYN is
//             never judged: an end that has forgotten the connection must be heard (RFC 5961 4).
//   Scales    count when both SYNs had one (RFC 7323 2.2), never in a SYN. Of a connection that was
//             picked up they are not known: 14 is assumed.
//   Order     host order. Sequence numbers wrap; windows are below 2^30. Cost: a few comparisons.
//   Thread    pure.
#pragma once

#include <cstdint>

#include "base/types.h"
#include "flow/session.h"
#include "nat/tcp_state.h"

namespace sekisho::nat {

// By Direction. Zeroes: nothing is known.
struct TcpWindow {
    uint32_t end[2];     // behind the last byte that it has sent
    uint32_t limit[2];   // behind the last byte that the other side has allowed it
    uint32_t window[2];  // the largest that it has announced, in bytes
    uint8_t known;       // bit d: end[d]; bit 2 + d: limit[d]
    uint8_t picked_up;
    uint16_t reserved;
    uint32_t reserved2;
};
static_assert(sizeof(TcpWindow) == 32);

enum class WindowFault : uint8_t {
    kNone,
    kBeyondWindow,  // rule 1
    kTooOld,        // rule 2
    kAcksUnsent,    // rule 3
    kAcksTooOld,    // rule 4
    kNoSession,     // none of these: it has no connection, and opens none (RFC 5382 REQ-2)
};

// `data`: bytes behind the header.
WindowFault judge_window(
    const TcpWindow& window, Direction direction, const TcpSegment& segment, uint32_t data
);

// Learns from a segment that passes, before the session's state does. A RST teaches nothing.
void learn_window(
    TcpWindow& window,
    const Session& session,
    Direction direction,
    const TcpSegment& segment,
    uint32_t data
);

// A segment of unknown length has passed: what `direction` has sent is unknown again.
void forget_end(TcpWindow& window, Direction direction);

}  // namespace sekisho::nat
