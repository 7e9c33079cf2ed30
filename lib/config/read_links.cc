// The sections links, routes and neighbours.
#include <span>

#include <fmt/format.h>

#include "base/text.h"
#include "config/device.h"
#include "config/parts.h"

namespace sekisho::config {
namespace {

void read_device(const Node& node, LinkSettings& link, LinkPlaces& places, Mistakes& mistakes) {
    places.device = node.place;
    const bool null_word = node.kind == Node::Kind::kNothing && node.text == "null";
    const std::string* text =
        null_word
            ? &node.text
            : read_text(node, "a device, such as pci:0000:03:00.0 or af_packet:eth0", mistakes);
    if (text == nullptr) {
        return;
    }
    auto device = parse_device(*text);
    if (!device) {
        mistakes.add(node.place, device.error().found, device.error().wanted);
        return;
    }
    link.device = std::move(*device);
    places.device_read = true;
}

void read_link_realm(
    const Node& node, const Draft& draft, LinkSettings& link, LinkPlaces& places, Mistakes& mistakes
) {
    const auto realm = read_any_realm(node, draft, mistakes);
    if (!realm) {
        return;
    }
    link.realm = *realm;
    link.side = draft.config.realms[realm->value].side;
    places.realm_read = true;
}

void read_link_addresses(
    const Node& node, LinkSettings& link, LinkPlaces& places, Mistakes& mistakes
) {
    const auto* items = read_list(
        node, kMaxLinkAddresses, "a list of own addresses, such as [192.0.2.1/24]", mistakes
    );
    if (items == nullptr) {
        return;
    }
    for (const Node& item : *items) {
        const auto address =
            parse_interface_address(item.kind == Node::Kind::kScalar ? item.text : "");
        if (!address) {
            mistakes.add(item.place, describe(item), address.error());
            continue;
        }
        link.addresses.push_back(*address);
        places.addresses.push_back(item.place);
    }
    places.addresses_read = link.addresses.size() == items->size();
}

void read_mtu(const Node& node, LinkSettings& link, Mistakes& mistakes) {
    const auto mtu = read_number(node, kMtu, mistakes);
    if (!mtu) {
        return;
    }
    if (*mtu > kMaxMtuWithoutJumbo) {
        mistakes.add(
            node.place,
            describe(node),
            fmt::format("at most {} (jumbo frames are not available yet)", kMaxMtuWithoutJumbo)
        );
        return;
    }
    link.mtu = static_cast<uint16_t>(*mtu);
}

void read_vlan(const Node& node, LinkSettings& link, LinkPlaces& places, Mistakes& mistakes) {
    const bool one = node.kind != Node::Kind::kList;
    const std::span<const Node> written =
        one ? std::span<const Node>(&node, 1) : std::span<const Node>(node.items);
    places.vlan_read = false;
    if (!one && written.size() != 2) {
        mistakes.add(
            node.place,
            fmt::format("a list of {}", written.size()),
            "one VLAN tag, or two: [outer, inner]"
        );
        return;
    }
    for (const Node& item : written) {
        if (const auto tag = read_number(item, kVlan, mistakes)) {
            link.vlans.push_back(static_cast<uint16_t>(*tag));
        }
    }
    places.vlan_read = link.vlans.size() == written.size();
}

void read_link_keys(
    const Map& map, const Draft& draft, LinkSettings& link, LinkPlaces& places, Mistakes& mistakes
) {
    if (const Node* node = map.find("device")) {
        read_device(*node, link, places, mistakes);
    }
    if (const Node* node = map.find("realm")) {
        read_link_realm(*node, draft, link, places, mistakes);
    }
    if (const Node* node = map.find("addresses")) {
        read_link_addresses(*node, link, places, mistakes);
    }
    if (const Node* node = map.find("mtu")) {
        read_mtu(*node, link, mistakes);
    }
    if (const Node* node = map.find("vlan")) {
        read_vlan(*node, link, places, mistakes);
    }
    if (const Node* node = map.find("proxy-arp")) {
        link.proxy_arp = read_boolean(*node, mistakes).value_or(false);
    }
    read_number(map, "queues", kQueues, link.queues, mistakes);
    places.queues_read = map.find("queues") == nullptr || link.queues != 0;
}

void read_link(
    const Node& node, Draft& draft, LinkSettings& link, LinkPlaces& places, Mistakes& mistakes
) {
    const auto map = Map::open(node, kLink, mistakes);
    if (!map) {
        return;
    }
    const Node* name = map->find("name");
    if (name != nullptr && read_name(*name, mistakes) != nullptr) {
        link.name = name->text;
        draft.link_names.declare(*name, draft.config.links.size(), mistakes);
    }
    read_link_keys(*map, draft, link, places, mistakes);
}

void read_route_prefix(
    const Node& node, RouteSettings& route, RoutePlaces& places, Mistakes& mistakes
) {
    places.prefix = node.place;
    const auto prefix = parse_prefix(node.kind == Node::Kind::kScalar ? node.text : "");
    if (!prefix) {
        mistakes.add(node.place, describe(node), prefix.error());
        return;
    }
    if (is_without_unicast(*prefix)) {
        mistakes.add(
            node.place, describe(node), "a prefix of unicast destinations (RFC 1812 5.3.7)"
        );
        return;
    }
    route.prefix = *prefix;
    places.prefix_read = true;
}

void read_next_hop(
    const Node& node, RouteSettings& route, RoutePlaces& places, Mistakes& mistakes
) {
    places.next_hop = node.place;
    const auto address = parse_address(node.kind == Node::Kind::kScalar ? node.text : "");
    if (!address || !is_unicast(*address)) {
        mistakes.add(node.place, describe(node), "the IPv4 address of a neighbour");
        return;
    }
    route.next_hop = *address;
    places.next_hop_read = true;
}

void read_neighbour(
    const Map& map,
    const Draft& draft,
    NeighbourSettings& neighbour,
    NeighbourPlaces& places,
    Mistakes& mistakes
) {
    if (const Node* node = map.find("address")) {
        places.address = node->place;
        const auto address = parse_address(node->kind == Node::Kind::kScalar ? node->text : "");
        places.address_read = address && is_unicast(*address);
        if (places.address_read) {
            neighbour.address = *address;
        } else {
            mistakes.add(node->place, describe(*node), "the IPv4 address of a neighbour");
        }
    }
    if (const Node* node = map.find("realm")) {
        places.realm = read_any_realm(*node, draft, mistakes);
        places.address_read = places.address_read && places.realm;
    }
    if (const Node* node = map.find("mac")) {
        const auto mac = base::parse_mac(node->kind == Node::Kind::kScalar ? node->text : "");
        const bool is_group = mac && (mac->bytes[0] & 1) != 0;
        if (!mac || is_group || *mac == MacAddr{}) {
            mistakes.add(
                node->place,
                describe(*node),
                "the link address of one neighbour, such as 02:00:00:00:00:01"
            );
            return;
        }
        neighbour.mac = *mac;
    }
}

}  // namespace

void read_links(const Node& node, Draft& draft, Mistakes& mistakes) {
    draft.links_list = node.place;
    const auto* items = read_list(
        node, kMaxLinks, "a list of links, at least one internal and one external", mistakes
    );
    if (items == nullptr) {
        return;
    }
    for (const Node& item : *items) {
        LinkSettings link;
        LinkPlaces places;
        read_link(item, draft, link, places, mistakes);
        draft.config.links.push_back(std::move(link));
        draft.links.push_back(std::move(places));
    }
}

void read_routes(const Node& node, Draft& draft, Mistakes& mistakes) {
    const auto* items =
        read_list(node, kMaxNodes, "a list of routes, each with prefix and next-hop", mistakes);
    if (items == nullptr) {
        return;
    }
    for (const Node& item : *items) {
        RouteSettings route;
        RoutePlaces places;
        const auto map = Map::open(item, kRoute, mistakes);
        if (const Node* prefix = map ? map->find("prefix") : nullptr) {
            read_route_prefix(*prefix, route, places, mistakes);
        }
        if (const Node* next_hop = map ? map->find("next-hop") : nullptr) {
            read_next_hop(*next_hop, route, places, mistakes);
        }
        if (const Node* realm = map ? map->find("realm") : nullptr) {
            places.realm = read_any_realm(*realm, draft, mistakes);
            places.next_hop_read = places.next_hop_read && places.realm;
        }
        draft.config.routes.push_back(route);
        draft.routes.push_back(places);
    }
}

void read_neighbours(const Node& node, Draft& draft, Mistakes& mistakes) {
    const auto* items = read_list(
        node, kMaxNeighbours, "a list of neighbours, each with address and mac", mistakes
    );
    if (items == nullptr) {
        return;
    }
    for (const Node& item : *items) {
        NeighbourSettings neighbour;
        NeighbourPlaces places;
        if (const auto map = Map::open(item, kNeighbour, mistakes)) {
            read_neighbour(*map, draft, neighbour, places, mistakes);
        }
        draft.config.neighbours.push_back(neighbour);
        draft.neighbours.push_back(places);
    }
}

}  // namespace sekisho::config
