#include "dataplane/stages.h"
#include "packet/build.h"

namespace sekisho::dataplane {
namespace {

void drop(PacketMeta& meta, DropReason reason) {
    meta.verdict = Verdict::kDrop;
    meta.reason = reason;
}

// Whether a session may keep the entry's id for packets to `destination` in a realm (neighbour.h).
bool is_believable(const NeighbourEntry& entry, RealmId realm, Ipv4Addr destination) {
    return entry.gateway != 0 || (entry.address == destination && entry.realm == realm);
}

void move_start(PacketRef& ref, int by) {
    ref.data += by;
    ref.length = static_cast<uint16_t>(ref.length - by);
    ref.frame_length = static_cast<uint16_t>(ref.frame_length - by);
    ref.headroom = static_cast<uint16_t>(ref.headroom + by);
}

// Where the header's length changes, or there are tags.
[[gnu::noinline]] bool put_other_header(
    PacketRef& ref, const PacketMeta& meta, const NeighbourEntry& hop, const Network& network
) {
    const size_t before = size_t{ref.headroom} + meta.l3_offset;
    if (before < hop.header_length) {
        return false;
    }
    uint8_t* l3 = ref.data + meta.l3_offset;
    const Link& link = network.link(hop.link);
    packet::write_l2_header(
        l3 - hop.header_length, hop.mac, link.mac, link.vlans, packet::kEtherIpv4
    );
    move_start(ref, int{meta.l3_offset} - hop.header_length);
    return true;
}

// The untagged header is two 8-byte stores that overlap; frames mostly begin a cache line, which neither of them leaves.
[[gnu::always_inline]] inline void put_header(
    PacketRef& ref, PacketMeta& meta, const NeighbourEntry& hop, const Network& network
) {
    constexpr unsigned kSecond = packet::kEthernetHeader - sizeof(uint64_t);
    const bool is_plain =
        hop.header_length == packet::kEthernetHeader && meta.l3_offset == packet::kEthernetHeader;
    if (is_plain) [[likely]] {
        const auto first = packet::load<uint64_t>(hop.header);
        const auto second = packet::load<uint64_t>(hop.header + kSecond);
        packet::store(ref.data, first);
        packet::store(ref.data + kSecond, second);
    } else if (!put_other_header(ref, meta, hop, network)) {
        return drop(meta, DropReason::kBug);
    }
    meta.out_link = hop.link;
    meta.verdict = Verdict::kTransmit;
}

// Who stands behind a hop; unknown ones have the id 0, whose entry is never resolved.
struct Neighbour {
    NeighbourId id;
    const NeighbourEntry& entry;

