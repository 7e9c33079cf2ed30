// Static mappings that come and go while sessions stand.
#include <map>
#include <random>
#include <set>

#include <catch2/catch.hpp>

#include "change_support.h"

using namespace sekisho;
using namespace sekisho::test;
using nat::AdmitResult;
using nat::MakeResult;
using nat::StaticMappingSettings;

namespace {

void set(Cluster& c, std::vector<StaticMappingSettings> statics) {
    c.change([&](nat::NatSettings& s) { s.static_mappings = std::move(statics); }, kAll);
}

// What becomes of a SYN from outside, at the shard that the owner bytes and tables name.
AdmitResult call(
    Cluster& c, uint16_t external_port, uint16_t from = 999, uint8_t flags = packet::kSyn
) {
    const FlowKey key = FlowKey::of(
        kRemote, kExternal, port(from), port(external_port), Protocol::kTcp, kExternalRealm
    );
    const ExternalIndex index = c.directory().find(kExternal);
    const ShardId owner = c.directory().owner_of(index, key);
    return c.shard(owner.value).admit_inbound(key, PacketKind::kTcp, flags, c.now);
}

bool is_let_in(Cluster& c, uint16_t external_port, uint16_t from = 999) {
    return call(c, external_port, from).kind == AdmitResult::kSession;
}

uint16_t external_port_of(Cluster& c, const MakeResult& made, Ipv4Addr internal) {
    return Port{c.session_of(made, internal).external_port}.host();
}

}  // namespace

TEST_CASE(
    "a static mapping that comes lets callers in, and one that goes lets in nobody new",
    "[nat][change][static]"
) {
    for (const unsigned shards : {1U, 3U}) {
        INFO(shards);
        Cluster c(lab(), shards);
        const uint32_t blocks = free_blocks(c);
        CHECK_FALSE(is_let_in(c, 8080));
        set(c, {forward(5, 80, 8080)});
        CHECK(c.audit() == "");
        CHECK(free_blocks(c) == blocks - 1);
        CHECK(is_let_in(c, 8080));
        set(c, {});
        CHECK(c.audit() == "");
        // The caller stays; nobody else comes in; the port is nobody else's.
        CHECK(is_let_in(c, 8080));
        CHECK_FALSE(is_let_in(c, 8080, 1000));
        CHECK(sessions(c) == 1);
        CHECK(free_blocks(c) == blocks - 1);
        // Half open for four minutes, then two of rest.
        pass(c, 240 + 100);
        CHECK(sessions(c) == 0);
        CHECK(free_blocks(c) == blocks - 1);
        pass(c, 30);
        CHECK(free_blocks(c) == blocks);
        CHECK(c.directory().statics().former().empty());
        CHECK(c.audit() == "");
    }
}

TEST_CASE("a static mapping that comes back is the one that went", "[nat][change][static]") {
    Cluster c(lab());
    set(c, {forward(5, 80, 8080), forward(6, 80, 8081)});
    CHECK(is_let_in(c, 8080));
    set(c, {forward(6, 80, 8081)});
    CHECK(is_let_in(c, 8081));
    set(c, {forward(6, 80, 8081), forward(5, 80, 8080)});
    CHECK(c.directory().statics().former().empty());
    CHECK(c.directory().statics().entries().size() == 4);  // of both protocols
    CHECK(is_let_in(c, 8080, 1000));
    CHECK(sessions(c) == 3);
    CHECK(c.shard().mapping_count() == 2);
}

TEST_CASE(
    "a port goes to another shard's host, and connections to the former one go on where they can "
    "be "
    "claimed",
    "[nat][change][static]"
) {
    for (const bool is_room : {true, false}) {
        INFO(is_room);
        nat::NatSettings settings = lab();
        settings.has_destination_rules = is_room;
        Cluster c(settings, 3);
        const uint32_t before = 5;
        const uint32_t next = c.shard_of(subscriber(6)) != c.shard_of(subscriber(5)) ? 6 : 7;
        set(c, {forward(before, 80, 8080)});
        REQUIRE(is_let_in(c, 8080));
        set(c, {forward(next, 80, 8080)});
        c.pass(2 * kSecond);
        nat::NatShard& old_shard = c.shard(c.shard_of(subscriber(before)));
        CHECK(old_shard.session_count() == (is_room ? 1 : 0));
        REQUIRE(is_let_in(c, 8080, 1000));
        CHECK(c.shard(c.shard_of(subscriber(next))).session_count() == 1);
        CHECK(is_let_in(c, 8080));
        CHECK(sessions(c) == 2);
        CHECK(old_shard.session_count() == (is_room ? 1 : 0));
        // Another change leaves it so, and with the session its claim goes.
        set(c, {forward(next, 80, 8080), forward(20, 80, 8081)});
        c.pass(2 * kSecond);
        CHECK(sessions(c) == 2);
        pass(c, 400);
        CHECK(sessions(c) == 0);
        CHECK((!is_room || c.directory().forwarded()->size() == 0));
        CHECK(c.audit() == "");
    }
}

