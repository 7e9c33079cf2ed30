// What the control socket asks of whoever can read the configuration's file again.
#pragma once

#include <chrono>
#include <functional>
#include <vector>

#include "base/result.h"
#include "config/change.h"

namespace sekisho::control {

enum class ReloadKind : uint8_t { kCompare, kCommit };

struct ReloadView {
    std::vector<config::Difference> at_once;        // changed; of kCompare: could be
    std::vector<config::Difference> after_restart;  // of kCompare only
    std::chrono::nanoseconds rested{};              // how long a worker stood still, at most
};

using Reloaded = Result<ReloadView>;
using Reload = std::function<Reloaded(ReloadKind)>;  // of the control thread

}  // namespace sekisho::control
