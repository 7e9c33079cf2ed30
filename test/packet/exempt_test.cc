// Destinations that a policy exempts from translation (RFC 6888 REQ-6): what goes there and comes from there passes as it is.
#include <catch2/catch.hpp>

#include "fragment_scenario.h"

namespace sekisho::test {
namespace {

using packet::kFin;
using packet::kRst;

constexpr auto kExempt = "192.0.2.130";  // with all its ports
constexpr auto kPartly = "192.0.2.7";    // only ports 5060 and 5061
constexpr auto kTranslated = "192.0.2.1";

BedOptions exempting() {
    BedOptions options;
    options.nat = nat_settings();
    options.nat.policies[0].exempt = {
        {{ip("192.0.2.128"), 25}, {0, 65535}}, {{ip(kPartly), 32}, {5060, 5061}}};
    return options;
}

// Nothing but the TTL, its checksum and the station addresses has changed.
void check_untouched(const ByteVector& sent, const Decoded& left) {
    const Decoded before = decode(sent);
    CHECK(left.source == before.source);
    CHECK(left.destination == before.destination);
    CHECK(left.source_port == before.source_port);
    CHECK(left.destination_port == before.destination_port);
    CHECK(left.ip_id == before.ip_id);
    CHECK(left.payload == before.payload);
    CHECK(left.ttl == before.ttl - 1);
}

}  // namespace

TEST_CASE(
    "a destination that is exempt sees the subscriber's own address, and answers to it",
    "[packet][rfc6888-req6]"
) {
    run_everywhere(exempting(), [](TestBed& bed, Story& story) {
        for (unsigned n = 5; n < 25; ++n) {
            const PacketBuilder datagram = udp_out(bed, host(n), 1000, kExempt, 53).ip_id(77);
            check_untouched(datagram.bytes(), outward(bed, datagram));
            const PacketBuilder answer =
                bed.from_external().ipv4(ip(kExempt), host(n)).udp(53, 1000).ip_id(78);
            check_untouched(answer.bytes(), inward(bed, answer));

            // No state is kept, so there is none that a segment could contradict.
            for (const int mask : {int{kSyn}, int{kAck}, int{kRst}, kFin | kAck}) {
                const auto flags = static_cast<uint8_t>(mask);
                const auto segment = tcp_out(bed, host(n), 1001, kExempt, 80, flags);
                check_untouched(segment.bytes(), outward(bed, segment));
                const auto back =
                    bed.from_external().ipv4(ip(kExempt), host(n)).tcp(80, 1001, flags);
                check_untouched(back.bytes(), inward(bed, back));
            }
            const auto ping = bed.from_internal().ipv4(host(n), ip(kExempt)).echo_request(9);
            CHECK(outward(bed, ping).icmp_id == 9);
            const auto pong = bed.from_external().ipv4(ip(kExempt), host(n)).echo_reply(9);
            CHECK(inward(bed, pong).icmp_id == 9);
        }
        CHECK(bed.session_count() == 0);
        CHECK(bed.mapping_count() == 0);
        CHECK(bed.totals().untranslated == 20 * 12);
        story.step(bed);
    });
}

TEST_CASE(
    "whoever is exempt may begin, and nobody else reaches an internal address",
    "[packet][rfc6888-req6]"
) {
    run_everywhere(exempting(), [](TestBed& bed, Story& story) {
        const auto from = [&](std::string_view source) {
            return bed.from_external().ipv4(ip(source), host(9)).udp(4000, 53);
        };
        check_untouched(from(kExempt).bytes(), inward(bed, from(kExempt)));
        bed.push_external(from(kTranslated));
        bed.push_external(from("10.1.2.3"));     // a subscriber's own prefix, forged
        bed.push_external(from("203.0.113.2"));  // a pool's address, forged
        // Exempt, but for an address that no policy covers, and for one to which no link inside leads.
        bed.push_external(bed.from_external().ipv4(ip(kExempt), ip("8.8.8.8")).udp(4000, 53));
        bed.push_external(bed.from_external().ipv4(ip(kExempt), ip("203.0.113.3")).udp(4000, 53));
        bed.run();
        CHECK(bed.take().empty());
        CHECK(bed.dropped(DropReason::kNotForwarded) == 2);
        CHECK(bed.dropped(DropReason::kSpoofedSource) == 2);
        CHECK(bed.dropped(DropReason::kNoMapping) == 1);
        story.step(bed);
    });
}

TEST_CASE("who forges a source is stopped on the way to an exempt destination, too", "[packet]") {
    BedOptions options = exempting();
    options.nat.policies[0].source = {{ip("0.0.0.0"), 0}};
    run_everywhere(options, [](TestBed& bed, Story& story) {
        for (const auto source : {"8.8.8.8", kTranslated, "172.16.0.1"}) {
            const auto from = [&] { return bed.from_internal().ipv4(ip(source), ip(kExempt)); };
            bed.push_internal(from().udp(1000, 53));
            bed.push_internal(from().tcp(1000, 80, kSyn));
            bed.push_internal(from().echo_request(9));
        }
        bed.run();
        CHECK(bed.take().empty());
        CHECK(bed.dropped(DropReason::kSpoofedSource) == 9);
        story.step(bed);
    });
}

TEST_CASE("an exemption may be for some ports of a destination", "[packet][rfc6888-req6]") {
    run_everywhere(exempting(), [](TestBed& bed, Story& story) {
        const auto sip = udp_out(bed, host(5), 5060, kPartly, 5061);
        check_untouched(sip.bytes(), outward(bed, sip));
        const auto answer = bed.from_external().ipv4(ip(kPartly), host(5)).udp(5061, 5060);
        check_untouched(answer.bytes(), inward(bed, answer));
        CHECK(bed.session_count() == 0);

        CHECK(outward(bed, udp_out(bed, host(5), 5060, kPartly, 5062)).source != host(5));
        CHECK(outward(bed, udp_out(bed, host(5), 5060, kPartly, 5059)).source != host(5));
        const auto ping = bed.from_internal().ipv4(host(5), ip(kPartly)).echo_request(9);
        CHECK(outward(bed, ping).source != host(5));
        bed.push_external(bed.from_external().ipv4(ip(kPartly), host(5)).udp(5062, 5060));
        bed.run();
        CHECK(bed.take().empty());
        CHECK(bed.dropped(DropReason::kNotForwarded) == 1);
        story.step(bed);
    });
}

TEST_CASE("fragments of exempt datagrams pass both ways, in any order", "[packet][rfc6888-req6]") {
    run_everywhere(exempting(), [](TestBed& bed, Story& story) {
        const auto pass = [&](LinkId link, const ByteVector& sent, bool first_last) {
            std::vector<size_t> order{0, 1, 2, 3};
            if (first_last) {
                std::reverse(order.begin(), order.end());
            }
            push_all(bed, link, in_order(split(sent, kPart), order));
            bed.run();
            const Frames left = taken(bed);
            CHECK(left.size() == 4);
            for (const ByteVector& frame : left) {
                CHECK(id_of(frame) == decode(sent).ip_id);
            }
            check_untouched(sent, whole(left));
        };
        uint16_t id = 100;
        for (const auto& [server, port] : {std::pair{kExempt, 53}, std::pair{kPartly, 5060}}) {
            const auto to = static_cast<uint16_t>(port);
            for (const bool first_last : {false, true}) {
                const auto sent =
                    udp_out(bed, host(5), 1000, server, to).ip_id(++id).payload_size(1000);
                pass(kInternalLink, sent.bytes(), first_last);
                const auto answer = bed.from_external()
                                        .ipv4(ip(server), host(5))
                                        .udp(to, 1000)
                                        .ip_id(++id)
                                        .payload_size(1000);
                pass(kExternalLink, answer.bytes(), first_last);
            }
        }
        CHECK(bed.session_count() == 0);
        story.step(bed);
    });
}

TEST_CASE(
    "ICMP errors about exempt packets pass as they are, and only between the two ends",
    "[packet][rfc6888-req6]"
) {
    run_everywhere(exempting(), [](TestBed& bed, Story& story) {
        const auto about = udp_out(bed, host(5), 1000, kExempt, 53).l3();
        const auto error = [&](std::string_view from, Ipv4Addr to, const ByteVector& quote) {
            return bed.from_external().ipv4(ip(from), to).icmp_error(3, 4, quote, 1400);
        };
        const Decoded told =
            inward(bed, error("192.0.2.250", host(5), about));  // any router on the way
        CHECK(told.source == ip("192.0.2.250"));
        REQUIRE(told.quote.size() == 1);
        CHECK(told.quote[0].source == host(5));

        const auto answer = frame().ipv4(ip(kExempt), host(5)).udp(53, 1000).l3();
        const Decoded left =
            outward(bed, bed.from_internal().ipv4(host(5), ip(kExempt)).icmp_error(3, 3, answer));
        CHECK(left.source == host(5));
        REQUIRE(left.quote.size() == 1);
        CHECK(left.quote[0].destination == host(5));

        // To another end than the one that the quoted packet came from.
        bed.push_external(error("192.0.2.250", host(6), about));
        bed.push_internal(
            bed.from_internal().ipv4(host(5), ip(kTranslated)).icmp_error(3, 3, answer)
        );
        bed.run();
        CHECK(bed.take().empty());
        CHECK(bed.dropped(DropReason::kBadIcmpQuote) == 2);
        story.step(bed);
    });
}

TEST_CASE("an exempt packet that ends here is told of as any other", "[packet][rfc6888-req6]") {
    BedOptions options = exempting();
    options.external_mtu = 600;
    run_everywhere(options, [](TestBed& bed, Story& story) {
        const auto packet = udp_out(bed, host(5), 1000, kExempt, 53).payload_size(800);
        PacketBuilder whole_only = packet;
        const Decoded too_big = [&] {
            bed.push_internal(whole_only.dont_fragment());
            bed.run();
            return bed.take_one(kInternalLink);
        }();
        CHECK(too_big.icmp_type == 3);
        CHECK(too_big.icmp_code == 4);
        PacketBuilder last = udp_out(bed, host(5), 1000, kExempt, 53).ttl(1);
        bed.push_internal(last);
        bed.run();
        CHECK(bed.take_one(kInternalLink).icmp_type == 11);
        PacketBuilder cut = packet;
        bed.push_internal(cut.ip_id(99));
        bed.run();
        const Frames pieces = taken(bed);
        CHECK(pieces.size() == 2);
        CHECK(id_of(pieces.at(0)) == 99);
        CHECK(whole(pieces).source == host(5));
        story.step(bed);
    });
}

}  // namespace sekisho::test
