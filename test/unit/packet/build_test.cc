#include "packet/build.h"

#include <catch2/catch.hpp>

#include "support/heap_store.h"
#include "support/packet_builder.h"

namespace sekisho::test {
namespace {

using namespace packet;  // NOLINT: tests of this module

}  // namespace

TEST_CASE(
    "an ARP frame is byte for byte what the builder makes, with no tag, one and two",
    "[packet][rfc826]"
) {
    HeapStore store(1);
    const std::vector<uint16_t> tag_sets[] = {{}, {100}, {300, 100}};
    for (const auto& tags : tag_sets) {
        PacketRef packet = store.allocate();
        build_arp(
            packet,
            kBroadcastMac,
            tags,
            {ArpView::kRequest, kRouterMac, ip("100.64.0.1"), {}, ip("100.64.0.5")}
        );
        auto expected = frame().arp_request(kRouterMac, "100.64.0.1", "100.64.0.5");
        for (size_t i = 0; i < tags.size(); ++i) {
            expected.vlan(tags[i], i + 1 < tags.size() ? kEtherQinq : kEtherVlan);
        }
        CHECK(bytes_of(packet) == expected.bytes());
        CHECK(packet.frame_length == packet.length);
        CHECK_NOTHROW(store.sync(packet));
        store.free_one(packet);
    }
}

TEST_CASE("an ARP reply goes to the asker and names both", "[packet][rfc826]") {
    HeapStore store(1);
    PacketRef packet = store.allocate();
    build_arp(
        packet,
        kHostMac,
        {},
        {ArpView::kReply, kRouterMac, ip("100.64.0.1"), kHostMac, ip("100.64.0.5")}
    );
    const auto bytes = bytes_of(packet);
    CHECK(describe(bytes) == "arp 100.64.0.1 is at 02:00:00:00:00:02");
    CHECK(decode(bytes).to == kHostMac);
    const auto view = ArpView::at(Bytes(bytes).subspan(kEthernetHeader));
    REQUIRE(view);
    CHECK(view->target_mac() == kHostMac);
    CHECK(view->target() == ip("100.64.0.5"));
    store.free_one(packet);
}

TEST_CASE("a link header never has more than two tags", "[packet]") {
    uint8_t bytes[22 + 1];
    bytes[22] = 0x5a;
    const uint16_t three[] = {1, 2, 3};
    CHECK(write_l2_header(bytes, kHostMac, kRouterMac, three, kEtherIpv4) == 22);
    CHECK(bytes[22] == 0x5a);
}

}  // namespace sekisho::test
