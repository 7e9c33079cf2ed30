// show.who: whose an external port is: by the formula of its pool, whoever uses it now, or by the mappings
// that are there.
#include <fmt/format.h>

#include "base/text.h"
#include "control/filter.h"
#include "control/methods.h"
#include "nat/formula.h"
#include "nat/policy.h"

namespace sekisho::control {
namespace {

// kNoPool where no formula tells.
PoolId pool_by_formula(const nat::NatSettings& settings, Ipv4Addr external) {
    const PoolId pool = nat::find_pool(settings, external);
    const bool is_by_formula = pool != nat::kNoPool && settings.pools[pool.value].port_selection ==
                                                           nat::PortSelection::kDeterministic;
    return is_by_formula ? pool : nat::kNoPool;
}

Document row_by_formula(
    const config::Config& config,
    PoolId pool,
    const nat::FormulaInternal& internal,
    const nat::FormulaExternal& external
) {
    return {
        {"by", "formula"},
        {"internal-src-address", base::to_text(internal.address)},
        {"realm", config.realms[internal.realm.value].name},
        {"external-src-address", base::to_text(external.address)},
        {"external-src-ports", fmt::format("{}-{}", external.ports.first, external.ports.last)},
        {"transport-protocol", "any"},
        {"pool", config.nat.pools[pool.value].name},
    };
}

}  // namespace

Reply Methods::show_who(const Json& params) {
    const auto text = params.is_object() ? params.find("external") : params.end();
    const auto wanted = params.is_object() && text != params.end() && text->is_string()
                            ? parse_endpoint(text->get<std::string>())
                            : std::nullopt;
    if (!wanted || !wanted->port) {
        return refuse(
            kInvalidParams,
            "external: wanted an external address and port, such as 203.0.113.5:40123"
        );
    }
    const PoolId pool = pool_by_formula(config_.nat, wanted->address);
    Document rows = Document::array();
    if (pool != nat::kNoPool) {
        const nat::Formula formula(config_.nat, pool);
        if (const auto who = formula.internal_of(wanted->address, wanted->port->host())) {
            rows.push_back(
                row_by_formula(config_, pool, *who, *formula.external_of(who->address, who->realm))
            );
        }
        return Document{{"who", std::move(rows)}, {"next", nullptr}};
    }
    auto listed = show_mappings(params);
    if (!listed) {
        return listed;
    }
    for (Document& row : listed->at("mappings")) {
        row["by"] = "mapping";
        row["external-src-ports"] = std::to_string(wanted->port->host());
        rows.push_back(std::move(row));
    }
    return Document{{"who", std::move(rows)}, {"next", listed->at("next")}};
}

}  // namespace sekisho::control
