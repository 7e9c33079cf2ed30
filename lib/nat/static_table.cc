#include "nat/static_table.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace sekisho::nat {
namespace {

// A run is found by its first port: the last one that does not begin behind the port.
using Place = std::tuple<uint32_t, uint8_t, uint8_t, uint16_t>;

Place internal_place(const StaticEntry& e) {
    return {e.internal.host(), e.realm.value, static_cast<uint8_t>(e.protocol), e.internal_first};
}
Place external_place(const StaticEntry& e) {
    return {e.external.host(), uint8_t{0}, static_cast<uint8_t>(e.protocol), e.external_first};
}

// The entry that begins last of those at or before `wanted`, if it agrees but for the port.
template <class PlaceOf>
const StaticEntry* find_last(
    const std::vector<StaticEntry>& entries,
    const std::vector<uint32_t>& order,
    const Place& wanted,
    PlaceOf place_of
) {
    const auto after =
        std::upper_bound(order.begin(), order.end(), wanted, [&](const Place& place, uint32_t id) {
            return place < place_of(entries[id]);
        });
    if (after == order.begin()) {
        return nullptr;
    }
    const StaticEntry& found = entries[*std::prev(after)];
    const Place place = place_of(found);
    const bool agrees = std::get<0>(place) == std::get<0>(wanted) &&
                        std::get<1>(place) == std::get<1>(wanted) &&
                        std::get<2>(place) == std::get<2>(wanted);
    return agrees && std::get<3>(wanted) - std::get<3>(place) <= found.more ? &found : nullptr;
}

// Where a service stands, from outside.
std::vector<std::pair<Ipv4Addr, Protocol>> stands_of(const DestinationNatSettings& rule) {
    std::vector<std::pair<Ipv4Addr, Protocol>> stands;
    for (size_t i = 0; rule.is_inbound && i < rule.destination.size(); ++i) {
        if (rule.tcp) {
            stands.emplace_back(rule.destination[i].address, Protocol::kTcp);
        }
        if (rule.udp) {
            stands.emplace_back(rule.destination[i].address, Protocol::kUdp);
        }
    }
    return stands;
}

}  // namespace

StaticTable::StaticTable(
    const NatSettings& settings, const ShardOfSubscriber& shard_of, const HashSecret& secret
)
    : settings_(&settings), secret_(secret) {
    add_static_mappings(shard_of);
    add_services(shard_of);
    std::ranges::sort(by_internal_, {}, [&](uint32_t id) { return internal_place(entries_[id]); });
    std::ranges::sort(by_external_, {}, [&](uint32_t id) { return external_place(entries_[id]); });
}

void StaticTable::add_static_mappings(const ShardOfSubscriber& shard_of) {
    for (uint32_t i = 0; i < settings_->static_mappings.size(); ++i) {
        const StaticMappingSettings& s = settings_->static_mappings[i];
        StaticEntry entry;
        entry.internal = s.internal;
        entry.external = s.external;
        entry.internal_first = s.internal_ports.first;
        entry.external_first = s.external_ports.first;
        entry.more = static_cast<uint16_t>(s.internal_ports.last - s.internal_ports.first);
        entry.realm = s.realm;
        entry.shard = shard_of ? shard_of(s.internal) : ShardId{};
        entry.is_whole = s.is_whole();
        entry.setting = i;
        for (const Protocol protocol : s.protocols()) {
            entry.protocol = protocol;
            by_internal_.push_back(static_cast<uint32_t>(entries_.size()));
            by_external_.push_back(by_internal_.back());
            entries_.push_back(entry);
        }
    }
}

void StaticTable::add_services(const ShardOfSubscriber& shard_of) {
    for (uint32_t i = 0; i < settings_->destination_nat.size(); ++i) {
        const DestinationNatSettings& rule = settings_->destination_nat[i];
        StaticEntry entry;
        entry.external_first = rule.ports.first;
        entry.more = static_cast<uint16_t>(rule.ports.last - rule.ports.first);
        entry.realm = rule.target_realm;
        entry.setting = i;
        for (const auto& [external, protocol] : stands_of(rule)) {
            entry.external = external;
            entry.protocol = protocol;
            add_service(rule, entry, shard_of);
        }
    }
}

