// Inbound packets: filtering behaviours, and what outsiders may not use up.
#include <catch2/catch.hpp>

#include "cluster.h"

using namespace sekisho;
using namespace sekisho::test;
using nat::AdmitResult;
using nat::FilteringBehaviour;

namespace {

nat::NatSettings filtering(FilteringBehaviour f) {
    nat::NatSettings s = lab();
    s.policies[0].filtering = f;
    return s;
}

const Ipv4Addr kStranger = addr(192, 0, 2, 77);

}  // namespace

TEST_CASE("each filtering behaviour admits just what it should", "[nat][rfc4787-req8]") {
    using enum FilteringBehaviour;
    struct {
        FilteringBehaviour behaviour;
        Ipv4Addr remote;
        uint16_t port;
        AdmitResult::Kind kind;
    } const rows[] = {
        {kEndpointIndependent, kStranger, 1, AdmitResult::kMappingOnly},
        {kEndpointIndependent, kRemote, 81, AdmitResult::kMappingOnly},
        {kEndpointIndependent, kRemote, 80, AdmitResult::kSession},
        {kAddressDependent, kStranger, 80, AdmitResult::kRefused},
        {kAddressDependent, kRemote, 81, AdmitResult::kMappingOnly},
        {kAddressDependent, kRemote, 80, AdmitResult::kSession},
        {kAddressAndPortDependent, kStranger, 80, AdmitResult::kRefused},
        {kAddressAndPortDependent, kRemote, 81, AdmitResult::kRefused},
        {kAddressAndPortDependent, kRemote, 80, AdmitResult::kSession},
    };
    for (const auto& r : rows) {
        CAPTURE(static_cast<int>(r.behaviour), r.port);
        Cluster c(filtering(r.behaviour));
        const auto made = c.open(Protocol::kUdp, subscriber(1), 4000, kRemote, 80);
        const Session s = c.session_of(made, subscriber(1));
        const AdmitResult a = c.inbound(s, r.remote, r.port);
        CHECK(a.kind == r.kind);
        if (r.kind == AdmitResult::kRefused) {
            CHECK(a.reason == DropReason::kFiltered);
        }
        CHECK(c.shard().session_count() == 1);
    }
}

TEST_CASE("a permission lasts as long as a session to the address", "[nat][rfc4787-req8]") {
    Cluster c(filtering(FilteringBehaviour::kAddressDependent));
    const auto a = c.open(Protocol::kUdp, subscriber(1), 4000, kRemote, 80);
    const auto b = c.open(Protocol::kUdp, subscriber(1), 4000, kRemote, 90);
    const auto other = c.open(Protocol::kUdp, subscriber(1), 4000, kStranger, 80);
    const Session s = c.session_of(a, subscriber(1));
    c.shard().clear_session(a.session, c.now);
    CHECK(c.inbound(s, kRemote, 5).kind == AdmitResult::kMappingOnly);
    c.shard().clear_session(b.session, c.now);
    CHECK(c.inbound(s, kRemote, 5).reason == DropReason::kFiltered);
    CHECK(c.inbound(s, kStranger, 5).kind == AdmitResult::kMappingOnly);
    c.shard().clear_session(other.session, c.now);
    CHECK(c.inbound(s, kStranger, 5).reason == DropReason::kNoMapping);
}

TEST_CASE("what nobody has is dropped with its reason", "[nat][rfc5508-req4][pitfall-21]") {
    Cluster c(lab());
    const auto made = c.open(Protocol::kUdp, subscriber(1), 4000);
    Session s = c.session_of(made, subscriber(1));
    s.external_port = static_cast<uint16_t>(s.external_port ^ 0x0100);
    CHECK(c.inbound(s, kRemote, 80).reason == DropReason::kNoMapping);
    s.protocol = static_cast<uint8_t>(Protocol::kIcmp);
    CHECK(c.inbound(s, kRemote, 0).reason == DropReason::kIcmpNoSession);
    s.protocol = static_cast<uint8_t>(Protocol::kTcp);
    CHECK(c.inbound(s, kRemote, 80).reason == DropReason::kNoMapping);
}

