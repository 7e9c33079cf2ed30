// The tests' own tools: a builder or a store that lies would make every other test worthless.
#include <stdexcept>

#include <catch2/catch.hpp>

#include "support/heap_store.h"
#include "support/packet_builder.h"

namespace sekisho::test {
namespace {

using namespace packet;  // NOLINT: tests of this module

}  // namespace

TEST_CASE("the builder's bytes are those of a packet that a real stack has sent", "[support]") {
    // 10.0.0.1:1234 > 10.0.0.2:53, UDP, payload "abc", TTL 64, id 1; made with scapy 2.5.
    const ByteVector expected = {0x02, 0,    0,    0,  0,    2,    0x02, 0,   0,  0, 0,    1,
                                 0x08, 0,    0x45, 0,  0,    31,   0,    1,   0,  0, 64,   17,
                                 0x66, 0xcb, 10,   0,  0,    1,    10,   0,   0,  2, 0x04, 0xd2,
                                 0,    53,   0,    11, 0x22, 0x6c, 'a',  'b', 'c'};
    const auto built =
        frame().ipv4("10.0.0.1", "10.0.0.2").ip_id(1).udp(1234, 53).payload("abc").bytes();
    CHECK(built == expected);
    CHECK(checksums_ok(expected));
}

TEST_CASE(
    "every kind that the builder makes has right checksums, and the decoder reads it back",
    "[support]"
) {
    const auto udp = frame().ipv4("100.64.0.5", "192.0.2.1").udp(1000, 53).payload("x");
    const auto tcp =
        frame().ipv4("100.64.0.5", "192.0.2.1").tcp(1, 2, kSyn | kAck).tcp_options({2, 4, 5, 0xb4});
    struct Row {
        PacketBuilder packet;
        const char* text;
    };
    const Row rows[] = {
        {udp, "100.64.0.5:1000 > 192.0.2.1:53 udp ttl 64 1 bytes"},
        {PacketBuilder(udp).vlan(100).ip_options({1, 1, 1}).ttl(9),
         "vlan 100 100.64.0.5:1000 > 192.0.2.1:53 udp ttl 9 1 bytes"},
        {tcp, "100.64.0.5:1 > 192.0.2.1:2 tcp SA ttl 64"},
        {frame().ipv4("1.2.3.4", "5.6.7.8").echo_request(7, 3),
         "1.2.3.4 > 5.6.7.8 icmp 8/0 id 7 seq 3 ttl 64"},
        {frame().ipv4("9.9.9.9", "100.64.0.5").icmp_error(3, 1, udp.l3()),
         "9.9.9.9 > 100.64.0.5 icmp 3/1 ttl 64 [100.64.0.5:1000 > 192.0.2.1:53 udp ttl 64 1 "
         "bytes]"},
    };
    for (const Row& row : rows) {
        CHECK(describe(row.packet.bytes()) == row.text);
        CHECK(checksums_ok(row.packet.bytes()));
    }
    const auto arp = frame().arp_request(kHostMac, "10.0.0.1", "10.0.0.2").bytes();
    CHECK(describe(arp) == "arp who has 10.0.0.2 tell 10.0.0.1");
}

TEST_CASE("one changed byte anywhere behind the Ethernet header is a wrong checksum", "[support]") {
    const auto udp = frame().ipv4("100.64.0.5", "192.0.2.1").udp(1000, 53).payload("x");
    const ByteVector frames[] = {
        udp.bytes(),
        frame().ipv4("100.64.0.5", "192.0.2.1").tcp(1, 2, kAck).payload("data").bytes(),
        frame().ipv4("9.9.9.9", "100.64.0.5").icmp_error(3, 1, udp.l3()).bytes(),
    };
    for (const auto& good : frames) {
        for (size_t at = kEthernetHeader; at < good.size(); ++at) {
            auto bad = good;
            bad[at] ^= 0x10;
            CAPTURE(at);
            CHECK_FALSE(checksums_ok(bad));
        }
    }
    CHECK(checksums_ok(PacketBuilder(udp).l4_checksum(0).bytes()));
    CHECK_FALSE(checksums_ok(PacketBuilder(udp).l4_checksum(0xbeef).bytes()));
}

TEST_CASE("an error that quotes a header with a wrong checksum is found out", "[support]") {
    const auto quoted = frame().ipv4("1.2.3.4", "5.6.7.8").udp(1, 2).ip_checksum(0x1111).l3();
    CHECK_FALSE(checksums_ok(frame().ipv4("9.9.9.9", "1.2.3.4").icmp_error(3, 1, quoted).bytes()));
}

TEST_CASE("the heap store counts what is out and refuses beyond its limit", "[support]") {
    HeapStore store(3);
    const PacketRef a = store.allocate();
    const PacketRef b = store.make(frame().ipv4("1.2.3.4", "5.6.7.8").udp(1, 2).bytes(), LinkId{4});
    CHECK(a.length == 0);
    CHECK(a.headroom == kBufferHeadroom);
    CHECK(b.in_link == LinkId{4});
    CHECK(describe(bytes_of(b)) == "1.2.3.4:1 > 5.6.7.8:2 udp ttl 64");
    CHECK(store.in_use() == 2);
    store.limit(2);
    CHECK(store.allocate().handle == nullptr);
    CHECK(store.refusals() == 1);
    store.limit(3);
    const PacketRef c = store.allocate();
    CHECK(c.handle != nullptr);
    CHECK(store.allocate().handle == nullptr);
    store.free(std::array{a, b, c});
    CHECK(store.in_use() == 0);
}

TEST_CASE(
    "the heap store finds a double free, a stranger and a ref outside its buffer", "[support]"
) {
    HeapStore store(2);
    HeapStore other(1);
    PacketRef a = store.allocate();
    const PacketRef stranger = other.allocate();
    CHECK_THROWS_AS(store.free_one(stranger), std::logic_error);
    CHECK_THROWS_AS(store.free_one(PacketRef{}), std::logic_error);
    a.length = a.frame_length = 100;
    CHECK_NOTHROW(store.sync(a));
    a.data += 4;  // headroom not told
    CHECK_THROWS_AS(store.sync(a), std::logic_error);
    a.data -= 4;
    a.length = a.frame_length = kBufferRoom + 1;
    CHECK_THROWS_AS(store.sync(a), std::logic_error);
    store.free_one(a);
    CHECK_THROWS_AS(store.free_one(a), std::logic_error);
    other.free_one(stranger);
}

}  // namespace sekisho::test
