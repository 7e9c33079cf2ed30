// Blocks by formula (RFC 7422).
#include <set>

#include <catch2/catch.hpp>

#include "cluster.h"
#include "nat/formula.h"

using namespace sekisho;
using namespace sekisho::test;
using nat::Formula;
using nat::MakeResult;

namespace {

// 100.64.0.0/29 and 10.0.0.0/30 in another realm, with 64 ports each; overflow of 4 blocks.
nat::NatSettings by_formula(bool has_overflow) {
    nat::NatSettings s = lab();
    nat::PoolSettings& pool = s.pools[0];
    pool.addresses = {
        {addr(203, 0, 113, 1), addr(203, 0, 113, 2)}, {addr(203, 0, 113, 9), addr(203, 0, 113, 9)}};
    pool.ports = {1024, 1024 + 4 * 64 - 1};
    pool.port_block_size = 64;
    pool.port_selection = nat::PortSelection::kDeterministic;
    s.policies[0].source = {{addr(100, 64, 0, 0), 29}};
    s.policies[0].limits.ports = 10'000;
    nat::PolicySettings other = s.policies[0];
    other.realm = RealmId{2};
    other.source = {{addr(100, 64, 0, 0), 30}};
    s.policies.push_back(other);
    nat::PoolSettings more;
    more.name = "more";
    more.addresses = {{addr(198, 18, 0, 1), addr(198, 18, 0, 1)}};
    more.ports = {1024, 1024 + 4 * 64 - 1};
    more.port_block_size = 64;
    more.blocks_per_subscriber = 2;
    s.pools.push_back(more);
    if (has_overflow) {
        s.pools[0].overflow = PoolId{1};
    }
    return s;
}

}  // namespace

TEST_CASE(
    "the formula gives each subscriber a block of its own, and knows whose each port is",
    "[nat][rfc7422]"
) {
    const nat::NatSettings settings = by_formula(false);
    const Formula formula(settings, {0});
    CHECK(formula.subscribers() == 12);
    CHECK(formula.blocks() == 12);
    std::set<std::pair<uint32_t, uint16_t>> given;
    for (uint8_t realm = 1; realm <= 2; ++realm) {
        for (uint32_t n = 0; n < (realm == 1 ? 8U : 4U); ++n) {
            const auto external = formula.external_of(subscriber(n), {realm});
            REQUIRE(external);
            CHECK(external->ports.last - external->ports.first == 63);
            CHECK(given.insert({external->address.raw, external->ports.first}).second);
            for (uint32_t p = external->ports.first; p <= external->ports.last; ++p) {
                const auto who = formula.internal_of(external->address, static_cast<uint16_t>(p));
                CHECK(who == nat::FormulaInternal{subscriber(n), {realm}});
            }
        }
    }
    CHECK(formula.external_of(subscriber(0), kInternalRealm)->address == addr(203, 0, 113, 1));
    CHECK(formula.external_of(subscriber(0), kInternalRealm)->ports == nat::PortRange{1024, 1087});
    CHECK(formula.external_of(subscriber(7), kInternalRealm)->address == addr(203, 0, 113, 2));
    CHECK(formula.external_of(subscriber(3), {2})->address == addr(203, 0, 113, 9));
    CHECK_FALSE(formula.external_of(subscriber(8), kInternalRealm));
    CHECK_FALSE(formula.internal_of(addr(203, 0, 113, 3), 1024));
    CHECK_FALSE(formula.internal_of(addr(203, 0, 113, 1), 1023));
    CHECK_FALSE(formula.internal_of(addr(203, 0, 113, 1), 1024 + 256));
}

TEST_CASE("an address that two policies cover keeps its first number", "[nat][rfc7422]") {
    nat::NatSettings settings = by_formula(false);
    settings.policies[1].realm = kInternalRealm;
    settings.policies[1].source = {{addr(100, 64, 0, 4), 30}};
    const Formula formula(settings, {0});
    CHECK(formula.external_of(subscriber(5), kInternalRealm)->address == addr(203, 0, 113, 2));
    CHECK_FALSE(formula.internal_of(addr(203, 0, 113, 9), 1024));
}

