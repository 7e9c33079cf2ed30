// RFC 4787, line by line: what the NAT does to UDP, from bytes to bytes. What other files show is not repeated here.
#include <set>

#include <catch2/catch.hpp>

#include "scenario.h"

namespace sekisho::test {
namespace {

constexpr auto kServer = "192.0.2.1";
constexpr auto kOther = "192.0.2.2";
constexpr uint32_t kSecond = 1000;

BedOptions one_address() {
    BedOptions options;
    options.nat = nat_settings("203.0.113.9", "203.0.113.9");
    return options;
}

// What the far end sees as the packet's source.
Endpoint source_of_one(TestBed& bed) {
    const Decoded packet = bed.take_one(kExternalLink);
    return {packet.source, packet.source_port};
}

Endpoint send_and_see(TestBed& bed, Ipv4Addr from, uint16_t port, std::string_view to) {
    bed.push_internal(udp_out(bed, from, port, to, 53));
    bed.run();
    return source_of_one(bed);
}

// Whether a packet from there to this endpoint arrives inside, and nothing else leaves.
bool arrives(TestBed& bed, std::string_view from, uint16_t from_port, const Endpoint& to) {
    bed.take();
    bed.push_external(bed.from_external().ipv4(ip(from), to.address).udp(from_port, to.port));
    bed.run();
    const auto sent = bed.take();
    return sent.size() == 1 && sent[0].device == kInternalLink;
}

}  // namespace

TEST_CASE(
    "an internal endpoint has the same external endpoint towards every server",
    "[packet][rfc4787-req1]"
) {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        const Endpoint first = send_and_see(bed, host(5), 1000, kServer);
        for (unsigned n = 2; n < 40; ++n) {
            const auto server = "192.0.2." + std::to_string(n);
            CHECK(send_and_see(bed, host(5), 1000, server) == first);
        }
        CHECK(send_and_see(bed, host(5), 1001, kServer) != first);
        story.step(bed);
    });
}

TEST_CASE(
    "UDP endpoints of one address keep their sources apart, however many ask for one port",
    "[packet][rfc4787-req3]"
) {
    run_everywhere(one_address(), [](TestBed& bed, Story& story) {
        std::set<Endpoint> seen;
        for (unsigned n = 5; n < 105; ++n) {
            for (const uint16_t port : {uint16_t{1000}, uint16_t{1001}}) {
                const Endpoint external = send_and_see(bed, host(n), port, kServer);
                CHECK(external.address == ip("203.0.113.9"));
                CHECK(seen.insert(external).second);
            }
        }
        story.step(bed);
    });
}

TEST_CASE("a UDP mapping lives five minutes by default", "[packet][rfc4787-req5c]") {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        const Endpoint external = send_and_see(bed, host(5), 1000, kServer);
        bed.advance(299 * kSecond);
        CHECK(bed.external_of(Protocol::kUdp, host(5), 1000) == external);
        story.step(bed);
        bed.advance(3 * kSecond);
        CHECK_FALSE(bed.external_of(Protocol::kUdp, host(5), 1000).has_value());
        CHECK_FALSE(arrives(bed, kServer, 53, external));
        story.step(bed);
    });
}

TEST_CASE(
    "at the shortest setting a UDP mapping lives two minutes, answered or not",
    "[packet][rfc4787-req5]"
) {
    BedOptions options;
    options.nat = nat_settings();
    options.nat.timeouts.udp = Seconds{120};
    const bool answered = GENERATE(false, true);
    run_everywhere(options, [answered](TestBed& bed, Story& story) {
        const Endpoint external = send_and_see(bed, host(5), 1000, kServer);
        if (answered) {
            CHECK(arrives(bed, kServer, 53, external));
        }
        bed.advance(119 * kSecond);
        CHECK(arrives(bed, kServer, 53, external));
        story.step(bed);
    });
}

TEST_CASE("the UDP timer is what is set", "[packet][rfc4787-req5b]") {
    BedOptions options;
    options.nat = nat_settings();
    options.nat.timeouts.udp = Seconds{600};
    run_everywhere(options, [](TestBed& bed, Story& story) {
        send_and_see(bed, host(5), 1000, kServer);
        bed.advance(598 * kSecond);
        CHECK(bed.mapping_count() == 1);
        bed.advance(4 * kSecond);
        CHECK(bed.mapping_count() == 0);
        story.step(bed);
    });
}

