// Mistakes in the sections pools, policies and timeouts.
#include "cases.h"

using namespace sekisho::config;

TEST_CASE("pools are checked", "[config]") {
    const std::string range =
        "wanted an IPv4 address, a prefix or a range, such as 203.0.113.0/28 or "
        "203.0.113.64-203.0.113.79";
    check({
        {"a reversed range",
         16,
         "    addresses: [203.0.113.9-203.0.113.1]",
         "f:16:17: found \"203.0.113.9-203.0.113.1\", wanted 203.0.113.1-203.0.113.9 (the lower "
         "end first)"},
        {"half a range",
         16,
         "    addresses: [203.0.113.9-]",
         "f:16:17: found \"203.0.113.9-\", " + range},
        {"no address", 16, "    addresses: [here]", "f:16:17: found \"here\", " + range},
        {"multicast",
         16,
         "    addresses: [224.0.0.1]",
         "f:16:17: found \"224.0.0.1\", wanted unicast addresses (RFC 1812 5.3.7)"},
        {"masquerade behind no link",
         16,
         "    addresses: [link: ext9]",
         "f:16:23: found \"ext9\", wanted the name of a link"},
        {"masquerade inside",
         16,
         "    addresses: [link: int0]",
         "f:16:23: found \"int0\", a link on the internal side, wanted a link on the external "
         "side"},
        {"masquerade twice",
         16,
         "    addresses: [link: ext0, link: ext0]",
         "f:16:35: found 198.51.100.2, which overlaps 198.51.100.2 on line 16, wanted pool "
         "addresses that are in no other range"},
        {"an overlap within a pool",
         16,
         "    addresses: [203.0.113.0/28, 203.0.113.15-203.0.113.20]",
         "f:16:33: found 203.0.113.15-203.0.113.20, which overlaps 203.0.113.0/28 on line 16, "
         "wanted pool addresses that "
         "are in no other range"},
        {"an overlap between pools",
         17,
         "    ports: 1024-65535\n  - {name: second, addresses: [203.0.112.0/23]}",
         "f:18:32: found 203.0.112.0/23, which overlaps 203.0.113.0/28 on line 16, wanted pool "
         "addresses that are in no "
         "other range"},
        {"a link's own address",
         16,
         "    addresses: [198.51.100.0/28]",
         "f:16:17: found 198.51.100.0/28, which holds 198.51.100.2, the link ext0's own address, "
         "wanted pool addresses "
         "that no link has"},
        {"a next hop",
         16,
         "    addresses: [198.51.100.1]",
         "f:16:17: found 198.51.100.1, which holds 198.51.100.1, the next hop on line 13, wanted "
         "pool addresses that no neighbour has"},
        {"the first address of a link's prefix",
         16,
         "    addresses: [198.51.100.0]",
         "f:16:17: found 198.51.100.0, which holds 198.51.100.0, the first address of the link "
         "ext0's prefix, wanted pool addresses that may be a host's"},
        {"the last address of a link's prefix",
         16,
         "    addresses: [198.51.100.64, 198.51.100.240/28]",
         "f:16:32: found 198.51.100.240/28, which holds 198.51.100.255, the last address of the "
         "link ext0's prefix, wanted pool addresses that may be a host's"},
        {"too many addresses",
         16,
         "    addresses: [10.0.0.0/11]",
         "f:16:17: found 2097152 pool addresses in all with 10.0.0.0/11, wanted at most 1048576"},
        {"a second pool of a name",
         17,
         "  - {name: main, addresses: [192.0.2.7]}",
         "f:17:12: found the name \"main\" for a second pool (first on line 15), wanted a name of "
         "its own for each pool"},
        {"port 0",
         17,
         "    ports: 0-65535",
         "f:17:12: found \"0-65535\", wanted a range of ports from 1 to 65535, such as 1024-65535"},
        {"reversed ports",
         17,
         "    ports: 2000-1000",
         "f:17:12: found \"2000-1000\", wanted 1000-2000 (the lower end first)"},
        {"a block size that is no power of two",
         17,
         "    port-block-size: 100",
         "f:17:22: found \"100\", wanted a power of two, such as 64 or 128"},
        {"a block size too small",
         17,
         "    port-block-size: 32",
         "f:17:22: found \"32\", wanted a count from 64 to 32768, with k, M, Ki or Mi if need be"},
        {"no block fits",
         17,
         "    ports: 1025-1300",
         "f:17:12: found no whole block of 256 ports in 1025-1300, wanted at least one block that "
         "starts at a multiple of its size"},
        {"no blocks",
         17,
         "    blocks-per-subscriber: 0",
         "f:17:28: found \"0\", wanted a whole number from 1 to 255"},
        {"an unknown port-selection",
         17,
         "    port-selection: best",
         "f:17:21: found \"best\", wanted random, sequential, preserve or deterministic"},
        {"preserve with contiguity",
         17,
         "    port-selection: preserve\n    port-parity: true\n    port-contiguity: true",
         "f:19:22: found port-contiguity with port-selection: preserve, wanted one of them: a pair "
         "of ports that is free stays a pair"},
        {"ranges to keep, and one alone",
         17,
         "    port-ranges: preserve",
         "f:17:18: found port-ranges: preserve with the ports 1024-65535, wanted ports on both "
         "sides of 1024, such as 1-65535"},
        {"the other range alone",
         17,
         "    ports: 1-1000\n    port-ranges: preserve",
         "f:18:18: found port-ranges: preserve with the ports 1-1000, wanted ports on both sides "
         "of 1024, such as 1-65535"},
        {"unknown ranges",
         17,
         "    port-ranges: keep",
         "f:17:18: found \"keep\", wanted any or preserve"},
        {"parity with as many even as odd ports missing",
         17,
         "    ports: 1025-65535\n    port-parity: true",
         "f:18:18: found port-parity with the ports 1025-65535, wanted a range of ports that "
         "begins "
         "even and ends odd"},
        {"contiguity without parity",
         17,
         "    port-contiguity: true",
         "f:17:22: found port-contiguity without port-parity, wanted port-parity: true as well"},
        {"an unknown answer to a SYN",
         17,
         "    unsolicited-syn: reset",
         "f:17:22: found \"reset\", wanted port-unreachable or silent"},
        {"an unknown pairing",
         17,
         "    pairing: loose",
         "f:17:14: found \"loose\", wanted hard, soft or none"},
        {"a quarantine in days",
         17,
         "    port-quarantine: 1d",
         "f:17:22: found \"1d\", wanted a duration from 0 to 86400 seconds, such as 300, 300s, 5m "
         "or 2h"},
    });
}

