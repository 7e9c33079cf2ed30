#include "config/config.h"

#include <cstdio>
#include <fstream>

#include <catch2/catch.hpp>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base_file.h"
#include "unit/config/source_paths.h"

using namespace sekisho;
using namespace sekisho::config;

namespace {

Config must_parse(const std::string& text, const MachineFacts& machine = kTwoCpus) {
    Checked checked = parse(text, "f", machine);
    for (const Mistake& mistake : checked.mistakes) {
        FAIL_CHECK(mistake.text());
    }
    REQUIRE(checked.config);
    return *checked.config;
}

// A file that is gone at the end of the test.
class TemporaryFile {
  public:
    explicit TemporaryFile(const std::string& content)
        : path_("/tmp/sekisho-config-test-" + std::to_string(::getpid()) + ".yaml") {
        std::ofstream(path_) << content;
    }
    TemporaryFile(const TemporaryFile&) = delete;
    TemporaryFile& operator=(const TemporaryFile&) = delete;
    ~TemporaryFile() { std::remove(path_.c_str()); }
    const std::string& path() const { return path_; }

  private:
    std::string path_;
};

}  // namespace

TEST_CASE("the example is accepted as it stands", "[config]") {
    const Checked checked = load(SEKISHO_EXAMPLE_FILE, MachineFacts{{0}});
    for (const Mistake& mistake : checked.mistakes) {
        FAIL_CHECK(mistake.text());
    }
    REQUIRE(checked.config);
    const Config& c = *checked.config;
    CHECK(c.system.name == "lab");
    CHECK(c.system.worker_cpus == std::vector<unsigned>{0});
    CHECK(c.system.shards == 1);
    REQUIRE(c.links.size() == 2);
    CHECK(c.links[0].device.kind == DeviceKind::kAfPacket);
    CHECK(c.links[0].device.arguments == std::vector<std::string>{"veth-int"});
    CHECK(c.links[0].side == Side::kInternal);
    CHECK(c.links[1].realm == kExternalRealm);
    CHECK(c.links[1].proxy_arp);
    REQUIRE(c.routes.size() == 2);
    CHECK(c.routes[0].link == LinkId{1});
    CHECK(c.routes[1].link == LinkId{0});
    CHECK(c.routes[1].next_hop == Ipv4Addr::of(100, 64, 0, 2));
    REQUIRE(c.nat.pools.size() == 1);
    CHECK(
        c.nat.pools[0].addresses[1] ==
        nat::AddressRange{Ipv4Addr::of(203, 0, 113, 64), Ipv4Addr::of(203, 0, 113, 79)}
    );
    REQUIRE(c.nat.policies.size() == 1);
    CHECK(c.nat.policies[0].limits.sessions_per_second == 1000);
    CHECK(c.nat.timeouts == nat::TimeoutSettings{});
    CHECK(c.nat.limits == nat::TableLimits{});
    CHECK(c.control.socket == "/run/sekisho/sekisho.sock");
    CHECK(c.source_text.find("The heart of the configuration language") != std::string::npos);
}

TEST_CASE("what a file leaves out has its default", "[config]") {
    const Config c = must_parse(kBaseFile);
    CHECK(c.system.name == "sekisho");
    CHECK(c.system.idle == IdleMode::kAdaptive);
    CHECK(c.links[0].mtu == 1500);
    CHECK(c.links[0].vlans.empty());
    CHECK(c.links[0].queues == 0);
    nat::PoolSettings pool;
    pool.name = "main";
    pool.addresses = {{Ipv4Addr::of(203, 0, 113, 0), Ipv4Addr::of(203, 0, 113, 15)}};
    CHECK(c.nat.pools[0] == pool);
    CHECK(c.nat.policies[0].limits == nat::SubscriberLimits{});
    CHECK(c.nat.policies[0].realm == kInternalRealm);
}

