// ICMP errors through the NAT, errors that the appliance owes, hairpins, and packets that are refused.
#include <cstring>

#include <catch2/catch.hpp>

#include "scenario.h"

namespace sekisho::test {
namespace {

using packet::kAck;
using packet::kSyn;

constexpr auto kServer = "192.0.2.1";
constexpr auto kRouter = "192.0.2.200";

// A packet as the far end sees it: from the external endpoint of an internal one.
PacketBuilder translated(
    const TestBed& bed, Protocol protocol, Ipv4Addr internal, uint16_t port, std::string_view to
) {
    const Endpoint from = external_of(bed, protocol, internal, port);
    PacketBuilder builder =
        bed.from_external().ipv4(from.address, ip(to)).ttl(1).payload("quoted payload");
    return protocol == Protocol::kUdp ? builder.udp(from.port, 53)
                                      : builder.tcp(from.port, 53, kSyn);
}

// Sends three flows of a subscriber that may have two sessions; returns what the third is told.
std::vector<Decoded> told_at_the_limit(TestBed& bed, Story& story) {
    for (uint16_t n = 0; n < 2; ++n) {
        bed.push_internal(udp_out(bed, host(5), static_cast<uint16_t>(1000 + n), kServer, 53));
    }
    story.step(bed);
    bed.push_internal(udp_out(bed, host(5), 1002, kServer, 53).payload("refused"));
    bed.run();
    CHECK(bed.dropped(DropReason::kSubscriberSessionLimit) == 1);
    std::vector<Decoded> told;
    for (const auto& sent : bed.take()) {
        told.push_back(decode(sent.bytes));
    }
    return told;
}

}  // namespace

TEST_CASE(
    "an ICMP error from outside reaches the subscriber with its own packet quoted",
    "[packet][rfc4787-req12]"
) {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        bed.push_internal(udp_out(bed, host(5), 1000, kServer, 53));
        bed.push_internal(tcp_out(bed, host(5), 1001, kServer, 53, kSyn));
        story.step(bed);
        for (const auto protocol : {Protocol::kUdp, Protocol::kTcp}) {
            const uint16_t port = protocol == Protocol::kUdp ? 1000 : 1001;
            const Endpoint to = external_of(bed, protocol, host(5), port);
            bed.push_external(
                bed.from_external()
                    .ipv4(ip(kRouter), to.address)
                    .icmp_error(11, 0, translated(bed, protocol, host(5), port, kServer).l3())
            );
            // The session is another one, or none: the mapping is enough.
            bed.push_external(
                bed.from_external()
                    .ipv4(ip(kRouter), to.address)
                    .icmp_error(
                        3, 4, translated(bed, protocol, host(5), port, "192.0.2.99").l3(), 1400
                    )
            );
            story.step(bed);
        }
        CHECK(
            bed.totals().forwarded ==
            bed.totals().received + bed.totals().generated - bed.totals().consumed
        );
        bed.push_external(
            bed.from_external()
                .ipv4(kRouter, "203.0.113.2")
                .icmp_error(
                    3,
                    3,
                    frame().ipv4("203.0.113.2", kServer).udp(5000, 53).payload("12345678").l3()
                )
        );
        story.step(bed);
        CHECK(bed.dropped(DropReason::kIcmpNoSession) + bed.dropped(DropReason::kNoMapping) == 1);
    });
}

TEST_CASE(
    "an ICMP error finds the mapping that a packet before it in the same burst has made",
    "[packet][rfc5508-req4]"
) {
    BedOptions options;
    options.nat = nat_settings();
    options.nat.pools[0].port_selection = nat::PortSelection::kSequential;
    TestBed bed(options);
    bed.push_internal(udp_out(bed, host(5), 1000, kServer, 53));
    bed.run();
    bed.take();
    const Endpoint before = external_of(bed, Protocol::kUdp, host(5), 1000);
    const auto next = static_cast<uint16_t>(before.port + 1);
    const auto quote =
        frame().ipv4(before.address, ip(kServer)).udp(next, 53).payload("12345678").l3();
    PacketRef burst[] = {
        bed.store().make(udp_out(bed, host(5), 1001, kServer, 53).bytes(), kInternalLink),
        bed.store().make(
            bed.from_external().ipv4(ip(kRouter), before.address).icmp_error(11, 0, quote).bytes(),
            kExternalLink
        ),
    };
    bed.shard(0).receive(burst, false, bed.now());
    bed.run();
    REQUIRE(external_of(bed, Protocol::kUdp, host(5), 1001) == Endpoint{before.address, next});
    CHECK(bed.dropped(DropReason::kIcmpNoSession) == 0);
    const auto sent = bed.take();
    REQUIRE(sent.size() == 2);
    const Decoded error = decode(sent[sent[0].device == kInternalLink ? 0 : 1].bytes);
    CHECK(error.destination == host(5));
    REQUIRE(error.quote.size() == 1);
    CHECK(error.quote[0].source == host(5));
    CHECK(error.quote[0].source_port == 1001);
}