TEST_CASE("ports without blocks contradict what is about blocks", "[config]") {
    check({
        {"a log of blocks alone",
         17,
         "    port-selection: preserve\nlog: {file: /l, events: [blocks]}",
         "f:17:21: found port-selection: preserve, whose ports are given out one by one, with a "
         "log of blocks alone, wanted mappings among log.events as well"},
        {"a log of blocks and mappings",
         17,
         "    port-selection: preserve\nlog: {file: /l, events: [blocks, mappings]}",
         ""},
        {"well-known ports and a log of blocks alone",
         17,
         "    ports: 1-65535\n    port-ranges: preserve\nlog: {file: /l, events: [blocks]}",
         "f:18:18: found port-ranges: preserve, whose ports are given out one by one, with a log "
         "of blocks alone, wanted mappings among log.events as well"},
        {"more addresses than there is memory for",
         16,
         "    addresses: [198.18.0.0/19]\n    port-selection: preserve",
         "f:17:21: found port-selection: preserve for as much as 8192 addresses in all pools, "
         "wanted "
         "at most 4096"},
        {"no blocks, so that none need fit",
         17,
         "    ports: 2000-2010\n    port-selection: preserve",
         ""},
    });
    CHECK(
        mistakes_of(
            base_with(17, "    port-selection: preserve") +
            "    mapping: address-and-port-dependent\n    filtering: address-and-port-dependent\n"
            "    port-overloading: true\n"
        ) ==
        "f:24:23: found port-overloading in a pool with port-selection: preserve, wanted a pool "
        "whose subscribers have port blocks"
    );
}