TEST_CASE("every setting reaches its value", "[config]") {
    const Config c = must_parse(base_with(
        17,
        "    ports: 1-2047\n    port-block-size: 64\n    blocks-per-subscriber: 3\n    "
        "port-selection: sequential\n"
        "    port-quarantine: 2m\n    block-release-delay: 1h\n    pairing: hard"
    ));
    const nat::PoolSettings& pool = c.nat.pools[0];
    CHECK_FALSE(pool.port_parity);
    CHECK(pool.ports == nat::PortRange{1, 2047});
    CHECK(pool.port_block_size == 64);
    CHECK(pool.blocks_per_subscriber == 3);
    CHECK(pool.port_selection == nat::PortSelection::kSequential);
    CHECK(pool.port_quarantine == Seconds{120});
    CHECK(pool.block_release_delay == Seconds{3600});

    const Config d = must_parse(base_with(
        22,
        "    filtering: address-and-port-dependent\n    realm: internal\n"
        "    limits: {sessions: 1k, ports: 64, sessions-per-second: 5, inbound-openings: 0}\n"
        "timeouts: {tcp-established: 3h, tcp-transitory: 241, tcp-closing: 9, udp: 121, icmp: 61, "
        "fragment: 5, association: 7441, tunnel: 61}\n"
        "limits: {sessions: 1Mi, mappings: 3, subscribers: 2, fragments: 1k, "
        "address-only-sessions: 9}\ncontrol: {socket: "
        "/tmp/s}\n"
        "log: {file: /var/log/x y, events: [blocks, sessions], ring: 4Ki, on-log-loss: count}"
    ));
    const nat::PolicySettings& policy = d.nat.policies[0];
    CHECK(policy.filtering == nat::FilteringBehaviour::kAddressAndPortDependent);
    CHECK(policy.realm == kInternalRealm);
    CHECK(
        policy.limits ==
        nat::SubscriberLimits{
            .sessions = 1000, .ports = 64, .sessions_per_second = 5, .inbound_openings = 0}
    );
    CHECK(
        d.nat.timeouts == nat::TimeoutSettings{{10800}, {241}, {9}, {121}, {61}, {7441}, {61}, {5}}
    );
    CHECK(d.nat.limits == nat::TableLimits{1048576, 3, 2, 1000, 9, false});
    CHECK(d.control.socket == "/tmp/s");
    CHECK(d.log.file == "/var/log/x y");
    CHECK(
        d.nat.events ==
        nat::EventSettings{nat::kLogBlocks | nat::kLogSessions, 4096, nat::OnLogLoss::kCount}
    );
    CHECK(must_parse(to_yaml(d)).nat.events == d.nat.events);
    CHECK(must_parse(to_yaml(d)).log == d.log);
    CHECK(c.nat.events.logged == 0);
    const Config logs = must_parse(base_with(22, "log: {file: /var/log/s}"));
    CHECK(
        logs.nat.events ==
        nat::EventSettings{
            nat::kLogMappings | nat::kLogBlocks | nat::kLogLimits, 65536, nat::OnLogLoss::kRefuse}
    );

    using Mapping = nat::MappingBehaviour;
    using Filtering = nat::FilteringBehaviour;
    const Config apart = must_parse(base_with(
        22,
        "    mapping: {tcp: address-dependent, udp: address-and-port-dependent}\n"
        "    filtering: {icmp: address-dependent}"
    ));
    CHECK(
        apart.nat.policies[0].mapping == nat::PerProtocol<Mapping>(
                                             Mapping::kAddressDependent,
                                             Mapping::kAddressAndPortDependent,
                                             Mapping::kEndpointIndependent
                                         )
    );
    CHECK(apart.nat.policies[0].filtering.icmp == Filtering::kAddressDependent);
    CHECK(apart.nat.policies[0].filtering.tcp == Filtering::kEndpointIndependent);
    CHECK(must_parse(to_yaml(apart)).nat == apart.nat);
    const Config limited = must_parse(base_with(
        22,
        "    refusal: administratively-prohibited\n    limits: {mappings: 7, half-open: 5,\n"
        "      tcp: {sessions: 9, ports: 8}, icmp: {reserve: 6}}\n"
        "limits: {unreplied-make-room: true}"
    ));
    const nat::SubscriberLimits& limits = limited.nat.policies[0].limits;
    CHECK(limited.nat.policies[0].refusal == nat::Refusal::kProhibited);
    CHECK(limits.mappings == 7);
    CHECK(limits.half_open == 5);
    CHECK(limits.tcp == nat::ProtocolLimits{9, 8, 0});
    CHECK(limits.icmp == nat::ProtocolLimits{0, 0, 6});
    CHECK(limited.nat.limits.unreplied_make_room);
    for (const auto* list : {"none", "[esp]", "[dccp, sctp, udp-lite]"}) {
        const Config passing = must_parse(base_with(22, std::string("    address-only: ") + list));
        const nat::AddressOnly& only = passing.nat.policies[0].address_only;
        CHECK(only[Protocol::kEsp] == (std::string_view(list) == "[esp]"));
        CHECK(only[Protocol::kSctp] == (std::string_view(list).size() > 6));
        CHECK(!only[Protocol::kGre]);
        CHECK(must_parse(to_yaml(passing)).nat == passing.nat);
    }
    CHECK(must_parse(to_yaml(limited)).nat == limited.nat);
    const Config exempt = must_parse(base_with(
        22,
        "    exempt: [192.0.2.0/24, {destination: 0.0.0.0/0, ports: 53},\n"
        "      {destination: 192.0.2.7/32, ports: 5060-5061}]"
    ));
    CHECK(
        exempt.nat.policies[0].exempt ==
        std::vector<nat::Exemption>{
            {{Ipv4Addr::of(192, 0, 2, 0), 24}, {0, 65535}},
            {{Ipv4Addr{}, 0}, {53, 53}},
            {{Ipv4Addr::of(192, 0, 2, 7), 32}, {5060, 5061}}}
    );
    CHECK(must_parse(to_yaml(exempt)).nat == exempt.nat);
    const Config statics = must_parse(base_with(
        22,
        "static-mappings:\n"
        "  - {internal-src-address: 100.64.0.10, external-src-address: 203.0.113.5,\n"
        "     transport-protocol: tcp, internal-src-port: 80, external-src-port: 8080,\n"
        "     access: [192.0.2.0/24]}\n"
        "  - {internal-src-address: 100.64.0.10, external-src-address: 203.0.113.5,\n"
        "     internal-src-port: 5000-5009}\n"
        "  - {internal-src-address: 100.64.0.11, external-src-address: 203.0.113.6}"
    ));
    REQUIRE(statics.nat.static_mappings.size() == 3);
    const nat::StaticMappingSettings& web = statics.nat.static_mappings[0];
    CHECK(web.internal == Ipv4Addr::of(100, 64, 0, 10));
    CHECK(web.external == Ipv4Addr::of(203, 0, 113, 5));
    CHECK(web.tcp);
    CHECK_FALSE(web.udp);
    CHECK(web.internal_ports == nat::PortRange{80, 80});
    CHECK(web.external_ports == nat::PortRange{8080, 8080});
    CHECK(web.access.size() == 1);
    CHECK(statics.nat.static_mappings[1].external_ports == nat::PortRange{5000, 5009});
    CHECK(statics.nat.static_mappings[1].udp);
    CHECK(statics.nat.static_mappings[2].is_whole());
    CHECK(must_parse(to_yaml(statics)).nat == statics.nat);
    const Config shared = must_parse(base_with(
        22,
        "    mapping: address-and-port-dependent\n    filtering: address-and-port-dependent\n"
        "    port-overloading: true"
    ));
    CHECK(shared.nat.policies[0].port_overloading);
    CHECK(must_parse(to_yaml(shared)).nat == shared.nat);
    const Config preserving = must_parse(base_with(
        17,
        "    ports: 1-65535\n    port-selection: preserve\n    port-ranges: preserve\n"
        "    pairing: none"
    ));
    CHECK(preserving.nat.pools[0].port_selection == nat::PortSelection::kPreserve);
    CHECK(preserving.nat.pools[0].port_ranges == nat::PortRanges::kPreserve);
    CHECK(preserving.nat.pools[0].pairing == nat::Pairing::kNone);
    CHECK(must_parse(to_yaml(preserving)).nat == preserving.nat);
    const Config reserved = must_parse(base_with(
        17,
        "    port-quarantine-ports: 1000\n    reserved-ports: [5060, 6000-6063]\n"
        "    reserved-addresses: [203.0.113.0, 203.0.113.4-203.0.113.5, 203.0.113.15]\n"
        "    block-max-age: 1h\n    keep-first-block: true"
    ));
    const nat::PoolSettings& keeping = reserved.nat.pools[0];
    CHECK(keeping.port_quarantine_ports == 1000);
    CHECK(keeping.reserved_ports == std::vector<nat::PortRange>{{5060, 5060}, {6000, 6063}});
    CHECK(
        keeping.addresses ==
        std::vector<nat::AddressRange>{
            {Ipv4Addr::of(203, 0, 113, 1), Ipv4Addr::of(203, 0, 113, 3)},
            {Ipv4Addr::of(203, 0, 113, 6), Ipv4Addr::of(203, 0, 113, 14)}}
    );
    CHECK(keeping.block_max_age == Seconds{3600});
    CHECK(keeping.keeps_first_block);
    CHECK(must_parse(to_yaml(reserved)).nat == reserved.nat);
    const Config paired =
        must_parse(base_with(17, "    port-parity: true\n    port-contiguity: true"));
    CHECK(paired.nat.pools[0].port_parity);
    CHECK(paired.nat.pools[0].port_contiguity);
    CHECK(must_parse(to_yaml(paired)).nat == paired.nat);
    for (const auto& [text, value] :
         {std::pair<const char*, uint16_t>{"off", uint16_t{0}},
          {"path-mtu", nat::kMssOfPath},
          {"1300", uint16_t{1300}}}) {
        const Config clamped = must_parse(base_with(22, std::string("    mss-clamp: ") + text));
        CHECK(clamped.nat.policies[0].mss_clamp == value);
        CHECK(must_parse(to_yaml(clamped)).nat == clamped.nat);
    }
    const Config windows = must_parse(
        base_with(22, "    tcp-window: log\nlog: {file: /var/log/s, events: [mappings, invalid]}")
    );
    CHECK(windows.nat.policies[0].tcp_window == nat::WindowPolicy::kLog);
    CHECK(windows.nat.events.logged == (nat::kLogMappings | nat::kLogInvalid));
    CHECK(must_parse(to_yaml(windows)).nat == windows.nat);
    const Config drops = must_parse(base_with(22, "    tcp-window: drop"));
    CHECK(must_parse(to_yaml(drops)).nat.policies[0].tcp_window == nat::WindowPolicy::kDrop);
    const Config picked = must_parse(base_with(22, "    tcp-pickup: true"));
    CHECK(picked.nat.policies[0].tcp_pickup);
    CHECK(must_parse(to_yaml(picked)).nat == picked.nat);
    const Config ports = must_parse(base_with(
        22,
        "timeouts:\n  by-remote-port:\n    - {protocol: udp, ports: 53, timeout: 10s}\n"
        "    - {protocol: udp, ports: 1000-1024, timeout: 2m}\n"
        "    - {protocol: tcp, ports: 53, timeout: 7440}"
    ));
    CHECK(
        ports.nat.timeouts.by_remote_port ==
        std::vector<nat::PortTimeout>{
            {Protocol::kUdp, {53, 53}, Seconds{10}},
            {Protocol::kUdp, {1000, 1024}, Seconds{120}},
            {Protocol::kTcp, {53, 53}, Seconds{7440}}}
    );
    CHECK(must_parse(to_yaml(ports)).nat == ports.nat);
    const Config silent = must_parse(base_with(17, "    unsolicited-syn: silent"));
    CHECK(silent.nat.pools[0].unsolicited_syn == nat::UnsolicitedSyn::kSilent);
    CHECK(must_parse(to_yaml(silent)).nat == silent.nat);
    const Config groups =
        must_parse(base_with(22, "multicast: [{groups: 239.1.0.0/16, from: ext0, to: int0}]"));
    CHECK(
        groups.multicast ==
        std::vector<MulticastSettings>{
            {Ipv4Prefix{Ipv4Addr::of(239, 1, 0, 0), 16}, LinkId{1}, LinkId{0}}}
    );
    CHECK(must_parse(to_yaml(groups)).multicast == groups.multicast);
    const Config answering = must_parse(base_with(17, "    answer-pings: true"));
    CHECK(answering.nat.pools[0].answers_pings);
    CHECK(must_parse(to_yaml(answering)).nat == answering.nat);

    const Config e = must_parse(
        base_with(
            7,
            "    addresses: [100.64.0.1/10]\n  - {name: l, device: tap:l, realm: lab, "
            "addresses: [10.0.0.1/24]}"
        ) +
        "    realm: lab\nrealms: [{name: lab, side: internal}]\n"
    );
    CHECK(e.nat.policies[0].realm == RealmId{2});
    CHECK(e.links[1].realm == RealmId{2});
}

