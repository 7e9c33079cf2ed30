// What is wrong in rules, and what is said about it.
#include <algorithm>

#include "cases.h"
#include "rules_support.h"

using namespace sekisho;
using namespace sekisho::config;

namespace {

struct RuleCase {
    const char* sentence;
    const char* rule;
    const char* said;  // from the column on
    const char* hook = "forward";
};

void check_rules(const std::vector<RuleCase>& cases) {
    for (const RuleCase& each : cases) {
        DYNAMIC_SECTION(each.sentence) {
            CHECK(said_of(each.rule, each.hook) == "f:28:" + std::string(each.said));
        }
    }
}

std::string chains(const std::string& text) {
    return mistakes_of(std::string(kBaseFile) + "rules:\n" + text);
}

}  // namespace

TEST_CASE("what a rule cannot ask is named with its place", "[config][rules]") {
    check_rules({
        {"an unknown key",
         "{sauce: 10.0.0.0/8}",
         "10: found unknown key \"sauce\" in a rule, wanted source"},
        {"no map",
         "accept",
         "9: found \"accept\", wanted a map with action, and, comment, either-way, protocol, "
         "source, destination, address, source-port, destination-port, port, icmp, in-link, "
         "out-link, link, tcp, tcp-flags, fragment, tos, dscp, length, ttl, state, realm, group, "
         "payload, time, rate and mark"},
        {"a protocol",
         "{protocol: tpc}",
         "20: found \"tpc\", wanted a protocol: tcp, udp, icmp ..., or a number from 0 to 255"},
        {"a protocol's number",
         "{not-protocol: [6, 256]}",
         "28: found \"256\", wanted a protocol: tcp, udp, icmp ..., or a number from 0 to 255"},
        {"a map for a protocol",
         "{protocol: {tcp: 1}}",
         "20: found a map, wanted a protocol or a list of them"},
        {"bits beyond a prefix",
         "{source: 10.0.0.1/8}",
         "18: found \"10.0.0.1/8\", wanted 10.0.0.0/8 (no bits set beyond the length)"},
        {"a range upside down",
         "{source: 10.0.0.9-10.0.0.1}",
         "18: found \"10.0.0.9-10.0.0.1\", wanted 10.0.0.1-10.0.0.9 (the lower end first)"},
        {"a host name",
         "{destination: [10.0.0.1, example.com]}",
         "34: found \"example.com\", wanted an IPv4 address, a prefix or a range, such as "
         "192.0.2.1, "
         "10.0.0.0/8 or 192.0.2.4-192.0.2.9"},
        {"a mask",
         "{source: 10.0.0.1/255.0.0}",
         "18: found \"10.0.0.1/255.0.0\", wanted an address and a mask, such as "
         "10.0.0.1/255.0.0.255"},
        {"an unknown set",
         "{source: \"@bogon\"}",
         "18: found \"@bogon\", wanted the name of a set: bogons"},
        {"a set without its mark",
         "{source: bogons}",
         "18: found \"bogons\", wanted \"@bogons\" for the set"},
        {"a port",
         "{port: 65536}",
         "16: found \"65536\", wanted a port or a range of ports, such as 80 or 8000-8999"},
        {"ports upside down",
         "{source-port: 90-80}",
         "23: found \"90-80\", wanted a port or a range of ports, such as 80 or 8000-8999"},
        {"ports missing in their map",
         "{port: {later-fragments: true}}",
         "16: found ports of a rule without ports, wanted the key ports"},
        {"an ICMP name",
         "{icmp: ping}",
         "16: found \"ping\", wanted an ICMP message: a name such as echo-request, a type or "
         "TYPE/CODE, "
         "such as 3/1"},
        {"an ICMP code",
         "{icmp: 3/256}",
         "16: found \"3/256\", wanted an ICMP message: a name such as echo-request, a type or "
         "TYPE/CODE, such as 3/1"},
        {"an unknown link",
         "{in-link: eth0}",
         "19: found \"eth0\", wanted the name of a link, or an own address of one: int0 or ext0"},
        {"an address of no link",
         "{out-link: [int0, 198.51.100.3]}",
         "27: found \"198.51.100.3\", wanted the name of a link, or an own address of one: int0 or "
         "ext0"},
        {"a shorthand of TCP", "{tcp: fin}", "15: found \"fin\", wanted syn or ack"},
        {"a flag",
         "{tcp-flags: {mask: [syn, nul], set: [syn]}}",
         "34: found \"nul\", wanted fin, syn, rst, psh, ack, urg, ece or cwr"},
        {"flags beyond the mask",
         "{tcp-flags: {mask: [syn], set: [syn, ack]}}",
         "40: found flags that are not in the mask, wanted flags of the mask"},
        {"a kind of fragment",
         "{fragment: last}",
         "20: found \"last\", wanted whole, first or later"},
        {"a TOS",
         "{tos: 0x100}",
         "15: found \"0x100\", wanted a number from 0 to 0xff, or a number and a mask, such as "
         "0x10 or 0x10/0x1c"},
        {"bits beyond the mask",
         "{mark: 0x13/0x3}",
         "16: found \"0x13/0x3\", wanted 0x3/0x3 (no bits set beyond the mask)"},
        {"a DSCP",
         "{dscp: 64}",
         "16: found \"64\", wanted a DSCP: a name such as ef, af11 or cs1, or 0 to 63"},
        {"a length",
         "{length: -1}",
         "18: found \"-1\", wanted a number from 0 to 65535, or two with a dash between"},
        {"a TTL", "{ttl: 5-3}", "15: found \"5-3\", wanted 3-5 (the lower end first)"},
        {"a state",
         "{state: [new, old]}",
         "23: found \"old\", wanted new, established, related, invalid or untracked"},
        {"a realm",
         "{realm: inside}",
         "17: found \"inside\", wanted the name of a realm: external or internal"},
        {"a group",
         "{group: silver}",
         "17: found \"silver\", wanted the name of a group: gold or lead"},
        {"a pattern", "{payload: put}", "19: found \"put\", wanted the name of a pattern: get"},
        {"a day",
         "{time: {days: mon}}",
         "23: found \"mon\", wanted monday, tuesday, wednesday, thursday, friday, saturday or "
         "sunday"},
        {"no day", "{time: {days: []}}", "23: found no day, wanted at least one"},
        {"a time of day",
         "{time: {from: 8:00}}",
         "23: found \"8:00\", wanted a time of day from 00:00 to 24:00"},
        {"a time after the day",
         "{time: {to: 24:01}}",
         "21: found \"24:01\", wanted a time of day from 00:00 to 24:00"},
        {"a rate without packets",
         "{rate: {burst: 3}}",
         "16: found a rate without packets, wanted the key packets"},
        {"a rate of nothing",
         "{rate: {packets: 0}}",
         "26: found \"0\", wanted a count from 1 to 1000000000, with k, M, Ki or Mi if need be"},
        {"a period",
         "{rate: {packets: 1, per: week}}",
         "34: found \"week\", wanted a duration from 1 to 604800 seconds, such as 300, 300s, 5m or "
         "2h"},
        {"a mark",
         "{mark: red}",
         "16: found \"red\", wanted a number from 0 to 0xffffffff, or a number and a mask, such as "
         "0x10 or 0x10/0x1c"},
        {"either-way", "{either-way: yes}", "22: found \"yes\", wanted true or false"},
        {"a comment of two lines",
         "{comment: \"a\\nb\"}",
         "19: found \"a\\x0ab\", wanted a text of 1 to 255 bytes on one line, without control "
         "characters"},
        {"an action among further conditions",
         "{and: [{action: deny}]}",
         "17: found unknown key \"action\" in further conditions, wanted one of protocol, source, "
         "destination, address, source-port, destination-port, port, icmp, in-link, out-link, "
         "link, tcp, tcp-flags, fragment, tos, dscp, length, ttl, state, realm, group, payload, "
         "time, rate and mark"},
    });
}

