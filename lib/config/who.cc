#include "config/who.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.h"
#include "nat/formula.h"
#include "nat/policy.h"

namespace sekisho::config {
namespace {

bool is_by_formula(const nat::PoolSettings& pool) {
    return pool.port_selection == nat::PortSelection::kDeterministic;
}

std::string realm_of(const Config& config, RealmId realm) {
    return config.realms[realm.value].name;
}

// Of a block the ports that its subscriber can have been given.
std::string but_reserved(const nat::PoolSettings& pool, nat::PortRange ports) {
    std::string text;
    for (const nat::PortRange& reserved : pool.reserved_ports) {
        if (reserved.first <= ports.last && ports.first <= reserved.last) {
            text += fmt::format(
                "{}{}-{}",
                text.empty() ? " but " : ",",
                std::max(reserved.first, ports.first),
                std::min(reserved.last, ports.last)
            );
        }
    }
    return text;
}

std::string line(
    const Config& config,
    const nat::PoolSettings& pool,
    const nat::FormulaInternal& internal,
    const nat::FormulaExternal& external
) {
    return fmt::format(
        "internal {} realm {} external {} ports {}-{}{}\n",
        base::to_text(internal.address),
        realm_of(config, internal.realm),
        base::to_text(external.address),
        external.ports.first,
        external.ports.last,
        but_reserved(pool, external.ports)
    );
}

std::string line(const Config& config, const nat::StaticMappingSettings& m) {
    const std::string ends = fmt::format(
        "internal {} realm {} external {}",
        base::to_text(m.internal),
        realm_of(config, m.realm),
        base::to_text(m.external)
    );
    if (m.is_whole()) {
        return ends + " all ports, by a static mapping\n";
    }
    return fmt::format(
        "{} ports {}-{} protocol {}, internal ports {}-{}, by a static mapping\n",
        ends,
        m.external_ports.first,
        m.external_ports.last,
        m.tcp && m.udp ? "tcp and udp"
        : m.tcp        ? "tcp"
                       : "udp",
        m.internal_ports.first,
        m.internal_ports.last
    );
}

// What is given away for good at an external endpoint: no log tells of it.
std::string given_away(const Config& config, Ipv4Addr external, uint16_t port) {
    const auto has = [port](nat::PortRange r) { return r.first <= port && port <= r.last; };
    std::string lines;
    for (const nat::StaticMappingSettings& m : config.nat.static_mappings) {
        lines += m.external == external && has(m.external_ports) ? line(config, m) : "";
    }
    for (const nat::DestinationNatSettings& rule : config.nat.destination_nat) {
        const bool is_there =
            rule.is_inbound && has(rule.ports) &&
            std::ranges::any_of(rule.destination, [external](const Ipv4Prefix& d) {
                return d.address == external;
            });
        for (size_t i = 0; is_there && i < rule.targets.size(); ++i) {
            lines += fmt::format(
                "internal {} realm {} external {} ports {}-{}, or another target of the rule {} of "
                "destination-nat\n",
                base::to_text(rule.targets[i].address),
                realm_of(config, rule.target_realm),
                base::to_text(external),
                rule.ports.first,
                rule.ports.last,
                rule.name
            );
        }
    }
    return lines;
}

Result<std::string> who_has(const Config& config, Ipv4Addr external, uint16_t port) {
    const std::string address = base::to_text(external);
    const PoolId pool = nat::find_pool(config.nat, external);
    if (pool == nat::kNoPool) {
        return failure(fmt::format("{} is no pool's address", address));
    }
    const std::string given = given_away(config, external, port);
    if (!given.empty()) {
        return given;
    }
    const nat::PoolSettings& settings = config.nat.pools[pool.value];
    if (!is_by_formula(settings)) {
        return failure(fmt::format(
            "the ports of pool {} follow from no formula: the log of bindings knows, or, of now, "
            "'sekisho show mappings external {}:{}'",
            settings.name,
            address,
            port
        ));
    }
    const nat::Formula formula(config.nat, pool);
    const auto internal = formula.internal_of(external, port);
    if (!internal) {
        return failure(fmt::format("{}:{} is nobody's", address, port));
    }
    return line(
        config, settings, *internal, *formula.external_of(internal->address, internal->realm)
    );
}

// In one realm: by formula, and that there may be more of the overflow pool.
std::string by_formula(const Config& config, PoolId pool, const nat::FormulaInternal& internal) {
    const nat::PoolSettings& settings = config.nat.pools[pool.value];
    const auto external =
        nat::Formula(config.nat, pool).external_of(internal.address, internal.realm);
    std::string lines = external ? line(config, settings, internal, *external) : "";
    if (settings.overflow != nat::kNoPool) {
        lines += fmt::format(
            "internal {} realm {} beyond these ports of pool {}, of which the log of bindings "
            "knows\n",
            base::to_text(internal.address),
            realm_of(config, internal.realm),
            config.nat.pools[settings.overflow.value].name
        );
    }
    return lines;
}

Result<std::string> what_has(const Config& config, Ipv4Addr internal) {
    std::string lines;
    std::string unknown;  // pools whose ports follow from no formula
    for (const nat::StaticMappingSettings& m : config.nat.static_mappings) {
        lines += m.internal == internal ? line(config, m) : "";
    }
    for (const RealmSettings& realm : config.realms) {
        const PolicyId policy = nat::find_policy(config.nat, internal, realm.id);
        if (policy.value >= config.nat.policies.size()) {
            continue;
        }
        const PoolId pool = config.nat.policies[policy.value].pool;
        if (is_by_formula(config.nat.pools[pool.value])) {
            lines += by_formula(config, pool, {internal, realm.id});
            continue;
        }
        unknown += fmt::format(
            "{}the ports of pool {}, {}'s in the realm {}, follow from no formula: the log of "
            "bindings knows",
            unknown.empty() ? "" : "\n",
            config.nat.pools[pool.value].name,
            base::to_text(internal),
            realm.name
        );
    }
    if (!lines.empty()) {
        return lines + (unknown.empty() ? "" : unknown + "\n");
    }
    return failure(
        unknown.empty() ? fmt::format("no policy covers {}", base::to_text(internal)) : unknown
    );
}

}  // namespace

Result<std::string> who(const Config& config, std::string_view text) {
    const size_t colon = text.find(':');
    const auto address = base::parse_ipv4(text.substr(0, colon));
    const auto port =
        colon == std::string_view::npos ? std::nullopt : base::parse_port(text.substr(colon + 1));
    if (!address || (colon != std::string_view::npos && !port)) {
        return failure(fmt::format(
            "found '{}', wanted an external endpoint, such as 203.0.113.5:40123, or an internal "
            "address",
            text
        ));
    }
    return port ? who_has(config, *address, port->host()) : what_has(config, *address);
}

}  // namespace sekisho::config
