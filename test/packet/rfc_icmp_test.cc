// RFC 5508, line by line: ICMP queries and errors, from bytes to bytes. What other files show is not repeated here.
#include <algorithm>
#include <set>

#include <catch2/catch.hpp>

#include "scenario.h"

namespace sekisho::test {
namespace {

using packet::kAck;
using packet::kSyn;

constexpr auto kServer = "192.0.2.1";
constexpr auto kRouter = "192.0.2.200";
constexpr uint32_t kSecond = 1000;
constexpr size_t kQuoteAt = 14 + 20 + 8;  // in an untagged frame of an error without IP options

PacketBuilder echo_out(const TestBed& bed, Ipv4Addr from, uint16_t id, std::string_view to) {
    return bed.from_internal().ipv4(from, ip(to)).echo_request(id);
}

// The identifier and address that a query has outside.
Endpoint ping_and_see(TestBed& bed, Ipv4Addr from, uint16_t id, std::string_view to) {
    bed.push_internal(echo_out(bed, from, id, to));
    bed.run();
    const Decoded sent = bed.take_one(kExternalLink);
    return {sent.source, sent.icmp_id};
}

Endpoint udp_and_see(TestBed& bed, Ipv4Addr from, uint16_t port) {
    bed.push_internal(udp_out(bed, from, port, kServer, 53));
    bed.run();
    const Decoded sent = bed.take_one(kExternalLink);
    return {sent.source, sent.source_port};
}

// The subscriber's packet as the far end has it, and as the subscriber sent it.
PacketBuilder sent_from(const Endpoint& source) {
    return frame().ipv4(source.address, ip(kServer)).udp(source.port, 53).payload("12345678");
}

PacketBuilder error_in(
    const TestBed& bed, const Endpoint& to, uint8_t type, uint8_t code, const ByteVector& quote
) {
    return bed.from_external().ipv4(ip(kRouter), to.address).icmp_error(type, code, quote);
}

ByteVector quote_of(const ByteVector& error_frame) {
    return {error_frame.begin() + kQuoteAt, error_frame.end()};
}

// The frame that leaves when this one comes from outside; empty if none does.
ByteVector pass_in(TestBed& bed, const PacketBuilder& packet) {
    bed.take();
    bed.push_external(packet);
    bed.run();
    const auto sent = bed.take();
    CHECK(sent.size() <= 1);
    return sent.empty() ? ByteVector{} : sent[0].bytes;
}

}  // namespace

TEST_CASE("a ping goes out and its reply comes back, byte for byte", "[packet][rfc5508-req1]") {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        for (unsigned n = 5; n < 15; ++n) {
            const Endpoint shown = ping_and_see(bed, host(n), 77, kServer);
            const ByteVector reply = pass_in(
                bed,
                bed.from_external()
                    .ipv4(ip(kServer), shown.address)
                    .echo_reply(shown.port)
                    .payload("x")
            );
            REQUIRE(!reply.empty());
            const Decoded arrived = decode(reply);
            CHECK(arrived.destination == host(n));
            CHECK(arrived.icmp_id == 77);
        }
        story.step(bed);
    });
}

TEST_CASE(
    "one identifier of a subscriber is the same towards every host", "[packet][rfc5508-req1a]"
) {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        const Endpoint first = ping_and_see(bed, host(5), 77, kServer);
        for (unsigned n = 2; n < 20; ++n) {
            CHECK(ping_and_see(bed, host(5), 77, "192.0.2." + std::to_string(n)) == first);
        }
        story.step(bed);
    });
}

TEST_CASE("the reply to a query may take 60 seconds", "[packet][rfc5508-req2]") {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        const Endpoint shown = ping_and_see(bed, host(5), 77, kServer);
        bed.advance(59 * kSecond);
        CHECK(!pass_in(
                   bed, bed.from_external().ipv4(ip(kServer), shown.address).echo_reply(shown.port)
        )
                   .empty());
        story.step(bed);
    });
}

TEST_CASE("the timer of queries is what is set", "[packet][rfc5508-req2a]") {
    BedOptions options;
    options.nat = nat_settings();
    options.nat.timeouts.icmp = Seconds{150};
    run_everywhere(options, [](TestBed& bed, Story& story) {
        ping_and_see(bed, host(5), 77, kServer);
        bed.advance(148 * kSecond);
        CHECK(bed.mapping_count() == 1);
        bed.advance(4 * kSecond);
        CHECK(bed.mapping_count() == 0);
        story.step(bed);
    });
}

