#include "nat/redirects.h"

#include <algorithm>

namespace sekisho::nat {
namespace {

bool contains(const std::vector<Ipv4Prefix>& prefixes, Ipv4Addr address) {
    return std::ranges::any_of(prefixes, [address](const Ipv4Prefix& prefix) {
        return prefix.contains(address);
    });
}

// Of what has no ports to translate, pings alone.
bool covers_protocol(const DestinationNatSettings& rule, Protocol protocol) {
    switch (protocol) {
        case Protocol::kTcp:
            return rule.tcp;
        case Protocol::kUdp:
            return rule.udp;
        default:
            return protocol == Protocol::kIcmp && !rule.is_by_port();
    }
}

// Whether the rule covers the flow, its ports left aside.
bool covers_addresses(const DestinationNatSettings& rule, const FlowKey& outbound) {
    return covers_protocol(rule, outbound.protocol()) && rule.realm == outbound.realm() &&
           (rule.source.empty() || contains(rule.source, outbound.source())) &&
           contains(rule.destination, outbound.destination());
}

bool covers_port(const DestinationNatSettings& rule, const FlowKey& outbound) {
    const uint16_t port = outbound.destination_port().host();
    return !rule.is_by_port() || (rule.ports.first <= port && port <= rule.ports.last);
}

}  // namespace

Redirects::Redirects(
    const NatSettings& settings, const StaticTable& statics, const HashSecret& secret
)
    : secret_(secret), statics_(&statics), exemptions_(settings) {
    for (const DestinationNatSettings& rule : settings.destination_nat) {
        if (!rule.is_inbound) {
            rules_.push_back({&rule, TargetChoice(rule.targets)});
        }
    }
}

// A proxy that asks the origin for what it was asked must not be sent to itself.
bool Redirects::is_own_flow(const Rule& rule, const FlowKey& outbound) {
    return std::ranges::any_of(rule.setting->targets, [&](const TargetSettings& target) {
        return target.address == outbound.source();
    });
}

const Redirects::Rule* Redirects::find(const FlowKey& outbound) const {
    const auto at = std::ranges::find_if(rules_, [&](const Rule& rule) {
        return covers_addresses(*rule.setting, outbound) && covers_port(*rule.setting, outbound) &&
               !is_own_flow(rule, outbound);
    });
    return at == rules_.end() ? nullptr : &*at;
}

std::optional<RemoteEndpoint> Redirects::target_of(const FlowKey& outbound) const {
    const Rule* const rule = find(outbound);
    if (rule == nullptr) {
        return std::nullopt;
    }
    const bool by_source = rule->setting->affinity == Affinity::kSource;
    const auto number = static_cast<uint64_t>(rule - rules_.data());
    const uint64_t hash =
        by_source ? keyed_hash(secret_, outbound.source().raw, ~number)
                  : keyed_hash(secret_, outbound.addresses, outbound.rest ^ number << 48);
    return endpoint_of(*rule, rule->choice.of(hash), outbound);
}

RemoteEndpoint Redirects::endpoint_of(const Rule& rule, size_t target, const FlowKey& outbound)
    const {
    const TargetSettings& to = rule.setting->targets[target];
    RemoteEndpoint endpoint{to.address, outbound.destination_port()};
    if (to.ports.first != 0) {
        const auto offset = static_cast<uint16_t>(
            to.ports.first == to.ports.last
                ? 0
                : outbound.destination_port().host() - rule.setting->ports.first
        );
        endpoint.port = Port::from_host(static_cast<uint16_t>(to.ports.first + offset));
    }
    return reached_as(endpoint, outbound);
}

RemoteEndpoint Redirects::reached_as(const RemoteEndpoint& target, const FlowKey& outbound) const {
    const StaticEntry* const entry =
        statics_->find_internal(target.address, outbound.realm(), target.port, outbound.protocol());
    return entry == nullptr ? target
                            : RemoteEndpoint{entry->external, entry->external_of(target.port)};
}

bool Redirects::covers_any_port(const FlowKey& outbound) const {
    return outbound.protocol() != Protocol::kIcmp &&
           std::ranges::any_of(rules_, [&](const Rule& rule) {
               return covers_addresses(*rule.setting, outbound);
           });
}

bool Redirects::keeps_source(const FlowKey& outbound, const RemoteEndpoint& target) const {
    return exemptions_.are_any() && exemptions_.covers(FlowKey::of(
                                        outbound.source(),
                                        target.address,
                                        outbound.source_port(),
                                        target.port,
                                        outbound.protocol(),
                                        outbound.realm()
                                    ));
}

}  // namespace sekisho::nat
