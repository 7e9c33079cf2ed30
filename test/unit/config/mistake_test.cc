#include <catch2/catch.hpp>

#include "base_file.h"

using namespace sekisho::config;

namespace {

struct Case {
    const char* sentence;
    int line;
    std::string replacement;
    std::string expected;
};

void check(const std::vector<Case>& cases) {
    for (const Case& c : cases) {
        DYNAMIC_SECTION(c.sentence) {
            CHECK(mistakes_of(base_with(c.line, c.replacement)) == c.expected);
        }
    }
}

}  // namespace

TEST_CASE("the base file of these tests is without a mistake", "[config]") {
    CHECK(mistakes_of(kBaseFile).empty());
}

TEST_CASE("keys are checked against the schema", "[config]") {
    check({
        {"an unknown key names the nearest",
         11,
         "    adresses: [198.51.100.2/24]",
         "f:8:5: found a link without addresses, wanted the key addresses\n"
         "f:11:5: found unknown key \"adresses\" in a link, wanted addresses"},
        {"at the top",
         12,
         "route:",
         "f:12:1: found unknown key \"route\" in the file, wanted routes"},
        {"one that is near to nothing names all",
         2,
         "  colour: red",
         "f:2:3: found unknown key \"colour\" in system, wanted one of name, workers, shards, "
         "huge-pages and idle"},
        {"a very long one too",
         2,
         "  " + std::string(100, 'x') + ": 1",
         "f:2:3: found unknown key \"" + std::string(80, 'x') +
             "...\" in system, wanted one of name, workers, shards, huge-pages and idle"},
        {"a repeated key names the first",
         17,
         "    ports: 1024-65535\n    ports: 2048-65535",
         "f:18:5: found the key \"ports\" a second time (first on line 17), wanted each key once"},
        {"a missing key", 21, "", "f:19:5: found a policy without pool, wanted the key pool"},
        {"a list as a key",
         2,
         "  [a]: 1",
         "f:2:3: found a list as a key, wanted one of name, workers, shards, huge-pages and idle"},
        {"a scalar in place of a map",
         15,
         "  - main\n  - name: main",
         "f:15:5: found \"main\", wanted a map with name, addresses, ports, port-block-size, "
         "blocks-per-subscriber, port-selection, port-quarantine, block-release-delay and pairing"},
        {"a map in place of a list",
         20,
         "    source: {a: 1}",
         "f:20:13: found a map, wanted a list of the subscribers' prefixes, such as "
         "[100.64.0.0/10]"},
        {"a scalar in place of a list",
         7,
         "    addresses: 100.64.0.1/10",
         "f:7:16: found \"100.64.0.1/10\", wanted a list of own addresses, such as [192.0.2.1/24]"},
        {"a list in place of a scalar",
         5,
         "    device: [eth0]",
         "f:5:13: found a list, wanted a device, such as pci:0000:03:00.0 or af_packet:eth0"},
        {"a value that is missing is where its key is",
         5,
         "    device:",
         "f:5:5: found nothing, wanted a device, such as pci:0000:03:00.0 or af_packet:eth0"},
        {"a section that is missing",
         22,
         "timeouts:",
         "f:22:1: found nothing, wanted a map with tcp-established, tcp-transitory, tcp-closing, "
         "udp and icmp"},
    });
}

TEST_CASE("system settings are checked against the machine", "[config]") {
    check({
        {"a worker count above the cores",
         2,
         "  workers: 3",
         "f:2:12: found \"3\", wanted a number of workers from 1 to 2, or a list of CPU numbers: "
         "this machine has 2 "
         "usable CPUs"},
        {"no worker",
         2,
         "  workers: 0",
         "f:2:12: found \"0\", wanted a number of workers from 1 to 2, or a list of CPU numbers: "
         "this machine has 2 "
         "usable CPUs"},
        {"a CPU that is not there",
         2,
         "  workers: [0, 7]",
         "f:2:16: found CPU 7, wanted a usable CPU of this machine: 0, 1"},
        {"a CPU given twice",
         2,
         "  workers: [1, 1]",
         "f:2:16: found CPU 1 a second time, wanted a CPU of its own for each worker"},
        {"an empty list of CPUs",
         2,
         "  workers: []",
         "f:2:12: found an empty list, wanted a number of workers or a list of CPU numbers"},
        {"fewer shards than workers",
         2,
         "  workers: 2\n  shards: 1",
         "f:3:11: found \"1\", wanted a number of shards from 2 (one a worker) to 64"},
        {"too many shards",
         2,
         "  shards: 65",
         "f:2:11: found \"65\", wanted a number of shards from 1 (one a worker) to 64"},
        {"huge-pages",
         2,
         "  huge-pages: yes",
         "f:2:15: found \"yes\", wanted auto, required or never"},
        {"idle", 2, "  idle: lazy", "f:2:9: found \"lazy\", wanted adaptive or busy"},
        {"a name with a blank",
         2,
         "  name: two words",
         "f:2:9: found \"two words\", wanted a name of 1 to 32 letters, digits, '.', '_' and '-', "
         "a letter or digit first"},
    });
}

