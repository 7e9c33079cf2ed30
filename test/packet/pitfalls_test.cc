// Mistakes that other NATs have made, each shown not to be ours; from bytes to bytes. What other files show is not repeated.
#include <set>

#include <catch2/catch.hpp>

#include "scenario.h"

namespace sekisho::test {
namespace {

using packet::kAck;
using packet::kSyn;

constexpr auto kServer = "192.0.2.1";
constexpr uint32_t kSecond = 1000;

uint16_t port(unsigned base, unsigned n) {
    return static_cast<uint16_t>(base + n);
}

}  // namespace

TEST_CASE("every port of an address is had while one is free, at any load", "[packet][pitfall-1]") {
    BedOptions options;
    options.nat = nat_settings("203.0.113.9", "203.0.113.9");
    options.nat.pools[0].ports = {1024, 2047};
    options.nat.pools[0].port_block_size = 64;
    options.nat.pools[0].blocks_per_subscriber = 16;
    run_everywhere(options, [](TestBed& bed, Story& story) {
        std::set<uint16_t> given;
        for (unsigned n = 0; n < 1024; ++n) {
            bed.push_internal(udp_out(bed, host(5), port(1000, n), kServer, 53));
            bed.run();
        }
        for (const auto& sent : bed.take()) {
            given.insert(decode(sent.bytes).source_port);
        }
        CHECK(given.size() == 1024);
        CHECK(bed.dropped(DropReason::kPoolExhausted) == 0);
        story.step(bed);
    });
}

TEST_CASE(
    "a first packet and its answer in one burst: the answer finds a whole session",
    "[packet][pitfall-8]"
) {
    BedOptions options;
    options.nat = nat_settings("203.0.113.9", "203.0.113.9");
    options.nat.pools[0].port_selection = nat::PortSelection::kSequential;
    TestBed bed(options);
    bed.push_internal(udp_out(bed, host(5), 1000, kServer, 53));
    bed.run();
    bed.take();
    const Endpoint first = external_of(bed, Protocol::kUdp, host(5), 1000);
    for (uint16_t n = 1; n < 60; ++n) {
        const auto next = static_cast<uint16_t>(first.port + n);
        PacketRef burst[] = {
            bed.store().make(
                udp_out(bed, host(5), port(1000, n), kServer, 53).bytes(), kInternalLink
            ),
            bed.store().make(
                bed.from_external().ipv4(ip(kServer), first.address).udp(53, next).bytes(),
                kExternalLink
            ),
        };
        bed.shard(0).receive(burst, false, bed.now());
        bed.run();
        const auto sent = bed.take();
        REQUIRE(sent.size() == 2);
        const Decoded answer = decode(sent[sent[0].device == kInternalLink ? 0 : 1].bytes);
        CHECK(answer.destination == host(5));
        CHECK(answer.destination_port == port(1000, n));
        CHECK(answer.source_port == 53);
    }
}

TEST_CASE(
    "sessions end by their timers alone, without any packet, in the same second",
    "[packet][pitfall-9]"
) {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        for (unsigned n = 0; n < 200; ++n) {
            bed.push_internal(udp_out(bed, host(5 + n), 1000, kServer, 53));
            bed.run();
        }
        story.step(bed);
        bed.advance(299 * kSecond);
        CHECK(bed.session_count() == 200);
        bed.advance(2 * kSecond);
        CHECK(bed.session_count() == 0);
        CHECK(bed.mapping_count() == 0);
        story.step(bed);
    });
}

TEST_CASE(
    "however many sessions end at once, a turn ends a bounded number, and all end soon",
    "[packet][pitfall-10]"
) {
    constexpr unsigned kMany = 4000;
    BedOptions options;
    TestBed bed(options);
    for (unsigned n = 0; n < kMany; ++n) {
        bed.push_internal(udp_out(bed, host(5 + n % 200), port(1000, n), kServer, 53));
        if (n % 32 == 31) {
            bed.run();
            bed.take();
        }
    }
    bed.run();
    REQUIRE(bed.session_count() == kMany);
    bed.pass(305 * kSecond);  // nobody has had a turn meanwhile
    size_t last = kMany;
    size_t most = 0;
    unsigned turns = 0;
    for (; last > 0 && turns < kMany; ++turns) {
        bed.turn();
        most = std::max(most, last - bed.session_count());
        last = bed.session_count();
    }
    CHECK(last == 0);
    CHECK(most <= 512);
    CHECK(turns >= kMany / 512);
}

