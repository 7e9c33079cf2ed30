#include "cases.h"

using namespace sekisho::config;

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
         "huge-pages, idle and local-host"},
        {"a very long one too",
         2,
         "  " + std::string(100, 'x') + ": 1",
         "f:2:3: found unknown key \"" + std::string(80, 'x') +
             "...\" in system, wanted one of name, workers, shards, huge-pages, idle and "
             "local-host"},
        {"a repeated key names the first",
         17,
         "    ports: 1024-65535\n    ports: 2048-65535",
         "f:18:5: found the key \"ports\" a second time (first on line 17), wanted each key once"},
        {"a missing key", 21, "", "f:19:5: found a policy without pool, wanted the key pool"},
        {"a list as a key",
         2,
         "  [a]: 1",
         "f:2:3: found a list as a key, wanted one of name, workers, shards, huge-pages, idle and "
         "local-host"},
        {"a scalar in place of a map",
         15,
         "  - main\n  - name: main",
         "f:15:5: found \"main\", wanted a map with name, addresses, ports, port-block-size, "
         "blocks-per-subscriber, port-selection, port-ranges, overflow-pool, port-quarantine, "
         "port-quarantine-ports, reserved-ports, reserved-addresses, block-release-delay, "
         "block-max-age, keep-first-block, pairing, port-parity, port-contiguity, "
         "unsolicited-syn and answer-pings"},
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
         "udp, icmp, association, tunnel, fragment and by-remote-port"},
    });
}

TEST_CASE("a tab in the indentation is named", "[config]") {
    const std::string tab = " found a tab in the indentation, wanted blanks";
    CHECK(mistakes_of(base_with(2, "\tworkers: 1")) == "f:2:1:" + tab);
    CHECK(mistakes_of(base_with(5, "  \t device: af_packet:i0")) == "f:5:3:" + tab);
    CHECK(mistakes_of(base_with(2, "  workers: 1\n  \t# a remark")) == "f:3:3:" + tab);
    CHECK(mistakes_of(base_with(7, "    addresses: [\n\t100.64.0.1/10]")).empty());
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
         "address once in a realm"},
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
         "its own for each link of a realm"},
        {"the later one is named, also if it is the wider one",
         11,
         "    addresses: [198.51.100.2/24]\n  - {name: e1, device: 'tap:t', realm: external, "
         "addresses: [198.51.1.1/16]}",
         "f:12:62: found 198.51.0.0/16, which overlaps 198.51.100.0/24 on line 11, wanted a prefix "
         "of its own for each link of a realm"},
        {"one prefix on both sides",
         7,
         "    addresses: [198.51.100.3/24]",
         "f:11:17: found 198.51.100.0/24, which overlaps 198.51.100.0/24 on line 7, wanted "
         "prefixes inside and outside that have no address in common (RFC 4787 REQ-7)"},
    });
}

TEST_CASE("devices are checked", "[config]") {
    const std::string available =
        "pci:ADDRESS, af_xdp:IF, af_packet:IF, tap:NAME, memif:SOCKET,server or client, "
        "vhost:SOCKET, virtio_user:SOCKET, pcap:IN,OUT, pcap-loop:IN, null or "
        "flowgen:PROFILE";
    const std::string interface = "wanted an interface name of 1 to 15 characters, such as ";
    const std::string pci = ", wanted a PCI address DDDD:BB:DD.F, such as pci:0000:03:00.0";
    check({
        {"an unknown kind", 5, "    device: eth0", "f:5:13: found \"eth0\", wanted " + available},
        {"a size that flowgen has not",
         5,
         "    device: 'flowgen:role=internet,size=63'",
         "f:5:13: found \"size=63\", wanted size=imix or bytes from 64 to 1514"},
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
         "f:5:13: found \"pcap:in.pcap\", wanted a file to read and another to write, such as "
         "pcap:in.pcap,out.pcap"},
        {"a capture file read and written at once",
         5,
         "    device: pcap:/tmp/a,/tmp/./a",
         "f:5:13: found \"pcap:/tmp/a,/tmp/./a\", wanted a file to read and another to write, such "
         "as pcap:in.pcap,out.pcap"},
    });
}

