// Whether the pools have a port left for their policies' subscribers, beside all that is given away for good.
#include <algorithm>
#include <map>
#include <vector>

#include <fmt/format.h>

#include "config/draft.h"
#include "nat/external_directory.h"
#include "nat/shard_pool.h"

namespace sekisho::config {
namespace {

// External ports that static mappings, rules of destination-nat from outside and trigger forwards have,
// by address.
using GivenAway = std::map<Ipv4Addr, std::vector<nat::PortRange>>;

GivenAway given_away(const nat::NatSettings& settings) {
    GivenAway all;
    for (const nat::StaticMappingSettings& m : settings.static_mappings) {
        all[m.external].push_back(m.external_ports);
    }
    for (const nat::DestinationNatSettings& rule : settings.destination_nat) {
        for (size_t i = 0; rule.is_inbound && i < rule.destination.size(); ++i) {
            all[rule.destination[i].address].push_back(rule.ports);
        }
    }
    for (const nat::TriggerForwardSettings& rule : settings.trigger_forwards) {
        all[rule.external].push_back(rule.ports);
    }
    return all;
}

bool meets(const std::vector<nat::PortRange>& taken, nat::PortRange ports) {
    return std::ranges::any_of(taken, [ports](nat::PortRange t) {
        return t.first <= ports.last && ports.first <= t.last;
    });
}

bool has_unreserved(const std::vector<uint64_t>& reserved, nat::PortRange ports) {
    uint32_t port = std::max<uint32_t>(ports.first, 1);
    while (port <= ports.last && nat::is_reserved(reserved, port)) {
        ++port;
    }
    return port <= ports.last;
}

// A block is given away with the first of its ports; what is given out alone is not.
bool has_room(
    const nat::PoolSettings& pool,
    const std::vector<uint64_t>& reserved,
    const std::vector<nat::PortRange>& taken
) {
    const nat::BlockSpan span = nat::block_span(pool);
    for (uint32_t b = span.first; b <= span.last; ++b) {
        const uint32_t first = b * pool.port_block_size;
        const nat::PortRange ports{
            static_cast<uint16_t>(std::max<uint32_t>(first, pool.ports.first)),
            static_cast<uint16_t>(
                std::min<uint32_t>(first + pool.port_block_size - 1, pool.ports.last)
            )};
        if (!meets(taken, ports) && has_unreserved(reserved, ports)) {
            return true;
        }
    }
    const nat::PortRange singles = nat::single_ports(pool);
    const bool is_whole = std::ranges::any_of(taken, [singles](nat::PortRange t) {
        return t.first <= singles.first && singles.last <= t.last;
    });
    for (uint32_t port = singles.first;
         nat::has_single_ports(pool) && !is_whole && port <= singles.last;
         ++port) {
        const auto p = static_cast<uint16_t>(port);
        if (!meets(taken, {p, p}) && !nat::is_reserved(reserved, port)) {
            return true;
        }
    }
    return false;
}

// Of addresses of which nothing is given away the first will do.
bool has_room(const nat::PoolSettings& pool, const GivenAway& taken) {
    const std::vector<uint64_t> reserved = nat::reserved_bits(pool);
    return std::ranges::any_of(pool.addresses, [&](const nat::AddressRange& range) {
        const auto begin = taken.lower_bound(range.first);
        const auto end = taken.upper_bound(range.last);
        if (std::any_of(begin, end, [&](const auto& at) {
                return has_room(pool, reserved, at.second);
            })) {
            return true;
        }
        const auto met = static_cast<uint64_t>(std::distance(begin, end));
        return met < range.size() && has_room(pool, reserved, std::vector<nat::PortRange>{});
    });
}

}  // namespace

void check_room(const Draft& draft, Mistakes& mistakes) {
    const nat::NatSettings& nat = draft.config.nat;
    const GivenAway taken = given_away(nat);
    std::vector<bool> is_full;
    for (const nat::PoolSettings& pool : nat.pools) {
        // What lacks ports for another reason is said already.
        is_full.push_back(!has_room(pool, taken) && has_room(pool, GivenAway{}));
    }
    const auto complain = [&](const nat::PoolSettings& pool, Place place) {
        mistakes.add(
            place,
            fmt::format("the pool {}, whose ports are all given away for good", pool.name),
            "a pool that has ports left for subscribers"
        );
    };
    for (size_t i = 0; i < nat.policies.size(); ++i) {
        const size_t pool = nat.policies[i].pool.value;
        if (draft.policies[i].pool_read && is_full[pool]) {
            complain(nat.pools[pool], draft.policies[i].pool);
        }
    }
    for (size_t i = 0; i < nat.pools.size(); ++i) {
        const size_t more = nat.pools[i].overflow.value;
        if (more < is_full.size() && is_full[more]) {
            complain(nat.pools[more], draft.pools[i].overflow);
        }
    }
}

}  // namespace sekisho::config
