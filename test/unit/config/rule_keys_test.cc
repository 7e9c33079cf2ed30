// Every key of a rule, and every key's negation.
#include <algorithm>
#include <set>

#include "config/rules_to_yaml.h"
#include "config/schema.h"
#include "rules/covers.h"
#include "rules_support.h"

using namespace sekisho;
using namespace sekisho::config;
using namespace sekisho::rules;

namespace {

struct KeyCase {
    const char* key;
    const char* value;
    Test test;
};

const Ipv4Addr kTen = Ipv4Addr::of(10, 0, 0, 0);
const AddressRange kTenRange{kTen, Ipv4Addr::of(10, 255, 255, 255)};

template <class... Words>
ByteSet bytes(Words... values) {
    return ByteSet::of(values...);
}

const std::vector<KeyCase>& keys() {
    static const std::vector<KeyCase> kKeys = {
        {"protocol", "tcp", ProtocolTest{bytes(6)}},
        {"protocol", "[udp, icmp, 47, 250-252]", ProtocolTest{bytes(17, 1, 47, 250, 251, 252)}},
        {"protocol", "[]", ProtocolTest{}},
        {"source", "10.0.0.0/8", AddressTest{rules::Side::kSource, {kTenRange}, {}, {}}},
        {"destination", "[]", AddressTest{rules::Side::kDestination, {}, {}, {}}},
        {"destination",
         "[10.0.0.0-10.255.255.255, \"@bogons\"]",
         AddressTest{rules::Side::kDestination, {kTenRange}, {}, {SetId{0}}}},
        {"address",
         "[10.0.0.0/255.0.0.255, 224.0.0.1]",
         AddressTest{
             rules::Side::kEither,
             {{Ipv4Addr::of(224, 0, 0, 1), Ipv4Addr::of(224, 0, 0, 1)}},
             {{kTen, Ipv4Addr::of(255, 0, 0, 255)}},
             {}}},
        {"source-port", "1024-65535", PortTest{rules::Side::kSource, {{1024, 65535}}}},
        {"destination-port", "[0, 80]", PortTest{rules::Side::kDestination, {{0, 0}, {80, 80}}}},
        {"port", "53", PortTest{rules::Side::kEither, {{53, 53}}}},
        {"port",
         "{ports: [53], later-fragments: true}",
         PortTest{rules::Side::kEither, {{53, 53}}, true}},
        {"icmp", "echo-request", IcmpTest{{{{8, 8}, {0, 255}}}}},
        {"icmp",
         "[3/4, port-unreachable, 11, 0-255]",
         IcmpTest{
             {{{3, 3}, {4, 4}}, {{3, 3}, {3, 3}}, {{11, 11}, {0, 255}}, {{0, 255}, {0, 255}}}}},
        {"icmp", "{kinds: 12/0-2, later-fragments: true}", IcmpTest{{{{12, 12}, {0, 2}}}, true}},
        {"in-link", "int0", LinkTest{Way::kIn, bytes(0)}},
        {"out-link", "[int0, ext0]", LinkTest{Way::kOut, bytes(0, 1)}},
        {"link", "198.51.100.2", LinkTest{Way::kEither, bytes(1)}},
        {"tcp", "syn", TcpFlagsTest{kSyn | kAck | kFin | kRst, kSyn}},
        {"tcp", "ack", TcpFlagsTest{kAck, kAck}},
        {"tcp-flags", "{mask: [syn, ack], set: [syn]}", TcpFlagsTest{kSyn | kAck, kSyn}},
        {"tcp-flags",
         "{mask: [fin, psh, urg, ece, cwr], set: [], others: true}",
         TcpFlagsTest{kFin | kPsh | kUrg | 0xc0, 0, true}},
        {"fragment", "later", FragmentTest{false, false, true}},
        {"fragment", "[whole, first]", FragmentTest{true, true, false}},
        {"tos", "0x10", TosTest{0xff, 0x10}},
        {"tos", "8/0x1c", TosTest{0x1c, 8}},
        {"dscp", "ef", TosTest{0xfc, 46 << 2}},
        {"dscp", "3", TosTest{0xfc, 3 << 2}},
        {"length", "[0-100, 1500]", LengthTest{{{0, 100}, {1500, 1500}}}},
        {"ttl", "0-5", TtlTest{{0, 5}}},
        {"state", "[established, related]", StateTest{bytes(1, 2)}},
        {"state", "[new, invalid, untracked]", StateTest{bytes(0, 3, 4)}},
        {"realm", "internal", RealmTest{bytes(1)}},
        {"realm", "[external, internal]", RealmTest{bytes(0, 1)}},
        {"group", "lead", GroupTest{{GroupId{1}}}},
        {"group", "[lead, gold]", GroupTest{{GroupId{1}, GroupId{0}}}},
        {"payload", "get", PayloadTest{PatternId{0}}},
        {"time",
         "{days: [monday, sunday], from: 08:00, to: 17:30}",
         TimeTest{0x41, {28800, 62999}}},
        {"time", "{from: 22:00, to: 06:00:01}", TimeTest{0x7f, {79200, 21600}}},
        {"time", "{to: 24:00, days: friday}", TimeTest{0x10, {0, 86399}}},
        {"rate", "{packets: 10}", RateTest{10, Seconds{1}, 5}},
        {"rate", "{packets: 3, per: hour, burst: 20}", RateTest{3, Seconds{3600}, 20}},
        {"rate", "{packets: 3, per: 10m}", RateTest{3, Seconds{600}, 5}},
        {"mark", "7", MarkTest{0xffffffff, 7}},
        {"mark", "0x100/0xf00", MarkTest{0xf00, 0x100}},
    };
    return kKeys;
}

// What masquerade and redirect want besides.
std::string with_whom_to_translate_to(std::string text) {
    const auto put_behind = [&text](const std::string& line, const std::string& more) {
        text.insert(text.find(line) + line.size(), more);
    };
    put_behind("  workers: 1\n", "  local-host: 192.0.2.9\n");
    put_behind(
        "    ports: 1024-65535\n", "  - {name: own, addresses: [link: ext0], ports: 61000-65095}\n"
    );
    return text;
}

}  // namespace