    bool is_resolved() const { return entry.resolved != 0; }
    // What a session may remember for packets to `destination`, or 0.
    NeighbourId id_for(Ipv4Addr destination) const {
        return is_resolved() && is_believable(entry, entry.realm, destination) ? id : NeighbourId{};
    }
};

Neighbour neighbour_of(const StageTables& tables, const Hop& hop) {
    const NeighbourId id = tables.hops->find(hop.next_hop, hop.link);
    return {id, tables.hops->at(id)};
}

// A hop that no session remembers. Returns the id that a session may remember, or 0.
[[gnu::noinline]] NeighbourId route_slowly(
    Burst& burst,
    uint32_t i,
    Ipv4Addr destination,
    const HopResult& result,
    const StageTables& tables
) {
    PacketMeta& meta = burst.batch.meta[i];
    if (!result.is_found()) {
        drop(meta, result.reason());
        return NeighbourId{};
    }
    const Neighbour neighbour = neighbour_of(tables, result.hop());
    if (!neighbour.is_resolved()) {
        meta.verdict = Verdict::kPuntNeighbour;
        burst.hop[i] = result.hop();
        burst.batch.ref[i].in_link = result.link();  // whose realm its destination lies in
        burst.batch.ref[i].flags =
            static_cast<uint8_t>(burst.batch.ref[i].flags | packet::kRouteOnly);
        return NeighbourId{};
    }
    put_header(burst.batch.ref[i], meta, neighbour.entry, *tables.network);
    return neighbour.id_for(destination);
}

}  // namespace

NeighbourId known_neighbour(const StageTables& tables, const Hop& hop, Ipv4Addr destination) {
    return neighbour_of(tables, hop).id_for(destination);
}

HopResult find_hop(
    const StageTables& tables, RealmId realm, Ipv4Addr destination, Direction direction
) {
    const Hop* const hop = tables.network->find_route(realm, destination);
    if (hop == nullptr) {
        return HopResult::none(DropReason::kNoRoute);
    }
    if (tables.network->is_own(realm, destination)) {
        return HopResult::none(DropReason::kToAppliance);
    }
    const auto wanted =
        direction == Direction::kOutbound ? config::Side::kExternal : config::Side::kInternal;
    if (tables.network->link(hop->link).side != wanted) {
        return HopResult::none(DropReason::kWrongSide);
    }
    return HopResult::of(hop->towards(destination));
}

void route(Burst& burst, const StageTables& tables) {
    Batch& batch = burst.batch;
    for (uint32_t i = 0; i < batch.count; ++i) {
        PacketMeta& meta = batch.meta[i];
        if (meta.verdict != Verdict::kPending) {
            continue;
        }
        if (meta.kind == PacketKind::kIcmpError)
            [[unlikely]] {  // its outer destination is not the session's
            const Ipv4Addr destination = destination_of(batch.ref[i], meta);
            const RealmId realm = flow::realm_of(*static_cast<flow::Session*>(meta.session));
            route_slowly(
                burst, i, destination, find_hop(tables, realm, destination, meta.direction), tables
            );
            continue;
        }
        auto& session = *static_cast<flow::Session*>(meta.session);
        const bool outbound = meta.direction == Direction::kOutbound;
        const RealmId realm = flow::realm_of(session);
        const Ipv4Addr destination{outbound ? session.remote_address : session.internal_address};
        uint16_t& cached = session.next_hop[static_cast<size_t>(meta.direction)];
        const NeighbourEntry& hop = tables.hops->at(NeighbourId{cached});
        const RealmId stands_in = outbound ? kExternalRealm : realm;
        if (hop.resolved != 0 && is_believable(hop, stands_in, destination)) [[likely]] {
            put_header(batch.ref[i], meta, hop, *tables.network);
            continue;
        }
        const HopResult result = find_hop(tables, realm, destination, meta.direction);
        cached = route_slowly(burst, i, destination, result, tables).value;
    }
}

namespace {

// An answer goes back into the realm from which it was asked for; what waited for a neighbour goes where it was going.
HopResult find_own_hop(const StageTables& tables, const PacketRef& ref, Ipv4Addr destination) {
    const Network& network = *tables.network;
    const RealmId realm = network.view_of(ref.in_link);
    const auto hop = network.route(realm, destination);
    if (!hop || network.is_own(realm, destination)) {
        return HopResult::none(DropReason::kNoRoute);
    }
    return network.view_of(hop->link) == realm ? HopResult::of(*hop)
                                               : HopResult::none(DropReason::kWrongSide);
}

}  // namespace

void route_own(Burst& burst, const StageTables& tables) {
    Batch& batch = burst.batch;
    for (uint32_t i = 0; i < batch.count; ++i) {
        PacketMeta& meta = batch.meta[i];
        if (meta.verdict != Verdict::kPending) {
            continue;
        }
        const Ipv4Addr destination = destination_of(batch.ref[i], meta);
        const bool translated = (batch.ref[i].flags & packet::kGenerated) == 0;
        if (!translated &&
            tables.is_pool(destination)) {  // an error owed to the first half of a hairpin
            meta.verdict = Verdict::kHairpin;
            continue;
        }
        route_slowly(
            burst, i, destination, find_own_hop(tables, batch.ref[i], destination), tables
        );
    }
}

}  // namespace sekisho::dataplane