TEST_CASE(
    "an ICMP error from a subscriber leaves with the translated packet quoted",
    "[packet][rfc5508-req5]"
) {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        bed.push_internal(udp_out(bed, host(5), 1000, kServer, 53));
        story.step(bed);
        const auto quote =
            frame().ipv4(ip(kServer), host(5)).udp(53, 1000).payload("12345678").l3();
        bed.push_internal(bed.from_internal().ipv4(host(5), ip(kServer)).icmp_error(3, 3, quote));
        // From a router behind the NAT, which has no mapping of its own.
        bed.push_internal(bed.from_internal().ipv4("10.9.9.9", kServer).icmp_error(11, 0, quote));
        story.step(bed);
        CHECK(bed.session_count() == 1);
        const auto strange =
            frame().ipv4(ip(kServer), host(6)).udp(53, 1000).payload("12345678").l3();
        bed.push_internal(bed.from_internal().ipv4(host(6), ip(kServer)).icmp_error(3, 3, strange));
        story.step(bed);
        CHECK(bed.dropped(DropReason::kIcmpNoSession) == 1);
    });
}

TEST_CASE("a subscriber who may open nothing more is told so", "[packet][rfc6888-req11b]") {
    BedOptions options;
    options.nat = nat_settings();
    options.nat.policies[0].limits.sessions = 2;
    run_everywhere(options, [](TestBed& bed, Story& story) {
        const auto told = told_at_the_limit(bed, story);
        REQUIRE(told.size() == 1);
        CHECK(told[0].destination == host(5));
        CHECK(told[0].icmp_type == 3);
        CHECK(told[0].icmp_code == 1);
        REQUIRE(told[0].quote.size() == 1);
        CHECK(told[0].quote[0].source_port == 1002);
    });
}

TEST_CASE("a refusal can be told as prohibited", "[packet][rfc5508-req8]") {
    BedOptions options;
    options.nat = nat_settings();
    options.nat.policies[0].limits.sessions = 2;
    options.nat.policies[0].refusal = nat::Refusal::kProhibited;
    run_everywhere(options, [](TestBed& bed, Story& story) {
        const auto told = told_at_the_limit(bed, story);
        REQUIRE(told.size() == 1);
        CHECK(told[0].icmp_type == 3);
        CHECK(told[0].icmp_code == 13);
    });
}

TEST_CASE("a refusal can be silent", "[packet][rfc5508-req9]") {
    BedOptions options;
    options.nat = nat_settings();
    options.nat.policies[0].limits.sessions = 2;
    options.nat.policies[0].refusal = nat::Refusal::kSilent;
    run_everywhere(options, [](TestBed& bed, Story& story) {
        CHECK(told_at_the_limit(bed, story).empty());
    });
}

TEST_CASE(
    "a flood of refused packets is answered at the rate for one source, and others are answered",
    "[packet][flood][rfc1812]"
) {
    BedOptions options;
    options.nat = nat_settings();
    options.nat.policies[0].limits.sessions = 2;
    options.slow_path.errors_per_source_per_second = 5;
    TestBed bed(options);
    for (const unsigned n : {5U, 6U}) {
        for (uint16_t p = 0; p < 2; ++p) {
            bed.push_internal(udp_out(bed, host(n), static_cast<uint16_t>(1000 + p), kServer, 53));
        }
    }
    bed.run();
    REQUIRE(bed.take().size() == 4);
    const auto told = [&](unsigned n, uint16_t packets) {
        for (uint16_t p = 0; p < packets; ++p) {
            bed.push_internal(udp_out(bed, host(n), static_cast<uint16_t>(2000 + p), kServer, 53));
            if (p % 32 == 0) {
                bed.run();
            }
        }
        bed.run();
        size_t answers = 0;
        for (const auto& sent : bed.take()) {
            const Decoded seen = decode(sent.bytes);
            CHECK(seen.destination == host(n));
            CHECK(seen.icmp_type == 3);
            ++answers;
        }
        return answers;
    };
    CHECK(told(5, 500) == 5);
    CHECK(told(6, 1) == 1);
    CHECK(told(5, 500) == 0);
    bed.advance(1000);
    CHECK(told(5, 500) == 5);
    CHECK(bed.dropped(DropReason::kSubscriberSessionLimit) == 1501);
    CHECK(bed.session_count() == 4);
}

