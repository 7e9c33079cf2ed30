// Port blocks: every port reachable, rest, release, and the last block of an address.
#include <random>
#include <set>

#include <catch2/catch.hpp>

#include "cluster.h"

using namespace sekisho;
using namespace sekisho::test;
using nat::MakeResult;

namespace {

nat::NatSettings small_blocks(uint16_t first, uint16_t last, uint32_t size = 64) {
    nat::NatSettings s = lab();
    s.pools[0].ports = {first, last};
    s.pools[0].port_block_size = size;
    s.pools[0].blocks_per_subscriber = 1024;
    s.policies[0].limits.ports = 65535;
    s.policies[0].limits.sessions = 100000;
    return s;
}

// Opens mappings of one subscriber until one is refused; returns their external ports.
std::vector<uint16_t> fill(Cluster& c, Ipv4Addr who, Protocol protocol, DropReason& reason) {
    std::vector<uint16_t> ports;
    for (uint32_t p = 1; p < 65536; ++p) {
        const MakeResult r = c.open(protocol, who, static_cast<uint16_t>(p));
        if (r.kind != MakeResult::kMade) {
            reason = r.reason;
            break;
        }
        ports.push_back(Port{c.session_of(r, who).external_port}.host());
    }
    return ports;
}

}  // namespace

TEST_CASE(
    "every port of a range is given before one is refused",
    "[nat][pitfall-1][pitfall-5][rfc6888-req13]"
) {
    struct {
        uint16_t first;
        uint16_t last;
        uint32_t block;
        nat::PortSelection selection;
    } const rows[] = {
        {1024, 65535, 256, nat::PortSelection::kRandom},
        {1024, 65535, 256, nat::PortSelection::kSequential},
        {1000, 2000, 64, nat::PortSelection::kRandom},
        {0, 63, 64, nat::PortSelection::kRandom},
        {2047, 2048, 64, nat::PortSelection::kSequential},
        {40000, 40000, 1024, nat::PortSelection::kRandom},
        {1, 65535, 32768, nat::PortSelection::kRandom},
    };
    TableSizes sizes;
    sizes.sessions = sizes.mappings = 65536;
    for (const auto& r : rows) {
        CAPTURE(r.first, r.last, r.block);
        nat::NatSettings settings = small_blocks(r.first, r.last, r.block);
        settings.pools[0].port_selection = r.selection;
        Cluster c(settings, 1, sizes);
        DropReason reason{};
        const auto ports = fill(c, subscriber(1), Protocol::kUdp, reason);
        const uint32_t first = r.first == 0 ? 1 : r.first;
        const std::set<uint16_t> distinct(ports.begin(), ports.end());
        CHECK(ports.size() == r.last - first + 1U);
        CHECK(distinct.size() == ports.size());
        CHECK(*distinct.begin() == first);
        CHECK(*distinct.rbegin() == r.last);
        CHECK((ports.size() == 65535 || reason == DropReason::kPoolExhausted));
    }
}

TEST_CASE(
    "64 512 ports of one address serve one protocol beside another", "[nat][pitfall-1][rfc7857-5]"
) {
    TableSizes sizes;
    sizes.sessions = sizes.mappings = 140000;
    Cluster c(small_blocks(1024, 65535, 256), 1, sizes);
    DropReason reason{};
    CHECK(fill(c, subscriber(1), Protocol::kUdp, reason).size() == 64512);
    // The same blocks serve TCP, until the subscriber's limit of ports.
    CHECK(fill(c, subscriber(1), Protocol::kTcp, reason).size() == 65535 - 64512);
    CHECK(reason == DropReason::kSubscriberPortLimit);
}

TEST_CASE("random ports are not a sequence, sequential ones are", "[nat][rfc7857-9]") {
    for (const auto selection : {nat::PortSelection::kRandom, nat::PortSelection::kSequential}) {
        nat::NatSettings settings = small_blocks(1024, 65535, 256);
        settings.pools[0].port_selection = selection;
        Cluster c(settings);
        unsigned neighbours = 0;
        uint16_t last = 0;
        for (uint16_t p = 1; p <= 64; ++p) {
            const MakeResult r = c.open(Protocol::kUdp, subscriber(1), p);
            const uint16_t now = Port{c.shard().session(r.session).external_port}.host();
            neighbours += now == last + 1;
            last = now;
        }
        CHECK((selection == nat::PortSelection::kRandom ? neighbours < 20 : neighbours == 63));
    }
}

