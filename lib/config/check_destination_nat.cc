// What must hold between the rules of destination-nat and what stands around them.
#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "config/draft.h"
#include "config/on_link.h"
#include "config/scalars.h"
#include "nat/policy.h"

namespace sekisho::config {
namespace {

// Whether static mappings of a subscriber have all ports of a protocol that the rule leads to.
bool has_statics(
    const Draft& draft,
    const nat::DestinationNatSettings& rule,
    const nat::TargetSettings& target,
    Protocol protocol
) {
    const nat::PortRange ports = target.ports.first != 0 ? target.ports : rule.ports;
    const auto covers = [&](const nat::StaticMappingSettings& m) {
        const auto protocols = m.protocols();
        return m.internal == target.address && m.realm == rule.realm &&
               std::ranges::find(protocols, protocol) != protocols.end() &&
               m.internal_ports.first <= ports.first && ports.last <= m.internal_ports.last;
    };
    return std::ranges::any_of(draft.config.nat.static_mappings, covers);
}

void check_inside(
    const Draft& draft,
    const nat::DestinationNatSettings& rule,
    const nat::TargetSettings& target,
    Place place,
    Mistakes& mistakes
) {
    const bool is_reached =
        (!rule.tcp || has_statics(draft, rule, target, Protocol::kTcp)) &&
        (!rule.udp || has_statics(draft, rule, target, Protocol::kUdp)) &&
        (rule.is_by_port() || has_statics(draft, rule, target, Protocol::kIcmp));
    if (!is_reached) {
        mistakes.add(
            place,
            fmt::format(
                "{}, a subscriber without a static mapping of these ports", format(target.address)
            ),
            "an entry of static-mappings, by which its neighbours reach it"
        );
    }
}

// Without a policy it would have no limits, and its packets no way.
void check_member(
    const Draft& draft,
    const nat::DestinationNatSettings& rule,
    const nat::TargetSettings& target,
    Place place,
    Mistakes& mistakes
) {
    const bool policies_read = std::ranges::all_of(draft.policies, &PolicyPlaces::realm_read);
    if (policies_read &&
        nat::find_policy(draft.config.nat, target.address, rule.target_realm) == nat::kNoPolicy) {
        mistakes.add(
            place,
            fmt::format(
                "{} in the realm {}, whom no policy covers",
                format(target.address),
                draft.config.realms[rule.target_realm.value].name
            ),
            "a subscriber of a policy"
        );
    }
}

// What outsiders may ask for is a pool's.
void check_destinations(
    const Draft& draft,
    const nat::DestinationNatSettings& rule,
    const DestinationNatPlaces& places,
    Mistakes& mistakes
) {
    for (size_t i = 0; rule.is_inbound && i < rule.destination.size(); ++i) {
        const Ipv4Prefix prefix = rule.destination[i];
        if (prefix.length != 32 || !is_in_pool(draft, prefix.address)) {
            mistakes.add(
                places.destinations[i],
                fmt::format("{} for a rule from outside", format(prefix)),
                "one address of a pool, such as 203.0.113.5/32"
            );
        }
    }
}

// Target `k` of rule `i`.
void check_target(
    const Draft& draft, const std::vector<OnLink>& prefixes, size_t i, size_t k, Mistakes& mistakes
) {
    const nat::DestinationNatSettings& rule = draft.config.nat.destination_nat[i];
    const nat::TargetSettings& target = rule.targets[k];
    const Place place = draft.destination_nat[i].targets[k];
    const RealmId realm = rule.is_inbound ? rule.target_realm : rule.realm;
    const auto own = std::ranges::find_if(prefixes, [&](const OnLink& p) {
        return p.own == target.address && p.is_seen_by(realm);
    });
    if (own != prefixes.end()) {
        mistakes.add(
            place,
            fmt::format(
                "{}, the link {}'s own address, where the appliance has no local ports",
                format(target.address),
                draft.config.links[own->link].name
            ),
            "a host that has the service"
        );
        return;
    }
    if (is_in_pool(draft, target.address)) {
        mistakes.add(
            place,
            fmt::format("{}, an address of a pool", format(target.address)),
            "the host's own address"
        );
        return;
    }
    const auto side = side_of(draft, prefixes, realm, target.address);
    if (rule.is_inbound) {
        check_member(draft, rule, target, place, mistakes);
    } else if (!side) {
        mistakes.add(
            place,
            fmt::format("{}, to which no route leads", format(target.address)),
            "a host that can be reached"
        );
    } else if (*side == Side::kInternal) {
        check_inside(draft, rule, target, place, mistakes);
    }
}

}  // namespace

void check_destination_nat(const Draft& draft, Mistakes& mistakes) {
    const std::vector<OnLink> prefixes = on_link_prefixes(draft);
    for (size_t i = 0; i < draft.destination_nat.size(); ++i) {
        const nat::DestinationNatSettings& rule = draft.config.nat.destination_nat[i];
        check_destinations(draft, rule, draft.destination_nat[i], mistakes);
        for (size_t k = 0; k < rule.targets.size(); ++k) {
            check_target(draft, prefixes, i, k, mistakes);
        }
    }
}

}  // namespace sekisho::config
