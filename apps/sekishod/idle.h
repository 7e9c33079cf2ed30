// IdlePause: what a polling thread does when nothing comes.
//
//   Busy      goes on polling.
//   Adaptive  polls on for kSpins idle turns, then rests a little longer each time, up to kLongest;
//             work wakes it at the next look. So a loaded worker never sleeps, and an idle machine
//             stays cool.
//   Changes   between two turns it passes the gate (base/rest_gate.h).
//   Owner     one thread.
#pragma once

#include <algorithm>

#include <time.h>

#include "base/counters.h"
#include "base/rest_gate.h"
#include "config/config.h"

namespace sekisho::daemon {

class IdlePause {
  public:
    static constexpr unsigned kSpins = 200;
    static constexpr long kShortestNs = 5'000;
    static constexpr long kLongestNs = 100'000;

    // Of the gate's member; while it rests, the gate does not wait for it.
    IdlePause(config::IdleMode mode, Counter& pauses, base::RestGate& gate, unsigned member)
        : mode_(mode), pauses_(pauses), gate_(gate), member_(member) {
        gate_.come_back(member_);
    }
    ~IdlePause() { gate_.leave(member_); }
    IdlePause(const IdlePause&) = delete;
    IdlePause& operator=(const IdlePause&) = delete;

    // After each turn of the loop, with the amount of work it did.
    void turn(unsigned work) {
        gate_.pass(member_);
        if (work != 0 || mode_ == config::IdleMode::kBusy) {
            idle_turns_ = 0;
            sleep_ns_ = kShortestNs;
            return;
        }
        if (++idle_turns_ < kSpins) {
            __builtin_ia32_pause();
            return;
        }
        const timespec rest{0, sleep_ns_};
        gate_.leave(member_);
        nanosleep(&rest, nullptr);
        gate_.come_back(member_);
        pauses_.add(1);
        sleep_ns_ = std::min(sleep_ns_ * 2, kLongestNs);
    }

  private:
    config::IdleMode mode_;
    Counter& pauses_;
    base::RestGate& gate_;
    unsigned member_;
    unsigned idle_turns_ = 0;
    long sleep_ns_ = kShortestNs;
};

}  // namespace sekisho::daemon
