// Ports that are given out one by one: `port-selection: preserve` and `port-ranges: preserve`.
#include <set>

#include <catch2/catch.hpp>

#include "cluster.h"

using namespace sekisho;
using namespace sekisho::test;
using nat::MakeResult;
using nat::Pairing;

namespace {

constexpr uint32_t kQuarantineMs = 120'000;

nat::NatSettings preserving(unsigned addresses = 1, nat::PortRange ports = {1024, 65535}) {
    nat::NatSettings s = lab(addresses);
    s.pools[0].port_selection = nat::PortSelection::kPreserve;
    s.pools[0].ports = ports;
    s.policies[0].limits.ports = 1'000'000;
    s.policies[0].limits.sessions = 1'000'000;
    return s;
}

struct External {
    Ipv4Addr address;
    uint16_t port = 0;
    friend bool operator==(const External&, const External&) = default;
};

// 0.0.0.0:0 where it was refused.
External open(Cluster& c, Ipv4Addr internal, uint16_t x, Protocol p = Protocol::kUdp) {
    const MakeResult r = c.open(p, internal, x);
    if (r.kind != MakeResult::kMade) {
        return {};
    }
    const Session& s = c.session_of(r, internal);
    return {{s.external_address}, Port{s.external_port}.host()};
}

void end_all(Cluster& c, Ipv4Addr internal) {
    nat::NatShard& s = c.shard(c.shard_of(internal));
    for (uint32_t i = 0; i < s.session_capacity(); ++i) {
        const Session& session = s.session({i});
        if ((session.flags & flow::kLive) != 0 && session.internal_address == internal.raw) {
            s.clear_session({i}, c.now);
        }
    }
    s.end_of_burst();
    c.deliver();
}

}  // namespace

TEST_CASE(
    "neighbours behind one address keep their ports, whatever the number of shards", "[nat]"
) {
    for (const unsigned shards : {1U, 2U, 3U, 8U}) {
        CAPTURE(shards);
        Cluster c(preserving(), shards);
        for (uint32_t n = 0; n < 16; ++n) {
            for (const Protocol p : {Protocol::kTcp, Protocol::kUdp, Protocol::kIcmp}) {
                const auto x = static_cast<uint16_t>(40000 + n);
                CHECK(open(c, subscriber(n), x, p) == External{addr(203, 0, 113, 1), x});
                CHECK(c.directory().owner_of({0}, port(x), p).value == c.shard_of(subscriber(n)));
            }
        }
        CHECK(c.directory().owner_of({0}, port(50000), Protocol::kUdp) == ShardId{0});
        CHECK(c.audit().empty());
        c.pass(1000);
        for (uint32_t n = 0; n < 16; ++n) {
            const auto x = static_cast<uint16_t>(40000 + n);
            const auto found =
                c.shard(c.shard_of(subscriber(n)))
                    .find_mapping_by_external(addr(203, 0, 113, 1), port(x), Protocol::kUdp);
            CHECK(found.value != kNoIndex);
        }
    }
}

TEST_CASE("a port that is taken is replaced by another of the pool's", "[nat][rfc4787-req3]") {
    for (const unsigned shards : {1U, 3U}) {
        CAPTURE(shards);
        Cluster c(preserving(1, {1024, 2047}), shards);
        CHECK(open(c, subscriber(1), 2000).port == 2000);
        std::set<uint16_t> others;
        for (uint32_t n = 2; n < 10; ++n) {
            const External e = open(c, subscriber(n), 2000);
            CHECK(e.port != 2000);
            CHECK((e.port >= 1024 && e.port <= 2047));
            CHECK(others.insert(e.port).second);
        }
        CHECK(open(c, subscriber(2), 80).port >= 1024);  // none of the pool's is kept either
    }
}

