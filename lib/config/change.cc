#include "config/change.h"

#include <algorithm>
#include <iterator>
#include <map>

#include "config/rules_difference.h"
#include "config/rules_to_yaml.h"
#include "config/yaml_tree.h"
#include "nat/external_directory.h"

namespace sekisho::config {
namespace {

using Settings = std::map<std::string, std::string>;

// A list or a map of scalars is one value; what has a name goes by it.
std::string text_of(const Node& node) {
    if (node.kind == Node::Kind::kScalar || node.kind == Node::Kind::kNothing) {
        return node.text;
    }
    const bool is_map = node.kind == Node::Kind::kMap;
    std::string text;
    for (size_t i = 0; i < node.items.size(); ++i) {
        text += text.empty() ? "" : ", ";
        text += is_map ? node.keys[i].text + ": " : "";
        text += text_of(node.items[i]);
    }
    return is_map ? "{" + text + "}" : "[" + text + "]";
}

bool is_list_of_maps(const Node& node) {
    return node.kind == Node::Kind::kList && !node.items.empty() &&
           node.items[0].kind == Node::Kind::kMap;
}

std::string name_of(const Node& map, size_t place) {
    for (size_t i = 0; i < map.keys.size(); ++i) {
        if (map.keys[i].text == "name") {
            return map.items[i].text;
        }
    }
    return std::to_string(place + 1);
}

// NOLINTNEXTLINE(misc-no-recursion): read_tree() bounds the depth
void collect(const Node& node, const std::string& path, Settings& settings) {
    const auto under = [&](const std::string& key) {
        return path.empty() ? key : path + "." + key;
    };
    if (is_list_of_maps(node)) {
        for (size_t i = 0; i < node.items.size(); ++i) {
            collect(node.items[i], under(name_of(node.items[i], i)), settings);
        }
        return;
    }
    if (node.kind != Node::Kind::kMap) {
        settings[path] = text_of(node);
        return;
    }
    for (size_t i = 0; i < node.items.size(); ++i) {
        collect(node.items[i], under(node.keys[i].text), settings);
    }
}

Settings settings_of(const Config& config) {
    Settings settings;
    if (const auto tree = read_tree(to_yaml_without_rules(config), "")) {
        collect(*tree, "", settings);
    }
    return settings;
}

void adopt_timeouts(const nat::TimeoutSettings& wanted, nat::TimeoutSettings& next) {
    const Seconds fragment = next.fragment;
    next = wanted;
    next.fragment = fragment;
}

// Tables have their size from the start; what is allowed of them may be less.
void adopt_limits(
    const nat::TableLimits& wanted, const nat::TableLimits& at_start, nat::TableLimits& next
) {
    const auto adopt = [&](uint32_t nat::TableLimits::*limit) {
        next.*limit = wanted.*limit <= at_start.*limit ? wanted.*limit : next.*limit;
    };
    adopt(&nat::TableLimits::sessions);
    adopt(&nat::TableLimits::mappings);
    adopt(&nat::TableLimits::subscribers);
    next.unreplied_make_room = wanted.unreplied_make_room;
}

// The table has its size from the start, and there is none where nobody was to ask.
void adopt_pcp(
    const nat::PcpSettings& wanted, const nat::PcpSettings& at_start, nat::PcpSettings& next
) {
    const uint32_t mappings = next.mappings;
    const bool enabled = wanted.enabled && at_start.enabled;
    next = wanted;
    next.mappings = mappings;
    next.enabled = enabled;
}

// Where something from outside stands for good.
std::vector<Ipv4Addr> fixed_addresses(const nat::NatSettings& settings) {
    std::vector<Ipv4Addr> fixed;
    for (const nat::StaticMappingSettings& mapping : settings.static_mappings) {
        fixed.push_back(mapping.external);
    }
    for (const nat::TriggerForwardSettings& forward : settings.trigger_forwards) {
        fixed.push_back(forward.external);
    }
    for (const nat::DestinationNatSettings& rule : settings.destination_nat) {
        for (size_t i = 0; rule.is_inbound && i < rule.destination.size(); ++i) {
            fixed.push_back(rule.destination[i].address);
        }
    }
    // One that no pool has yet may become any pool's.
    std::erase_if(fixed, [&](Ipv4Addr address) {
        return std::ranges::none_of(settings.pools, [&](const nat::PoolSettings& pool) {
            return pool.has(address);
        });
    });
    return fixed;
}

bool gives_blocks_only(const nat::PoolSettings& pool) {
    return pool.port_selection != nat::PortSelection::kDeterministic &&
           !nat::has_single_ports(pool);
}

// Blocks that hold ports of static mappings are not given back, so their address would never be drained.
bool may_have_addresses(
    const nat::PoolSettings& wanted,
    const nat::PoolSettings& next,
    const std::vector<Ipv4Addr>& fixed
) {
    return gives_blocks_only(wanted) && wanted.port_selection == next.port_selection &&
           wanted.port_ranges == next.port_ranges && wanted.ports == next.ports &&
           wanted.links == next.links && std::ranges::all_of(fixed, [&](Ipv4Addr address) {
               return wanted.has(address) == next.has(address);
           });
}

bool are_links_alike(const Config& wanted, const Config& next) {
    return std::ranges::equal(wanted.links, next.links, [](const LinkSettings& a, LinkSettings b) {
        b.addresses = a.addresses;
        return a == b;
    });
}

// Whether links may have other addresses, and routes may lead elsewhere.
bool may_renumber(const Config& wanted, const Config& next, const std::vector<Ipv4Addr>& fixed) {
    const auto follows = [&](const nat::PoolSettings& a, const nat::PoolSettings& b) {
        return a.name == b.name && a.links == b.links &&
               (a.links.empty() || a.addresses == b.addresses || may_have_addresses(a, b, fixed));
    };
    return are_links_alike(wanted, next) && wanted.neighbours == next.neighbours &&
           std::ranges::equal(wanted.nat.pools, next.nat.pools, follows);
}

void adopt_network(const Config& wanted, Config& next) {
    for (size_t i = 0; i < next.links.size(); ++i) {
        next.links[i].addresses = wanted.links[i].addresses;
    }
    next.routes = wanted.routes;
}

// Whether what is static is the same at addresses that go by a formula: nobody is told of what that gives, so nothing can be taken
// back there. `is_there`: whether a thing stands at an address of which `is_formulas` says so.
template <class Thing, class IsThere>
bool may_fix(
    const std::vector<Thing>& wanted, const std::vector<Thing>& next, const IsThere& is_there
) {
    const auto of_formulas = [&](const std::vector<Thing>& all) {
        std::vector<Thing> found;
        std::ranges::copy_if(all, std::back_inserter(found), is_there);
        return found;
    };
    return of_formulas(wanted) == of_formulas(next);
}

std::vector<nat::DestinationNatSettings> rules_from_inside(const nat::NatSettings& settings) {
    std::vector<nat::DestinationNatSettings> rules;
    std::ranges::copy_if(settings.destination_nat, std::back_inserter(rules), [](const auto& rule) {
        return !rule.is_inbound;
    });
    return rules;
}

// Of destination-nat those from outside; what subscribers are led by stays as it is until a restart.
void adopt_statics(const nat::NatSettings& wanted, nat::NatSettings& next) {
    const auto is_formulas = [&](Ipv4Addr address) {
        const auto has = [address](const nat::PoolSettings& pool) {
            return pool.port_selection == nat::PortSelection::kDeterministic && pool.has(address);
        };
        return std::ranges::any_of(wanted.pools, has) || std::ranges::any_of(next.pools, has);
    };
    const auto is_there = [&](const auto& one) { return is_formulas(one.external); };
    const auto is_service_there = [&](const nat::DestinationNatSettings& rule) {
        return rule.is_inbound && std::ranges::any_of(rule.destination, [&](const Ipv4Prefix& at) {
                   return is_formulas(at.address);
               });
    };
    if (may_fix(wanted.static_mappings, next.static_mappings, is_there)) {
        next.static_mappings = wanted.static_mappings;
    }
    if (may_fix(wanted.trigger_forwards, next.trigger_forwards, is_there)) {
        next.trigger_forwards = wanted.trigger_forwards;
    }
    if (rules_from_inside(wanted) == rules_from_inside(next) &&
        may_fix(wanted.destination_nat, next.destination_nat, is_service_there)) {
        next.destination_nat = wanted.destination_nat;
    }
}

void adopt_pool(
    const nat::PoolSettings& wanted, const nat::PoolSettings& at_start, nat::PoolSettings& next
) {
    next.port_quarantine = wanted.port_quarantine;
    next.port_quarantine_ports = wanted.port_quarantine_ports;
    next.block_release_delay = wanted.block_release_delay;
    next.unsolicited_syn = wanted.unsolicited_syn;
    next.answers_pings = wanted.answers_pings;
    if (wanted.blocks_per_subscriber <= at_start.blocks_per_subscriber) {
        next.blocks_per_subscriber = wanted.blocks_per_subscriber;
    }
}

bool is_by_protocol(const nat::SubscriberLimits& limits) {
    constexpr nat::ProtocolLimits kNone;
    return limits.tcp != kNone || limits.udp != kNone || limits.icmp != kNone;
}

// Ports taken alone are counted by protocol only where that was asked for at the start.
void adopt_policy(const nat::PolicySettings& wanted, nat::PolicySettings& next) {
    if (is_by_protocol(wanted.limits) == is_by_protocol(next.limits)) {
        next.limits = wanted.limits;
    }
    next.refusal = wanted.refusal;
}

template <class Thing>
bool have_same_names(const std::vector<Thing>& a, const std::vector<Thing>& b) {
    return std::ranges::equal(a, b, {}, &Thing::name, &Thing::name);
}

// Rules name links, realms and pools by their places. Room for destinations that are translated is taken at start. What stays of
// the rules keeps its counters and rates.
void adopt_rules(const Config& wanted, Config& next) {
    const bool has_room = next.nat.has_destination_rules || !wanted.nat.has_destination_rules;
    const bool has_same_places = has_room && have_same_names(wanted.links, next.links) &&
                                 have_same_names(wanted.realms, next.realms) &&
                                 have_same_names(wanted.nat.pools, next.nat.pools);
    if (!has_same_places || wanted.rules == next.rules) {
        return;
    }
    const rules::RuleSet before = next.rules.set;
    next.rules = wanted.rules;
    next.rules.set.take_over(before);
}

}  // namespace

std::vector<Difference> differences(const Config& a, const Config& b) {
    const Settings before = settings_of(a);
    const Settings after = settings_of(b);
    std::vector<Difference> all;
    for (const auto& [setting, text] : before) {
        const auto other = after.find(setting);
        if (other == after.end() || other->second != text) {
            all.push_back({setting, text, other == after.end() ? "" : other->second});
        }
    }
    for (const auto& [setting, text] : after) {
        if (!before.contains(setting)) {
            all.push_back({setting, "", text});
        }
    }
    std::ranges::copy(rules_differences(a, b), std::back_inserter(all));
    return all;
}

void adopt_settings(const Config& wanted, const Config& at_start, Config& running) {
    nat::NatSettings& next = running.nat;
    next.local_host = wanted.nat.local_host;
    adopt_timeouts(wanted.nat.timeouts, next.timeouts);
    adopt_limits(wanted.nat.limits, at_start.nat.limits, next.limits);
    adopt_pcp(wanted.nat.pcp, at_start.nat.pcp, next.pcp);
    adopt_statics(wanted.nat, next);
    const std::vector<Ipv4Addr> fixed = fixed_addresses(next);
    const bool renumbers = may_renumber(wanted, running, fixed);
    if (renumbers) {
        adopt_network(wanted, running);
    }
    if (have_same_names(wanted.nat.pools, next.pools)) {
        for (size_t i = 0; i < next.pools.size(); ++i) {
            const bool moves = (renumbers || next.pools[i].links.empty()) &&
                               may_have_addresses(wanted.nat.pools[i], next.pools[i], fixed);
            next.pools[i].addresses =
                moves ? wanted.nat.pools[i].addresses : next.pools[i].addresses;
            adopt_pool(wanted.nat.pools[i], at_start.nat.pools[i], next.pools[i]);
        }
    }
    if (have_same_names(wanted.nat.policies, next.policies)) {
        for (size_t i = 0; i < next.policies.size(); ++i) {
            adopt_policy(wanted.nat.policies[i], next.policies[i]);
        }
    }
}

// Rules first: they ask whether links, realms and pools have the same places.
void adopt(const Config& wanted, const Config& at_start, Config& running) {
    adopt_rules(wanted, running);
    adopt_settings(wanted, at_start, running);
    running.source_text = wanted.source_text;
}

Change compare(const Config& running, const Config& wanted, const Config& at_start) {
    Config next = running;
    adopt(wanted, at_start, next);
    return {differences(running, next), differences(next, wanted)};
}

}  // namespace sekisho::config
