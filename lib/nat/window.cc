// Segments of sessions whose policy tracks their window: judged, learnt from.
#include "nat/nat_shard.h"

namespace sekisho::nat {

bool NatShard::admits_segment(
    SessionIndex index, Direction direction, const uint8_t* tcp, uint32_t data, Tick now
) {
    const Session& s = sessions_[index.value];
    TcpWindow& window = windows_[index.value];
    const TcpSegment segment = read_tcp_segment(tcp);
    const bool is_whole = data != kNoIndex;
    const uint32_t length = is_whole ? data : 0;
    const WindowFault fault = judge_window(window, direction, segment, length);
    if (fault != WindowFault::kNone) {
        log_invalid(index.value, direction, segment, fault, now);
        return numbers_.at(mappings_[s.mapping].policy).tcp_window != WindowPolicy::kDrop;
    }
    learn_window(window, s, direction, segment, length);
    if (!is_whole) {
        forget_end(window, direction);
    }
    return true;
}

bool NatShard::is_in_window(
    SessionIndex index, Direction direction, const uint8_t* tcp, uint32_t data
) const {
    const uint32_t length = data != kNoIndex ? data : 0;
    return judge_window(windows_[index.value], direction, read_tcp_segment(tcp), length) ==
           WindowFault::kNone;
}

}  // namespace sekisho::nat
