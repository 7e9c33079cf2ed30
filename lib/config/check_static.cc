// What must hold between static mappings, and between them and what stands around them.
#include <algorithm>
#include <tuple>

#include <fmt/format.h>

#include "config/draft.h"
#include "config/on_link.h"
#include "config/scalars.h"
#include "nat/policy.h"

namespace sekisho::config {
namespace {

using nat::StaticMappingSettings;

// A run of endpoints that one mapping takes for a protocol.
struct Run {
    uint32_t address;
    uint8_t realm;
    Protocol protocol;
    nat::PortRange ports;
    size_t mapping;
};

std::string text_of(Ipv4Addr address, nat::PortRange ports) {
    if (ports.first == 0) {
        return format(address);
    }
    return ports.first == ports.last
               ? fmt::format("{}:{}", format(address), ports.first)
               : fmt::format("{}:{}-{}", format(address), ports.first, ports.last);
}

enum class End : uint8_t { kInternal, kExternal };

std::vector<Run> runs_of(const Draft& draft, End end) {
    std::vector<Run> runs;
    for (size_t i = 0; i < draft.static_mappings.size(); ++i) {
        const StaticMappingSettings& m = draft.config.nat.static_mappings[i];
        if (!draft.static_mappings[i].is_read) {
            continue;
        }
        const bool internal = end == End::kInternal;
        Run run{};
        run.address = internal ? m.internal.host() : m.external.host();
        run.realm = internal ? m.realm.value : uint8_t{0};
        run.ports = internal ? m.internal_ports : m.external_ports;
        run.mapping = i;
        for (const Protocol p : {Protocol::kTcp, Protocol::kUdp, Protocol::kIcmp}) {
            const bool is_meant = (p == Protocol::kTcp && m.tcp) || (p == Protocol::kUdp && m.udp);
            if (m.is_whole() || is_meant) {
                run.protocol = p;
                runs.push_back(run);
            }
        }
    }
    return runs;
}

// One mistake a mapping and end: the later one of two that meet.
void check_overlaps(const Draft& draft, End end, Mistakes& mistakes) {
    std::vector<Run> runs = runs_of(draft, end);
    std::stable_sort(runs.begin(), runs.end(), [](const Run& a, const Run& b) {
        return std::tie(a.address, a.realm, a.protocol, a.ports.first) <
               std::tie(b.address, b.realm, b.protocol, b.ports.first);
    });
    std::vector<bool> said(draft.static_mappings.size());
    const Run* furthest = nullptr;  // of those before with the same address and protocol
    for (const Run& run : runs) {
        const bool alike = furthest != nullptr && furthest->address == run.address &&
                           furthest->realm == run.realm && furthest->protocol == run.protocol;
        if (alike && run.ports.first <= furthest->ports.last) {
            const size_t second = std::max(run.mapping, furthest->mapping);
            const size_t first = std::min(run.mapping, furthest->mapping);
            if (!said[second]) {
                said[second] = true;
                const StaticMappingPlaces& at = draft.static_mappings[second];
                const StaticMappingPlaces& other = draft.static_mappings[first];
                const bool internal = end == End::kInternal;
                const Run& later = run.mapping == second ? run : *furthest;
                mistakes.add(
                    internal ? at.internal : at.external,
                    fmt::format(
                        "{}, of which the static mapping on line {} has a part",
                        text_of(Ipv4Addr::from_host(later.address), later.ports),
                        (internal ? other.internal : other.external).line
                    ),
                    internal ? "one external endpoint for an internal one"
                             : "one internal endpoint for an external one"
                );
            }
        }
        if (!alike || run.ports.last > furthest->ports.last) {
            furthest = &run;
        }
    }
}

bool is_in_pool(const Draft& draft, Ipv4Addr address) {
    for (const nat::PoolSettings& pool : draft.config.nat.pools) {
        for (const nat::AddressRange& range : pool.addresses) {
            if (range.first <= address && address <= range.last) {
                return true;
            }
        }
    }
    return false;
}

void check_external(const Draft& draft, size_t i, Mistakes& mistakes) {
    const Ipv4Addr external = draft.config.nat.static_mappings[i].external;
    if (!is_in_pool(draft, external)) {
        mistakes.add(
            draft.static_mappings[i].external,
            fmt::format("{}, which no pool has", format(external)),
            "an address of a pool"
        );
    }
}

// Without a policy it would have no limits, and its packets no way.
void check_internal(
    const Draft& draft, const std::vector<OnLink>& prefixes, size_t i, Mistakes& mistakes
) {
    const StaticMappingSettings& m = draft.config.nat.static_mappings[i];
    const Place place = draft.static_mappings[i].internal;
    if (is_in_pool(draft, m.internal)) {
        mistakes.add(
            place,
            fmt::format("{}, an address of a pool", format(m.internal)),
            "a subscriber's address"
        );
        return;
    }
    for (const OnLink& p : prefixes) {
        if (p.own == m.internal) {
            mistakes.add(
                place,
                fmt::format(
                    "{}, the link {}'s own address",
                    format(m.internal),
                    draft.config.links[p.link].name
                ),
                "a subscriber's address"
            );
            return;
        }
    }
    const bool policies_read = std::ranges::all_of(draft.policies, &PolicyPlaces::realm_read);
    if (policies_read &&
        nat::find_policy(draft.config.nat, m.internal, m.realm) == nat::kNoPolicy) {
        mistakes.add(
            place,
            fmt::format(
                "{} in the realm {}, whom no policy covers",
                format(m.internal),
                draft.config.realms[m.realm.value].name
            ),
            "a subscriber of a policy"
        );
    }
}

}  // namespace

void check_static_mappings(const Draft& draft, Mistakes& mistakes) {
    const std::vector<OnLink> prefixes = on_link_prefixes(draft);
    for (size_t i = 0; i < draft.static_mappings.size(); ++i) {
        if (draft.static_mappings[i].is_read) {
            check_external(draft, i, mistakes);
            check_internal(draft, prefixes, i, mistakes);
        }
    }
    check_overlaps(draft, End::kInternal, mistakes);
    check_overlaps(draft, End::kExternal, mistakes);
}

}  // namespace sekisho::config
