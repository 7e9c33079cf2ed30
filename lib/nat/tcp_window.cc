#include "nat/tcp_window.h"

#include <algorithm>

#include "packet/views.h"

namespace sekisho::nat {
namespace {

constexpr uint32_t kLeastAckWindow = 66000;
constexpr unsigned kLargestScale = 14;  // RFC 7323 2.3

constexpr size_t index_of(Direction d) {
    return static_cast<size_t>(d);
}
constexpr uint8_t end_bit(size_t d) {
    return static_cast<uint8_t>(1U << d);
}
constexpr uint8_t limit_bit(size_t d) {
    return static_cast<uint8_t>(4U << d);
}

constexpr bool is_after(uint32_t a, uint32_t b) {
    return static_cast<int32_t>(a - b) > 0;
}

bool has(const TcpSegment& segment, uint8_t flag) {
    return (segment.flags & flag) != 0;
}
bool is_bare_syn(const TcpSegment& segment) {
    return (segment.flags & (packet::kSyn | packet::kAck | packet::kRst)) == packet::kSyn;
}

uint32_t end_of(const TcpSegment& segment, uint32_t data) {
    return segment.sequence + data + (has(segment, packet::kSyn) ? 1 : 0) +
           (has(segment, packet::kFin) ? 1 : 0);
}

// One byte at least: what probes a closed window is no fault.
uint32_t window_of(
    const TcpWindow& w, const Session& s, Direction direction, const TcpSegment& segment
) {
    const unsigned outbound = s.window_scales & 15;
    const unsigned inbound = s.window_scales >> 4;
    unsigned scale = 0;
    if (w.picked_up != 0) {
        scale = kLargestScale;
    } else if (outbound != kNoScale && inbound != kNoScale) {
        scale = direction == Direction::kOutbound ? outbound : inbound;
    }
    const uint32_t bytes = uint32_t{segment.window}
                           << (has(segment, packet::kSyn) ? 0 : std::min(scale, kLargestScale));
    return std::max<uint32_t>(bytes, 1);
}

}  // namespace

WindowFault judge_window(
    const TcpWindow& w, Direction direction, const TcpSegment& segment, uint32_t data
) {
    const size_t d = index_of(direction);
    const size_t o = 1 - d;
    if (is_bare_syn(segment)) {
        return WindowFault::kNone;
    }
    if ((w.known & limit_bit(d)) != 0 && is_after(segment.sequence, w.limit[d])) {
        return WindowFault::kBeyondWindow;
    }
    const bool knows_other = (w.known & end_bit(o)) != 0;
    if (knows_other && (w.known & end_bit(d)) != 0 &&
        is_after(w.end[d], end_of(segment, data) + w.window[o])) {
        return WindowFault::kTooOld;
    }
    if (has(segment, packet::kAck) && knows_other) {
        if (is_after(segment.acknowledgement, w.end[o])) {
            return WindowFault::kAcksUnsent;
        }
        const uint32_t back = std::max(w.window[d], kLeastAckWindow);
        if (is_after(w.end[o], segment.acknowledgement + back)) {
            return WindowFault::kAcksTooOld;
        }
    }
    return WindowFault::kNone;
}

void learn_window(
    TcpWindow& w, const Session& s, Direction direction, const TcpSegment& segment, uint32_t data
) {
    const size_t d = index_of(direction);
    const size_t o = 1 - d;
    if (has(segment, packet::kRst)) {
        return;
    }
    if (is_bare_syn(segment)) {
        const bool is_opening = is_half_open(s.state);
        if (is_tcp_closed(s.state) || (is_opening && (w.known & end_bit(o)) == 0)) {
            w = TcpWindow{};  // a new connection, or another attempt before any answer
        } else if (!is_opening || (w.known & end_bit(d)) != 0) {
            return;
        }
    }
    const uint32_t end = end_of(segment, data);
    if ((w.known & end_bit(d)) == 0 || is_after(end, w.end[d])) {
        w.end[d] = end;
    }
    w.known = static_cast<uint8_t>(w.known | end_bit(d));
    const uint32_t window = window_of(w, s, direction, segment);
    w.window[d] = std::max(w.window[d], window);
    if (has(segment, packet::kAck)) {
        const uint32_t limit = segment.acknowledgement + window;
        if ((w.known & limit_bit(o)) == 0 || is_after(limit, w.limit[o])) {
            w.limit[o] = limit;
        }
        w.known = static_cast<uint8_t>(w.known | limit_bit(o));
    }
}

void forget_end(TcpWindow& window, Direction direction) {
    window.known = static_cast<uint8_t>(window.known & ~end_bit(index_of(direction)));
}

}  // namespace sekisho::nat