TEST_CASE(
    "workers get the last CPUs, so that the first is free when there is a choice", "[config]"
) {
    const MachineFacts four{{0, 2, 4, 6}};
    CHECK(
        must_parse(base_with(2, "  workers: 2"), four).system.worker_cpus ==
        std::vector<unsigned>{4, 6}
    );
    CHECK(
        must_parse(base_with(2, "  workers: 4"), four).system.worker_cpus ==
        std::vector<unsigned>{0, 2, 4, 6}
    );
    CHECK(
        must_parse(base_with(2, "  idle: busy"), four).system.worker_cpus ==
        std::vector<unsigned>{6}
    );
    const SystemSettings listed =
        must_parse(base_with(2, "  workers: [6, 0]\n  shards: 8"), four).system;
    CHECK(listed.worker_cpus == std::vector<unsigned>{6, 0});
    CHECK(listed.worker_cpus_given);
    CHECK(listed.shards == 8);
    CHECK_FALSE(parse(base_with(2, "  idle: busy"), "f", MachineFacts{}).mistakes.empty());
}

TEST_CASE("this machine has a CPU", "[config]") {
    CHECK_FALSE(MachineFacts::of_this_machine().cpus.empty());
}

TEST_CASE("a device carries several links when their VLAN tags differ", "[config]") {
    const Config c = must_parse(base_with(
        11,
        "    addresses: [198.51.100.2/24]\n"
        "  - {name: v1, device: 'af_packet:e0', vlan: 100, realm: internal, addresses: "
        "[10.0.1.1/24]}\n"
        "  - {name: v2, device: 'af_packet:e0', vlan: [100, 7], realm: internal, addresses: "
        "[10.0.2.1/24]}\n"
        "  - {name: v3, device: 'af_packet:e0', vlan: 7, realm: internal, addresses: [10.0.3.1/24]}"
    ));
    CHECK(c.links[3].vlans == std::vector<uint16_t>{100, 7});
    CHECK(c.links[4].vlans == std::vector<uint16_t>{7});
}