TEST_CASE("an echo reply that answers nothing opens nothing", "[packet][rfc5508-req1]") {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        for (const uint16_t id : {uint16_t{0}, uint16_t{7}}) {
            bed.push_internal(bed.from_internal().ipv4(host(5), ip(kServer)).echo_reply(id));
            story.step(bed);
        }
        CHECK(bed.dropped(DropReason::kIcmpNoSession) == 2);
        CHECK(bed.mappings().empty());
        bed.push_internal(bed.from_internal().ipv4(host(5), ip(kServer)).echo_request(0));
        story.step(bed);
        CHECK(bed.mappings().size() == 1);
    });
}

TEST_CASE("an ICMP error in our own name is forged", "[packet][rfc5508-req4]") {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        bed.push_internal(udp_out(bed, host(5), 1000, kServer, 53));
        story.step(bed);
        const Endpoint to = external_of(bed, Protocol::kUdp, host(5), 1000);
        const auto sent = translated(bed, Protocol::kUdp, host(5), 1000, kServer).l3();
        const auto arrived =
            frame().ipv4(ip(kServer), host(5)).udp(53, 1000).payload("12345678").l3();
        for (const char* from : {"198.51.100.2", "100.64.0.1", "203.0.113.3"}) {
            bed.push_external(bed.from_external().ipv4(ip(from), to.address).icmp_error(3, 1, sent)
            );
            bed.push_internal(bed.from_internal().ipv4(from, kServer).icmp_error(3, 3, arrived));
        }
        story.step(bed);
        CHECK(bed.dropped(DropReason::kSpoofedSource) == 6);
    });
}

TEST_CASE(
    "two subscribers reach each other by their external endpoints, one TTL less",
    "[packet][rfc4787-req9]"
) {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        for (unsigned n = 0; n < 4; ++n) {
            const Ipv4Addr a = host(5 + n);
            const Ipv4Addr b = host(50 + n);
            bed.push_internal(udp_out(bed, a, 1000, kServer, 53));
            bed.push_internal(tcp_out(bed, a, 1000, kServer, 53, kSyn));
            story.step(bed);
            const Endpoint udp = external_of(bed, Protocol::kUdp, a, 1000);
            const Endpoint tcp = external_of(bed, Protocol::kTcp, a, 1000);
            bed.push_internal(bed.from_internal()
                                  .ipv4(b, udp.address)
                                  .ttl(64)
                                  .udp(2000, udp.port)
                                  .payload("hello"));
            bed.push_internal(bed.from_internal().ipv4(b, tcp.address).tcp(2000, tcp.port, kSyn));
            bed.run();
            if (n == 0) {
                const auto sent = bed.take();
                REQUIRE(sent.size() == 2);
                const Endpoint shown = external_of(bed, Protocol::kUdp, b, 2000);
                bool seen = false;
                for (const auto& s : sent) {
                    const Decoded d = decode(s.bytes);
                    CHECK(s.device == kInternalLink);
                    CHECK(d.ttl == 63);
                    CHECK(d.destination == a);
                    seen |= d.protocol == 17 && Endpoint{d.source, d.source_port} == shown;
                }
                CHECK(seen);
            }
            story.step(bed);
            const Endpoint back = external_of(bed, Protocol::kUdp, b, 2000);
            bed.push_internal(
                bed.from_internal().ipv4(a, back.address).udp(1000, back.port).payload("answer")
            );
            story.step(bed);
            // B's port is closed: the error finds A's packet through both halves.
            const auto quote =
                frame().ipv4(udp.address, b).udp(udp.port, 2000).payload("12345678").l3();
            bed.push_internal(bed.from_internal().ipv4(b, udp.address).icmp_error(3, 3, quote));
            story.step(bed);
        }
        CHECK(bed.totals().dropped == dataplane::CounterTotals{}.dropped);
    });
}

