// What sessions and mappings do, from bytes to bytes, on every number of shards.
#include <catch2/catch.hpp>

#include "scenario.h"

namespace sekisho::test {
namespace {

using nat::FilteringBehaviour;
using packet::kAck;
using packet::kFin;
using packet::kRst;
using packet::kSyn;

constexpr auto kServer = "192.0.2.1";
constexpr auto kOther = "192.0.2.2";

BedOptions with(FilteringBehaviour filtering) {
    BedOptions options;
    options.nat = nat_settings();
    options.nat.policies[0].filtering = filtering;
    return options;
}

}  // namespace

TEST_CASE(
    "UDP, TCP and ICMP queries go out and their answers come back", "[packet][rfc6888-req1]"
) {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        for (unsigned n = 5; n < 15; ++n) {
            bed.push_internal(udp_out(bed, host(n), 1000, kServer, 53).payload("ask"));
            bed.push_internal(tcp_out(bed, host(n), 1000, kServer, 80, kSyn).sequence(7));
            bed.push_internal(
                bed.from_internal().ipv4(host(n), ip(kServer)).echo_request(77).payload("ping")
            );
            story.step(bed);
            const Endpoint echo = external_of(bed, Protocol::kIcmp, host(n), 77);
            bed.push_external(udp_in(bed, kServer, 53, host(n), 1000).payload("answer"));
            bed.push_external(
                tcp_in(bed, kServer, 80, host(n), 1000, kSyn | kAck).acknowledgement(8)
            );
            bed.push_external(bed.from_external()
                                  .ipv4(ip(kServer), echo.address)
                                  .echo_reply(echo.port)
                                  .payload("pong"));
            story.step(bed);
        }
        CHECK(bed.totals().forwarded >= 60);
        CHECK(bed.session_count() == 30);
    });
}

TEST_CASE("a TCP connection lives from handshake to reset", "[packet][rfc5382-req5]") {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        bed.push_internal(tcp_out(bed, host(5), 1000, kServer, 80, kSyn).sequence(100));
        story.step(bed);
        bed.push_external(
            tcp_in(bed, kServer, 80, host(5), 1000, kSyn | kAck).sequence(500).acknowledgement(101)
        );
        story.step(bed);
        bed.push_internal(
            tcp_out(bed, host(5), 1000, kServer, 80, kAck).sequence(101).acknowledgement(501)
        );
        story.step(bed);
        bed.advance(3'000'000);
        story.step(bed);
        CHECK(bed.session_count() == 1);
        bed.push_external(
            tcp_in(bed, kServer, 80, host(5), 1000, kFin | kAck).sequence(501).acknowledgement(101)
        );
        bed.push_internal(
            tcp_out(bed, host(5), 1000, kServer, 80, kFin | kAck).sequence(101).acknowledgement(502)
        );
        story.step(bed);
        bed.advance(250'000);
        story.step(bed);
        CHECK(bed.session_count() == 0);
        bed.push_internal(tcp_out(bed, host(5), 1000, kServer, 80, kAck));
        story.step(bed);
        CHECK(bed.dropped(DropReason::kNoSession) == 1);
    });
}

TEST_CASE("a burst made of one new flow makes one session", "[packet][burst]") {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        for (unsigned i = 0; i < 32; ++i) {
            bed.push_internal(udp_out(bed, host(5), 1000, kServer, 53).payload("same"));
        }
        story.step(bed);
        CHECK(bed.session_count() == 1);
        CHECK(bed.dropped(DropReason::kHeldOverflow) == 0);
    });
}

TEST_CASE("a burst holds both directions of a new session", "[packet][burst]") {
    run_everywhere(with(FilteringBehaviour::kEndpointIndependent), [](TestBed& bed, Story& story) {
        bed.push_internal(udp_out(bed, host(5), 1000, kOther, 53));
        story.step(bed);
        bed.push_external(udp_in(bed, kOther, 53, host(5), 1000));
        story.step(bed);
        for (unsigned i = 0; i < 16; ++i) {
            bed.push_internal(udp_out(bed, host(5), 1000, kServer, 53).payload("out"));
            bed.push_external(udp_in(bed, kServer, 53, host(5), 1000).payload("in"));
        }
        story.step(bed);
        CHECK(bed.session_count() == 2);
        CHECK(bed.totals().dropped == dataplane::CounterTotals{}.dropped);
    });
}