TEST_CASE(
    "what has come back into use has not rested when it goes again", "[nat][change][static]"
) {
    Cluster c(lab());
    set(c, {forward(5, 80, 8080)});
    set(c, {});
    CHECK_FALSE(c.have_rested());
    c.pass(100 * kSecond);
    set(c, {forward(5, 80, 8080)});
    REQUIRE(is_let_in(c, 8080));
    c.pass(100 * kSecond);
    set(c, {});
    CHECK(c.directory().statics().former().size() == 2);
    CHECK(sessions(c) == 1);
    CHECK_FALSE(c.have_rested());
    pass(c, 250);  // the session ends behind 140 of them
    CHECK(c.directory().statics().former().size() == 1);
    pass(c, 130);
    CHECK(c.directory().statics().former().empty());
}

TEST_CASE("two hosts that had a port do not have the same flow", "[nat][change][static]") {
    Cluster c(lab());
    set(c, {forward(5, 80, 8080)});
    REQUIRE(is_let_in(c, 8080, 999));
    set(c, {forward(6, 80, 8080)});
    // To the very host outside to which the former one's connection is.
    CHECK(c.open(Protocol::kTcp, subscriber(6), 80, kRemote, 999).kind == MakeResult::kRefused);
    CHECK(c.open(Protocol::kTcp, subscriber(6), 80, kRemote, 998).kind == MakeResult::kMade);
}

TEST_CASE(
    "a port goes to another host, and connections to the former one go on", "[nat][change][static]"
) {
    Cluster c(lab());
    set(c, {forward(5, 80, 8080)});
    const AdmitResult first = call(c, 8080);
    REQUIRE(first.kind == AdmitResult::kSession);
    set(c, {forward(6, 80, 8080)});
    c.pass(2 * kSecond);
    const AdmitResult second = call(c, 8080, 1000);
    REQUIRE(second.kind == AdmitResult::kSession);
    CHECK(c.shard().session(first.session).internal_address == subscriber(5).raw);
    CHECK(c.shard().session(second.session).internal_address == subscriber(6).raw);
    CHECK(call(c, 8080).session.value == first.session.value);
    CHECK(is_let_in(c, 8080, 1001));
    CHECK(sessions(c) == 3);
}

TEST_CASE(
    "what had a port that becomes a static mapping's ends, the rest of its block goes on",
    "[nat][change][static]"
) {
    for (const unsigned shards : {1U, 3U}) {
        INFO(shards);
        Cluster c(lab(), shards);
        const uint32_t blocks = free_blocks(c);
        std::vector<MakeResult> made;
        for (uint16_t n = 0; n < 20; ++n) {
            made.push_back(c.open(Protocol::kUdp, subscriber(7), static_cast<uint16_t>(5000 + n)));
            REQUIRE(made.back().kind == MakeResult::kMade);
        }
        const uint16_t taken = external_port_of(c, made[0], subscriber(7));
        set(c, {forward(5, 80, taken)});
        CHECK(c.audit() == "");
        CHECK(is_let_in(c, taken));
        c.pass(2 * kSecond);
        CHECK(sessions(c) == 20);  // 19, and the caller
        // Of the same block, but never that port again.
        for (uint16_t n = 0; n < 230; ++n) {
            const MakeResult more =
                c.open(Protocol::kUdp, subscriber(7), static_cast<uint16_t>(6000 + n));
            REQUIRE(more.kind == MakeResult::kMade);
            const uint16_t got = external_port_of(c, more, subscriber(7));
            CHECK(got != taken);
        }
        CHECK(c.audit() == "");
        set(c, {});
        pass(c, 1000);
        CHECK(sessions(c) == 0);
        CHECK(free_blocks(c) == blocks);
        CHECK(c.audit() == "");
    }
}

