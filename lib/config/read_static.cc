// The section static-mappings.
#include <fmt/format.h>

#include "config/draft.h"
#include "config/scalars.h"

namespace sekisho::config {
namespace {

bool read_static_realm(
    const Node& node, const Draft& draft, nat::StaticMappingSettings& mapping, Mistakes& mistakes
) {
    const auto index =
        node.kind == Node::Kind::kScalar ? draft.realm_names.find(node.text) : std::nullopt;
    if (!index || draft.config.realms[*index].side != Side::kInternal) {
        mistakes.add(node.place, describe(node), "the name of a realm on the internal side");
        return false;
    }
    mapping.realm = draft.config.realms[*index].id;
    return true;
}

bool read_host(const Node& node, Ipv4Addr& address, Mistakes& mistakes) {
    const auto parsed = parse_address(node.kind == Node::Kind::kScalar ? node.text : "");
    if (!parsed || !is_unicast(*parsed)) {
        mistakes.add(node.place, describe(node), "an IPv4 address of a host, such as 192.0.2.1");
        return false;
    }
    address = *parsed;
    return true;
}

// tcp, udp, or a list of them.
bool read_transports(const Node& node, nat::StaticMappingSettings& mapping, Mistakes& mistakes) {
    constexpr const char* kWanted = "tcp, udp or [tcp, udp]";
    const std::vector<Node> one{node};
    const auto* items =
        node.kind == Node::Kind::kScalar ? &one : read_list(node, 2, kWanted, mistakes);
    mapping.tcp = mapping.udp = false;
    if (items == nullptr) {
        return false;
    }
    for (const Node& item : *items) {
        const bool is_known =
            item.kind == Node::Kind::kScalar && (item.text == "tcp" || item.text == "udp");
        if (!is_known) {
            mistakes.add(item.place, describe(item), kWanted);
            return false;
        }
        (item.text == "tcp" ? mapping.tcp : mapping.udp) = true;
    }
    return true;
}

bool read_static_ports(const Node& node, nat::PortRange& ports, Mistakes& mistakes) {
    const auto range = parse_ports(node.kind == Node::Kind::kScalar ? node.text : "");
    if (!range) {
        mistakes.add(node.place, describe(node), range.error());
        return false;
    }
    ports = *range;
    return true;
}

bool read_access(const Node& node, std::vector<Ipv4Prefix>& access, Mistakes& mistakes) {
    const auto* items = read_list(
        node,
        kMaxNodes,
        "a list of the remote hosts that may begin, such as [192.0.2.0/24]",
        mistakes
    );
    if (items == nullptr) {
        return false;
    }
    bool good = true;
    for (const Node& item : *items) {
        const auto prefix = parse_prefix(item.kind == Node::Kind::kScalar ? item.text : "");
        if (prefix) {
            access.push_back(*prefix);
        } else {
            mistakes.add(item.place, describe(item), prefix.error());
            good = false;
        }
    }
    return good;
}

// A mapping of a whole address: nothing may say which part of it.
bool check_whole(const Node* external, const Node* transport, Mistakes& mistakes) {
    const Node* const node = external != nullptr ? external : transport;
    if (node != nullptr) {
        mistakes.add(
            node->place,
            fmt::format("{} of a whole address", describe(*node)),
            "internal-src-port as well"
        );
    }
    return node == nullptr;
}

bool read_run(
    const Map& map,
    nat::StaticMappingSettings& mapping,
    StaticMappingPlaces& places,
    Mistakes& mistakes
) {
    const Node* internal = map.find("internal-src-port");
    const Node* external = map.find("external-src-port");
    const Node* transport = map.find("transport-protocol");
    if (internal == nullptr) {
        return check_whole(external, transport, mistakes);
    }
    places.internal_port = places.external_port = internal->place;
    bool good = read_static_ports(*internal, mapping.internal_ports, mistakes);
    mapping.external_ports = mapping.internal_ports;
    if (external != nullptr) {
        places.external_port = external->place;
        good = read_static_ports(*external, mapping.external_ports, mistakes) && good;
    }
    if (transport != nullptr) {
        good = read_transports(*transport, mapping, mistakes) && good;
    }
    const int wanted = mapping.internal_ports.last - mapping.internal_ports.first + 1;
    const int found = mapping.external_ports.last - mapping.external_ports.first + 1;
    if (good && wanted != found) {
        mistakes.add(
            places.external_port,
            fmt::format("{} external ports for {} internal ones", found, wanted),
            "as many on either side"
        );
        good = false;
    }
    return good;
}

void read_static_mapping(
    const Map& map,
    const Draft& draft,
    nat::StaticMappingSettings& mapping,
    StaticMappingPlaces& places,
    Mistakes& mistakes
) {
    const Node* internal = map.find("internal-src-address");
    const Node* external = map.find("external-src-address");
    bool good = internal != nullptr && external != nullptr;
    for (Place* place :
         {&places.realm,
          &places.internal,
          &places.external,
          &places.internal_port,
          &places.external_port}) {
        *place = map.place();
    }
    if (const Node* node = map.find("realm")) {
        places.realm = node->place;
        good = read_static_realm(*node, draft, mapping, mistakes) && good;
    }
    if (internal != nullptr) {
        places.internal = internal->place;
        good = read_host(*internal, mapping.internal, mistakes) && good;
    }
    if (external != nullptr) {
        places.external = external->place;
        good = read_host(*external, mapping.external, mistakes) && good;
    }
    good = read_run(map, mapping, places, mistakes) && good;
    if (const Node* node = map.find("access")) {
        (void)read_access(*node, mapping.access, mistakes);
    }
    places.is_read = good;
}

}  // namespace

void read_static_mappings(const Node& node, Draft& draft, Mistakes& mistakes) {
    const auto* items = read_list(
        node,
        kMaxStaticMappings,
        "a list of mappings, each with internal-src-address and external-src-address",
        mistakes
    );
    if (items == nullptr) {
        return;
    }
    for (const Node& item : *items) {
        nat::StaticMappingSettings mapping;
        StaticMappingPlaces places;
        if (const auto map = Map::open(item, kStaticMapping, mistakes)) {
            read_static_mapping(*map, draft, mapping, places, mistakes);
        }
        draft.config.nat.static_mappings.push_back(std::move(mapping));
        draft.static_mappings.push_back(places);
    }
}

}  // namespace sekisho::config