TEST_CASE("what a pool keeps back is checked", "[config]") {
    check({
        {"more resting ports than there are",
         17,
         "    ports: 1024-2047\n    port-quarantine-ports: 50000",
         "f:18:28: found port-quarantine-ports: 50000, wanted at most 49152, the ports of the pool "
         "in all protocols"},
        {"resting ports where none rest",
         17,
         "    port-quarantine: 0\n    port-quarantine-ports: 10",
         "f:18:28: found port-quarantine-ports where no port rests, wanted a port-quarantine of a "
         "second or more"},
        {"all ports reserved",
         17,
         "    reserved-ports: [1-40000, 40001-65535]",
         "f:17:21: found all ports of the pool reserved, wanted at least one that is not"},
        {"a reserved port that is none",
         17,
         "    reserved-ports: [sip]",
         "f:17:22: found \"sip\", wanted a port or a range of ports from 1 to 65535, such as 80 "
         "or 8000-8015"},
        {"all addresses reserved",
         17,
         "    reserved-addresses: [203.0.113.0/29, 203.0.113.8/29]",
         "f:17:25: found all addresses of the pool reserved, wanted at least one that is not"},
        {"a reserved address that is another's",
         17,
         "    reserved-addresses: [203.0.113.16]",
         "f:17:26: found \"203.0.113.16\", which the pool does not have, wanted addresses of the "
         "pool"},
        {"an age in words",
         17,
         "    block-max-age: old",
         "f:17:20: found \"old\", wanted a duration from 0 to 604800 seconds, such as 300, 300s, "
         "5m or 2h"},
    });
}

TEST_CASE("policies are checked", "[config]") {
    check({
        {"an unknown pool",
         21,
         "    pool: mian",
         "f:21:11: found \"mian\", wanted the name of a pool: main"},
        {"an external realm",
         21,
         "    pool: main\n    realm: external",
         "f:22:12: found \"external\", a realm on the external side, wanted a realm on the "
         "internal side, whose "
         "subscribers are translated"},
        {"an unknown realm",
         21,
         "    pool: main\n    realm: lan",
         "f:22:12: found \"lan\", wanted the name of a realm: external or internal"},
        {"no source",
         20,
         "    source: []",
         "f:20:13: found an empty list, wanted a list of the subscribers' prefixes, such as "
         "[100.64.0.0/10]"},
        {"a bad source",
         20,
         "    source: [100.64.0.1/10]",
         "f:20:14: found \"100.64.0.1/10\", wanted 100.64.0.0/10 (no bits set beyond the length)"},
        {"a source that is given out",
         20,
         "    source: [100.64.0.0/10, 203.0.113.8/29]",
         "f:20:29: found 203.0.113.8/29, which lies in the pool's 203.0.113.0/28 on line 16, "
         "wanted "
         "the subscribers' addresses, which no pool has"},
        {"a realm without a link",
         22,
         "    realm: lab\nrealms: [{name: lab, side: internal}]",
         "f:22:12: found the realm lab, in which no link is, wanted a realm with a link: internal"},
        {"a second policy of a name",
         22,
         "  - {name: all, source: [10.0.0.0/8], pool: main}",
         "f:22:12: found the name \"all\" for a second policy (first on line 19), wanted a name of "
         "its own for each policy"},
        {"an unknown mapping behaviour of one protocol",
         22,
         "    mapping: {udp: symmetric}",
         "f:22:20: found \"symmetric\", wanted endpoint-independent, address-dependent or "
         "address-and-port-dependent"},
        {"an unknown protocol",
         22,
         "    filtering: {sctp: endpoint-independent}",
         "f:22:17: found unknown key \"sctp\" in a setting by protocol, wanted tcp"},
        {"overloading with endpoint-independent mapping",
         22,
         "    port-overloading: true",
         "f:22:23: found port-overloading where an endpoint must be told by its port, wanted "
         "mapping and filtering address-and-port-dependent"},
        {"overloading where one protocol is filtered by address alone",
         22,
         "    mapping: address-and-port-dependent\n"
         "    filtering: {tcp: address-dependent, udp: address-and-port-dependent, icmp: "
         "address-and-port-dependent}\n"
         "    port-overloading: true",
         "f:24:23: found port-overloading where an endpoint must be told by its port, wanted "
         "mapping and filtering address-and-port-dependent"},
        {"an unknown filtering behaviour",
         22,
         "    filtering: none",
         "f:22:16: found \"none\", wanted endpoint-independent, address-dependent or "
         "address-and-port-dependent"},
        {"no sessions",
         22,
         "    limits: {sessions: 0}",
         "f:22:24: found \"0\", wanted a count from 1 to 134217728, with k, M, Ki or Mi if need "
         "be"},
        {"reserves that no limit holds",
         22,
         "    limits: {sessions: 100, tcp: {reserve: 60}, udp: {reserve: 41}}",
         "f:22:13: found reserves of 101 together, wanted at most 100, the subscriber's sessions "
         "and ports"},
        {"nothing exempt",
         22,
         "    exempt: []",
         "f:22:13: found an empty list, wanted a list of destinations, such as [192.0.2.0/24]"},
        {"an exempt destination in a pool",
         22,
         "    exempt: [192.0.2.0/24, 203.0.113.8/29]",
         "f:22:28: found 203.0.113.8/29, which lies in the pool's 203.0.113.0/28 on line 16, "
         "wanted destinations that no pool has"},
        {"an exempt destination that nobody can have",
         22,
         "    exempt: [224.0.0.0/4]",
         "f:22:14: found \"224.0.0.0/4\", wanted unicast addresses (RFC 1812 5.3.7)"},
        {"an exemption for no ports",
         22,
         "    exempt: [{destination: 192.0.2.0/24, ports: 0}]",
         "f:22:49: found \"0\", wanted a port or a range of ports from 1 to 65535, such as 80 or "
         "8000-8015"},
        {"an exemption without its ports",
         22,
         "    exempt: [{destination: 192.0.2.0/24}]",
         "f:22:14: found an exemption without ports, wanted the key ports"},
        {"an unknown refusal",
         22,
         "    refusal: reject",
         "f:22:14: found \"reject\", wanted host-unreachable, administratively-prohibited or "
         "silent"},
        {"a protocol that passes by more than its address",
         22,
         "    address-only: [gre, udp]",
         "f:22:25: found \"udp\", wanted sctp, dccp, udp-lite, gre or esp"},
        {"one of them twice",
         22,
         "    address-only: [gre, esp, gre]",
         "f:22:30: found gre a second time, wanted each once"},
        {"an unknown limit",
         22,
         "    limits: {session: 1}",
         "f:22:14: found unknown key \"session\" in a policy's limits, wanted sessions"},
    });
}

