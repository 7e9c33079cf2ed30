#include "eventlog/anchors.h"

#include <cstdlib>

namespace sekisho::eventlog {

Anchors::Cause Anchors::look(Tick tick, int64_t utc_ms) {
    if (stretches_.empty()) {
        stretches_.push_back({tick, tick, utc_ms});
        return Cause::kStart;
    }
    forget(tick);
    Stretch& last = stretches_.back();
    const int32_t passed = elapsed_ms(last.tick, tick);
    if (std::abs(utc_ms - (last.utc_ms + passed)) >= kStepMs) {
        stretches_.push_back({tick, tick, utc_ms});
        if (stretches_.size() > kMost) {
            stretches_.pop_front();
        }
        return Cause::kStep;
    }
    if (passed < static_cast<int32_t>(kEveryMs)) {
        return Cause::kNone;
    }
    last.tick = tick;
    last.utc_ms = utc_ms;
    return Cause::kMinute;
}

// A stretch is told from the one before by its first tick: as long as that is not half a round of the ticks ago.
void Anchors::forget(Tick now) {
    while (stretches_.size() > 1 && elapsed_ms(stretches_[1].begin, now) > kKeptMs) {
        stretches_.pop_front();
    }
}

int64_t Anchors::utc_of(Tick tick) const {
    if (stretches_.empty()) {
        return 0;
    }
    size_t i = stretches_.size() - 1;
    while (i > 0 && elapsed_ms(stretches_[i].begin, tick) < 0) {
        --i;
    }
    return stretches_[i].utc_ms + elapsed_ms(stretches_[i].tick, tick);
}

}  // namespace sekisho::eventlog
