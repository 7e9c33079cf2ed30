// Settings that change while sessions stand.
#include <set>

#include <catch2/catch.hpp>

#include "cluster.h"

using namespace sekisho;
using namespace sekisho::test;
using nat::MakeResult;

namespace {

constexpr uint32_t kSecond = 1000;
constexpr nat::TableShares kAll{4096, 4096, 1024};

}  // namespace

TEST_CASE("a lowered timeout gives ports up within the new one", "[nat][change]") {
    for (const unsigned shards : {1U, 3U}) {
        Cluster c(lab(), shards);
        for (uint16_t n = 0; n < 200; ++n) {
            REQUIRE(
                c.open(Protocol::kUdp, subscriber(n % 10), static_cast<uint16_t>(5000 + n)).kind ==
                MakeResult::kMade
            );
        }
        c.pass(10 * kSecond);
        c.change([](nat::NatSettings& s) { s.timeouts.udp = Seconds{120}; }, kAll);
        c.pass(105 * kSecond);
        size_t standing = 0;
        for (unsigned s = 0; s < shards; ++s) {
            standing += c.shard(s).session_count();
        }
        CHECK(standing == 200);
        c.pass(10 * kSecond);  // 125 s of 120, with the wheel's step
        for (unsigned s = 0; s < shards; ++s) {
            CHECK(c.shard(s).session_count() == 0);
            CHECK(c.shard(s).mapping_count() == 0);
        }
    }
}

TEST_CASE("a raised timeout keeps what stands", "[nat][change]") {
    Cluster c(lab());
    REQUIRE(c.open(Protocol::kUdp, subscriber(1), 5000).kind == MakeResult::kMade);
    c.change([](nat::NatSettings& s) { s.timeouts.udp = Seconds{1000}; }, kAll);
    c.pass(900 * kSecond);
    CHECK(c.shard().session_count() == 1);
    c.pass(110 * kSecond);
    CHECK(c.shard().session_count() == 0);
}

TEST_CASE("a table's limit refuses what is new and leaves what stands", "[nat][change]") {
    struct Row {
        nat::TableShares limits;
        DropReason reason;
    };
    const Row rows[] = {
        {{2, 4096, 1024}, DropReason::kSessionTableFull},
        {{4096, 2, 1024}, DropReason::kMappingTableFull},
        {{4096, 4096, 2}, DropReason::kSubscriberTableFull},
    };
    for (const Row& row : rows) {
        Cluster c(lab());
        for (uint32_t n = 0; n < 3; ++n) {
            REQUIRE(c.open(Protocol::kUdp, subscriber(n), 5000).kind == MakeResult::kMade);
        }
        c.change([](nat::NatSettings&) {}, row.limits);
        CHECK(c.shard().session_count() == 3);
        const MakeResult refused = c.open(Protocol::kUdp, subscriber(9), 5000);
        CHECK(refused.kind == MakeResult::kRefused);
        CHECK(refused.reason == row.reason);
        c.change([](nat::NatSettings&) {}, kAll);
        CHECK(c.open(Protocol::kUdp, subscriber(9), 5000).kind == MakeResult::kMade);
        CHECK(c.shard().session_count() == 4);
    }
}

TEST_CASE(
    "a quarantine that is taken away lets ports go, one that comes keeps them", "[nat][change]"
) {
    nat::NatSettings settings = lab();
    settings.pools[0].ports = {1024, 1087};
    settings.pools[0].port_block_size = 64;
    Cluster c(settings);
    const auto open_all = [&] {
        unsigned made = 0;
        for (uint16_t n = 0; n < 64; ++n) {
            const auto r = c.open(Protocol::kUdp, subscriber(1), static_cast<uint16_t>(5000 + n));
            made += r.kind == MakeResult::kMade ? 1 : 0;
        }
        return made;
    };
    const auto end_all = [&] {
        for (uint32_t i = 0; i < c.shard().session_capacity(); ++i) {
            c.shard().clear_session({i}, c.now);
        }
        c.shard().end_of_burst();
    };
    const auto set = [&](uint32_t seconds) {
        c.change([&](nat::NatSettings& s) { s.pools[0].port_quarantine = Seconds{seconds}; }, kAll);
    };
    REQUIRE(open_all() == 64);
    end_all();
    REQUIRE(open_all() == 0);
    set(0);
    CHECK(open_all() == 64);
    set(30);
    end_all();
    CHECK(open_all() == 0);
    c.pass(29 * kSecond);
    CHECK(open_all() == 0);
    c.pass(32 * kSecond);
    CHECK(open_all() == 64);
}
