// Modules: modprobe, insmod, rmmod, depmod and lsmod, as scripts of earlier kernels call them for masquerading and packet filters.
//
//   Effect    none on packets: what the modules were for is built in, or is a helper that is not there; a warning says which.
//   Errors    a module that has nothing to do with this appliance: status 1, and nothing is loaded.
//   Thread    a value.
//   Source    SEEDS D1 to D6; seeds 000 and 001.
#pragma once

#include <string>
#include <vector>

#include "legacy/answer.h"

namespace sekisho::legacy {

// In the order in which they were loaded.
struct Modules {
    std::vector<std::string> loaded;
    friend bool operator==(const Modules&, const Modules&) = default;
};

Answer run_module_tool(const std::string& tool, const Words& words, Modules& modules);

}  // namespace sekisho::legacy
