// The section destination-nat.
#include <fmt/format.h>

#include "config/parts.h"

namespace sekisho::config {
namespace {

constexpr std::string_view kWantedPrefixes = "a list of prefixes, such as [192.0.2.0/24]";
constexpr Choice<nat::Affinity> kAffinities[] = {
    {"source", nat::Affinity::kSource}, {"none", nat::Affinity::kNone}};

// One port for all, or as many as the rule has.
bool check_target_ports(
    const Node& node,
    const nat::DestinationNatSettings& rule,
    const nat::TargetSettings& target,
    Mistakes& mistakes
) {
    const int found = target.ports.last - target.ports.first + 1;
    const int wanted = rule.is_by_port() ? rule.ports.last - rule.ports.first + 1 : 0;
    const bool one_for_all = found == 1 && !rule.is_inbound;
    const bool good = rule.is_by_port() && (one_for_all || found == wanted);
    if (!good) {
        mistakes.add(
            node.place,
            rule.is_by_port() ? fmt::format("{} ports of a target for {}", found, wanted)
                              : fmt::format("{} of a target for all ports", describe(node)),
            !rule.is_by_port() ? "ports of the rule as well"
            : rule.is_inbound  ? "as many"
                               : "one port for all of them, or as many"
        );
    }
    return good;
}

bool read_target(
    const Node& node,
    const nat::DestinationNatSettings& rule,
    nat::TargetSettings& target,
    Mistakes& mistakes
) {
    if (node.kind == Node::Kind::kScalar) {
        return read_host(node, target.address, mistakes);
    }
    const auto map = Map::open(node, kTarget, mistakes);
    const Node* const address = map ? map->find("address") : nullptr;
    bool good = address != nullptr && read_host(*address, target.address, mistakes);
    const Node* const ports = map ? map->find("ports") : nullptr;
    if (ports != nullptr) {
        good = read_ports(*ports, target.ports, mistakes) &&
               check_target_ports(*ports, rule, target, mistakes) && good;
    }
    if (map) {
        read_number(*map, "weight", kTargetWeight, target.weight, mistakes);
    }
    return good;
}

void read_targets(
    const Node& node,
    nat::DestinationNatSettings& rule,
    DestinationNatPlaces& places,
    Mistakes& mistakes
) {
    const auto* items =
        read_list(node, nat::kMaxTargets, "a list of targets, such as [192.0.2.1]", mistakes);
    if (items == nullptr) {
        return;
    }
    bool has_weight = false;
    for (const Node& item : *items) {
        nat::TargetSettings target;
        if (read_target(item, rule, target, mistakes)) {
            rule.targets.push_back(target);
            places.targets.push_back(item.place);
        }
        has_weight = has_weight || target.weight != 0;
    }
    if (!has_weight) {
        mistakes.add(node.place, "no target with a weight", "at least one that gets what is new");
    }
}

// Who sends: subscribers, or the Internet; then another key says where the targets are.
bool read_realms(
    const Map& map, const Draft& draft, nat::DestinationNatSettings& rule, Mistakes& mistakes
) {
    bool good = true;
    if (const Node* node = map.find("realm")) {
        const auto realm = read_any_realm(*node, draft, mistakes);
        rule.realm = realm.value_or(rule.realm);
        rule.is_inbound = realm && draft.config.realms[realm->value].side == Side::kExternal;
        good = realm.has_value();
    }
    if (const Node* node = map.find("target-realm")) {
        const auto realm = read_internal_realm(*node, draft, mistakes);
        rule.target_realm = realm.value_or(rule.target_realm);
        good = good && realm;
        if (!rule.is_inbound) {
            mistakes.add(
                node->place,
                "target-realm of a rule for subscribers",
                "a realm on the external side"
            );
            good = false;
        }
    }
    return good;
}

bool read_ports_of(const Map& map, nat::DestinationNatSettings& rule, Mistakes& mistakes) {
    const Node* const ports = map.find("ports");
    const Node* const protocol = map.find("transport-protocol");
    bool good = ports == nullptr || read_ports(*ports, rule.ports, mistakes);
    if (ports == nullptr && (protocol != nullptr || rule.is_inbound)) {
        mistakes.add(
            protocol != nullptr ? protocol->place : map.place(),
            protocol != nullptr ? fmt::format("{} without ports", describe(*protocol))
                                : "a rule from outside without ports",
            "ports as well"
        );
        return false;
    }
    if (protocol != nullptr) {
        good = read_transports(*protocol, rule.tcp, rule.udp, mistakes) && good;
    }
    return good;
}

void read_rule(
    const Map& map,
    const Draft& draft,
    nat::DestinationNatSettings& rule,
    DestinationNatPlaces& places,
    Mistakes& mistakes
) {
    bool good = read_realms(map, draft, rule, mistakes);
    if (const Node* node = map.find("source")) {
        good = read_prefixes(*node, rule.source, kWantedPrefixes, mistakes) && good;
    }
    if (const Node* node = map.find("destination")) {
        auto* const at = &places.destinations;
        good = read_prefixes(*node, rule.destination, kWantedPrefixes, mistakes, at) && good;
    }
    good = read_ports_of(map, rule, mistakes) && good;
    read_choice(map, "affinity", kAffinities, rule.affinity, mistakes);
    if (const Node* node = map.find("targets")) {
        read_targets(*node, rule, places, mistakes);
    }
    places.is_read = good && !rule.targets.empty();
}

}  // namespace

void read_destination_nat(const Node& node, Draft& draft, Mistakes& mistakes) {
    const auto* items = read_list(
        node,
        kMaxDestinationNat,
        "a list of rules, each with name, destination and targets",
        mistakes
    );
    if (items == nullptr) {
        return;
    }
    auto& rules = draft.config.nat.destination_nat;
    for (const Node& item : *items) {
        nat::DestinationNatSettings rule;
        DestinationNatPlaces places;
        if (const auto map = Map::open(item, kDestinationNat, mistakes)) {
            read_entry_name(*map, rule.name, draft.destination_nat_names, rules.size(), mistakes);
            read_rule(*map, draft, rule, places, mistakes);
        }
        rules.push_back(std::move(rule));
        draft.destination_nat.push_back(std::move(places));
    }
}

}  // namespace sekisho::config