TEST_CASE("a hairpin's TTL runs out once, and its error comes back", "[packet][rfc4787-req9]") {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        bed.push_internal(udp_out(bed, host(5), 1000, kServer, 53));
        story.step(bed);
        const Endpoint to = external_of(bed, Protocol::kUdp, host(5), 1000);
        bed.push_internal(bed.from_internal()
                              .ipv4(host(6), to.address)
                              .ttl(2)
                              .udp(2000, to.port)
                              .payload("passes"));
        story.step(bed);
        bed.push_internal(
            bed.from_internal().ipv4(host(6), to.address).ttl(1).udp(2000, to.port).payload("ends")
        );
        story.step(bed);
        CHECK(bed.dropped(DropReason::kTtlExceeded) == 1);
    });
}

TEST_CASE(
    "a packet whose TTL runs out here is answered and makes no session", "[packet][rfc1812]"
) {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        bed.push_internal(udp_out(bed, host(5), 1000, kServer, 53).ttl(1).payload("trace"));
        bed.run();
        const Decoded error = bed.take_one(kInternalLink);
        CHECK(error.source == ip("100.64.0.1"));
        CHECK(error.destination == host(5));
        CHECK(error.icmp_type == 11);
        REQUIRE(error.quote.size() == 1);
        CHECK(error.quote[0].source == host(5));
        CHECK(error.quote[0].destination == ip(kServer));
        CHECK(bed.session_count() == 0);
        bed.push_external(bed.from_external().ipv4(kServer, "203.0.113.1").ttl(1).udp(53, 5000));
        bed.push_internal(
            bed.from_internal()
                .ipv4(host(5), ip(kServer))
                .ttl(1)
                .icmp_error(
                    3, 3, frame().ipv4(ip(kServer), host(5)).udp(53, 1000).payload("12345678").l3()
                )
        );
        story.step(bed);
        CHECK(bed.dropped(DropReason::kTtlExceeded) == 3);
    });
}

TEST_CASE(
    "a packet too big for the next link is answered with its MTU", "[packet][rfc4787-req13]"
) {
    BedOptions options;
    options.external_mtu = 1400;
    run_everywhere(options, [](TestBed& bed, Story& story) {
        bed.push_internal(udp_out(bed, host(5), 1000, kServer, 53).payload_size(1372)
        );  // 1400 just fits
        story.step(bed);
        CHECK(bed.dropped(DropReason::kTooBig) == 0);
        bed.push_internal(
            udp_out(bed, host(5), 1000, kServer, 53).dont_fragment().payload_size(1373)
        );
        bed.run();
        const Decoded error = bed.take_one(kInternalLink);
        CHECK(error.icmp_type == 3);
        CHECK(error.icmp_code == 4);
        CHECK(error.icmp_sequence == 1400);
        REQUIRE(error.quote.size() == 1);
        CHECK(error.quote[0].source == host(5));
        story.step(bed);
        CHECK(bed.dropped(DropReason::kTooBig) == 1);
    });
}

TEST_CASE("a packet that dies here of its TTL or size changes no session", "[packet][rfc1812]") {
    BedOptions options;
    options.external_mtu = 1400;
    TestBed bed(options);
    bed.push_internal(tcp_out(bed, host(5), 1000, kServer, 80, packet::kSyn));
    bed.run();
    bed.advance(1000);
    const auto before = bed.sessions();
    REQUIRE(before.size() == 1);
    REQUIRE(before[0].idle_ms >= 1000);

    bed.push_internal(tcp_out(bed, host(5), 1000, kServer, 80, packet::kRst | packet::kAck).ttl(1));
    bed.push_external(tcp_in(bed, kServer, 80, host(5), 1000, packet::kSyn | packet::kAck).ttl(1));
    bed.push_internal(
        tcp_out(bed, host(5), 1000, kServer, 80, packet::kAck).dont_fragment().payload_size(1361)
    );
    bed.run();
    CHECK(bed.dropped(DropReason::kTtlExceeded) == 2);
    CHECK(bed.dropped(DropReason::kTooBig) == 1);
    const auto after = bed.sessions();
    REQUIRE(after.size() == 1);
    CHECK(std::memcmp(&before[0].session, &after[0].session, sizeof after[0].session) == 0);
    CHECK(after[0].idle_ms == before[0].idle_ms);
}

