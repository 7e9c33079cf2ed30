// Pairing: of how many addresses a subscriber has blocks (RFC 4787 REQ-2, RFC 7857 4).
#include <map>
#include <set>

#include <catch2/catch.hpp>

#include "cluster.h"

using namespace sekisho;
using namespace sekisho::test;
using nat::MakeResult;
using nat::Pairing;

namespace {

constexpr uint16_t kBlock = 64;

// `blocks` blocks an address.
nat::NatSettings paired(Pairing pairing, unsigned addresses, unsigned blocks) {
    nat::NatSettings s = lab(addresses);
    s.pools[0].pairing = pairing;
    s.pools[0].ports = {1024, static_cast<uint16_t>(1024 + kBlock * blocks - 1)};
    s.pools[0].port_block_size = kBlock;
    s.pools[0].blocks_per_subscriber = 255;
    s.policies[0].limits.ports = 100'000;
    s.policies[0].limits.sessions = 100'000;
    return s;
}

// Ports by address, of `count` mappings.
std::map<uint32_t, unsigned> open_many(
    Cluster& c, Ipv4Addr internal, uint16_t first, unsigned count
) {
    std::map<uint32_t, unsigned> made;
    for (unsigned i = 0; i < count; ++i) {
        const auto x = static_cast<uint16_t>(first + i);
        const MakeResult r = c.open(Protocol::kUdp, internal, x);
        if (r.kind != MakeResult::kMade) {
            break;
        }
        const Session& s = c.session_of(r, internal);
        ++made[s.external_address];
        const auto owner = c.directory().owner_of(
            {s.external_address == addr(203, 0, 113, 1).raw ? 0U : 1U},
            {s.external_port},
            Protocol::kUdp
        );
        if (c.directory().size() == 2) {
            CHECK(owner.value == c.shard_of(internal));
        }
    }
    return made;
}

unsigned sum(const std::map<uint32_t, unsigned>& made) {
    unsigned all = 0;
    for (const auto& [address, count] : made) {
        all += count;
    }
    return all;
}

}  // namespace

TEST_CASE("a hard-paired subscriber has the ports of one address alone", "[nat][rfc6888-req2]") {
    for (const unsigned shards : {1U, 2U, 3U}) {
        CAPTURE(shards);
        Cluster c(paired(Pairing::kHard, 2, 3), shards);
        const auto made = open_many(c, subscriber(1), 1, 1000);
        CHECK(made.size() == 1);
        CHECK(sum(made) == 3 * kBlock);
        CHECK(c.open(Protocol::kUdp, subscriber(1), 5000).reason == DropReason::kPoolExhausted);
        CHECK(c.audit().empty());
    }
}

TEST_CASE(
    "a soft-paired subscriber goes to another address when its own is out of ports",
    "[nat][rfc7857-4-soft]"
) {
    for (const unsigned shards : {1U, 2U, 3U}) {
        CAPTURE(shards);
        Cluster c(paired(Pairing::kSoft, 2, 3), shards);
        const auto first = open_many(c, subscriber(1), 1, 3 * kBlock);
        CHECK(first.size() == 1);
        CHECK(sum(first) == 3 * kBlock);
        const uint32_t own = first.begin()->first;
        const auto more = open_many(c, subscriber(1), 1000, 1000);
        CHECK(more.size() == 1);
        CHECK(more.begin()->first != own);
        CHECK(sum(more) == 3 * kBlock);
        CHECK(c.open(Protocol::kUdp, subscriber(1), 5000).reason == DropReason::kPoolExhausted);
        CHECK(c.audit().empty());
    }
}