// What the index said of the second burst's packets, when both were opened, is no longer true when it runs.
TEST_CASE("bursts opened together see what the one before has made and ended", "[packet][burst]") {
    BedOptions options;
    options.nat = nat_settings();
    TestBed bed(options);
    bed.push_internal(udp_out(bed, host(5), 1000, kServer, 53));
    bed.run();
    bed.take();
    REQUIRE(bed.session_count() == 1);
    const Tick later = bed.now() + 3600 * 1000;  // its time is over, no timer has looked
    const auto packets = [&](std::string_view payload) {
        return std::array{
            bed.store().make(
                udp_out(bed, host(5), 1000, kServer, 53).payload(payload).bytes(), kInternalLink
            ),
            bed.store().make(
                udp_out(bed, host(5), 1001, kServer, 53).payload(payload).bytes(), kInternalLink
            ),
        };
    };
    const auto first = packets("first");
    const auto second = packets("second");
    const std::array bursts{
        dataplane::Shard::Fresh{.packets = first}, dataplane::Shard::Fresh{.packets = second}};
    bed.shard(0).receive(bursts, later);
    bed.run();
    CHECK(bed.session_count() == 2);
    const auto sent = bed.take();
    REQUIRE(sent.size() == 4);
    for (const unsigned n : {0u, 1u}) {
        CHECK(decode(sent[n].bytes).source == decode(sent[n + 2].bytes).source);
        CHECK(decode(sent[n].bytes).source_port == decode(sent[n + 2].bytes).source_port);
    }
}

TEST_CASE(
    "32 flows of a burst at a nearly full session table: those that find room pass",
    "[packet][burst][rfc6888-req11d]"
) {
    BedOptions options;
    options.sessions = 20;
    run_everywhere(options, [](TestBed& bed, Story& story) {
        for (unsigned i = 0; i < 32; ++i) {
            bed.push_internal(udp_out(bed, host(5), static_cast<uint16_t>(1000 + i), kServer, 53));
        }
        story.step(bed);
        CHECK(bed.session_count() == 20);
        CHECK(bed.dropped(DropReason::kSessionTableFull) == 12);
    });
}

TEST_CASE("each mapping behaviour is the same on every number of shards", "[packet][mapping]") {
    const auto behaviour = GENERATE(
        nat::MappingBehaviour::kAddressDependent, nat::MappingBehaviour::kAddressAndPortDependent
    );
    BedOptions options;
    options.nat = nat_settings();
    options.nat.policies[0].mapping = behaviour;
    run_everywhere(options, [&](TestBed& bed, Story& story) {
        for (unsigned n = 5; n < 12; ++n) {
            for (const char* server : {kServer, kOther}) {
                for (const uint16_t remote : {uint16_t{53}, uint16_t{54}}) {
                    bed.push_internal(udp_out(bed, host(n), 1000, server, remote));
                    bed.push_internal(tcp_out(bed, host(n), 1000, server, remote, kSyn));
                }
            }
            story.step(bed);
        }
        const size_t each = behaviour == nat::MappingBehaviour::kAddressDependent ? 2 : 4;
        CHECK(bed.mapping_count() == 7 * 2 * each);
        CHECK(bed.session_count() == 7 * 2 * 4);
    });
}

TEST_CASE("the filtering behaviour decides who may answer", "[packet][rfc4787-req8]") {
    const auto filtering = GENERATE(
        FilteringBehaviour::kEndpointIndependent,
        FilteringBehaviour::kAddressDependent,
        FilteringBehaviour::kAddressAndPortDependent
    );
    run_everywhere(with(filtering), [filtering](TestBed& bed, Story& story) {
        bed.push_internal(udp_out(bed, host(5), 1000, kServer, 53));
        story.step(bed);
        bed.push_external(udp_in(bed, kServer, 53, host(5), 1000).payload("same endpoint"));
        bed.push_external(udp_in(bed, kServer, 54, host(5), 1000).payload("same address"));
        bed.push_external(udp_in(bed, kOther, 53, host(5), 1000).payload("another"));
        story.step(bed);
        const uint64_t refused[] = {0, 1, 2};
        CHECK(bed.dropped(DropReason::kFiltered) == refused[static_cast<size_t>(filtering)]);
    });
}

TEST_CASE(
    "unsolicited packets to a pool address are dropped, never routed out", "[packet][pitfall-21]"
) {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        bed.push_external(bed.from_external().ipv4(kServer, "203.0.113.3").udp(53, 2000));
        bed.push_external(bed.from_external().ipv4(kServer, "203.0.113.3").tcp(53, 2000, kSyn));
        bed.push_external(bed.from_external().ipv4(kServer, "203.0.113.3").udp(53, 80));
        bed.push_internal(udp_out(bed, host(5), 1000, "203.0.113.4", 3000));
        story.step(bed);
        CHECK(bed.dropped(DropReason::kNoMapping) == 4);
        bed.push_external(bed.from_external().ipv4(kServer, "192.0.2.77").udp(53, 80));
        story.step(bed);
        CHECK(bed.dropped(DropReason::kNotForwarded) == 1);
    });
}

TEST_CASE("sessions and mappings end when their time has passed", "[packet]") {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        bed.push_internal(udp_out(bed, host(5), 1000, kServer, 53));
        bed.push_internal(bed.from_internal().ipv4(host(6), ip(kServer)).echo_request(9));
        story.step(bed);
        for (const uint32_t ms : {50'000U, 20'000U, 200'000U, 20'000U, 20'000U}) {
            bed.advance(ms);
            story.step(bed);
        }
        CHECK(bed.session_count() == 0);
        CHECK(bed.mappings().empty());
    });
}