TEST_CASE("the same port of another address comes before another port, where pairing allows") {
    for (const unsigned shards : {1U, 2U, 3U}) {
        for (const Pairing pairing : {Pairing::kHard, Pairing::kSoft, Pairing::kNone}) {
            CAPTURE(shards, static_cast<int>(pairing));
            nat::NatSettings settings = preserving(3);
            settings.pools[0].pairing = pairing;
            Cluster c(settings, shards);
            std::set<uint32_t> addresses;
            // Before they are paired all find an address where the port is free.
            for (uint32_t n = 0; n < 3; ++n) {
                const External e = open(c, subscriber(n), 5000);
                CHECK(e.port == 5000);
                addresses.insert(e.address.raw);
            }
            CHECK(addresses.size() == 3);
            CHECK(open(c, subscriber(3), 5000).port != 5000);
            // Then only those who are not bound to theirs.
            CHECK(open(c, subscriber(4), 6000).port == 6000);
            const External paired = open(c, subscriber(0), 6001);
            CHECK(paired.port == 6001);
            unsigned kept = 0;
            for (uint32_t n = 1; n < 3; ++n) {
                kept += open(c, subscriber(n), 6001).port == 6001;
            }
            CHECK(kept == 2);
            std::set<uint32_t> of_one;
            unsigned clashes = 0;
            for (uint16_t x = 7000; x < 7050; ++x) {
                for (uint32_t n = 0; n < 3; ++n) {
                    const External e = open(c, subscriber(n), x);
                    clashes += e.port != x;
                    of_one.insert(n == 1 ? e.address.raw : 0);
                }
                for (uint32_t n = 0; n < 3; ++n) {  // the three addresses have x by now
                    of_one.insert(n == 1 ? open(c, subscriber(1), x).address.raw : 0);
                }
            }
            CHECK(clashes == 0);  // each has an address of its own
            const External again = open(c, subscriber(5), 7000);
            CHECK(again.port != 7000);
        }
    }
}

TEST_CASE(
    "only hard pairing keeps a subscriber at one address when its port is taken there",
    "[nat][rfc6888-req2]"
) {
    for (const unsigned shards : {1U, 2U, 3U}) {
        for (const Pairing pairing : {Pairing::kHard, Pairing::kSoft, Pairing::kNone}) {
            CAPTURE(shards, static_cast<int>(pairing));
            nat::NatSettings settings = preserving(2);
            settings.pools[0].pairing = pairing;
            Cluster c(settings, shards);
            const External first = open(c, subscriber(0), 5000);
            const External other = open(c, subscriber(1), 5000);
            CHECK(first.address != other.address);
            External third = open(c, subscriber(2), 6000);
            External clash = open(c, subscriber(2), 5000);  // both addresses have it
            CHECK(clash.address == third.address);
            CHECK(clash.port != 5000);
            CHECK(open(c, subscriber(third.address == first.address ? 0 : 1), 6001).port == 6001);
            clash = open(c, subscriber(2), 6001);  // only the paired one has it
            CHECK((clash.address == third.address) == (pairing == Pairing::kHard));
            CHECK((clash.port == 6001) == (pairing != Pairing::kHard));
        }
    }
}

TEST_CASE(
    "each port of an address is given once before one is refused, protocol by protocol",
    "[nat][pitfall-1][pitfall-5]"
) {
    struct {
        nat::PortRange ports;
        unsigned shards;
    } const rows[] = {
        {{1024, 65535}, 1}, {{1024, 65535}, 2}, {{1, 70}, 1}, {{4000, 4000}, 3}, {{4095, 4160}, 2}};
    for (const auto& r : rows) {
        CAPTURE(r.ports.first, r.ports.last, r.shards);
        Cluster c(preserving(1, r.ports), r.shards, {.sessions = 70000, .mappings = 70000});
        const uint32_t there_are = r.ports.last - r.ports.first + 1U;
        std::set<uint16_t> given;
        for (uint32_t i = 0; i < there_are; ++i) {
            // Half of them want what somebody has.
            const auto x = static_cast<uint16_t>(r.ports.first + i / 2);
            given.insert(open(c, subscriber(i % 2), x).port);
            c.shard(c.shard_of(subscriber(i % 2))).end_of_burst();
        }
        CHECK(given.size() == there_are);
        CHECK(!given.contains(0));
        const MakeResult refused = c.open(Protocol::kUdp, subscriber(3), r.ports.first);
        CHECK(refused.kind == MakeResult::kRefused);
        CHECK(refused.reason == DropReason::kPoolExhausted);
        CHECK(c.open(Protocol::kTcp, subscriber(4), r.ports.first).kind == MakeResult::kMade);
    }
}

