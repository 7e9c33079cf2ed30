// destination-nat, trigger-forwards and masquerade: what is read, and mistakes.
#include "cases.h"

using namespace sekisho::config;
using namespace sekisho;

namespace {

Config must_parse(const std::string& text) {
    const Checked checked = parse(text, "f", kTwoCpus);
    for (const Mistake& mistake : checked.mistakes) {
        FAIL_CHECK(mistake.text());
    }
    REQUIRE(checked.config);
    return *checked.config;
}

}  // namespace

TEST_CASE("rules of destination-nat reach their values", "[config][redirect]") {
    const Config redirecting = must_parse(base_with(
        22,
        "static-mappings:\n"
        "  - {internal-src-address: 100.64.0.10, external-src-address: 203.0.113.5,\n"
        "     transport-protocol: tcp, internal-src-port: 3128}\n"
        "destination-nat:\n"
        "  - {name: web, source: [100.64.0.0/16], destination: [0.0.0.0/0],\n"
        "     transport-protocol: tcp, ports: 80, affinity: none,\n"
        "     targets: [{address: 192.0.2.8, ports: 3128, weight: 3},\n"
        "               {address: 100.64.0.10, ports: 3128}]}\n"
        "  - {name: all, destination: [198.51.100.128/25, 192.0.2.1/32], targets: [192.0.2.9]}\n"
        "  - {name: run, destination: [192.0.2.2/32], ports: 100-109,\n"
        "     targets: [{address: 192.0.2.9, ports: 200-209}]}"
    ));
    REQUIRE(redirecting.nat.destination_nat.size() == 3);
    const nat::DestinationNatSettings& proxy = redirecting.nat.destination_nat[0];
    CHECK(proxy.name == "web");
    CHECK(proxy.tcp);
    CHECK_FALSE(proxy.udp);
    CHECK(proxy.ports == nat::PortRange{80, 80});
    CHECK(proxy.affinity == nat::Affinity::kNone);
    CHECK(
        proxy.targets ==
        std::vector<nat::TargetSettings>{
            {Ipv4Addr::of(192, 0, 2, 8), {3128, 3128}, 3},
            {Ipv4Addr::of(100, 64, 0, 10), {3128, 3128}, 1}}
    );
    CHECK_FALSE(redirecting.nat.destination_nat[1].is_by_port());
    CHECK(redirecting.nat.destination_nat[1].affinity == nat::Affinity::kSource);
    CHECK(redirecting.nat.destination_nat[2].targets[0].ports == nat::PortRange{200, 209});
    CHECK(must_parse(to_yaml(redirecting)).nat == redirecting.nat);
    const Config serving = must_parse(base_with(
        22,
        "destination-nat:\n"
        "  - {name: shop, realm: external, source: [192.0.2.0/24], transport-protocol: tcp,\n"
        "     destination: [203.0.113.5/32, 203.0.113.6/32], ports: 443, target-realm: internal,\n"
        "     targets: [{address: 100.64.0.10, ports: 8443, weight: 3}, 100.64.0.11]}"
    ));
    REQUIRE(serving.nat.destination_nat.size() == 1);
    CHECK(serving.nat.destination_nat[0].is_inbound);
    CHECK(serving.nat.destination_nat[0].realm == kExternalRealm);
    CHECK(serving.nat.destination_nat[0].destination.size() == 2);
    CHECK(must_parse(to_yaml(serving)).nat == serving.nat);
}

TEST_CASE("trigger forwards reach their values", "[config][trigger]") {
    const Config triggered = must_parse(base_with(
        22,
        "trigger-forwards:\n"
        "  - {name: video, source: [100.64.0.0/16], external-src-address: 203.0.113.5,\n"
        "     ports: 7648-7649, transport-protocol: udp, trigger-port: 7648,\n"
        "     trigger-protocol: tcp, idle: 2m, access: anyone}\n"
        "  - {name: other, external-src-address: 203.0.113.5, ports: 80, trigger-port: 81}"
    ));
    REQUIRE(triggered.nat.trigger_forwards.size() == 2);
    const nat::TriggerForwardSettings& video = triggered.nat.trigger_forwards[0];
    CHECK(video.external == Ipv4Addr::of(203, 0, 113, 5));
    CHECK(video.ports == nat::PortRange{7648, 7649});
    CHECK_FALSE(video.tcp);
    CHECK(video.trigger_protocol == Protocol::kTcp);
    CHECK(video.idle == Seconds{120});
    CHECK(video.access == nat::TriggerAccess::kAnyone);
    CHECK(triggered.nat.trigger_forwards[1].idle == Seconds{300});
    CHECK(must_parse(to_yaml(triggered)).nat == triggered.nat);
}

