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

namespace {

Ipv4Addr external_of(Cluster& c, const MakeResult& made, Ipv4Addr internal) {
    return {c.session_of(made, internal).external_address};
}

void end_all(Cluster& c) {
    for (unsigned s = 0; s < c.shards(); ++s) {
        for (uint32_t i = 0; i < c.shard(s).session_capacity(); ++i) {
            c.shard(s).clear_session({i}, c.now);
        }
        c.shard(s).end_of_burst();
    }
    c.deliver();
}

uint32_t draining(Cluster& c) {
    uint32_t sum = 0;
    for (unsigned s = 0; s < c.shards(); ++s) {
        sum += c.shard(s).pool_view({0}, c.now).draining;
    }
    return sum;
}

nat::AddressRange range(uint8_t first, uint8_t last) {
    return {addr(203, 0, 113, first), addr(203, 0, 113, last)};
}

}  // namespace

TEST_CASE("addresses that are added serve, and no index changes its meaning", "[nat][change]") {
    for (const unsigned shards : {1U, 3U}) {
        nat::NatSettings settings = lab(1);
        settings.pools[0].port_block_size = 32768;  // two blocks an address
        settings.pools[0].ports = {1024, 65535};
        Cluster c(settings, shards);
        std::set<Ipv4Addr> seen;
        const auto open = [&](uint32_t n) {
            const MakeResult made = c.open(Protocol::kUdp, subscriber(n), 5000);
            if (made.kind == MakeResult::kMade) {
                seen.insert(external_of(c, made, subscriber(n)));
            }
            return made.kind == MakeResult::kMade;
        };
        REQUIRE(open(1));
        REQUIRE(open(2));
        REQUIRE_FALSE(open(3));
        c.pass(2000);
        c.change([](nat::NatSettings& s) { s.pools[0].addresses.push_back(range(10, 13)); }, kAll);
        for (uint32_t n = 3; n < 11; ++n) {
            INFO(n);
            CHECK(open(n));
        }
        CHECK_FALSE(open(11));
        CHECK(seen.size() == 5);
        CHECK(c.directory().find(addr(203, 0, 113, 1)).value == 0);
        CHECK(c.directory().find(addr(203, 0, 113, 13)).value == 4);
    }
}

TEST_CASE(
    "an address that is taken away keeps its sessions, gets nothing new and goes when they end",
    "[nat][change]"
) {
    for (const unsigned shards : {1U, 3U}) {
        Cluster c(lab(4), shards);
        std::vector<std::pair<Ipv4Addr, MakeResult>> made;
        for (uint32_t n = 0; n < 40; ++n) {
            made.emplace_back(subscriber(n), c.open(Protocol::kUdp, subscriber(n), 5000));
            REQUIRE(made.back().second.kind == MakeResult::kMade);
        }
        const auto is_left = [](Ipv4Addr a) { return a == addr(203, 0, 113, 1); };
        c.change([](nat::NatSettings& s) { s.pools[0].addresses = {range(1, 1)}; }, kAll);
        CHECK(draining(c) == 3);
        CHECK(c.directory().is_answered(addr(203, 0, 113, 2)));
        unsigned elsewhere = 0;
        for (const auto& [internal, result] : made) {
            const Ipv4Addr before = external_of(c, result, internal);
            elsewhere += is_left(before) ? 0 : 1;
            const MakeResult again = c.open(Protocol::kUdp, internal, 6000);
            REQUIRE(again.kind == MakeResult::kMade);
            CHECK(is_left(external_of(c, again, internal)));
            CHECK(external_of(c, result, internal) == before);
        }
        CHECK(elsewhere >= 20);
        end_all(c);
        c.pass(600 * kSecond);  // quarantine twice, then the release delay
        CHECK(c.directory().has_drained());
        c.change([](nat::NatSettings&) {}, kAll);
        CHECK(draining(c) == 0);
        CHECK_FALSE(c.directory().are_any_draining());
        CHECK(c.directory().find(addr(203, 0, 113, 2)).value == kNoIndex);
        CHECK_FALSE(c.directory().is_answered(addr(203, 0, 113, 2)));
        CHECK(c.directory().find(addr(203, 0, 113, 1)).value == 0);
    }
}

TEST_CASE("an address that comes back before it is drained serves on", "[nat][change]") {
    Cluster c(lab(2), 2);
    REQUIRE(c.open(Protocol::kUdp, subscriber(1), 5000).kind == MakeResult::kMade);
    REQUIRE(c.open(Protocol::kUdp, subscriber(2), 5000).kind == MakeResult::kMade);
    for (unsigned i = 0; i < 5; ++i) {
        c.change([](nat::NatSettings& s) { s.pools[0].addresses = {range(1, 1)}; }, kAll);
        c.change([](nat::NatSettings& s) { s.pools[0].addresses = {range(1, 2)}; }, kAll);
    }
    uint32_t free = 0;
    uint32_t granted = 0;
    for (unsigned s = 0; s < 2; ++s) {
        free += c.shard(s).pool_view({0}, c.now).free_blocks;
        granted += c.shard(s).pool_view({0}, c.now).granted_blocks;
    }
    CHECK(free + granted == 2 * 252);
    CHECK(draining(c) == 0);
}

