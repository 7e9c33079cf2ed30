// What happens between shards, workers and the slow path: hand-offs, holding, full rings, several queues.
#include <algorithm>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "dataplane/dataplane_inspector.h"
#include "scenario.h"

namespace sekisho::test {
namespace {

using packet::kSyn;

constexpr auto kServer = "192.0.2.1";

// A subscriber of this shard; `skip` further ones are passed over.
Ipv4Addr host_of_shard(const TestBed& bed, unsigned shard, unsigned skip = 0) {
    for (unsigned n = 5;; ++n) {
        if (bed.shard_of(host(n)) == shard && skip-- == 0) {
            return host(n);
        }
    }
}

// Two workers with a shard each; one pool address with one block, homed on shard 0.
BedOptions one_block() {
    BedOptions options;
    options.shards = 2;
    options.workers = 2;
    options.nat = nat_settings("203.0.113.9", "203.0.113.9");
    options.nat.pools[0].ports = {1024, 1087};
    options.nat.pools[0].port_block_size = 64;
    return options;
}

}  // namespace

TEST_CASE(
    "a packet whose block went to another shard while it waited in a ring is stale",
    "[packet][hand-off]"
) {
    TestBed bed(one_block());
    const Ipv4Addr old_holder = host_of_shard(bed, 1);
    const Ipv4Addr new_holder = host_of_shard(bed, 0);
    bed.push_internal(udp_out(bed, old_holder, 1000, kServer, 53));
    bed.run();
    const Endpoint external = external_of(bed, Protocol::kUdp, old_holder, 1000);
    bed.take();

    bed.push_external(bed.from_external().ipv4(ip(kServer), external.address).udp(53, external.port)
    );
    bed.worker(0).run_once(bed.now());
    REQUIRE(bed.fabric().hand_off(ShardId{0}, ShardId{1}).size() == 1);

    // Worker 1 does not look at its hand-offs, but its timers run and its home gets the block back.
    Tick later = bed.now();
    for (unsigned i = 0; i < 2000; ++i) {
        later = later + 512;
        bed.shard(1).nat().advance(later, 64);
        bed.shard(1).nat().end_of_burst();
        bed.shard(0).poll(later);
    }
    CHECK_FALSE(bed.external_of(Protocol::kUdp, old_holder, 1000));
    PacketRef opening =
        bed.store().make(udp_out(bed, new_holder, 1000, kServer, 53).bytes(), kInternalLink);
    bed.shard(0).receive({&opening, 1}, false, later);
    REQUIRE(bed.external_of(Protocol::kUdp, new_holder, 1000));

    bed.shard(1).poll(later);
    CHECK(bed.dropped(DropReason::kStaleOwner) == 1);
    bed.worker(0).run_once(later);
    CHECK(bed.imbalance() == "");
}

TEST_CASE("a shard's arena says which subscribers belong to whom", "[packet][arena]") {
    BedOptions options;
    options.shards = 3;
    TestBed bed(options);
    const base::Toeplitz hash;
    for (uint8_t i = 0; i < 3; ++i) {
        const base::ArenaHeader& header = bed.shard(i).nat().arena().header();
        CHECK(header.shard == i);
        CHECK(header.shard_count == 3);
        CHECK(std::equal(hash.key().begin(), hash.key().end(), header.toeplitz_key));
        for (unsigned n = 0; n < 100; ++n) {
            CHECK(header.shard_table[hash(host(n)) % 512] == bed.shard_of(host(n)));
        }
    }
}

TEST_CASE("a full hand-off ring costs just the packets that do not fit", "[packet][hand-off]") {
    BedOptions options;
    options.shards = 2;
    options.rings.hand_off = 16;
    TestBed bed(options);
    const Ipv4Addr from = host_of_shard(bed, 1);
    for (unsigned i = 0; i < 32; ++i) {
        bed.push_internal(udp_out(bed, from, 1000, kServer, 53));
    }
    bed.run();
    CHECK(bed.dropped(DropReason::kHandOffRingFull) == 16);
    CHECK(bed.take().size() == 16);
    CHECK(bed.totals().handed_off == 16);
}

TEST_CASE(
    "a worker with several queues does not overrun the shard beside it", "[packet][hand-off]"
) {
    BedOptions options;
    options.shards = 2;
    options.rings.hand_off = 64;
    TestBed bed(options);
    const Ipv4Addr inside = host_of_shard(bed, 1);
    bed.push_internal(udp_out(bed, inside, 1000, kServer, 53));
    bed.run();
    bed.push_external(udp_in(bed, kServer, 53, inside, 1000));
    bed.run();
    bed.take();
    constexpr size_t kPackets = 320;  // of each side, 32 a turn
    for (size_t i = 0; i < kPackets; ++i) {
        bed.push_internal(udp_out(bed, inside, 1000, kServer, 53));
        bed.push_external(udp_in(bed, kServer, 53, inside, 1000));
    }
    bed.run();
    CHECK(bed.dropped(DropReason::kHandOffRingFull) == 0);
    CHECK(bed.take().size() == 2 * kPackets);
}

TEST_CASE("packets wait for a port block in order, as many as the list holds", "[packet][held]") {
    BedOptions options = one_block();
    options.held_packets = 8;
    options.answer_arp = true;
    TestBed bed(options);
    const Ipv4Addr from = host_of_shard(bed, 1);
    for (unsigned i = 0; i < 32; ++i) {
        bed.push_internal(udp_out(bed, from, 1000, kServer, 53).payload(fmt::format("{:02}", i)));
    }
    bed.worker(0).run_once(bed.now());
    bed.worker(1).run_once(bed.now());
    CHECK(bed.totals().held == 8);
    CHECK(bed.dropped(DropReason::kHeldOverflow) == 24);
    bed.run();
    const auto sent = bed.take();
    REQUIRE(sent.size() == 8);
    for (unsigned i = 0; i < 8; ++i) {
        const Decoded packet = decode(sent[i].bytes);
        CHECK(std::string(packet.payload.begin(), packet.payload.end()) == fmt::format("{:02}", i));
    }
    CHECK(bed.totals().held == 0);
}

TEST_CASE("what is held when the appliance stops is counted and freed", "[packet][held]") {
    TestBed bed(one_block());
    bed.push_internal(udp_out(bed, host_of_shard(bed, 1), 1000, kServer, 53));
    bed.worker(0).run_once(bed.now());
    bed.worker(1).run_once(bed.now());
    REQUIRE(bed.totals().held == 1);
    bed.shut_down();
    CHECK(bed.dropped(DropReason::kShutdown) == 1);
    CHECK(bed.imbalance() == "");
    CHECK(bed.store().in_use() == 0);
}

TEST_CASE("wherever packets are when the appliance stops, none is lost", "[packet][held]") {
    BedOptions options = one_block();
    options.rings.back = 4;
    TestBed bed(options);
    const Ipv4Addr inside = host_of_shard(bed, 1);
    bed.push_internal(udp_out(bed, inside, 1000, kServer, 53));
    bed.run();
    bed.take();
    // Answers of the slow path, one of them an ARP frame, wait in the rings back.
    for (unsigned i = 0; i < 8; ++i) {
        bed.push_external(bed.from_external().ipv4("192.0.2.9", "198.51.100.2").echo_request(1));
        bed.push_external(frame()
                              .mac(kHostMac, packet::kBroadcastMac)
                              .arp_request(kHostMac, "198.51.100.9", "198.51.100.2"));
    }
    bed.turn();
    bed.slow_path().poll(bed.now());
    // Packets in the hand-off ring; one behind it has no neighbour yet.
    bed.push_internal(udp_out(bed, inside, 1000, "198.51.100.77", 53));
    bed.push_internal(udp_out(bed, inside, 1000, kServer, 53));
    bed.worker(0).run_once(bed.now());
    // Worker 1 owns no queue: what it sends lies in a ring to worker 0, and some more is collected.
    bed.worker(1).run_once(bed.now());
    PacketRef collected =
        bed.store().make(udp_out(bed, inside, 1000, kServer, 53).bytes(), kInternalLink);
    bed.shard(1).receive({&collected, 1}, false, bed.now());
    bed.push_internal(udp_out(bed, inside, 1000, kServer, 53));
    bed.worker(0).run_once(bed.now());
    bed.slow_path().poll(bed.now());
    REQUIRE(bed.fabric().hand_off(ShardId{0}, ShardId{1}).size() == 1);
    REQUIRE(bed.fabric().back(ShardId{0}).size() == 4);
    bed.shut_down();
    CHECK(bed.totals().held == 0);
    CHECK(bed.imbalance() == "");
    CHECK(bed.store().in_use() == 0);
}

TEST_CASE("a packet that was handed on five times goes no further", "[packet][hand-off]") {
    BedOptions options;
    options.shards = 2;
    TestBed bed(options);
    for (const uint8_t hops : {uint8_t{4}, uint8_t{5}}) {
        PacketRef packet = bed.store().make(
            udp_out(bed, host_of_shard(bed, 1), 1000, kServer, 53).bytes(), kInternalLink
        );
        packet.hops = hops;
        bed.device(kInternalLink).push(packet, 0);
        bed.run();
    }
    CHECK(bed.dropped(DropReason::kTooManyHops) == 1);
    CHECK(bed.take().size() == 1);
}

TEST_CASE("packets wait for their neighbour and then leave in order", "[packet][neighbour]") {
    BedOptions options;
    options.shards = GENERATE(1U, 3U);
    TestBed bed(options);
    bed.push_internal(udp_out(bed, host(5), 1000, kServer, 53));
    bed.run();
    bed.take();
    for (const char* text : {"first", "second", "third"}) {
        bed.push_external(udp_in(bed, kServer, 53, host(5), 1000).payload(text));
    }
    bed.run();
    const auto sent = bed.take();
    REQUIRE(sent.size() == 3);
    CHECK(decode(sent[0].bytes).payload[0] == 'f');
    CHECK(decode(sent[1].bytes).payload[0] == 's');
    CHECK(decode(sent[2].bytes).payload[0] == 't');
}

TEST_CASE(
    "a flood to an own address holds up neither ARP nor new neighbours", "[packet][neighbour]"
) {
    BedOptions options;
    options.rings.punt = 16;
    TestBed bed(options);
    const uint64_t consumed = bed.totals().consumed;
    for (unsigned i = 0; i < 30; ++i) {
        bed.push_external(bed.from_external().ipv4("192.0.2.9", "198.51.100.2").echo_request(1));
    }
    bed.push_external(frame()
                          .mac(kHostMac, packet::kBroadcastMac)
                          .arp_request(kHostMac, "198.51.100.9", "198.51.100.2"));
    bed.push_internal(udp_out(bed, host(5), 1000, "198.51.100.77", 53));
    bed.turn();
    CHECK(bed.fabric().punt(ShardId{0}, dataplane::PuntClass::kOwn).size() == 16);
    CHECK(bed.fabric().punt(ShardId{0}, dataplane::PuntClass::kArp).size() == 1);
    CHECK(bed.fabric().punt(ShardId{0}, dataplane::PuntClass::kNeighbour).size() == 1);
    CHECK(bed.dropped(DropReason::kSlowPathRingFull) == 14);
    bed.run();
    CHECK(bed.totals().consumed > consumed + 16);
    const auto sent = bed.take();
    CHECK(std::any_of(sent.begin(), sent.end(), [](const auto& s) {
        return decode(s.bytes).destination == ip("198.51.100.77");
    }));
}

TEST_CASE("a link that refuses frames costs only those", "[packet][tx]") {
    TestBed bed({});
    bed.device(kExternalLink).room = 3;
    for (unsigned i = 0; i < 10; ++i) {
        bed.push_internal(udp_out(bed, host(5), 1000, kServer, 53));
    }
    bed.run();
    CHECK(bed.dropped(DropReason::kTxRefused) == 7);
    CHECK(bed.take().size() == 3);
}

TEST_CASE(
    "a one-queue link with three workers: all traffic passes, sent by its owner", "[packet][tx]"
) {
    BedOptions options;
    options.shards = 3;
    options.workers = 3;
    TestBed bed(options);
    for (unsigned n = 5; n < 35; ++n) {
        bed.push_internal(udp_out(bed, host(n), 1000, kServer, 53));
    }
    bed.run();
    CHECK(bed.take().size() == 30);
    for (unsigned n = 5; n < 35; ++n) {
        bed.push_external(udp_in(bed, kServer, 53, host(n), 1000));
    }
    bed.run();
    CHECK(bed.take().size() == 30);
    for (unsigned other : {1U, 2U}) {
        const auto& counters = bed.worker(other).counters();
        CHECK(counters.packets.read() == 0);
        CHECK(counters.tx_handed.read() > 0);
        CHECK(bed.shard(other).counters().forwarded.read() == 0);
    }
    CHECK(bed.shard(0).counters().forwarded.read() >= 60);
    CHECK(bed.dropped(DropReason::kTxRefused) == 0);
}

TEST_CASE(
    "frames are untagged and tagged for the links that they come from and go to", "[packet][vlan]"
) {
    BedOptions options;
    options.shards = GENERATE(1U, 2U);
    const auto tags = GENERATE(std::vector<uint16_t>{100}, std::vector<uint16_t>{100, 200});
    options.internal_vlans = tags;
    TestBed bed(options);
    PacketBuilder out = udp_out(bed, host(5), 1000, kServer, 53).payload("tagged");
    for (const uint16_t tag : tags) {
        out.vlan(tag);
    }
    bed.push_internal(out);
    bed.run();
    const Decoded sent = bed.take_one(kExternalLink);
    CHECK(sent.vlans.empty());
    bed.push_external(udp_in(bed, kServer, 53, host(5), 1000).payload("back"));
    bed.run();
    const Decoded back = bed.take_one(kInternalLink);
    CHECK(back.vlans == tags);
    CHECK(back.destination == host(5));
    bed.push_internal(udp_out(bed, host(5), 1000, kServer, 53));
    bed.run();
    CHECK(bed.dropped(DropReason::kUnknownVlan) == 1);
}

TEST_CASE("random and broken frames lose no packet and no buffer", "[packet][fuzz]") {
    BedOptions options;
    options.shards = GENERATE(1U, 3U, 8U);
    options.workers = options.shards == 8 ? 3 : 1;
    options.queues = options.workers > 1 ? 2 : 1;
    options.broken_frames = true;
    options.rings.hand_off = 32;
    options.rings.punt = 16;
    options.rings.back = 64;
    options.sessions = 64;
    options.nat = nat_settings("203.0.113.9", "203.0.113.10");
    options.nat.pools[0].ports = {1024, 1535};
    options.nat.pools[0].port_block_size = 64;
    TestBed bed(options);
    uint64_t state = 42 + options.shards;
    const auto draw = [&](uint32_t below) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        return static_cast<uint32_t>(state >> 33) % below;
    };
    for (unsigned round = 0; round < 400; ++round) {
        const unsigned packets = 1 + draw(60);
        for (unsigned i = 0; i < packets; ++i) {
            const Ipv4Addr inside = host(5 + draw(12));
            const Ipv4Addr pool = Ipv4Addr::of(203, 0, 113, static_cast<uint8_t>(9 + draw(2)));
            const Ipv4Addr far =
                draw(4) == 0 ? pool : Ipv4Addr::of(192, 0, 2, static_cast<uint8_t>(1 + draw(3)));
            const auto port = static_cast<uint16_t>(1024 + draw(100));
            const bool outbound = draw(2) == 0;
            PacketBuilder builder = outbound ? bed.from_internal().ipv4(inside, far)
                                             : bed.from_external().ipv4(far, pool);
            builder.ttl(static_cast<uint8_t>(1 + draw(4)));
            switch (draw(5)) {
                case 0:
                    builder.tcp(port, 80, static_cast<uint8_t>(draw(32)));
                    break;
                case 1:
                    builder.echo_request(port);
                    break;
                case 2:
                    builder.icmp_error(
                        3,
                        static_cast<uint8_t>(draw(5)),
                        frame()
                            .ipv4(draw(2) == 0 ? pool : far, outbound ? inside : far)
                            .udp(port, static_cast<uint16_t>(1024 + draw(100)))
                            .payload("12345678")
                            .l3()
                    );
                    break;
                default:
                    builder.udp(port, static_cast<uint16_t>(1024 + draw(100)));
                    break;
            }
            ByteVector bytes = builder.payload_size(draw(30)).bytes();
            if (draw(6) == 0) {
                bytes[draw(static_cast<uint32_t>(bytes.size()))] ^=
                    static_cast<uint8_t>(1 + draw(255));
            }
            if (draw(20) == 0) {
                bytes.resize(1 + draw(static_cast<uint32_t>(bytes.size())));
            }
            bed.push(outbound ? kInternalLink : kExternalLink, bytes);
        }
        if (draw(3) == 0) {
            bed.turn();
        } else {
            bed.run();
        }
        bed.take();
        if (draw(20) == 0) {
            bed.advance(1000 * draw(400));
        }
    }
    bed.run();
    bed.take();
    bed.shut_down();
    CHECK(bed.imbalance() == "");
    CHECK(bed.store().in_use() == 0);
}

