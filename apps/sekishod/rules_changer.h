// RulesChanger: other rules in the place of the running configuration's, whole or not at all, while its file stays as it is.
//
//   Thread    the control thread; it alone reads and writes the configuration while the appliance runs.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "base/result.h"
#include "config/config.h"
#include "control/rules_access.h"

namespace sekisho::daemon {

class RulesChanger {
  public:
    // Has `next` in force, and calls `adopt` when the configuration is to be that (Appliance::change).
    using Put = std::function<Result<std::chrono::nanoseconds>(
        const config::Config& next, const std::function<void()>& adopt
    )>;
    // `running` outlives it.
    RulesChanger(config::Config& running, Put put) : running_(running), put_(std::move(put)) {}

    // As RulesAccess::change(), without a word to the log.
    Result<std::chrono::nanoseconds> change(const control::MakeRules& make);

  private:
    config::Config& running_;
    Put put_;
};

}  // namespace sekisho::daemon
