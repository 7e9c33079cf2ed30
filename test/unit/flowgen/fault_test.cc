// Each kind of fault that a far end should find, made on purpose.
#include <catch2/catch.hpp>

#include "far_ends.h"

using namespace sekisho;
using namespace sekisho::test;

namespace {

constexpr size_t kL3 = packet::kEthernetHeader;
constexpr size_t kL4 = flowgen::kL4;

struct Wrong {
    const char* what;
    Fault fault;
    std::function<void(PacketRef&)> spoil;
};

void flip(PacketRef& packet, size_t at) {
    packet.data[at] ^= 0x04;
}

void flip_and_mend(PacketRef& packet, size_t at) {
    flip(packet, at);
    mend(packet);
}

// The frame has been translated right; outbound it leaves from the external endpoint, inbound it comes to the internal one.
std::vector<Wrong> wrongs(Protocol protocol, Direction direction) {
    const bool outbound = direction == Direction::kOutbound;
    const size_t payload = flowgen::payload_offset(protocol);
    const bool icmp = protocol == Protocol::kIcmp;
    const size_t l4_checksum = kL4 + (protocol == Protocol::kTcp ? 16 : icmp ? 2 : 6);
    std::vector<Wrong> all = {
        {"address chosen",
         Fault::kAddress,
         [=](PacketRef& p) { flip_and_mend(p, outbound ? kL3 + 15 : kL3 + 19); }},
        {"address of the peer",
         Fault::kAddress,
         [=](PacketRef& p) { flip_and_mend(p, outbound ? kL3 + 19 : kL3 + 15); }},
        {"port or identifier chosen",
         Fault::kPort,
         [=](PacketRef& p) {
             flip_and_mend(p, icmp ? kL4 + 4 : outbound ? kL4 : kL4 + 2);
         }},
        {"IPv4 checksum", Fault::kIpChecksum, [](PacketRef& p) { flip(p, kL3 + 10); }},
        {"IPv4 header without its checksum",
         Fault::kIpChecksum,
         [](PacketRef& p) { flip(p, kL3 + 1); }},
        {"transport checksum", Fault::kL4Checksum, [=](PacketRef& p) { flip(p, l4_checksum); }},
        {"payload", Fault::kL4Checksum, [=](PacketRef& p) { flip(p, payload); }},
        {"payload, checksum made to fit",
         Fault::kPayload,
         [=](PacketRef& p) { flip_and_mend(p, payload + 5); }},
        {"payload behind the tag, checksum made to fit",
         Fault::kPayload,
         [](PacketRef& p) { flip_and_mend(p, p.length - 1U); }},
        {"direction of the tag",
         Fault::kPayload,
         [=](PacketRef& p) {  // with a check that fits
             p.data[payload + 4] ^= 1;
             const auto words = packet::load<uint64_t>(p.data + payload);
             packet::store(p.data + payload + 8, flowgen::Tag::check_of(words));
             mend(p);
         }},
        {"station", Fault::kLinkAddress, [](PacketRef& p) { flip(p, 3); }},
        {"sender's link address", Fault::kLinkAddress, [](PacketRef& p) { flip(p, 9); }},
        {"TTL not lowered",
         Fault::kHeader,
         [](PacketRef& p) {
             ++p.data[kL3 + 8];
             mend(p);
         }},
        {"Ethernet type", Fault::kForeign, [](PacketRef& p) { flip(p, 12); }},
        {"IPv4 version", Fault::kForeign, [](PacketRef& p) { p.data[kL3] = 0x65; }},
        {"length beyond the frame", Fault::kForeign, [](PacketRef& p) { flip(p, kL3 + 2); }},
    };
    if (!icmp) {
        all.push_back({"port of the peer", Fault::kPort, [=](PacketRef& p) {
                           flip_and_mend(p, outbound ? kL4 + 2 : kL4);
                       }});
    }
    if (protocol == Protocol::kUdp) {
        all.push_back({"UDP checksum left out", Fault::kL4Checksum, [](PacketRef& p) {
                           packet::store<uint16_t>(p.data + kL4 + 6, 0);
                       }});
    }
    return all;
}

const char* name_of(Protocol protocol) {
    return protocol == Protocol::kUdp ? "udp" : protocol == Protocol::kTcp ? "tcp" : "icmp";
}

void check_each(Protocol protocol, Direction direction) {
    for (const Wrong& wrong : wrongs(protocol, direction)) {
        INFO(name_of(protocol) << ", direction " << int(direction) << ": " << wrong.what);
        FarEnds ends(
            std::string("size=90,subscribers=10,sessions=10,protocol=") + name_of(protocol)
        );
        ends.pass(Direction::kOutbound);
        ends.pass(Direction::kInbound);
        unsigned count = 0;
        ends.pass(direction, [&](PacketRef& packet) {
            if (count++ == 40) {
                wrong.spoil(packet);
            }
            return 1U;
        });
        auto& at = direction == Direction::kOutbound ? ends.internet() : ends.subscribers();
        auto& elsewhere = direction == Direction::kOutbound ? ends.subscribers() : ends.internet();
        CHECK(at.checker().faults().read(wrong.fault) == 1);
        CHECK(elsewhere.checker().faults().total() == 0);
        // A frame that does not say whose it is, is missed as well.
        const bool unknown = wrong.fault == Fault::kForeign || wrong.fault == Fault::kPayload ||
                             wrong.fault == Fault::kL4Checksum;
        const uint64_t losses = at.checker().faults().read(Fault::kLoss);
        CHECK(at.checker().faults().total() == 1 + losses);
        CHECK(losses <= (unknown ? 1 : 0));
    }
}

}  // namespace

