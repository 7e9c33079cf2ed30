#include "legacy/forwards.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

namespace sekisho::legacy {
namespace {

bool meet(const nat::PortRange& a, const nat::PortRange& b) {
    return a.first <= b.last && b.first <= a.last;
}

// Whether two forwards have the same ports outside, so that they share what comes there.
bool share_outside(const FixedForward& a, const FixedForward& b) {
    return a.protocol == b.protocol && a.local == b.local && a.ports == b.ports;
}

// A static mapping has one external endpoint for an internal one.
bool share_inside(const FixedForward& a, const FixedForward& b) {
    return a.protocol == b.protocol && a.host == b.host && meet(a.host_ports(), b.host_ports());
}

class Compiler {
  public:
    Compiler(const Forwards& forwards, Ipv4Addr external, RealmId realm)
        : forwards_(forwards), external_(external), realm_(realm) {}

    ForwardSettings compile() {
        for (size_t i = 0; i < forwards_.fixed.size(); ++i) {
            add_fixed(i);
        }
        for (const CalledForward& forward : forwards_.called) {
            add_called(forward);
        }
        return std::move(made_);
    }

  private:
    void add_fixed(size_t index) {
        const auto& all = forwards_.fixed;
        const FixedForward& forward = all[index];
        const auto is_shared = [&forward](const FixedForward& other) {
            return share_outside(forward, other);
        };
        const auto begin = all.begin();
        const auto here = begin + static_cast<std::ptrdiff_t>(index);
        if (std::any_of(begin, here, is_shared)) {
            return;  // stands with the first of them
        }
        const bool is_alone = std::none_of(here + 1, all.end(), is_shared);
        const bool is_first_inside =
            std::none_of(begin, here, [&forward](const FixedForward& other) {
                return share_inside(forward, other);
            });
        if (is_alone && is_first_inside) {
            add_static(forward);
        } else {
            add_shared(forward);
        }
    }

    void add_static(const FixedForward& forward) {
        nat::StaticMappingSettings mapping;
        mapping.realm = realm_;
        mapping.internal = forward.host;
        mapping.external = forward.local.value_or(external_);
        mapping.tcp = forward.protocol == Protocol::kTcp;
        mapping.udp = !mapping.tcp;
        mapping.internal_ports = forward.host_ports();
        mapping.external_ports = forward.ports;
        made_.static_mappings.push_back(mapping);
    }

    void add_shared(const FixedForward& first) {
        nat::DestinationNatSettings rule;
        rule.name = fmt::format("portfw-{}", made_.destination_nat.size() + 1);
        rule.realm = kExternalRealm;
        rule.destination = {{first.local.value_or(external_), 32}};
        rule.tcp = first.protocol == Protocol::kTcp;
        rule.udp = !rule.tcp;
        rule.ports = first.ports;
        rule.affinity = nat::Affinity::kNone;
        rule.is_inbound = true;
        rule.target_realm = realm_;
        for (const FixedForward& forward : forwards_.fixed) {
            if (share_outside(forward, first)) {
                add_target(rule, forward);
            }
        }
        made_.destination_nat.push_back(std::move(rule));
    }

    // Newest first: what is there already stays.
    static void add_target(nat::DestinationNatSettings& rule, const FixedForward& forward) {
        const nat::PortRange ports =
            forward.host_port == 0 ? nat::PortRange{0, 0} : forward.host_ports();
        const bool is_there = std::ranges::any_of(rule.targets, [&](const auto& target) {
            const nat::PortRange& its = target.ports.first == 0 ? rule.ports : target.ports;
            return target.address == forward.host && its == forward.host_ports();
        });
        if (!is_there) {
            rule.targets.push_back({forward.host, ports, forward.preference});
        }
    }

    void add_called(const CalledForward& forward) {
        nat::TriggerForwardSettings trigger;
        trigger.name = fmt::format("autofw-{}", made_.trigger_forwards.size() + 1);
        trigger.realm = realm_;
        trigger.external = external_;
        trigger.tcp = forward.protocol == Protocol::kTcp;
        trigger.udp = !trigger.tcp;
        trigger.ports = forward.ports;
        trigger.trigger_protocol = forward.control_protocol;
        trigger.trigger_port = forward.control_port;
        trigger.access = forward.access;
        made_.trigger_forwards.push_back(std::move(trigger));
    }

    const Forwards& forwards_;
    Ipv4Addr external_;
    RealmId realm_;
    ForwardSettings made_;
};

}  // namespace

nat::PortRange FixedForward::host_ports() const {
    if (host_port == 0) {
        return ports;
    }
    return {host_port, static_cast<uint16_t>(host_port + (ports.last - ports.first))};
}

ForwardSettings settings_of(const Forwards& forwards, Ipv4Addr external, RealmId realm) {
    return Compiler(forwards, external, realm).compile();
}

std::vector<rules::Rule> rules_of_marks(const Forwards& forwards, const rules::ByteSet& external) {
    std::map<uint32_t, rules::Dnat> by_mark;
    for (const MarkForward& forward : forwards.marks) {
        if (forward.preference > 0) {
            by_mark[forward.mark].targets.push_back({forward.host, forward.port, forward.preference}
            );
        }
    }
    std::vector<rules::Rule> made;
    for (auto& [mark, dnat] : by_mark) {
        rules::Rule rule;
        rule.conditions = {{rules::MarkTest{0xffffffff, mark}}};
        if (!external.is_empty()) {
            rule.conditions.push_back({rules::LinkTest{rules::Way::kIn, external}});
        }
        rule.actions = {std::move(dnat)};
        made.push_back(std::move(rule));
    }
    return made;
}

}  // namespace sekisho::legacy
