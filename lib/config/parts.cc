#include "config/parts.h"

namespace sekisho::config {

std::optional<RealmId> read_any_realm(const Node& node, const Draft& draft, Mistakes& mistakes) {
    const auto index =
        node.kind == Node::Kind::kScalar ? draft.realm_names.find(node.text) : std::nullopt;
    if (!index) {
        mistakes.add(
            node.place, describe(node), "the name of a realm: " + draft.realm_names.list()
        );
        return std::nullopt;
    }
    return draft.config.realms[*index].id;
}

std::optional<RealmId> read_internal_realm(
    const Node& node, const Draft& draft, Mistakes& mistakes
) {
    const auto index =
        node.kind == Node::Kind::kScalar ? draft.realm_names.find(node.text) : std::nullopt;
    if (!index || draft.config.realms[*index].side != Side::kInternal) {
        mistakes.add(node.place, describe(node), "the name of a realm on the internal side");
        return std::nullopt;
    }
    return draft.config.realms[*index].id;
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

bool read_transports(const Node& node, bool& tcp, bool& udp, Mistakes& mistakes) {
    constexpr const char* kWanted = "tcp, udp or [tcp, udp]";
    const std::vector<Node> one{node};
    const auto* items =
        node.kind == Node::Kind::kScalar ? &one : read_list(node, 2, kWanted, mistakes);
    tcp = udp = false;
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
        (item.text == "tcp" ? tcp : udp) = true;
    }
    return true;
}

bool read_ports(const Node& node, nat::PortRange& ports, Mistakes& mistakes) {
    const auto range = parse_ports(node.kind == Node::Kind::kScalar ? node.text : "");
    if (!range) {
        mistakes.add(node.place, describe(node), range.error());
        return false;
    }
    ports = *range;
    return true;
}

bool read_prefixes(
    const Node& node,
    std::vector<Ipv4Prefix>& prefixes,
    std::string_view wanted,
    Mistakes& mistakes,
    std::vector<Place>* places
) {
    const auto* items = read_list(node, kMaxNodes, wanted, mistakes);
    if (items == nullptr) {
        return false;
    }
    bool good = true;
    for (const Node& item : *items) {
        const auto prefix = parse_prefix(item.kind == Node::Kind::kScalar ? item.text : "");
        if (!prefix) {
            mistakes.add(item.place, describe(item), prefix.error());
            good = false;
            continue;
        }
        prefixes.push_back(*prefix);
        if (places != nullptr) {
            places->push_back(item.place);
        }
    }
    return good;
}

void read_entry_name(
    const Map& map, std::string& name, Names& names, size_t index, Mistakes& mistakes
) {
    const Node* node = map.find("name");
    if (node != nullptr && read_name(*node, mistakes) != nullptr) {
        name = node->text;
        names.declare(*node, index, mistakes);
    }
}

}  // namespace sekisho::config
