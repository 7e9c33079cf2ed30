// What must hold between static mappings, and between them and what stands around them.
#include <algorithm>
#include <map>
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

// Of a static mapping, or, behind all of those, of a rule of destination-nat from outside.
void add_static_runs(const Draft& draft, End end, std::vector<Run>& runs) {
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
        for (const Protocol protocol : m.protocols()) {
            run.protocol = protocol;
            runs.push_back(run);
        }
    }
}

// Of a rule, one for each protocol that it has. A TCP port inside may have several outside: answers go by their sessions.
template <class Rule>
void add_run(const Rule& rule, End end, Run run, std::vector<Run>& runs) {
    if (rule.tcp && end == End::kExternal) {
        run.protocol = Protocol::kTcp;
        runs.push_back(run);
    }
    if (rule.udp) {
        run.protocol = Protocol::kUdp;
        runs.push_back(run);
    }
}

void add_service_runs(const Draft& draft, End end, std::vector<Run>& runs) {
    for (size_t i = 0; i < draft.destination_nat.size(); ++i) {
        const nat::DestinationNatSettings& rule = draft.config.nat.destination_nat[i];
        if (!draft.destination_nat[i].is_read || !rule.is_inbound) {
            continue;
        }
        Run run{};
        run.ports = rule.ports;
        run.mapping = draft.static_mappings.size() + i;
        for (size_t d = 0; end == End::kExternal && d < rule.destination.size(); ++d) {
            run.address = rule.destination[d].address.host();
            add_run(rule, end, run, runs);
        }
        run.realm = rule.target_realm.value;
        for (size_t t = 0; end == End::kInternal && t < rule.targets.size(); ++t) {
            run.address = rule.targets[t].address.host();
            run.ports = rule.targets[t].ports.first != 0 ? rule.targets[t].ports : rule.ports;
            add_run(rule, end, run, runs);
        }
    }
}

// Behind those of destination-nat.
void add_trigger_runs(const Draft& draft, std::vector<Run>& runs) {
    for (size_t i = 0; i < draft.trigger_forwards.size(); ++i) {
        const nat::TriggerForwardSettings& rule = draft.config.nat.trigger_forwards[i];
        Run run{};
        run.address = rule.external.host();
        run.ports = rule.ports;
        run.mapping = draft.static_mappings.size() + draft.destination_nat.size() + i;
        if (draft.trigger_forwards[i].is_read) {
            add_run(rule, End::kExternal, run, runs);
        }
    }
}

std::vector<Run> runs_of(const Draft& draft, End end) {
    std::vector<Run> runs;
    if (end == End::kExternal) {
        add_trigger_runs(draft, runs);
    }
    add_static_runs(draft, end, runs);
    add_service_runs(draft, end, runs);
    return runs;
}

// Where a run's end was written, and what it belongs to.
struct Written {
    Place place;
    const char* what;
};
Written written(const Draft& draft, End end, const Run& run) {
    const bool internal = end == End::kInternal;
    if (run.mapping < draft.static_mappings.size()) {
        const StaticMappingPlaces& at = draft.static_mappings[run.mapping];
        return {internal ? at.internal : at.external, "static mapping"};
    }
    const size_t rule = run.mapping - draft.static_mappings.size();
    if (rule >= draft.destination_nat.size()) {
        return {
            draft.trigger_forwards[rule - draft.destination_nat.size()].external,
            "trigger forward"};
    }
    const DestinationNatPlaces& at = draft.destination_nat[rule];
    return {internal ? at.targets.front() : at.destinations.front(), "rule of destination-nat"};
}

bool are_alike(const Run& a, const Run& b) {
    return std::tie(a.address, a.realm, a.protocol) == std::tie(b.address, b.realm, b.protocol);
}

// `later`: of the mapping that stands later in the file.
void report_overlap(
    const Draft& draft, End end, const Run& earlier, const Run& later, Mistakes& mistakes
) {
    const Written other = written(draft, end, earlier);
    const bool internal = end == End::kInternal;
    mistakes.add(
        written(draft, end, later).place,
        fmt::format(
            "{}, of which the {} on line {} has a part",
            text_of(Ipv4Addr::from_host(later.address), later.ports),
            other.what,
            other.place.line
        ),
        internal ? "one external endpoint for an internal one"
                 : "one internal endpoint for an external one"
    );
}

// One mistake a mapping and end: the later one of two that meet.
void check_overlaps(const Draft& draft, End end, Mistakes& mistakes) {
    std::vector<Run> runs = runs_of(draft, end);
    std::stable_sort(runs.begin(), runs.end(), [](const Run& a, const Run& b) {
        return std::tie(a.address, a.realm, a.protocol, a.ports.first) <
               std::tie(b.address, b.realm, b.protocol, b.ports.first);
    });
    const auto is_earlier = [](const Run& a, const Run& b) { return a.mapping < b.mapping; };
    std::map<size_t, std::pair<Run, Run>> meetings;  // by the later mapping
    const Run* furthest = nullptr;  // of those before with the same address and protocol
    for (const Run& run : runs) {
        const bool alike = furthest != nullptr && are_alike(*furthest, run);
        if (alike && run.ports.first <= furthest->ports.last) {
            const auto [earlier, later] = std::minmax(*furthest, run, is_earlier);
            meetings.try_emplace(later.mapping, earlier, later);
        }
        if (!alike || run.ports.last > furthest->ports.last) {
            furthest = &run;
        }
    }
    for (const auto& [mapping, runs_that_meet] : meetings) {
        report_overlap(draft, end, runs_that_meet.first, runs_that_meet.second, mistakes);
    }
}

// Two of one name would be one entry in the table of static mappings. Of UDP they meet as endpoints.
void check_equal_targets(const Draft& draft, size_t rule, Mistakes& mistakes) {
    const nat::DestinationNatSettings& r = draft.config.nat.destination_nat[rule];
    const auto ports_of = [&](const nat::TargetSettings& target) {
        return target.ports.first != 0 ? target.ports : r.ports;
    };
    for (size_t t = 1; t < r.targets.size(); ++t) {
        const nat::TargetSettings& target = r.targets[t];
        const auto here = r.targets.begin() + static_cast<std::ptrdiff_t>(t);
        const bool is_twice =
            std::any_of(r.targets.begin(), here, [&](const nat::TargetSettings& other) {
                return other.address == target.address && ports_of(other) == ports_of(target);
            });
        if (is_twice) {
            mistakes.add(
                draft.destination_nat[rule].targets[t],
                fmt::format(
                    "{}, which is a target of this rule already",
                    text_of(target.address, ports_of(target))
                ),
                "a target once, with its whole weight"
            );
        }
    }
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
        if (p.own == m.internal && p.is_seen_by(m.realm)) {
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
    for (size_t i = 0; i < draft.destination_nat.size(); ++i) {
        const nat::DestinationNatSettings& rule = draft.config.nat.destination_nat[i];
        if (draft.destination_nat[i].is_read && rule.is_inbound && !rule.udp) {
            check_equal_targets(draft, i, mistakes);
        }
    }
    check_overlaps(draft, End::kInternal, mistakes);
    check_overlaps(draft, End::kExternal, mistakes);
}

}  // namespace sekisho::config