TEST_CASE("links are checked", "[config]") {
    check({
        {"an unknown realm",
         6,
         "    realm: dmz",
         "f:6:12: found \"dmz\", wanted the name of a realm: external or internal"},
        {"a second link of a name",
         8,
         "  - name: int0",
         "f:8:11: found the name \"int0\" for a second link (first on line 4), wanted a name of "
         "its own for each link"},
        {"an address without length",
         7,
         "    addresses: [100.64.0.1]",
         "f:7:17: found \"100.64.0.1\", wanted an own IPv4 address with the link's prefix length, "
         "such as 192.0.2.1/24"},
        {"a prefix in place of an address",
         7,
         "    addresses: [100.64.0.0/10]",
         "f:7:17: found \"100.64.0.0/10\", wanted a host's address in that prefix, not its first "
         "or last"},
        {"no address",
         7,
         "    addresses: []",
         "f:7:16: found an empty list, wanted a list of own addresses, such as [192.0.2.1/24]"},
        {"an own address twice",
         7,
         "    addresses: [100.64.0.1/10, 100.64.0.1/10]",
         "f:7:32: found the address 100.64.0.1 a second time (first on line 7), wanted an own "
         "address once"},
        {"an MTU below IPv4's",
         7,
         "    addresses: [100.64.0.1/10]\n    mtu: 500",
         "f:8:10: found \"500\", wanted a whole number from 576 to 9216"},
        {"a jumbo MTU",
         7,
         "    addresses: [100.64.0.1/10]\n    mtu: 9000",
         "f:8:10: found \"9000\", wanted at most 1982 (jumbo frames are not available yet)"},
        {"VLAN 4095",
         7,
         "    addresses: [100.64.0.1/10]\n    vlan: 4095",
         "f:8:11: found \"4095\", wanted a whole number from 1 to 4094 (IEEE 802.1Q)"},
        {"VLAN 0 inside",
         7,
         "    addresses: [100.64.0.1/10]\n    vlan: [100, 0]",
         "f:8:17: found \"0\", wanted a whole number from 1 to 4094 (IEEE 802.1Q)"},
        {"three tags",
         7,
         "    addresses: [100.64.0.1/10]\n    vlan: [1, 2, 3]",
         "f:8:11: found a list of 3, wanted one VLAN tag, or two: [outer, inner]"},
        {"a boolean in other words",
         7,
         "    addresses: [100.64.0.1/10]\n    proxy-arp: yes",
         "f:8:16: found \"yes\", wanted true or false"},
        {"no queue",
         7,
         "    addresses: [100.64.0.1/10]\n    queues: 0",
         "f:8:13: found \"0\", wanted a whole number from 1 to 64"},
        {"no external link",
         10,
         "    realm: internal",
         "f:4:3: found no link in a realm on the external side, wanted at least one"},
        {"no internal link",
         6,
         "    realm: external",
         "f:4:3: found no link in a realm on the internal side, wanted at least one"},
        {"a device used twice, untagged",
         9,
         "    device: af_packet:i0",
         "f:9:13: found \"af_packet:i0\" a second time with the same VLAN tags (first on line 5), "
         "wanted a device or a "
         "vlan of its own for each link"},
        {"a device under two drivers",
         9,
         "    device: af_xdp:i0\n    vlan: 5",
         "f:9:13: found \"af_xdp:i0\", opened as \"af_packet:i0\" on line 5, wanted one driver for "
         "a device"},
        {"overlapping prefixes on one side",
         11,
         "    addresses: [198.51.100.2/24]\n  - {name: int1, device: 'tap:t', realm: internal, "
         "addresses: [100.65.0.1/16]}",
         "f:12:64: found 100.65.0.0/16, which overlaps 100.64.0.0/10 on line 7, wanted a prefix of "
         "its own for each link"},
        {"the later one is named, also if it is the wider one",
         11,
         "    addresses: [198.51.100.2/24]\n  - {name: e1, device: 'tap:t', realm: external, "
         "addresses: [198.51.1.1/16]}",
         "f:12:62: found 198.51.0.0/16, which overlaps 198.51.100.0/24 on line 11, wanted a prefix "
         "of its own for each link"},
        {"one prefix on both sides",
         7,
         "    addresses: [198.51.100.3/24]",
         "f:11:17: found 198.51.100.0/24, which overlaps 198.51.100.0/24 on line 7, wanted a "
         "prefix of its own for each link"},
    });
}