TEST_CASE(
    "a next hop is reached through the longest on-link prefix, whatever the sides", "[config]"
) {
    const Config c = must_parse(base_with(
        13,
        "  - {prefix: 0.0.0.0/0, next-hop: 198.51.100.1}\n  - {prefix: 10.0.0.0/8, next-hop: "
        "100.64.9.9}\n"
        "  - {prefix: 10.1.0.0/16, next-hop: 100.64.128.9}"
    ));
    CHECK(c.routes[1].link == LinkId{0});
}

TEST_CASE("each device that has no interface is read with its arguments", "[config]") {
    using Arguments = std::vector<std::string>;
    struct Row {
        const char* text;
        DeviceKind kind;
        Arguments arguments;
    };
    const Row rows[] = {
        {"memif:/run/m.sock,server", DeviceKind::kMemif, {"/run/m.sock", "server"}},
        {"memif:/run/m.sock,client", DeviceKind::kMemif, {"/run/m.sock", "client"}},
        {"vhost:/run/v.sock", DeviceKind::kVhost, {"/run/v.sock"}},
        {"virtio_user:/run/v.sock", DeviceKind::kVirtioUser, {"/run/v.sock"}},
        {"pcap-loop:in.pcap", DeviceKind::kPcapLoop, {"in.pcap"}},
        {"null", DeviceKind::kNull, {}},
        {"'null'", DeviceKind::kNull, {}},
    };
    for (const Row& row : rows) {
        const Config c = must_parse(base_with(5, std::string("    device: ") + row.text));
        CHECK(c.links[0].device.kind == row.kind);
        CHECK(c.links[0].device.arguments == row.arguments);
        Config again = must_parse(to_yaml(c));
        CHECK(again.links == c.links);
    }
}

