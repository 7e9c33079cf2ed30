// Mappings that subscribers ask for: what keeps them, what ends them, and what is refused.
#include <catch2/catch.hpp>

#include "cluster.h"

using namespace sekisho;
using namespace sekisho::test;
using nat::LeaseAnswer;
using nat::LeaseRequest;
using nat::PcpResult;

namespace {

LeaseRequest wish(uint32_t host, uint16_t internal_port, uint32_t lifetime = 600) {
    LeaseRequest request;
    request.internal = subscriber(host);
    request.port = port(internal_port);
    request.nonce = {1, 2, 3};
    request.lifetime = {lifetime};
    return request;
}

LeaseAnswer ask(Cluster& c, const LeaseRequest& request) {
    nat::NatShard& s = c.shard(c.shard_of(request.internal));
    LeaseAnswer answer = s.lease(request, c.now);
    for (int i = 0; answer.kind == LeaseAnswer::kHold && i < 4; ++i) {
        c.deliver();
        answer = s.lease(request, c.now);
    }
    s.end_of_burst();
    return answer;
}

PcpResult refusal(Cluster& c, const LeaseRequest& request) {
    const LeaseAnswer answer = ask(c, request);
    return answer.kind == LeaseAnswer::kRefused ? answer.result : PcpResult::kSuccess;
}

// What a stranger's packet to an external endpoint meets.
nat::AdmitResult knock(
    Cluster& c, uint32_t host, const LeaseAnswer& to, Protocol protocol = Protocol::kUdp
) {
    const FlowKey key = FlowKey::of(
        addr(192, 0, 2, 77),
        to.external.address,
        port(5),
        to.external.port,
        protocol,
        kExternalRealm
    );
    return c.shard(c.shard_of(subscriber(host)))
        .admit_inbound(key, Cluster::kind_of(protocol), packet::kSyn, c.now);
}

}  // namespace

TEST_CASE("a subscriber gets the mapping that it asks for", "[nat][pcp][rfc6888-req9]") {
    for (const unsigned shards : {1U, 3U}) {
        CAPTURE(shards);
        Cluster c(lab(), shards);
        const LeaseAnswer answer = ask(c, wish(1, 4000));
        REQUIRE(answer.kind == LeaseAnswer::kGranted);
        CHECK(answer.lifetime.value == 600);
        CHECK(answer.external.address == addr(203, 0, 113, 1));
        CHECK(answer.external.port.host() >= 1024);
        CHECK(knock(c, 1, answer).kind == nat::AdmitResult::kMappingOnly);
        // What the subscriber sends from there has the same endpoint.
        const auto made = c.open(Protocol::kUdp, subscriber(1), 4000);
        REQUIRE(made.kind == nat::MakeResult::kMade);
        CHECK(c.session_of(made, subscriber(1)).external_port == answer.external.port.raw);
        CHECK(c.audit() == "");
    }
}