TEST_CASE("devices are checked", "[config]") {
    const std::string available = "pci:ADDRESS, af_xdp:IF, af_packet:IF, tap:NAME or pcap:IN,OUT";
    const auto later = [&](const std::string& text, const std::string& name) {
        return "f:5:13: found \"" + text + "\" (" + name + " is not available yet), wanted " +
               available;
    };
    const std::string interface = "wanted an interface name of 1 to 15 characters, such as ";
    const std::string pci = ", wanted a PCI address DDDD:BB:DD.F, such as pci:0000:03:00.0";
    check({
        {"an unknown kind", 5, "    device: eth0", "f:5:13: found \"eth0\", wanted " + available},
        {"memif",
         5,
         "    device: memif:/run/m.sock,server",
         later("memif:/run/m.sock,server", "memif")},
        {"vhost", 5, "    device: vhost:/run/v", later("vhost:/run/v", "vhost")},
        {"virtio_user",
         5,
         "    device: virtio_user:/run/v",
         later("virtio_user:/run/v", "virtio_user")},
        {"pcap-loop", 5, "    device: pcap-loop:a", later("pcap-loop:a", "pcap-loop")},
        {"null", 5, "    device: 'null'", later("null", "null")},
        {"flowgen", 5, "    device: flowgen:imix", later("flowgen:imix", "flowgen")},
        {"a missing argument",
         5,
         "    device: tap",
         "f:5:13: found \"tap\", " + interface + "tap:cgn0"},
        {"an empty argument",
         5,
         "    device: 'af_xdp:'",
         "f:5:13: found \"af_xdp:\", " + interface + "af_xdp:eth0"},
        {"a long interface name",
         5,
         "    device: af_packet:abcdefghijklmnop",
         "f:5:13: found \"af_packet:abcdefghijklmnop\", " + interface + "af_packet:eth0"},
        {"two arguments",
         5,
         "    device: tap:a,b,",
         "f:5:13: found \"tap:a,b,\", " + interface + "tap:cgn0"},
        {"a PCI address without domain",
         5,
         "    device: pci:03:00.0",
         "f:5:13: found \"pci:03:00.0\"" + pci},
        {"a ninth PCI function",
         5,
         "    device: pci:0000:03:00.8",
         "f:5:13: found \"pci:0000:03:00.8\"" + pci},
        {"a PCI address with a letter too far",
         5,
         "    device: pci:000g:03:00.0",
         "f:5:13: found \"pci:000g:03:00.0\"" + pci},
        {"one capture file",
         5,
         "    device: pcap:in.pcap",
         "f:5:13: found \"pcap:in.pcap\", wanted a file to read and a file to write, such as "
         "pcap:in.pcap,out.pcap"},
    });
}

