#include "config/pool_with.h"

#include <algorithm>

namespace sekisho::config {

std::optional<PoolId> pool_with(
    const Config& config, const rules::AddressRange& addresses, const rules::Range<uint16_t>& ports
) {
    const auto has_just_these = [&](const nat::PoolSettings& pool) {
        const bool has_addresses = pool.addresses.size() == 1 &&
                                   pool.addresses[0].first == addresses.first &&
                                   pool.addresses[0].last == addresses.last;
        return has_addresses && (ports.first == 0 || (pool.ports.first == ports.first &&
                                                      pool.ports.last == ports.last));
    };
    const auto& pools = config.nat.pools;
    const auto found = std::ranges::find_if(pools, has_just_these);
    return found == pools.end()
               ? std::nullopt
               : std::optional(PoolId{static_cast<uint16_t>(found - pools.begin())});
}

}  // namespace sekisho::config
