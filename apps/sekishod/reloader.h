// Reloader: reads the configuration's file again and has the appliance follow it, whole or not at all.
//
//   Thread    the control thread; it alone reads and writes the configuration while the appliance runs.
//   Errors    one line for each mistake in the file or each change that wants a restart; nothing was changed then.
#pragma once

#include <functional>
#include <string>

#include "config/config.h"
#include "control/reload.h"
#include "sekishod/appliance.h"

namespace sekisho::daemon {

class Reloader {
  public:
    // `running` is what `appliance` was created with, read from `file`; both outlive it. `machine` is as it was then: by now
    // this thread may use only the CPUs that the workers have left.
    // `beside`: puts what others than the file have set up, rules and forwards, beside what was read; may be empty.
    using Beside = std::function<Result<void>(config::Config&)>;
    Reloader(
        std::string file,
        config::MachineFacts machine,
        config::Config& running,
        Appliance& appliance,
        Beside beside = {}
    )
        : file_(std::move(file)),
          machine_(std::move(machine)),
          at_start_(running),
          running_(running),
          appliance_(appliance),
          beside_(std::move(beside)) {}

    control::Reloaded reload(control::ReloadKind kind);

  private:
    std::string file_;
    const config::MachineFacts machine_;
    const config::Config at_start_;
    config::Config& running_;
    Appliance& appliance_;
    Beside beside_;
};

}  // namespace sekisho::daemon