TEST_CASE("what a rule cannot do is named with its place", "[config][rules]") {
    check_rules({
        {"an unknown action",
         "{action: drop}",
         "18: found \"drop\", wanted an action: one of accept, deny, reject, log, jump, goto, "
         "return, masquerade, snat, dnat, redirect, no-track, set-tos, set-dscp, set-mark and "
         "police"},
        {"an unknown action in a map",
         "{action: {jmp: there}}",
         "19: found unknown key \"jmp\" in an action, wanted jump"},
        {"two in one map",
         "{action: {log: {level: debug}, deny: true}}",
         "18: found a map with 2 keys, wanted one action in a map; several are a list"},
        {"none in a list",
         "{action: []}",
         "18: found an empty list, wanted at least one action, or no key action"},
        {"a value too many",
         "{action: {deny: now}}",
         "25: found \"now\" of deny, wanted deny alone"},
        {"a value missing", "{action: jump}", "18: found \"jump\" alone, wanted {jump: ...}"},
        {"an unknown chain",
         "{action: {jump: nowhere}}",
         "25: found \"nowhere\", wanted the name of a chain: there or main"},
        {"an unknown pool",
         "{action: {snat: spare}}",
         "25: found \"spare\", wanted the name of a pool: main",
         "nat-source"},
        {"a code",
         "{action: {reject: 16}}",
         "27: found \"16\", wanted tcp-reset, network-unreachable, host-unreachable, "
         "protocol-unreachable, port-unreachable, network-prohibited, host-prohibited or "
         "administratively-prohibited, or a code of destination unreachable, 0 to 15"},
        {"a level",
         "{action: {log: {level: loud}}}",
         "32: found \"loud\", wanted emergency, alert, critical, error, warning, notice, "
         "informational or debug"},
        {"a style",
         "{action: {log: {style: nftables}}}",
         "32: found \"nftables\", wanted structured, ipfwadm, ipchains or iptables"},
        {"ports to hide behind",
         "{action: {masquerade: {ports: 0}}}",
         "39: found \"0\", wanted a port or a range of ports from 1 to 65535, such as 80 or "
         "8000-8015",
         "nat-source"},
        {"a target",
         "{action: {dnat: 192.0.2.1:0}}",
         "25: found \"192.0.2.1:0\", wanted an address of a host, or one with a port: 192.0.2.1:80",
         "nat-destination"},
        {"targets without weight",
         "{action: {dnat: [{address: 192.0.2.1, weight: 0}]}}",
         "25: found no target with a weight, wanted at least one that gets what is new",
         "nat-destination"},
        {"a port",
         "{action: {redirect: 0}}",
         "29: found \"0\", wanted a whole number from 1 to 65535",
         "ingress"},
        {"a TOS",
         "{action: {set-tos: {keep: 256}}}",
         "35: found \"256\", wanted a number from 0 to 0xff"},
        {"a rate",
         "{action: {police: {bytes-per-second: 0, burst: 1}}}",
         "46: found \"0\", wanted a count from 1 to 1000000000000, with k, M, Ki or Mi if need be"},
        {"one behind what decides",
         "{action: [deny, log]}",
         "9: found a rule that cannot stand here (deny decides: nothing can be done after it), "
         "wanted one that can"},
        {"one that cannot act there",
         "{action: masquerade}",
         "9: found a rule that cannot stand here (masquerade cannot act at ingress), wanted one "
         "that can",
         "ingress"},
        {"a way to a chain with a hook",
         "{action: {jump: main}}",
         "9: found a rule that cannot stand here (no rule leads to a built-in chain, as main is "
         "one), wanted one that can"},
    });
}

