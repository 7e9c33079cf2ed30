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
    const bool good = rule.is_by_port() && (found == 1 || found == wanted);
    if (!good) {
        mistakes.add(
            node.place,
            rule.is_by_port() ? fmt::format("{} ports of a target for {}", found, wanted)
                              : fmt::format("{} of a target for all ports", describe(node)),
            rule.is_by_port() ? "one port for all of them, or as many" : "ports of the rule as well"
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

void read_rule(
    const Map& map,
    const Draft& draft,
    nat::DestinationNatSettings& rule,
    DestinationNatPlaces& places,
    Mistakes& mistakes
) {
    if (const Node* node = map.find("realm")) {
        rule.realm = read_internal_realm(*node, draft, mistakes).value_or(rule.realm);
    }
    if (const Node* node = map.find("source")) {
        (void)read_prefixes(*node, rule.source, kWantedPrefixes, mistakes);
    }
    if (const Node* node = map.find("destination")) {
        (void)read_prefixes(*node, rule.destination, kWantedPrefixes, mistakes);
    }
    const Node* const ports = map.find("ports");
    const Node* const protocol = map.find("transport-protocol");
    if (ports != nullptr) {
        (void)read_ports(*ports, rule.ports, mistakes);
    }
    if (protocol != nullptr && ports == nullptr) {
        mistakes.add(
            protocol->place, fmt::format("{} without ports", describe(*protocol)), "ports as well"
        );
    } else if (protocol != nullptr) {
        (void)read_transports(*protocol, rule.tcp, rule.udp, mistakes);
    }
    read_choice(map, "affinity", kAffinities, rule.affinity, mistakes);
    if (const Node* node = map.find("targets")) {
        read_targets(*node, rule, places, mistakes);
    }
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
            if (const Node* name = map->find("name"); name != nullptr) {
                if (const std::string* text = read_name(*name, mistakes)) {
                    rule.name = *text;
                    draft.destination_nat_names.declare(*name, rules.size(), mistakes);
                }
            }
            read_rule(*map, draft, rule, places, mistakes);
        }
        rules.push_back(std::move(rule));
        draft.destination_nat.push_back(std::move(places));
    }
}

}  // namespace sekisho::config
