// What must hold between the ways in which a pool's ports are chosen, and what stands around them.
#include <algorithm>

#include <fmt/format.h>

#include "config/draft.h"
#include "nat/external_directory.h"
#include "nat/port_block.h"
#include "nat/shard_pool.h"

namespace sekisho::config {
namespace {

constexpr uint64_t kMaxSinglePorts = uint64_t{1}
                                     << 28;  // 1.2 to 4.2 bytes each (nat/single_ports.h)

void check_ranges(const nat::PoolSettings& pool, const PoolPlaces& places, Mistakes& mistakes) {
    const bool has_low = pool.ports.first < nat::kFirstHighPort;
    const bool has_high = pool.ports.last >= nat::kFirstHighPort;
    if (pool.port_ranges == nat::PortRanges::kPreserve && !(has_low && has_high)) {
        mistakes.add(
            places.port_ranges,
            fmt::format(
                "port-ranges: preserve with the ports {}-{}", pool.ports.first, pool.ports.last
            ),
            "ports on both sides of 1024, such as 1-65535"
        );
    }
}

void check_singles(const Draft& draft, size_t index, Mistakes& mistakes) {
    const nat::PoolSettings& pool = draft.config.nat.pools[index];
    const PoolPlaces& places = draft.pools[index];
    const bool preserves = pool.port_selection == nat::PortSelection::kPreserve;
    const bool is_by_selection = preserves || pool.port_ranges == nat::PortRanges::kAny;
    const Place place = is_by_selection ? places.port_selection : places.port_ranges;
    const std::string what = is_by_selection ? "port-selection: preserve" : "port-ranges: preserve";
    if (preserves && pool.port_contiguity) {
        mistakes.add(
            places.port_contiguity,
            "port-contiguity with port-selection: preserve",
            "one of them: a pair of ports that is free stays a pair"
        );
    }
    if (preserves && pool.block_max_age.value != 0) {
        mistakes.add(
            places.block_max_age,
            "block-max-age with port-selection: preserve",
            "one of them: such a pool has no blocks"
        );
    }
    if (preserves && pool.keeps_first_block) {
        mistakes.add(
            places.keep_first_block,
            "keep-first-block with port-selection: preserve",
            "one of them: such a pool has no blocks"
        );
    }
    const uint8_t logged = draft.config.nat.events.logged;
    if ((logged & nat::kLogBlocks) != 0 && (logged & nat::kLogMappings) == 0) {
        mistakes.add(
            place,
            what + ", whose ports are given out one by one, with a log of blocks alone",
            "mappings among log.events as well"
        );
    }
}

void check_quarantine(const nat::PoolSettings& pool, const PoolPlaces& places, Mistakes& mistakes) {
    if (pool.port_quarantine_ports == 0) {
        return;
    }
    const uint64_t ports = pool.ports.last + uint64_t{1} - std::max<uint64_t>(pool.ports.first, 1);
    const uint64_t all = pool.address_count() * ports * nat::kProtocolSlots;
    if (pool.port_quarantine_ports > all) {
        mistakes.add(
            places.port_quarantine_ports,
            fmt::format("port-quarantine-ports: {}", pool.port_quarantine_ports),
            fmt::format("at most {}, the ports of the pool in all protocols", all)
        );
    } else if (pool.port_quarantine.value == 0) {
        mistakes.add(
            places.port_quarantine_ports,
            "port-quarantine-ports where no port rests",
            "a port-quarantine of a second or more"
        );
    }
}

void check_reserved(const nat::PoolSettings& pool, const PoolPlaces& places, Mistakes& mistakes) {
    const std::vector<uint64_t> reserved = nat::reserved_bits(pool);
    uint32_t port = std::max<uint32_t>(pool.ports.first, 1);
    while (port <= pool.ports.last && nat::is_reserved(reserved, port)) {
        ++port;
    }
    if (port > pool.ports.last) {
        mistakes.add(
            places.reserved_ports, "all ports of the pool reserved", "at least one that is not"
        );
    }
}

// Of all pools together, at the first with which there are too many.
void check_memory(const Draft& draft, Mistakes& mistakes) {
    uint64_t sum = 0;
    for (size_t i = 0; i < draft.pools.size(); ++i) {
        const nat::PoolSettings& pool = draft.config.nat.pools[i];
        if (!nat::has_single_ports(pool)) {
            continue;
        }
        const uint64_t each = nat::single_ports(pool).last + uint64_t{1};
        sum += pool.address_count() * each;
        if (sum > kMaxSinglePorts) {
            const bool preserves = pool.port_selection == nat::PortSelection::kPreserve;
            mistakes.add(
                preserves ? draft.pools[i].port_selection : draft.pools[i].port_ranges,
                fmt::format(
                    "{}: preserve for as much as {} addresses in all pools",
                    preserves ? "port-selection" : "port-ranges",
                    (sum + each - 1) / each
                ),
                fmt::format("at most {}", kMaxSinglePorts / each)
            );
            return;
        }
    }
}

}  // namespace

void check_ports(const Draft& draft, Mistakes& mistakes) {
    const auto& pools = draft.config.nat.pools;
    check_memory(draft, mistakes);
    for (size_t i = 0; i < pools.size(); ++i) {
        check_ranges(pools[i], draft.pools[i], mistakes);
        check_quarantine(pools[i], draft.pools[i], mistakes);
        check_reserved(pools[i], draft.pools[i], mistakes);
        if (nat::has_single_ports(pools[i])) {
            check_singles(draft, i, mistakes);
        }
    }
    for (size_t i = 0; i < draft.policies.size(); ++i) {
        const nat::PolicySettings& policy = draft.config.nat.policies[i];
        const bool preserves =
            policy.pool.value < pools.size() &&
            pools[policy.pool.value].port_selection == nat::PortSelection::kPreserve;
        if (policy.port_overloading && preserves) {
            mistakes.add(
                draft.policies[i].port_overloading,
                "port-overloading in a pool with port-selection: preserve",
                "a pool whose subscribers have port blocks"
            );
        }
    }
}

}  // namespace sekisho::config