TEST_CASE("what the drivers' own language has another meaning for is refused by name", "[config]") {
    const auto other = [](const std::string& sign) {
        return ", wanted a name without " + sign + ", which means something else to DPDK";
    };
    check({
        {"memif with =",
         5,
         "    device: memif:/run/a=b,server",
         "f:5:13: found \"memif:/run/a=b,server\"" + other("=")},
        {"vhost with [",
         5,
         "    device: vhost:/run/a[1",
         "f:5:13: found \"vhost:/run/a[1\"" + other("[")},
        {"virtio_user with ]",
         5,
         "    device: virtio_user:/run/a]",
         "f:5:13: found \"virtio_user:/run/a]\"" + other("]")},
        {"vhost with a quote",
         5,
         "    device: 'vhost:/run/a\"'",
         "f:5:13: found \"vhost:/run/a\"\"" + other("\"")},
        {"tap with =", 5, "    device: tap:a=b", "f:5:13: found \"tap:a=b\"" + other("=")},
        {"a capture with [",
         5,
         "    device: pcap-loop:/tmp/[a].pcap",
         "f:5:13: found \"pcap-loop:/tmp/[a].pcap\"" + other("[")},
        {"a written capture with =",
         5,
         "    device: pcap:/tmp/a,/tmp/b=c",
         "f:5:13: found \"pcap:/tmp/a,/tmp/b=c\"" + other("=")},
    });
}

TEST_CASE("devices with a socket, a loop or nothing are checked", "[config]") {
    const std::string socket = "an absolute path of at most 107 bytes";
    const std::string memif =
        "wanted " + socket + " and server or client, such as memif:/run/cgn.sock,server";
    const std::string loop = "wanted a file to read over and over, such as pcap-loop:in.pcap";
    const std::string null = "wanted null alone: it has no argument";
    const std::string too_long = "vhost:/" + std::string(107, 'v');
    check({
        {"memif without a role",
         5,
         "    device: memif:/run/m.sock",
         "f:5:13: found \"memif:/run/m.sock\", " + memif},
        {"memif in a role that there is not",
         5,
         "    device: memif:/run/m.sock,master",
         "f:5:13: found \"memif:/run/m.sock,master\", " + memif},
        {"memif on a relative path",
         5,
         "    device: memif:m.sock,client",
         "f:5:13: found \"memif:m.sock,client\", " + memif},
        {"vhost without a path",
         5,
         "    device: 'vhost:'",
         "f:5:13: found \"vhost:\", wanted " + socket + ", such as vhost:/run/cgn.sock"},
        {"a socket path that the kernel cannot hold",
         5,
         "    device: " + too_long,
         "f:5:13: found \"" + too_long.substr(0, 80) + "...\", wanted " + socket +
             ", such as vhost:/run/cgn.sock"},
        {"virtio_user on a folder",
         5,
         "    device: virtio_user:/run/",
         "f:5:13: found \"virtio_user:/run/\", wanted " + socket +
             ", such as virtio_user:/run/cgn.sock"},
        {"pcap-loop without a file",
         5,
         "    device: 'pcap-loop:'",
         "f:5:13: found \"pcap-loop:\", " + loop},
        {"pcap-loop with a file to write",
         5,
         "    device: pcap-loop:a,b",
         "f:5:13: found \"pcap-loop:a,b\", " + loop},
        {"null with an argument", 5, "    device: null:0", "f:5:13: found \"null:0\", " + null},
        {"null with an empty argument",
         5,
         "    device: 'null:'",
         "f:5:13: found \"null:\", " + null},
        {"a socket in two roles",
         9,
         "    device: memif:/run/m,server\n    vlan: 7\n    realm: external\n"
         "    addresses: [192.0.2.2/24]\n  - name: e1\n    device: memif:/run/./m,client",
         "f:14:13: found \"memif:/run/./m,client\", opened as \"memif:/run/m,server\" on line 9, "
         "wanted one driver for a device"},
        {"a socket under two drivers",
         9,
         "    device: vhost:/run/m\n    vlan: 7\n    realm: external\n"
         "    addresses: [192.0.2.2/24]\n  - name: e1\n    device: virtio_user:/run/m",
         "f:14:13: found \"virtio_user:/run/m\", opened as \"vhost:/run/m\" on line 9, wanted one "
         "driver for a device"},
    });
}