TEST_CASE("a subscriber at its session limit gets no more sessions", "[packet][rfc6888-req5a]") {
    BedOptions options;
    options.nat = nat_settings();
    options.nat.policies[0].limits.sessions = 4;
    run_everywhere(options, [](TestBed& bed, Story& story) {
        for (uint16_t i = 0; i < 7; ++i) {
            bed.push_internal(udp_out(bed, host(5), static_cast<uint16_t>(1000 + i), kServer, 53));
            bed.push_internal(udp_out(bed, host(6), 1000, kServer, static_cast<uint16_t>(53 + i)));
        }
        story.step(bed);
        CHECK(bed.dropped(DropReason::kSubscriberSessionLimit) == 6);
    });
}

TEST_CASE(
    "when the pool is exhausted the same number of packets is refused",
    "[packet][rfc6888-req11a][pitfall-6]"
) {
    BedOptions options;
    options.nat = nat_settings("203.0.113.9", "203.0.113.9");
    options.nat.pools[0].ports = {1024, 1279};
    options.nat.pools[0].port_block_size = 64;
    options.nat.pools[0].blocks_per_subscriber = 1;
    run_everywhere(options, [](TestBed& bed, Story& story) {
        for (unsigned n = 0; n < 7; ++n) {
            for (uint16_t i = 0; i < 10; ++i) {
                bed.push_internal(
                    udp_out(bed, host(20 + n), static_cast<uint16_t>(1000 + i), kServer, 53)
                );
            }
            bed.run();
        }
        story.step(bed);
        CHECK(bed.mappings().size() == 40);
        CHECK(bed.dropped(DropReason::kPoolExhausted) == 30);
    });
}

TEST_CASE("a hard-paired address is used up to its last block", "[packet][rfc4787-req2]") {
    BedOptions options;
    options.nat = nat_settings("203.0.113.9", "203.0.113.9");
    options.nat.pools[0].ports = {1024, 1535};
    options.nat.pools[0].port_block_size = 64;
    options.nat.pools[0].blocks_per_subscriber = 8;
    run_everywhere(options, [](TestBed& bed, Story& story) {
        for (uint16_t i = 0; i < 600; ++i) {
            bed.push_internal(udp_out(bed, host(20), static_cast<uint16_t>(1000 + i), kServer, 53));
            if (i % 16 == 15) {
                bed.run();
            }
        }
        story.step(bed);
        CHECK(bed.mappings().size() == 512);
        CHECK(bed.totals().forwarded >= 512);
    });
}

TEST_CASE(
    "blocks that have emptied and rested serve another subscriber", "[packet][rfc6888-req8]"
) {
    BedOptions options;
    options.nat = nat_settings("203.0.113.9", "203.0.113.9");
    options.nat.pools[0].ports = {1024, 1279};
    options.nat.pools[0].port_block_size = 64;
    run_everywhere(options, [](TestBed& bed, Story& story) {
        const auto all_try = [&](unsigned first) {
            for (unsigned n = first; n < first + 4; ++n) {
                bed.push_internal(udp_out(bed, host(n), 1000, kServer, 53));
                bed.run();
            }
            story.step(bed);
        };
        all_try(20);
        CHECK(bed.mappings().size() == 4);
        all_try(30);
        CHECK(bed.dropped(DropReason::kPoolExhausted) == 4);
        bed.advance(310'000);
        all_try(40);
        CHECK(bed.dropped(DropReason::kPoolExhausted) == 8);
        bed.advance(400'000);
        all_try(50);
        CHECK(bed.mappings().size() == 4);
        CHECK(bed.dropped(DropReason::kPoolExhausted) == 8);
    });
}

TEST_CASE(
    "a subscriber's random mix of thousands of packets tells the same story everywhere",
    "[packet][random]"
) {
    run_everywhere(with(FilteringBehaviour::kAddressDependent), [](TestBed& bed, Story& story) {
        uint32_t state = 12345;
        const auto draw = [&](uint32_t below) {
            state = state * 1664525 + 1013904223;
            return (state >> 8) % below;
        };
        for (unsigned round = 0; round < 150; ++round) {
            for (unsigned i = 0; i < 20; ++i) {
                const Ipv4Addr from = host(5 + draw(3));
                const auto port = static_cast<uint16_t>(1000 + draw(30));
                const auto to = std::string("192.0.2.") + std::to_string(1 + draw(4));
                const bool known = bed.external_of(Protocol::kUdp, from, port).has_value();
                switch (draw(5)) {
                    case 0:
                        bed.push_internal(
                            tcp_out(bed, from, port, to, 80, draw(2) == 0 ? kSyn : kAck)
                        );
                        break;
                    case 1:
                        bed.push_internal(bed.from_internal().ipv4(from, ip(to)).echo_request(port)
                        );
                        break;
                    case 2:
                        if (known) {
                            bed.push_external(
                                udp_in(bed, to, 53, from, port).payload(std::to_string(round))
                            );
                        }
                        break;
                    default:
                        bed.push_internal(
                            udp_out(bed, from, port, to, 53).payload(std::to_string(round))
                        );
                        break;
                }
            }
            story.step(bed);
            if (round % 10 == 9) {
                bed.advance(1000 * draw(90));
            }
        }
    });
}

}  // namespace sekisho::test