TEST_CASE(
    "a SYN that is never completed leaves within four minutes, whatever follows it from outside",
    "[packet][pitfall-11]"
) {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        bed.push_internal(tcp_out(bed, host(5), 1000, kServer, 80, kSyn).sequence(100));
        bed.run();
        for (unsigned n = 0; n < 3; ++n) {
            bed.advance(60 * kSecond);
            bed.push_external(
                tcp_in(bed, kServer, 80, host(5), 1000, kAck).sequence(500 + n).acknowledgement(101)
            );
            bed.run();
        }
        bed.advance(62 * kSecond);
        CHECK(bed.session_count() == 0);
        story.step(bed);
    });
}

TEST_CASE("UDP that nobody has answered is kept as long as any other", "[packet][pitfall-12]") {
    BedOptions options;
    options.nat = nat_settings();
    options.nat.timeouts.udp = Seconds{120};
    run_everywhere(options, [](TestBed& bed, Story& story) {
        bed.push_internal(udp_out(bed, host(5), 1000, kServer, 5000));
        bed.run();
        bed.advance(119 * kSecond);
        bed.take();
        bed.push_external(udp_in(bed, kServer, 5000, host(5), 1000));
        bed.run();
        CHECK(bed.take().size() == 1);
        story.step(bed);
    });
}

TEST_CASE(
    "two subscribers who call each other at once meet, on any number of shards",
    "[packet][pitfall-14]"
) {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        for (unsigned n = 0; n < 6; ++n) {
            const Ipv4Addr a = host(5 + n);
            const Ipv4Addr b = host(60 + n);
            bed.push_internal(udp_out(bed, a, 1000, kServer, 53));
            bed.push_internal(udp_out(bed, b, 2000, kServer, 53));
            bed.run();
            bed.take();
            const Endpoint a_shown = external_of(bed, Protocol::kUdp, a, 1000);
            const Endpoint b_shown = external_of(bed, Protocol::kUdp, b, 2000);
            for (unsigned round = 0; round < 4; ++round) {  // all under way together
                bed.push_internal(
                    bed.from_internal().ipv4(a, b_shown.address).udp(1000, b_shown.port)
                );
                bed.push_internal(
                    bed.from_internal().ipv4(b, a_shown.address).udp(2000, a_shown.port)
                );
            }
            bed.run();
            const auto sent = bed.take();
            CHECK(sent.size() == 8);
            for (const auto& one : sent) {
                const Decoded d = decode(one.bytes);
                CHECK((d.destination == a || d.destination == b));
                CHECK(
                    Endpoint{d.source, d.source_port} == (d.destination == a ? b_shown : a_shown)
                );
            }
        }
        CHECK(bed.session_count() == 6 * 4);
        story.step(bed);
    });
}

TEST_CASE(
    "an endless walk between two pool addresses ends: each turn costs TTL", "[packet][pitfall-21]"
) {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        bed.push_internal(udp_out(bed, host(5), 1000, kServer, 53));
        bed.run();
        bed.take();
        const Endpoint own = external_of(bed, Protocol::kUdp, host(5), 1000);
        // A subscriber writes to itself by its external endpoint, and sends back whatever comes.
        bed.push_internal(bed.from_internal().ipv4(host(5), own.address).ttl(9).udp(1000, own.port)
        );
        unsigned turns = 0;
        for (bool more = true; more && turns < 100; ++turns) {
            bed.run();
            const auto sent = bed.take();
            more = sent.size() == 1 && decode(sent[0].bytes).protocol == 17;
            if (more) {
                const Decoded d = decode(sent[0].bytes);
                bed.push_internal(
                    bed.from_internal().ipv4(host(5), d.source).ttl(d.ttl).udp(1000, d.source_port)
                );
            }
        }
        CHECK(turns == 9);
        CHECK(bed.dropped(DropReason::kTtlExceeded) == 1);
        story.step(bed);
    });
}

}  // namespace sekisho::test
