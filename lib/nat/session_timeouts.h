// SessionTimeouts: how long a session may be idle, by its state and by the class of its remote port.
//
//   Class     what a session has in its flags from kTimeoutShift on; 0: no entry of by-remote-port is its own. An entry (a
//             protocol and ports) keeps its class for as long as it is in the settings. One that is taken away keeps its
//             class and its time for the sessions that have it, until the shard has gone through all of them
//             (change.cc) and says so by release_left(); an entry for which no class is free until then waits,
//             and its ports have the common timeouts.
//   Units     milliseconds; a class as it stands in the flags, shifted.
//   Cost      ms(): one load. class_of(): up to 15 comparisons. Allocates in follow() alone.
//   Thread    the shard's worker; follow() while no turn runs.
//   Source    RFC 4787 REQ-5 and 5a, RFC 5382 REQ-5, RFC 5508 REQ-2.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/types.h"
#include "flow/session.h"
#include "nat/settings.h"

namespace sekisho::nat {

class SessionTimeouts {
  public:
    struct Change {
        bool is_any_lower = false;       // timers may stand too late
        bool are_classes_other = false;  // sessions may be of another class now
    };
    Change follow(const TimeoutSettings& settings);
    // No session has the class of an entry that was taken away any more. True: an entry that had waited for a class has one
    // now, so sessions are to be gone through once more.
    bool release_left();

    uint16_t class_of(Protocol protocol, Port remote) const;
    int32_t ms(uint16_t session_flags, SessionState state) const {
        return ms_[session_flags >> flow::kTimeoutShift][static_cast<size_t>(state)];
    }

  private:
    enum class Use : uint8_t { kFree, kServes, kLeaves };
    struct Class {
        Use use = Use::kFree;
        PortTimeout entry;
    };

    Class* find(const PortTimeout& entry);
    bool place(const PortTimeout& entry);
    void set_common(const TimeoutSettings& settings);
    void fill();

    // By class and state; a line each.
    alignas(64) std::array<std::array<int32_t, 16>, flow::kTimeoutClasses> ms_{};
    static_assert(static_cast<size_t>(SessionState::kCount) <= 16);
    std::array<Class, flow::kTimeoutClasses> classes_{};  // the first one stands for no entry
    std::vector<PortTimeout> waiting_;
};

}  // namespace sekisho::nat
