// LimitWatch: the sentences for an operator when a limit of the whole appliance is reached, log of bindings or not.
//
//   Law       a line a minute at most of each kind, the first one as soon as a packet is dropped. Each tells of all packets
//             dropped since the line before it; what was dropped within the minute is told at its end.
//   Units     `dropped`: packets since start, by DropReason, over all shards; never decreasing.
//   Cost      a few comparisons, off the packets' route; allocates for its sentences alone.
//   Thread    one, any. Time is an argument.
//   Source    SEEDS C2; the limits of single subscribers are not among them (they are in `show drops` and the log).
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/drop_reason.h"
#include "nat/settings.h"

namespace sekisho::daemon {

class LimitWatch {
  public:
    using Time = std::chrono::steady_clock::time_point;
    using Drops = std::array<uint64_t, base::kDropReasonCount>;
    static constexpr std::chrono::seconds kEvery{60};

    // What is to be said now. `limits`: those in effect, which tables that are shared out to `shards` shards keep to.
    std::vector<std::string> look(
        const Drops& dropped, const nat::TableLimits& limits, unsigned shards, Time now
    );

  private:
    struct Told {
        uint64_t packets = 0;  // dropped when it was told of last
        std::optional<Time> at;
    };
    std::array<Told, base::kDropReasonCount> told_{};
};

}  // namespace sekisho::daemon
