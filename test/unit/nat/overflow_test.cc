// Subscribers whose own block follows from a formula, and who have further ones of another pool.
#include <map>
#include <set>

#include <catch2/catch.hpp>

#include "cluster.h"

using namespace sekisho;
using namespace sekisho::test;
using nat::MakeResult;

namespace {

constexpr uint32_t kSecond = 1000;
const Ipv4Addr kOwn = addr(203, 0, 113, 1);   // where the formula's blocks are
const Ipv4Addr kOther = addr(198, 18, 0, 1);  // the overflow pool's

struct Sizes {
    uint32_t own = 64;
    uint32_t other = 64;
};

nat::NatSettings with_overflow(Sizes sizes = {}, unsigned blocks = 4) {
    nat::NatSettings s = lab();
    nat::PoolSettings& pool = s.pools[0];
    pool.ports = {1024, static_cast<uint16_t>(1024 + 8 * sizes.own - 1)};
    pool.port_block_size = sizes.own;
    pool.port_selection = nat::PortSelection::kDeterministic;
    pool.overflow = PoolId{1};
    s.policies[0].source = {{addr(100, 64, 0, 0), 29}};
    s.policies[0].limits.ports = 100'000;
    s.policies[0].limits.sessions = 100'000;
    s.timeouts.udp = Seconds{100'000};
    nat::PoolSettings more;
    more.name = "more";
    more.addresses = {{kOther, kOther}};
    more.ports = {1024, static_cast<uint16_t>(1024 + blocks * sizes.other - 1)};
    more.port_block_size = sizes.other;
    more.blocks_per_subscriber = 4;
    s.pools.push_back(more);
    return s;
}

using Seen = std::pair<uint32_t, uint16_t>;  // address and port, host order

// {} where it was refused.
Seen open(Cluster& c, Ipv4Addr internal, uint16_t x) {
    const MakeResult r = c.open(Protocol::kUdp, internal, x);
    if (r.kind != MakeResult::kMade) {
        return {};
    }
    const Session& s = c.session_of(r, internal);
    return {Ipv4Addr{s.external_address}.host(), Port{s.external_port}.host()};
}

void end(Cluster& c, Ipv4Addr internal, uint16_t first, uint16_t last) {
    nat::NatShard& s = c.shard(c.shard_of(internal));
    for (uint32_t i = 0; i < s.session_capacity(); ++i) {
        const Session& session = s.session({i});
        const uint16_t x = Port{session.internal_port}.host();
        if ((session.flags & flow::kLive) != 0 && session.internal_address == internal.raw &&
            first <= x && x <= last) {
            s.clear_session({i}, c.now);
        }
    }
    s.end_of_burst();
    c.deliver();
}

}  // namespace

TEST_CASE(
    "no endpoint of the overflow pool is shared by a pair of ports, whatever the sizes of blocks",
    "[nat][rfc4787-req3]"
) {
    for (const Sizes sizes : {Sizes{64, 256}, Sizes{256, 64}, Sizes{64, 64}}) {
        CAPTURE(sizes.own, sizes.other);
        nat::NatSettings settings = with_overflow(sizes, 4);
        for (nat::PoolSettings& pool : settings.pools) {
            pool.port_parity = pool.port_contiguity = true;
        }
        Cluster c(settings);
        std::set<Seen> seen;
        unsigned made = 0;
        unsigned pairs = 0;
        for (uint16_t x = 2; x < 2 + 2000; x += 2) {
            const Seen even = open(c, subscriber(1), x);
            const Seen odd = even.second == 0 ? Seen{} : open(c, subscriber(1), x + 1);
            for (const Seen& each : {even, odd}) {
                made += each.second != 0;
                seen.insert(each);
            }
            pairs += odd.second == even.second + 1;
        }
        seen.erase(Seen{});
        CHECK(seen.size() == made);
        CHECK(made == sizes.own + 4 * sizes.other);
        CHECK(pairs == made / 2);
        CHECK(c.shard().pool_view({1}, c.now).ports_in_use == 4 * sizes.other);
        end(c, subscriber(1), 0, 65535);
        CHECK(c.shard().pool_view({1}, c.now).ports_in_use == 0);
        c.pass(700 * kSecond);
        CHECK(c.blocks(0).empty());
    }
}

TEST_CASE("a port of a pair rests as long as its own pool says", "[nat][rfc6888-req8]") {
    nat::NatSettings settings = with_overflow();
    for (nat::PoolSettings& pool : settings.pools) {
        pool.port_parity = pool.port_contiguity = true;
    }
    settings.pools[0].port_quarantine = Seconds{1};
    Cluster c(settings);
    for (uint16_t x = 1000; x < 1064; ++x) {
        REQUIRE(open(c, subscriber(1), x).first == kOwn.host());
    }
    const Seen even = open(c, subscriber(1), 2000);
    const Seen odd = open(c, subscriber(1), 2001);
    REQUIRE(even.first == kOther.host());
    REQUIRE(odd == Seen{even.first, even.second + 1});
    end(c, subscriber(1), 2001, 2001);
    for (unsigned i = 0; i < 20; ++i) {
        c.pass(5 * kSecond);
        const Seen again = open(c, subscriber(1), 2001);
        CHECK(again.second % 2 == 1);
        CHECK(again != odd);
        end(c, subscriber(1), 2001, 2001);
    }
}

TEST_CASE(
    "a subscriber's own block is used before those of the overflow pool, also after it was away",
    "[nat][rfc7422]"
) {
    for (const unsigned shards : {1U, 2U}) {
        CAPTURE(shards);
        Cluster c(with_overflow(), shards);
        for (uint16_t x = 1; x <= 65; ++x) {
            REQUIRE(open(c, subscriber(1), x).second != 0);
        }
        end(c, subscriber(1), 1, 64);
        c.pass(400 * kSecond);
        REQUIRE(c.blocks(c.shard_of(subscriber(1))).size() == 1);  // the overflow's
        CHECK(open(c, subscriber(1), 100).first == kOwn.host());
        CHECK(open(c, subscriber(1), 65).first == kOther.host());  // what is there goes on
    }
}

TEST_CASE(
    "a first block that the overflow pool lets a subscriber keep is let go at the end", "[nat]"
) {
    nat::NatSettings settings = with_overflow();
    settings.pools[0].block_release_delay = Seconds{0};
    settings.pools[1].block_release_delay = Seconds{3600};
    settings.pools[1].keeps_first_block = true;
    for (nat::PoolSettings& pool : settings.pools) {
        pool.port_quarantine = Seconds{0};
    }
    Cluster c(settings);
    for (uint16_t x = 1; x <= 129; ++x) {
        REQUIRE(open(c, subscriber(1), x).second != 0);
    }
    end(c, subscriber(1), 1, 128);  // its own block goes, one of the two others is empty
    c.pass(5 * kSecond);
    for (uint16_t x = 200; x < 200 + 128; ++x) {
        REQUIRE(open(c, subscriber(1), x).second != 0);
    }
    end(c, subscriber(1), 200, 400);
    end(c, subscriber(1), 129, 129);
    c.pass(8000 * kSecond, 1000);
    CHECK(c.blocks(0).empty());
    CHECK(c.shard().subscriber_count() == 0);
    CHECK(c.shard().pool_view({1}, c.now).free_blocks == 4);
}

TEST_CASE("a subscriber's blocks are counted right however many it may have", "[nat][rfc7422]") {
    nat::NatSettings settings = with_overflow({64, 64}, 300);
    settings.pools[1].blocks_per_subscriber = 255;
    Cluster c(settings, 1, {.sessions = 20'000, .mappings = 20'000});
    unsigned made = 0;
    while (open(c, subscriber(1), static_cast<uint16_t>(1 + made)).second != 0) {
        ++made;
        c.shard().end_of_burst();
    }
    CHECK(made == 255 * 64);  // its own block is one of them
    CHECK(c.blocks(0).size() == 255);
    end(c, subscriber(1), 0, 65535);
    c.pass(700 * kSecond);
    CHECK(c.blocks(0).empty());
    CHECK(c.shard().subscriber_count() == 0);
}

TEST_CASE("a mapping is listed in the pool that its endpoint is of", "[nat][rfc7422]") {
    Cluster c(with_overflow());
    for (uint16_t x = 1; x <= 70; ++x) {
        REQUIRE(open(c, subscriber(1), x).second != 0);
    }
    std::map<uint32_t, std::set<uint16_t>> pools;  // by external address
    uint32_t cursor = 0;
    size_t filled = 0;
    std::vector<nat::MappingView> mappings(100);
    c.shard().list_mappings(cursor, 1'000'000, mappings, filled);
    for (size_t i = 0; i < filled; ++i) {
        pools[Ipv4Addr{mappings[i].mapping.external_address}.host()].insert(mappings[i].pool);
    }
    std::vector<nat::SessionView> sessions(100);
    cursor = 0;
    c.shard().list_sessions(cursor, 1'000'000, c.now, sessions, filled);
    for (size_t i = 0; i < filled; ++i) {
        pools[Ipv4Addr{sessions[i].session.external_address}.host()].insert(sessions[i].pool);
    }
    CHECK(pools[kOwn.host()] == std::set<uint16_t>{0});
    CHECK(pools[kOther.host()] == std::set<uint16_t>{1});
}