TEST_CASE(
    "towards a well-known port a UDP session may live shorter than two minutes",
    "[packet][rfc4787-req5a]"
) {
    BedOptions options;
    options.nat = nat_settings();
    options.nat.timeouts.by_remote_port = {
        {Protocol::kTcp, {53, 53}, Seconds{86400}}, {Protocol::kUdp, {50, 53}, Seconds{10}}};
    run_everywhere(options, [](TestBed& bed, Story& story) {
        const auto send = [&bed](uint16_t from, uint16_t to) {
            bed.push_internal(udp_out(bed, host(5), from, kServer, to));
        };
        send(1000, 53);
        send(2000, 49);
        send(3000, 54);
        send(4000, 50);
        send(5000, 53);
        send(5000, 123);  // another session of the same mapping
        bed.run();
        bed.take();
        story.step(bed);
        bed.advance(9 * kSecond);
        CHECK(bed.session_count() == 6);
        bed.push_external(udp_in(bed, kServer, 53, host(5), 1000));
        bed.run();
        bed.take();
        bed.advance(3 * kSecond);
        CHECK(bed.session_count() == 4);  // an answer keeps it, as ever
        bed.advance(9 * kSecond);
        CHECK(bed.session_count() == 3);
        CHECK(bed.external_of(Protocol::kUdp, host(5), 5000).has_value());
        bed.advance(275 * kSecond);
        CHECK(bed.session_count() == 3);
        story.step(bed);
        bed.advance(10 * kSecond);
        CHECK(bed.session_count() == 0);
    });
}

TEST_CASE(
    "a mapping lives as long as its subscriber sends, towards whomever", "[packet][rfc4787-req6]"
) {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        const Endpoint external = send_and_see(bed, host(5), 1000, kServer);
        for (unsigned n = 0; n < 3; ++n) {
            bed.advance(290 * kSecond);
            CHECK(send_and_see(bed, host(5), 1000, kServer) == external);
        }
        CHECK(bed.session_count() == 1);
        for (unsigned n = 0; n < 4; ++n) {  // each of the two sessions ends before its next packet
            bed.advance(290 * kSecond);
            CHECK(send_and_see(bed, host(5), 1000, n % 2 == 0 ? kOther : kServer) == external);
        }
        CHECK(arrives(bed, kServer, 53, external));
        story.step(bed);
    });
}

TEST_CASE("a session lives as long as its far end answers", "[packet][rfc4787-req6a]") {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        const Endpoint external = send_and_see(bed, host(5), 1000, kServer);
        for (unsigned n = 0; n < 4; ++n) {
            bed.advance(290 * kSecond);
            CHECK(arrives(bed, kServer, 53, external));
        }
        story.step(bed);
    });
}

TEST_CASE("who may send to a mapping is a setting", "[packet][rfc4787-req8a]") {
    using enum nat::FilteringBehaviour;
    const auto filtering =
        GENERATE(kEndpointIndependent, kAddressDependent, kAddressAndPortDependent);
    BedOptions options;
    options.nat = nat_settings();
    options.nat.policies[0].filtering = filtering;
    run_everywhere(options, [filtering](TestBed& bed, Story& story) {
        const Endpoint external = send_and_see(bed, host(5), 1000, kServer);
        CHECK(arrives(bed, kServer, 53, external));
        CHECK(arrives(bed, kServer, 54, external) == (filtering != kAddressAndPortDependent));
        CHECK(arrives(bed, kOther, 53, external) == (filtering == kEndpointIndependent));
        story.step(bed);
    });
}

TEST_CASE(
    "a datagram between two subscribers shows its sender's external endpoint",
    "[packet][rfc4787-req9a]"
) {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        for (unsigned n = 0; n < 8; ++n) {  // on one shard and across shards
            const Endpoint callee = send_and_see(bed, host(5), 1000, kServer);
            const Ipv4Addr caller = host(60 + n);
            const Endpoint shown = send_and_see(bed, caller, 2000, kServer);
            bed.push_internal(
                bed.from_internal().ipv4(caller, callee.address).udp(2000, callee.port)
            );
            bed.run();
            const Decoded arrived = bed.take_one(kInternalLink);
            CHECK(arrived.destination == host(5));
            CHECK(arrived.destination_port == 1000);
            CHECK(Endpoint{arrived.source, arrived.source_port} == shown);
        }
        story.step(bed);
    });
}