TEST_CASE(
    "each key of a rule asks what it says, and its negation the contrary", "[config][rules]"
) {
    for (const KeyCase& each : keys()) {
        for (const bool negated : {false, true}) {
            const std::string key = (negated ? "not-" : "") + std::string(each.key);
            INFO(key << ": " << each.value);
            const rules::Rule rule = rule_of("{" + key + ": " + each.value + "}");
            REQUIRE(rule.conditions.size() == 1);
            CHECK(rule.conditions[0] == Condition{each.test, negated});
            CHECK(rule.actions.empty());
        }
    }
}

TEST_CASE("what a rule asks is written as it was, and read again", "[config][rules]") {
    for (const KeyCase& each : keys()) {
        const Config config =
            must_parse(with_rule("{not-" + std::string(each.key) + ": " + each.value + "}"));
        INFO(rules_to_yaml(config));
        CHECK(must_parse(to_yaml(config)).rules == config.rules);
    }
}

TEST_CASE("no key of a rule is without a test", "[config][rules]") {
    for (const config::Key& key : kRuleConditionKeys) {
        const std::string_view name = key.name.starts_with("not-") ? key.name.substr(4) : key.name;
        INFO(key.name);
        CHECK(std::ranges::find(keys(), name, [](const KeyCase& each) {
                  return std::string_view(each.key);
              }) != keys().end());
    }
}

TEST_CASE(
    "conditions stand in the order of their keys, further ones under and", "[config][rules]"
) {
    const rules::Rule rule =
        rule_of("{ttl: 1, source: 10.0.0.0/8, and: [{source: 10.0.0.1, mark: 1}, {ttl: 1}]}");
    const AddressTest host{
        rules::Side::kSource, {{Ipv4Addr::of(10, 0, 0, 1), Ipv4Addr::of(10, 0, 0, 1)}}, {}, {}};
    const std::vector<Condition> wanted = {
        {TtlTest{{1, 1}}},
        {AddressTest{rules::Side::kSource, {kTenRange}, {}, {}}},
        {host},
        {MarkTest{0xffffffff, 1}},
        {TtlTest{{1, 1}}}};
    CHECK(rule.conditions == wanted);
}

TEST_CASE("a time that ends when it begins is the whole day", "[config][rules]") {
    const rules::Rule rule = rule_of("{time: {from: 08:00, to: 08:00}}");
    REQUIRE(rule.conditions.size() == 1);
    for (const uint32_t second : {0U, 28799U, 28800U, 86399U}) {
        RulePacket packet;
        packet.time.second = second;
        INFO(second);
        CHECK(covers(rule.conditions[0], packet, AddressSets(), false));
    }
}

