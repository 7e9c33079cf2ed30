// A subscriber's limits by protocol, with what is kept for each; what the refused are told; and room that is made.
#include <catch2/catch.hpp>

#include "cluster.h"

namespace sekisho::test {
namespace {

using nat::MakeResult;
using nat::Refusal;

// How many sessions of a protocol subscriber 1 can open from one port after another, at most `most`.
unsigned open_many(Cluster& c, Protocol protocol, unsigned most, uint16_t first_port = 1000) {
    for (unsigned n = 0; n < most; ++n) {
        const auto internal = static_cast<uint16_t>(first_port + n);
        if (c.open(protocol, subscriber(1), internal).kind != MakeResult::kMade) {
            return n;
        }
    }
    return most;
}

nat::NatSettings limited(const nat::SubscriberLimits& limits) {
    nat::NatSettings s = lab();
    s.policies[0].limits = limits;
    return s;
}

DropReason reason_of_next(Cluster& c, Protocol protocol) {
    return c.open(protocol, subscriber(1), 60000).reason;
}

}  // namespace

TEST_CASE("sessions and ports are limited by protocol", "[nat][rfc6888-req4b]") {
    nat::SubscriberLimits limits{.sessions = 100, .ports = 100};
    SECTION("sessions") {
        limits.udp.sessions = 10;
        Cluster c(limited(limits));
        CHECK(open_many(c, Protocol::kUdp, 50) == 10);
        CHECK(reason_of_next(c, Protocol::kUdp) == DropReason::kSubscriberSessionLimit);
        CHECK(open_many(c, Protocol::kTcp, 50) == 50);
    }
    SECTION("ports") {
        limits.udp.ports = 10;
        Cluster c(limited(limits));
        CHECK(open_many(c, Protocol::kUdp, 50) == 10);
        CHECK(reason_of_next(c, Protocol::kUdp) == DropReason::kSubscriberPortLimit);
        // A further session of a port that it has wants no port.
        CHECK(c.open(Protocol::kUdp, subscriber(1), 1000, kRemote, 81).kind == MakeResult::kMade);
        CHECK(open_many(c, Protocol::kTcp, 50) == 50);
    }
}

TEST_CASE(
    "the reserve of one protocol is there when others have taken all they can",
    "[nat][rfc6888-req4]"
) {
    nat::SubscriberLimits limits{.sessions = 100, .ports = 100};
    limits.icmp.reserve = 5;
    limits.tcp.reserve = 20;
    Cluster c(limited(limits));
    CHECK(open_many(c, Protocol::kUdp, 200) == 75);
    CHECK(open_many(c, Protocol::kTcp, 200) == 20);
    CHECK(open_many(c, Protocol::kIcmp, 200) == 5);
    CHECK(reason_of_next(c, Protocol::kIcmp) == DropReason::kSubscriberSessionLimit);
}

TEST_CASE("mappings are limited apart from sessions", "[nat][rfc6888-req5]") {
    Cluster c(limited({.sessions = 100, .ports = 100, .mappings = 7}));
    CHECK(open_many(c, Protocol::kUdp, 50) == 7);
    CHECK(reason_of_next(c, Protocol::kUdp) == DropReason::kSubscriberMappingLimit);
    CHECK(c.open(Protocol::kUdp, subscriber(1), 1000, kRemote, 81).kind == MakeResult::kMade);
    CHECK(c.open(Protocol::kUdp, subscriber(2), 1000).kind == MakeResult::kMade);
}

TEST_CASE("TCP openings without a handshake are limited", "[nat][rfc6888-req5]") {
    Cluster c(limited({.sessions = 1000, .ports = 1000, .half_open = 8}));
    CHECK(open_many(c, Protocol::kTcp, 50) == 8);
    CHECK(reason_of_next(c, Protocol::kTcp) == DropReason::kSubscriberHalfOpen);
    CHECK(open_many(c, Protocol::kUdp, 50) == 50);
    // One that completes its handshake makes place for another; so does one that ends.
    const MakeResult known = c.open(Protocol::kTcp, subscriber(1), 1000);
    REQUIRE(known.kind == MakeResult::kMade);
    uint8_t tcp[20] = {};
    tcp[12] = 5 << 4;
    const auto segment = [&](Direction direction, uint8_t flags) {
        tcp[13] = flags;
        c.shard().track(known.session, direction, tcp, c.now);
    };
    segment(Direction::kOutbound, packet::kSyn);
    segment(Direction::kInbound, packet::kSyn | packet::kAck);
    segment(Direction::kOutbound, packet::kAck);
    CHECK(open_many(c, Protocol::kTcp, 50, 2000) == 1);
    const MakeResult other = c.open(Protocol::kTcp, subscriber(1), 1001);
    c.shard().clear_session(other.session, c.now);
    c.shard().end_of_burst();
    CHECK(open_many(c, Protocol::kTcp, 50, 3000) == 1);
}

TEST_CASE("what the sender of a refused packet is told is the policy's", "[nat][rfc6888-req11b]") {
    for (const Refusal answer :
         {Refusal::kHostUnreachable, Refusal::kProhibited, Refusal::kSilent}) {
        nat::NatSettings settings = limited({.sessions = 1});
        settings.policies[0].refusal = answer;
        Cluster c(settings);
        CHECK(open_many(c, Protocol::kUdp, 5) == 1);
        CHECK(c.open(Protocol::kUdp, subscriber(1), 60000).answer == answer);
    }
    Cluster c(lab());
    const MakeResult stranger = c.open(Protocol::kUdp, addr(192, 168, 0, 1), 1000);
    CHECK(stranger.reason == DropReason::kNoPolicy);
    CHECK(stranger.answer == Refusal::kProhibited);
}

TEST_CASE(
    "in a full table the unanswered make room only where that is set", "[nat][rfc6888-req11d]"
) {
    for (const bool make_room : {false, true}) {
        nat::NatSettings settings = lab();
        settings.limits.unreplied_make_room = make_room;
        Cluster c(settings, 1, {.sessions = 64, .mappings = 64, .subscribers = 8});
        std::vector<MakeResult> answered;
        unsigned opened = 0;
        for (uint16_t n = 0; n < 200; ++n) {
            const MakeResult made = c.open(Protocol::kUdp, subscriber(1), 1000 + n);
            if (made.kind == MakeResult::kMade && ++opened % 2 == 0) {
                c.shard().track(made.session, Direction::kOutbound, nullptr, c.now);
                c.shard().track(made.session, Direction::kInbound, nullptr, c.now);
                answered.push_back(made);
            }
            c.shard().end_of_burst();
        }
        for (const MakeResult& made : answered) {
            CHECK((c.shard().session(made.session).flags & flow::kLive) != 0);
        }
        CHECK((c.shard().made_room() > 0) == make_room);
        CHECK((answered.size() > 40) == make_room);
        CHECK(c.shard().session_count() <= 64);
    }
}

}  // namespace sekisho::test
