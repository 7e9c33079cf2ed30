// The life of a block: its age, the first one, what is reserved; and how many ports rest.
#include <set>

#include <catch2/catch.hpp>

#include "cluster.h"

using namespace sekisho;
using namespace sekisho::test;
using nat::MakeResult;

namespace {

constexpr uint32_t kSecond = 1000;

nat::NatSettings small(uint16_t first, uint16_t last, uint32_t block = 64) {
    nat::NatSettings s = lab();
    s.pools[0].ports = {first, last};
    s.pools[0].port_block_size = block;
    s.pools[0].blocks_per_subscriber = 255;
    s.policies[0].limits.ports = 100'000;
    s.policies[0].limits.sessions = 100'000;
    s.timeouts.udp = Seconds{100'000};
    return s;
}

uint16_t open(Cluster& c, Ipv4Addr internal, uint16_t x) {
    const MakeResult r = c.open(Protocol::kUdp, internal, x);
    return r.kind == MakeResult::kMade ? Port{c.session_of(r, internal).external_port}.host()
                                       : uint16_t{0};
}

void end(Cluster& c, Ipv4Addr internal, uint16_t x) {
    nat::NatShard& s = c.shard(c.shard_of(internal));
    for (uint32_t i = 0; i < s.session_capacity(); ++i) {
        const Session& session = s.session({i});
        if ((session.flags & flow::kLive) != 0 && session.internal_address == internal.raw &&
            session.internal_port == port(x).raw) {
            s.clear_session({i}, c.now);
        }
    }
    s.end_of_burst();
    c.deliver();
}

uint32_t resting(Cluster& c) {
    uint32_t sum = 0;
    for (unsigned s = 0; s < c.shards(); ++s) {
        sum += c.shard(s).pool_view({0}, c.now).ports_resting;
    }
    return sum;
}

}  // namespace

TEST_CASE("no more ports rest than are set to", "[nat][rfc6888-req8-settings]") {
    for (const bool preserves : {false, true}) {
        for (const uint32_t most : {0U, 1U, 10U}) {
            for (const unsigned shards : {1U, 3U}) {
                CAPTURE(preserves, most, shards);
                nat::NatSettings settings = small(1024, 65535);
                settings.pools[0].port_quarantine_ports = most;
                if (preserves) {
                    settings.pools[0].port_selection = nat::PortSelection::kPreserve;
                }
                Cluster c(settings, shards);
                for (uint32_t n = 0; n < 60; ++n) {
                    REQUIRE(open(c, subscriber(n), 4000) != 0);
                }
                for (uint32_t n = 0; n < 60; ++n) {
                    end(c, subscriber(n), 4000);
                }
                // Single ports rest with their one home, which has its share of the number.
                const uint32_t share = preserves && shards == 3 ? (most + 2) / 3 : most;
                CHECK(resting(c) == (most == 0 ? 60 : share));
                c.pass(240 * kSecond);
                CHECK(resting(c) == 0);
            }
        }
    }
}

TEST_CASE(
    "what does not rest is free at once, and what rests is not", "[nat][rfc6888-req8-settings]"
) {
    nat::NatSettings settings = small(1024, 1087);
    settings.pools[0].port_quarantine_ports = 10;
    Cluster c(settings);
    for (uint16_t x = 1; x <= 64; ++x) {
        REQUIRE(open(c, subscriber(1), x) != 0);
    }
    for (uint16_t x = 1; x <= 64; ++x) {
        end(c, subscriber(1), x);
    }
    unsigned made = 0;
    for (uint16_t x = 101; x <= 164; ++x) {
        made += open(c, subscriber(1), x) != 0;
    }
    CHECK(made == 54);
}

TEST_CASE("a block that is too old takes no new mapping and ends when it is empty", "[nat]") {
    for (const unsigned shards : {1U, 2U}) {
        CAPTURE(shards);
        nat::NatSettings settings = small(1024, 65535);
        settings.pools[0].block_max_age = Seconds{600};
        settings.pools[0].block_release_delay = Seconds{3600};
        Cluster c(settings, shards);
        const uint16_t first = open(c, subscriber(1), 1);
        c.pass(500 * kSecond);
        const uint16_t second = open(c, subscriber(1), 2);
        CHECK(second / 64 == first / 64);
        c.pass(101 * kSecond);
        const uint16_t third = open(c, subscriber(1), 3);
        CHECK(third / 64 != first / 64);
        CHECK(open(c, subscriber(1), 4) / 64 == third / 64);
        CHECK(open(c, subscriber(1), 1) == first);  // what is there goes on
        const unsigned shard = c.shard_of(subscriber(1));
        CHECK(c.blocks(shard).size() == 2);
        end(c, subscriber(1), 1);
        end(c, subscriber(1), 2);
        c.pass(250 * kSecond);  // rested; the release delay is not waited for
        const auto left = c.blocks(shard);
        REQUIRE(left.size() == 1);
        CHECK(left[0].number == third / 64);
        CHECK(c.audit().empty());
    }
}

TEST_CASE("the first block stays while its subscriber has a mapping", "[nat]") {
    for (const bool keeps : {false, true}) {
        for (const unsigned shards : {1U, 2U}) {
            CAPTURE(keeps, shards);
            nat::NatSettings settings = small(1024, 65535);
            settings.pools[0].keeps_first_block = keeps;
            settings.pools[0].block_release_delay = Seconds{10};
            Cluster c(settings, shards);
            const unsigned shard = c.shard_of(subscriber(1));
            const uint16_t first = open(c, subscriber(1), 1);
            for (uint16_t x = 2; x <= 65; ++x) {
                REQUIRE(open(c, subscriber(1), x) != 0);
            }
            REQUIRE(c.blocks(shard).size() == 2);
            for (uint16_t x = 1; x <= 64; ++x) {
                end(c, subscriber(1), x);
            }
            c.pass(400 * kSecond);
            CHECK(c.blocks(shard).size() == (keeps ? 2 : 1));
            CHECK(c.audit().empty());
            if (keeps) {
                CHECK(open(c, subscriber(1), 100) / 64 != 0);
                end(c, subscriber(1), 100);
            }
            end(c, subscriber(1), 65);  // its last
            c.pass(400 * kSecond);
            CHECK(c.blocks(shard).empty());
            CHECK(c.shard(shard).subscriber_count() == 0);
            CHECK(c.audit().empty());
            CHECK(first != 0);
        }
    }
}

TEST_CASE("a kept first block is used again, and is let go like any other at the end", "[nat]") {
    nat::NatSettings settings = small(1024, 1024 + 127);
    settings.pools[0].keeps_first_block = true;
    settings.pools[0].port_quarantine = Seconds{0};
    Cluster c(settings);
    for (uint16_t x = 1; x <= 65; ++x) {
        REQUIRE(open(c, subscriber(1), x) != 0);
    }
    for (uint16_t x = 1; x <= 64; ++x) {
        end(c, subscriber(1), x);
    }
    // Both blocks are the first subscriber's; the empty one is kept though another asks.
    CHECK(c.open(Protocol::kUdp, subscriber(2), 1).reason == DropReason::kPoolExhausted);
    for (uint16_t x = 101; x <= 227; ++x) {
        REQUIRE(open(c, subscriber(1), x) != 0);
    }
    for (uint16_t x = 65; x <= 227; ++x) {
        end(c, subscriber(1), x);
    }
    c.pass(5 * kSecond);
    CHECK(open(c, subscriber(2), 2) != 0);  // called back
}

TEST_CASE("reserved ports are nobody's, and all others somebody's", "[nat][pitfall-5]") {
    for (const auto selection :
         {nat::PortSelection::kRandom,
          nat::PortSelection::kSequential,
          nat::PortSelection::kPreserve}) {
        for (const unsigned shards : {1U, 2U}) {
            CAPTURE(static_cast<int>(selection), shards);
            nat::NatSettings settings = small(1024, 1024 + 255);
            settings.pools[0].port_selection = selection;
            settings.pools[0].reserved_ports = {{1030, 1030}, {1080, 1160}};
            Cluster c(settings, shards);
            std::set<uint16_t> given;
            for (uint16_t x = 1024; x < 1024 + 256 - 82; ++x) {
                given.insert(open(c, subscriber(1), x));
            }
            CHECK(given.size() == 256 - 82);
            CHECK(!given.contains(0));
            CHECK(!given.contains(1030));
            CHECK(given.lower_bound(1080) == given.lower_bound(1161));
            CHECK(open(c, subscriber(1), 5000) == 0);
            // They are in no count: with the last of its ports a block is empty again.
            for (uint16_t x = 1024; x < 1024 + 256 - 82; ++x) {
                end(c, subscriber(1), x);
            }
            c.pass(400 * kSecond);
            CHECK(c.blocks(c.shard_of(subscriber(1))).empty());
            CHECK(c.shard(c.shard_of(subscriber(1))).subscriber_count() == 0);
        }
    }
}

TEST_CASE("a block stays too old, however long its mappings live", "[nat]") {
    for (const bool keeps_first : {false, true}) {
        nat::NatSettings settings = small(1024, 65535);
        settings.pools[0].block_max_age = Seconds{600};
        settings.pools[0].keeps_first_block = keeps_first;
        settings.timeouts.udp = Seconds{500'000};
        Cluster c(settings);
        const MakeResult oldest = c.open(Protocol::kUdp, subscriber(1), 1);
        const uint16_t first = Port{c.session_of(oldest, subscriber(1)).external_port}.host();
        for (unsigned day = 1; day <= 52; ++day) {  // the clock comes round after 49.7 days
            c.pass(86'400 * kSecond, 1'800'000);
            c.shard().track(oldest.session, Direction::kOutbound, nullptr, c.now);
            const uint16_t port = open(c, subscriber(1), static_cast<uint16_t>(1 + day));
            CHECK(port / 64 != first / 64);
            end(c, subscriber(1), static_cast<uint16_t>(1 + day));
        }
    }
}

TEST_CASE("an empty first block that is kept goes when it is too old", "[nat]") {
    nat::NatSettings settings = small(1024, 65535);
    settings.pools[0].block_max_age = Seconds{600};
    settings.pools[0].keeps_first_block = true;
    Cluster c(settings);
    for (uint16_t x = 1; x <= 64; ++x) {
        REQUIRE(open(c, subscriber(1), x) != 0);
    }
    c.pass(300 * kSecond);
    REQUIRE(open(c, subscriber(1), 65) != 0);  // in a second one
    for (uint16_t x = 1; x <= 64; ++x) {
        end(c, subscriber(1), x);
    }
    c.pass(250 * kSecond);
    CHECK(c.blocks(0).size() == 2);
    c.pass(310 * kSecond);
    CHECK(c.blocks(0).size() == 1);
    CHECK(c.audit().empty());
}

TEST_CASE("a block that grows too old while it is empty waits for no release delay", "[nat]") {
    nat::NatSettings settings = small(1024, 65535);
    settings.pools[0].block_max_age = Seconds{600};
    settings.pools[0].block_release_delay = Seconds{3600};
    Cluster c(settings);
    REQUIRE(open(c, subscriber(1), 1) != 0);
    c.pass(200 * kSecond);
    end(c, subscriber(1), 1);
    c.pass(390 * kSecond);
    CHECK(c.blocks(0).size() == 1);
    c.pass(15 * kSecond);
    CHECK(c.blocks(0).empty());
    CHECK(c.audit().empty());
}

TEST_CASE(
    "blocks that are too old leave a subscriber its number of others, and once as many in all",
    "[nat][rfc6888-req4]"
) {
    for (const unsigned shards : {1U, 2U}) {
        CAPTURE(shards);
        nat::NatSettings settings = small(1024, 65535);
        settings.pools[0].block_max_age = Seconds{600};
        settings.pools[0].blocks_per_subscriber = 2;
        Cluster c(settings, shards);
        const unsigned shard = c.shard_of(subscriber(1));
        uint16_t x = 0;
        const auto open_many = [&] {
            unsigned made = 0;
            while (open(c, subscriber(1), static_cast<uint16_t>(x + 1)) != 0) {
                ++x;
                ++made;
            }
            return made;
        };
        CHECK(open_many() == 128);
        c.pass(601 * kSecond);
        CHECK(open_many() == 128);
        CHECK(c.blocks(shard).size() == 4);
        c.pass(601 * kSecond);
        CHECK(
            c.open(Protocol::kUdp, subscriber(1), 5000).reason == DropReason::kSubscriberPortLimit
        );
        // Nobody keeps a pool with one mapping in each of its blocks.
        for (uint16_t i = 1; i <= x; ++i) {
            if (i % 64 != 0) {
                end(c, subscriber(1), i);
            }
        }
        c.pass(601 * kSecond);
        CHECK(
            c.open(Protocol::kUdp, subscriber(1), 5000).reason == DropReason::kSubscriberPortLimit
        );
        end(c, subscriber(1), 64);
        c.pass(260 * kSecond);
        CHECK(c.blocks(shard).size() == 3);
        CHECK(open(c, subscriber(1), 5000) != 0);
        CHECK(c.audit().empty());
    }
}

TEST_CASE("a shared port is found among however many reserved ones", "[nat][rfc7857-3]") {
    nat::NatSettings settings = small(1024, 1024 + 127, 128);
    settings.pools[0].reserved_ports = {{1024, 1024 + 119}};
    settings.pools[0].blocks_per_subscriber = 1;
    settings.policies[0].port_overloading = true;
    settings.policies[0].mapping = nat::MappingBehaviour::kAddressAndPortDependent;
    settings.policies[0].filtering = nat::FilteringBehaviour::kAddressAndPortDependent;
    Cluster c(settings);
    unsigned made = 0;
    for (uint8_t remote = 1; remote <= 60; ++remote) {
        const auto r = c.open(Protocol::kUdp, subscriber(1), 7, addr(198, 51, 100, remote));
        made += r.kind == MakeResult::kMade;
    }
    CHECK(made == 60);
}