TEST_CASE("addresses come and go for ever", "[nat][change]") {
    Cluster c(lab(4), 3);
    for (uint32_t round = 0; round < 100; ++round) {
        const auto first = static_cast<uint8_t>(1 + round % 200);
        c.change(
            [&](nat::NatSettings& s) {
                s.pools[0].addresses = {range(first, static_cast<uint8_t>(first + 3))};
            },
            kAll
        );
        const MakeResult made = c.open(Protocol::kUdp, subscriber(round), 5000);
        REQUIRE(made.kind == MakeResult::kMade);
        const Ipv4Addr external = external_of(c, made, subscriber(round));
        CHECK(external.host() - range(first, first).first.host() < 4);
        end_all(c);
        c.pass(400 * kSecond, 4096);
        c.change([](nat::NatSettings&) {}, kAll);
    }
    CHECK(c.directory().waiting() == 0);
    CHECK(c.directory().size() <= 16);
    uint32_t free = 0;
    for (unsigned s = 0; s < 3; ++s) {
        free += c.shard(s).pool_view({0}, c.now).free_blocks;
    }
    CHECK(free == 4 * 252);
}

TEST_CASE(
    "a subscriber whose blocks drain gets others, however many it may have", "[nat][change]"
) {
    for (const unsigned shards : {1U, 3U}) {
        INFO(shards);
        nat::NatSettings settings = lab(3);
        settings.pools[0].blocks_per_subscriber = 1;
        Cluster c(settings, shards);
        const MakeResult first = c.open(Protocol::kUdp, subscriber(1), 5000);
        REQUIRE(first.kind == MakeResult::kMade);
        const uint8_t number = static_cast<uint8_t>(external_of(c, first, subscriber(1)).host());
        const uint8_t other = number == 1 ? 2 : 1;
        c.change([&](nat::NatSettings& s) { s.pools[0].addresses = {range(other, other)}; }, kAll);
        unsigned made = 0;
        for (uint16_t n = 0; n < 300; ++n) {
            const uint16_t inside = static_cast<uint16_t>(6000 + n);
            made += c.open(Protocol::kUdp, subscriber(1), inside).kind == MakeResult::kMade ? 1 : 0;
        }
        CHECK(made == 256);  // one block, not one a try
        CHECK(c.audit() == "");
    }
}

TEST_CASE("a block that is granted while its address goes is nobody's", "[nat][change]") {
    for (const auto protocol : {Protocol::kTcp, Protocol::kUdp}) {
        Cluster c(lab(2), 2);  // 203.0.113.1 is at home on shard 0, .2 on shard 1
        c.change([](nat::NatSettings& s) { s.pools[0].addresses = {range(2, 2)}; }, kAll);
        const FlowKey key =
            FlowKey::of(subscriber(2), kRemote, port(5000), port(80), protocol, kInternalRealm);
        const auto open = [&] {
            return c.shard(0).make_outbound(key, Cluster::kind_of(protocol), packet::kSyn, c.now);
        };
        REQUIRE(open().kind == MakeResult::kHold);
        while (c.under_way() > 0 &&
               c.messages().front().second.kind != nat::MessageKind::kBlockGrant) {
            c.deliver_one();
        }
        REQUIRE(c.under_way() == 1);
        c.change([](nat::NatSettings& s) { s.pools[0].addresses = {range(1, 1)}; }, kAll);
        c.deliver();
        CHECK(c.waits_over == 1);
        const MakeResult made = open();
        REQUIRE(made.kind == MakeResult::kMade);
        CHECK(external_of(c, made, subscriber(2)) == addr(203, 0, 113, 1));
        CHECK(c.audit() == "");
    }
}

