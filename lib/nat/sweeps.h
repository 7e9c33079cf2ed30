// Sweeps: what a shard goes through after a change of settings, a few records a turn (change.cc).
//
//   Sessions  those whose timer stands where a former timeout has put it; those whose remote port has another timeout than
//             the others now, or no longer; those at an external address that the appliance has no more; and what all of them remember of the way to their next hop.
//             And those whose external port has become a static mapping's (statics.cc).
//   Blocks    empty ones of addresses that were taken away.
//   Owner     the shard's worker; begun while no turn runs.
#pragma once

#include <cstdint>

#include "base/types.h"

namespace sekisho::nat {

struct Sweeps {
    uint32_t session = kNoIndex;  // the next one to look at; kNoIndex: all are done
    uint32_t left = 0;            // so many of them
    uint32_t block = kNoIndex;    // the same
    uint32_t lease = kNoIndex;    // the same; of those at an address that is withdrawn
    bool sets_timers = false;
    bool sets_classes = false;  // of timeouts; then timers too
    bool ends_withdrawn =
        false;  // and until then nothing new is made at an address that is withdrawn
    bool ends_displaced = false;
    bool marks_triggers = false;  // which sessions go to a control port
    bool forgets_hops = false;

    bool are_done() const { return (session & block & lease) == kNoIndex; }
    // One that is under way goes on, and once around from where it is: however often another begins, all come to their turn.
    void begin_sessions(uint32_t all) {
        session = session == kNoIndex ? 0 : session;
        left = all;
    }
    void end_sessions() {
        session = kNoIndex;
        sets_timers = sets_classes = ends_withdrawn = ends_displaced = false;
        marks_triggers = forgets_hops = false;
    }
};

}  // namespace sekisho::nat
