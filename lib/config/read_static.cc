// The section static-mappings.
#include <fmt/format.h>

#include "config/parts.h"

namespace sekisho::config {
namespace {

constexpr std::string_view kWantedAccess =
    "a list of the remote hosts that may begin, such as [192.0.2.0/24]";

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
    bool good = read_ports(*internal, mapping.internal_ports, mistakes);
    mapping.external_ports = mapping.internal_ports;
    if (external != nullptr) {
        places.external_port = external->place;
        good = read_ports(*external, mapping.external_ports, mistakes) && good;
    }
    if (transport != nullptr) {
        good = read_transports(*transport, mapping.tcp, mapping.udp, mistakes) && good;
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
        const auto realm = read_internal_realm(*node, draft, mistakes);
        mapping.realm = realm.value_or(mapping.realm);
        good = realm && good;
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
        (void)read_prefixes(*node, mapping.access, kWantedAccess, mistakes);
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
