#include "config/recheck.h"

#include <algorithm>
#include <regex>

#include <fmt/format.h>

#include "config/rules_to_yaml.h"

namespace sekisho::config {

// The lines are of no file that anybody has. Rules, and what only they name, stay out: tools' names are none of a file's.
std::optional<std::string> find_mistake(const Config& config) {
    static const std::regex line(" on line [0-9]+");
    Config asked = config;
    asked.rules = {};
    const Checked checked = parse(to_yaml_without_rules(asked), "", MachineFacts::of_any_machine());
    if (checked.mistakes.empty()) {
        return std::nullopt;
    }
    const Mistake& first = checked.mistakes.front();
    return std::regex_replace(
        fmt::format("found {}, wanted {}", first.found, first.wanted), line, ""
    );
}

Ipv4Addr usual_external_address(const Config& config) {
    const auto is_in_pool = [&](Ipv4Addr address) {
        return std::ranges::any_of(config.nat.pools, [&](const nat::PoolSettings& pool) {
            return pool.has(address);
        });
    };
    for (const LinkSettings& link : config.links) {
        const bool has_own = link.side == Side::kExternal && !link.addresses.empty();
        if (has_own && is_in_pool(link.addresses.front().address)) {
            return link.addresses.front().address;
        }
    }
    for (const nat::PoolSettings& pool : config.nat.pools) {
        if (!pool.addresses.empty()) {
            return pool.addresses.front().first;
        }
    }
    return {};
}

}  // namespace sekisho::config
