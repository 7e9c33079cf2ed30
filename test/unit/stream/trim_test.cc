#include "stream/trim.h"

#include <catch2/catch.hpp>

#include "heap_store.h"
#include "packet/checksum.h"
#include "packet_builder.h"

namespace sekisho::stream {
namespace {

constexpr uint8_t kFlags = packet::kAck | packet::kPsh | packet::kFin | packet::kUrg;

struct Trimmed {
    std::vector<uint8_t> frame;
    packet::Ipv4View ip() const {
        return *packet::Ipv4View::at(packet::Bytes(frame).subspan(packet::kEthernetHeader));
    }
    packet::TcpView tcp() const { return *packet::TcpView::at(ip().payload()); }
    std::string payload() const {
        const auto bytes = tcp().payload();
        return {bytes.begin(), bytes.end()};
    }
    bool verifies() const {
        const auto l4 = ip().payload();
        const uint64_t pseudo = packet::pseudo_header_sum(
            ip().source(), ip().destination(), Protocol::kTcp, static_cast<uint16_t>(l4.size())
        );
        return packet::verifies(ip().header()) && packet::verifies(l4, pseudo);
    }
};

Trimmed trim(const Judgement& judgement) {
    test::HeapStore store(1);
    auto builder = test::frame()
                       .ipv4("100.64.0.5", "192.0.2.1")
                       .tcp(4000, 80, kFlags)
                       .tcp_options({1, 1, 1, 1})
                       .sequence(0xfffffffe)
                       .payload("0123456789");
    PacketRef packet = store.make(builder.bytes());
    trim_segment(packet, packet::kEthernetHeader, judgement);
    CHECK(packet.length == packet.frame_length);
    Trimmed trimmed{test::bytes_of(packet)};
    store.free_one(packet);
    return trimmed;
}

}  // namespace

TEST_CASE("of a segment passes what it is cut to, with lengths and checksums", "[stream]") {
    Judgement judgement;
    judgement.skip = 4;
    judgement.length = 3;
    judgement.without_fin = true;
    const Trimmed trimmed = trim(judgement);
    CHECK(trimmed.payload() == "456");
    CHECK(trimmed.tcp().sequence() == 2);
    CHECK(trimmed.tcp().flags() == (packet::kAck | packet::kPsh));
    CHECK(trimmed.ip().total_length() == 20 + 24 + 3);
    CHECK(trimmed.frame.size() == packet::kEthernetHeader + 20 + 24 + 3);
    CHECK(trimmed.verifies());
}

TEST_CASE("a segment without payload keeps its sequence number", "[stream]") {
    Judgement judgement;
    judgement.without_fin = true;
    const Trimmed trimmed = trim(judgement);
    CHECK(trimmed.payload().empty());
    CHECK(trimmed.tcp().sequence() == 0xfffffffe);
    CHECK(trimmed.verifies());
}

TEST_CASE("the urgent byte is one like the others", "[stream]") {
    Judgement judgement;
    judgement.length = 10;
    const Trimmed trimmed = trim(judgement);
    CHECK(trimmed.payload() == "0123456789");
    CHECK(trimmed.tcp().flags() == (packet::kAck | packet::kPsh | packet::kFin));
    CHECK(trimmed.verifies());
}

TEST_CASE("a packet's segment is what its headers say", "[stream]") {
    test::HeapStore store(1);
    auto builder = test::frame()
                       .vlan(7)
                       .ipv4("100.64.0.5", "192.0.2.1")
                       .ip_options({1, 1, 1, 1})
                       .tcp(4000, 80, packet::kAck | packet::kPsh)
                       .tcp_options({1, 1, 1, 1, 1, 1, 1, 1})
                       .sequence(0x80000001)
                       .payload("odd");
    PacketRef packet = store.make(builder.bytes());
    const uint16_t l3 = packet::kEthernetHeader + packet::kVlanTag;
    const auto segment = segment_of(packet, l3);
    REQUIRE(segment);
    CHECK(segment->sequence == 0x80000001);
    CHECK(segment->flags == (packet::kAck | packet::kPsh));
    CHECK(std::string(segment->payload.begin(), segment->payload.end()) == "odd");
    CHECK(has_right_checksum(packet, l3));
    packet.data[packet.length - 1] ^= 1;
    CHECK(!has_right_checksum(packet, l3));
    ++packet.frame_length;  // more of it is in another buffer
    CHECK(!segment_of(packet, l3));
    --packet.frame_length;
    packet.length = packet.frame_length =
        static_cast<uint16_t>(packet.length - 4);  // in the header
    CHECK(!segment_of(packet, l3));
    store.free_one(packet);
}

}  // namespace sekisho::stream
