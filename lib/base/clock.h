// TickClock: the only way from the kernel's clock to a Tick.
//
//   Users     apps and drivers; stages get `now` as an argument.
//   Units     milliseconds since an origin on CLOCK_BOOTTIME, which runs on while the machine sleeps and
//             is never set; 32 bits, wraps. The origin is kept in the state arena, so that ticks go on
//             over a restart of the process.
//   Cost      one read of the vDSO. Thread: any.
#pragma once

#include <cstdint>
#include <ctime>

#include "base/types.h"

namespace sekisho::base {

class TickClock {
  public:
    // Nanoseconds of CLOCK_BOOTTIME.
    static uint64_t boot_time_ns() {
        timespec t{};
        clock_gettime(CLOCK_BOOTTIME, &t);
        return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(t.tv_nsec);
    }

    // Tick 0 is `origin_ns`; by default now.
    explicit TickClock(uint64_t origin_ns = boot_time_ns()) : origin_ns_(origin_ns) {}

    Tick now() const { return at(boot_time_ns()); }
    Tick at(uint64_t boot_ns) const {
        return Tick{static_cast<uint32_t>((boot_ns - origin_ns_) / 1'000'000)};
    }
    uint64_t origin_ns() const { return origin_ns_; }

  private:
    uint64_t origin_ns_;
};

}  // namespace sekisho::base

namespace sekisho {
using base::TickClock;
}