TEST_CASE("a neighbour's link is the one whose prefix holds it", "[config]") {
    const Config c = must_parse(base_with(
        14,
        "neighbours:\n  - {address: 198.51.100.1, mac: 02:00:00:00:00:01}\n"
        "  - {address: 100.64.0.9, mac: '02:00:00:00:00:0A'}\npools:"
    ));
    REQUIRE(c.neighbours.size() == 2);
    CHECK(c.neighbours[0].link == LinkId{1});
    CHECK(c.neighbours[0].mac == MacAddr{{2, 0, 0, 0, 0, 1}});
    CHECK(c.neighbours[1].link == LinkId{0});
    CHECK(c.neighbours[1].mac == MacAddr{{2, 0, 0, 0, 0, 10}});
    CHECK(must_parse(to_yaml(c)).neighbours == c.neighbours);
}

TEST_CASE("the configuration in effect reads back as itself", "[config]") {
    const std::string full = base_with(
        22,
        "    filtering: address-dependent\n    realm: lab.2\n    limits: {inbound-openings: 3}\n"
        "  - {name: '7', source: [10.0.0.0/8, 192.0.2.1/32], pool: p-2}\n"
        "realms: [{name: lab.2, side: internal}, {name: 'null', side: external}]\n"
        "limits: {sessions: 77}\ntimeouts: {udp: 5m}\n"
        "control: {socket: \"/tmp/a 'b' \\\"c\\\" \\\\d #e\"}"
    );
    std::string text = full;
    const std::string more_links =
        "  - {name: b, device: tap:b, realm: lab.2, addresses: [10.9.7.1/24]}\n"
        "  - {name: c, device: \"pcap:in put.pcap,out\", realm: 'null', addresses: "
        "[192.0.2.129/32], queues: 2}\n"
        "  - {name: d, device: \"pci:0000:03:00.0\", vlan: [5, 6], realm: external, addresses: "
        "[10.9.8.7/24], mtu: 576}\n"
        "  - {name: e, device: \"tap:t{}\", vlan: 5, realm: external, addresses: [10.9.9.7/24], "
        "proxy-arp: true}\n";
    text.insert(text.find("routes:"), more_links);
    text.insert(
        text.find("policies:"),
        "  - {name: p-2, addresses: [203.0.113.16, 203.0.113.18-203.0.113.22]}\n"
    );
    for (const std::string& file :
         {std::string(kBaseFile),
          text,
          base_with(2, "  workers: [1, 0]\n  shards: 5\n  huge-pages: never")}) {
        const Config written = must_parse(file);
        const std::string effective = to_yaml(written);
        INFO(effective);
        Config read_back = must_parse(effective);
        CHECK(read_back.source_text == effective);
        read_back.source_text = written.source_text;
        CHECK(read_back == written);
        CHECK(to_yaml(read_back) == effective);
    }
}