TEST_CASE("chains that cannot be are named with their place", "[config][rules]") {
    CHECK(
        chains("  - {name: a b}\n") ==
        "f:23:12: found \"a b\", wanted a name of 1 to 63 printable ASCII characters, no blank"
    );
    CHECK(
        chains("  - {name: a}\n  - {name: a, hook: forward}\n") ==
        "f:24:12: found the name \"a\" for a second chain (first on line 23), wanted a name of its "
        "own for each chain"
    );
    CHECK(chains("  - {name: a, hook: input}\n")
              .starts_with("f:23:21: found \"input\", wanted ingress, "));
    CHECK(
        chains("  - {name: a, policy: deny}\n") ==
        "f:23:23: found the policy of a chain without a hook, wanted a hook as well: such a chain "
        "is reached by rules only"
    );
    CHECK(
        chains("  - {name: a, hook: forward, priority: 32768}\n") ==
        "f:23:40: found \"32768\", wanted a whole number from -32768 to 32767"
    );
    CHECK(
        chains("  - {name: a, hook: nat-source, policy: deny}\n") ==
        "f:23:41: found a policy that cannot be (deny is no policy at nat-source), wanted accept, "
        "or "
        "one that can"
    );
    CHECK(
        chains("  - name: a\n    rules: [{action: {jump: b}}]\n"
               "  - name: b\n    rules: [{ttl: 1}, {action: {jump: a}}]\n") ==
        "f:26:23: found a rule that cannot stand here (chain a leads back to chain b: a packet "
        "would "
        "go in a circle), wanted one that can"
    );
    CHECK(
        chains("  - {name: a, rules: [{action: no-track}]}\n"
               "  - {name: b, hook: egress, rules: [{action: {jump: a}}]}\n") ==
        "f:24:37: found a rule that cannot stand here (chain a would be reached from egress, where "
        "no-track cannot act), wanted one that can"
    );
    CHECK(
        chains("  - {name: a, rules: []}\n") ==
        "f:23:22: found an empty list, wanted a list of rules, each a map"
    );
}