TEST_CASE(
    "a block stays its holder's when the static mapping in it has gone", "[nat][change][static]"
) {
    for (const unsigned shards : {1U, 3U}) {
        INFO(shards);
        Cluster c(lab(), shards);
        const MakeResult made = c.open(Protocol::kUdp, subscriber(7), 5000);
        const uint16_t own = external_port_of(c, made, subscriber(7));
        const auto other = static_cast<uint16_t>(own % 256 == 255 ? own - 1 : own + 1);
        set(c, {forward(5, 80, other)});
        CHECK(c.audit() == "");
        set(c, {});
        for (unsigned i = 0; i < 20; ++i) {
            pass(c, 10);
            c.session_of(made, subscriber(7)).last_activity = c.now.ms;
        }
        CHECK(c.directory().statics().former().empty());
        CHECK(c.audit() == "");
        CHECK(sessions(c) == 1);
        CHECK(
            c.directory().owner_byte(c.directory().find(kExternal), own / 256) ==
            c.shard_of(subscriber(7))
        );
    }
}

TEST_CASE("a host's own flows leave by the static mapping that has come", "[nat][change][static]") {
    Cluster c(lab());
    const MakeResult before = c.open(Protocol::kUdp, subscriber(5), 7000);
    const uint16_t dynamic = external_port_of(c, before, subscriber(5));
    set(c, {forward(5, 7000, 7000)});
    const MakeResult after = c.open(Protocol::kUdp, subscriber(5), 7000, addr(192, 0, 2, 9), 53);
    CHECK(external_port_of(c, after, subscriber(5)) == 7000);
    CHECK(external_port_of(c, before, subscriber(5)) == dynamic);
    // And by that still when it has gone, as long as the mapping is in use (RFC 4787 REQ-1).
    set(c, {});
    const MakeResult later = c.open(Protocol::kUdp, subscriber(5), 7001, addr(192, 0, 2, 9), 53);
    CHECK(external_port_of(c, later, subscriber(5)) != 7000);
}

TEST_CASE(
    "ports that are given out one by one come back behind a static mapping", "[nat][change][static]"
) {
    for (const unsigned shards : {1U, 3U}) {
        INFO(shards);
        nat::NatSettings settings = lab();
        settings.pools[0].port_selection = nat::PortSelection::kPreserve;
        Cluster c(settings, shards);
        const auto port_of = [&](uint32_t host, uint16_t internal) {
            const MakeResult made = c.open(Protocol::kTcp, subscriber(host), internal);
            REQUIRE(made.kind == MakeResult::kMade);
            return external_port_of(c, made, subscriber(host));
        };
        REQUIRE(port_of(1, 5000) == 5000);
        set(c, {forward(5, 80, 5000), forward(6, 80, 5001)});
        c.pass(2 * kSecond);
        CHECK(sessions(c) == 0);
        CHECK(port_of(2, 5000) != 5000);
        CHECK(port_of(3, 5001) != 5001);
        CHECK(is_let_in(c, 5000));
        set(c, {forward(6, 80, 5001)});
        CHECK(port_of(4, 5000) != 5000);
        pass(c, 600);
        CHECK(port_of(4, 5000) == 5000);
        CHECK(port_of(4, 5001) != 5001);
        set(c, {});
        pass(c, 200);
        CHECK(port_of(9, 5001) == 5001);
    }
}

TEST_CASE("several hosts behind a port come and go", "[nat][change][static]") {
    Cluster c(lab());
    set(c, {forward(5, 80, 8080)});
    REQUIRE(is_let_in(c, 8080, 1));
    nat::DestinationNatSettings service;
    service.name = "shared";
    service.realm = kExternalRealm;
    service.destination = {{kExternal, 32}};
    service.udp = false;
    service.ports = {8080, 8080};
    service.affinity = nat::Affinity::kNone;
    service.is_inbound = true;
    service.targets = {{subscriber(5), {80, 80}, 1}, {subscriber(6), {80, 80}, 1}};
    const auto put = [&](bool is_shared) {
        c.change(
            [&](nat::NatSettings& s) {
                s.static_mappings.clear();
                s.destination_nat.clear();
                if (is_shared) {
                    s.destination_nat = {service};
                } else {
                    s.static_mappings = {forward(5, 80, 8080)};
                }
            },
            kAll
        );
        c.pass(kSecond);
    };
    put(true);
    std::map<uint32_t, unsigned> reached;
    for (uint16_t n = 100; n < 140; ++n) {
        const AdmitResult result = call(c, 8080, n);
        if (result.kind == AdmitResult::kSession) {
            ++reached[c.shard().session(result.session).internal_address];
        }
    }
    CHECK(reached.size() == 2);
    CHECK(call(c, 8080, 1).kind == AdmitResult::kSession);
    put(false);
    CHECK(call(c, 8080, 1).kind == AdmitResult::kSession);
    const AdmitResult alone = call(c, 8080, 2000);
    REQUIRE(alone.kind == AdmitResult::kSession);
    CHECK(c.shard().session(alone.session).internal_address == subscriber(5).raw);
}