TEST_CASE("who is refused all the time holds up the release of no other", "[nat][pitfall-4]") {
    Cluster c(small_blocks(1024, 1087));
    REQUIRE(c.open(Protocol::kUdp, subscriber(1), 1).kind == MakeResult::kMade);
    size_t most = 0;
    for (uint32_t ms = 0; ms < 300; ++ms) {
        c.now = c.now + 1;
        CHECK(c.open(Protocol::kUdp, subscriber(2), 1).reason == DropReason::kPoolExhausted);
        CHECK(c.open(Protocol::kUdp, subscriber(100 + ms), 1).reason == DropReason::kPoolExhausted);
        c.tick();
        most = std::max(most, c.shard().subscriber_count());
    }
    CHECK(most < 10);
    c.pass(10);
    CHECK(c.shard().subscriber_count() == 1);
}

TEST_CASE("random blocks are not a sequence, whatever their size", "[nat][rfc6888-req15]") {
    for (const uint32_t size : {256U, 1024U, 2048U}) {
        CAPTURE(size);
        Cluster c(small_blocks(1024, 65535, size));
        unsigned neighbours = 0;
        uint32_t last = 0;
        for (uint32_t n = 1; n <= 24; ++n) {
            const MakeResult r = c.open(Protocol::kUdp, subscriber(n), 1);
            const uint32_t block = Port{c.session_of(r, subscriber(n)).external_port}.host() / size;
            neighbours += block == last + 1;
            last = block;
        }
        CHECK(neighbours < 10);
    }
}