TEST_CASE("an error with a wrong checksum goes nowhere", "[packet][rfc5508-req3]") {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        const Endpoint shown = udp_and_see(bed, host(5), 1000);
        const auto bad = error_in(bed, shown, 3, 1, sent_from(shown).l3()).l4_checksum(0x1234);
        CHECK(pass_in(bed, bad).empty());
        CHECK(bed.dropped(DropReason::kBadIcmpChecksum) == 1);
        story.step(bed);
    });
}

TEST_CASE(
    "an error that quotes a wrong IP checksum goes nowhere, from either side",
    "[packet][rfc5508-req3a]"
) {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        const Endpoint shown = udp_and_see(bed, host(5), 1000);
        CHECK(pass_in(bed, error_in(bed, shown, 3, 1, sent_from(shown).ip_checksum(0x1234).l3()))
                  .empty());
        const auto quote = frame()
                               .ipv4(ip(kServer), host(5))
                               .udp(53, 1000)
                               .payload("12345678")
                               .ip_checksum(0x1234);
        bed.push_internal(
            bed.from_internal().ipv4(host(5), ip(kServer)).icmp_error(3, 3, quote.l3())
        );
        bed.run();
        CHECK(bed.take().empty());
        CHECK(bed.dropped(DropReason::kBadIcmpQuote) == 2);
        story.step(bed);
    });
}

TEST_CASE("options of the quoted packet are stepped over", "[packet][rfc5508-req3b]") {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        const Endpoint shown = udp_and_see(bed, host(5), 1000);
        for (const size_t words : {1U, 3U, 10U}) {
            ByteVector options(4 * words, 1);  // no-operations
            const auto quote = sent_from(shown).ip_options(options).l3();
            const ByteVector error = pass_in(bed, error_in(bed, shown, 11, 0, quote));
            REQUIRE(!error.empty());
            CHECK(quote_of(error) == sent_from({host(5), 1000}).ip_options(options).l3());
        }
        story.step(bed);
    });
}

TEST_CASE(
    "a wrong transport checksum in the quote does not hold up the error", "[packet][rfc5508-req3c]"
) {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        const Endpoint shown = udp_and_see(bed, host(5), 1000);
        const auto quote = sent_from(shown).l4_checksum(0x1234).l3();
        const ByteVector error = pass_in(bed, error_in(bed, shown, 3, 3, quote));
        REQUIRE(!error.empty());
        CHECK(decode(error).destination == host(5));
        story.step(bed);
    });
}

TEST_CASE(
    "extensions behind the quote arrive as they were, and the quote before them is translated",
    "[packet][rfc5508-req3d]"
) {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        const Endpoint shown = udp_and_see(bed, host(5), 1000);
        // RFC 4884: the quote is padded to 128 bytes (32 words), then follow the version, a checksum, an object.
        const ByteVector extension = {0x20, 0, 0xdf, 0x35, 0, 8, 1, 1, 0x12, 0x34, 0x51, 0x40};
        const auto padded = [&](ByteVector quote) {
            quote.resize(128);
            quote.insert(quote.end(), extension.begin(), extension.end());
            return quote;
        };
        const auto packet =
            bed.from_external()
                .ipv4(ip(kRouter), shown.address)
                .icmp_error(11, 0, padded(sent_from(shown).l3()), uint32_t{32} << 16);
        const ByteVector error = pass_in(bed, packet);
        REQUIRE(!error.empty());
        CHECK(quote_of(error) == padded(sent_from({host(5), 1000}).l3()));
        CHECK(int{error[14 + 20 + 5]} == 32);  // the length of the quote
        CHECK(checksums_ok(error));
        story.step(bed);
    });
}

TEST_CASE("an error about a packet that nobody sent goes nowhere", "[packet][rfc5508-req4]") {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        Endpoint shown = udp_and_see(bed, host(5), 1000);
        shown.port = static_cast<uint16_t>(shown.port ^ 1);
        CHECK(pass_in(bed, error_in(bed, shown, 3, 1, sent_from(shown).l3())).empty());
        shown.address = ip("203.0.113.6");
        CHECK(pass_in(bed, error_in(bed, shown, 3, 1, sent_from(shown).l3())).empty());
        CHECK(bed.mapping_count() == 1);
        story.step(bed);
    });
}