TEST_CASE("a text that is no configuration is one mistake", "[config]") {
    struct Case {
        const char* sentence;
        std::string text;
        std::string expected;
    };
    const Case cases[] = {
        {"empty", "", "f:1:1: found an empty file, wanted a map of links, pools and policies"},
        {"comments only",
         "# nothing\n\n",
         "f:1:1: found an empty file, wanted a map of links, pools and policies"},
        {"a scalar",
         "hello\n",
         "f:1:1: found \"hello\", wanted a map with system, realms, links, routes, neighbours, "
         "multicast, pools, "
         "policies, static-mappings, destination-nat, trigger-forwards, sets, groups, patterns, "
         "payload-search, rules, rules-change, timeouts, limits, pcp, log, "
         "syslog and control"},
        {"a list",
         "- a\n",
         "f:1:1: found a list, wanted a map with system, realms, links, routes, neighbours, "
         "multicast, pools, policies, static-mappings, destination-nat, trigger-forwards, "
         "sets, groups, patterns, payload-search, rules, rules-change, timeouts, limits, pcp, log, "
         "syslog and "
         "control"},
        {"a list that is not closed",
         "links:\n  - [1, 2\n",
         "f:3:1: found broken YAML (end of sequence flow not found), wanted well-formed YAML"},
        {"a tab as indentation",
         "a: 1\n\tb: 1\n",
         "f:2:1: found a tab in the indentation, wanted blanks"},
        {"a second document",
         "a: 1\n---\nb: 2\n",
         "f:2:1: found a second document, wanted one document in a file"},
        {"an alias", "a: &x 1\nb: *x\n", "f:2:4: found an alias, wanted the value itself"},
        {"a tag",
         "a: !!int 1\n",
         "f:1:4: found the tag \"tag:yaml.org,2002:int\", wanted a value without a tag"},
        {"a control character",
         "a: 1\nb\x04: 2\n",
         "f:2:2: found the byte 0x04, wanted text in UTF-8"},
        {"no UTF-8", "# caf\xe9 \n", "f:1:6: found the byte 0xe9, wanted text in UTF-8"},
        {"an escape that is no UTF-8",
         "a: \"b\\N\"\n",
         "f:1:4: found text with the byte 0x85, wanted text in UTF-8"},
        {"UTF-16",
         std::string(
             "\xff\xfe"
             "a\0",
             4
         ),
         "f:1:1: found the byte 0xff, wanted text in UTF-8"},
        {"nested too deep",
         "links: " + std::string(100, '[') + std::string(100, ']') + "\n",
         "f:1:23: found values nested more than 16 deep, wanted flatter ones"},
    };
    for (const Case& c : cases) {
        DYNAMIC_SECTION(c.sentence) {
            CHECK(mistakes_of(c.text) == c.expected);
        }
    }
}