TEST_CASE("the appliance answers echo requests to its own addresses", "[packet][rfc1122]") {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        bed.push_internal(bed.from_internal()
                              .ipv4(host(5), ip("100.64.0.1"))
                              .ttl(1)
                              .echo_request(7)
                              .payload("own"));
        bed.push_external(
            bed.from_external().ipv4(kServer, "198.51.100.2").echo_request(8).payload("own")
        );
        story.step(bed);
        CHECK(bed.totals().consumed >= 2);
        bed.push_internal(bed.from_internal().ipv4(host(5), ip("100.64.0.1")).udp(1000, 22));
        story.step(bed);
        CHECK(bed.session_count() == 0);
    });
}

TEST_CASE(
    "forged sources, wrong sides and missing routes are refused by name", "[packet][rfc2827]"
) {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        bed.push_internal(bed.from_internal().ipv4("203.0.113.1", kServer).udp(1, 2));
        bed.push_internal(bed.from_internal().ipv4("198.51.100.2", kServer).udp(1, 2));
        bed.push_external(bed.from_external().ipv4("203.0.113.1", "203.0.113.2").udp(1, 2));
        story.step(bed);
        CHECK(bed.dropped(DropReason::kSpoofedSource) == 3);
        bed.push_internal(udp_out(bed, host(5), 1000, "10.1.2.3", 53));
        bed.push_internal(udp_out(bed, host(5), 1000, "100.64.9.9", 53));
        story.step(bed);
        CHECK(bed.dropped(DropReason::kWrongSide) == 2);
        bed.push_internal(bed.from_internal().ipv4("172.16.0.1", kServer).udp(1, 2));
        story.step(bed);
        CHECK(bed.dropped(DropReason::kNoPolicy) == 1);
    });
}

TEST_CASE("a stranger cannot use the session of a hairpin", "[packet][rfc2827]") {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        bed.push_internal(udp_out(bed, host(5), 1000, kServer, 53));
        story.step(bed);
        const Endpoint a = external_of(bed, Protocol::kUdp, host(5), 1000);
        bed.push_internal(bed.from_internal().ipv4(host(6), a.address).udp(2000, a.port));
        story.step(bed);
        const Endpoint b = external_of(bed, Protocol::kUdp, host(6), 2000);
        bed.push_external(
            bed.from_external().ipv4(a.address, b.address).udp(a.port, b.port).payload("forged")
        );
        story.step(bed);
        CHECK(bed.dropped(DropReason::kSpoofedSource) == 1);
    });
}

TEST_CASE("malformed packets are dropped, each by its name", "[packet][malformed]") {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        const auto good = [&] { return udp_out(bed, host(5), 1000, kServer, 53).payload("x"); };
        bed.push_internal(good().ip_checksum(0x1234));
        bed.push_internal(good().version(6));
        bed.push_internal(good().header_words(4));
        bed.push_internal(good().total_length(4000));
        bed.push_internal(good().udp_length(3));
        bed.push_internal(good().fragment(10, true));
        bed.push_internal(good().protocol(8));
        bed.push_internal(good().mac(kHostMac, kRouterMac));
        bed.push_internal(good().mac(kHostMac, packet::kBroadcastMac));
        bed.push_internal(bed.from_internal().ipv4("127.0.0.1", kServer).udp(1, 2));
        bed.push_internal(bed.from_internal().ipv4(host(5), ip("224.0.0.1")).udp(1, 2));
        bed.push_internal(good().ttl(0));
        bed.push(kInternalLink, ByteVector(9, 0));
        bed.push(kExternalLink, ByteVector(40, 0));
        story.step(bed);
        uint64_t dropped = 0;
        for (const uint64_t count : bed.totals().dropped) {
            dropped += count;
        }
        CHECK(dropped == 14);
        CHECK(bed.dropped(DropReason::kForeignMac) == 2);
        CHECK(bed.session_count() == 0);
    });
}

}  // namespace sekisho::test