TEST_CASE("links of several realms that have an address are all meant by it", "[config][rules]") {
    const std::string text =
        "realms: [{name: a, side: internal}]\n"
        "rules: [{name: main, hook: ingress, rules: [{in-link: 100.64.0.1}]}]\n";
    std::string whole = base_with(
        11,
        "    addresses: [198.51.100.2/24]\n  - {name: int1, device: af_packet:i1, realm: a, "
        "addresses: [100.64.0.1/16]}"
    );
    const Config config = must_parse(whole + text);
    const rules::Rule& rule = *config.rules.set.chain(ChainId{0})->rules.at(0);
    CHECK(rule.conditions == std::vector<Condition>{{LinkTest{Way::kIn, bytes(0, 2)}}});
}

TEST_CASE("a rule may hold either way, and be remarked on", "[config][rules]") {
    const rules::Rule rule = rule_of("{either-way: true, comment: \"as \\\"agreed\\\" é\"}");
    CHECK(rule.either_way);
    CHECK(rule.comment == "as \"agreed\" é");
    CHECK_FALSE(rule_of("{either-way: false}").either_way);
    CHECK(rule_of("{}").conditions.empty());
}

TEST_CASE("each action does what it says", "[config][rules]") {
    struct Case {
        const char* text;
        const char* hook;
        Action action;
    };
    const Ipv4Addr host = Ipv4Addr::of(192, 0, 2, 1);
    const std::vector<Case> cases = {
        {"accept", "forward", Accept{}},
        {"deny", "forward", Deny{}},
        {"reject", "forward", Reject{}},
        {"{reject: host-prohibited}", "forward", Reject{false, 10}},
        {"{reject: 7}", "forward", Reject{false, 7}},
        {"{reject: tcp-reset}", "forward", Reject{true, 3}},
        {"{reject: {tcp-reset: true, icmp: 1}}", "forward", Reject{true, 1}},
        {"log", "forward", Log{}},
        {"{log: {level: warning, prefix: \"in: \", per-minute: 60}}",
         "forward",
         Log{4, "in: ", 60}},
        {"{log: {style: ipchains}}", "forward", Log{6, "", 0, LogStyle::kIpchains}},
        {"{jump: there}", "forward", Jump{ChainId{0}}},
        {"{goto: there}", "forward", Goto{ChainId{0}}},
        {"return", "forward", Return{}},
        {"masquerade", "nat-source", Masquerade{}},
        {"{masquerade: {ports: 61000-65095}}", "nat-source", Masquerade{{61000, 65095}}},
        {"{snat: main}", "nat-source", Snat{PoolId{0}}},
        {"{dnat: 192.0.2.1}", "nat-destination", Dnat{{{host, 0, 1}}, false}},
        {"{dnat: [192.0.2.1:80, {address: 192.0.2.1, port: 81, weight: 3}]}",
         "nat-destination",
         Dnat{{{host, 80, 1}, {host, 81, 3}}, false}},
        {"{dnat: {targets: [192.0.2.1], affinity: source}}",
         "nat-destination",
         Dnat{{{host, 0, 1}}, true}},
        {"{dnat: {address: 192.0.2.1}}", "nat-destination", Dnat{{{host, 0, 1}}, false}},
        {"redirect", "ingress", Redirect{}},
        {"{redirect: 3128}", "nat-destination", Redirect{3128}},
        {"no-track", "ingress", NoTrack{}},
        {"{set-tos: {keep: 1, flip: 0x10}}", "forward", SetTos{1, 0x10}},
        {"{set-dscp: af11}", "forward", SetDscp{10}},
        {"{set-dscp: 63}", "forward", SetDscp{63}},
        {"{set-mark: 0x2/0xf}", "forward", SetMark{0xf, 2}},
        {"{police: {bytes-per-second: 125k, burst: 1500}}", "forward", Police{125000, 1500}},
    };
    std::set<size_t> tested;
    for (const Case& each : cases) {
        INFO(each.text);
        const std::string text = "{action: " + std::string(each.text) + "}";
        const Config config = must_parse(with_whom_to_translate_to(with_rule(text, each.hook)));
        const ChainId chain = config.rules.set.find_chain("main").value();
        CHECK(config.rules.set.chain(chain)->rules.at(0)->actions == std::vector{each.action});
        INFO(rules_to_yaml(config));
        CHECK(must_parse(to_yaml(config)).rules == config.rules);
        tested.insert(each.action.index());
    }
    CHECK(tested.size() == std::variant_size_v<Action>);
}

TEST_CASE("several actions are done in turn", "[config][rules]") {
    const rules::Rule rule =
        rule_of("{action: [{log: {prefix: a}}, {set-mark: 1}, {set-mark: 2}, deny]}");
    const std::vector<Action> wanted = {
        Log{6, "a", 0}, SetMark{0xffffffff, 1}, SetMark{0xffffffff, 2}, Deny{}};
    CHECK(rule.actions == wanted);
}