TEST_CASE("a policy that names no realm wants a link in the default one", "[config]") {
    std::string text = base_with(6, "    realm: lab");
    text += "realms: [{name: lab, side: internal}]\n";
    CHECK(
        mistakes_of(text) ==
        "f:19:5: found the realm internal, in which no link is, wanted a realm with a link: lab"
    );
    CHECK(mistakes_of(base_with(20, "    source: [0.0.0.0/0]")).empty());
}

TEST_CASE("tracking of windows is checked", "[config][window]") {
    const std::string untold =
        "f:22:17: found tcp-window: log without a log that tells of it, wanted invalid among "
        "log.events";
    check({
        {"a word", 22, "    tcp-window: on", "f:22:17: found \"on\", wanted off, log or drop"},
        {"a log of nothing", 22, "    tcp-window: log", untold},
        {"a log of other things", 22, "    tcp-window: log\nlog: {file: /l}", untold},
    });
}

TEST_CASE("a segment size to clamp to is checked", "[config][mss]") {
    const std::string wanted = ", wanted off, path-mtu or a whole number from 536 to 9176";
    check({
        {"too small", 22, "    mss-clamp: 535", "f:22:16: found \"535\"" + wanted},
        {"too large", 22, "    mss-clamp: 9177", "f:22:16: found \"9177\"" + wanted},
        {"a word", 22, "    mss-clamp: on", "f:22:16: found \"on\"" + wanted},
    });
}