TEST_CASE("a pool may be a link's own address", "[config][masquerade]") {
    const Config masquerading =
        must_parse(base_with(16, "    addresses: [{link: ext0}, 203.0.113.0/28]"));
    const nat::PoolSettings& behind = masquerading.nat.pools[0];
    REQUIRE(behind.addresses.size() == 2);
    CHECK(behind.addresses[1].first == Ipv4Addr::of(198, 51, 100, 2));
    CHECK(behind.addresses[1].last == Ipv4Addr::of(198, 51, 100, 2));
    CHECK(behind.links == std::vector<LinkId>{LinkId{1}});
    CHECK(must_parse(to_yaml(masquerading)).nat == masquerading.nat);
}

TEST_CASE("rules of destination-nat are checked", "[config][redirect]") {
    const auto with = [](const std::string& rest) {
        return "destination-nat:\n  - {name: web, destination: [0.0.0.0/0], " + rest + "}";
    };
    check({
        {"none",
         22,
         "destination-nat: []",
         "f:22:18: found an empty list, wanted a list of rules, each with name, destination and "
         "targets"},
        {"without targets",
         22,
         with("ports: 80"),
         "f:23:5: found a rule of destination-nat without targets, wanted the key targets"},
        {"a name twice",
         22,
         with("targets: [192.0.2.1]") +
             "\n  - {name: web, destination: [0.0.0.0/0], targets: [192.0.2.1]}",
         "f:24:12: found the name \"web\" for a second rule of destination-nat (first on line 23), "
         "wanted a name of its own for each rule of destination-nat"},
        {"a protocol without ports",
         22,
         with("transport-protocol: tcp, targets: [192.0.2.1]"),
         "f:23:63: found \"tcp\" without ports, wanted ports as well"},
        {"a target that gets nothing",
         22,
         with("targets: [{address: 192.0.2.1, weight: 0}]"),
         "f:23:52: found no target with a weight, wanted at least one that gets what is new"},
        {"ports of a target without ports of the rule",
         22,
         with("targets: [{address: 192.0.2.1, ports: 80}]"),
         "f:23:81: found \"80\" of a target for all ports, wanted ports of the rule as well"},
        {"too few ports of a target",
         22,
         with("ports: 80-89, targets: [{address: 192.0.2.1, ports: 80-84}]"),
         "f:23:95: found 5 ports of a target for 10, wanted one port for all of them, or as many"},
        {"a target of the appliance itself",
         22,
         with("ports: 80, targets: [198.51.100.2]"),
         "f:23:64: found 198.51.100.2, the link ext0's own address, where the appliance has no "
         "local ports, wanted a host that has the service"},
        {"a target in a pool",
         22,
         with("ports: 80, targets: [203.0.113.5]"),
         "f:23:64: found 203.0.113.5, an address of a pool, wanted the host's own address"},
        {"a subscriber that nobody reaches",
         22,
         with("ports: 80, targets: [100.64.0.9]"),
         "f:23:64: found 100.64.0.9, a subscriber without a static mapping of these ports, wanted "
         "an entry of static-mappings, by which its neighbours reach it"},
        {"a realm that is none",
         22,
         with("realm: nowhere, targets: [192.0.2.1]"),
         "f:23:50: found \"nowhere\", wanted the name of a realm: external or internal"},
        {"a realm of targets that the way tells",
         22,
         with("target-realm: internal, targets: [192.0.2.1]"),
         "f:23:57: found target-realm of a rule for subscribers, wanted a realm on the external "
         "side"},
    });
    const auto outside = [](const std::string& rest) {
        return "destination-nat:\n  - {name: web, realm: external, " + rest + "}";
    };
    check({
        {"a service without ports",
         22,
         outside("destination: [203.0.113.5/32], targets: [100.64.0.9]"),
         "f:23:5: found a rule from outside without ports, wanted ports as well"},
        {"a service of no pool",
         22,
         outside("destination: [203.0.113.0/24], ports: 80, targets: [100.64.0.9]"),
         "f:23:48: found 203.0.113.0/24 for a rule from outside, wanted one address of a pool, "
         "such as 203.0.113.5/32"},
        {"a service of strangers",
         22,
         outside("destination: [203.0.113.5/32], ports: 80, targets: [10.0.0.9]"),
         "f:23:86: found 10.0.0.9 in the realm internal, whom no policy covers, wanted a "
         "subscriber of a policy"},
        {"several ports of a service at one of a target",
         22,
         outside("destination: [203.0.113.5/32], ports: 80-81, targets: [{address: 100.64.0.9, "
                 "ports: 80}]"),
         "f:23:118: found 1 ports of a target for 2, wanted as many"},
        {"a target in two services",
         22,
         outside("destination: [203.0.113.5/32], ports: 80, targets: [100.64.0.9]") +
             "\n  - {name: b, realm: external, destination: [203.0.113.6/32], ports: 80, "
             "targets: [100.64.0.9]}",
         "f:24:84: found 100.64.0.9:80, of which the rule of destination-nat on line 23 has a "
         "part, wanted one external endpoint for an internal one"},
        {"a TCP target twice",
         22,
         outside("destination: [203.0.113.5/32], transport-protocol: tcp, ports: 80, targets: "
                 "[100.64.0.9, {address: 100.64.0.9, ports: 80, weight: 2}]"),
         "f:23:123: found 100.64.0.9:80, which is a target of this rule already, wanted a target "
         "once, with its whole weight"},
        {"an endpoint of a service and of a static mapping",
         22,
         std::string("static-mappings:\n  - {internal-src-address: 100.64.0.8, "
                     "external-src-address: 203.0.113.5, internal-src-port: 80}\n"
         ) + outside("destination: [203.0.113.5/32], ports: 80, targets: [100.64.0.9]"),
         "f:25:48: found 203.0.113.5:80, of which the static mapping on line 23 has a part, "
         "wanted one internal endpoint for an external one"},
    });
}

