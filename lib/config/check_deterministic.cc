// Pools whose blocks follow from a formula: what must hold for it to be one (RFC 7422).
#include <algorithm>

#include <fmt/format.h>

#include "config/draft.h"
#include "nat/external_directory.h"
#include "nat/formula.h"

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
        const auto& addresses = draft.config.nat.pools[index].addresses;
        if (std::ranges::any_of(addresses, [&](const nat::AddressRange& r) {
                return r.first <= external && external <= r.last;
            })) {
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
