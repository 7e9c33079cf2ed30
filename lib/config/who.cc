#include "config/who.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "base/text.h"
#include "nat/formula.h"
#include "nat/policy.h"

namespace sekisho::config {
namespace {

bool is_by_formula(const nat::PoolSettings& pool) {
    return pool.port_selection == nat::PortSelection::kDeterministic;
}

std::optional<PoolId> pool_of(const Config& config, Ipv4Addr external) {
    const auto& pools = config.nat.pools;
    const auto found = std::ranges::find_if(pools, [&](const nat::PoolSettings& pool) {
        return std::ranges::any_of(pool.addresses, [&](const nat::AddressRange& r) {
            return r.first <= external && external <= r.last;
        });
    });
    return found == pools.end()
               ? std::nullopt
               : std::optional(PoolId{static_cast<uint16_t>(found - pools.begin())});
}

std::string line(
    const Config& config, const nat::FormulaInternal& internal, const nat::FormulaExternal& external
) {
    return fmt::format(
        "internal {} realm {} external {} ports {}-{}\n",
        base::to_text(internal.address),
        config.realms[internal.realm.value].name,
        base::to_text(external.address),
        external.ports.first,
        external.ports.last
    );
}

Result<std::string> who_has(const Config& config, Ipv4Addr external, uint16_t port) {
    const std::string address = base::to_text(external);
    const auto pool = pool_of(config, external);
    if (!pool) {
        return failure(fmt::format("{} is no pool's address", address));
    }
    const nat::PoolSettings& settings = config.nat.pools[pool->value];
    if (!is_by_formula(settings)) {
        return failure(fmt::format(
            "the ports of pool {} follow from no formula: the log of bindings knows, or, of now, "
            "'sekisho show mappings external {}:{}'",
            settings.name,
            address,
            port
        ));
    }
    const nat::Formula formula(config.nat, *pool);
    const auto internal = formula.internal_of(external, port);
    if (!internal) {
        return failure(fmt::format("{}:{} is nobody's", address, port));
    }
    return line(config, *internal, *formula.external_of(internal->address, internal->realm));
}

Result<std::string> what_has(const Config& config, Ipv4Addr internal) {
    std::string lines;
    for (const RealmSettings& realm : config.realms) {
        const PolicyId policy = nat::find_policy(config.nat, internal, realm.id);
        if (policy.value >= config.nat.policies.size()) {
            continue;
        }
        const PoolId pool = config.nat.policies[policy.value].pool;
        if (!is_by_formula(config.nat.pools[pool.value])) {
            return failure(fmt::format(
                "the ports of pool {}, {}'s, follow from no formula: the log of bindings knows",
                config.nat.pools[pool.value].name,
                base::to_text(internal)
            ));
        }
        if (const auto external = nat::Formula(config.nat, pool).external_of(internal, realm.id)) {
            lines += line(config, {internal, realm.id}, *external);
        }
    }
    if (lines.empty()) {
        return failure(fmt::format("no policy covers {}", base::to_text(internal)));
    }
    return lines;
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
