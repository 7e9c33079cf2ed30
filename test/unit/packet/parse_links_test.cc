// Ethernet, VLAN tags and ARP through parse: whose frame is it, and which link has it come by.
#include <catch2/catch.hpp>

#include "parsed.h"

namespace sekisho::test {
namespace {

using namespace packet;  // NOLINT: tests of this module

PacketBuilder a_udp() {
    return frame().ipv4("100.64.0.5", "192.0.2.1").udp(1000, 53);
}

// Device 0: untagged, VLAN 100, VLAN 200, QinQ 300/100. Device 1: VLAN 100 only.
std::vector<LinkView> tagged_links() {
    std::vector<LinkView> links(5, two_links()[0]);
    links[1].vlans[0] = 100;
    links[1].internal = false;
    links[1].realm = kExternalRealm;
    links[2].vlans[0] = 200;
    links[2].mac = mac("02:00:00:00:00:99");
    links[3].vlans[0] = 300;
    links[3].vlans[1] = 100;
    links[4].vlans[0] = 100;
    links[4].device = 1;
    return links;
}

}  // namespace

TEST_CASE("a frame goes to the link of its device that has its VLAN tags", "[packet]") {
    struct Row {
        const char* what;
        PacketBuilder packet;
        uint8_t first_link;
        int link;  // -1: unknown-vlan
    };
    const MacAddr other = mac("02:00:00:00:00:99");
    const Row rows[] = {
        {"untagged", a_udp(), 0, 0},
        {"one tag", a_udp().vlan(100), 0, 1},
        {"one tag, link already known", a_udp().vlan(100), 1, 1},
        {"an 802.1ad tag alone", a_udp().vlan(100, kEtherQinq), 0, 1},
        {"another tag, another station address", a_udp().vlan(200).mac(kHostMac, other), 0, 2},
        {"QinQ", a_udp().vlan(300, kEtherQinq).vlan(100), 0, 3},
        {"QinQ with two 802.1Q tags", a_udp().vlan(300).vlan(100), 0, 3},
        {"QinQ the wrong way round", a_udp().vlan(100).vlan(300), 0, -1},
        {"an unknown tag", a_udp().vlan(101), 0, -1},
        {"only the outer tag known", a_udp().vlan(100).vlan(101), 0, -1},
        {"the same tag on another device", a_udp().vlan(100), 4, 4},
        {"untagged on a device with tags only", a_udp(), 4, -1},
        {"a tag of the other device", a_udp().vlan(200), 4, -1},
        {"a priority tag counts as none", a_udp().vlan(0), 0, 0},
        {"a priority tag before a tag", a_udp().vlan(0).vlan(100), 0, 1},
        {"tag 4095 with priority bits set", a_udp().vlan(0xf000 | 100), 0, 1},
    };
    const auto links = tagged_links();
    for (const Row& row : rows) {
        CAPTURE(row.what);
        const auto p = parse_frame(row.packet.bytes(), LinkId{row.first_link}, 0, links);
        if (row.link < 0) {
            CHECK(outcome(p.meta) == "unknown-vlan");
            continue;
        }
        CHECK(outcome(p.meta) == "pass");
        CHECK(p.ref.in_link.value == row.link);
        CHECK(
            (p.meta.direction == Direction::kInbound) ==
            !links[static_cast<size_t>(row.link)].internal
        );
        CHECK(p.meta.key.source_port().host() == 1000);
    }
}

TEST_CASE("offsets count the tags", "[packet]") {
    const auto links = tagged_links();
    CHECK(parse_frame(a_udp().vlan(100).bytes(), LinkId{0}, 0, links).meta.l3_offset == 18);
    const auto p = parse_frame(a_udp().vlan(300).vlan(100).bytes(), LinkId{0}, 0, links);
    CHECK(p.meta.l3_offset == 22);
    CHECK(p.meta.l4_offset == 42);
}

TEST_CASE("a third tag is no IPv4", "[packet]") {
    const auto p =
        parse_frame(a_udp().vlan(300).vlan(100).vlan(7).bytes(), LinkId{0}, 0, tagged_links());
    CHECK(outcome(p.meta) == "not-ipv4");
}

TEST_CASE("every shorter frame of a QinQ packet is a named drop", "[packet]") {
    const auto whole = a_udp().vlan(300, kEtherQinq).vlan(100).bytes();
    for (size_t size = 0; size < whole.size(); ++size) {
        const auto p = parse_frame(Bytes(whole).first(size), LinkId{0}, 0, tagged_links());
        CAPTURE(size);
        const char* expected = size < 22   ? "truncated-frame"
                               : size < 42 ? "truncated-ip"
                                           : "bad-ip-length";
        CHECK(outcome(p.meta) == expected);
    }
}

TEST_CASE(
    "a frame for another station is dropped; broadcast and multicast carry no IPv4 through",
    "[packet][rfc1812]"
) {
    struct Row {
        const char* destination;
        const char* ipv4;
        const char* ipv6;
        const char* arp;
    };
    const Row rows[] = {
        {"02:00:00:00:00:02", "pass", "not-ipv4", "neighbour"},
        {"02:00:00:00:00:03", "foreign-mac", "foreign-mac", "foreign-mac"},
        {"02:00:00:00:01:02", "foreign-mac", "foreign-mac", "foreign-mac"},
        {"ff:ff:ff:ff:ff:ff", "link-broadcast", "not-ipv4", "neighbour"},
        {"01:00:5e:00:00:01", "link-broadcast", "not-ipv4", "foreign-mac"},
    };
    const auto arp = frame().arp_request(kHostMac, "100.64.0.5", "100.64.0.1");
    const auto ipv6 = frame().ether_type(0x86dd).payload("six");
    for (const Row& row : rows) {
        CAPTURE(row.destination);
        const MacAddr to = mac(row.destination);
        CHECK(outcome(a_udp().mac(kHostMac, to)) == row.ipv4);
        CHECK(outcome(PacketBuilder(ipv6).mac(kHostMac, to)) == row.ipv6);
        CHECK(outcome(PacketBuilder(arp).mac(kHostMac, to)) == row.arp);
    }
}

TEST_CASE(
    "a packet from a ring or on its second half is not asked for its station address again",
    "[packet]"
) {
    const auto foreign = a_udp().mac(kHostMac, mac("02:00:00:00:00:77"));
    CHECK(outcome(foreign) == "foreign-mac");
    CHECK(outcome(foreign, kInternalLink, kCounted) == "pass");
    CHECK(outcome(foreign, kInternalLink, kHairpin) == "pass");
}

TEST_CASE("an 802.3 length field is no IPv4", "[packet]") {
    CHECK(outcome(frame().ether_type(0x0026).payload_size(38)) == "not-ipv4");
}

TEST_CASE("ARP goes to the slow path if it is for Ethernet and IPv4", "[packet][rfc826]") {
    const auto whole = frame().arp_request(kHostMac, "100.64.0.5", "100.64.0.1").bytes();
    const auto p = parse_frame(whole);
    CHECK(outcome(p.meta) == "neighbour");
    CHECK(p.meta.kind == PacketKind::kArp);
    CHECK(p.meta.l3_offset == 14);
    struct Row {
        size_t at;
        uint8_t value;
        const char* outcome;
    };
    const Row rows[] = {
        {14, 1, "malformed-arp"},
        {15, 2, "malformed-arp"},
        {16, 9, "malformed-arp"},
        {18, 8, "malformed-arp"},
        {19, 16, "malformed-arp"},
        {21, 0, "malformed-arp"},
        {21, 3, "malformed-arp"},
        {21, 2, "neighbour"},
    };
    for (const Row& row : rows) {
        auto changed = whole;
        changed[row.at] = row.value;
        CAPTURE(row.at, int{row.value});
        CHECK(outcome(parse_frame(changed).meta) == row.outcome);
    }
}

TEST_CASE("the appliance's own frames get their offsets and nothing else", "[packet]") {
    const auto foreign = a_udp().mac(kRouterMac, kHostMac).vlan(55).ttl(3);
    for (const uint8_t flag : {kGenerated, kRouteOnly}) {
        const auto p = parse_frame(foreign.bytes(), kInternalLink, flag);
        CHECK(outcome(p.meta) == "pass");
        CHECK(p.meta.l3_offset == 18);
        CHECK(p.meta.l4_offset == 38);
        CHECK(p.meta.l3_length == 28);
        CHECK(p.meta.ttl == 3);
        const auto arp = frame().arp_request(kRouterMac, "100.64.0.1", "100.64.0.5");
        const auto q = parse_frame(arp.bytes(), kInternalLink, flag);
        CHECK(outcome(q.meta) == "pass");
        CHECK(q.meta.kind == PacketKind::kArp);
    }
}

TEST_CASE("a link that does not exist is a bug, counted, not a crash", "[packet]") {
    CHECK(outcome(a_udp(), LinkId{9}) == "internal-error");
}

}  // namespace sekisho::test
