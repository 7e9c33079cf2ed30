// A configuration between reading and checking: the values, and where each that the checks compare
// was written.
//
//   Law       links, routes, neighbours, pools, policies, static mappings and destination-nat stand in step with
//             config.links, .routes, .neighbours and those of config.nat, wrong ones included, so that ids stay right
//             and a value that could not be read causes no second mistake.
//   Thread    one checker.
#pragma once

#include <optional>
#include <vector>

#include "config/config.h"
#include "config/mistakes.h"
#include "config/values.h"
#include "config/yaml_tree.h"

namespace sekisho::config {

struct LinkPlaces {
    Place device;
    std::vector<Place> addresses;  // in step with LinkSettings::addresses
    bool realm_read = false;
    bool device_read = false;
    bool vlan_read = true;
    bool queues_read = true;
    bool addresses_read = false;  // all of them
};

struct RoutePlaces {
    Place prefix;
    Place next_hop;
    bool prefix_read = false;
    bool next_hop_read = false;
    std::optional<RealmId> realm;  // as written
};

struct NeighbourPlaces {
    Place address;
    bool address_read = false;
    std::optional<RealmId> realm;  // as written
};

struct PoolPlaces {
    std::vector<Place> addresses;  // in step with PoolSettings::addresses
    std::vector<Place> links;      // the same of links
    Place ports;                   // of the pool where they are not named, as all below
    Place port_selection;
    Place port_ranges;
    Place port_contiguity;
    Place port_quarantine_ports;
    Place reserved_ports;
    Place block_max_age;
    Place keep_first_block;
    Place pairing;
    Place overflow;
    std::string overflow_name;  // empty: there is none
};

struct PolicyPlaces {
    Place pool;
    bool pool_read = false;
    Place realm;  // of the policy where the realm is not named
    bool realm_read = true;
    std::vector<Place> source;  // in step with PolicySettings::source
    Place tcp_window;
    Place port_overloading;
    std::vector<Place> exempt;  // in step with PolicySettings::exempt
};

struct StaticMappingPlaces {
    Place internal;
    Place external;
    Place realm;           // of the mapping where the realm is not named
    Place internal_port;   // of the mapping where there is none
    Place external_port;   // the same
    bool is_read = false;  // all of it that is compared
};

struct DestinationNatPlaces {
    std::vector<Place> destinations;  // in step with DestinationNatSettings::destination
    std::vector<Place> targets;       // the same of targets
    bool is_read = false;             // all of it that is compared
};

struct TriggerForwardPlaces {
    Place external;
    Place ports;
    bool is_read = false;  // all of it that is compared
};

// Where a rule, or a chain, stands; and a rule's chain, if that could be declared.
struct ChainPlaces {
    Place place;
    std::optional<rules::ChainId> id;
};

// A rule, or a chain's policy, that translates.
struct TranslationPlaces {
    Place place;
    rules::Action action;
    rules::ChainId chain;
    rules::RulePtr rule;  // empty: a policy
};

struct Draft {
    Config config;
    std::vector<LinkPlaces> links;
    std::vector<RoutePlaces> routes;
    std::vector<NeighbourPlaces> neighbours;
    std::vector<PoolPlaces> pools;
    std::vector<PolicyPlaces> policies;
    std::vector<StaticMappingPlaces> static_mappings;
    std::vector<DestinationNatPlaces> destination_nat;
    std::vector<TriggerForwardPlaces> trigger_forwards;
    Place whole;  // where a list as a whole is missing something
    Place links_list;
    Names realm_names{"realm"};
    Names link_names{"link"};
    Names pool_names{"pool"};
    Names policy_names{"policy"};
    Names trigger_forward_names{"trigger forward"};
    Names destination_nat_names{"rule of destination-nat"};
    std::vector<std::optional<rules::SetId>> sets;  // in step with config.rules.sets
    std::vector<ChainPlaces> chains;                // in step with the list
    std::vector<TranslationPlaces> translations;
    Place local_host;
    Names set_names{"set"};
    Names chain_names{"chain"};
    Names group_names{"group"};
    Names pattern_names{"pattern"};
};

// Reading, one function a section; each takes the section's value.
void read_system(const Node& node, const MachineFacts& machine, Draft& draft, Mistakes& mistakes);
void choose_workers(size_t count, const MachineFacts& machine, SystemSettings& system);
void read_realms(const Node& node, Draft& draft, Mistakes& mistakes);
void read_links(const Node& node, Draft& draft, Mistakes& mistakes);
void read_routes(const Node& node, Draft& draft, Mistakes& mistakes);
void read_neighbours(const Node& node, Draft& draft, Mistakes& mistakes);
void read_multicast(const Node& node, Draft& draft, Mistakes& mistakes);
void read_pools(const Node& node, Draft& draft, Mistakes& mistakes);
// Of a pool.
void read_reserved_addresses(
    const Node& node, nat::PoolSettings& pool, PoolPlaces& places, Mistakes& mistakes
);
void read_reserved_ports(
    const Node& node, nat::PoolSettings& pool, PoolPlaces& places, Mistakes& mistakes
);
void read_policies(const Node& node, Draft& draft, Mistakes& mistakes);
// Of a policy.
void read_exempt(
    const Node& node, nat::PolicySettings& policy, PolicyPlaces& places, Mistakes& mistakes
);
void read_static_mappings(const Node& node, Draft& draft, Mistakes& mistakes);
void read_destination_nat(const Node& node, Draft& draft, Mistakes& mistakes);
void read_trigger_forwards(const Node& node, Draft& draft, Mistakes& mistakes);
void read_sets(const Node& node, const MachineFacts& machine, Draft& draft, Mistakes& mistakes);
void read_groups(const Node& node, Draft& draft, Mistakes& mistakes);
void read_patterns(const Node& node, Draft& draft, Mistakes& mistakes);
void read_payload_search(const Node& node, Draft& draft, Mistakes& mistakes);
// Chains and rules; links, realms, pools, sets and what else they name have been read.
void read_rules(const Node& node, Draft& draft, Mistakes& mistakes);
void read_rules_change(const Node& node, Draft& draft, Mistakes& mistakes);
void read_timeouts(const Node& node, Draft& draft, Mistakes& mistakes);
void read_port_timeouts(
    const Node& node, std::vector<nat::PortTimeout>& timeouts, Mistakes& mistakes
);
void read_table_limits(const Node& node, Draft& draft, Mistakes& mistakes);
void read_pcp(const Node& node, Draft& draft, Mistakes& mistakes);
void read_log(const Node& node, Draft& draft, Mistakes& mistakes);
void read_syslog(const Node& node, Draft& draft, Mistakes& mistakes);
void read_control(const Node& node, Draft& draft, Mistakes& mistakes);

// Checks that look at more than one value; they also resolve each route's and
// neighbour's link.
void check_links(const Draft& draft, Mistakes& mistakes);
void check_routes(Draft& draft, Mistakes& mistakes);
void check_neighbours(Draft& draft, Mistakes& mistakes);
void check_pools(const Draft& draft, Mistakes& mistakes);
bool is_in_pool(const Draft& draft, Ipv4Addr address);
void resolve_overflow(Draft& draft, Mistakes& mistakes);
void check_deterministic(const Draft& draft, Mistakes& mistakes);
void check_ports(const Draft& draft, Mistakes& mistakes);
void check_room(const Draft& draft, Mistakes& mistakes);
void check_policies(const Draft& draft, Mistakes& mistakes);
void check_exemptions(const Draft& draft, Mistakes& mistakes);
void check_static_mappings(const Draft& draft, Mistakes& mistakes);
// Whether an action does: where a flow goes, or behind which address it stands.
bool translates(const rules::Action& action);
// Settles also whether there are rules that translate destinations.
void check_translations(Draft& draft, Mistakes& mistakes);
void check_trigger_forwards(const Draft& draft, Mistakes& mistakes);
void check_destination_nat(const Draft& draft, Mistakes& mistakes);

}  // namespace sekisho::config
