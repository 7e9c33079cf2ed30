// A link's address is a pool's, and another takes its place (SEEDS B1).
#include <catch2/catch.hpp>

#include "cluster.h"

using namespace sekisho;
using namespace sekisho::test;
using nat::EndCause;
using nat::Event;
using nat::EventKind;
using nat::MakeResult;

namespace {

constexpr nat::TableShares kAll{4096, 4096, 1024};
const Ipv4Addr kOld = addr(203, 0, 113, 1);
const Ipv4Addr kNew = addr(203, 0, 113, 9);

// The link has another address, and so has its pool.
void renumber(Cluster& c, Ipv4Addr from, Ipv4Addr to) {
    c.change([&](nat::NatSettings& s) { s.pools[0].addresses = {{to, to}}; }, kAll, {from});
}

Ipv4Addr external_of(Cluster& c, const MakeResult& made, Ipv4Addr internal) {
    return {c.session_of(made, internal).external_address};
}

size_t sessions(Cluster& c) {
    size_t sum = 0;
    for (unsigned s = 0; s < c.shards(); ++s) {
        sum += c.shard(s).session_count();
    }
    return sum;
}

nat::PoolView pool(Cluster& c) {
    nat::PoolView sum;
    for (unsigned s = 0; s < c.shards(); ++s) {
        const nat::PoolView view = c.shard(s).pool_view({0}, c.now);
        sum.free_blocks += view.free_blocks;
        sum.granted_blocks += view.granted_blocks;
        sum.draining += view.draining;
        sum.withdrawn += view.withdrawn;
    }
    return sum;
}

std::vector<Event> events(Cluster& c) {
    std::vector<Event> all;
    for (unsigned s = 0; s < c.shards(); ++s) {
        nat::EventReader reader = c.shard(s).event_reader();
        for (; !reader.front().empty(); reader.pop(1)) {
            all.push_back(reader.front().front());
        }
    }
    return all;
}

MakeResult open_of(Cluster& c, Protocol protocol, uint32_t n, uint16_t port) {
    const MakeResult made = c.open(protocol, subscriber(n), port);
    REQUIRE(made.kind == MakeResult::kMade);
    return made;
}

}  // namespace

TEST_CASE(
    "with a link's address goes all that stood at it, and what is new stands at the next one",
    "[nat][change]"
) {
    for (const unsigned shards : {1U, 3U}) {
        INFO(shards);
        nat::NatSettings settings = lab();
        settings.events = {nat::kLogMappings | nat::kLogBlocks | nat::kLogSessions, 1024, {}};
        Cluster c(settings, shards);
        for (uint32_t n = 0; n < 30; ++n) {
            const Protocol all[] = {Protocol::kTcp, Protocol::kUdp, Protocol::kIcmp};
            const MakeResult made = open_of(c, all[n % 3], n, 5000);
            REQUIRE(external_of(c, made, subscriber(n)) == kOld);
        }
        (void)events(c);
        renumber(c, kOld, kNew);
        CHECK(c.directory().find(kOld).value == kNoIndex);
        CHECK_FALSE(c.directory().is_answered(kOld));
        CHECK(c.directory().is_answered(kNew));
        CHECK(pool(c).draining == 1);
        c.pass(2000);
        CHECK(sessions(c) == 0);
        CHECK(pool(c).granted_blocks == 0);
        CHECK(pool(c).withdrawn == 30);
        unsigned ended[3] = {};
        for (const Event& event : events(c)) {
            const bool is_block = event.kind == EventKind::kBlockReleased;
            CHECK(event.external_address == kOld.raw);
            CHECK((is_block || event.cause == static_cast<uint8_t>(EndCause::kWithdrawn)));
            ended[0] += event.kind == EventKind::kSessionEnded ? 1 : 0;
            ended[1] += event.kind == EventKind::kMappingEnded ? 1 : 0;
            ended[2] += is_block ? 1 : 0;
        }
        for (const unsigned number : ended) {
            CHECK(number == 30);
        }
        CHECK(c.directory().has_drained());
        c.change([](nat::NatSettings&) {}, kAll);
        CHECK(pool(c).draining == 0);
        CHECK_FALSE(c.directory().are_any_withdrawn());
        for (uint32_t n = 0; n < 30; ++n) {
            const MakeResult made = open_of(c, Protocol::kUdp, n, 5000);
            CHECK(external_of(c, made, subscriber(n)) == kNew);
        }
        CHECK(c.audit() == "");
    }
}