namespace {

// A packet of each protocol as it was sent from inside or, the same, as it left.
ByteVector packet_of(Protocol protocol, const Endpoint& from) {
    auto builder = frame().ipv4(from.address, ip(kServer)).ttl(1).ip_id(7);
    switch (protocol) {
        case Protocol::kTcp:
            return builder.tcp(from.port, 80, kSyn).sequence(9).l3();
        case Protocol::kUdp:
            return builder.udp(from.port, 53).payload("some payload").l3();
        case Protocol::kIcmp:
            return builder.echo_request(from.port).payload("some payload").l3();
        default:
            return {};
    }
}

Endpoint open(TestBed& bed, Protocol protocol, const Endpoint& from) {
    bed.push_internal(
        protocol == Protocol::kIcmp  ? echo_out(bed, from.address, from.port, kServer)
        : protocol == Protocol::kTcp ? tcp_out(bed, from.address, from.port, kServer, 80, kSyn)
                                     : udp_out(bed, from.address, from.port, kServer, 53)
    );
    bed.run();
    bed.take();
    return external_of(bed, protocol, from.address, from.port);
}

constexpr Protocol kProtocols[] = {Protocol::kTcp, Protocol::kUdp, Protocol::kIcmp};

}  // namespace

TEST_CASE(
    "an error from outside quotes the packet byte for byte as the subscriber sent it",
    "[packet][rfc5508-req4a]"
) {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        for (const Protocol protocol : kProtocols) {
            const Endpoint inside{host(5), 1000};
            const Endpoint shown = open(bed, protocol, inside);
            const ByteVector error =
                pass_in(bed, error_in(bed, shown, 11, 0, packet_of(protocol, shown)));
            REQUIRE(!error.empty());
            CHECK(quote_of(error) == packet_of(protocol, inside));
        }
        story.step(bed);
    });
}

TEST_CASE("an error from outside keeps type, code and next-hop MTU", "[packet][rfc5508-req4b]") {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        const Endpoint shown = udp_and_see(bed, host(5), 1000);
        for (const auto& [type, code] :
             {std::pair{3, 1}, {3, 4}, {3, 13}, {11, 0}, {11, 1}, {12, 0}}) {
            const auto packet = bed.from_external()
                                    .ipv4(ip(kRouter), shown.address)
                                    .icmp_error(
                                        static_cast<uint8_t>(type),
                                        static_cast<uint8_t>(code),
                                        sent_from(shown).l3(),
                                        0x00000514
                                    );
            const ByteVector error = pass_in(bed, packet);
            REQUIRE(!error.empty());
            CHECK(int{decode(error).icmp_type} == type);
            CHECK(int{decode(error).icmp_code} == code);
            CHECK(decode(error).icmp_sequence == 0x514);
        }
        story.step(bed);
    });
}

TEST_CASE("an error from outside goes to who sent the quoted packet", "[packet][rfc5508-req4c]") {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        for (const Protocol protocol : kProtocols) {
            for (unsigned n = 5; n < 9; ++n) {
                const Endpoint shown = open(bed, protocol, {host(n), 1000});
                const ByteVector error =
                    pass_in(bed, error_in(bed, shown, 3, 3, packet_of(protocol, shown)));
                REQUIRE(!error.empty());
                CHECK(decode(error).destination == host(n));
                CHECK(decode(error).source == ip(kRouter));
            }
        }
        story.step(bed);
    });
}

namespace {

// What came to the inside endpoint, or to the external one that stands for it.
ByteVector arrived_at(Protocol protocol, const Endpoint& to) {
    auto builder = frame().ipv4(ip(kServer), to.address).ttl(9).ip_id(8);
    switch (protocol) {
        case Protocol::kTcp:
            return builder.tcp(80, to.port, kSyn | kAck).l3();
        case Protocol::kUdp:
            return builder.udp(53, to.port).payload("answer").l3();
        case Protocol::kIcmp:
            return builder.echo_reply(to.port).payload("answer").l3();
        default:
            return {};
    }
}

// The error about it that a subscriber, or a router behind the NAT, sends.
ByteVector pass_out(
    TestBed& bed, Ipv4Addr from, const ByteVector& quote, uint8_t type = 3, uint8_t code = 3
) {
    bed.take();
    bed.push_internal(bed.from_internal().ipv4(from, ip(kServer)).icmp_error(type, code, quote));
    bed.run();
    const auto sent = bed.take();
    CHECK(sent.size() <= 1);
    return sent.empty() ? ByteVector{} : sent[0].bytes;
}

}  // namespace