TEST_CASE("trigger forwards are checked", "[config][trigger]") {
    const auto with = [](const std::string& rest) {
        return "trigger-forwards:\n  - {name: a, " + rest + "}";
    };
    check({
        {"without a control port",
         22,
         with("external-src-address: 203.0.113.5, ports: 80"),
         "f:23:5: found a trigger forward without trigger-port, wanted the key trigger-port"},
        {"of no pool",
         22,
         with("external-src-address: 203.0.114.5, ports: 80, trigger-port: 81"),
         "f:23:37: found 203.0.114.5, which no pool has, wanted an address of a pool"},
        {"a control port that is none",
         22,
         with("external-src-address: 203.0.113.5, ports: 80, trigger-port: 0"),
         "f:23:75: found \"0\", wanted a whole number from 1 to 65535"},
        {"ports twice",
         22,
         with("external-src-address: 203.0.113.5, ports: 80-89, trigger-port: 81") +
             "\n  - {name: b, external-src-address: 203.0.113.5, ports: 85, trigger-port: 81}",
         "f:24:37: found 203.0.113.5:85, of which the trigger forward on line 23 has a part, "
         "wanted one internal endpoint for an external one"},
        {"ports at two addresses",
         22,
         with("external-src-address: 203.0.113.5, ports: 80-89, trigger-port: 81") +
             "\n  - {name: b, external-src-address: 203.0.113.6, ports: 85, trigger-port: 82}",
         "f:24:57: found ports of the trigger forward on line 23 at another external address, for "
         "the same subscribers, wanted one external endpoint for an internal one"},
    });
}