TEST_CASE("the inspector lists, clears and counts over all shards", "[packet][inspector]") {
    BedOptions options;
    options.shards = 3;
    TestBed bed(options);
    for (unsigned n = 0; n < 700; ++n) {
        bed.push_internal(
            udp_out(bed, host(5 + n % 7), static_cast<uint16_t>(1000 + n / 7), kServer, 53)
        );
        if (n % 20 == 0) {
            bed.run();
        }
    }
    bed.run();
    bool pumping = true;
    dataplane::InspectorPlan plan = bed.inspector_plan();
    plan.pump = [&] {
        if (pumping) {
            bed.turn();
        }
    };
    dataplane::DataplaneInspector inspector(plan);
    std::vector<nat::SessionView> sessions;
    REQUIRE(inspector.sessions([&](const nat::SessionView& view) {
        sessions.push_back(view);
        return true;
    }));
    CHECK(sessions.size() == 700);
    CHECK(inspector.status().sessions.used == 700);
    CHECK(inspector.counters().received == bed.totals().received);
    CHECK(inspector.workers().at(0).alive);
    const auto pools = inspector.pools();
    REQUIRE(pools);
    CHECK(pools->at(0).ports_in_use == 700);
    const auto some =
        std::span(sessions).subspan(200, 150);  // of several shards, more than one slice each
    const auto cleared = inspector.clear_sessions(some);
    REQUIRE(cleared);
    CHECK(*cleared == 150);
    const auto again = inspector.clear_sessions(some);
    REQUIRE(again);
    CHECK(*again == 0);
    sessions[0].shard = ShardId{17};
    CHECK(
        inspector.clear_sessions(std::span(sessions).first(3)).value() == 2
    );  // there is no such shard
    CHECK(bed.session_count() == 548);
    inspector.clear_counters();
    CHECK(inspector.counters().received == 0);

    dataplane::ListCursor cursor{99, 7};
    const auto over = inspector.list_sessions(cursor, 10, [](const nat::SessionView&) {});
    REQUIRE(over);
    CHECK_FALSE(*over);

    pumping = false;
    CHECK_FALSE(inspector.workers().at(0).alive);
    const auto dead = inspector.sessions([](const nat::SessionView&) { return true; });
    REQUIRE_FALSE(dead);
    CHECK(dead.error().message.find("worker 0") != std::string::npos);
    pumping = true;
    CHECK(inspector.sessions([](const nat::SessionView&) { return true; }));
}

}  // namespace sekisho::test