TEST_CASE(
    "a soft-paired subscriber comes back to its own address when that has ports again",
    "[nat][rfc7857-4-soft]"
) {
    for (const unsigned shards : {1U, 2U}) {
        CAPTURE(shards);
        nat::NatSettings settings = paired(Pairing::kSoft, 2, 1);
        settings.pools[0].port_quarantine = Seconds{0};
        Cluster c(settings, shards);
        const auto first = open_many(c, subscriber(1), 1, kBlock);
        const uint32_t own = first.begin()->first;
        CHECK(open_many(c, subscriber(1), 1000, 1).begin()->first != own);
        nat::NatShard& s = c.shard(c.shard_of(subscriber(1)));
        for (uint32_t i = 0; i < s.session_capacity(); ++i) {
            const Session& session = s.session({i});
            if ((session.flags & flow::kLive) != 0 && session.external_address == own) {
                s.clear_session({i}, c.now);
                break;
            }
        }
        s.end_of_burst();
        CHECK(open_many(c, subscriber(1), 2000, 1).begin()->first == own);
        CHECK(open_many(c, subscriber(1), 2001, 1).begin()->first != own);
    }
}

TEST_CASE(
    "without pairing a subscriber's blocks are spread over the pool", "[nat][rfc6888-req2-choice]"
) {
    for (const unsigned shards : {1U, 2U, 3U}) {
        CAPTURE(shards);
        Cluster c(paired(Pairing::kNone, 2, 3), shards);
        const auto made = open_many(c, subscriber(1), 1, 4 * kBlock);
        CHECK(made.size() == 2);
        CHECK(sum(made) == 4 * kBlock);
        const auto rest = open_many(c, subscriber(1), 1000, 1000);
        CHECK(sum(rest) == 2 * kBlock);
        CHECK(c.open(Protocol::kUdp, subscriber(1), 5000).reason == DropReason::kPoolExhausted);
        CHECK(c.audit().empty());
    }
}

TEST_CASE(
    "an empty block of another's is called back before a soft-paired subscriber goes elsewhere",
    "[nat][rfc7857-4-soft]"
) {
    for (const unsigned shards : {1U, 2U}) {
        CAPTURE(shards);
        nat::NatSettings settings = paired(Pairing::kSoft, 1, 2);
        settings.pools[0].port_quarantine = Seconds{0};
        settings.pools[0].block_release_delay = Seconds{3600};
        Cluster c(settings, shards);
        REQUIRE(sum(open_many(c, subscriber(1), 1, 1)) == 1);
        REQUIRE(sum(open_many(c, subscriber(2), 1, 1)) == 1);
        nat::NatShard& s = c.shard(c.shard_of(subscriber(2)));
        for (uint32_t i = 0; i < s.session_capacity(); ++i) {
            const Session& session = s.session({i});
            if ((session.flags & flow::kLive) != 0 &&
                session.internal_address == subscriber(2).raw) {
                s.clear_session({i}, c.now);
            }
        }
        s.end_of_burst();
        CHECK(sum(open_many(c, subscriber(1), 1000, 1000)) == 2 * kBlock - 1);
        CHECK(c.audit().empty());
    }
}

TEST_CASE(
    "a block that is asked for ahead is called back from nobody", "[nat][rfc6888-req2-choice]"
) {
    nat::NatSettings settings = paired(Pairing::kNone, 1, 2);
    settings.pools[0].port_quarantine = Seconds{0};
    settings.pools[0].block_release_delay = Seconds{3600};
    Cluster c(settings, 2);
    const Ipv4Addr near = subscriber(2);  // on the address's home
    const Ipv4Addr far = subscriber(1);
    REQUIRE(c.shard_of(near) == 0);
    const MakeResult r = c.open(Protocol::kUdp, near, 1);
    REQUIRE(r.kind == MakeResult::kMade);
    c.shard(0).clear_session(r.session, c.now);
    REQUIRE(sum(open_many(c, far, 1, kBlock - 1)) == kBlock - 1);
    c.deliver();
    CHECK(c.blocks(0).size() == 1);
    CHECK(c.blocks(1).size() == 1);
    CHECK(sum(open_many(c, far, 1000, 2)) == 2);  // who needs it gets it
    CHECK(c.blocks(1).size() == 2);
    CHECK(c.audit().empty());
}