TEST_CASE("a freed port rests before anybody gets it, its last user too", "[nat][rfc6888-req8]") {
    for (const unsigned shards : {1U, 3U}) {
        CAPTURE(shards);
        Cluster c(preserving(), shards);
        CHECK(open(c, subscriber(1), 4000).port == 4000);
        end_all(c, subscriber(1));
        CHECK(open(c, subscriber(1), 4000).port != 4000);
        end_all(c, subscriber(1));
        uint32_t resting = 0;
        for (unsigned s = 0; s < shards; ++s) {
            resting += c.shard(s).pool_view({0}, c.now).ports_resting;
        }
        CHECK(resting == 2);
        c.pass(kQuarantineMs - 1000);
        CHECK(open(c, subscriber(2), 4000).port != 4000);
        c.pass(kQuarantineMs + 1000);
        CHECK(open(c, subscriber(3), 4000).port == 4000);
        CHECK(
            c.directory().owner_of({0}, port(4000), Protocol::kUdp).value ==
            c.shard_of(subscriber(3))
        );
    }
}

TEST_CASE("well-known ports stay well-known ones, and others stay others", "[nat][rfc4787-req3a]") {
    for (const auto selection :
         {nat::PortSelection::kRandom,
          nat::PortSelection::kSequential,
          nat::PortSelection::kPreserve}) {
        for (const unsigned shards : {1U, 2U}) {
            CAPTURE(static_cast<int>(selection), shards);
            nat::NatSettings settings = lab(2);
            settings.pools[0].ports = {1000, 65535};
            settings.pools[0].port_selection = selection;
            settings.pools[0].port_ranges = nat::PortRanges::kPreserve;
            Cluster c(settings, shards);
            const Ipv4Addr high = open(c, subscriber(1), 40000).address;
            CHECK(open(c, subscriber(1), 1010).port == 1010);
            unsigned low = 0;
            for (uint16_t x = 1; x <= 30; ++x) {
                const External e =
                    open(c, subscriber(1), x, x % 2 == 0 ? Protocol::kUdp : Protocol::kTcp);
                low += e.port >= 1000 && e.port < 1024 && e.address == high;
            }
            CHECK(low == 30);
            for (uint16_t x = 100; x < 118; ++x) {
                low += open(c, subscriber(1), x).port < 1024;
            }
            // 24 low ports of UDP there are, then none takes their place.
            CHECK(c.open(Protocol::kUdp, subscriber(1), 200).reason == DropReason::kPoolExhausted);
            for (uint16_t x = 1024; x < 1100; ++x) {
                CHECK(open(c, subscriber(2), x).port >= 1024);
            }
            // Identifiers of ICMP are no ports.
            CHECK(c.open(Protocol::kIcmp, subscriber(2), 5).kind == MakeResult::kMade);
            CHECK(c.audit().empty());
        }
    }
}

TEST_CASE("a protocol without ports takes none of the well-known ones", "[nat]") {
    nat::NatSettings settings = lab(2);
    settings.pools[0].ports = {1000, 65535};
    settings.pools[0].port_ranges = nat::PortRanges::kPreserve;
    for (const unsigned shards : {1U, 2U}) {
        CAPTURE(shards);
        Cluster c(settings, shards);
        for (uint8_t n = 1; n <= 30; ++n) {
            const Ipv4Addr remote = addr(198, 51, 100, n);
            const FlowKey key =
                FlowKey::of(subscriber(n), remote, {}, {}, Protocol::kSctp, kInternalRealm);
            nat::NatShard& s = c.shard(c.shard_of(subscriber(n)));
            (void)s.make_outbound(key, PacketKind::kAddressOnly, 0, c.now);
            c.deliver();
            const MakeResult r = s.make_outbound(key, PacketKind::kAddressOnly, 0, c.now);
            REQUIRE(r.kind == MakeResult::kMade);
            CHECK(Port{s.mapping({s.session(r.session).mapping}).external_port}.host() >= 1024);
        }
    }
}