namespace {

// Static mappings drawn at random, no two of which meet.
std::vector<StaticMappingSettings> draw(std::mt19937& random) {
    std::vector<StaticMappingSettings> all;
    const auto below = [&](uint32_t end) { return static_cast<uint32_t>(random() % end); };
    uint32_t outside = 1024 + below(200);
    for (uint32_t i = 0; i < 6; ++i) {
        const auto more = static_cast<uint16_t>(below(4) == 0 ? below(600) : 0);
        if (below(3) != 0) {
            all.push_back(forward(
                20 + i, static_cast<uint16_t>(2000 + 700 * i), static_cast<uint16_t>(outside), more
            ));
        }
        outside += more + 1U + below(400);
    }
    return all;
}

}  // namespace

TEST_CASE(
    "tables changed at random while sessions run lose no port and give none twice",
    "[nat][change][static]"
) {
    for (const unsigned shards : {1U, 3U}) {
        std::mt19937 random(shards);
        nat::NatSettings settings = lab();
        settings.pools[0].ports = {1024, 8191};
        settings.pools[0].port_block_size = 64;
        settings.pools[0].blocks_per_subscriber = 8;
        settings.limits.sessions = 4096;
        Cluster c(settings, shards);
        const uint32_t blocks = free_blocks(c);
        for (unsigned round = 0; round < 60; ++round) {
            INFO("shards " << shards << ", round " << round);
            // Blocks are on their way when the table changes.
            for (uint32_t n = 0; n < 6; ++n) {
                const Ipv4Addr host = subscriber(100 + static_cast<uint32_t>(random() % 60));
                const FlowKey key = FlowKey::of(
                    host, kRemote, port(4000), port(80), Protocol::kUdp, kInternalRealm
                );
                (void)c.shard(c.shard_of(host)).make_outbound(key, PacketKind::kUdp, 0, c.now);
                for (size_t left = random() % 3; left > 0 && c.under_way() > 0; --left) {
                    c.deliver_one();
                }
            }
            set(c, draw(random));
            for (unsigned n = 0; n < 120; ++n) {
                const auto host = static_cast<uint32_t>(random() % 24);
                const auto inside = static_cast<uint16_t>(2000 + random() % 5000);
                const Protocol protocol = random() % 2 == 0 ? Protocol::kTcp : Protocol::kUdp;
                (void)c.open(
                    protocol,
                    subscriber(host),
                    inside,
                    kRemote,
                    static_cast<uint16_t>(random() % 50 + 1)
                );
                (void)call(
                    c,
                    static_cast<uint16_t>(1024 + random() % 7000),
                    static_cast<uint16_t>(random() % 60000 + 1)
                );
            }
            pass(c, static_cast<uint32_t>(1 + random() % 60));
            REQUIRE(c.audit() == "");
            // No port is somebody's and a static mapping's, nor two mappings'.
            std::map<std::tuple<uint8_t, uint16_t>, uint32_t> owners;
            for (unsigned s = 0; s < shards; ++s) {
                std::vector<nat::MappingView> views(4096);
                uint32_t cursor = 0;
                size_t filled = 0;
                while (c.shard(s).list_mappings(cursor, 4096, views, filled)) {
                }
                for (const nat::MappingView& view : std::span(views).first(filled)) {
                    const bool is_dynamic = view.kind == nat::MappingView::kDynamic;
                    const nat::Mapping& m = view.mapping;
                    if (view.kind == nat::MappingView::kStatic || nat::is_static(m)) {
                        continue;
                    }
                    CHECK(is_dynamic);
                    const auto protocol = static_cast<Protocol>(m.protocol);
                    CHECK_FALSE(c.directory().is_fixed(kExternal, {m.external_port}, protocol));
                    CHECK(owners.emplace(std::tuple{m.protocol, m.external_port}, s).second);
                }
            }
        }
        set(c, {});
        pass(c, 1200);
        CHECK(sessions(c) == 0);
        CHECK(c.directory().statics().former().empty());
        CHECK(free_blocks(c) == blocks);
        CHECK(c.audit() == "");
    }
}
