#include "nat/policy.h"

#include <algorithm>

#include "base/mutation.h"

namespace sekisho::nat {
namespace {

bool has_ports(const FlowKey& key) {
    return key.protocol() == Protocol::kTcp || key.protocol() == Protocol::kUdp;
}

template <class Match>
bool any_of_policy(const NatSettings& settings, const FlowKey& outbound, Match match) {
    const PolicyId id = find_policy(settings, outbound.source(), outbound.realm());
    if (id == kNoPolicy) {
        return false;
    }
    const PolicySettings& policy = settings.policies[id.value];
    const Protocol protocol = outbound.protocol();
    return (!is_address_only(protocol) || policy.address_only[protocol]) &&
           std::ranges::any_of(policy.exempt, [&](const Exemption& e) {
               return e.destination.contains(outbound.destination()) && match(e);
           });
}

}  // namespace

PolicyId find_policy(const NatSettings& settings, Ipv4Addr address, RealmId realm) {
    for (size_t p = 0; p < settings.policies.size(); ++p) {
        const PolicySettings& policy = settings.policies[p];
        const auto covers = [address](const Ipv4Prefix& prefix) {
            return prefix.contains(address);
        };
        if (policy.realm == realm && std::ranges::any_of(policy.source, covers)) {
            return {static_cast<uint16_t>(p)};
        }
    }
    return kNoPolicy;
}

PoolId find_pool(const NatSettings& settings, Ipv4Addr external) {
    for (size_t p = 0; p < settings.pools.size(); ++p) {
        if (settings.pools[p].has(external)) {
            return {static_cast<uint16_t>(p)};
        }
    }
    return kNoPool;
}

Exemptions::Exemptions(const NatSettings& settings) : settings_(&settings) {
    for (const PolicySettings& policy : settings.policies) {
        are_any_ = are_any_ || !policy.exempt.empty();
        are_by_port_ = are_by_port_ || std::ranges::any_of(policy.exempt, &Exemption::is_by_port);
    }
}

bool Exemptions::covers(const FlowKey& outbound) const {
    const uint16_t port = outbound.destination_port().host();
    if (is_mutated(Mutation::kRfc6888Req6)) {
        return false;
    }
    return are_any_ && any_of_policy(*settings_, outbound, [&](const Exemption& e) {
               return !e.is_by_port() ||
                      (has_ports(outbound) && e.ports.first <= port && port <= e.ports.last);
           });
}

bool Exemptions::covers_by_port(const FlowKey& outbound) const {
    return are_by_port_ && has_ports(outbound) &&
           any_of_policy(*settings_, outbound, [](const Exemption& e) { return e.is_by_port(); });
}

}  // namespace sekisho::nat