TEST_CASE("a chain that could not be read causes no second mistake", "[config][rules]") {
    CHECK(chains("  - {name: a, hook: forwards, policy: deny, rules: [{action: masquerade}]}\n"
                 "  - {name: b, rules: [{action: return}]}\n")
              .starts_with("f:23:21: found \"forwards\", wanted"));
    CHECK(
        mistakes_of(
            std::string(kBaseFile) + "sets: [{name: s, addresses: [1.2.3]}]\n" +
            "rules: [{name: a, rules: [{source: \"@s\", action: deny}]}]\n"
        )
            .find('\n') == std::string::npos
    );
}

TEST_CASE(
    "sets, groups and patterns that cannot be are named with their place", "[config][rules]"
) {
    check({
        {"an address",
         22,
         "sets: [{name: s, addresses: [10.0.0.256]}]",
         "f:22:30: found \"10.0.0.256\", wanted an IPv4 address, a prefix or a range, such as "
         "192.0.2.1, 10.0.0.0/8 or 192.0.2.4-192.0.2.9"},
        {"a set twice",
         22,
         "sets: [{name: s}, {name: s}]",
         "f:22:26: found the name \"s\" for a second set (first on line 22), wanted a name of its "
         "own "
         "for each set"},
        {"a relative file",
         22,
         "sets: [{name: s, file: list}]",
         "f:22:24: found \"list\", wanted the absolute path of a file with addresses, at most 4095 "
         "bytes"},
        {"a file that is not there",
         22,
         "sets: [{name: s, file: /nowhere/at/all}]",
         "f:22:24: found \"/nowhere/at/all\", no readable file (No such file or directory), wanted "
         "a "
         "readable file with addresses"},
        {"a folder",
         22,
         "sets: [{name: s, file: /usr}]",
         "f:22:24: found \"/usr\", a directory, wanted a readable file with addresses"},
        {"a group's realm",
         22,
         "groups: [{name: g, realm: external, prefixes: [10.0.0.0/8]}]",
         "f:22:27: found \"external\", wanted the name of a realm on the internal side"},
        {"a prefix of two groups",
         22,
         "groups: [{name: g, prefixes: [10.0.0.0/8]}, {name: h, prefixes: [10.0.0.0/8]}]",
         "f:22:66: found the prefix 10.0.0.0/8 a second time (first on line 22), wanted one group "
         "for "
         "a prefix of a realm"},
        {"a pattern of nothing",
         22,
         "patterns: [{name: p}]",
         "f:22:12: found a pattern without literal or regex, wanted one of them"},
        {"a pattern of both",
         22,
         "patterns: [{name: p, literal: a, regex: b}]",
         "f:22:12: found a pattern with both literal and regex, wanted one of them"},
        {"a bound",
         22,
         "patterns: [{name: p, literal: a, first-bytes: 0}]",
         "f:22:47: found \"0\", wanted a count from 1 to 1073741824, with k, M, Ki or Mi if need "
         "be"},
    });
}