TEST_CASE("a SIP message passes byte for byte: no helper touches it", "[packet][rfc4787-req10]") {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        constexpr std::string_view kMessage =
            "REGISTER sip:192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 100.64.0.5:5060\r\n"
            "Contact: <sip:alice@100.64.0.5:5060>\r\n\r\n";
        bed.push_internal(udp_out(bed, host(5), 5060, kServer, 5060).payload(kMessage));
        bed.run();
        const Decoded sent = bed.take_one(kExternalLink);
        CHECK(std::string(sent.payload.begin(), sent.payload.end()) == kMessage);
        CHECK(bed.mapping_count() == 1);
        story.step(bed);
    });
}

TEST_CASE(
    "with the last port taken, mappings stay as they are and nothing is shared",
    "[packet][rfc4787-req11]"
) {
    BedOptions options = one_address();
    options.nat.pools[0].ports = {1024, 1087};
    options.nat.pools[0].port_block_size = 64;
    run_everywhere(options, [](TestBed& bed, Story& story) {
        std::set<Endpoint> given;
        for (uint16_t i = 0; i < 64; ++i) {
            given.insert(send_and_see(bed, host(5), static_cast<uint16_t>(1000 + i), kServer));
        }
        CHECK(given.size() == 64);
        for (unsigned n = 0; n < 10; ++n) {
            bed.push_internal(udp_out(bed, host(5), 2000, kServer, static_cast<uint16_t>(n + 1)));
            bed.push_internal(udp_out(bed, host(6), 1000, kServer, static_cast<uint16_t>(n + 1)));
        }
        story.step(bed);
        CHECK(bed.mapping_count() == 64);
        const Endpoint external = external_of(bed, Protocol::kUdp, host(5), 1000);
        CHECK(send_and_see(bed, host(5), 1000, kOther) == external);
        CHECK(arrives(bed, "192.0.2.99", 9, external));
        story.step(bed);
    });
}

namespace {

// An error of this kind about the subscriber's packet, from anybody.
PacketBuilder error_about(
    const TestBed& bed, std::string_view from, uint8_t type, uint8_t code, const Endpoint& external
) {
    auto quote = frame().ipv4(external.address, ip(kServer)).udp(external.port, 53);
    return bed.from_external()
        .ipv4(ip(from), external.address)
        .icmp_error(type, code, quote.payload("12345678").l3());
}

}  // namespace

TEST_CASE("no ICMP error ends a UDP mapping or shortens its life", "[packet][rfc4787-req12]") {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        const Endpoint external = send_and_see(bed, host(5), 1000, kServer);
        CHECK(arrives(bed, kServer, 53, external));
        for (uint8_t code = 0; code < 16; ++code) {
            bed.push_external(error_about(bed, kServer, 3, code, external));
        }
        for (const uint8_t type : {uint8_t{11}, uint8_t{12}}) {
            bed.push_external(error_about(bed, kServer, type, 0, external));
        }
        story.step(bed);
        CHECK(bed.totals().dropped == dataplane::CounterTotals{}.dropped);
        bed.advance(298 * kSecond);
        CHECK(bed.external_of(Protocol::kUdp, host(5), 1000) == external);
        story.step(bed);
    });
}

TEST_CASE(
    "an ICMP error passes whoever sends it, also where filtering is strict",
    "[packet][rfc4787-req12a]"
) {
    BedOptions options;
    options.nat = nat_settings();
    options.nat.policies[0].filtering = nat::FilteringBehaviour::kAddressAndPortDependent;
    run_everywhere(options, [](TestBed& bed, Story& story) {
        const Endpoint external = send_and_see(bed, host(5), 1000, kServer);
        for (const char* from : {kServer, kOther, "198.51.100.77", "8.8.8.8", "10.1.1.1"}) {
            bed.push_external(error_about(bed, from, 11, 0, external));
            bed.run();
            const Decoded error = bed.take_one(kInternalLink);
            CHECK(error.source == ip(from));
            CHECK(error.destination == host(5));
        }
        story.step(bed);
    });
}

TEST_CASE("every code of Destination Unreachable passes", "[packet][rfc4787-req12b]") {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        const Endpoint external = send_and_see(bed, host(5), 1000, kServer);
        for (uint8_t code = 0; code < 16; ++code) {
            bed.push_external(error_about(bed, kOther, 3, code, external));
            bed.run();
            const Decoded error = bed.take_one(kInternalLink);
            CHECK(int{error.icmp_type} == 3);
            CHECK(int{error.icmp_code} == code);
        }
        story.step(bed);
    });
}

}  // namespace sekisho::test