TEST_CASE("each kind of wrong frame is found and named", "[flowgen]") {
    for (const Protocol protocol : {Protocol::kUdp, Protocol::kTcp, Protocol::kIcmp}) {
        check_each(protocol, Direction::kOutbound);
        check_each(protocol, Direction::kInbound);
    }
}

TEST_CASE("frames that never come, come twice or late are counted", "[flowgen]") {
    for (const Direction direction : {Direction::kOutbound, Direction::kInbound}) {
        FarEnds ends;
        ends.pass(Direction::kOutbound);
        ends.pass(Direction::kInbound);
        auto& at = direction == Direction::kOutbound ? ends.internet() : ends.subscribers();
        unsigned count = 0;
        PacketRef kept;
        ends.pass(direction, [&](PacketRef& packet) {
            ++count;
            if (count == 50) {
                kept = ends.store.make({packet.data, packet.length});
            }
            return count % 10 == 1 ? 0U : count == 20 ? 3U : 1U;
        });
        CHECK(at.checker().faults().read(Fault::kLoss) == 10);
        CHECK(at.checker().faults().read(Fault::kDuplicate) == 2);
        CHECK(at.checker().faults().total() == 12);
        count = 0;
        ends.pass(direction, [&](PacketRef&) {
            if (++count == 1) {
                at.send({&kept, 1});
            }
            return 1U;
        });
        CHECK(at.checker().faults().read(Fault::kLate) == 1);
        CHECK(at.checker().faults().total() == 13);
    }
}

TEST_CASE(
    "a subscriber's own address in the Internet is a fault, also the first time", "[flowgen]"
) {
    FarEnds ends;
    ends.pass(Direction::kOutbound, [](PacketRef& packet) {
        packet.data[kL3 + 12] = 10;
        mend(packet);
        return 1U;
    });
    CHECK(ends.internet().checker().faults().read(Fault::kAddress) == 100);
    CHECK(ends.internet().checker().faults().total() == 100);
}

TEST_CASE("a session behind another endpoint is one fault, then it is known there", "[flowgen]") {
    FarEnds ends;
    ends.pass(Direction::kOutbound);
    const auto move = [](PacketRef& packet) {
        packet.data[kL4 + 1] ^= 0x40;
        mend(packet);
        return 1U;
    };
    ends.pass(Direction::kOutbound, move);
    CHECK(ends.internet().checker().faults().read(Fault::kPort) == 100);
    ends.pass(Direction::kOutbound, move);
    CHECK(ends.internet().checker().faults().total() == 100);
}

