// Settings: what scripts of earlier kernels write below /proc/sys/net/ipv4, and what it means to this appliance.
//
//   Meaning   the limit of tracked sessions and three timeouts are the appliance's own; some are always so here; all others
//             were the kernel's own affair and have no effect. Whatever has none is told once, when it is written.
//   Errors    a number that cannot be, in words of the file; a path that leads elsewhere, a value that is no line of text; too
//             many. Nothing is changed then.
//   Thread    a value.
//   Source    SEEDS B4, C2, C4, C5; seeds 001 and 002.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "legacy/answer.h"
#include "legacy/appliance.h"
#include "legacy/firewall.h"

namespace sekisho::legacy {

// What of them the appliance has, too.
struct Tracking {
    uint32_t most_sessions = 0;
    MasqueradeTimeouts timeouts;
    friend bool operator==(const Tracking&, const Tracking&) = default;
};

class Settings {
  public:
    // By their path below /proc/sys/net/ipv4, those of each link too.
    std::map<std::string, std::string> all(const Links& links, const Tracking& tracking) const;
    // `tracking` becomes what it says of it. What has no effect is said on standard error.
    Answer write(const std::string& path, const std::string& value, Tracking& tracking);

    friend bool operator==(const Settings&, const Settings&) = default;

  private:
    std::map<std::string, std::string> written_;
};

}  // namespace sekisho::legacy