TEST_CASE(
    "an error from inside about a packet that nobody got goes nowhere", "[packet][rfc5508-req5]"
) {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        udp_and_see(bed, host(5), 1000);
        CHECK(pass_out(bed, host(5), arrived_at(Protocol::kUdp, {host(5), 1001})).empty());
        CHECK(pass_out(bed, host(6), arrived_at(Protocol::kUdp, {host(6), 1000})).empty());
        CHECK(bed.mapping_count() == 1);
        story.step(bed);
    });
}

TEST_CASE(
    "an error from inside quotes the packet byte for byte as it came to the NAT",
    "[packet][rfc5508-req5a]"
) {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        for (const Protocol protocol : kProtocols) {
            const Endpoint inside{host(5), 1000};
            const Endpoint shown = open(bed, protocol, inside);
            const ByteVector error = pass_out(bed, host(5), arrived_at(protocol, inside));
            REQUIRE(!error.empty());
            const ByteVector quote = quote_of(error);
            const ByteVector wanted = arrived_at(protocol, shown);
            CHECK(quote == wanted);
        }
        story.step(bed);
    });
}

TEST_CASE("an error from inside keeps type and code", "[packet][rfc5508-req5b]") {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        udp_and_see(bed, host(5), 1000);
        const auto quote = arrived_at(Protocol::kUdp, {host(5), 1000});
        for (const auto& [type, code] : {std::pair{3, 3}, {3, 10}, {11, 0}, {11, 1}, {12, 2}}) {
            const ByteVector error = pass_out(
                bed, host(5), quote, static_cast<uint8_t>(type), static_cast<uint8_t>(code)
            );
            REQUIRE(!error.empty());
            CHECK(int{decode(error).icmp_type} == type);
            CHECK(int{decode(error).icmp_code} == code);
        }
        story.step(bed);
    });
}

TEST_CASE(
    "an error from inside leaves with the NAT's own address, a subscriber's with its mapping's",
    "[packet][rfc5508-req5c]"
) {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        const Endpoint shown = udp_and_see(bed, host(5), 1000);
        const auto quote = arrived_at(Protocol::kUdp, {host(5), 1000});
        const ByteVector own = pass_out(bed, host(5), quote);
        REQUIRE(!own.empty());
        CHECK(decode(own).source == shown.address);
        const ByteVector router = pass_out(bed, ip("10.9.9.9"), quote, 11, 0);
        REQUIRE(!router.empty());
        CHECK(decode(router).source == ip("198.51.100.2"));
        story.step(bed);
    });
}

TEST_CASE("an error about a query neither ends nor prolongs it", "[packet][rfc5508-req6]") {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        const Endpoint inside{host(5), 1000};
        const Endpoint shown = open(bed, Protocol::kIcmp, inside);
        bed.advance(30 * kSecond);
        const auto request = packet_of(Protocol::kIcmp, shown);
        CHECK(!pass_in(bed, error_in(bed, shown, 3, 1, request)).empty());
        CHECK(!pass_in(bed, error_in(bed, shown, 11, 0, request)).empty());
        CHECK(!pass_out(bed, host(5), arrived_at(Protocol::kIcmp, inside)).empty());
        bed.advance(28 * kSecond);
        CHECK(bed.session_count() == 1);
        bed.advance(5 * kSecond);
        CHECK(bed.session_count() == 0);
        story.step(bed);
    });
}

namespace {

// A's packet came to B by B's external endpoint; the error that B answers with, as it comes to A.
struct Hairpin {
    Endpoint a{host(5), 1000};
    Endpoint b;
    Endpoint a_shown;
    Endpoint b_shown;

    Hairpin(TestBed& bed, unsigned n) : b{host(60 + n), 2000} {
        b_shown = udp_and_see(bed, b.address, b.port);
        bed.push_internal(bed.from_internal()
                              .ipv4(a.address, b_shown.address)
                              .udp(a.port, b_shown.port)
                              .payload("hello"));
        bed.run();
        bed.take();
        a_shown = external_of(bed, Protocol::kUdp, a.address, a.port);
    }

    Decoded error(TestBed& bed) const {
        const auto quote = frame()
                               .ipv4(a_shown.address, b.address)
                               .udp(a_shown.port, b.port)
                               .payload("hello")
                               .l3();
        bed.push_internal(
            bed.from_internal().ipv4(b.address, a_shown.address).icmp_error(3, 3, quote)
        );
        bed.run();
        return bed.take_one(kInternalLink);
    }
};

}  // namespace

