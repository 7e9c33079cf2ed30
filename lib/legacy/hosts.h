// Hosts and networks of a command line.
#pragma once

#include <string_view>
#include <vector>

#include "base/result.h"
#include "legacy/names.h"
#include "legacy/numbers.h"

namespace sekisho::legacy {

// "NAME", "ADDRESS/24", "ADDRESS/255.0.0.255", "anything/0": all addresses that are meant, each once behind the mask
// (LEGACY S29, S30). Networks are looked up before hosts. `quote` opens what is cited: ipfwadm cites "so", later tools `so'.
Result<std::vector<HostMask>> read_hosts(std::string_view text, const Names& names, char quote);

}  // namespace sekisho::legacy
