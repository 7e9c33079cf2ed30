// A pool by what it has, where no name is known.
#pragma once

#include <optional>

#include "config/config.h"

namespace sekisho::config {

// The first that has just these addresses; where `ports` are not 0, and just these ports.
//   Cost  linear in pools
std::optional<PoolId> pool_with(
    const Config& config, const rules::AddressRange& addresses, const rules::Range<uint16_t>& ports
);

}  // namespace sekisho::config
