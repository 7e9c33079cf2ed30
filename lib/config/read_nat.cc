// The sections pools and policies.
#include <algorithm>
#include <bit>

#include <fmt/format.h>

#include "config/parts.h"

namespace sekisho::config {
namespace {

constexpr Choice<nat::PortSelection> kPortSelections[] = {
    {"random", nat::PortSelection::kRandom},
    {"sequential", nat::PortSelection::kSequential},
    {"preserve", nat::PortSelection::kPreserve},
    {"deterministic", nat::PortSelection::kDeterministic},
};
constexpr Choice<nat::Pairing> kPairings[] = {
    {"hard", nat::Pairing::kHard}, {"soft", nat::Pairing::kSoft}, {"none", nat::Pairing::kNone}};
constexpr Choice<nat::PortRanges> kPortRanges[] = {
    {"any", nat::PortRanges::kAny}, {"preserve", nat::PortRanges::kPreserve}};
constexpr Choice<nat::UnsolicitedSyn> kUnsolicitedSyns[] = {
    {"port-unreachable", nat::UnsolicitedSyn::kPortUnreachable},
    {"silent", nat::UnsolicitedSyn::kSilent}};
constexpr Choice<nat::MappingBehaviour> kMappingBehaviours[] = {
    {"endpoint-independent", nat::MappingBehaviour::kEndpointIndependent},
    {"address-dependent", nat::MappingBehaviour::kAddressDependent},
    {"address-and-port-dependent", nat::MappingBehaviour::kAddressAndPortDependent},
};
constexpr Choice<nat::FilteringBehaviour> kFilteringBehaviours[] = {
    {"endpoint-independent", nat::FilteringBehaviour::kEndpointIndependent},
    {"address-dependent", nat::FilteringBehaviour::kAddressDependent},
    {"address-and-port-dependent", nat::FilteringBehaviour::kAddressAndPortDependent},
};

constexpr Choice<nat::WindowPolicy> kWindowPolicies[] = {
    {"off", nat::WindowPolicy::kOff},
    {"log", nat::WindowPolicy::kLog},
    {"drop", nat::WindowPolicy::kDrop},
};

constexpr Choice<nat::Refusal> kRefusals[] = {
    {"host-unreachable", nat::Refusal::kHostUnreachable},
    {"administratively-prohibited", nat::Refusal::kProhibited},
    {"silent", nat::Refusal::kSilent},
};

// `link: NAME` in place of an address: masquerade behind the link's own address.
bool is_masquerade(const Node& item) {
    return item.kind == Node::Kind::kMap && item.keys.size() == 1 && item.keys[0].text == "link";
}

// Its address joins the others when all of them have been read.
void read_masquerade(
    const Node& node,
    const Draft& draft,
    nat::PoolSettings& pool,
    PoolPlaces& places,
    Mistakes& mistakes
) {
    const auto index =
        node.kind == Node::Kind::kScalar ? draft.link_names.find(node.text) : std::nullopt;
    if (!index) {
        mistakes.add(node.place, describe(node), "the name of a link");
        return;
    }
    if (draft.links[*index].realm_read && draft.config.links[*index].side != Side::kExternal) {
        mistakes.add(
            node.place,
            fmt::format("{}, a link on the internal side", describe(node)),
            "a link on the external side"
        );
        return;
    }
    if (draft.config.links[*index].addresses.empty()) {
        return;  // said already
    }
    pool.links.push_back({static_cast<uint8_t>(*index)});
    places.links.push_back(node.place);
}

void read_pool_addresses(
    const Node& node,
    const Draft& draft,
    nat::PoolSettings& pool,
    PoolPlaces& places,
    Mistakes& mistakes
) {
    const auto* items = read_list(
        node,
        kMaxNodes,
        "a list of addresses, prefixes and ranges, such as [203.0.113.0/28]",
        mistakes
    );
    if (items == nullptr) {
        return;
    }
    for (const Node& item : *items) {
        if (is_masquerade(item)) {
            read_masquerade(item.items[0], draft, pool, places, mistakes);
            continue;
        }
        const auto range = parse_address_range(item.kind == Node::Kind::kScalar ? item.text : "");
        if (!range) {
            mistakes.add(item.place, describe(item), range.error());
            continue;
        }
        pool.addresses.push_back(*range);
        places.addresses.push_back(item.place);
    }
    for (size_t i = 0; i < pool.links.size(); ++i) {
        const Ipv4Addr own = draft.config.links[pool.links[i].value].addresses[0].address;
        pool.addresses.push_back({own, own});
        places.addresses.push_back(places.links[i]);
    }
}

// Blocks lie at multiples of their size, so a range may hold none although it is long enough.
bool block_fits(nat::PortRange ports, uint32_t block_size) {
    const uint32_t first_block = (ports.first + block_size - 1) / block_size * block_size;
    return first_block + block_size - 1 <= ports.last;
}

void read_ports(const Map& map, nat::PoolSettings& pool, PoolPlaces& places, Mistakes& mistakes) {
    bool read = true;
    Place place = map.place();
    if (const Node* node = map.find("ports")) {
        const auto ports = parse_port_range(node->kind == Node::Kind::kScalar ? node->text : "");
        if (ports) {
            pool.ports = *ports;
        } else {
            mistakes.add(node->place, describe(*node), ports.error());
            read = false;
        }
        place = node->place;
        places.ports = place;
    }
    if (const Node* node = map.find("port-block-size")) {
        const auto size = read_number(*node, kBlockSize, mistakes);
        if (size && !std::has_single_bit(*size)) {
            mistakes.add(
                node->place,
                describe(*node),
                fmt::format(
                    "a power of two, such as {} or {}", std::bit_floor(*size), std::bit_ceil(*size)
                )
            );
            read = false;
        } else if (size) {
            pool.port_block_size = static_cast<uint32_t>(*size);
        }
        read = read && size.has_value();
        place = node->place;
    }
    const bool has_blocks = pool.port_selection != nat::PortSelection::kPreserve;
    if (read && has_blocks && !block_fits(pool.ports, pool.port_block_size)) {
        mistakes.add(
            place,
            fmt::format(
                "no whole block of {} ports in {}-{}",
                pool.port_block_size,
                pool.ports.first,
                pool.ports.last
            ),
            "at least one block that starts at a multiple of its size"
        );
    }
}

// Even and odd ports must be as many, or what is kept apart runs out on one side first.
void read_parity(const Map& map, nat::PoolSettings& pool, PoolPlaces& places, Mistakes& mistakes) {
    if (const Node* node = map.find("port-parity")) {
        pool.port_parity = read_boolean(*node, mistakes).value_or(false);
        if (pool.port_parity && (pool.ports.first % 2 != 0 || pool.ports.last % 2 == 0)) {
            mistakes.add(
                node->place,
                fmt::format("port-parity with the ports {}-{}", pool.ports.first, pool.ports.last),
                "a range of ports that begins even and ends odd"
            );
        }
    }
    if (const Node* node = map.find("port-contiguity")) {
        pool.port_contiguity = read_boolean(*node, mistakes).value_or(false);
        places.port_contiguity = node->place;
        if (pool.port_contiguity && !pool.port_parity) {
            mistakes.add(
                node->place, "port-contiguity without port-parity", "port-parity: true as well"
            );
        }
    }
}

// A choice whose place is kept.
template <class E, size_t N>
// NOLINTNEXTLINE(readability-function-size): read_choice()'s parameters, and the place
void read_placed(
    const Map& map,
    std::string_view key,
    const Choice<E> (&choices)[N],
    E& target,
    Place& place,
    Mistakes& mistakes
) {
    if (const Node* node = map.find(key)) {
        place = node->place;
        target = read_choice(*node, choices, mistakes).value_or(target);
    }
}

void read_block_life(
    const Map& map, nat::PoolSettings& pool, PoolPlaces& places, Mistakes& mistakes
) {
    read_number(map, "block-max-age", kBlockMaxAge, pool.block_max_age, mistakes);
    if (const Node* node = map.find("block-max-age")) {
        places.block_max_age = node->place;
    }
    if (const Node* node = map.find("keep-first-block")) {
        pool.keeps_first_block = read_boolean(*node, mistakes).value_or(false);
        places.keep_first_block = node->place;
    }
    read_number(map, "block-release-delay", kBlockReleaseDelay, pool.block_release_delay, mistakes);
}

void read_pool(
    const Map& map,
    const Draft& draft,
    nat::PoolSettings& pool,
    PoolPlaces& places,
    Mistakes& mistakes
) {
    if (const Node* node = map.find("addresses")) {
        read_pool_addresses(*node, draft, pool, places, mistakes);
    }
    places.ports = places.port_selection = places.port_ranges = map.place();
    read_placed(
        map, "port-selection", kPortSelections, pool.port_selection, places.port_selection, mistakes
    );
    read_ports(map, pool, places, mistakes);
    read_number(
        map, "blocks-per-subscriber", kBlocksPerSubscriber, pool.blocks_per_subscriber, mistakes
    );
    if (const Node* node = map.find("overflow-pool")) {
        places.overflow = node->place;
        const std::string* name = read_name(*node, mistakes);
        places.overflow_name = name != nullptr ? *name : "";
    }
    read_placed(map, "port-ranges", kPortRanges, pool.port_ranges, places.port_ranges, mistakes);
    read_number(map, "port-quarantine", kPortQuarantine, pool.port_quarantine, mistakes);
    if (const Node* node = map.find("port-quarantine-ports")) {
        places.port_quarantine_ports = node->place;
        read_number(map, "port-quarantine-ports", kOwnLimit, pool.port_quarantine_ports, mistakes);
    }
    if (const Node* node = map.find("reserved-ports")) {
        read_reserved_ports(*node, pool, places, mistakes);
    }
    if (const Node* node = map.find("reserved-addresses")) {
        read_reserved_addresses(*node, pool, places, mistakes);
    }
    read_block_life(map, pool, places, mistakes);
    read_placed(map, "pairing", kPairings, pool.pairing, places.pairing, mistakes);
    read_parity(map, pool, places, mistakes);
    read_choice(map, "unsolicited-syn", kUnsolicitedSyns, pool.unsolicited_syn, mistakes);
    if (const Node* node = map.find("answer-pings")) {
        pool.answers_pings = read_boolean(*node, mistakes).value_or(false);
    }
}

void read_policy_realm(
    const Node& node,
    const Draft& draft,
    nat::PolicySettings& policy,
    PolicyPlaces& places,
    Mistakes& mistakes
) {
    places.realm = node.place;
    places.realm_read = false;
    const auto index =
        node.kind == Node::Kind::kScalar ? draft.realm_names.find(node.text) : std::nullopt;
    if (!index) {
        mistakes.add(
            node.place, describe(node), "the name of a realm: " + draft.realm_names.list()
        );
        return;
    }
    const RealmSettings& realm = draft.config.realms[*index];
    if (realm.side != Side::kInternal) {
        mistakes.add(
            node.place,
            fmt::format("{}, a realm on the external side", describe(node)),
            "a realm on the internal side, whose subscribers are translated"
        );
        return;
    }
    policy.realm = realm.id;
    places.realm_read = true;
}

void read_sources(
    const Node& node, nat::PolicySettings& policy, PolicyPlaces& places, Mistakes& mistakes
) {
    const auto* items = read_list(
        node, kMaxNodes, "a list of the subscribers' prefixes, such as [100.64.0.0/10]", mistakes
    );
    if (items == nullptr) {
        return;
    }
    for (const Node& item : *items) {
        const auto prefix = parse_prefix(item.kind == Node::Kind::kScalar ? item.text : "");
        if (prefix) {
            policy.source.push_back(*prefix);
            places.source.push_back(item.place);
        } else {
            mistakes.add(item.place, describe(item), prefix.error());
        }
    }
}

void read_protocol_limits(
    const Map& all, std::string_view key, nat::ProtocolLimits& limits, Mistakes& mistakes
) {
    const Node* node = all.find(key);
    if (node == nullptr) {
        return;
    }
    if (const auto map = Map::open(*node, kProtocolLimits, mistakes)) {
        read_number(*map, "sessions", kOwnLimit, limits.sessions, mistakes);
        read_number(*map, "ports", kOwnLimit, limits.ports, mistakes);
        read_number(*map, "reserve", kOwnLimit, limits.reserve, mistakes);
    }
}

void read_subscriber_limits(const Node& node, nat::SubscriberLimits& limits, Mistakes& mistakes) {
    const auto map = Map::open(node, kSubscriberLimits, mistakes);
    if (!map) {
        return;
    }
    read_number(*map, "sessions", kSubscriberSessions, limits.sessions, mistakes);
    read_number(*map, "ports", kSubscriberPorts, limits.ports, mistakes);
    read_number(*map, "sessions-per-second", kSubscriberRate, limits.sessions_per_second, mistakes);
    read_number(*map, "inbound-openings", kInboundOpenings, limits.inbound_openings, mistakes);
    read_number(*map, "mappings", kOwnLimit, limits.mappings, mistakes);
    read_number(*map, "half-open", kOwnLimit, limits.half_open, mistakes);
    read_protocol_limits(*map, "tcp", limits.tcp, mistakes);
    read_protocol_limits(*map, "udp", limits.udp, mistakes);
    read_protocol_limits(*map, "icmp", limits.icmp, mistakes);
    const uint64_t kept = uint64_t{limits.tcp.reserve} + limits.udp.reserve + limits.icmp.reserve;
    const uint32_t least = std::min(limits.sessions, limits.ports);
    if (kept > least) {
        mistakes.add(
            node.place,
            fmt::format("reserves of {} together", kept),
            fmt::format("at most {}, the subscriber's sessions and ports", least)
        );
    }
}

// One value for all protocols, or one for each: {tcp: ..., udp: ...}.
template <class E, size_t N>
void read_by_protocol(
    const Map& map,
    std::string_view key,
    const Choice<E> (&choices)[N],
    nat::PerProtocol<E>& target,
    Mistakes& mistakes
) {
    const Node* node = map.find(key);
    if (node == nullptr) {
        return;
    }
    if (node->kind != Node::Kind::kMap) {
        target = read_choice(*node, choices, mistakes).value_or(target.udp);
        return;
    }
    if (const auto each = Map::open(*node, kProtocols, mistakes)) {
        read_choice(*each, "tcp", choices, target.tcp, mistakes);
        read_choice(*each, "udp", choices, target.udp, mistakes);
        read_choice(*each, "icmp", choices, target.icmp, mistakes);
    }
}

// An inbound packet to a shared port is told apart by its remote endpoint alone.
void read_overloading(const Node& node, nat::PolicySettings& policy, Mistakes& mistakes) {
    policy.port_overloading = read_boolean(node, mistakes).value_or(false);
    const bool is_possible =
        policy.mapping == nat::PerProtocol(nat::MappingBehaviour::kAddressAndPortDependent) &&
        policy.filtering == nat::PerProtocol(nat::FilteringBehaviour::kAddressAndPortDependent);
    if (policy.port_overloading && !is_possible) {
        mistakes.add(
            node.place,
            "port-overloading where an endpoint must be told by its port",
            "mapping and filtering address-and-port-dependent"
        );
    }
}

// The protocols that pass by their address alone, or none.
void read_address_only(const Node& node, nat::AddressOnly& passing, Mistakes& mistakes) {
    struct Protocol {
        std::string_view name;
        bool nat::AddressOnly::*passes;
    };
    constexpr Protocol kAll[] = {
        {"sctp", &nat::AddressOnly::sctp},
        {"dccp", &nat::AddressOnly::dccp},
        {"udp-lite", &nat::AddressOnly::udp_lite},
        {"gre", &nat::AddressOnly::gre},
        {"esp", &nat::AddressOnly::esp},
    };
    if (node.kind == Node::Kind::kScalar && node.text == "none") {
        passing = {false, false, false, false, false};
        return;
    }
    const auto* items = read_list(
        node,
        std::size(kAll),
        "none, or a list of sctp, dccp, udp-lite, gre and esp, each once",
        mistakes
    );
    if (items == nullptr) {
        return;
    }
    ChoiceName names[std::size(kAll)];
    std::ranges::transform(kAll, names, [](const Protocol& p) { return ChoiceName{p.name, true}; });
    passing = {false, false, false, false, false};
    for (const Node& item : *items) {
        const auto index = read_choice_name(item, names, mistakes);
        if (index && passing.*kAll[*index].passes) {
            mistakes.add(item.place, fmt::format("{} a second time", item.text), "each once");
        } else if (index) {
            passing.*kAll[*index].passes = true;
        }
    }
}

// off, path-mtu, or a number.
void read_mss_clamp(const Node& node, uint16_t& clamp, Mistakes& mistakes) {
    const bool is_word = node.kind == Node::Kind::kScalar && !node.quoted;
    if (is_word && (node.text == "off" || node.text == "path-mtu")) {
        clamp = node.text == "off" ? 0 : nat::kMssOfPath;
        return;
    }
    const auto number = is_word ? parse_number(node.text, kMssClamp.unit) : std::nullopt;
    if (!number || *number < kMssClamp.low || *number > kMssClamp.high) {
        mistakes.add(
            node.place, describe(node), fmt::format("off, path-mtu or {}", describe(kMssClamp))
        );
        return;
    }
    clamp = static_cast<uint16_t>(*number);
}

void read_policy(
    const Map& map,
    const Draft& draft,
    nat::PolicySettings& policy,
    PolicyPlaces& places,
    Mistakes& mistakes
) {
    places.realm = map.place();
    if (const Node* node = map.find("realm")) {
        read_policy_realm(*node, draft, policy, places, mistakes);
    }
    if (const Node* node = map.find("source")) {
        read_sources(*node, policy, places, mistakes);
    }
    if (const Node* node = map.find("pool")) {
        const auto index =
            node->kind == Node::Kind::kScalar ? draft.pool_names.find(node->text) : std::nullopt;
        if (index) {
            policy.pool = PoolId{static_cast<uint16_t>(*index)};
            places.pool = node->place;
            places.pool_read = true;
        } else {
            const std::string names = draft.pool_names.list();
            mistakes.add(
                node->place,
                describe(*node),
                "the name of a pool" + (names.empty() ? "" : ": " + names)
            );
        }
    }
    if (const Node* node = map.find("exempt")) {
        read_exempt(*node, policy, places, mistakes);
    }
    read_by_protocol(map, "mapping", kMappingBehaviours, policy.mapping, mistakes);
    read_by_protocol(map, "filtering", kFilteringBehaviours, policy.filtering, mistakes);
    if (const Node* node = map.find("port-overloading")) {
        read_overloading(*node, policy, mistakes);
        places.port_overloading = node->place;
    }
    read_choice(map, "refusal", kRefusals, policy.refusal, mistakes);
    if (const Node* node = map.find("address-only")) {
        read_address_only(*node, policy.address_only, mistakes);
    }
    if (const Node* node = map.find("tcp-window")) {
        policy.tcp_window =
            read_choice(*node, kWindowPolicies, mistakes).value_or(policy.tcp_window);
        places.tcp_window = node->place;
    }
    if (const Node* node = map.find("tcp-pickup")) {
        policy.tcp_pickup = read_boolean(*node, mistakes).value_or(false);
    }
    if (const Node* node = map.find("mss-clamp")) {
        read_mss_clamp(*node, policy.mss_clamp, mistakes);
    }
    if (const Node* node = map.find("limits")) {
        read_subscriber_limits(*node, policy.limits, mistakes);
    }
}

}  // namespace

void read_pools(const Node& node, Draft& draft, Mistakes& mistakes) {
    const auto* items =
        read_list(node, kMaxPools, "a list of pools, each with name and addresses", mistakes);
    if (items == nullptr) {
        return;
    }
    for (const Node& item : *items) {
        nat::PoolSettings pool;
        PoolPlaces places;
        if (const auto map = Map::open(item, kPool, mistakes)) {
            read_entry_name(*map, pool.name, draft.pool_names, draft.pools.size(), mistakes);
            read_pool(*map, draft, pool, places, mistakes);
        }
        draft.config.nat.pools.push_back(std::move(pool));
        draft.pools.push_back(std::move(places));
    }
}

void read_policies(const Node& node, Draft& draft, Mistakes& mistakes) {
    const auto* items = read_list(
        node, kMaxPolicies, "a list of policies, each with name, source and pool", mistakes
    );
    if (items == nullptr) {
        return;
    }
    auto& policies = draft.config.nat.policies;
    for (const Node& item : *items) {
        nat::PolicySettings policy;
        PolicyPlaces places;
        places.realm_read = false;  // until the entry turns out to be a map
        if (const auto map = Map::open(item, kPolicy, mistakes)) {
            read_entry_name(*map, policy.name, draft.policy_names, policies.size(), mistakes);
            places.realm_read = true;
            read_policy(*map, draft, policy, places, mistakes);
        }
        policies.push_back(std::move(policy));
        draft.policies.push_back(std::move(places));
    }
}

}  // namespace sekisho::config
