// A configuration that was changed in memory: whether it could have been read from a file so; and what its changes name.
//
//   Cost      as to read it, without rules. Thread: any.
#pragma once

#include <optional>
#include <string>

#include "config/config.h"

namespace sekisho::config {

// The first mistake that its file would have, but for rules: what was found, and what was wanted; nothing: there is none.
std::optional<std::string> find_mistake(const Config& config);

// The address behind which the inside stands where nothing names one: an external link's own, if a pool has it; else a pool's
// first one. 0.0.0.0: there is none.
Ipv4Addr usual_external_address(const Config& config);

}  // namespace sekisho::config