TEST_CASE(
    "ports that are given out alone count towards a subscriber's limits", "[nat][rfc6888-req4]"
) {
    nat::NatSettings settings = preserving();
    settings.policies[0].limits.ports = 20;
    settings.policies[0].limits.tcp.ports = 5;
    for (const unsigned shards : {1U, 2U}) {
        Cluster c(settings, shards);
        for (uint16_t x = 2000; x < 2005; ++x) {
            CHECK(open(c, subscriber(1), x, Protocol::kTcp).port == x);
        }
        CHECK(
            c.open(Protocol::kTcp, subscriber(1), 3000).reason == DropReason::kSubscriberPortLimit
        );
        for (uint16_t x = 2000; x < 2015; ++x) {
            CHECK(open(c, subscriber(1), x).port == x);
        }
        CHECK(
            c.open(Protocol::kUdp, subscriber(1), 3000).reason == DropReason::kSubscriberPortLimit
        );
        end_all(c, subscriber(1));
        CHECK(open(c, subscriber(1), 3000, Protocol::kTcp).port == 3000);
    }
}

TEST_CASE(
    "static mappings' ports are nobody else's where ports are given out alone", "[nat][static]"
) {
    nat::NatSettings settings = preserving(2);
    nat::StaticMappingSettings web;
    web.internal = subscriber(9);
    web.external = addr(203, 0, 113, 1);
    web.internal_ports = {80, 80};
    web.external_ports = {8080, 8080};
    web.udp = false;
    nat::StaticMappingSettings whole;
    whole.internal = subscriber(8);
    whole.external = addr(203, 0, 113, 2);
    settings.static_mappings = {web, whole};
    for (const unsigned shards : {1U, 2U}) {
        CAPTURE(shards);
        Cluster c(settings, shards);
        CHECK(open(c, subscriber(1), 8080, Protocol::kTcp).port != 8080);
        CHECK(open(c, subscriber(1), 8080, Protocol::kUdp) == External{addr(203, 0, 113, 1), 8080});
        CHECK(open(c, subscriber(1), 8081, Protocol::kTcp).port == 8081);
        for (uint32_t n = 2; n < 8; ++n) {
            CHECK(open(c, subscriber(n), 9000).address == addr(203, 0, 113, 1));
        }
        CHECK(open(c, subscriber(9), 8082).address == addr(203, 0, 113, 1));
    }
}

TEST_CASE("a granted port that nobody claims goes home at once", "[nat]") {
    Cluster c(preserving(), 2);
    const Ipv4Addr far = subscriber(1);  // its shard is the second, the address's home the first
    const FlowKey key =
        FlowKey::of(far, kRemote, port(4000), port(80), Protocol::kUdp, kInternalRealm);
    REQUIRE(c.shard(1).make_outbound(key, PacketKind::kUdp, 0, c.now).kind == MakeResult::kHold);
    c.deliver();  // the grant is there, and the packet that was held has been lost
    CHECK(c.waits_over == 1);
    c.tick();
    CHECK(c.shard(1).subscriber_count() == 0);
    CHECK(open(c, subscriber(2), 4000).port == 4000);
}

TEST_CASE("mappings that end while the rings are full give their ports back later", "[nat]") {
    Cluster c(preserving(), 2, {.sessions = 70000, .mappings = 70000});
    constexpr uint32_t kMany = 20000;
    for (uint32_t i = 0; i < kMany; ++i) {
        REQUIRE(open(c, subscriber(1), static_cast<uint16_t>(1024 + i)).port == 1024 + i);
    }
    c.room = 0;
    end_all(c, subscriber(1));
    CHECK(c.shard(1).mapping_count() > 0);  // their records wait
    CHECK(c.shard(1).session_count() == 0);
    c.room = ~size_t{0};
    c.pass(5000);
    CHECK(c.shard(1).mapping_count() == 0);
    CHECK(c.shard(1).subscriber_count() == 0);
    CHECK(c.shard(0).pool_view({0}, c.now).ports_resting == kMany);
    c.pass(2 * kQuarantineMs);
    CHECK(open(c, subscriber(2), 1024).port == 1024);
}

TEST_CASE(
    "hosts that use well-known ports alone get them while the pool has some",
    "[nat][rfc4787-req3a][pitfall-1]"
) {
    for (const Pairing pairing : {Pairing::kHard, Pairing::kSoft, Pairing::kNone}) {
        for (const unsigned shards : {1U, 2U, 3U}) {
            CAPTURE(static_cast<int>(pairing), shards);
            nat::NatSettings settings = lab(4);
            settings.pools[0].ports = {1000, 65535};
            settings.pools[0].port_ranges = nat::PortRanges::kPreserve;
            settings.pools[0].pairing = pairing;
            Cluster c(settings, shards);
            std::set<std::pair<uint32_t, uint16_t>> given;
            for (uint32_t n = 0; n < 4 * 24; ++n) {
                const External e = open(c, subscriber(n), 500);
                CHECK((e.port >= 1000 && e.port < 1024));
                given.insert({e.address.raw, e.port});
            }
            CHECK(given.size() == 4 * 24);
            CHECK(c.open(Protocol::kUdp, subscriber(96), 500).reason == DropReason::kPoolExhausted);
            CHECK(c.open(Protocol::kTcp, subscriber(96), 500).kind == MakeResult::kMade);
        }
    }
}

