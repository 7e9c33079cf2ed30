#include <array>

#include <catch2/catch.hpp>

#include "far_ends.h"
#include "packet/parse.h"

using namespace sekisho;
using namespace sekisho::test;

TEST_CASE("what a far end sends is what the appliance parses", "[flowgen]") {
    struct Row {
        const char* profile;
        PacketKind kind;
    };
    for (const Row& row : {
             Row{"protocol=udp,size=64", PacketKind::kUdp},
             Row{"protocol=udp,size=65", PacketKind::kUdp},
             Row{"protocol=udp,size=1514", PacketKind::kUdp},
             Row{"protocol=udp,size=imix", PacketKind::kUdp},
             Row{"protocol=tcp,size=64", PacketKind::kTcp},
             Row{"protocol=tcp,size=1513", PacketKind::kTcp},
             Row{"protocol=icmp,size=64", PacketKind::kIcmpQuery},
             Row{"protocol=icmp,size=imix", PacketKind::kIcmpQuery},
         }) {
        INFO(row.profile);
        FarEnds ends(std::string(row.profile) + ",subscribers=25,sessions=10");
        packet::LinkView link;
        link.mac = ends.internal_device().mac();
        link.internal = true;
        link.realm = kInternalRealm;
        ends.subscribers().send_pass();
        std::array<PacketRef, packet::kBurst> burst;
        uint32_t seen = 0;
        while (!ends.subscribers().is_pass_over()) {
            const unsigned count = ends.subscribers().receive(burst);
            for (PacketRef& packet : std::span(burst).first(count)) {
                CHECK(packet.headroom >= packet::kBufferHeadroom);
                const PacketRef as_sent = packet;
                PacketRef before = packet;
                mend(before);  // must change nothing
                packet::PacketMeta meta;
                packet::parse_packet(packet, meta, {&link, 1});
                CHECK(meta.verdict == packet::Verdict::kPending);
                CHECK(meta.kind == row.kind);
                CHECK(packet.frame_length == as_sent.frame_length);
                ++seen;
            }
            ends.store.free(std::span(burst).first(count));
        }
        CHECK(seen == 250);
    }
}

TEST_CASE("a frame's checksums are those of a full computation", "[flowgen]") {
    for (const char* profile :
         {"protocol=udp", "protocol=tcp,size=594", "protocol=icmp", "protocol=mix,size=imix"}) {
        FarEnds ends(std::string(profile) + ",subscribers=100,sessions=8");
        ends.subscribers().send_pass();
        std::array<PacketRef, packet::kBurst> burst;
        while (!ends.subscribers().is_pass_over()) {
            const unsigned count = ends.subscribers().receive(burst);
            for (PacketRef& packet : std::span(burst).first(count)) {
                const std::vector<uint8_t> sent = bytes_of(packet);
                mend(packet);
                INFO(profile);
                CHECK(bytes_of(packet) == sent);
            }
            ends.store.free(std::span(burst).first(count));
        }
    }
}

TEST_CASE("imix is seven small frames, four middle and one large", "[flowgen]") {
    FarEnds ends("size=imix,subscribers=12,sessions=10");
    ends.subscribers().send_pass();
    std::array<PacketRef, packet::kBurst> burst;
    unsigned small = 0, middle = 0, large = 0;
    while (!ends.subscribers().is_pass_over()) {
        const unsigned count = ends.subscribers().receive(burst);
        for (const PacketRef& packet : std::span(burst).first(count)) {
            small += packet.length == 64;
            middle += packet.length == 594;
            large += packet.length == 1514;
        }
        ends.store.free(std::span(burst).first(count));
    }
    CHECK(small == 70);
    CHECK(middle == 40);
    CHECK(large == 10);
}