// By its external endpoints only the first member is found: which one it is to be, who asks decides.
void StaticTable::add_service(
    const DestinationNatSettings& rule, StaticEntry entry, const ShardOfSubscriber& shard_of
) {
    const auto first = static_cast<uint32_t>(entries_.size());
    entry.service = static_cast<uint32_t>(services_.size());
    services_.push_back({TargetChoice(rule.targets), rule.affinity, first});
    by_external_.push_back(first);
    for (const TargetSettings& target : rule.targets) {
        entry.internal = target.address;
        entry.internal_first = target.ports.first != 0 ? target.ports.first : rule.ports.first;
        entry.shard = shard_of ? shard_of(target.address) : ShardId{};
        by_internal_.push_back(static_cast<uint32_t>(entries_.size()));
        entries_.push_back(entry);
    }
}

uint32_t StaticTable::member_for(
    const Service& service, const RemoteEndpoint& endpoint, const RemoteEndpoint& from
) const {
    const uint64_t addresses = uint64_t{from.address.raw} | uint64_t{endpoint.address.raw} << 32;
    const uint64_t ports =
        uint64_t{from.port.raw} | uint64_t{endpoint.port.raw} << 16 | uint64_t{1} << 32;
    const uint64_t hash = service.affinity == Affinity::kSource
                              ? keyed_hash(secret_, from.address.raw, 0)
                              : keyed_hash(secret_, addresses, ports);
    return service.first + static_cast<uint32_t>(service.choice.of(hash));
}

const StaticEntry* StaticTable::find_internal(
    Ipv4Addr address, RealmId realm, Port port, Protocol protocol
) const {
    const Place wanted{address.host(), realm.value, static_cast<uint8_t>(protocol), port.host()};
    return find_last(entries_, by_internal_, wanted, internal_place);
}

const StaticEntry* StaticTable::find_external(
    const RemoteEndpoint& endpoint, Protocol protocol, const RemoteEndpoint& from
) const {
    const Place wanted{
        endpoint.address.host(), uint8_t{0}, static_cast<uint8_t>(protocol), endpoint.port.host()};
    const StaticEntry* const found = find_last(entries_, by_external_, wanted, external_place);
    return found == nullptr || !found->is_member()
               ? found
               : &entries_[member_for(services_[found->service], endpoint, from)];
}

bool StaticTable::chooses(const StaticEntry& member, Port external_port, const RemoteEndpoint& from)
    const {
    const RemoteEndpoint endpoint{member.external, external_port};
    return &entries_[member_for(services_[member.service], endpoint, from)] == &member;
}

Ipv4Addr StaticTable::external_of_subscriber(Ipv4Addr address, RealmId realm) const {
    const Place wanted{address.host(), realm.value, uint8_t{0}, uint16_t{0}};
    const auto at = std::ranges::lower_bound(by_internal_, wanted, {}, [&](uint32_t id) {
        return internal_place(entries_[id]);
    });
    if (at == by_internal_.end()) {
        return {};
    }
    const StaticEntry& entry = entries_[*at];
    return entry.internal == address && entry.realm == realm ? entry.external : Ipv4Addr{};
}

bool StaticTable::admits(const StaticEntry& entry, Ipv4Addr remote) const {
    const std::vector<Ipv4Prefix>& access = entry.is_member()
                                                ? settings_->destination_nat[entry.setting].source
                                                : settings_->static_mappings[entry.setting].access;
    return access.empty() || std::ranges::any_of(access, [remote](const Ipv4Prefix& prefix) {
               return prefix.contains(remote);
           });
}

}  // namespace sekisho::nat
