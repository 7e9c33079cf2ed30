// The configuration in effect as text.
#include <algorithm>
#include <iterator>

#include <fmt/format.h>

#include "base/protocol_name.h"
#include "base/text.h"
#include "config/config.h"
#include "config/rule_words.h"
#include "config/rules_to_yaml.h"
#include "config/scalars.h"
#include "config/yaml_text.h"

namespace sekisho::config {
namespace {

using Out = std::back_insert_iterator<std::string>;

std::string_view name_of(Side side) {
    return side == Side::kInternal ? "internal" : "external";
}
std::string_view name_of(IdleMode mode) {
    return mode == IdleMode::kBusy ? "busy" : "adaptive";
}
std::string_view name_of(HugePages use) {
    constexpr std::string_view kNames[] = {"auto", "required", "never"};
    return kNames[static_cast<size_t>(use)];
}
std::string_view name_of(nat::PortSelection selection) {
    constexpr std::string_view kNames[] = {"random", "sequential", "preserve", "deterministic"};
    return kNames[static_cast<size_t>(selection)];
}
std::string_view name_of(nat::Pairing pairing) {
    constexpr std::string_view kNames[] = {"hard", "soft", "none"};
    return kNames[static_cast<size_t>(pairing)];
}
std::string_view name_of(nat::WindowPolicy policy) {
    constexpr std::string_view kNames[] = {"off", "log", "drop"};
    return kNames[static_cast<size_t>(policy)];
}
std::string_view name_of(nat::Refusal refusal) {
    switch (refusal) {
        case nat::Refusal::kSilent:
            return "silent";
        case nat::Refusal::kHostUnreachable:
            return "host-unreachable";
        case nat::Refusal::kProhibited:
            return "administratively-prohibited";
    }
    return {};
}
template <class Behaviour>  // of mapping or filtering: RFC 4787 has the same three names for both
std::string_view name_of(Behaviour behaviour) {
    constexpr std::string_view kNames[] = {
        "endpoint-independent", "address-dependent", "address-and-port-dependent"};
    return kNames[static_cast<size_t>(behaviour)];
}

template <class Behaviour>
std::string by_protocol(const nat::PerProtocol<Behaviour>& setting) {
    if (setting == nat::PerProtocol<Behaviour>(setting.udp)) {
        return std::string(name_of(setting.udp));
    }
    return fmt::format(
        "{{tcp: {}, udp: {}, icmp: {}}}",
        name_of(setting.tcp),
        name_of(setting.udp),
        name_of(setting.icmp)
    );
}

std::string name_of(const nat::AddressOnly& passing) {
    std::vector<std::string_view> names;
    for (const base::ProtocolName& known : base::kProtocolNames) {
        if (passing[known.protocol]) {
            names.push_back(known.text);
        }
    }
    return names.empty() ? "none"
                         : list(names, [](std::string_view name) { return std::string(name); });
}

void write_system(const Config& config, Out out) {
    const SystemSettings& system = config.system;
    const auto number = [](unsigned n) { return std::to_string(n); };
    const std::string workers = system.worker_cpus_given
                                    ? list(system.worker_cpus, number)
                                    : number(static_cast<unsigned>(system.worker_cpus.size()));
    fmt::format_to(
        out,
        "system:\n  name: {}\n  workers: {}\n  shards: {}\n",
        scalar(system.name),
        workers,
        system.shards
    );
    fmt::format_to(
        out, "  huge-pages: {}\n  idle: {}\n", name_of(system.huge_pages), name_of(system.idle)
    );
    if (config.nat.local_host != Ipv4Addr{}) {
        fmt::format_to(out, "  local-host: {}\n", format(config.nat.local_host));
    }
}

void write_realms(const Config& config, Out out) {
    bool first = true;
    for (const RealmSettings& realm : config.realms) {
        if (realm.id <= kInternalRealm) {
            continue;  // these always exist and may not be declared
        }
        fmt::format_to(
            out,
            "{}  - {{name: {}, side: {}}}\n",
            first ? "\nrealms:\n" : "",
            scalar(realm.name),
            name_of(realm.side)
        );
        first = false;
    }
}

std::string realm_of(const Config& config, LinkId link) {
    return scalar(config.realms[config.links[link.value].realm.value].name);
}

void write_link(const Config& config, const LinkSettings& link, Out out) {
    fmt::format_to(
        out, "  - name: {}\n    device: {}\n", scalar(link.name), scalar(link.device.text)
    );
    fmt::format_to(out, "    realm: {}\n", scalar(config.realms[link.realm.value].name));
    const auto address = [](InterfaceAddress a) {
        return fmt::format("{}/{}", format(a.address), a.prefix_length);
    };
    fmt::format_to(
        out, "    addresses: {}\n    mtu: {}\n", list(link.addresses, address), link.mtu
    );
    if (link.vlans.size() == 1) {
        fmt::format_to(out, "    vlan: {}\n", link.vlans[0]);
    } else if (!link.vlans.empty()) {
        fmt::format_to(out, "    vlan: {}\n", list(link.vlans, [](uint16_t tag) {
                           return std::to_string(tag);
                       }));
    }
    fmt::format_to(out, "    proxy-arp: {}\n", link.proxy_arp);
    if (link.queues != 0) {
        fmt::format_to(out, "    queues: {}\n", link.queues);
    }
}

void write_pool(const Config& config, const nat::PoolSettings& pool, Out out) {
    std::vector<std::string> addresses;
    for (size_t i = 0; i + pool.links.size() < pool.addresses.size(); ++i) {
        addresses.push_back(format(pool.addresses[i]));
    }
    for (const LinkId link : pool.links) {
        addresses.push_back(fmt::format("{{link: {}}}", scalar(config.links[link.value].name)));
    }
    const auto as_it_is = [](const std::string& text) { return text; };
    fmt::format_to(
        out, "  - name: {}\n    addresses: {}\n", scalar(pool.name), list(addresses, as_it_is)
    );
    fmt::format_to(
        out,
        "    ports: {}-{}\n    port-block-size: {}\n",
        pool.ports.first,
        pool.ports.last,
        pool.port_block_size
    );
    fmt::format_to(
        out,
        "    blocks-per-subscriber: {}\n    port-selection: {}\n    port-ranges: {}\n",
        pool.blocks_per_subscriber,
        name_of(pool.port_selection),
        pool.port_ranges == nat::PortRanges::kPreserve ? "preserve" : "any"
    );
    fmt::format_to(
        out,
        "    port-quarantine: {}\n    port-quarantine-ports: {}\n    block-release-delay: {}\n    "
        "block-max-age: {}\n    keep-first-block: {}\n",
        pool.port_quarantine.value,
        pool.port_quarantine_ports,
        pool.block_release_delay.value,
        pool.block_max_age.value,
        pool.keeps_first_block
    );
    if (pool.overflow != nat::kNoPool) {
        fmt::format_to(
            out, "    overflow-pool: {}\n", scalar(config.nat.pools[pool.overflow.value].name)
        );
    }
    if (!pool.reserved_ports.empty()) {
        const auto text_of = [](nat::PortRange ports) {
            return fmt::format("{}-{}", ports.first, ports.last);
        };
        fmt::format_to(out, "    reserved-ports: {}\n", list(pool.reserved_ports, text_of));
    }
    fmt::format_to(
        out,
        "    pairing: {}\n    port-parity: {}\n    port-contiguity: {}\n    "
        "unsolicited-syn: {}\n    answer-pings: {}\n",
        name_of(pool.pairing),
        pool.port_parity,
        pool.port_contiguity,
        pool.unsolicited_syn == nat::UnsolicitedSyn::kSilent ? "silent" : "port-unreachable",
        pool.answers_pings
    );
}

void write_protocol_limits(std::string_view name, const nat::ProtocolLimits& limits, Out out) {
    fmt::format_to(
        out,
        "      {}: {{sessions: {}, ports: {}, reserve: {}}}\n",
        name,
        limits.sessions,
        limits.ports,
        limits.reserve
    );
}

std::string text_of(const nat::Exemption& exemption) {
    const std::string destination = format(exemption.destination);
    return exemption.is_by_port() ? fmt::format(
                                        "{{destination: {}, ports: {}-{}}}",
                                        destination,
                                        exemption.ports.first,
                                        exemption.ports.last
                                    )
                                  : destination;
}

void write_policy(const Config& config, const nat::PolicySettings& policy, Out out) {
    const auto prefix = [](Ipv4Prefix p) { return format(p); };
    fmt::format_to(
        out,
        "  - name: {}\n    realm: {}\n",
        scalar(policy.name),
        scalar(config.realms[policy.realm.value].name)
    );
    fmt::format_to(
        out,
        "    source: {}\n    pool: {}\n",
        list(policy.source, prefix),
        scalar(config.nat.pools[policy.pool.value].name)
    );
    if (!policy.exempt.empty()) {
        fmt::format_to(out, "    exempt: {}\n", list(policy.exempt, text_of));
    }
    fmt::format_to(
        out,
        "    mapping: {}\n    filtering: {}\n",
        by_protocol(policy.mapping),
        by_protocol(policy.filtering)
    );
    fmt::format_to(
        out,
        "    port-overloading: {}\n    refusal: {}\n    address-only: {}\n    tcp-window: {}\n    "
        "tcp-pickup: {}\n    mss-clamp: {}\n",
        policy.port_overloading,
        name_of(policy.refusal),
        name_of(policy.address_only),
        name_of(policy.tcp_window),
        policy.tcp_pickup,
        policy.mss_clamp == 0                 ? "off"
        : policy.mss_clamp == nat::kMssOfPath ? "path-mtu"
                                              : std::to_string(policy.mss_clamp)
    );
    const nat::SubscriberLimits& limits = policy.limits;
    fmt::format_to(
        out,
        "    limits:\n      sessions: {}\n      ports: {}\n      mappings: {}\n"
        "      sessions-per-second: {}\n      half-open: {}\n      inbound-openings: {}\n",
        limits.sessions,
        limits.ports,
        limits.mappings,
        limits.sessions_per_second,
        limits.half_open,
        limits.inbound_openings
    );
    write_protocol_limits("tcp", limits.tcp, out);
    write_protocol_limits("udp", limits.udp, out);
    write_protocol_limits("icmp", limits.icmp, out);
}

void write_static_mapping(
    const Config& config, const nat::StaticMappingSettings& mapping, Out out
) {
    fmt::format_to(
        out,
        "  - realm: {}\n    internal-src-address: {}\n    external-src-address: {}\n",
        scalar(config.realms[mapping.realm.value].name),
        format(mapping.internal),
        format(mapping.external)
    );
    if (!mapping.is_whole()) {
        fmt::format_to(
            out,
            "    transport-protocol: {}\n    internal-src-port: {}-{}\n"
            "    external-src-port: {}-{}\n",
            mapping.tcp && mapping.udp ? "[tcp, udp]"
            : mapping.tcp              ? "tcp"
                                       : "udp",
            mapping.internal_ports.first,
            mapping.internal_ports.last,
            mapping.external_ports.first,
            mapping.external_ports.last
        );
    }
    if (!mapping.access.empty()) {
        const auto prefix = [](Ipv4Prefix p) { return format(p); };
        fmt::format_to(out, "    access: {}\n", list(mapping.access, prefix));
    }
}

std::string ports_text(nat::PortRange ports) {
    return ports.first == ports.last ? fmt::format("{}", ports.first)
                                     : fmt::format("{}-{}", ports.first, ports.last);
}

void write_destination_nat(const Config& config, const nat::DestinationNatSettings& rule, Out out) {
    const auto prefix = [](Ipv4Prefix p) { return format(p); };
    fmt::format_to(
        out,
        "  - name: {}\n    realm: {}\n",
        scalar(rule.name),
        scalar(config.realms[rule.realm.value].name)
    );
    if (!rule.source.empty()) {
        fmt::format_to(out, "    source: {}\n", list(rule.source, prefix));
    }
    fmt::format_to(out, "    destination: {}\n", list(rule.destination, prefix));
    if (rule.is_by_port()) {
        fmt::format_to(
            out,
            "    transport-protocol: {}\n    ports: {}\n",
            rule.tcp && rule.udp ? "[tcp, udp]"
            : rule.tcp           ? "tcp"
                                 : "udp",
            ports_text(rule.ports)
        );
    }
    if (rule.is_inbound) {
        const std::string& realm = config.realms[rule.target_realm.value].name;
        fmt::format_to(out, "    target-realm: {}\n", scalar(realm));
    }
    const bool by_source = rule.affinity == nat::Affinity::kSource;
    fmt::format_to(out, "    affinity: {}\n    targets:\n", by_source ? "source" : "none");
    for (const nat::TargetSettings& target : rule.targets) {
        const std::string ports =
            target.ports.first == 0 ? "" : fmt::format(", ports: {}", ports_text(target.ports));
        fmt::format_to(
            out,
            "      - {{address: {}{}, weight: {}}}\n",
            format(target.address),
            ports,
            target.weight
        );
    }
}

void write_trigger_forward(const Config& config, const nat::TriggerForwardSettings& rule, Out out) {
    const auto prefix = [](Ipv4Prefix p) { return format(p); };
    fmt::format_to(
        out,
        "  - name: {}\n    realm: {}\n    external-src-address: {}\n    ports: {}\n"
        "    transport-protocol: {}\n    trigger-port: {}\n    trigger-protocol: {}\n"
        "    idle: {}\n    access: {}\n",
        scalar(rule.name),
        scalar(config.realms[rule.realm.value].name),
        format(rule.external),
        ports_text(rule.ports),
        rule.tcp && rule.udp ? "[tcp, udp]"
        : rule.tcp           ? "tcp"
                             : "udp",
        rule.trigger_port,
        rule.trigger_protocol == Protocol::kTcp ? "tcp" : "udp",
        rule.idle.value,
        rule.access == nat::TriggerAccess::kAnyone ? "anyone" : "contacted"
    );
    if (!rule.source.empty()) {
        fmt::format_to(out, "    source: {}\n", list(rule.source, prefix));
    }
}

void write_groups(const Config& config, Out out) {
    const auto prefix = [](Ipv4Prefix p) { return format(p); };
    fmt::format_to(out, "{}", config.rules.groups.empty() ? "" : "\ngroups:\n");
    for (const GroupSettings& group : config.rules.groups) {
        fmt::format_to(
            out,
            "  - {{name: {}, realm: {}, prefixes: {}}}\n",
            scalar(group.name),
            scalar(config.realms[group.realm.value].name),
            list(group.prefixes, prefix)
        );
    }
    fmt::format_to(out, "{}", patterns_to_yaml(config.rules.patterns));
}

void write_log(const Config& config, Out out) {
    constexpr std::string_view kClasses[] = {"mappings", "blocks", "limits", "sessions", "invalid"};
    const nat::EventSettings& events = config.nat.events;
    std::vector<std::string_view> logged;
    for (size_t i = 0; i < std::size(kClasses); ++i) {
        if ((events.logged >> i & 1) != 0) {
            logged.push_back(kClasses[i]);
        }
    }
    fmt::format_to(
        out,
        "\nlog:\n  file: {}\n  events: {}\n  ring: {}\n  on-log-loss: {}\n",
        scalar(config.log.file),
        list(logged, [](std::string_view name) { return std::string(name); }),
        events.ring,
        events.on_loss == nat::OnLogLoss::kRefuse ? "refuse" : "count"
    );
}

std::string target_of(const SyslogSettings& syslog) {
    return syslog.socket.empty() ? fmt::format("{}:{}", base::to_text(syslog.address), syslog.port)
                                 : scalar(syslog.socket);
}

void write_pcp(const nat::PcpSettings& pcp, Out out) {
    fmt::format_to(
        out,
        "\npcp:\n  enabled: {}\n  min-lifetime: {}\n  max-lifetime: {}\n"
        "  mappings-per-subscriber: {}\n  mappings: {}\n",
        pcp.enabled,
        pcp.min_lifetime.value,
        pcp.max_lifetime.value,
        pcp.mappings_per_subscriber,
        pcp.mappings
    );
}

void write_rest(const Config& config, Out out) {
    const nat::TimeoutSettings& t = config.nat.timeouts;
    fmt::format_to(
        out,
        "\ntimeouts:\n  tcp-established: {}\n  tcp-transitory: {}\n  tcp-closing: {}\n  udp: {}\n  "
        "icmp: {}\n  association: {}\n  tunnel: {}\n  fragment: {}\n",
        t.tcp_established.value,
        t.tcp_transitory.value,
        t.tcp_closing.value,
        t.udp.value,
        t.icmp.value,
        t.association.value,
        t.tunnel.value,
        t.fragment.value
    );
    if (!t.by_remote_port.empty()) {
        fmt::format_to(out, "  by-remote-port:\n");
    }
    for (const nat::PortTimeout& each : t.by_remote_port) {
        fmt::format_to(
            out,
            "    - {{protocol: {}, ports: {}-{}, timeout: {}}}\n",
            each.protocol == Protocol::kTcp ? "tcp" : "udp",
            each.ports.first,
            each.ports.last,
            each.timeout.value
        );
    }
    const nat::TableLimits& l = config.nat.limits;
    fmt::format_to(
        out,
        "\nlimits:\n  sessions: {}\n  mappings: {}\n  subscribers: {}\n  fragments: {}\n"
        "  address-only-sessions: {}\n"
        "  unreplied-make-room: {}\n",
        l.sessions,
        l.mappings,
        l.subscribers,
        l.fragments,
        l.address_only_sessions,
        l.unreplied_make_room
    );
    write_pcp(config.nat.pcp, out);
    fmt::format_to(
        out,
        "\npayload-search:\n  streams: {}\n  when-full: {}\n",
        config.payload_search.streams,
        config.payload_search.drops_when_full ? "drop" : "pass"
    );
    if (!config.log.file.empty()) {
        write_log(config, out);
    }
    fmt::format_to(
        out,
        "\nsyslog:\n  to: {}\n  facility: {}\n\ncontrol:\n  socket: {}\n\nrules-change: {}\n",
        target_of(config.syslog),
        word_of(kFacilityWords, config.syslog.facility),
        scalar(config.control.socket),
        config.rules.change == RulesChange::kKeep ? "keep" : "revalidate"
    );
}

void write_routes(const Config& config, Out out) {
    fmt::format_to(out, "{}", config.routes.empty() ? "" : "\nroutes:\n");
    for (const RouteSettings& route : config.routes) {
        fmt::format_to(
            out,
            "  - {{prefix: {}, next-hop: {}, realm: {}}}\n",
            format(route.prefix),
            format(route.next_hop),
            realm_of(config, route.link)
        );
    }
    fmt::format_to(out, "{}", config.neighbours.empty() ? "" : "\nneighbours:\n");
    for (const NeighbourSettings& neighbour : config.neighbours) {
        fmt::format_to(
            out,
            "  - {{address: {}, mac: \"{}\", realm: {}}}\n",
            format(neighbour.address),
            neighbour.mac,
            realm_of(config, neighbour.link)
        );
    }
}

}  // namespace

std::string to_yaml_without_rules(const Config& config) {
    std::string text;
    const Out out(text);
    write_system(config, out);
    write_realms(config, out);
    text += "\nlinks:\n";
    for (const LinkSettings& link : config.links) {
        write_link(config, link, out);
    }
    write_routes(config, out);
    text += config.multicast.empty() ? "" : "\nmulticast:\n";
    for (const MulticastSettings& entry : config.multicast) {
        fmt::format_to(
            out,
            "  - {{groups: {}, from: {}, to: {}}}\n",
            format(entry.groups),
            scalar(config.links[entry.from.value].name),
            scalar(config.links[entry.to.value].name)
        );
    }
    text += "\npools:\n";
    for (const nat::PoolSettings& pool : config.nat.pools) {
        write_pool(config, pool, out);
    }
    text += "\npolicies:\n";
    for (const nat::PolicySettings& policy : config.nat.policies) {
        write_policy(config, policy, out);
    }
    text += config.nat.static_mappings.empty() ? "" : "\nstatic-mappings:\n";
    for (const nat::StaticMappingSettings& mapping : config.nat.static_mappings) {
        write_static_mapping(config, mapping, out);
    }
    text += config.nat.destination_nat.empty() ? "" : "\ndestination-nat:\n";
    for (const nat::DestinationNatSettings& rule : config.nat.destination_nat) {
        write_destination_nat(config, rule, out);
    }
    text += config.nat.trigger_forwards.empty() ? "" : "\ntrigger-forwards:\n";
    for (const nat::TriggerForwardSettings& rule : config.nat.trigger_forwards) {
        write_trigger_forward(config, rule, out);
    }
    write_groups(config, out);
    write_rest(config, out);
    return text;
}

std::string to_yaml(const Config& config) {
    return to_yaml_without_rules(config) + rules_to_yaml(config);
}

}  // namespace sekisho::config