TEST_CASE("timeouts by remote port are checked", "[config][timeouts]") {
    const auto line = [](const std::string& entries) {
        return "timeouts: {by-remote-port: [" + entries + "]}";
    };
    check({
        {"UDP below two minutes to a port that is not well known",
         22,
         line("{protocol: udp, ports: 1023-1024, timeout: 119}"),
         "f:22:72: found \"119\", wanted a duration from 120 to 604800 seconds (RFC 4787 REQ-5), "
         "such as 300, 300s, 5m or 2h"},
        {"TCP below two hours and four minutes, to any port",
         22,
         line("{protocol: tcp, ports: 22, timeout: 2h}"),
         "f:22:65: found \"2h\", wanted a duration from 7440 to 604800 seconds (RFC 5382 REQ-5), "
         "such as 300, 300s, 5m or 2h"},
        {"a protocol without ports",
         22,
         line("{protocol: icmp, ports: 22, timeout: 60}"),
         "f:22:40: found \"icmp\", wanted udp or tcp"},
        {"no port",
         22,
         line("{protocol: udp, ports: 0, timeout: 60}"),
         "f:22:52: found \"0\", wanted a port or a range of ports from 1 to 65535, such as 80 or "
         "8000-8015"},
        {"a port twice",
         22,
         line("{protocol: udp, ports: 50-60, timeout: 60}, {protocol: udp, ports: 60, timeout: "
              "60}, {protocol: tcp, ports: 60, timeout: 3h}"),
         "f:22:73: found a second timeout for ports of 60-60, wanted each port of a protocol once"},
        {"no list",
         22,
         "timeouts: {by-remote-port: 53}",
         "f:22:28: found \"53\", wanted a list such as [{protocol: udp, ports: 53, timeout: 10s}]"},
    });
}

TEST_CASE("timeouts below the RFCs' minimum are refused", "[config][rfc5382-req5]") {
    const auto wanted = [](const std::string& place,
                           const std::string& found,
                           const std::string& low,
                           const std::string& source) {
        return "f:22:" + place + ": found \"" + found + "\", wanted a duration from " + low +
               " to 604800 seconds" + source + ", such as 300, 300s, 5m or 2h";
    };
    check({
        {"udp", 22, "timeouts: {udp: 119}", wanted("17", "119", "120", " (RFC 4787 REQ-5)")},
        {"tcp-established",
         22,
         "timeouts: {tcp-established: 2h}",
         wanted("29", "2h", "7440", " (RFC 5382 REQ-5)")},
        {"tcp-transitory",
         22,
         "timeouts: {tcp-transitory: 239}",
         wanted("28", "239", "240", " (RFC 5382 REQ-5)")},
        {"icmp", 22, "timeouts: {icmp: 59s}", wanted("18", "59s", "60", " (RFC 5508 REQ-2)")},
        {"tcp-closing", 22, "timeouts: {tcp-closing: 0}", wanted("25", "0", "1", "")},
        {"fragment",
         22,
         "timeouts: {fragment: 1}",
         "f:22:22: found \"1\", wanted a duration from 2 to 120 seconds (RFC 6146 3.4), such as "
         "300, 300s, 5m or 2h"},
        {"too few fragments",
         22,
         "limits: {fragments: 511}",
         "f:22:21: found \"511\", wanted a count from 512 to 65536, with k, M, Ki or Mi if need "
         "be"},
        {"a number in quotes",
         22,
         "timeouts: {udp: '300'}",
         "f:22:17: found \"300\" in quotes, wanted a duration from 120 to 604800 seconds (RFC 4787 "
         "REQ-5), such as 300, "
         "300s, 5m or 2h"},
    });
    CHECK(mistakes_of(base_with(22, "timeouts: {tcp-closing: 10, udp: 2m, tcp-established: 124m}"))
              .empty());
}

namespace {

// One after the other, on lines from 23 on.
std::string statics(std::initializer_list<const char*> entries) {
    std::string text = "static-mappings:";
    for (const char* entry : entries) {
        text += std::string("\n  - {") + entry + "}";
    }
    return text;
}

}  // namespace

