// What of another configuration may take the place of the running one's without a restart.
//
//   At once   timeouts but that of fragments (those by remote port where the ports stay); limits of the tables up to what
//             they were made for at the start, unreplied-make-room; of each pool that gives out blocks only the addresses,
//             unless one with static mappings or forwards would become another pool's, the quarantine, the release delay, the
//             blocks of a subscriber up to those at the start, the answers to unsolicited SYNs and pings; of each policy the limits and
//             the refusal. Pools and policies are the same if name and place are.
//             The addresses of links and the routes, where the links are the same but for these, and the static neighbours too,
//             and where each pool that is a link's address may have another one.
//             Static mappings, trigger forwards, and of destination-nat the rules from outside, but at addresses of a pool that goes by a
//             formula.
//             Of pcp the lifetimes and mappings-per-subscriber, and enabled where it was at the start. The local-host. Rules, sets, groups and patterns, where links, realms and pools have the same names in the same
//             places, and rules that translate destinations, or a chain for them, were there before: what stays of the rules is
//             the same rule, with its number (RuleSet::take_over).
//   Restart   everything else.
//   Thread    any; touches nothing. Cost: linear in the configurations.
#pragma once

#include <string>
#include <vector>

#include "config/config.h"

namespace sekisho::config {

struct Difference {
    std::string setting;  // a path of keys and names, as in pools.main.port-quarantine
    std::string from;     // as a configuration writes it; empty: it is not there
    std::string to;
    friend bool operator==(const Difference&, const Difference&) = default;
};

struct Change {
    std::vector<Difference> at_once;
    std::vector<Difference> after_restart;
};

// Writes into `running` all of `wanted` that may be had at once. What has a place in memory keeps it: names, and lists that
// others point into. `at_start`: what the process began with; it bounds the tables.
void adopt(const Config& wanted, const Config& at_start, Config& running);
// The same but for rules, sets, groups and patterns, and the text, which may be long; they can be exchanged whole.
void adopt_settings(const Config& wanted, const Config& at_start, Config& running);

Change compare(const Config& running, const Config& wanted, const Config& at_start);

// Setting by setting, defaults included.
std::vector<Difference> differences(const Config& a, const Config& b);

}  // namespace sekisho::config