TEST_CASE("neighbours with a written link address are checked", "[config]") {
    const auto with = [](const std::string& neighbours) {
        return mistakes_of(base_with(14, "neighbours:\n" + neighbours + "\npools:"));
    };
    const std::string good = "  - {address: 198.51.100.1, mac: 02:00:00:00:00:01}";
    CHECK(with(good).empty());
    CHECK(
        with("  - {address: 198.51.100.256, mac: 02:00:00:00:00:01}") ==
        "f:15:15: found \"198.51.100.256\", wanted the IPv4 address of a neighbour"
    );
    for (const std::string mac :
         {"02:00:00:00:00", "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00", "x"}) {
        CHECK(
            with("  - {address: 198.51.100.1, mac: \"" + mac + "\"}") ==
            "f:15:34: found \"" + mac +
                "\", wanted the link address of one neighbour, such as 02:00:00:00:00:01"
        );
    }
    CHECK(
        with("  - {address: 198.51.100.2, mac: 02:00:00:00:00:01}") ==
        "f:15:15: found the neighbour 198.51.100.2, the link ext0's own address, wanted the "
        "address "
        "of a neighbour"
    );
    CHECK(
        with("  - {address: 192.0.2.1, mac: 02:00:00:00:00:01}") ==
        "f:15:15: found the neighbour 192.0.2.1, to which no link leads, wanted a neighbour in a "
        "link's own prefix"
    );
    CHECK(
        with(good + "\n" + good) ==
        "f:16:15: found the neighbour 198.51.100.1 a second time (first on line 15), wanted one "
        "link address for a neighbour"
    );
    CHECK(
        with("  - {address: 198.51.100.1}") ==
        "f:15:5: found a neighbour without mac, wanted the key mac"
    );
    std::string taken =
        base_with(14, "neighbours: [{address: 198.51.100.9, mac: 02:00:00:00:00:01}]\npools:");
    taken.replace(taken.find("203.0.113.0/28"), 14, "198.51.100.9");
    CHECK(
        mistakes_of(taken) ==
        "f:17:17: found 198.51.100.9, which holds 198.51.100.9, the neighbour on line 14, wanted "
        "pool "
        "addresses that no neighbour has"
    );
}

TEST_CASE("links do not write each other's capture files", "[config]") {
    const auto with = [](const std::string& first, const std::string& second) {
        std::string text = base_with(5, "    device: pcap:" + first);
        const std::string old = "af_packet:e0";
        text.replace(text.find(old), old.size(), "pcap:" + second);
        return mistakes_of(text);
    };
    const auto refused = [](const std::string& second, const std::string& file) {
        return "f:9:13: found \"pcap:" + second + "\", whose file \"" + file +
               "\" is also the device's on line 5, wanted a file to write that no other device has";
    };
    CHECK(with("/a,/out", "/b,/out") == refused("/b,/out", "/out"));
    CHECK(with("/a,/out", "/b,/x/../out") == refused("/b,/x/../out", "/out"));
    CHECK(with("/a,/b", "/b,/c") == refused("/b,/c", "/b"));
    CHECK(with("/a,/b", "/c,/a") == refused("/c,/a", "/a"));
    CHECK(with("/a,/b", "/a,/c").empty());
    std::string looped = base_with(5, "    device: pcap-loop:/a");
    looped.replace(looped.find("af_packet:e0"), 12, "pcap:/b,/a");
    CHECK(mistakes_of(looped) == refused("/b,/a", "/a"));
    looped.replace(looped.find("pcap:/b,/a"), 10, "pcap:/a,/b");
    CHECK(mistakes_of(looped).empty());
    CHECK(with("/a,/dev/null", "/b,/dev/null").empty());
}

