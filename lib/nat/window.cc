// Segments of sessions whose policy tracks their window: judged, told of, learnt from.
#include "nat/nat_shard.h"

namespace sekisho::nat {
namespace {

constexpr int32_t kTellEveryMs = 100;  // of a shard: a flood of them fills no log

}  // namespace

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
        log_invalid(s, direction, segment, fault, now);
        return settings_->policies[mappings_[s.mapping].policy].tcp_window != WindowPolicy::kDrop;
    }
    learn_window(window, s, direction, segment, length);
    if (!is_whole) {
        forget_end(window, direction);
    }
    return true;
}

void NatShard::log_invalid(
    const Session& s, Direction direction, const TcpSegment& segment, WindowFault fault, Tick now
) {
    const int32_t ago = elapsed_ms(Tick{invalid_told_at_}, now);
    if (!log_.logs(kLogInvalid) || (ago >= 0 && ago < kTellEveryMs) ||
        !log_.may_start(kLogInvalid, waits_)) {
        return;
    }
    invalid_told_at_ = now.ms;
    Event event{};
    event.kind = EventKind::kSegmentInvalid;
    event.tick_ms = now.ms;
    event.cause = static_cast<uint8_t>(fault);
    event.realm = s.realm;
    event.protocol = s.protocol;
    event.internal_address = s.internal_address;
    event.external_address = s.external_address;
    event.remote_address = s.remote_address;
    event.internal_port = s.internal_port;
    event.external_port = s.external_port;
    event.remote_port = s.remote_port;
    event.inbound = direction == Direction::kInbound ? 1 : 0;
    event.sequence_number = segment.sequence;
    event.count = segment.acknowledgement;
    log_.write(event);
}

}  // namespace sekisho::nat