TEST_CASE("static mappings are checked", "[config]") {
    constexpr auto kWeb =
        "internal-src-address: 100.64.0.9, external-src-address: 203.0.113.5, internal-src-port: "
        "80";
    check({
        {"none",
         22,
         "static-mappings: []",
         "f:22:18: found an empty list, wanted a list of mappings, each with internal-src-address "
         "and external-src-address"},
        {"without an external address",
         22,
         statics({"internal-src-address: 100.64.0.9"}),
         "f:23:5: found a static mapping without external-src-address, wanted the key "
         "external-src-address"},
        {"an address that no pool has",
         22,
         statics({"internal-src-address: 100.64.0.9, external-src-address: 203.0.113.16"}),
         "f:23:62: found 203.0.113.16, which no pool has, wanted an address of a pool"},
        {"a link's own address",
         22,
         statics({"internal-src-address: 100.64.0.1, external-src-address: 203.0.113.5"}),
         "f:23:28: found 100.64.0.1, the link int0's own address, wanted a subscriber's address"},
        {"a host whom no policy covers",
         22,
         statics({"internal-src-address: 10.0.0.9, external-src-address: 203.0.113.5"}),
         "f:23:28: found 10.0.0.9 in the realm internal, whom no policy covers, wanted a "
         "subscriber "
         "of a policy"},
        {"a realm outside",
         22,
         statics({"realm: external, internal-src-address: 100.64.0.9, external-src-address: "
                  "203.0.113.5"}),
         "f:23:13: found \"external\", wanted the name of a realm on the internal side"},
        {"no access for anybody",
         22,
         statics({"internal-src-address: 100.64.0.9, external-src-address: 203.0.113.5, access: "
                  "[]"}),
         "f:23:83: found an empty list, wanted a list of the remote hosts that may begin, such as "
         "[192.0.2.0/24]"},
        {"port 0",
         22,
         statics({"internal-src-address: 100.64.0.9, external-src-address: 203.0.113.5, "
                  "internal-src-port: 0-80"}),
         "f:23:94: found \"0-80\", wanted a range of ports from 1 to 65535, such as 1024-65535"},
        {"a port beyond the last",
         22,
         statics({"internal-src-address: 100.64.0.9, external-src-address: 203.0.113.5, "
                  "internal-src-port: 65536"}),
         "f:23:94: found \"65536\", wanted a port or a range of ports from 1 to 65535, such as 80 "
         "or 8000-8015"},
        {"runs of two lengths",
         22,
         statics({"internal-src-address: 100.64.0.9, external-src-address: 203.0.113.5, "
                  "internal-src-port: 80-89, external-src-port: 80-88"}),
         "f:23:120: found 9 external ports for 10 internal ones, wanted as many on either side"},
        {"an external port of a whole address",
         22,
         statics({"internal-src-address: 100.64.0.9, external-src-address: 203.0.113.5, "
                  "external-src-port: 80"}),
         "f:23:94: found \"80\" of a whole address, wanted internal-src-port as well"},
        {"an unknown protocol",
         22,
         statics({"internal-src-address: 100.64.0.9, external-src-address: 203.0.113.5, "
                  "internal-src-port: 80, transport-protocol: icmp"}),
         "f:23:118: found \"icmp\", wanted tcp, udp or [tcp, udp]"},
        {"an external port twice",
         22,
         statics(
             {kWeb,
              "internal-src-address: 100.64.0.10, external-src-address: 203.0.113.5, "
              "internal-src-port: 70-90"}
         ),
         "f:24:63: found 203.0.113.5:70-90, of which the static mapping on line 23 has a part, "
         "wanted one internal endpoint for an external one"},
        {"an internal port twice",
         22,
         statics(
             {kWeb,
              "internal-src-address: 100.64.0.9, external-src-address: 203.0.113.5, "
              "internal-src-port: 80, external-src-port: 81, transport-protocol: udp"}
         ),
         "f:24:28: found 100.64.0.9:80, of which the static mapping on line 23 has a part, wanted "
         "one external endpoint for an internal one"},
        {"a port of an address that is given away whole",
         22,
         statics({"internal-src-address: 100.64.0.10, external-src-address: 203.0.113.5", kWeb}),
         "f:24:62: found 203.0.113.5:80, of which the static mapping on line 23 has a part, wanted "
         "one internal endpoint for an external one"},
        {"the same number for two protocols is no mistake",
         22,
         statics(
             {"internal-src-address: 100.64.0.9, external-src-address: 203.0.113.5, "
              "internal-src-port: 80, transport-protocol: tcp",
              "internal-src-address: 100.64.0.10, external-src-address: 203.0.113.5, "
              "internal-src-port: 80, transport-protocol: udp"}
         ),
         ""},
    });
}

TEST_CASE("a pool's address is no subscriber's", "[config]") {
    CHECK(
        mistakes_of(
            base_with(20, "    source: [0.0.0.0/0]") +
            "static-mappings:\n"
            "  - {internal-src-address: 203.0.113.7, external-src-address: 203.0.113.5}\n"
        ) == "f:23:28: found 203.0.113.7, an address of a pool, wanted a subscriber's address"
    );
}