TEST_CASE(
    "it lives without sessions until its lifetime ends, and then its port rests", "[nat][pcp]"
) {
    Cluster c(lab());
    const LeaseAnswer answer = ask(c, wish(1, 4000, 600));
    c.pass(599'000);
    CHECK(knock(c, 1, answer).kind == nat::AdmitResult::kMappingOnly);
    c.pass(2'000);
    CHECK(knock(c, 1, answer).reason == DropReason::kNoMapping);
    CHECK(c.shard().leases().size() == 0);
    CHECK(c.shard().mapping_count() == 0);
    CHECK(c.shard().pool_view(PoolId{0}, c.now).ports_resting == 1);
}

TEST_CASE("it outlives its sessions, and they outlive it", "[nat][pcp]") {
    Cluster c(lab());
    const LeaseAnswer answer = ask(c, wish(1, 4000, 900));
    REQUIRE(c.open(Protocol::kUdp, subscriber(1), 4000).kind == nat::MakeResult::kMade);
    c.pass(320'000);
    CHECK(c.shard().session_count() == 0);
    CHECK(knock(c, 1, answer).kind == nat::AdmitResult::kMappingOnly);
    c.pass(500'000);
    REQUIRE(c.open(Protocol::kUdp, subscriber(1), 4000).kind == nat::MakeResult::kMade);
    c.pass(100'000);
    CHECK(c.shard().leases().size() == 0);
    CHECK(knock(c, 1, answer).kind == nat::AdmitResult::kMappingOnly);
    c.pass(320'000);
    CHECK(knock(c, 1, answer).reason == DropReason::kNoMapping);
}

TEST_CASE("lifetimes are kept between their bounds", "[nat][pcp]") {
    Cluster c(lab());
    CHECK(ask(c, wish(1, 4000, 1)).lifetime.value == 120);
    CHECK(ask(c, wish(1, 4001, 0xffffffff)).lifetime.value == 86400);
    // Beyond the wheel's horizon.
    const LeaseAnswer answer = ask(c, wish(1, 4001, 86400));
    c.pass(86'390'000, 60'000);
    CHECK(knock(c, 1, answer).kind == nat::AdmitResult::kMappingOnly);
    c.pass(70'000, 10'000);
    CHECK(knock(c, 1, answer).reason == DropReason::kNoMapping);
}

TEST_CASE("only who knows the nonce renews or ends it", "[nat][pcp]") {
    Cluster c(lab());
    const LeaseAnswer answer = ask(c, wish(1, 4000));
    LeaseRequest other = wish(1, 4000);
    other.nonce[11] = 9;
    CHECK(refusal(c, other) == PcpResult::kNotAuthorized);
    other.lifetime = {0};
    CHECK(refusal(c, other) == PcpResult::kNotAuthorized);
    CHECK(c.shard().leases().size() == 1);
    c.pass(500'000);
    CHECK(ask(c, wish(1, 4000)).external == answer.external);
    c.pass(500'000);
    CHECK(c.shard().leases().size() == 1);
    CHECK(ask(c, wish(1, 4000, 0)).kind == LeaseAnswer::kGranted);
    CHECK(c.shard().leases().size() == 0);
    CHECK(c.shard().mapping_count() == 0);
    CHECK(ask(c, wish(1, 4000, 0)).kind == LeaseAnswer::kGranted);  // it is gone: that was wanted
}

TEST_CASE("all of a protocol, or all, end at once", "[nat][pcp]") {
    Cluster c(lab());
    for (uint16_t p = 4000; p < 4010; ++p) {
        LeaseRequest request = wish(1, p);
        request.protocol = p % 2 == 0 ? Protocol::kTcp : Protocol::kUdp;
        REQUIRE(ask(c, request).kind == LeaseAnswer::kGranted);
    }
    REQUIRE(ask(c, wish(2, 4000)).kind == LeaseAnswer::kGranted);
    LeaseRequest all = wish(1, 0, 0);
    all.protocol = Protocol::kTcp;
    CHECK(ask(c, all).kind == LeaseAnswer::kGranted);
    CHECK(c.shard().leases().size() == 6);
    all.all_protocols = true;
    CHECK(ask(c, all).kind == LeaseAnswer::kGranted);
    CHECK(c.shard().leases().size() == 1);
}

TEST_CASE("what is suggested is given where it is free, or else another port", "[nat][pcp]") {
    Cluster c(lab());
    const LeaseAnswer first = ask(c, wish(1, 4000));
    LeaseRequest request = wish(1, 4001);
    const auto next = static_cast<uint16_t>(first.external.port.host() ^ 1);
    request.suggested = {first.external.address, port(next)};
    request.must_match = true;
    CHECK(ask(c, request).external == request.suggested);
    CHECK(ask(c, request).external == request.suggested);  // once more: it is renewed
    LeaseRequest taken = wish(1, 4002);
    taken.suggested = first.external;
    const LeaseAnswer another = ask(c, taken);
    CHECK(another.kind == LeaseAnswer::kGranted);
    CHECK(another.external != first.external);
    taken.port = port(4003);
    taken.must_match = true;
    CHECK(refusal(c, taken) == PcpResult::kCannotProvideExternal);
    taken.port = port(4000);
    taken.suggested.port = port(1);
    CHECK(refusal(c, taken) == PcpResult::kCannotProvideExternal);
    taken.suggested = {addr(9, 9, 9, 9), {}};
    taken.port = port(4004);
    CHECK(refusal(c, taken) == PcpResult::kCannotProvideExternal);
    CHECK(c.shard().leases().size() == 3);
    CHECK(c.shard().mapping_count() == 3);
}

TEST_CASE("each bound of what may be asked for has its refusal", "[nat][pcp]") {
    SECTION("of a subscriber's explicit mappings") {
        nat::NatSettings s = lab();
        s.pcp.mappings_per_subscriber = 2;
        Cluster c(s);
        REQUIRE(ask(c, wish(1, 1)).kind == LeaseAnswer::kGranted);
        REQUIRE(ask(c, wish(1, 2)).kind == LeaseAnswer::kGranted);
        CHECK(refusal(c, wish(1, 3)) == PcpResult::kUserExceededQuota);
        CHECK(c.shard().mapping_count() == 2);
        CHECK(ask(c, wish(2, 3)).kind == LeaseAnswer::kGranted);
        CHECK(ask(c, wish(1, 2)).kind == LeaseAnswer::kGranted);
    }
    SECTION("of its ports") {
        nat::NatSettings s = lab();
        s.policies[0].limits.ports = 1;
        Cluster c(s);
        REQUIRE(ask(c, wish(1, 1)).kind == LeaseAnswer::kGranted);
        CHECK(refusal(c, wish(1, 2)) == PcpResult::kUserExceededQuota);
    }
    SECTION("of all explicit mappings") {
        nat::NatSettings s = lab();
        s.pcp.mappings = 1;
        Cluster c(s);
        REQUIRE(ask(c, wish(1, 1)).kind == LeaseAnswer::kGranted);
        CHECK(refusal(c, wish(2, 1)) == PcpResult::kNoResources);
        CHECK(c.shard().subscriber_count() == 1);
    }
    SECTION("of the pool") {
        nat::NatSettings s = lab();
        s.pools[0].ports = {1024, 1279};
        Cluster c(s);
        REQUIRE(ask(c, wish(1, 1)).kind == LeaseAnswer::kGranted);
        CHECK(refusal(c, wish(2, 1)) == PcpResult::kNoResources);
    }
    SECTION("a policy that maps by the remote endpoint, or none") {
        nat::NatSettings s = lab();
        s.policies[0].mapping = nat::MappingBehaviour::kAddressDependent;
        Cluster c(s);
        CHECK(refusal(c, wish(1, 1)) == PcpResult::kNotAuthorized);
        LeaseRequest stranger = wish(1, 1);
        stranger.internal = addr(10, 9, 9, 9);
        CHECK(refusal(c, stranger) == PcpResult::kNotAuthorized);
    }
}

TEST_CASE("everybody is admitted to what was asked for, whatever the filtering", "[nat][pcp]") {
    using enum nat::FilteringBehaviour;
    for (const auto filtering : {kAddressDependent, kAddressAndPortDependent}) {
        nat::NatSettings s = lab();
        s.policies[0].filtering = filtering;
        Cluster c(s);
        LeaseRequest request = wish(1, 4000);
        request.protocol = Protocol::kTcp;
        const LeaseAnswer answer = ask(c, request);
        CHECK(knock(c, 1, answer, Protocol::kTcp).kind == nat::AdmitResult::kSession);
        const auto made = c.open(Protocol::kTcp, subscriber(1), 4001);
        const Session unasked = c.session_of(made, subscriber(1));
        CHECK(c.inbound(unasked, addr(192, 0, 2, 78), 5).reason == DropReason::kFiltered);
    }
}

TEST_CASE("unanswered openings from outside stay within their bound", "[nat][pcp]") {
    nat::NatSettings s = lab();
    s.policies[0].limits.inbound_openings = 3;
    Cluster c(s);
    LeaseRequest request = wish(1, 4000);
    request.protocol = Protocol::kTcp;
    const LeaseAnswer answer = ask(c, request);
    for (uint16_t p = 1; p <= 5; ++p) {
        const FlowKey key = FlowKey::of(
            kRemote,
            answer.external.address,
            port(p),
            answer.external.port,
            Protocol::kTcp,
            kExternalRealm
        );
        const auto admitted = c.shard().admit_inbound(key, PacketKind::kTcp, packet::kSyn, c.now);
        CHECK((admitted.kind == nat::AdmitResult::kSession) == (p <= 3));
    }
}

TEST_CASE("it ends with its external address", "[nat][pcp]") {
    Cluster c(lab(2));
    const LeaseAnswer answer = ask(c, wish(1, 4000));
    const Ipv4Addr stays =
        addr(203, 0, 113, answer.external.address == addr(203, 0, 113, 1) ? 2 : 1);
    c.change(
        [&](nat::NatSettings& s) {
            s.pools[0].addresses = {{stays, stays}};
        },
        c.shard().table_limits(),
        {answer.external.address}
    );
    c.pass(2'000);
    CHECK(c.shard().leases().size() == 0);
    CHECK(c.shard().mapping_count() == 0);
    CHECK(ask(c, wish(1, 4000)).external.address == stays);
}

TEST_CASE("a lease ends in time, however long there was none before it", "[nat][pcp]") {
    for (const uint32_t days : {1U, 26U, 45U}) {
        CAPTURE(days);
        Cluster c(lab());
        c.pass(days * 86'400'000U, 600'000);
        const LeaseAnswer answer = ask(c, wish(1, 4000, 600));
        REQUIRE(answer.kind == LeaseAnswer::kGranted);
        c.pass(599'000);
        CHECK(c.shard().leases().size() == 1);
        c.pass(2'000);
        CHECK(c.shard().leases().size() == 0);
    }
}

TEST_CASE("who ends a session leaves what was asked for", "[nat][pcp]") {
    Cluster c(lab());
    const LeaseAnswer answer = ask(c, wish(1, 4000));
    const auto made = c.open(Protocol::kUdp, subscriber(1), 4000);
    const uint32_t mapping = c.session_of(made, subscriber(1)).mapping;
    c.shard().clear_session(made.session, c.now);
    CHECK(c.shard().session_count() == 0);
    CHECK(knock(c, 1, answer).kind == nat::AdmitResult::kMappingOnly);
    CHECK(c.shard().clear_lease({mapping}, c.now));
    CHECK_FALSE(c.shard().clear_lease({mapping}, c.now));
    CHECK(c.shard().leases().size() == 0);
    CHECK(c.shard().mapping_count() == 0);
    CHECK(c.shard().pool_view(PoolId{0}, c.now).ports_resting == 1);
}

TEST_CASE("while leases at a withdrawn address end nothing is made there", "[nat][pcp]") {
    Cluster c(lab(2));
    Ipv4Addr gone{};
    for (uint16_t p = 4000; p < 4064; ++p) {
        gone = ask(c, wish(1, p)).external.address;
    }
    c.pass(5'000);
    CHECK(c.shard().lease_epoch(c.now) == 5);
    const Ipv4Addr stays = addr(203, 0, 113, gone == addr(203, 0, 113, 1) ? 2 : 1);
    c.change(
        [&](nat::NatSettings& s) {
            s.pools[0].addresses = {{stays, stays}};
        },
        c.shard().table_limits(),
        {gone}
    );
    for (int turn = 0; turn < 40 && c.shard().leases().size() != 0; ++turn) {
        c.shard().advance(c.now, 4);
        const auto made = c.open(Protocol::kUdp, subscriber(1), 4063);
        const bool is_elsewhere =
            made.kind == nat::MakeResult::kMade &&
            Ipv4Addr{c.session_of(made, subscriber(1)).external_address} == stays;
        CHECK((made.kind == nat::MakeResult::kRefused || is_elsewhere));
        CHECK((c.shard().leases().size() == 0 || !is_elsewhere));
    }
    CHECK(c.shard().leases().size() == 0);
    CHECK(c.shard().lease_epoch(c.now) == 0);  // RFC 6887 8.5
}

TEST_CASE("the external address that is told is where the next mapping stands", "[nat][pcp]") {
    Cluster c(lab(2));
    const Ipv4Addr drains = ask(c, wish(1, 4000)).external.address;
    const Ipv4Addr stays = addr(203, 0, 113, drains == addr(203, 0, 113, 1) ? 2 : 1);
    CHECK(c.shard().external_for(kInternalRealm, subscriber(1), c.now).external.address == drains);
    c.change(
        [&](nat::NatSettings& s) {
            s.pools[0].addresses = {{stays, stays}};
        },
        c.shard().table_limits()
    );
    LeaseAnswer told = c.shard().external_for(kInternalRealm, subscriber(1), c.now);
    for (int i = 0; told.kind == LeaseAnswer::kHold && i < 4; ++i) {
        c.deliver();
        told = c.shard().external_for(kInternalRealm, subscriber(1), c.now);
    }
    CHECK(told.external.address == stays);
    CHECK(ask(c, wish(1, 4001)).external.address == stays);
}

TEST_CASE("the epoch goes on where the clock begins anew", "[nat][pcp]") {
    nat::LeaseEpoch epoch(Tick{0xffff0000});
    CHECK(epoch.seconds(Tick{0xffff0000}) == 0);
    CHECK(epoch.seconds(Tick{0xffff0000} + 999) == 0);
    CHECK(epoch.seconds(Tick{0xffff0000} + 100'500) == 100);
    CHECK(epoch.seconds(Tick{0xffff0000} + 101'000) == 101);
}
