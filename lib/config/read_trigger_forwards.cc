// The section trigger-forwards: reading and checking.
#include <algorithm>

#include <fmt/format.h>

#include "config/parts.h"

namespace sekisho::config {
namespace {

constexpr Choice<nat::TriggerAccess> kAccesses[] = {
    {"contacted", nat::TriggerAccess::kContacted}, {"anyone", nat::TriggerAccess::kAnyone}};
constexpr Choice<Protocol> kProtocols[] = {{"tcp", Protocol::kTcp}, {"udp", Protocol::kUdp}};

bool read_rule(
    const Map& map,
    const Draft& draft,
    nat::TriggerForwardSettings& rule,
    TriggerForwardPlaces& places,
    Mistakes& mistakes
) {
    const Node* const external = map.find("external-src-address");
    const Node* const ports = map.find("ports");
    bool good = external != nullptr && ports != nullptr;
    if (const Node* node = map.find("realm")) {
        const auto realm = read_internal_realm(*node, draft, mistakes);
        rule.realm = realm.value_or(rule.realm);
    }
    if (const Node* node = map.find("source")) {
        (void
        )read_prefixes(*node, rule.source, "a list of prefixes, such as [100.64.0.0/16]", mistakes);
    }
    if (external != nullptr) {
        places.external = external->place;
        good = read_host(*external, rule.external, mistakes) && good;
    }
    if (ports != nullptr) {
        places.ports = ports->place;
        good = read_ports(*ports, rule.ports, mistakes) && good;
    }
    if (const Node* node = map.find("transport-protocol")) {
        good = read_transports(*node, rule.tcp, rule.udp, mistakes) && good;
    }
    read_number(map, "trigger-port", kTriggerPort, rule.trigger_port, mistakes);
    read_choice(map, "trigger-protocol", kProtocols, rule.trigger_protocol, mistakes);
    read_number(map, "idle", kTriggerIdle, rule.idle, mistakes);
    read_choice(map, "access", kAccesses, rule.access, mistakes);
    return good;
}

}  // namespace

void read_trigger_forwards(const Node& node, Draft& draft, Mistakes& mistakes) {
    const auto* items = read_list(
        node,
        kMaxTriggerForwards,
        "a list of forwards, each with name, external-src-address, ports and trigger-port",
        mistakes
    );
    if (items == nullptr) {
        return;
    }
    auto& rules = draft.config.nat.trigger_forwards;
    for (const Node& item : *items) {
        nat::TriggerForwardSettings rule;
        TriggerForwardPlaces places;
        if (const auto map = Map::open(item, kTriggerForward, mistakes)) {
            read_entry_name(*map, rule.name, draft.trigger_forward_names, rules.size(), mistakes);
            places.is_read = read_rule(*map, draft, rule, places, mistakes);
        }
        rules.push_back(std::move(rule));
        draft.trigger_forwards.push_back(places);
    }
}

namespace {

bool meet(const std::vector<Ipv4Prefix>& a, const std::vector<Ipv4Prefix>& b) {
    return a.empty() || b.empty() || std::ranges::any_of(a, [&](const Ipv4Prefix& x) {
               return std::ranges::any_of(b, [&](const Ipv4Prefix& y) {
                   return x.contains(y.address) || y.contains(x.address);
               });
           });
}

// Whether a subscriber may hold the ports of both, and so two external endpoints for one of its own.
bool share_ports(const nat::TriggerForwardSettings& a, const nat::TriggerForwardSettings& b) {
    return a.realm == b.realm && a.external != b.external &&
           ((a.tcp && b.tcp) || (a.udp && b.udp)) && a.ports.first <= b.ports.last &&
           b.ports.first <= a.ports.last && meet(a.source, b.source);
}

// The first of those before it with which rule `i` meets.
void check_held_ports(const Draft& draft, size_t i, Mistakes& mistakes) {
    const auto& rules = draft.config.nat.trigger_forwards;
    for (size_t k = 0; k < i; ++k) {
        if (draft.trigger_forwards[k].is_read && share_ports(rules[k], rules[i])) {
            mistakes.add(
                draft.trigger_forwards[i].ports,
                fmt::format(
                    "ports of the trigger forward on line {} at another external address, for the "
                    "same subscribers",
                    draft.trigger_forwards[k].ports.line
                ),
                "one external endpoint for an internal one"
            );
            return;
        }
    }
}

}  // namespace

void check_trigger_forwards(const Draft& draft, Mistakes& mistakes) {
    for (size_t i = 0; i < draft.trigger_forwards.size(); ++i) {
        const Ipv4Addr external = draft.config.nat.trigger_forwards[i].external;
        if (draft.trigger_forwards[i].is_read && !is_in_pool(draft, external)) {
            mistakes.add(
                draft.trigger_forwards[i].external,
                fmt::format("{}, which no pool has", format(external)),
                "an address of a pool"
            );
        }
        if (draft.trigger_forwards[i].is_read) {
            check_held_ports(draft, i, mistakes);
        }
    }
}

}  // namespace sekisho::config
