// Masquerade (SEEDS B1): a pool that is a link's own address. It is the subscribers' and the appliance's at once.
#include <set>

#include <catch2/catch.hpp>

#include "nat_rules.h"

namespace sekisho::test {
namespace {

constexpr auto kOwn = "198.51.100.2";  // of the external link, and the pool
constexpr auto kRouter = "198.51.100.77";

BedOptions masqueraded() {
    BedOptions options;
    options.nat = nat_settings(kOwn, kOwn);
    return options;
}

// What leaves on `out` when this comes in on `in`.
Decoded pass(TestBed& bed, LinkId in, const PacketBuilder& packet, LinkId out) {
    bed.push(in, packet.bytes());
    bed.run();
    return bed.take_one(out);
}
// What the appliance itself answers to the Internet.
Decoded answered(TestBed& bed, const PacketBuilder& packet) {
    return pass(bed, kExternalLink, packet, kExternalLink);
}
PacketBuilder to_own(const TestBed& bed, std::string_view from) {
    return bed.from_external().ipv4(ip(from), ip(kOwn));
}

}  // namespace

TEST_CASE("many hosts stand behind the link's own address", "[packet][masquerade]") {
    run_everywhere(masqueraded(), [](TestBed& bed, Story& story) {
        std::set<Endpoint> shown;
        for (unsigned n = 10; n < 40; ++n) {
            const Decoded out = outward(bed, udp_out(bed, host(n), 1000, kServer, 53));
            CHECK(out.source == ip(kOwn));
            CHECK(shown.insert(source_of(out)).second);
            PacketBuilder answer = to_own(bed, kServer);
            CHECK(
                destination_of(inward(bed, answer.udp(53, out.source_port))) ==
                Endpoint{host(n), 1000}
            );
            const Decoded syn = outward(bed, tcp_out(bed, host(n), 1000, kServer, 80, kSyn));
            PacketBuilder back = to_own(bed, kServer);
            CHECK(inward(bed, back.tcp(80, syn.source_port, kSyn | kAck)).destination == host(n));
            const Decoded ping =
                outward(bed, bed.from_internal().ipv4(host(n), ip(kServer)).echo_request(7));
            PacketBuilder pong = to_own(bed, kServer);
            CHECK(inward(bed, pong.echo_reply(ping.icmp_id)).destination == host(n));
        }
        story.step(bed);
    });
}

TEST_CASE(
    "what no subscriber has at the link's own address the appliance answers", "[packet][masquerade]"
) {
    run_everywhere(masqueraded(), [](TestBed& bed, Story& story) {
        outward(bed, udp_out(bed, host(10), 1000, kServer, 53));
        for (const uint8_t ttl : {uint8_t{1}, uint8_t{64}}) {
            PacketBuilder ping = to_own(bed, kRouter);
            const Decoded pong = answered(bed, ping.ttl(ttl).echo_request(7));
            CHECK(pong.source == ip(kOwn));
            CHECK(pong.icmp_type == 0);
            CHECK(pong.icmp_id == 7);
            PacketBuilder probe = to_own(bed, kRouter);  // a traceroute ends here
            const Decoded unreachable = answered(bed, probe.ttl(ttl).udp(40000, 1023));
            CHECK(unreachable.source == ip(kOwn));
            CHECK(unreachable.icmp_type == 3);
            CHECK(unreachable.icmp_code == 3);
        }
        const Decoded inside = pass(
            bed,
            kInternalLink,
            bed.from_internal().ipv4(host(10), ip(kOwn)).echo_request(9),
            kInternalLink
        );
        CHECK(inside.source == ip(kOwn));
        CHECK(inside.icmp_id == 9);
        // An error about the appliance's own packet, and a reply that nobody has asked for, end here.
        const auto own = frame().ipv4(ip(kOwn), ip(kRouter)).echo_reply(7).l3();
        PacketBuilder error = to_own(bed, kRouter);
        bed.push_external(error.icmp_error(3, 1, own));
        PacketBuilder reply = to_own(bed, kRouter);
        bed.push_external(reply.echo_reply(4711));
        bed.run();
        CHECK(bed.take().empty());
        CHECK(bed.dropped(DropReason::kToAppliance) == 1);
        CHECK(bed.dropped(DropReason::kIcmpNoSession) == 1);
        CHECK(bed.session_count() == 1);
        story.step(bed);
    });
}

TEST_CASE("what turns out to be the appliance's has paid its rate once", "[packet][masquerade]") {
    TestBed bed(masqueraded());
    NatRules rules;
    const rules::Condition is_ping{rules::IcmpTest{{{{8, 8}, {0, 255}}}, false}};
    const rules::Condition within{rules::RateTest{1, Seconds{3600}, 4, 0}};
    rules.add(rules::Hook::kIngress, {is_ping, within}, {rules::Accept{}});
    rules.add(rules::Hook::kIngress, {is_ping}, {rules::Deny{}});
    bed.put_rules(rules.set);
    for (unsigned k = 0; k < 4; ++k) {
        PacketBuilder ping = to_own(bed, kRouter);
        CHECK(answered(bed, ping.echo_request(7)).icmp_id == 7);
    }
    PacketBuilder ping = to_own(bed, kRouter);
    check_refused(bed, kExternalLink, ping.echo_request(7), DropReason::kDeniedByRule);
    CHECK(rules.counts(bed) == Counts{4, 1});
}

TEST_CASE(
    "an expiring packet to a subscriber's port of the own address is not translated",
    "[packet][masquerade]"
) {
    run_everywhere(masqueraded(), [](TestBed& bed, Story& story) {
        for (unsigned n = 10; n < 14; ++n) {
            const Decoded out = outward(bed, udp_out(bed, host(n), 1000, kServer, 53));
            for (const auto* const sender :
                 {kServer, kRouter}) {  // of the session, and by the mapping alone
                PacketBuilder late = to_own(bed, sender);
                const Decoded told = answered(bed, late.ttl(1).udp(53, out.source_port));
                CHECK(told.icmp_type == 11);
                CHECK(told.destination == ip(sender));
            }
        }
        CHECK(bed.dropped(DropReason::kTtlExceeded) == 8);
        story.step(bed);
    });
}

TEST_CASE(
    "a SYN to the own address that nobody has asked for is not answered for six seconds",
    "[packet][masquerade][rfc5382-req4]"
) {
    run_everywhere(masqueraded(), [](TestBed& bed, Story& story) {
        PacketBuilder syn = to_own(bed, kRouter);
        bed.push_external(syn.tcp(4000, 5000, kSyn));
        bed.run();
        bed.advance(5900);
        CHECK(bed.take().empty());
        bed.advance(200);
        CHECK(bed.take_one(kExternalLink).icmp_code == 3);
        story.step(bed);
    });
}

TEST_CASE(
    "of a datagram in pieces to the own address that is nobody's no piece is kept",
    "[packet][masquerade][fragments]"
) {
    run_everywhere(masqueraded(), [](TestBed& bed, Story& story) {
        outward(bed, udp_out(bed, host(10), 1000, kServer, 53));
        uint16_t id = 500;
        for (const bool is_first_first : {true, false}) {
            PacketBuilder probe = to_own(bed, kRouter).ip_id(++id).udp(40000, 1023);
            Frames fragments = split(probe.payload_size(3000).bytes(), 1000);
            if (!is_first_first) {
                std::ranges::reverse(fragments);
            }
            push_all(bed, kExternalLink, fragments);
            bed.run();
            CHECK(bed.take().empty());  // what asks the appliance comes whole
            CHECK(bed.totals().held == 0);
        }
        story.step(bed);
    });
}

TEST_CASE(
    "subscribers behind the own address reach each other, and errors and fragments their flows",
    "[packet][masquerade][rfc4787-req9]"
) {
    run_everywhere(masqueraded(), [](TestBed& bed, Story& story) {
        uint16_t id = 1;
        for (unsigned n = 10; n < 14; ++n) {
            const Decoded other = outward(bed, udp_out(bed, host(n + 50), 2000, kServer, 53));
            const Decoded call = pass(
                bed,
                kInternalLink,
                udp_out(bed, host(n), 1000, kOwn, other.source_port),
                kInternalLink
            );
            CHECK(destination_of(call) == Endpoint{host(n + 50), 2000});
            CHECK(call.source == ip(kOwn));
            const Decoded back = pass(
                bed,
                kInternalLink,
                udp_out(bed, host(n + 50), 2000, kOwn, call.source_port),
                kInternalLink
            );
            CHECK(destination_of(back) == Endpoint{host(n), 1000});
            CHECK(source_of(back) == at(kOwn, other.source_port));

            const auto quote = frame()
                                   .ipv4(ip(kOwn), ip(kServer))
                                   .udp(other.source_port, 53)
                                   .payload("12345678")
                                   .l3();
            PacketBuilder error = to_own(bed, kRouter);
            const Decoded told = inward(bed, error.icmp_error(11, 0, quote));
            CHECK(told.destination == host(n + 50));
            PacketBuilder answer = to_own(bed, kServer);
            const Frames fragments = split(
                answer.udp(53, other.source_port).ip_id(++id).payload_size(1000).bytes(), kPart
            );
            push_all(bed, kExternalLink, {fragments.rbegin(), fragments.rend()});
            bed.run();
            CHECK(whole(taken(bed)).destination == host(n + 50));
            const Frames turned = split(
                udp_out(bed, host(n), 1000, kOwn, other.source_port)
                    .ip_id(++id)
                    .payload_size(1000)
                    .bytes(),
                kPart
            );
            push_all(bed, kInternalLink, turned);
            bed.run();
            CHECK(whole(taken(bed)).destination == host(n + 50));
        }
        story.step(bed);
    });
}

TEST_CASE(
    "who sends too much to a neighbour behind the own address is told so",
    "[packet][masquerade][rfc4787-req13]"
) {
    BedOptions options = masqueraded();
    options.internal_mtu = 1000;
    run_everywhere(options, [](TestBed& bed, Story& story) {
        for (unsigned n = 10; n < 14; ++n) {
            const Decoded other = outward(bed, udp_out(bed, host(n + 50), 2000, kServer, 53));
            PacketBuilder big = udp_out(bed, host(n), 1000, kOwn, other.source_port);
            const Decoded told =
                pass(bed, kInternalLink, big.dont_fragment().payload_size(1100), kInternalLink);
            CHECK(told.icmp_type == 3);
            CHECK(told.icmp_code == 4);
            CHECK(told.destination == host(n));
            REQUIRE(told.quote.size() == 1);
            CHECK(source_of(told.quote[0]) == Endpoint{host(n), 1000});
        }
        story.step(bed);
    });
}

}  // namespace sekisho::test