TEST_CASE(
    "empty blocks of an address that is taken away wait for no delay and no subscriber",
    "[nat][change]"
) {
    const bool is_kept = GENERATE(false, true);
    for (const unsigned shards : {1U, 3U}) {
        INFO((is_kept ? "kept, " : "delayed, ") << shards);
        nat::NatSettings settings = lab(2);
        settings.pools[0].port_block_size = 64;
        settings.pools[0].keeps_first_block = is_kept;
        settings.pools[0].block_release_delay = Seconds{3600};
        settings.timeouts.udp = Seconds{7200};
        Cluster c(settings, shards);
        std::vector<MakeResult> made;
        for (uint16_t n = 0; n < 65; ++n) {
            made.push_back(c.open(Protocol::kUdp, subscriber(1), static_cast<uint16_t>(5000 + n)));
            REQUIRE(made.back().kind == MakeResult::kMade);
        }
        const Ipv4Addr left = external_of(c, made[0], subscriber(1));
        nat::NatShard& holder = c.shard(c.shard_of(subscriber(1)));
        for (uint16_t n = is_kept ? 0 : 1; n < 64; ++n) {
            holder.clear_session(made[n].session, c.now);
        }
        holder.clear_session(made[is_kept ? 1 : 64].session, c.now);
        holder.end_of_burst();
        c.pass(10 * kSecond);
        const size_t before = c.blocks(c.shard_of(subscriber(1))).size();
        REQUIRE(before == 2);
        const uint8_t other = left == addr(203, 0, 113, 1) ? 2 : 1;
        c.change([&](nat::NatSettings& s) { s.pools[0].addresses = {range(other, other)}; }, kAll);
        c.pass(300 * kSecond);
        CHECK(c.blocks(c.shard_of(subscriber(1))).size() == 1);
        CHECK(c.audit() == "");
    }
}

TEST_CASE("a block does not grow old while its address is away", "[nat][change]") {
    nat::NatSettings settings = lab(2);
    settings.pools[0].block_max_age = Seconds{604800};  // beyond the wheel's horizon
    settings.timeouts.udp = Seconds{86400};
    Cluster c(settings);
    const MakeResult made = c.open(Protocol::kUdp, subscriber(1), 5000);
    REQUIRE(made.kind == MakeResult::kMade);
    const Ipv4Addr left = external_of(c, made, subscriber(1));
    const uint8_t other = left == addr(203, 0, 113, 1) ? 2 : 1;
    c.change([&](nat::NatSettings& s) { s.pools[0].addresses = {range(other, other)}; }, kAll);
    c.pass(12 * 3600 * kSecond, 8192);
    c.change([&](nat::NatSettings& s) { s.pools[0].addresses = {range(1, 2)}; }, kAll);
    REQUIRE(c.open(Protocol::kUdp, subscriber(1), 6000).kind == MakeResult::kMade);
    CHECK(c.blocks(0).size() == 1);
}

TEST_CASE("a sweep comes to its end however often others begin", "[nat][change]") {
    nat::NatSettings settings = lab(8);
    nat::PoolSettings link = settings.pools[0];
    link.name = "link";
    link.addresses = {{addr(203, 0, 113, 50), addr(203, 0, 113, 50)}};
    settings.pools.push_back(link);
    nat::PolicySettings policy = settings.policies[0];
    policy.name = "others";
    policy.source = {{addr(100, 100, 0, 0), 16}};
    policy.pool = PoolId{1};
    settings.policies.insert(settings.policies.begin(), policy);
    Cluster c(settings);
    for (uint16_t p = 0; p < 2000; ++p) {
        (void)c.open(Protocol::kUdp, subscriber(p / 200), static_cast<uint16_t>(5000 + p));
    }
    const MakeResult last = c.open(Protocol::kUdp, addr(100, 100, 0, 1), 6000);
    REQUIRE(last.kind == MakeResult::kMade);
    constexpr nat::TableShares kTables{4096, 4096, 1024};
    const auto move = [](nat::NatSettings& s) {
        s.pools[1].addresses = {{addr(203, 0, 113, 51), addr(203, 0, 113, 51)}};
    };
    c.change(move, kTables, {addr(203, 0, 113, 50)});
    for (int change = 0; change < 50; ++change) {  // each before the one before is through
        for (int turn = 0; turn < 10; ++turn) {
            c.shard().advance(c.now, 8);
            c.shard().end_of_burst();
        }
        c.change([](nat::NatSettings&) {}, kTables);
    }
    CHECK((c.shard().session(last.session).flags & flow::kLive) == 0);
}

TEST_CASE("a full table is told of once a minute, whatever changes meanwhile", "[nat][change]") {
    nat::NatSettings settings = lab();
    settings.events = {nat::kLogLimits, 1024, {}};
    TableSizes sizes;
    sizes.sessions = 64;
    Cluster c(settings, 1, sizes);
    for (uint16_t p = 1; p <= 64; ++p) {
        REQUIRE(c.open(Protocol::kUdp, subscriber(1), p).kind == MakeResult::kMade);
    }
    const auto told = [&] { return c.shard().event_reader().front().size(); };
    for (int k = 0; k < 10; ++k) {
        (void)c.open(Protocol::kUdp, subscriber(2), 7);
        c.pass(200, 200);
        c.change([](nat::NatSettings&) {}, {64, 4096, 1024});
    }
    CHECK(told() == 1);
    c.change([](nat::NatSettings&) {}, {63, 4096, 1024});  // that is another limit
    (void)c.open(Protocol::kUdp, subscriber(2), 7);
    CHECK(told() == 2);
}
