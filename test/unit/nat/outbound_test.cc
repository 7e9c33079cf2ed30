// Outbound packets: mappings, pairing, limits and their reasons.
#include <catch2/catch.hpp>
#include <set>

#include "cluster.h"

using namespace sekisho;
using namespace sekisho::test;
using nat::MakeResult;

TEST_CASE("one internal endpoint has one external endpoint for all remotes", "[nat][rfc4787-req1]") {
    for (const Protocol p : {Protocol::kUdp, Protocol::kTcp, Protocol::kIcmp}) {
        Cluster c(lab());
        const MakeResult a = c.open(p, subscriber(1), 4000, kRemote, 80);
        const MakeResult b = c.open(p, subscriber(1), 4000, addr(192, 0, 2, 9), 81);
        REQUIRE(a.kind == MakeResult::kMade);
        REQUIRE(b.kind == MakeResult::kMade);
        CHECK(a.session != b.session);
        const Session& s = c.shard().session(a.session);
        const Session& t = c.shard().session(b.session);
        CHECK(s.external_address == t.external_address);
        CHECK(s.external_port == t.external_port);
        CHECK(s.mapping == t.mapping);
        CHECK(c.shard().mapping_count() == 1);
        CHECK(c.shard().mapping({s.mapping}).sessions == 2);
    }
}

TEST_CASE("the same flow twice is one session", "[nat]") {
    Cluster c(lab());
    const MakeResult a = c.open(Protocol::kUdp, subscriber(1), 4000);
    const MakeResult b = c.open(Protocol::kUdp, subscriber(1), 4000);
    CHECK(a.session == b.session);
    CHECK(c.shard().session_count() == 1);
}

TEST_CASE("the session is found in both directions", "[nat]") {
    Cluster c(lab());
    const MakeResult a = c.open(Protocol::kUdp, subscriber(1), 4000, kRemote, 53);
    const Session& s = c.shard().session(a.session);
    const auto back = c.inbound(s, kRemote, 53);
    REQUIRE(back.kind == nat::AdmitResult::kSession);
    CHECK(back.session == a.session);
}
