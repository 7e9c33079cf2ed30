// What the control socket asks of whoever runs the tools of earlier packet filters.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "legacy/kernel.h"

namespace sekisho::control {

struct LegacyCall {
    legacy::ToolCall call;
    // What the caller has looked up, as /etc/hosts has it: nobody here waits for a name server.
    std::string hosts;
};

struct LegacyAnswer {
    legacy::Answer answer;
    // Names of hosts that the tool was asked for and nobody has looked up.
    std::vector<std::string> unknown_hosts;
};

using CallTool = std::function<LegacyAnswer(const LegacyCall&)>;  // of the control thread

}  // namespace sekisho::control