TEST_CASE("mistakes in a set's file are named there, the first twenty of them", "[config][rules]") {
    const auto said = [](const std::string& content) {
        const std::string text =
            std::string(kBaseFile) + "sets: [{name: s, file: /list}, {name: s}]\n";
        std::string all;
        for (const Mistake& mistake :
             parse(text, "f", machine_with({{"/list", content}})).mistakes) {
            all += mistake.text() + "\n";
        }
        return all;
    };
    const std::string second =
        "f:22:39: found the name \"s\" for a second set (first on line 22), wanted a name of its "
        "own "
        "for each set\n";
    CHECK(said("10.0.0.1\n") == second);
    CHECK(
        said("10.0.0.1\n\n  10.0.0.1/24 # no prefix\n") ==
        second +
            "/list:3:3: found \"10.0.0.1/24\", wanted 10.0.0.0/24 (no bits set beyond the length)\n"
    );
    std::string many;
    for (int i = 0; i < 1000; ++i) {
        many += "no address\n";
    }
    const std::string all = said(many);
    CHECK(std::count(all.begin(), all.end(), '\n') == 22);
    CHECK(all.ends_with("/list:21:1: found 20 mistakes before it, wanted fewer, to read on\n"));
}

TEST_CASE("a set has at most 1 048 576 addresses of a file", "[config][rules]") {
    std::string content;
    for (int i = 0; i < (1 << 20); ++i) {
        content += "10.0.0.1\n";
    }
    const std::string text = std::string(kBaseFile) + "sets: [{name: s, file: /list}]\n";
    CHECK(parse(text, "f", machine_with({{"/list", content}})).config);
    const Checked checked = parse(text, "f", machine_with({{"/list", content + "10.0.0.2\n"}}));
    REQUIRE(checked.mistakes.size() == 1);
    CHECK(
        checked.mistakes[0].text() ==
        "/list:1048577:1: found more than 1048576 entries, wanted fewer: prefixes or ranges, or "
        "several sets"
    );
}

TEST_CASE("a set's name outside of quotes is named as such", "[config][rules]") {
    CHECK(
        said_of("{source: @bogons}") ==
        "f:28:18: found @ outside of quotes, wanted a set as \"@name\", in quotes"
    );
}

TEST_CASE("what names a thing of which the file has none is told so", "[config][rules]") {
    const auto said = [](const std::string& rule) {
        return chains("  - {name: a, rules: [" + rule + "]}\n");
    };
    CHECK(
        said("{source: \"@s\"}") ==
        "f:23:32: found \"@s\", wanted the name of a set: the file has none"
    );
    CHECK(
        said("{group: g}") == "f:23:31: found \"g\", wanted the name of a group: the file has none"
    );
    CHECK(
        said("{payload: p}") ==
        "f:23:33: found \"p\", wanted the name of a pattern: the file has none"
    );
}

TEST_CASE("a set's file has at most 64 MiB", "[config][rules]") {
    const std::string text = std::string(kBaseFile) + "sets: [{name: s, file: /list}]\n";
    const std::string content((size_t{64} << 20) + 1, '\n');
    const Checked checked = parse(text, "f", machine_with({{"/list", content}}));
    REQUIRE(checked.mistakes.size() == 1);
    CHECK(
        checked.mistakes[0].text() ==
        "f:22:24: found \"/list\", a file larger than 64 MiB, wanted a file of at most 64 MiB"
    );
    CHECK(parse(text, "f", machine_with({{"/list", content.substr(1)}})).config);
}