TEST_CASE(
    "a sample of one in 64 finds what is wrong all the time, and misses what is not looked at",
    "[flowgen]"
) {
    FarEnds ends("flows=6400,subscribers=100,sessions=64,check=sample");
    ends.subscribers().send_pass();
    while (!ends.subscribers().is_pass_over()) {
        ends.carry(Direction::kOutbound, [](PacketRef& packet) {
            flip(packet, kL3 + 10);
            return 1U;
        });
    }
    ends.internet().set_checks(FlowgenQueue::Checks::kAll);  // looks at the one that it has put by
    CHECK(ends.internet().checker().faults().read(Fault::kIpChecksum) == 100);
    CHECK(ends.internet().checker().faults().total() == 100);
}

TEST_CASE(
    "a foreign frame is found in any sample, and its bytes never come out again", "[flowgen]"
) {
    FarEnds ends("flows=6400,subscribers=100,sessions=64,size=imix,check=sample");
    const std::vector<uint8_t> garbage(1200, 0xa5);
    for (unsigned i = 0; i < 2000; ++i) {
        PacketRef packet = ends.store.make(garbage);
        ends.internet().send({&packet, 1});
    }
    CHECK(ends.internet().checker().faults().read(Fault::kForeign) == 2000);
    ends.internet().set_checks(FlowgenQueue::Checks::kAll);
    CHECK(ends.pass(Direction::kOutbound) == 6400);
    CHECK(ends.internet().checker().faults().total() == 2000);
}

TEST_CASE("what the appliance has made in a peer's buffer is found in any sample", "[flowgen]") {
    FarEnds ends("flows=100,subscribers=10,sessions=10,check=sample", LinkId{0});
    const std::vector<uint8_t> garbage(1200, 0xa5);
    for (unsigned i = 0; i < 200; ++i) {
        PacketRef packet = ends.store.make(garbage, LinkId{0}, packet::kGenerated);
        ends.internet().send({&packet, 1});
    }
    CHECK(ends.internet().checker().faults().read(Fault::kForeign) == 200);
    for (unsigned i = 0; i < 200; ++i) {
        PacketRef packet = ends.store.make(garbage, LinkId{2});
        ends.internet().send({&packet, 1});
    }
    CHECK(ends.internet().checker().faults().read(Fault::kForeign) == 400);
}

TEST_CASE("a frame of another profile is found in any sample", "[flowgen]") {
    FarEnds others("flows=200,subscribers=10,sessions=20");
    FarEnds ends("flows=100,subscribers=10,sessions=10,check=sample");
    unsigned strange = 0;
    others.pass(Direction::kOutbound, [&](PacketRef& packet) {
        PacketRef copy = ends.store.make(bytes_of(packet));
        ends.internet().send({&copy, 1});
        strange += ends.internet().checker().is_ours(packet) ? 0 : 1;
        return 1U;
    });
    CHECK(strange == 100);
    CHECK(ends.internet().checker().faults().read(Fault::kPayload) == 100);
}

TEST_CASE("garbage of any length is a foreign frame, never more", "[flowgen]") {
    FarEnds ends;
    uint32_t state = 1;
    unsigned sent = 0;
    for (unsigned length = 1; length < 1600; length += 7) {
        std::vector<uint8_t> bytes(length);
        for (uint8_t& byte : bytes) {
            state = state * 1664525 + 1013904223;
            byte = static_cast<uint8_t>(state >> 24);
        }
        PacketRef packet = ends.store.make(bytes);
        ends.internet().send({&packet, 1});
        ++sent;
    }
    CHECK(ends.internet().checker().faults().read(Fault::kForeign) == sent);
    CHECK(ends.internet().checker().faults().total() == sent);
    CHECK(ends.pass(Direction::kInbound) == 0);
}

TEST_CASE("untouched frames are held against their checksums and tag alone", "[flowgen]") {
    FarEnds ends;
    ends.internet().set_translated(false);
    ends.subscribers().send_pass();
    std::array<PacketRef, packet::kBurst> burst;
    unsigned carried = 0;
    while (!ends.subscribers().is_pass_over()) {
        const unsigned count = ends.subscribers().receive(burst);
        carried += count;
        if (carried == 96) {
            flip(burst[0], kL4 + 20);
        }
        ends.internet().send(std::span(burst).first(count));
    }
    CHECK(carried == 100);
    CHECK(ends.internet().checker().faults().read(Fault::kL4Checksum) == 1);
    CHECK(ends.internet().checker().faults().total() == 1);
    CHECK(ends.internet().endpoint(5).learnt == 0);
}
