// Pools whose blocks follow from a formula: what must hold for it to be one (RFC 7422).
#include <algorithm>
#include <tuple>

#include <fmt/format.h>

#include "config/draft.h"
#include "nat/external_directory.h"
#include "nat/formula.h"
#include "nat/shard_pool.h"

namespace sekisho::config {
namespace {

bool is_deterministic(const nat::PoolSettings& pool) {
    return pool.port_selection == nat::PortSelection::kDeterministic;
}

// The formula must not change with what the formula knows nothing of.
void check_settings(const nat::PoolSettings& pool, const PoolPlaces& places, Mistakes& mistakes) {
    if (pool.port_ranges == nat::PortRanges::kPreserve) {
        mistakes.add(
            places.port_ranges,
            "port-ranges: preserve with port-selection: deterministic",
            "one of them: a block by formula has no ports below 1024 beside others"
        );
    }
    if (pool.block_max_age.value != 0) {
        mistakes.add(
            places.block_max_age,
            "block-max-age with port-selection: deterministic",
            "one of them: a subscriber's block by formula is always the same"
        );
    }
    if (pool.pairing != nat::Pairing::kHard) {
        mistakes.add(
            places.pairing,
            "pairing with port-selection: deterministic",
            "pairing in the overflow pool: a formula leaves no choice"
        );
    }
    const uint32_t size = pool.port_block_size;
    if (pool.ports.first % size != 0 || (pool.ports.last + 1U) % size != 0) {
        mistakes.add(
            places.ports,
            fmt::format(
                "the ports {}-{} with port-selection: deterministic",
                pool.ports.first,
                pool.ports.last
            ),
            fmt::format("whole blocks of {} ports, so that all subscribers have as many", size)
        );
        return;
    }
    const std::vector<uint64_t> reserved = nat::reserved_bits(pool);
    for (uint32_t first = pool.ports.first; first < pool.ports.last; first += size) {
        uint32_t port = first;
        while (port < first + size && nat::is_reserved(reserved, port)) {
            ++port;
        }
        if (port == first + size) {
            mistakes.add(
                places.reserved_ports,
                fmt::format("all ports of a block reserved, {}-{}", first, first + size - 1),
                "at least one for each subscriber"
            );
            return;
        }
    }
}

void check_size(const Draft& draft, size_t index, Mistakes& mistakes) {
    const nat::Formula formula(draft.config.nat, PoolId{static_cast<uint16_t>(index)});
    if (formula.subscribers() > formula.blocks()) {
        mistakes.add(
            draft.pools[index].port_selection,
            fmt::format(
                "port-selection: deterministic for {} internal addresses and {} port blocks",
                formula.subscribers(),
                formula.blocks()
            ),
            "a block for each address that its policies cover"
        );
    }
}

// What is given away beforehand may not lie in somebody's block.
void check_given_away(const Draft& draft, size_t index, Mistakes& mistakes) {
    const auto check = [&](Ipv4Addr external, Place place, const char* what) {
        if (draft.config.nat.pools[index].has(external)) {
            mistakes.add(
                place,
                fmt::format("{} at an address whose ports follow from a formula", what),
                "an address of a pool without port-selection: deterministic"
            );
        }
    };
    for (size_t i = 0; i < draft.static_mappings.size(); ++i) {
        if (draft.static_mappings[i].is_read) {
            check(
                draft.config.nat.static_mappings[i].external,
                draft.static_mappings[i].external,
                "a static mapping"
            );
        }
    }
    for (size_t i = 0; i < draft.destination_nat.size(); ++i) {
        const nat::DestinationNatSettings& rule = draft.config.nat.destination_nat[i];
        for (size_t d = 0; rule.is_inbound && d < rule.destination.size(); ++d) {
            check(
                rule.destination[d].address,
                draft.destination_nat[i].destinations[d],
                "a service of destination-nat"
            );
        }
    }
    for (size_t i = 0; i < draft.trigger_forwards.size(); ++i) {
        if (draft.trigger_forwards[i].is_read) {
            check(
                draft.config.nat.trigger_forwards[i].external,
                draft.trigger_forwards[i].external,
                "a trigger forward"
            );
        }
    }
}

}  // namespace

void resolve_overflow(Draft& draft, Mistakes& mistakes) {
    auto& pools = draft.config.nat.pools;
    for (size_t i = 0; i < pools.size(); ++i) {
        const PoolPlaces& places = draft.pools[i];
        if (places.overflow_name.empty()) {
            continue;
        }
        if (!is_deterministic(pools[i])) {
            mistakes.add(
                places.overflow,
                "overflow-pool without port-selection: deterministic",
                "a pool whose blocks follow from a formula"
            );
            continue;
        }
        const auto index = draft.pool_names.find(places.overflow_name);
        const bool will_do = index && *index < pools.size() &&
                             nat::block_span(pools[*index]).count() > 0 &&
                             !is_deterministic(pools[*index]);
        if (!will_do) {
            mistakes.add(
                places.overflow,
                fmt::format("\"{}\"", places.overflow_name),
                "the name of a pool that grants blocks: random or sequential"
            );
            continue;
        }
        const nat::PoolSettings& more = pools[*index];
        if (std::tie(more.port_parity, more.port_contiguity) !=
            std::tie(pools[i].port_parity, pools[i].port_contiguity)) {
            mistakes.add(
                places.overflow,
                fmt::format("{}, with another port-parity or port-contiguity", more.name),
                "a pool that pairs ports in the same way"
            );
        }
        pools[i].overflow = PoolId{static_cast<uint16_t>(*index)};
    }
}

void check_deterministic(const Draft& draft, Mistakes& mistakes) {
    const auto& pools = draft.config.nat.pools;
    for (size_t i = 0; i < pools.size(); ++i) {
        if (is_deterministic(pools[i])) {
            check_settings(pools[i], draft.pools[i], mistakes);
            check_size(draft, i, mistakes);
            check_given_away(draft, i, mistakes);
        }
    }
}

}  // namespace sekisho::config