TEST_CASE("links on one device have the same queues", "[config]") {
    const auto with = [](const std::string& first, const std::string& second) {
        std::string text = base_with(11, "    addresses: [198.51.100.2/24]\n    vlan: 7" + second);
        const std::string old = "af_packet:e0";
        text.replace(text.find(old), old.size(), "af_packet:i0" + first);
        return mistakes_of(text);
    };
    CHECK(with("", "").empty());
    CHECK(
        with("", "\n    queues: 2") ==
        "f:9:13: found \"af_packet:i0\" with queues other than those on line 5, wanted the same "
        "queues for all links of a device"
    );
    CHECK(
        with("", "\n    queues: many") ==
        "f:13:13: found \"many\", wanted a whole number from 1 to 64"
    );
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
        {"a next hop that is the network",
         13,
         "  - {prefix: 0.0.0.0/0, next-hop: 198.51.100.0}",
         "f:13:35: found the next hop 198.51.100.0, the first address of the link ext0's prefix, "
         "wanted the address of a neighbour"},
        {"a next hop that is everybody",
         13,
         "  - {prefix: 0.0.0.0/0, next-hop: 198.51.100.255}",
         "f:13:35: found the next hop 198.51.100.255, the last address of the link ext0's prefix, "
         "wanted the address of a neighbour"},
        {"multicast",
         13,
         "  - {prefix: 224.0.0.0/4, next-hop: 198.51.100.1}",
         "f:13:14: found \"224.0.0.0/4\", wanted a prefix of unicast destinations (RFC 1812 "
         "5.3.7)"},
        {"loopback",
         13,
         "  - {prefix: 127.0.0.1/32, next-hop: 198.51.100.1}",
         "f:13:14: found \"127.0.0.1/32\", wanted a prefix of unicast destinations (RFC 1812 "
         "5.3.7)"},
        {"a prefix twice",
         13,
         "  - {prefix: 0.0.0.0/0, next-hop: 198.51.100.1}\n  - {prefix: 0.0.0.0/0, next-hop: "
         "198.51.100.7}",
         "f:14:14: found the prefix 0.0.0.0/0 a second time (first on line 13), wanted one route "
         "for a prefix in a realm"},
        {"an unreadable link address causes no second mistake",
         11,
         "    addresses: [198.51.100/24]",
         "f:11:17: found \"198.51.100/24\", wanted an own IPv4 address with the link's prefix "
         "length, such as 192.0.2.1/24"},
    });
}

TEST_CASE("wide routes and links without network addresses are accepted", "[config]") {
    CHECK(mistakes_of(base_with(
                          13,
                          "  - {prefix: 0.0.0.0/1, next-hop: 198.51.100.1}\n"
                          "  - {prefix: 128.0.0.0/1, next-hop: 198.51.100.1}"
                      ))
              .empty());
    std::string text = base_with(11, "    addresses: [198.51.100.1/31]");  // RFC 3021
    const std::string old = "next-hop: 198.51.100.1";
    text.replace(text.find(old), old.size(), "next-hop: 198.51.100.0");
    CHECK(mistakes_of(text).empty());
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
        {"a folder for a socket",
         22,
         "control: {socket: /run/..}",
         "f:22:19: found \"/run/..\", wanted the absolute path of a socket, at most 107 bytes"},
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
