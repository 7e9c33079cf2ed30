// NatShard::track(): the one step of the fast route that is not a look-up. The end of nat_shard.h, which includes it.
//
//   Cost      the session's line alone; what is unusual of TCP goes to track.cc.
#pragma once

#include <cstring>

#include "base/mutation.h"
#include "base/types.h"
#include "flow/session.h"

namespace sekisho::nat {

inline void NatShard::track(SessionIndex index, Direction direction, const uint8_t* tcp, Tick now) {
    Session& s = sessions_[index.value];
    const auto d = static_cast<size_t>(direction);
    ++s.packets[d];
    s.flags = static_cast<uint16_t>(s.flags | flow::kSeenOutbound << d);
    if (tcp == nullptr) {
        if (s.state == SessionState::kUnanswered && !take_unanswered(index.value, direction, now))
            [[unlikely]] {
            return;
        }
        if (!is_mutated(Mutation::kRfc4787Req6) || direction == Direction::kInbound) {
            s.last_activity = now.ms;
        }
        return;
    }
    constexpr uint8_t kFinSynRst = 7;
    constexpr uint8_t kAck = 16;
    if (s.state != SessionState::kTcpEstablished || (tcp[13] & (kFinSynRst | kAck)) != kAck)
        [[unlikely]] {
        track_tcp(index.value, direction, tcp, now);
        return;
    }
    s.last_activity = now.ms;
    uint32_t acknowledgement;
    uint16_t window;
    std::memcpy(&acknowledgement, tcp + 8, sizeof(acknowledgement));
    std::memcpy(&window, tcp + 14, sizeof(window));
    s.tcp_ack[d] = base::swap32(acknowledgement);
    s.tcp_window[d] = base::swap16(window);
    s.flags = static_cast<uint16_t>(s.flags | flow::kHasAckOutbound << d);
}

}  // namespace sekisho::nat
