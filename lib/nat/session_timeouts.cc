#include "nat/session_timeouts.h"

#include <algorithm>

#include "base/mutation.h"

namespace sekisho::nat {

void SessionTimeouts::set_common(const TimeoutSettings& settings) {
    auto& common = ms_[0];
    const auto set = [&common](SessionState s, Seconds t) {
        common[static_cast<size_t>(s)] = static_cast<int32_t>(t.ms());
    };
    set(SessionState::kIcmp, is_mutated(Mutation::kRfc5508Req2) ? Seconds{30} : settings.icmp);
    set(SessionState::kUdp, is_mutated(Mutation::kRfc4787Req5) ? Seconds{60} : settings.udp);
    set(SessionState::kTcpOpenOutbound, settings.tcp_transitory);
    set(SessionState::kTcpOpenInbound, settings.tcp_transitory);
    set(SessionState::kTcpHalfOpen, settings.tcp_transitory);
    set(SessionState::kTcpEstablished,
        is_mutated(Mutation::kRfc5382Req5) ? settings.tcp_transitory : settings.tcp_established);
    set(SessionState::kTcpFinOutbound, settings.tcp_established);
    set(SessionState::kTcpFinInbound, settings.tcp_established);
    set(SessionState::kTcpClosing, settings.tcp_closing);
    set(SessionState::kTcpReset, settings.tcp_transitory);
    set(SessionState::kTcpPickedUp, settings.tcp_transitory);
    set(SessionState::kUnanswered, kUnansweredFor);
    set(SessionState::kAssociation, settings.association);
    set(SessionState::kTunnel, settings.tunnel);
}

// The classes' own times over the common ones.
void SessionTimeouts::fill() {
    for (size_t i = 1; i < classes_.size(); ++i) {
        ms_[i] = ms_[0];
        if (classes_[i].use == Use::kFree) {
            continue;
        }
        for (const SessionState s :
             {SessionState::kUdp,
              SessionState::kTcpEstablished,
              SessionState::kTcpFinOutbound,
              SessionState::kTcpFinInbound}) {
            ms_[i][static_cast<size_t>(s)] = static_cast<int32_t>(classes_[i].entry.timeout.ms());
        }
    }
}

SessionTimeouts::Class* SessionTimeouts::find(const PortTimeout& entry) {
    const auto is_same = [&](const Class& c) {
        return c.use != Use::kFree && c.entry.protocol == entry.protocol &&
               c.entry.ports == entry.ports;
    };
    const auto found = std::find_if(classes_.begin() + 1, classes_.end(), is_same);
    return found == classes_.end() ? nullptr : &*found;
}

bool SessionTimeouts::place(const PortTimeout& entry) {
    const auto is_free = [](const Class& c) { return c.use == Use::kFree; };
    const auto place = std::find_if(classes_.begin() + 1, classes_.end(), is_free);
    if (place == classes_.end()) {
        return false;
    }
    *place = {Use::kServes, entry};
    return true;
}

SessionTimeouts::Change SessionTimeouts::follow(const TimeoutSettings& settings) {
    const auto before = ms_;
    const auto classes_before = classes_;
    for (Class& c : classes_) {
        c.use = c.use == Use::kServes ? Use::kLeaves : c.use;
    }
    waiting_.clear();
    for (const PortTimeout& entry : settings.by_remote_port) {
        if (Class* const own = find(entry)) {
            *own = {Use::kServes, entry};
        } else if (!place(entry)) {
            waiting_.push_back(entry);
        }
    }
    set_common(settings);
    fill();
    Change change;
    for (size_t c = 0; c < before.size(); ++c) {
        change.are_classes_other =
            change.are_classes_other || classes_[c].use != classes_before[c].use;
        for (size_t state = 0; state < before[c].size(); ++state) {
            change.is_any_lower = change.is_any_lower || ms_[c][state] < before[c][state];
        }
    }
    return change;
}

bool SessionTimeouts::release_left() {
    for (Class& c : classes_) {
        c.use = c.use == Use::kLeaves ? Use::kFree : c.use;
    }
    const size_t waited = waiting_.size();
    while (!waiting_.empty() && place(waiting_.back())) {
        waiting_.pop_back();
    }
    fill();
    return waiting_.size() != waited;
}

uint16_t SessionTimeouts::class_of(Protocol protocol, Port remote) const {
    const uint16_t port = remote.host();
    for (size_t i = 1; i < classes_.size(); ++i) {
        const Class& each = classes_[i];
        if (each.use == Use::kServes && each.entry.protocol == protocol &&
            each.entry.ports.first <= port && port <= each.entry.ports.last) {
            return static_cast<uint16_t>(i << flow::kTimeoutShift);
        }
    }
    return 0;
}

}  // namespace sekisho::nat
