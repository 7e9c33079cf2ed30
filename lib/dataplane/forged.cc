#include "dataplane/stages.h"

namespace sekisho::dataplane {
namespace {

// As `realm` sees it.
bool is_none_of_side(
    RealmId realm, Ipv4Addr source, Direction direction, const StageTables& tables
) {
    const Direction back =
        direction == Direction::kOutbound ? Direction::kInbound : Direction::kOutbound;
    return tables.is_ours(realm, source) || !find_hop(tables, realm, source, back).is_found();
}

// As the outside is seen from inside: a realm that is alone knows all routes.
RealmId realm_to_ask(const StageTables& tables) {
    const auto& realms = tables.network->internal_realms();
    return realms.size() == 1 ? realms.front() : kExternalRealm;
}

// The realm of whoever has the external endpoint that an inbound packet is for.
std::optional<RealmId> realm_behind(const PacketMeta& meta, const nat::NatShard& nat) {
    const FlowKey& key = meta.key;
    if (const auto scratch = nat.scratch_static(key, Direction::kInbound, meta.kind)) {
        return flow::realm_of(*scratch);
    }
    MappingIndex mapping = nat.find_mapping_of_inbound(key);
    if (mapping.value == kNoIndex) {
        mapping =
            nat.find_mapping_by_external(key.destination(), key.destination_port(), key.protocol());
    }
    return mapping.value == kNoIndex ? std::nullopt
                                     : std::optional(RealmId{nat.mapping(mapping).realm});
}

}  // namespace

bool is_forged(RealmId realm, Ipv4Addr source, Direction direction, const StageTables& tables) {
    if (direction == Direction::kOutbound) {
        return is_none_of_side(realm, source, direction, tables);
    }
    const RealmId asked = realm_to_ask(tables);
    return is_none_of_side(asked, source, direction, tables) ||
           (asked == kExternalRealm && tables.network->is_inside_any(source));
}

// To another realm it is an address like any other outside; what is for nobody comes from nobody.
bool is_forged_inbound(const PacketMeta& meta, const StageTables& tables) {
    const Ipv4Addr source = meta.key.source();
    if (!is_forged(kExternalRealm, source, Direction::kInbound, tables)) {
        return false;
    }
    if (is_none_of_side(realm_to_ask(tables), source, Direction::kInbound, tables)) {
        return true;
    }
    const auto realm = realm_behind(meta, *tables.nat);
    return !realm || tables.network->is_inside(*realm, source);
}

}  // namespace sekisho::dataplane
