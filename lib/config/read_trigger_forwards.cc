// The section trigger-forwards: reading and checking.

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
    }
}

}  // namespace sekisho::config
