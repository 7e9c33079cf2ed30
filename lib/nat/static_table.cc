#include "nat/static_table.h"

#include <algorithm>
#include <iterator>
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

// Of those that meet inside, the first: what such an endpoint begins is that one's.
void keep_first(const std::vector<StaticEntry>& entries, std::vector<uint32_t>& by_internal) {
    const auto meet = [&](uint32_t before, uint32_t id) {
        const StaticEntry& a = entries[before];
        const StaticEntry& b = entries[id];
        return a.internal == b.internal && a.realm == b.realm && a.protocol == b.protocol &&
               b.internal_first <= uint32_t{a.internal_first} + a.more;
    };
    by_internal.erase(std::unique(by_internal.begin(), by_internal.end(), meet), by_internal.end());
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
    const NatSettings& settings,
    const ShardOfSubscriber& shard_of,
    const HashSecret& secret,
    const StaticTable* before
)
    : settings_(&settings), secret_(secret) {
    std::vector<uint32_t> ended;
    if (before != nullptr) {
        entries_ = before->entries_;
        ended = before->ended_;
        has_followed_ = true;
    }
    take_numbers(ended);
    add_static_mappings(shard_of);
    add_services(shard_of);
    close_former(ended);
    known_.clear();
    free_.clear();
    std::ranges::stable_sort(by_internal_, {}, [&](uint32_t id) {
        return internal_place(entries_[id]);
    });
    keep_first(entries_, by_internal_);
    std::ranges::sort(by_external_, {}, [&](uint32_t id) { return external_place(entries_[id]); });
}

StaticTable::EntryName StaticTable::name_of(const StaticEntry& e) {
    return {
        e.internal.raw,
        e.external.raw,
        e.internal_first,
        e.external_first,
        e.more,
        e.protocol,
        e.realm.value,
        e.is_whole,
        e.is_member()};
}

// Of several that were the same the one in force, or else the last.
void StaticTable::take_numbers(std::vector<uint32_t>& ended) {
    for (const uint32_t id : ended) {
        known_[name_of(entries_[id])] = id;
    }
    for (uint32_t id = 0; id < entries_.size(); ++id) {
        if (entries_[id].state == EntryState::kFree) {
            free_.push_back(id);
        } else if (entries_[id].is_in_force()) {
            known_[name_of(entries_[id])] = id;
            entries_[id].state = EntryState::kFormer;
            ended.push_back(id);
        }
    }
}

uint32_t StaticTable::add(const StaticEntry& entry) {
    const auto known = known_.find(name_of(entry));
    auto id = static_cast<uint32_t>(entries_.size());
    if (known != known_.end()) {
        id = known->second;
        known_.erase(known);
    } else if (!free_.empty()) {
        id = free_.back();
        free_.pop_back();
    } else {
        entries_.emplace_back();
    }
    entries_[id] = entry;
    entries_[id].state = EntryState::kInForce;
    return id;
}

// `ended`: those that had ended before, then those that were in force until now.
void StaticTable::close_former(const std::vector<uint32_t>& ended) {
    std::ranges::copy_if(ended, std::back_inserter(ended_), [&](uint32_t id) {
        return entries_[id].state == EntryState::kFormer;
    });
    for (const uint32_t id : ended_) {
        StaticEntry& entry = entries_[id];
        entry.service = entry.is_member() ? kFormerService : kNoIndex;
    }
    sort_former();
}

void StaticTable::sort_former() {
    former_ = ended_;
    std::ranges::stable_sort(former_, {}, [&](uint32_t id) {
        return external_place(entries_[id]);
    });
    former_reach_.clear();
    for (size_t i = 0; i < former_.size(); ++i) {
        const StaticEntry& e = entries_[former_[i]];
        const StaticEntry& before = entries_[former_[i == 0 ? 0 : i - 1]];
        const bool goes_on =
            i > 0 && before.external == e.external && before.protocol == e.protocol;
        const uint16_t last = e.external_ports().last;
        former_reach_.push_back(goes_on ? std::max(former_reach_.back(), last) : last);
    }
}

void StaticTable::let_go(std::span<const uint32_t> ids) {
    for (const uint32_t id : ids) {
        entries_[id].state = EntryState::kFree;
    }
    std::erase_if(ended_, [&](uint32_t id) { return entries_[id].state == EntryState::kFree; });
    sort_former();
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
            by_internal_.push_back(add(entry));
            by_external_.push_back(by_internal_.back());
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
    entry.service = static_cast<uint32_t>(services_.size());
    Service service{TargetChoice(rule.targets), rule.affinity, {}};
    for (const TargetSettings& target : rule.targets) {
        entry.internal = target.address;
        entry.internal_first = target.ports.first != 0 ? target.ports.first : rule.ports.first;
        entry.shard = shard_of ? shard_of(target.address) : ShardId{};
        by_internal_.push_back(add(entry));
        service.members.push_back(by_internal_.back());
    }
    by_external_.push_back(service.members.front());
    services_.push_back(std::move(service));
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
    return service.members[service.choice.of(hash)];
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

const StaticEntry* StaticTable::find_former(const RemoteEndpoint& endpoint, Protocol protocol)
    const {
    const Place wanted{
        endpoint.address.host(), uint8_t{0}, static_cast<uint8_t>(protocol), endpoint.port.host()};
    return find_last(entries_, former_, wanted, external_place);
}

bool StaticTable::has_external(const RemoteEndpoint& endpoint, Protocol protocol) const {
    return has_any_of(endpoint.address, {endpoint.port.host(), endpoint.port.host()}, protocol);
}

bool StaticTable::has_any_of(Ipv4Addr external, PortRange ports) const {
    const auto has = [&](Protocol protocol) { return has_any_of(external, ports, protocol); };
    return has(Protocol::kTcp) || has(Protocol::kUdp) || has(Protocol::kIcmp);
}

// Of those in force, which do not meet, the last that begins no later than these ports end tells of all; of former ones how far all
// before it reach.
bool StaticTable::has_any_of(Ipv4Addr external, PortRange ports, Protocol protocol) const {
    const Place last{external.host(), uint8_t{0}, static_cast<uint8_t>(protocol), ports.last};
    const auto behind = [&](const std::vector<uint32_t>& order) {
        const auto after =
            std::upper_bound(order.begin(), order.end(), last, [&](auto& place, auto id) {
                return place < external_place(entries_[id]);
            });
        return static_cast<size_t>(after - order.begin());
    };
    const auto is_alike = [&](uint32_t id) {
        return entries_[id].external == external && entries_[id].protocol == protocol;
    };
    const size_t standing = behind(by_external_);
    if (standing > 0 && is_alike(by_external_[standing - 1]) &&
        entries_[by_external_[standing - 1]].external_ports().last >= ports.first) {
        return true;
    }
    const size_t former = behind(former_);
    return former > 0 && is_alike(former_[former - 1]) && former_reach_[former - 1] >= ports.first;
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
    if (!entry.is_in_force()) {
        return false;
    }
    const std::vector<Ipv4Prefix>& access = entry.is_member()
                                                ? settings_->destination_nat[entry.setting].source
                                                : settings_->static_mappings[entry.setting].access;
    return access.empty() || std::ranges::any_of(access, [remote](const Ipv4Prefix& prefix) {
               return prefix.contains(remote);
           });
}

}  // namespace sekisho::nat
