// Floods of fragments, and what is left of them at the end.
#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "fragment_scenario.h"

namespace sekisho::test {

namespace {

// A later fragment of a datagram that never was; from anybody to anybody.
ByteVector stray(PacketBuilder from, Ipv4Addr source, Ipv4Addr to, uint32_t number) {
    return fragment_of(
        from.ipv4(source, to).protocol(17).ip_id(static_cast<uint16_t>(number)),
        8 * (1 + number % 100),
        true,
        ByteVector(64, 0x5a)
    );
}

}  // namespace

TEST_CASE(
    "a flood of fragments leaves sessions and others' fragments alone, with the table full",
    "[packet][fragments][rfc4787-req14a][pitfall-17]"
) {
    const bool spoofed = GENERATE(false, true);
    CAPTURE(spoofed);
    BedOptions options = with(one_address());
    options.nat.limits.fragments = 256;
    options.checking = HeapStore::Checking::kFast;
    TestBed bed(options);
    bed.push_internal(udp_out(bed, host(5), 1000, kServer, 53));
    bed.push_internal(tcp_out(bed, host(6), 1000, kServer, 80, kSyn));
    bed.run();
    bed.take();
    const auto sessions = bed.sessions();
    uint32_t number = 0;
    const auto flood = [&](unsigned count) {
        for (unsigned i = 0; i < count; ++i) {
            ++number;
            const uint32_t source = 0xc0000300 + (spoofed ? number * 2654435761U % 1000000 : 1);
            bed.push(
                kExternalLink,
                stray(bed.from_external(), Ipv4Addr::from_host(source), ip("203.0.113.1"), number)
            );
            bed.push(
                kInternalLink,
                stray(
                    bed.from_internal(),
                    spoofed ? host(100 + number % 5000) : host(66),
                    ip(kServer),
                    number
                )
            );
            if (i % 16 == 15) {
                bed.run();
            }
        }
        bed.run();
    };
    flood(3000);
    CHECK(bed.totals().held > 0);
    CHECK(bed.totals().held <= 160);
    for (uint16_t round = 0; round < 100; ++round) {
        const Frames out = split(big_udp(bed, 5, round).bytes(), kPart);
        const Frames in = split(
            udp_in(bed, kServer, 53, host(5), 1000).ip_id(round).payload_size(1000).bytes(), kPart
        );
        for (const size_t i : {2, 0, 1, 3}) {
            bed.push(kInternalLink, out[i]);
            bed.push(kExternalLink, in[i]);
            flood(4);
        }
        Frames outside;
        Frames inside;
        for (const auto& sent : bed.take()) {
            (sent.device == kExternalLink ? outside : inside).push_back(sent.bytes);
        }
        REQUIRE(whole(outside).payload.size() == 1000);
        REQUIRE(whole(inside).payload.size() == 1000);
    }
    CHECK(bed.dropped(DropReason::kFragmentOverflow) > 3000);
    CHECK(bed.sessions().size() == sessions.size());
    bed.push_external(tcp_in(bed, kServer, 80, host(6), 1000, kSyn | kAck));
    bed.run();
    CHECK(bed.take_one(kInternalLink).destination == host(6));
    bed.advance(3000);
    CHECK(bed.totals().held == 0);
}

TEST_CASE(
    "thousands of fragments of many flows, shuffled, tell the same story everywhere",
    "[packet][fragments][random][rfc4787-req14]"
) {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        uint32_t state = 4711;
        const auto draw = [&](uint32_t below) {
            state = state * 1664525 + 1013904223;
            return (state >> 8) % below;
        };
        for (unsigned from = 5; from < 9; ++from) {  // so that all next hops are known
            bed.push_internal(udp_out(bed, host(from), 1000, kServer, 53));
            bed.run();
            bed.push_external(udp_in(bed, kServer, 53, host(from), 1000));
        }
        story.step(bed);
        uint16_t id = 0;
        for (unsigned round = 0; round < 60; ++round) {
            std::vector<std::pair<LinkId, ByteVector>> all;
            for (unsigned n = 0; n < 6; ++n) {
                const unsigned from = 5 + draw(4);
                const auto port = static_cast<uint16_t>(1000 + draw(3));
                const bool known = bed.external_of(Protocol::kUdp, host(from), port).has_value();
                const bool inbound = known && draw(2) == 0;
                const PacketBuilder packet = inbound ? udp_in(bed, kServer, 53, host(from), port)
                                                     : udp_out(bed, host(from), port, kServer, 53);
                PacketBuilder sized = packet;
                sized.ip_id(++id).payload_size(100 + draw(900));
                for (const ByteVector& fragment : split(sized.bytes(), 64 + 8 * draw(60))) {
                    if (draw(20) != 0) {
                        all.emplace_back(inbound ? kExternalLink : kInternalLink, fragment);
                    }
                    if (draw(20) == 0) {
                        all.emplace_back(inbound ? kExternalLink : kInternalLink, fragment);
                    }
                }
            }
            for (size_t i = all.size(); i > 1; --i) {
                std::swap(all[i - 1], all[draw(static_cast<uint32_t>(i))]);
            }
            // No more than a burst at a time: what comes behind the last fragment of a datagram is a duplicate only within its
            // burst, so that the story would depend on where bursts end.
            unsigned waiting = 0;
            for (const auto& [link, fragment] : all) {
                bed.push(link, fragment);
                if (++waiting == 24 || draw(4) == 0) {
                    bed.run();
                    waiting = 0;
                }
            }
            story.step(bed);
            bed.advance(draw(2) == 0 ? 500 : 2500);
        }
        bed.advance(10'000);
        CHECK(bed.totals().held == 0);
        story.step(bed);
    });
}

TEST_CASE("what is held when the appliance stops is freed", "[packet][fragments]") {
    TestBed bed({});
    const Frames fragments = split(big_udp(bed).bytes(), kPart);
    push_all(bed, kInternalLink, {fragments[1], fragments[2]});
    bed.run();
    CHECK(bed.totals().held == 2);
    bed.shut_down();
    CHECK(bed.dropped(DropReason::kShutdown) == 2);
    CHECK(bed.store().in_use() == 0);
}

}  // namespace sekisho::test