TEST_CASE(
    "a host that wants a well-known port gets one though all blocks are granted",
    "[nat][rfc4787-req3a]"
) {
    nat::NatSettings settings = lab(2);
    settings.pools[0].ports = {1000, 2047};
    settings.pools[0].port_block_size = 1024;
    settings.pools[0].port_ranges = nat::PortRanges::kPreserve;
    for (const unsigned shards : {1U, 2U}) {
        CAPTURE(shards);
        Cluster c(settings, shards);
        REQUIRE(open(c, subscriber(1), 40000).port >= 1024);
        REQUIRE(open(c, subscriber(2), 40000).port >= 1024);
        CHECK(open(c, subscriber(3), 1001).port == 1001);
    }
}

TEST_CASE(
    "the last free port of many addresses is found, and again when all have rested",
    "[nat][pitfall-1][pitfall-4]"
) {
    constexpr uint32_t kPorts = 200 * 4;
    for (const Pairing pairing : {Pairing::kHard, Pairing::kNone}) {
        for (const unsigned shards : {1U, 3U}) {
            CAPTURE(static_cast<int>(pairing), shards);
            nat::NatSettings settings = preserving(200, {4000, 4003});
            settings.pools[0].pairing = pairing;
            Cluster c(settings, shards);
            for (unsigned round = 0; round < 2; ++round) {
                unsigned made = 0;
                for (uint32_t i = 0; i < kPorts; ++i) {
                    made += open(c, subscriber(i), 4000).port != 0;
                }
                CHECK(made == kPorts);
                const MakeResult refused = c.open(Protocol::kUdp, subscriber(kPorts), 4000);
                CHECK(refused.reason == DropReason::kPoolExhausted);
                c.pass(10, 1);
                for (uint32_t i = 0; i < kPorts; ++i) {
                    end_all(c, subscriber(i));
                }
                c.pass(2 * kQuarantineMs + 1000);
            }
        }
    }
}

TEST_CASE(
    "a port that is free again at any of many addresses is found at once", "[nat][pitfall-1]"
) {
    for (const Pairing pairing : {Pairing::kHard, Pairing::kNone}) {
        for (const unsigned shards : {1U, 3U}) {
            CAPTURE(static_cast<int>(pairing), shards);
            nat::NatSettings settings = preserving(300, {4000, 4000});
            settings.pools[0].pairing = pairing;
            settings.pools[0].port_quarantine = Seconds{0};
            Cluster c(settings, shards);
            for (uint32_t i = 0; i < 300; ++i) {
                REQUIRE(open(c, subscriber(i), 4000).port == 4000);
            }
            unsigned found = 0;
            for (uint32_t i = 0; i < 40; ++i) {
                end_all(c, subscriber(i * 131 % 300));
                found += open(c, subscriber(1000 + i), 4000).port == 4000;
            }
            CHECK(found == 40);
        }
    }
}

TEST_CASE("who is refused a port of one protocol has those of the others", "[nat][rfc7857-5]") {
    nat::NatSettings settings = preserving(1, {4000, 4009});
    for (const unsigned shards : {1U, 2U}) {
        CAPTURE(shards);
        Cluster c(settings, shards);
        for (uint16_t x = 4000; x < 4010; ++x) {
            REQUIRE(open(c, subscriber(1), x).port == x);
        }
        const Ipv4Addr host = subscriber(3);
        CHECK(c.open(Protocol::kUdp, host, 4000).reason == DropReason::kPoolExhausted);
        CHECK(open(c, host, 4000, Protocol::kTcp).port == 4000);
        CHECK(c.open(Protocol::kUdp, host, 4001).reason == DropReason::kPoolExhausted);
    }
}
