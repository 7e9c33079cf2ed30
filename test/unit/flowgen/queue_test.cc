#include <catch2/catch.hpp>

#include "far_ends.h"
#include "packet/build.h"

using namespace sekisho;
using namespace sekisho::test;

namespace {

uint8_t tcp_flags(const PacketRef& packet) {
    return packet.data[flowgen::kL4 + 13];
}

}  // namespace

TEST_CASE("both ways through a NAT that does right, no fault is found", "[flowgen]") {
    for (const char* profile :
         {"protocol=udp",
          "protocol=tcp",
          "protocol=icmp",
          "protocol=mix",
          "protocol=mix,size=imix",
          "protocol=udp,fan-out=5",
          "protocol=mix,fan-out=2,size=700"}) {
        FarEnds ends(std::string(profile) + ",subscribers=10,sessions=10");
        for (int turn = 0; turn < 3; ++turn) {
            INFO(profile);
            CHECK(ends.pass(Direction::kOutbound) == 100);
            CHECK(ends.pass(Direction::kInbound) == 100);
        }
        CHECK(ends.subscribers().checker().faults().total() == 0);
        CHECK(ends.internet().checker().faults().total() == 0);
        CHECK(ends.internet().counters().received.read() == 300);
    }
}

TEST_CASE("the Internet answers only what it has received", "[flowgen]") {
    FarEnds ends;
    CHECK(ends.pass(Direction::kInbound) == 0);
    unsigned sent = 0;
    ends.pass(Direction::kOutbound, [&](PacketRef&) { return sent++ < 30 ? 1U : 0U; });
    CHECK(ends.internet().checker().faults().read(Fault::kLoss) == 70);
    CHECK(ends.pass(Direction::kInbound) == 30);
    CHECK(ends.subscribers().checker().faults().total() == 0);
}

TEST_CASE("a TCP session is opened by a handshake of three", "[flowgen]") {
    FarEnds ends("protocol=tcp,subscribers=10,sessions=10");
    std::vector<uint8_t> flags;
    const auto note = [&](PacketRef& packet) {
        flags.push_back(tcp_flags(packet));
        return 1U;
    };
    const auto all_are = [&](uint8_t wanted) {
        const bool same = std::ranges::all_of(flags, [&](uint8_t f) { return f == wanted; });
        const bool whole = flags.size() == 100;
        flags.clear();
        return same && whole;
    };
    ends.pass(Direction::kOutbound, note);
    CHECK(all_are(packet::kSyn));
    ends.pass(Direction::kOutbound, note);  // nothing has come back: again
    CHECK(all_are(packet::kSyn));
    ends.pass(Direction::kInbound, note);
    CHECK(all_are(packet::kSyn | packet::kAck));
    ends.pass(Direction::kOutbound, note);
    CHECK(all_are(packet::kAck));
    ends.pass(Direction::kInbound, note);
    CHECK(all_are(packet::kAck));
}

TEST_CASE("without end, pass follows pass, and what is sent is counted", "[flowgen]") {
    FarEnds ends("flows=50,subscribers=5,sessions=10");
    ends.subscribers().send_endlessly();
    for (int i = 0; i < 100; ++i) {
        CHECK(ends.carry(Direction::kOutbound) > 0);
    }
    CHECK(ends.subscribers().pass() > 40);
    CHECK(ends.subscribers().counters().sent.read() == ends.internet().counters().received.read());
    CHECK(ends.internet().checker().faults().total() == 0);
    ends.subscribers().send_nothing();
    CHECK(ends.carry(Direction::kOutbound) == 0);
}

TEST_CASE("at least so many buffers go round before one comes again", "[flowgen]") {
    FarEnds ends("flows=50,subscribers=5,sessions=10");
    ends.subscribers().send_endlessly();
    std::vector<void*> used;
    while (used.size() < 512) {
        ends.carry(Direction::kOutbound, [&](PacketRef& packet) {
            used.push_back(packet.handle);
            return 1U;
        });
    }
    used.resize(512);
    std::ranges::sort(used);
    CHECK(std::ranges::adjacent_find(used) == used.end());
}

TEST_CASE("buffers that the pipeline keeps are made up for from the store", "[flowgen]") {
    FarEnds ends;
    ends.subscribers().send_endlessly();
    unsigned lost = 0;
    for (int i = 0; i < 400; ++i) {
        ends.carry(Direction::kOutbound, [&](PacketRef&) {
            ++lost;
            return 0U;
        });
    }
    CHECK(lost > 4 * 2048);  // more often than there are buffers
    CHECK(ends.subscribers().counters().no_buffers.read() == 0);
}

TEST_CASE("who only receives keeps no more buffers than he was given", "[flowgen]") {
    HeapStore store(16384, HeapStore::Checking::kFast);
    flowgen::Rotation rotation(store, 1);
    const size_t at_rest = store.in_use();
    CHECK(at_rest == flowgen::kBuffersPerLink + flowgen::kSlack);
    for (int i = 0; i < 10000; ++i) {
        const PacketRef packet = store.allocate();
        REQUIRE(packet.handle != nullptr);
        rotation.put(packet);
        REQUIRE(store.in_use() <= at_rest);
    }
    CHECK(rotation.size() == store.in_use());
}

TEST_CASE("whatever address is asked for, the far end answers", "[flowgen][rfc826]") {
    FarEnds ends;
    const auto ask = [&](Ipv4Addr sender, Ipv4Addr target) {
        PacketRef packet = ends.store.allocate();
        packet::ArpMessage message;
        message.sender_mac = ends.internal_device().mac();
        message.sender = sender;
        message.target = target;
        packet::build_arp(packet, packet::kBroadcastMac, {}, message);
        ends.subscribers().send({&packet, 1});
        PacketRef answer;
        return ends.subscribers().receive({&answer, 1}) == 1 ? answer : PacketRef{};
    };
    const PacketRef answer = ask(Ipv4Addr::of(100, 64, 0, 1), Ipv4Addr::of(100, 64, 0, 9));
    REQUIRE(answer.handle != nullptr);
    const packet::Bytes frame{answer.data, answer.length};
    const auto arp = packet::ArpView::at(frame.subspan(packet::kEthernetHeader));
    REQUIRE(arp);
    CHECK(arp->operation() == packet::ArpView::kReply);
    CHECK(arp->sender() == Ipv4Addr::of(100, 64, 0, 9));
    CHECK(arp->sender_mac() == ends.internal_device().station());
    CHECK(packet::load_mac(answer.data) == ends.internal_device().mac());
    ends.store.free_one(answer);
    // An announcement asks for nothing.
    CHECK(ask(Ipv4Addr::of(100, 64, 0, 1), Ipv4Addr::of(100, 64, 0, 1)).handle == nullptr);
    CHECK(ends.subscribers().checker().faults().total() == 0);
    CHECK(ends.subscribers().counters().others.read() == 2);
}