TEST_CASE(
    "a subscriber's ports are those of the formula, and come back the same", "[nat][rfc6888-req8b]"
) {
    const nat::NatSettings settings = by_formula(false);
    const Formula formula(settings, {0});
    for (const unsigned shards : {1U, 2U, 3U}) {
        CAPTURE(shards);
        Cluster c(settings, shards);
        for (uint32_t n = 0; n < 8; ++n) {
            const auto external = *formula.external_of(subscriber(n), kInternalRealm);
            std::set<uint16_t> ports;
            for (uint16_t x = 1; x <= 64; ++x) {
                const MakeResult r = c.open(Protocol::kUdp, subscriber(n), x);
                REQUIRE(r.kind == MakeResult::kMade);
                const Session& s = c.session_of(r, subscriber(n));
                CHECK(Ipv4Addr{s.external_address} == external.address);
                ports.insert(Port{s.external_port}.host());
                const ExternalIndex index = c.directory().find(external.address);
                CHECK(
                    c.directory().owner_of(index, {s.external_port}, Protocol::kUdp).value ==
                    c.shard_of(subscriber(n))
                );
            }
            CHECK(ports.size() == 64);
            CHECK(*ports.begin() == external.ports.first);
            CHECK(*ports.rbegin() == external.ports.last);
            CHECK(
                c.open(Protocol::kUdp, subscriber(n), 100).reason ==
                DropReason::kSubscriberPortLimit
            );
        }
        CHECK(c.under_way() == 0);
        c.pass(700'000);
        for (unsigned s = 0; s < shards; ++s) {
            CHECK(c.shard(s).subscriber_count() == 0);
            CHECK(c.blocks(s).empty());
            CHECK(c.shard(s).pool_view({0}, c.now).ports_in_use == 0);
        }
        const MakeResult again = c.open(Protocol::kUdp, subscriber(7), 1);
        CHECK(
            Ipv4Addr{c.session_of(again, subscriber(7)).external_address} == addr(203, 0, 113, 2)
        );
    }
}

TEST_CASE("what is beyond the formula's block comes from the overflow pool", "[nat][rfc7422]") {
    for (const unsigned shards : {1U, 2U, 3U}) {
        CAPTURE(shards);
        Cluster c(by_formula(true), shards);
        unsigned beyond = 0;
        for (uint16_t x = 1; x <= 3 * 64; ++x) {
            const MakeResult r = c.open(Protocol::kUdp, subscriber(3), x);
            REQUIRE(r.kind == MakeResult::kMade);
            beyond +=
                Ipv4Addr{c.session_of(r, subscriber(3)).external_address} == addr(198, 18, 0, 1);
        }
        CHECK(beyond == 2 * 64);
        CHECK(
            c.open(Protocol::kUdp, subscriber(3), 1000).reason == DropReason::kSubscriberPortLimit
        );
        const unsigned shard = c.shard_of(subscriber(3));
        CHECK(c.shard(shard).pool_view({0}, c.now).ports_in_use == 64);
        CHECK(c.shard(shard).pool_view({1}, c.now).ports_in_use == 128);
        c.pass(700'000);
        CHECK(c.blocks(shard).empty());
        CHECK(c.shard(shard).pool_view({1}, c.now).ports_in_use == 0);
        uint32_t free = 0;
        for (unsigned s = 0; s < shards; ++s) {
            free += c.shard(s).pool_view({1}, c.now).free_blocks;
        }
        CHECK(free == 4);
    }
}

TEST_CASE("blocks by formula are in no log, those of the overflow pool are", "[nat][rfc7422]") {
    for (const unsigned shards : {1U, 3U}) {
        CAPTURE(shards);
        nat::NatSettings settings = by_formula(true);
        settings.events = {nat::kLogBlocks, 1024, {}};
        Cluster c(settings, shards);
        for (uint16_t x = 1; x <= 64; ++x) {
            REQUIRE(c.open(Protocol::kUdp, subscriber(3), x).kind == MakeResult::kMade);
        }
        const unsigned shard = c.shard_of(subscriber(3));
        nat::EventReader reader = c.shard(shard).event_reader();
        CHECK(reader.front().empty());
        REQUIRE(c.open(Protocol::kUdp, subscriber(3), 65).kind == MakeResult::kMade);
        c.pass(700'000);
        REQUIRE(c.blocks(shard).empty());
        const auto events = reader.front();
        REQUIRE(events.size() == 2);
        CHECK(events[0].kind == nat::EventKind::kBlockGranted);
        CHECK(events[1].kind == nat::EventKind::kBlockReleased);
        for (const nat::Event& event : events) {
            CHECK(event.pool == 1);
            CHECK(event.external_address == addr(198, 18, 0, 1).raw);
            CHECK(event.internal_address == subscriber(3).raw);
        }
    }
}