TEST_CASE("what rules have led inside ends with the address where it came", "[nat][change]") {
    const Ipv4Addr second = addr(203, 0, 113, 2);
    for (const unsigned shards : {1U, 3U}) {
        for (const bool is_lost : {false, true}) {
            INFO(shards << (is_lost ? ", lost" : ""));
            nat::NatSettings settings = lab(2);
            settings.has_destination_rules = true;
            Cluster c(settings, shards);
            const auto lead = [&](Ipv4Addr external, uint16_t from) {
                const unsigned s = c.shard_of(subscriber(7));
                const FlowKey syn = FlowKey::of(
                    kRemote, external, port(from), port(80), Protocol::kTcp, kExternalRealm
                );
                const nat::Forward to{{subscriber(7), port(8080)}, kInternalRealm};
                if (c.directory().forwarded() != nullptr) {
                    (void)c.directory().forwarded()->claim_flow(
                        syn, ShardId{static_cast<uint8_t>(s)}
                    );
                }
                return c.shard(s)
                    .forward_inbound(syn, to, PacketKind::kTcp, packet::kSyn, c.now)
                    .kind;
            };
            for (uint16_t n = 0; n < 10; ++n) {
                CHECK(lead(second, static_cast<uint16_t>(4000 + n)) == nat::AdmitResult::kSession);
                CHECK(lead(kOld, static_cast<uint16_t>(5000 + n)) == nat::AdmitResult::kSession);
            }
            c.pass(100);
            CHECK(sessions(c) == 20);
            const std::vector<Ipv4Addr> lost(is_lost ? 1 : 0, second);
            c.change(
                [](nat::NatSettings& s) {
                    s.pools[0].addresses = {{kOld, kOld}};
                },
                kAll,
                lost
            );
            c.pass(2000);
            CHECK(sessions(c) == 10);
            if (c.directory().forwarded() != nullptr) {
                CHECK(c.directory().forwarded()->size() == 10);
            }
            CHECK(c.audit() == "");
        }
    }
}

TEST_CASE("the old address of a link is nobody's while its sessions end", "[nat][change]") {
    Cluster c(lab());
    for (uint32_t n = 0; n < 100; ++n) {
        (void)open_of(c, Protocol::kUdp, n, 5000);
    }
    renumber(c, kOld, kNew);
    // From the same internal endpoint to another remote one: its mapping has yet to end.
    const MakeResult refused =
        c.open(Protocol::kUdp, subscriber(99), 5000, addr(198, 51, 100, 8), 53);
    CHECK(refused.kind == MakeResult::kRefused);
    CHECK(refused.reason == DropReason::kAddressWithdrawn);
    const MakeResult other = open_of(c, Protocol::kUdp, 99, 6000);
    CHECK(external_of(c, other, subscriber(99)) == kNew);
    for (unsigned turn = 0; turn < 10; ++turn) {
        c.shard().advance(c.now, 8);
        c.shard().end_of_burst();
        CHECK(c.shard().session_count() >= 101 - 8 * (turn + 1));  // a few a turn
    }
    for (unsigned turn = 0; turn < 10; ++turn) {
        c.shard().advance(c.now, 8);
        c.shard().end_of_burst();
    }
    CHECK(c.shard().session_count() == 1);
    const MakeResult again = c.open(Protocol::kUdp, subscriber(99), 5000);
    REQUIRE(again.kind == MakeResult::kMade);
    CHECK(external_of(c, again, subscriber(99)) == kNew);
}

TEST_CASE(
    "what has no ports gives its remote addresses back with a link's address", "[nat][change]"
) {
    for (const unsigned shards : {1U, 3U}) {
        Cluster c(lab(), shards);
        const auto open = [&](uint32_t n) {
            const FlowKey key = FlowKey::of(
                subscriber(n),
                addr(198, 51, 100, static_cast<uint8_t>(n)),
                {},
                {},
                Protocol::kGre,
                kInternalRealm
            );
            nat::NatShard& s = c.shard(c.shard_of(subscriber(n)));
            MakeResult r = s.make_outbound(key, PacketKind::kAddressOnly, 0, c.now);
            for (int i = 0; r.kind == MakeResult::kHold && i < 4; ++i) {
                c.deliver();
                r = s.make_outbound(key, PacketKind::kAddressOnly, 0, c.now);
            }
            return r.kind == MakeResult::kMade;
        };
        for (uint32_t n = 1; n < 10; ++n) {
            REQUIRE(open(n));
        }
        REQUIRE(c.shard().claims().size() == 9);
        renumber(c, kOld, kNew);
        c.pass(2000);
        CHECK(c.shard().claims().size() == 0);
        CHECK(sessions(c) == 0);
        CHECK(open(1));
    }
}

