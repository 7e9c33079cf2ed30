// The key exempt of a policy: destinations to which its subscribers are not translated.
#include "config/draft.h"
#include "config/scalars.h"

namespace sekisho::config {
namespace {

std::optional<Ipv4Prefix> read_destination(const Node& node, Mistakes& mistakes) {
    const auto prefix = parse_prefix(node.kind == Node::Kind::kScalar ? node.text : "");
    if (!prefix) {
        mistakes.add(node.place, describe(node), prefix.error());
        return std::nullopt;
    }
    if (is_without_unicast(*prefix)) {
        mistakes.add(node.place, describe(node), "unicast addresses (RFC 1812 5.3.7)");
        return std::nullopt;
    }
    return *prefix;
}

// A prefix, or {destination: prefix, ports: first-last}.
std::optional<nat::Exemption> read_exemption(const Node& node, Mistakes& mistakes) {
    nat::Exemption exemption;
    if (node.kind != Node::Kind::kMap) {
        const auto prefix = read_destination(node, mistakes);
        return prefix ? std::optional(nat::Exemption{*prefix}) : std::nullopt;
    }
    const auto map = Map::open(node, kExemption, mistakes);
    const Node* destination = map ? map->find("destination") : nullptr;
    const Node* ports = map ? map->find("ports") : nullptr;
    if (destination == nullptr || ports == nullptr) {
        return std::nullopt;  // said already
    }
    const auto prefix = read_destination(*destination, mistakes);
    const auto range = parse_ports(ports->kind == Node::Kind::kScalar ? ports->text : "");
    if (!range) {
        mistakes.add(ports->place, describe(*ports), range.error());
    }
    return prefix && range ? std::optional(nat::Exemption{*prefix, *range}) : std::nullopt;
}

}  // namespace

void read_exempt(
    const Node& node, nat::PolicySettings& policy, PolicyPlaces& places, Mistakes& mistakes
) {
    const auto* items =
        read_list(node, kMaxNodes, "a list of destinations, such as [192.0.2.0/24]", mistakes);
    if (items == nullptr) {
        return;
    }
    for (const Node& item : *items) {
        if (const auto exemption = read_exemption(item, mistakes)) {
            policy.exempt.push_back(*exemption);
            places.exempt.push_back(item.place);
        }
    }
}

}  // namespace sekisho::config