TEST_CASE(
    "an error between two subscribers quotes the packet as its sender sent it",
    "[packet][rfc5508-req7]"
) {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        for (unsigned n = 0; n < 6; ++n) {  // on one shard and across shards
            const Hairpin hairpin(bed, n);
            const Decoded error = hairpin.error(bed);
            REQUIRE(error.quote.size() == 1);
            CHECK(error.quote[0].source == hairpin.a.address);
            CHECK(error.quote[0].source_port == hairpin.a.port);
            CHECK(error.quote[0].destination == hairpin.b_shown.address);
            CHECK(error.quote[0].destination_port == hairpin.b_shown.port);
        }
        story.step(bed);
    });
}

TEST_CASE(
    "the outer destination of an error between two subscribers is who sent the quoted packet",
    "[packet][rfc5508-req7a]"
) {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        for (unsigned n = 0; n < 6; ++n) {
            const Hairpin hairpin(bed, n);
            const Decoded error = hairpin.error(bed);
            CHECK(error.destination == hairpin.a.address);
            CHECK(error.source == hairpin.b_shown.address);
            CHECK(error.ttl == 63);
        }
        story.step(bed);
    });
}

TEST_CASE("Destination Unreachable passes out and in", "[packet][rfc5508-req10a-unreachable]") {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        const Endpoint shown = udp_and_see(bed, host(5), 1000);
        CHECK(!pass_in(bed, error_in(bed, shown, 3, 0, sent_from(shown).l3())).empty());
        CHECK(!pass_out(bed, host(5), arrived_at(Protocol::kUdp, {host(5), 1000}), 3, 3).empty());
        story.step(bed);
    });
}

TEST_CASE(
    "Time Exceeded passes out and in, and is sent where the time ends here",
    "[packet][rfc5508-req10a-time-exceeded]"
) {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        const Endpoint shown = udp_and_see(bed, host(5), 1000);
        CHECK(!pass_in(bed, error_in(bed, shown, 11, 0, sent_from(shown).l3())).empty());
        CHECK(!pass_out(bed, host(5), arrived_at(Protocol::kUdp, {host(5), 1000}), 11, 1).empty());
        bed.push_internal(udp_out(bed, host(5), 1000, kServer, 53).ttl(1));
        bed.run();
        CHECK(int{bed.take_one(kInternalLink).icmp_type} == 11);
        story.step(bed);
    });
}

TEST_CASE(
    "echo passes through the NAT and is answered by the NAT's own addresses",
    "[packet][rfc5508-req10a-echo]"
) {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        const Endpoint shown = ping_and_see(bed, host(5), 0, kServer);  // 0 is as good as any
        const ByteVector reply = pass_in(
            bed, bed.from_external().ipv4(ip(kServer), shown.address).echo_reply(shown.port)
        );
        REQUIRE(!reply.empty());
        CHECK(decode(reply).icmp_id == 0);
        bed.push_internal(echo_out(bed, host(5), 9, "100.64.0.1"));
        bed.run();
        CHECK(int{bed.take_one(kInternalLink).icmp_type} == 0);
        story.step(bed);
    });
}

TEST_CASE("Parameter Problem passes out and in, Redirect does not", "[packet][rfc5508-req10b]") {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        const Endpoint shown = udp_and_see(bed, host(5), 1000);
        CHECK(!pass_in(bed, error_in(bed, shown, 12, 0, sent_from(shown).l3())).empty());
        CHECK(!pass_out(bed, host(5), arrived_at(Protocol::kUdp, {host(5), 1000}), 12, 0).empty());
        CHECK(pass_in(bed, error_in(bed, shown, 5, 1, sent_from(shown).l3())).empty());
        story.step(bed);
    });
}

TEST_CASE(
    "source quench and information requests are dropped, from either side",
    "[packet][rfc5508-req10c]"
) {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        const Endpoint shown = udp_and_see(bed, host(5), 1000);
        CHECK(pass_in(bed, error_in(bed, shown, 4, 0, sent_from(shown).l3())).empty());
        for (const uint8_t type : {uint8_t{15}, uint8_t{16}}) {
            CHECK(pass_in(bed, bed.from_external().ipv4(ip(kServer), shown.address).icmp(type, 0))
                      .empty());
            bed.push_internal(bed.from_internal().ipv4(host(5), ip(kServer)).icmp(type, 0));
            bed.run();
            CHECK(bed.take().empty());
        }
        CHECK(bed.dropped(DropReason::kIcmpUnsupported) == 5);
        story.step(bed);
    });
}

}  // namespace sekisho::test