TEST_CASE("a hairpin ends with the address of its far end", "[nat][change]") {
    nat::NatSettings settings = lab();
    nat::PoolSettings other = settings.pools[0];
    other.name = "other";
    other.addresses = {{addr(203, 0, 113, 50), addr(203, 0, 113, 50)}};
    settings.pools.push_back(other);
    nat::PolicySettings policy = settings.policies[0];
    policy.name = "others";
    policy.source = {{addr(100, 100, 0, 0), 16}};
    policy.pool = PoolId{1};
    settings.policies.insert(settings.policies.begin(), policy);
    Cluster c(settings);
    const MakeResult far = open_of(c, Protocol::kUdp, 1, 5000);
    const uint16_t far_port = Port{c.session_of(far, subscriber(1)).external_port}.host();
    const MakeResult near = c.open(Protocol::kUdp, addr(100, 100, 0, 1), 5000, kOld, far_port);
    REQUIRE(near.kind == MakeResult::kMade);
    const MakeResult direct = c.open(Protocol::kUdp, addr(100, 100, 0, 1), 6000);
    REQUIRE(direct.kind == MakeResult::kMade);
    renumber(c, kOld, kNew);
    c.pass(1000);
    CHECK(c.shard().session_count() == 1);
    CHECK((c.shard().session(direct.session).flags & flow::kLive) != 0);
}

TEST_CASE("no session goes on to a next hop of before the routes changed", "[nat][change]") {
    Cluster c(lab());
    const MakeResult made = open_of(c, Protocol::kUdp, 1, 5000);
    Session& s = c.session_of(made, subscriber(1));
    s.next_hop[0] = s.next_hop[1] = 7;
    c.change([](nat::NatSettings&) {}, kAll);
    c.tick();
    CHECK(s.next_hop[0] == 7);
    c.change([](nat::NatSettings&) {}, kAll, {addr(192, 0, 2, 1)});
    c.tick();
    CHECK(s.next_hop[0] == 0);
    CHECK(s.next_hop[1] == 0);
    CHECK((s.flags & flow::kLive) != 0);
}

TEST_CASE("a link's address may change for ever, and come back", "[nat][change]") {
    for (const unsigned shards : {1U, 3U}) {
        Cluster c(lab(), shards);
        Ipv4Addr from = kOld;
        for (uint32_t round = 0; round < 300; ++round) {
            const Ipv4Addr to = addr(203, 0, 113, static_cast<uint8_t>(1 + round % 3));
            (void)open_of(c, Protocol::kUdp, round % 7, 5000);
            renumber(c, from, to);
            c.pass(round % 2 == 0 ? 1000 : 0, 1000);
            if (c.directory().has_drained()) {
                c.change([](nat::NatSettings&) {}, kAll);
            }
            const MakeResult made = open_of(c, Protocol::kTcp, round % 5 + 20, 5000);
            CHECK(external_of(c, made, subscriber(round % 5 + 20)) == to);
            from = to;
        }
        CHECK(c.directory().waiting() == 0);
        CHECK(c.directory().size() <= 3);
        c.pass(2000);
        c.change([](nat::NatSettings&) {}, kAll);
        const nat::PoolView view = pool(c);
        CHECK(view.free_blocks + view.granted_blocks == 252);
        CHECK(c.audit() == "");
    }
}

TEST_CASE(
    "an address that was a link's joins another pool when nothing of it is left", "[nat][change]"
) {
    nat::NatSettings settings = lab();
    nat::PoolSettings other = settings.pools[0];
    other.name = "other";
    other.addresses = {{addr(203, 0, 113, 50), addr(203, 0, 113, 50)}};
    settings.pools.push_back(other);
    Cluster c(settings, 2);
    (void)open_of(c, Protocol::kUdp, 1, 5000);
    c.change(
        [&](nat::NatSettings& s) {
            s.pools[0].addresses = {{kNew, kNew}};
            s.pools[1].addresses.push_back({kOld, kOld});
        },
        kAll,
        {kOld}
    );
    CHECK(c.directory().waiting() == 1);
    CHECK(c.directory().find(kOld).value == kNoIndex);
    c.pass(2000);
    c.change([](nat::NatSettings&) {}, kAll);
    CHECK(c.directory().waiting() == 0);
    const ExternalIndex index = c.directory().find(kOld);
    REQUIRE(index.value != kNoIndex);
    CHECK(c.directory()[index].pool.value == 1);
    CHECK(c.audit() == "");
}

TEST_CASE("an address that its link keeps, but not its pool, is drained", "[nat][change]") {
    Cluster c(lab());
    const MakeResult made = open_of(c, Protocol::kUdp, 1, 5000);
    c.change([&](nat::NatSettings& s) { s.pools[0].addresses = {{kNew, kNew}}; }, kAll);
    c.pass(2000);
    CHECK(c.shard().session_count() == 1);
    CHECK(external_of(c, made, subscriber(1)) == kOld);
    CHECK(c.directory().is_answered(kOld));
}