TEST_CASE(
    "a freed port rests for the quarantine and less than twice as long", "[nat][rfc6888-req8]"
) {
    for (const uint32_t phase : {0U, 60'000U, 119'000U}) {
        nat::NatSettings settings = small_blocks(2048, 2048);
        settings.pools[0].block_release_delay = Seconds{10000};
        Cluster c(settings);
        c.pass(phase);
        const MakeResult made = c.open(Protocol::kUdp, subscriber(1), 1);
        REQUIRE(made.kind == MakeResult::kMade);
        c.shard().clear_session(made.session, c.now);
        uint32_t waited = 0;
        while (c.open(Protocol::kUdp, subscriber(1), 2).kind != MakeResult::kMade) {
            c.pass(1000);
            waited += 1000;
            REQUIRE(waited <= 240'000);
        }
        CHECK(waited >= 120'000);
    }
}

TEST_CASE("the port of a closed TCP connection may be used at once", "[nat][rfc6888-req8a]") {
    for (const bool closes : {true, false}) {
        Cluster c(small_blocks(2048, 2048));
        const MakeResult made = c.open(Protocol::kTcp, subscriber(1), 1);
        if (closes) {
            c.shard().session(made.session).state = SessionState::kTcpClosing;
        }
        c.shard().clear_session(made.session, c.now);
        const MakeResult next = c.open(Protocol::kTcp, subscriber(1), 2);
        CHECK((next.kind == MakeResult::kMade) == closes);
    }
}

TEST_CASE("without quarantine nothing rests", "[nat]") {
    nat::NatSettings settings = small_blocks(2048, 2048);
    settings.pools[0].port_quarantine = Seconds{0};
    Cluster c(settings);
    const MakeResult made = c.open(Protocol::kUdp, subscriber(1), 1);
    c.shard().clear_session(made.session, c.now);
    CHECK(c.open(Protocol::kUdp, subscriber(2), 1).kind == MakeResult::kMade);
}

TEST_CASE(
    "an empty block goes home after its rest and the release delay", "[nat][architecture-2]"
) {
    for (const unsigned shards : {1U, 2U}) {
        Cluster c(lab(), shards);
        const MakeResult made = c.open(Protocol::kUdp, subscriber(1), 1);
        c.shard(c.shard_of(subscriber(1))).clear_session(made.session, c.now);
        CHECK(c.blocks(c.shard_of(subscriber(1))).size() == 1);
        c.pass(120'000 + 59'000);
        CHECK(c.blocks(c.shard_of(subscriber(1))).size() == 1);
        c.pass(122'000);
        CHECK(c.blocks(c.shard_of(subscriber(1))).empty());
        CHECK(c.shard(c.shard_of(subscriber(1))).subscriber_count() == 0);
        CHECK(c.shard(0).pool_view({0}, c.now).free_blocks == 252);
        CHECK(c.audit() == "");
    }
}

TEST_CASE("a block in use again does not go home", "[nat]") {
    Cluster c(lab());
    const MakeResult made = c.open(Protocol::kUdp, subscriber(1), 1);
    c.shard().clear_session(made.session, c.now);
    c.pass(170'000);
    REQUIRE(c.open(Protocol::kUdp, subscriber(1), 2).kind == MakeResult::kMade);
    c.pass(250'000);
    CHECK(c.blocks(0).size() == 1);
    CHECK(c.shard().session_count() == 1);
}

TEST_CASE(
    "an address serves as many subscribers on any number of shards", "[nat][pitfall-3][pitfall-6]"
) {
    for (const unsigned shards : {1U, 2U, 3U, 8U}) {
        CAPTURE(shards);
        nat::NatSettings settings = small_blocks(1024, 65535, 256);
        Cluster c(settings, shards);
        unsigned made = 0;
        unsigned refused = 0;
        for (uint32_t n = 0; n < 300; ++n) {
            const MakeResult r = c.open(Protocol::kUdp, subscriber(n), 9);
            made += r.kind == MakeResult::kMade;
            refused += r.kind == MakeResult::kRefused && r.reason == DropReason::kPoolExhausted;
        }
        CHECK(made == 252);
        CHECK(refused == 48);
        CHECK(c.audit() == "");
    }
}

TEST_CASE(
    "one subscriber may use an address up to the last block from any shard",
    "[nat][pitfall-3][rfc7857-4]"
) {
    TableSizes sizes;
    sizes.sessions = sizes.mappings = 65536;
    for (const unsigned shards : {1U, 8U}) {
        for (const uint32_t who : {0U, 5U}) {
            Cluster c(small_blocks(1024, 65535, 256), shards, sizes);
            DropReason reason{};
            CHECK(fill(c, subscriber(who), Protocol::kUdp, reason).size() == 64512);
            CHECK(reason == DropReason::kPoolExhausted);
            CHECK(c.audit() == "");
        }
    }
}

TEST_CASE(
    "at exhaustion an empty, rested block is called back within its delay", "[nat][architecture-2]"
) {
    for (const unsigned shards : {1U, 2U, 3U, 8U}) {
        CAPTURE(shards);
        nat::NatSettings settings = small_blocks(1024, 1024 + 4 * 64 - 1);
        settings.pools[0].block_release_delay = Seconds{7000};
        settings.timeouts.udp = Seconds{7200};
        Cluster c(settings, shards);
        std::vector<MakeResult> made;
        for (uint32_t n = 0; n < 4; ++n) {
            made.push_back(c.open(Protocol::kUdp, subscriber(n), 9));
            REQUIRE(made.back().kind == MakeResult::kMade);
        }
        CHECK(c.open(Protocol::kUdp, subscriber(10), 9).reason == DropReason::kPoolExhausted);
        c.shard(c.shard_of(subscriber(2))).clear_session(made[2].session, c.now);
        c.pass(4);
        CHECK(c.open(Protocol::kUdp, subscriber(10), 9).reason == DropReason::kPoolExhausted);
        c.pass(240'000);
        CHECK(c.open(Protocol::kUdp, subscriber(10), 9).kind == MakeResult::kMade);
        CHECK(c.open(Protocol::kUdp, subscriber(11), 9).reason == DropReason::kPoolExhausted);
        CHECK(c.audit() == "");
    }
}

TEST_CASE("a refused subscriber asks nobody again in the same tick", "[nat][pitfall-4]") {
    Cluster c(small_blocks(1024, 1024 + 63), 8);
    REQUIRE(c.open(Protocol::kUdp, subscriber(8), 9).kind == MakeResult::kMade);
    REQUIRE(c.open(Protocol::kUdp, subscriber(1), 9).reason == DropReason::kPoolExhausted);
    const FlowKey key =
        FlowKey::of(subscriber(1), kRemote, port(9), port(80), Protocol::kUdp, kInternalRealm);
    for (int i = 0; i < 100; ++i) {
        const auto r = c.shard(1).make_outbound(key, PacketKind::kUdp, 0, c.now);
        CHECK(r.kind == MakeResult::kRefused);
    }
    CHECK(c.under_way() == 0);
    c.pass(10);
    CHECK(c.shard(1).subscriber_count() == 0);
}

TEST_CASE(
    "while a block is asked for, packets are held and one request is under way",
    "[nat][architecture-2]"
) {
    Cluster c(lab(), 2);
    auto ask = [&](uint16_t p) {
        const FlowKey key =
            FlowKey::of(subscriber(1), kRemote, port(p), port(80), Protocol::kUdp, kInternalRealm);
        return c.shard(1).make_outbound(key, PacketKind::kUdp, 0, c.now);
    };
    for (uint16_t p = 1; p <= 10; ++p) {
        CHECK(ask(p).kind == MakeResult::kHold);
    }
    CHECK(c.under_way() == 1);
    CHECK(c.waits_over == 0);
    c.deliver();
    CHECK(c.waits_over == 1);
    for (uint16_t p = 1; p <= 10; ++p) {
        CHECK(ask(p).kind == MakeResult::kMade);
    }
    CHECK(c.under_way() == 0);
}

TEST_CASE(
    "the next block is asked for before the last is full, and can be called back",
    "[nat][architecture-2]"
) {
    nat::NatSettings settings = small_blocks(1024, 1024 + 2 * 64 - 1);
    Cluster c(settings, 2);
    for (uint16_t p = 1; p <= 56; ++p) {
        REQUIRE(c.open(Protocol::kUdp, subscriber(1), p).kind == MakeResult::kMade);
    }
    c.deliver();
    CHECK(c.blocks(1).size() == 2);
    CHECK(c.waits_over == 1);  // only the first block was waited for
    // Another subscriber needs a block: the one that came too early goes there.
    CHECK(c.open(Protocol::kUdp, subscriber(2), 1).kind == MakeResult::kMade);
    CHECK(c.blocks(1).size() == 1);
    CHECK(c.audit() == "");
}

TEST_CASE("a grant that nobody waits for goes home", "[nat]") {
    Cluster c(lab(), 2);
    REQUIRE(c.open(Protocol::kUdp, subscriber(0), 1).kind == MakeResult::kMade);
    const FlowKey key =
        FlowKey::of(subscriber(1), kRemote, port(1), port(80), Protocol::kUdp, kInternalRealm);
    REQUIRE(c.shard(1).make_outbound(key, PacketKind::kUdp, 0, c.now).kind == MakeResult::kHold);
    c.deliver_one();  // the home grants
    REQUIRE(c.under_way() == 1);
    const nat::ShardMessage grant = c.messages().front().second;
    REQUIRE(grant.kind == nat::MessageKind::kBlockGrant);
    nat::ShardMessage other = grant;
    ++other.subscriber_generation;
    c.shard(1).handle(other, c.now);  // for a subscriber that is gone
    CHECK(c.blocks(1).empty());
    REQUIRE(c.under_way() == 2);
    CHECK(c.messages().back().second.kind == nat::MessageKind::kBlockReturn);
}

TEST_CASE("no message is lost when the rings are full", "[nat][architecture-2]") {
    Cluster c(small_blocks(1024, 65535), 4);
    c.room = 1;
    unsigned held = 0;
    for (uint32_t n = 0; n < 64; ++n) {
        const FlowKey key =
            FlowKey::of(subscriber(n), kRemote, port(1), port(80), Protocol::kUdp, kInternalRealm);
        held +=
            c.shard(n % 4).make_outbound(key, PacketKind::kUdp, 0, c.now).kind == MakeResult::kHold;
    }
    CHECK(held == 48);
    for (int i = 0; i < 1000; ++i) {
        c.tick();
    }
    CHECK(c.waits_over == 48);
    CHECK(c.audit() == "");
}

TEST_CASE(
    "no block is lost or doubled under random load", "[nat][architecture-2][architecture-3]"
) {
    for (const unsigned shards : {1U, 2U, 3U, 8U}) {
        CAPTURE(shards);
        std::mt19937 engine(shards);
        auto random = [&engine] { return static_cast<uint32_t>(engine()); };
        nat::NatSettings settings = small_blocks(1024, 1024 + 40 * 64 - 1);
        settings.pools[0].addresses[0].last =
            Ipv4Addr::from_host(settings.pools[0].addresses[0].first.host() + 2);
        settings.pools[0].blocks_per_subscriber = 3;
        settings.pools[0].block_release_delay = Seconds{20};
        settings.pools[0].port_quarantine = Seconds{10};
        settings.timeouts.udp = Seconds{120};
        Cluster c(settings, shards);
        for (int step = 0; step < 20000; ++step) {
            const Ipv4Addr who = subscriber(random() % 150);
            const FlowKey key = FlowKey::of(
                who,
                kRemote,
                port(static_cast<uint16_t>(1 + random() % 100)),
                port(80),
                Protocol::kUdp,
                kInternalRealm
            );
            (void)c.shard(c.shard_of(who)).make_outbound(key, PacketKind::kUdp, 0, c.now);
            if (random() % 3 == 0 && c.under_way() > 0) {
                c.deliver_one();
            }
            if (random() % 50 == 0) {
                c.now = c.now + random() % 4000;
                for (size_t s = 0; s < shards; ++s) {
                    c.shard(s).advance(c.now, 100);
                    c.shard(s).end_of_burst();
                }
            }
            if (random() % 500 == 0) {
                REQUIRE(c.audit() == "");
            }
        }
        c.pass(400'000, 1000);
        CHECK(c.audit() == "");
        uint32_t free_blocks = 0;
        for (size_t s = 0; s < shards; ++s) {
            CHECK(c.shard(s).subscriber_count() == 0);
            CHECK(c.shard(s).session_count() == 0);
            free_blocks += c.shard(s).pool_view({0}, c.now).free_blocks;
        }
        CHECK(free_blocks == 120);
    }
}

TEST_CASE("the directory knows its addresses and their owners", "[nat]") {
    nat::NatSettings settings = lab(300);
    settings.pools.push_back(settings.pools[0]);
    settings.pools[1].addresses = {{addr(192, 0, 2, 5), addr(192, 0, 2, 5)}};
    nat::ExternalDirectory d(settings, 3);
    REQUIRE(d.size() == 301);
    for (uint32_t i = 0; i < 301; ++i) {
        CHECK(d.find(d[{i}].address).value == i);
        CHECK(d[{i}].home.value == i % 3);
    }
    CHECK(d.find(addr(203, 0, 112, 255)).value == kNoIndex);
    CHECK(d.first_of({1}).value == 300);
    CHECK(d.count_of({0}) == 300);
    CHECK(d.owner_of({7}, port(1030), Protocol::kUdp) == ShardId{1});
    d.set_owner({7}, 4, 2);
    CHECK(d.owner_of({7}, port(1030), Protocol::kUdp) == ShardId{2});
    CHECK(d.owner_of({7}, port(1023), Protocol::kUdp) == ShardId{1});
    CHECK(d.owner_of({7}, port(1280), Protocol::kUdp) == ShardId{1});
}

TEST_CASE(
    "a newcomer for whom nothing is left is refused before a record of it is made",
    "[nat][pitfall-4]"
) {
    const auto refuse_all = [](Cluster& c, DropReason reason) {
        for (unsigned i = 100; i < 1100; ++i) {
            CHECK(c.open(Protocol::kUdp, subscriber(i), 1).reason == reason);
        }
        CHECK(c.shard().subscriber_count() <= 2);
    };
    SECTION("of the pool's blocks, until one comes back") {
        nat::NatSettings settings = small_blocks(1024, 1087);
        settings.pools[0].port_quarantine = {0};
        settings.pools[0].block_release_delay = {0};
        Cluster c(settings);
        const MakeResult only = c.open(Protocol::kUdp, subscriber(1), 1);
        REQUIRE(only.kind == MakeResult::kMade);
        refuse_all(c, DropReason::kPoolExhausted);
        c.shard().clear_session({only.session}, c.now);
        c.shard().end_of_burst();
        c.now = c.now + 1;
        CHECK(c.open(Protocol::kUdp, subscriber(2), 1).kind == MakeResult::kMade);
    }
    SECTION("of the pool's blocks, while who has some goes on") {
        Cluster c(small_blocks(1024, 1087));
        REQUIRE(c.open(Protocol::kUdp, subscriber(1), 1).kind == MakeResult::kMade);
        refuse_all(c, DropReason::kPoolExhausted);
        CHECK(c.open(Protocol::kUdp, subscriber(1), 2).kind == MakeResult::kMade);
    }
    SECTION("of the pool's blocks, but not for a static mapping") {
        nat::NatSettings settings = small_blocks(1024, 1087);
        nat::StaticMappingSettings fixed;
        fixed.internal = subscriber(7);
        fixed.external = settings.pools[0].addresses[0].first;
        fixed.internal_ports = {80, 80};
        fixed.external_ports = {8080, 8080};
        settings.static_mappings = {fixed};
        Cluster c(settings);
        REQUIRE(c.open(Protocol::kUdp, subscriber(1), 1).kind == MakeResult::kMade);
        refuse_all(c, DropReason::kPoolExhausted);
        CHECK(c.open(Protocol::kUdp, subscriber(7), 80).kind == MakeResult::kMade);
    }
    SECTION("of the table of mappings or of sessions") {
        TableSizes sizes;
        const bool of_mappings = GENERATE(true, false);
        (of_mappings ? sizes.mappings : sizes.sessions) = 64;
        Cluster c(lab(), 1, sizes);
        for (uint16_t port = 1; port <= 64; ++port) {
            REQUIRE(c.open(Protocol::kUdp, subscriber(1), port).kind == MakeResult::kMade);
        }
        refuse_all(c, of_mappings ? DropReason::kMappingTableFull : DropReason::kSessionTableFull);
        CHECK(c.open(Protocol::kUdp, {}, 1).reason == DropReason::kNoPolicy);
    }
}
