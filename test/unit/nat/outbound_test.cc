// Outbound packets: mappings, pairing, limits and their reasons.
#include <algorithm>
#include <chrono>
#include <set>

#include <catch2/catch.hpp>

#include "cluster.h"

using namespace sekisho;
using namespace sekisho::test;
using nat::MakeResult;

TEST_CASE(
    "one internal endpoint has one external endpoint for all remotes", "[nat][rfc4787-req1]"
) {
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

TEST_CASE("all mappings of a subscriber share one external address", "[nat][rfc4787-req2]") {
    nat::NatSettings settings = lab(8);
    settings.pools[0].port_block_size = 64;
    Cluster c(settings);
    std::set<uint32_t> addresses;
    for (uint16_t p = 1; p <= 300; ++p) {
        const Protocol protocol = p % 3 == 0   ? Protocol::kTcp
                                  : p % 3 == 1 ? Protocol::kUdp
                                               : Protocol::kIcmp;
        const MakeResult r = c.open(protocol, subscriber(1), p);
        REQUIRE(r.kind == MakeResult::kMade);
        addresses.insert(c.shard().session(r.session).external_address);
    }
    CHECK(addresses.size() == 1);
}

TEST_CASE("subscribers spread over the addresses with the most free blocks", "[nat][pitfall-2]") {
    Cluster c(lab(8));
    std::set<uint32_t> addresses;
    for (uint32_t n = 0; n < 8; ++n) {
        const MakeResult r = c.open(Protocol::kUdp, subscriber(n), 5);
        addresses.insert(c.shard().session(r.session).external_address);
    }
    CHECK(addresses.size() == 8);
}

namespace {

// A pool of `addresses`, its subscribers' first flows: the fastest of several rounds, in nanoseconds each.
double fastest_first_flow(unsigned addresses) {
    constexpr uint32_t kRounds = 20, kEach = 40;
    Cluster c(lab(addresses));
    double fastest = 1e12;
    for (uint32_t round = 0; round < kRounds; ++round) {
        const auto begin = std::chrono::steady_clock::now();
        for (uint32_t n = round * kEach; n < (round + 1) * kEach; ++n) {
            REQUIRE(c.open(Protocol::kUdp, subscriber(n), 5).kind == MakeResult::kMade);
        }
        const std::chrono::duration<double, std::nano> taken =
            std::chrono::steady_clock::now() - begin;
        fastest = std::min(fastest, taken.count() / kEach);
    }
    return fastest;
}

}  // namespace

// To look at each of 65 536 addresses would take some hundred times as long as all the rest.
TEST_CASE("a subscriber gets an address of 65 536 as fast as one of 4", "[nat][pitfall-2]") {
    const double of_few = fastest_first_flow(4);
    const double of_many = fastest_first_flow(65536);
    INFO(of_few << " and " << of_many << " ns");
    CHECK(of_many < 10 * of_few);
}

TEST_CASE("external endpoints are never shared by two mappings", "[nat][rfc4787-req3]") {
    nat::NatSettings settings = lab();
    settings.policies[0].limits.ports = 65535;
    settings.pools[0].blocks_per_subscriber = 100;
    Cluster c(settings);
    std::set<uint16_t> ports;
    for (uint16_t p = 1; p <= 2000; ++p) {
        const MakeResult r = c.open(Protocol::kUdp, subscriber(p % 3U), p);
        REQUIRE(r.kind == MakeResult::kMade);
        CHECK(ports.insert(c.shard().session(r.session).external_port).second);
    }
}

TEST_CASE("each limit refuses with its reason and changes nothing", "[nat][rfc6888-req4]") {
    nat::NatSettings settings = lab();
    TableSizes sizes;
    DropReason wanted{};
    uint32_t can = 10;
    bool same_mapping = false;
    SECTION("sessions") {
        settings.policies[0].limits.sessions = can;
        wanted = DropReason::kSubscriberSessionLimit;
        same_mapping = true;
    }
    SECTION("ports") {
        settings.policies[0].limits.ports = can;
        wanted = DropReason::kSubscriberPortLimit;
    }
    SECTION("blocks") {
        settings.pools[0].port_block_size = 64;
        settings.pools[0].blocks_per_subscriber = 2;
        can = 128;
        wanted = DropReason::kSubscriberPortLimit;
    }
    SECTION("rate") {
        settings.policies[0].limits.sessions_per_second = can;
        wanted = DropReason::kSubscriberRate;
    }
    SECTION("session table") {
        sizes.sessions = can;
        wanted = DropReason::kSessionTableFull;
    }
    SECTION("mapping table") {
        sizes.mappings = can;
        wanted = DropReason::kMappingTableFull;
    }
    SECTION("pool") {
        settings.pools[0].ports = {1024, 1033};
        wanted = DropReason::kPoolExhausted;
    }
    Cluster c(settings, 1, sizes);
    for (uint32_t i = 1; i <= can; ++i) {
        const auto p = static_cast<uint16_t>(i);
        const MakeResult r = same_mapping ? c.open(Protocol::kUdp, subscriber(1), 4000, kRemote, p)
                                          : c.open(Protocol::kUdp, subscriber(1), p);
        REQUIRE(r.kind == MakeResult::kMade);
    }
    const size_t mappings = c.shard().mapping_count();
    for (int again = 0; again < 3; ++again) {
        const MakeResult r = same_mapping
                                 ? c.open(Protocol::kUdp, subscriber(1), 4000, kRemote, 999)
                                 : c.open(Protocol::kUdp, subscriber(1), 9999);
        CHECK(r.kind == MakeResult::kRefused);
        CHECK(r.reason == wanted);
    }
    CHECK(c.shard().session_count() == can);
    CHECK(c.shard().mapping_count() == mappings);
    CHECK(c.shard().subscriber_count() == 1);
    CHECK(c.audit() == "");
}

TEST_CASE("a full subscriber table and an unknown source have their reasons", "[nat]") {
    TableSizes sizes;
    sizes.subscribers = 2;
    Cluster c(lab(), 1, sizes);
    CHECK(c.open(Protocol::kUdp, addr(10, 0, 0, 1), 1).reason == DropReason::kNoPolicy);
    CHECK(c.open(Protocol::kUdp, subscriber(1), 1).kind == MakeResult::kMade);
    CHECK(c.open(Protocol::kUdp, subscriber(2), 1).kind == MakeResult::kMade);
    CHECK(c.open(Protocol::kUdp, subscriber(3), 1).reason == DropReason::kSubscriberTableFull);
}

TEST_CASE("the rate limit is a bucket of one second", "[nat][rfc6888-req5b]") {
    nat::NatSettings settings = lab();
    settings.policies[0].limits.sessions_per_second = 10;
    Cluster c(settings);
    uint16_t p = 0;
    auto burst = [&] {
        unsigned made = 0;
        while (c.open(Protocol::kUdp, subscriber(1), ++p).kind == MakeResult::kMade) {
            ++made;
        }
        return made;
    };
    CHECK(burst() == 10);
    c.now = c.now + 99;
    CHECK(burst() == 0);
    c.now = c.now + 1;
    CHECK(burst() == 1);
    c.now = c.now + 0xf0000000;  // any absence, over the wrap of the clock
    CHECK(burst() == 10);
}

TEST_CASE("who is over a limit keeps the oldest of what is its own", "[nat][pitfall-7]") {
    struct Row {
        const char* limit;
        nat::SubscriberLimits limits;
        DropReason reason;
    };
    const Row rows[] = {
        {"sessions", {.sessions = 4}, DropReason::kSubscriberSessionLimit},
        {"ports", {.ports = 4}, DropReason::kSubscriberPortLimit},
        {"mappings", {.mappings = 4}, DropReason::kSubscriberMappingLimit},
        {"half-open", {.half_open = 4}, DropReason::kSubscriberHalfOpen},
    };
    for (const Row& row : rows) {
        INFO(row.limit);
        nat::NatSettings settings = lab();
        settings.policies[0].limits = row.limits;
        const Protocol protocol = row.limits.half_open != 0 ? Protocol::kTcp : Protocol::kUdp;
        Cluster c(settings);
        std::vector<std::pair<SessionIndex, uint16_t>> oldest;
        for (uint16_t p = 1; p <= 4; ++p) {
            const MakeResult made = c.open(protocol, subscriber(1), p);
            REQUIRE(made.kind == MakeResult::kMade);
            oldest.emplace_back(made.session, c.shard().session(made.session).external_port);
        }
        for (uint16_t p = 5; p < 200; ++p) {
            CHECK(c.open(protocol, subscriber(1), p).reason == row.reason);
            c.pass(100);
        }
        // Made once, so not made anew in the place of itself.
        CHECK(c.shard().sessions_made() == 4);
        for (uint16_t p = 1; p <= 4; ++p) {
            const auto& [session, external_port] = oldest[p - 1U];
            const MakeResult still = c.open(protocol, subscriber(1), p);
            CHECK(still.kind == MakeResult::kMade);
            CHECK(still.session == session);
            const Session& s = c.shard().session(session);
            CHECK(s.internal_port == port(p).raw);
            CHECK(s.external_port == external_port);
            const auto back = c.inbound(s, kRemote, 80);
            CHECK(back.kind == nat::AdmitResult::kSession);
            CHECK(back.session == session);
        }
        CHECK(c.shard().sessions_made() == 4);
    }
}

TEST_CASE("a live session survives a full table", "[nat][rfc6888-req11d][pitfall-7]") {
    TableSizes sizes;
    sizes.sessions = 4;
    Cluster c(lab(), 1, sizes);
    const MakeResult first = c.open(Protocol::kUdp, subscriber(1), 1);
    for (uint16_t p = 2; p < 20; ++p) {
        c.open(Protocol::kUdp, subscriber(1), p);
    }
    CHECK(c.open(Protocol::kUdp, subscriber(1), 1).session == first.session);
    CHECK(c.shard().session_count() == 4);
}

TEST_CASE(
    "timers are the RFCs' and every packet of a session refreshes",
    "[nat][rfc4787-req5][pitfall-12]"
) {
    struct {
        Protocol protocol;
        uint32_t seconds;
    } const rows[] = {{Protocol::kUdp, 300}, {Protocol::kIcmp, 60}, {Protocol::kTcp, 240}};
    for (const auto& r : rows) {
        for (const Direction d : {Direction::kOutbound, Direction::kInbound}) {
            Cluster c(lab());
            const MakeResult made = c.open(r.protocol, subscriber(1), 7);
            c.pass(r.seconds * 500);
            c.shard().track(made.session, d, nullptr, c.now);
            c.pass(r.seconds * 1000 - 1000);
            CHECK(c.shard().session_count() == 1);
            CHECK_FALSE(c.shard().has_expired(c.shard().session(made.session), c.now));
            c.pass(1001);
            CHECK(
                (c.shard().session_count() == 0 ||
                 c.shard().has_expired(c.shard().session(made.session), c.now))
            );
            c.pass(1024);
            CHECK(c.shard().session_count() == 0);
            CHECK(c.shard().mapping_count() == 0);
        }
    }
}

TEST_CASE("sessions end on time over the wrap of the clock", "[nat]") {
    Cluster c(lab(), 1, {}, Tick{0xffffffff - 100'000});
    REQUIRE(c.open(Protocol::kUdp, subscriber(1), 7).kind == MakeResult::kMade);
    c.pass(299'000);
    CHECK(c.shard().session_count() == 1);
    c.pass(2'000);
    CHECK(c.shard().session_count() == 0);
    c.pass(500'000);
    CHECK(c.shard().subscriber_count() == 0);
    CHECK(c.audit() == "");
}

TEST_CASE("a listing comes in slices and misses nobody", "[nat][pitfall-31]") {
    Cluster c(lab());
    for (uint16_t p = 1; p <= 100; ++p) {
        c.open(Protocol::kUdp, subscriber(p % 7U), p);
    }
    std::set<uint32_t> seen;
    uint32_t cursor = 0;
    bool more = true;
    while (more) {
        nat::SessionView out[8];
        size_t filled = 0;
        more = c.shard().list_sessions(cursor, 5, c.now, out, filled);
        REQUIRE(filled <= 5);
        for (size_t i = 0; i < filled; ++i) {
            CHECK(seen.insert(out[i].index).second);
            CHECK(out[i].lifetime_ms == 300'000);
        }
    }
    CHECK(seen.size() == 100);
    nat::SubscriberView subscribers[16];
    cursor = 0;
    size_t filled = 0;
    CHECK_FALSE(c.shard().list_subscribers(cursor, 1000, subscribers, filled));
    CHECK(filled == 7);
    CHECK(c.shard().pool_view({0}, c.now).ports_in_use == 100);
    CHECK(c.shard().pool_view({0}, c.now).granted_blocks == 7);
}