TEST_CASE("routes are checked", "[config]") {
    const std::string shape =
        "wanted an IPv4 prefix with a length from 0 to 32, such as 10.0.0.0/8";
    check({
        {"host bits",
         13,
         "  - {prefix: 10.1.0.0/8, next-hop: 198.51.100.1}",
         "f:13:14: found \"10.1.0.0/8\", wanted 10.0.0.0/8 (no bits set beyond the length)"},
        {"a length of 33",
         13,
         "  - {prefix: 10.0.0.0/33, next-hop: 198.51.100.1}",
         "f:13:14: found \"10.0.0.0/33\", " + shape},
        {"no dotted quad",
         13,
         "  - {prefix: 10/8, next-hop: 198.51.100.1}",
         "f:13:14: found \"10/8\", " + shape},
        {"a next hop that is none",
         13,
         "  - {prefix: 0.0.0.0/0, next-hop: gateway}",
         "f:13:35: found \"gateway\", wanted the IPv4 address of a neighbour"},
        {"a next hop to which no link leads",
         13,
         "  - {prefix: 0.0.0.0/0, next-hop: 192.0.2.1}",
         "f:13:35: found the next hop 192.0.2.1, to which no link leads, wanted a neighbour in a "
         "link's own prefix"},
        {"a next hop that is the appliance",
         13,
         "  - {prefix: 0.0.0.0/0, next-hop: 198.51.100.2}",
         "f:13:35: found the next hop 198.51.100.2, the link ext0's own address, wanted the "
         "address of a neighbour"},
        {"a prefix twice",
         13,
         "  - {prefix: 0.0.0.0/0, next-hop: 198.51.100.1}\n  - {prefix: 0.0.0.0/0, next-hop: "
         "198.51.100.7}",
         "f:14:14: found the prefix 0.0.0.0/0 a second time (first on line 13), wanted one route "
         "for a prefix"},
        {"an unreadable link address causes no second mistake",
         11,
         "    addresses: [198.51.100/24]",
         "f:11:17: found \"198.51.100/24\", wanted an own IPv4 address with the link's prefix "
         "length, such as 192.0.2.1/24"},
    });
}

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
        {"masquerade",
         16,
         "    addresses: [link: ext0]",
         "f:16:17: found masquerade behind the link \"ext0\", which is not available yet, wanted "
         "addresses of the pool's own"},
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
        {"port-selection preserve",
         17,
         "    port-selection: preserve",
         "f:17:21: found \"preserve\", which is not available yet, wanted random or sequential"},
        {"port-selection deterministic",
         17,
         "    port-selection: deterministic",
         "f:17:21: found \"deterministic\", which is not available yet, wanted random or "
         "sequential"},
        {"an unknown port-selection",
         17,
         "    port-selection: best",
         "f:17:21: found \"best\", wanted random or sequential"},
        {"pairing soft",
         17,
         "    pairing: soft",
         "f:17:14: found \"soft\", which is not available yet, wanted hard"},
        {"pairing none",
         17,
         "    pairing: none",
         "f:17:14: found \"none\", which is not available yet, wanted hard"},
        {"a quarantine in days",
         17,
         "    port-quarantine: 1d",
         "f:17:22: found \"1d\", wanted a duration from 0 to 86400 seconds, such as 300, 300s, 5m "
         "or 2h"},
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
        {"a second policy of a name",
         22,
         "  - {name: all, source: [10.0.0.0/8], pool: main}",
         "f:22:12: found the name \"all\" for a second policy (first on line 19), wanted a name of "
         "its own for each policy"},
        {"address-dependent mapping",
         22,
         "    mapping: address-dependent",
         "f:22:14: found \"address-dependent\", which is not available yet, wanted "
         "endpoint-independent"},
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
        {"an unknown limit",
         22,
         "    limits: {session: 1}",
         "f:22:14: found unknown key \"session\" in a policy's limits, wanted sessions"},
    });
}

TEST_CASE(
    "timeouts below the RFCs' minimum are refused",
    "[config][rfc4787-req5][rfc5382-req5][rfc5508-req2]"
) {
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

TEST_CASE("realms, limits and control are checked", "[config]") {
    check({
        {"a built-in realm declared again",
         22,
         "realms: [{name: internal, side: internal}]",
         "f:22:17: found the name \"internal\" for a second realm (it always exists), wanted a "
         "name of its own for each realm"},
        {"an unknown side",
         22,
         "realms: [{name: lab, side: left}]",
         "f:22:28: found \"left\", wanted internal or external"},
        {"no table",
         22,
         "limits: {subscribers: 0}",
         "f:22:23: found \"0\", wanted a count from 1 to 16777216, with k, M, Ki or Mi if need be"},
        {"too many sessions",
         22,
         "limits: {sessions: 129Mi}",
         "f:22:20: found \"129Mi\", wanted a count from 1 to 134217728, with k, M, Ki or Mi if "
         "need be"},
        {"a relative socket",
         22,
         "control: {socket: run/s}",
         "f:22:19: found \"run/s\", wanted the absolute path of a socket, at most 107 bytes"},
        {"a control character in the socket",
         22,
         "control: {socket: \"/run/\\n\"}",
         "f:22:19: found \"/run/\\x0a\", wanted the absolute path of a socket, at most 107 bytes"},
    });
    CHECK(mistakes_of(base_with(22, "control: {socket: /" + std::string(106, 's') + "}")).empty());
    CHECK_FALSE(
        mistakes_of(base_with(22, "control: {socket: /" + std::string(107, 's') + "}")).empty()
    );
}

TEST_CASE("all mistakes are reported, in the order of the file", "[config]") {
    CHECK(
        mistakes_of("policies: [{name: p, source: [10.0.0.0/8], pool: q}]\n"
                    "pools: [{name: r, addresses: [1.2.3.4/31]}]\n"
                    "timeouts: {udp: 1, icmp: x}\n"
                    "limit: {}\n") ==
        "f:1:1: found the file without links, wanted the key links\n"
        "f:1:50: found \"q\", wanted the name of a pool: r\n"
        "f:3:17: found \"1\", wanted a duration from 120 to 604800 seconds (RFC 4787 REQ-5), such "
        "as 300, 300s, 5m or 2h\n"
        "f:3:26: found \"x\", wanted a duration from 60 to 604800 seconds (RFC 5508 REQ-2), such "
        "as 300, 300s, 5m or 2h\n"
        "f:4:1: found unknown key \"limit\" in the file, wanted limits"
    );
}