TEST_CASE("a text made to exhaust the reader is refused quickly", "[config]") {
    std::string bomb = "a: &a [x, x, x, x, x, x, x, x]\n";
    for (char c = 'b'; c <= 'z'; ++c) {
        bomb += fmt::format("{0}: &{0} [*{1}, *{1}, *{1}]\n", c, static_cast<char>(c - 1));
    }
    CHECK(mistakes_of(bomb) == "f:2:8: found an alias, wanted the value itself");
    CHECK(
        mistakes_of(std::string((size_t{64} << 20) + 1, ' ')) ==
        "f:1:1: found a file larger than 64 MiB, wanted a configuration of at most 64 MiB"
    );
    std::string many = "links: [";
    for (int i = 0; i < 4250000; ++i) {
        many += "1, ";
    }
    CHECK(
        mistakes_of(many + "1]").find("found more than 4194304 values, wanted fewer") !=
        std::string::npos
    );
    for (const char* piece :
         {"[", "{", "- ", "? ", "a: ", "- - ", "!", "&", "*", "'", "\"", "|", "%", "{a: ["}) {
        std::string text;
        while (text.size() < 20000) {
            text += piece;
        }
        INFO(piece);
        CHECK_FALSE(mistakes_of(text).empty());
    }
}

TEST_CASE("a mistake is one line, whatever the file holds", "[config]") {
    const std::string text = mistakes_of(base_with(2, "  name: \"a\\nb\\e[31m\\0\""));
    CHECK(text.find("f:2:9: found \"a\\x0ab\\x1b[31m\\x00\", wanted a name") == 0);
    CHECK(text.find('\n') == std::string::npos);
}

TEST_CASE("a file is loaded under its own name", "[config]") {
    const TemporaryFile file(base_with(2, "  workers: many"));
    const auto mistakes = load(file.path(), kTwoCpus).mistakes;
    REQUIRE(mistakes.size() == 1);
    CHECK(mistakes[0].file == file.path());
    CHECK(mistakes[0].line == 2);
}

TEST_CASE("a pipe that nobody writes to holds up no reader", "[config]") {
    const std::string path = "/tmp/sekisho-pipe-" + std::to_string(getpid());
    REQUIRE(mkfifo(path.c_str(), 0600) == 0);
    const Checked checked = load(path, kTwoCpus);
    unlink(path.c_str());
    REQUIRE(checked.mistakes.size() == 1);
    CHECK(checked.mistakes[0].found == "a pipe, socket or device");
}

TEST_CASE("a file that cannot be read is one mistake", "[config]") {
    const auto first = [](const std::string& path) {
        const Checked checked = load(path, kTwoCpus);
        CHECK_FALSE(checked.config);
        REQUIRE(checked.mistakes.size() == 1);
        return checked.mistakes[0].text();
    };
    CHECK(
        first("/nowhere/x.yaml") ==
        "/nowhere/x.yaml:1:1: found no readable file (No such file or directory), wanted a "
        "readable configuration file"
    );
    CHECK(first("/tmp") == "/tmp:1:1: found a directory, wanted a readable configuration file");
    CHECK(
        first("/dev/zero") ==
        "/dev/zero:1:1: found a pipe, socket or device, wanted a readable configuration file"
    );
}
