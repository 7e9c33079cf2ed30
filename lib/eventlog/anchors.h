// Anchors: what time of day a tick was.
//
//   Shape     a list of stretches of time in which the clock was not set; of each its first tick, and
//             one pair of a tick and the time of day then, the newest. A tick is told by the pair of
//             the stretch that it lies in.
//   Units     ticks of 1 ms; UTC in milliseconds since 1970.
//   Bound     kMost stretches, and none that ended ten days ago, as ticks begin anew every 49.7 days; ticks before the first
//             are told by it.
//   Right     while a tick is less than 24.8 days from the newest pair.
//   Thread    the logger's.
#pragma once

#include <cstdint>
#include <deque>

#include "base/types.h"

namespace sekisho::eventlog {

class Anchors {
  public:
    static constexpr size_t kMost = 64;
    static constexpr uint32_t kEveryMs = 60'000;
    static constexpr int32_t kKeptMs =
        10 * 24 * 3'600'000;                 // before a stretch this old nothing is asked for
    static constexpr int64_t kStepMs = 100;  // what moves by less within a minute is being slewed

    enum class Cause : uint8_t { kNone, kStart, kMinute, kStep };

    // Looks at the clocks; says whether a new pair was taken, and why.
    Cause look(Tick tick, int64_t utc_ms);
    int64_t utc_of(Tick tick) const;

  private:
    void forget(Tick now);

    struct Stretch {
        Tick begin;
        Tick tick;
        int64_t utc_ms;
    };
    std::deque<Stretch> stretches_;
};

}  // namespace sekisho::eventlog