TEST_CASE("a TCP segment that opens nothing makes no session", "[nat]") {
    Cluster c(lab());
    const auto made = c.open(Protocol::kTcp, subscriber(1), 4000);
    const Session s = c.session_of(made, subscriber(1));
    for (const uint8_t flags : {packet::kAck, packet::kRst, packet::kFin}) {
        CHECK(c.inbound(s, kStranger, 9, flags).reason == DropReason::kNoSession);
        const FlowKey key = FlowKey::of(
            subscriber(1), kStranger, port(4001), port(80), Protocol::kTcp, kInternalRealm
        );
        const auto refused = c.shard().make_outbound(key, PacketKind::kTcp, flags, c.now);
        CHECK(refused.reason == DropReason::kNoSession);
    }
    CHECK(c.inbound(s, kStranger, 9, packet::kSyn | packet::kAck).reason == DropReason::kNoSession);
    CHECK(c.shard().session_count() == 1);
}

TEST_CASE("unanswered openings from outside are bounded per mapping", "[nat][architecture-3]") {
    Cluster c(lab());
    const auto made = c.open(Protocol::kTcp, subscriber(1), 4000);
    const Session s = c.session_of(made, subscriber(1));
    const uint32_t limit = c.settings().policies[0].limits.inbound_openings;
    for (uint32_t i = 0; i < limit; ++i) {
        REQUIRE(
            c.inbound(s, kStranger, static_cast<uint16_t>(100 + i)).kind == AdmitResult::kSession
        );
    }
    CHECK(c.inbound(s, kStranger, 99).reason == DropReason::kTcpUnsolicited);
    CHECK(c.shard().mapping({s.mapping}).inbound_openings == limit);
    c.pass(241'000);
    CHECK(c.shard().session_count() == 0);
}

TEST_CASE("a completed handshake no longer counts as an opening", "[nat]") {
    Cluster c(lab());
    const auto made = c.open(Protocol::kTcp, subscriber(1), 4000);
    const Session s = c.session_of(made, subscriber(1));
    const auto in = c.inbound(s, kStranger, 100);
    REQUIRE(in.kind == AdmitResult::kSession);
    uint8_t tcp[20] = {};
    tcp[12] = 5 << 4;
    auto segment = [&](Direction d, int flags) {
        tcp[13] = static_cast<uint8_t>(flags);
        c.shard().track(in.session, d, tcp, c.now);
    };
    segment(Direction::kInbound, packet::kSyn);
    segment(Direction::kOutbound, packet::kSyn | packet::kAck);
    CHECK(c.shard().mapping({s.mapping}).inbound_openings == 1);
    segment(Direction::kInbound, packet::kAck);
    CHECK(c.shard().session(in.session).state == SessionState::kTcpEstablished);
    CHECK(c.shard().mapping({s.mapping}).inbound_openings == 0);
    c.shard().clear_session(in.session, c.now);
    CHECK(c.shard().mapping({s.mapping}).inbound_openings == 0);
}

TEST_CASE("outsiders leave a quarter to outbound sessions", "[nat][rfc6888-req5]") {
    nat::NatSettings settings = lab();
    settings.policies[0].limits.inbound_openings = 60000;
    SECTION("of the subscriber's sessions") {
        settings.policies[0].limits.sessions = 40;
        Cluster c(settings);
        const Session s = c.session_of(c.open(Protocol::kTcp, subscriber(1), 4000), subscriber(1));
        for (uint16_t i = 1; i < 30; ++i) {
            REQUIRE(c.inbound(s, kStranger, i).kind == AdmitResult::kSession);
        }
        CHECK(c.inbound(s, kStranger, 99).reason == DropReason::kSubscriberSessionLimit);
        for (uint16_t i = 0; i < 10; ++i) {
            const auto more = c.open(Protocol::kUdp, subscriber(1), 4000, kRemote, i + 1);
            CHECK(more.kind == nat::MakeResult::kMade);
        }
    }
    SECTION("of the table") {
        TableSizes sizes;
        sizes.sessions = 40;
        Cluster c(settings, 1, sizes);
        const Session s = c.session_of(c.open(Protocol::kTcp, subscriber(1), 4000), subscriber(1));
        for (uint16_t i = 1; i < 30; ++i) {
            REQUIRE(c.inbound(s, kStranger, i).kind == AdmitResult::kSession);
        }
        CHECK(c.inbound(s, kStranger, 99).reason == DropReason::kSessionTableFull);
        CHECK(c.open(Protocol::kUdp, subscriber(2), 1).kind == nat::MakeResult::kMade);
    }
}

TEST_CASE(
    "openings from outside are within the subscriber's limits of TCP, and leave it some of each",
    "[nat][rfc6888-req5]"
) {
    nat::NatSettings settings = lab();
    nat::SubscriberLimits& limits = settings.policies[0].limits;
    limits.inbound_openings = 60000;
    limits.sessions = 100;
    uint16_t admitted = 0;
    DropReason reason = DropReason::kSubscriberSessionLimit;
    SECTION("sessions of TCP") {
        limits.tcp.sessions = 40;
        admitted = 30;
    }
    SECTION("what is kept for others") {
        limits.udp.reserve = 35;
        admitted = 40;
    }
    SECTION("connections without a handshake") {
        limits.half_open = 20;
        admitted = 15;
        reason = DropReason::kSubscriberHalfOpen;
    }
    SECTION("one at least is kept") {
        limits.half_open = 2;
        admitted = 1;
        reason = DropReason::kSubscriberHalfOpen;
    }
    Cluster c(settings);
    const Session s = c.session_of(c.open(Protocol::kTcp, subscriber(1), 4000), subscriber(1));
    for (uint16_t i = 1; i < admitted; ++i) {  // the subscriber's own is the first
        REQUIRE(c.inbound(s, kStranger, i).kind == AdmitResult::kSession);
    }
    CHECK(c.inbound(s, kStranger, 999).reason == reason);
    CHECK(c.open(Protocol::kTcp, subscriber(1), 4000, kRemote, 99).kind == nat::MakeResult::kMade);
}

TEST_CASE("an inbound packet without session refreshes nothing", "[nat][rfc7857-7]") {
    Cluster c(lab());
    const Session s = c.session_of(c.open(Protocol::kUdp, subscriber(1), 4000), subscriber(1));
    c.pass(299'000);
    CHECK(c.inbound(s, kStranger, 9).kind == AdmitResult::kMappingOnly);
    c.pass(2'000);
    CHECK(c.shard().session_count() == 0);
    CHECK(c.inbound(s, kStranger, 9).reason == DropReason::kNoMapping);
}

TEST_CASE("a packet for a block that changed its shard is stale", "[nat][architecture-2]") {
    Cluster c(lab(), 2);
    const auto made = c.open(Protocol::kUdp, subscriber(1), 4000);
    const Session s = c.session_of(made, subscriber(1));
    const FlowKey key = FlowKey::of(
        kRemote, {s.external_address}, port(80), {s.external_port}, Protocol::kUdp, kExternalRealm
    );
    const unsigned holder = c.shard_of(subscriber(1));
    const auto stale = c.shard(1 - holder).admit_inbound(key, PacketKind::kUdp, 0, c.now);
    CHECK(stale.reason == DropReason::kStaleOwner);
}

TEST_CASE("an expired session under the same key gives way, fired or not", "[nat]") {
    for (const bool fires : {false, true}) {
        Cluster c(lab());
        const auto first = c.open(Protocol::kUdp, subscriber(1), 4000);
        const uint16_t external = c.session_of(first, subscriber(1)).external_port;
        c.now = c.now + 300'000;
        if (fires) {
            c.pass(1024);
        }
        const auto second = c.open(Protocol::kUdp, subscriber(1), 4000);
        REQUIRE(second.kind == nat::MakeResult::kMade);
        const Session& s = c.session_of(second, subscriber(1));
        CHECK(s.external_port != external);  // the old one rests
        CHECK(s.packets[0] == 0);
        CHECK(c.shard().session_count() == 1);
        CHECK(c.shard().mapping_count() == 1);
    }
}
