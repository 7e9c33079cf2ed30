// NatShard::track(): the one step of the fast route that is not a look-up; and small steps that several files share. The end of
// nat_shard.h, which includes it.
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

inline MappingRemote NatShard::remote_of(MappingIndex index) const {
    return remotes_.empty() ? MappingRemote{} : remotes_[index.value];
}

inline bool NatShard::has_room_for_session() const {
    return sessions_.has_room() && session_index_.has_room(LateInserts::kMost);
}

inline ExternalIndex NatShard::external_of(const Outcome& port) const {
    return {
        (port.index() & kSinglePort) != 0 ? port.index() & ~kSinglePort
                                          : blocks_[port.index()].external};
}

inline uint32_t& NatShard::in_use_of(ExternalIndex external) {
    return pools_[(*directory_)[external].pool.value].in_use;
}

inline RestClock& NatShard::clock_of(PoolId pool, Tick now) {
    pools_[pool.value].clock.advance(now);
    return pools_[pool.value].clock;
}

inline bool NatShard::may_rest(PoolId pool, Tick now) {
    clock_of(pool, now);
    return pools_[pool.value].may_rest();
}

inline bool NatShard::tracks_window(const Mapping& m) const {
    return !windows_.empty() && static_cast<Protocol>(m.protocol) == Protocol::kTcp &&
           numbers_.at(m.policy).tcp_window != WindowPolicy::kOff;
}

inline bool NatShard::answers_unsolicited_syns(PoolId pool) const {
    return settings_->pools[pool.value].unsolicited_syn == UnsolicitedSyn::kPortUnreachable ||
           is_mutated(Mutation::kRfc5382Req4a);
}

inline bool NatShard::may_give_up_block() {
    return !log_.logs(kLogBlocks) || log_.may_end(waits_);
}

}  // namespace sekisho::nat
