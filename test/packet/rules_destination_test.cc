// Rules that choose where a new flow from inside goes (dnat, redirect), and those that let packets pass untracked.
#include <map>
#include <set>

#include <catch2/catch.hpp>

#include "nat_rules.h"

namespace sekisho::test {
namespace {

using namespace rules;        // NOLINT(google-build-using-namespace)
using namespace rules::test;  // NOLINT(google-build-using-namespace)
using packet::kAck;
using packet::kRst;
using packet::kSyn;

constexpr auto kProxy = "192.0.2.20";  // outside
constexpr auto kRouter = "198.51.100.77";

BedOptions with_room() {
    BedOptions options;
    options.nat = nat_settings();
    options.nat.has_destination_rules = true;
    options.nat.local_host = ip("192.0.2.21");
    return options;
}

PacketBuilder tcp_answer(
    const TestBed& bed, const Endpoint& from, const Decoded& asked, uint8_t flags
) {
    return bed.from_external()
        .ipv4(from.address, asked.source)
        .tcp(from.port, asked.source_port, flags);
}

}  // namespace

TEST_CASE(
    "dnat leads a subscriber's flow to a proxy, and the answer seems the server's", "[packet]"
) {
    run_everywhere(with_room(), [](TestBed& bed, Story& story) {
        NatRules rules;
        rules.to_destination({protocol(Protocol::kTcp), to_port(80)}, dnat_to(kProxy, 3128));
        // What is asked at forward sees where the flow really goes.
        rules.add(Hook::kForward, {to(kProxy), to_port(3128)}, {});
        rules.add(Hook::kForward, {to(kServer), to_port(80)}, {});
        rules.add(Hook::kIngress, {to(kServer), to_port(80)}, {});
        bed.put_rules(rules.set);
        for (unsigned n = 10; n < 30; ++n) {
            const Decoded syn = outward(bed, tcp_out(bed, host(n), 1000, kServer, 80, kSyn));
            CHECK(destination_of(syn) == at(kProxy, 3128));
            const Decoded back = inward(bed, tcp_answer(bed, at(kProxy, 3128), syn, kSyn | kAck));
            CHECK(source_of(back) == at(kServer, 80));
            CHECK(destination_of(back) == Endpoint{host(n), 1000});
            CHECK(
                destination_of(outward(bed, tcp_out(bed, host(n), 1000, kServer, 80, kAck))) ==
                at(kProxy, 3128)
            );
            const Decoded direct = outward(bed, tcp_out(bed, host(n), 1001, kServer, 443, kSyn));
            CHECK(destination_of(direct) == at(kServer, 443));
        }
        CHECK(rules.counts(bed) == Counts{20, 40, 0, 40});
        story.step(bed);
        bed.advance(8000 * 1000);
        CHECK(bed.session_count() == 0);
        CHECK(bed.mapping_count() == 0);
    });
}

TEST_CASE("redirect leads to the host that has the appliance's local services", "[packet]") {
    const auto at_nat = [](NatRules& rules) {
        rules.to_destination({to_port(80)}, Redirect{3128});
    };
    const auto at_ingress = [](NatRules& rules) {
        rules.add(Hook::kIngress, {to_port(80)}, {Redirect{3128}});
    };
    for (const auto& say : std::vector<std::function<void(NatRules&)>>{at_nat, at_ingress}) {
        run_everywhere(with_room(), [&](TestBed& bed, Story& story) {
            NatRules rules;
            say(rules);
            bed.put_rules(rules.set);
            for (unsigned n = 10; n < 20; ++n) {
                const Decoded syn = outward(bed, tcp_out(bed, host(n), 1000, kServer, 80, kSyn));
                CHECK(destination_of(syn) == at("192.0.2.21", 3128));
                const auto reply = tcp_answer(bed, at("192.0.2.21", 3128), syn, kSyn | kAck);
                CHECK(source_of(inward(bed, reply)) == at(kServer, 80));
                // The appliance's own address, too.
                const Decoded own =
                    outward(bed, tcp_out(bed, host(n), 1000, "100.64.0.1", 80, kSyn));
                CHECK(destination_of(own) == at("192.0.2.21", 3128));
            }
            story.step(bed);
        });
    }
}

TEST_CASE("targets of a dnat share flows by weight, or sources", "[packet]") {
    run_everywhere(with_room(), [](TestBed& bed, Story& story) {
        NatRules rules;
        rules.to_destination(
            {to_port(80)},
            Dnat{
                {{ip("192.0.2.20"), 0, 3}, {ip("192.0.2.21"), 0, 1}, {ip("192.0.2.22"), 0, 0}},
                false}
        );
        rules.to_destination(
            {to_port(81)}, Dnat{{{ip("192.0.2.20"), 0, 1}, {ip("192.0.2.21"), 0, 1}}, true}
        );
        bed.put_rules(rules.set);
        std::map<Ipv4Addr, unsigned> flows;
        std::map<Ipv4Addr, unsigned> sources;
        for (unsigned n = 10; n < 60; ++n) {
            std::set<Ipv4Addr> targets;
            for (uint16_t port = 1000; port < 1010; ++port) {
                const Decoded by_flow =
                    outward(bed, tcp_out(bed, host(n), port, kServer, 80, kSyn));
                ++flows[by_flow.destination];
                targets.insert(
                    outward(bed, tcp_out(bed, host(n), port, kServer, 81, kSyn)).destination
                );
            }
            CHECK(targets.size() == 1);
            ++sources[*targets.begin()];
        }
        CHECK(flows.size() == 2);
        CHECK(flows[ip("192.0.2.20")] > 320);  // of 500: 375 are expected, 10 a standard deviation
        CHECK(flows[ip("192.0.2.20")] < 430);
        CHECK(sources.size() == 2);
        // A source stays with its target when the rules are changed around it.
        NatRules changed;
        changed.to_destination({to_port(9)}, Accept{});
        changed.to_destination(
            {to_port(81)}, Dnat{{{ip("192.0.2.20"), 0, 1}, {ip("192.0.2.21"), 0, 1}}, true}
        );
        bed.put_rules(changed.set);
        std::map<Ipv4Addr, unsigned> again;
        for (unsigned n = 10; n < 60; ++n) {
            ++again[outward(bed, tcp_out(bed, host(n), 2000, kServer, 81, kSyn)).destination];
        }
        CHECK(again == sources);
        story.step(bed);
    });
}

TEST_CASE("ICMP errors and fragments of flows that rules redirect are translated", "[packet]") {
    run_everywhere(with_room(), [](TestBed& bed, Story& story) {
        NatRules rules;
        rules.to_destination({to_port(53)}, dnat_to(kProxy, 5353));
        bed.put_rules(rules.set);
        uint16_t id = 100;
        for (unsigned n = 10; n < 16; ++n) {
            const auto question = udp_out(bed, host(n), 2000, kServer, 53).payload_size(1000);
            Frames fragments = split(PacketBuilder(question).ip_id(++id).bytes(), kPart);
            std::reverse(fragments.begin(), fragments.end());
            push_all(bed, kInternalLink, fragments);
            bed.run();
            const Decoded asked = whole(taken(bed));
            CHECK(destination_of(asked) == at(kProxy, 5353));
            const auto quote = frame()
                                   .ipv4(asked.source, ip(kProxy))
                                   .udp(asked.source_port, 5353)
                                   .payload("12345678")
                                   .l3();
            const Decoded told = inward(
                bed, bed.from_external().ipv4(ip(kRouter), asked.source).icmp_error(3, 3, quote)
            );
            CHECK(told.destination == host(n));
            REQUIRE(told.quote.size() == 1);
            CHECK(destination_of(told.quote[0]) == at(kServer, 53));
        }
        CHECK(rules.counts(bed) == Counts{6});
        story.step(bed);
    });
}

TEST_CASE(
    "who asks the appliance for names in fragments is answered by whom rules say", "[packet]"
) {
    run_everywhere(with_room(), [](TestBed& bed, Story& story) {
        NatRules rules;
        rules.to_destination({protocol(Protocol::kUdp), to_port(53)}, dnat_to(kProxy, 5353));
        bed.put_rules(rules.set);
        uint16_t id = 300;
        for (unsigned n = 10; n < 16; ++n) {
            const auto question = udp_out(bed, host(n), 2000, "100.64.0.1", 53).payload_size(1000);
            Frames fragments = split(PacketBuilder(question).ip_id(++id).bytes(), kPart);
            if (n % 2 == 0) {
                std::reverse(fragments.begin(), fragments.end());
            }
            push_all(bed, kInternalLink, fragments);
            bed.run();
            const Decoded asked = whole(taken(bed));
            CHECK(destination_of(asked) == at(kProxy, 5353));
            const auto reply = bed.from_external()
                                   .ipv4(ip(kProxy), asked.source)
                                   .udp(5353, asked.source_port)
                                   .payload_size(1000)
                                   .ip_id(id);
            push_all(bed, kExternalLink, split(PacketBuilder(reply).bytes(), kPart));
            bed.run();
            CHECK(source_of(whole(taken(bed))) == at("100.64.0.1", 53));
        }
        // What no rule leads on is the appliance's as ever.
        bed.push_internal(bed.from_internal().ipv4(host(10), ip("100.64.0.1")).echo_request(7));
        bed.run();
        CHECK(bed.take_one(kInternalLink).source == ip("100.64.0.1"));
        story.step(bed);
    });
}

TEST_CASE("what rules lead to goes by its own policy and pool", "[packet]") {
    BedOptions options = with_room();
    nat::PoolSettings other = options.nat.pools[0];
    other.name = "other";
    other.addresses = {{ip("203.0.113.64"), ip("203.0.113.67")}};
    options.nat.pools.push_back(other);
    run_everywhere(options, [](TestBed& bed, Story& story) {
        NatRules rules;
        rules.to_destination({to_port(80)}, dnat_to(kProxy, 3128));
        rules.to_source({to(kProxy), to_port(3128)}, Snat{PoolId{1}});
        bed.put_rules(rules.set);
        for (unsigned n = 10; n < 20; ++n) {
            const Decoded syn = outward(bed, tcp_out(bed, host(n), 1000, kServer, 80, kSyn));
            CHECK(destination_of(syn) == at(kProxy, 3128));
            CHECK(bed.settings().pools[1].has(syn.source));
            const Decoded back = inward(bed, tcp_answer(bed, at(kProxy, 3128), syn, kSyn | kAck));
            CHECK(destination_of(back) == Endpoint{host(n), 1000});
        }
        story.step(bed);
        bed.advance(600 * 1000);
        CHECK(bed.mapping_count() == 0);
    });
}

TEST_CASE(
    "a flow that a later rule denies is counted where its destination was chosen", "[packet]"
) {
    run_everywhere(with_room(), [](TestBed& bed, Story& story) {
        NatRules rules;
        rules.to_destination({to_port(80)}, dnat_to(kProxy, 3128));
        rules.add(Hook::kForward, {to(kProxy)}, {Deny{}});
        bed.put_rules(rules.set);
        for (unsigned n = 10; n < 20; ++n) {
            const auto syn = tcp_out(bed, host(n), 1000, kServer, 80, kSyn);
            check_refused(bed, kInternalLink, syn, DropReason::kDeniedByRule);
        }
        CHECK(rules.counts(bed) == Counts{10, 10});
        CHECK(bed.session_count() == 0);
        story.step(bed);
    });
}

TEST_CASE(
    "what opens nothing is not asked about, and targets that are nowhere are refused", "[packet]"
) {
    run_everywhere(with_room(), [](TestBed& bed, Story& story) {
        NatRules rules;
        rules.to_destination({to_port(80)}, dnat_to(kProxy));
        rules.to_destination({to_port(81)}, dnat_to("198.51.100.2"));  // the appliance itself
        rules.to_destination({to_port(82)}, dnat_to("100.64.0.77"));  // inside, without a way there
        bed.put_rules(rules.set);
        const auto segment = tcp_out(bed, host(10), 1000, kServer, 80, kAck);
        check_refused(bed, kInternalLink, segment, DropReason::kNoSession);
        const auto to_us = tcp_out(bed, host(10), 1000, kServer, 81, kSyn);
        check_refused(bed, kInternalLink, to_us, DropReason::kToAppliance);
        const auto inside = tcp_out(bed, host(10), 1000, kServer, 82, kSyn);
        check_refused(bed, kInternalLink, inside, DropReason::kWrongSide);
        CHECK(rules.counts(bed)[0] == 0);
        CHECK(bed.session_count() == 0);
        // Who is a target goes on to its origin.
        const Decoded ping =
            outward(bed, bed.from_internal().ipv4(host(10), ip(kServer)).echo_request(7));
        CHECK(ping.destination == ip(kServer));
        story.step(bed);
    });
}

TEST_CASE("without room for it no destination is translated", "[packet]") {
    run_everywhere(BedOptions{}, [](TestBed& bed, Story& story) {
        NatRules rules;
        rules.to_destination({}, dnat_to(kProxy));
        bed.put_rules(rules.set);
        const Decoded syn = outward(bed, tcp_out(bed, host(10), 1000, kServer, 80, kSyn));
        CHECK(syn.destination == ip(kServer));
        story.step(bed);
    });
}

// --- no-track ------------------------------------------------------------------------------------

TEST_CASE("what rules let pass untracked has no session, and its own addresses", "[packet]") {
    run_everywhere(with_room(), [](TestBed& bed, Story& story) {
        NatRules rules;
        rules.add(Hook::kIngress, {to("192.0.2.128/25")}, {NoTrack{}});
        rules.add(Hook::kIngress, {from("192.0.2.128/25")}, {NoTrack{}});
        const auto in_state = [](ConnectionState state) {
            return Condition{StateTest{ByteSet::of(state)}};
        };
        rules.add(Hook::kForward, {to_port(25)}, {Deny{}});
        rules.add(Hook::kForward, {in_state(ConnectionState::kUntracked)}, {});
        rules.add(Hook::kForward, {in_state(ConnectionState::kNew)}, {});
        rules.add(Hook::kEgress, {from("100.64.0.0/10")}, {});
        bed.put_rules(rules.set);
        for (unsigned n = 10; n < 20; ++n) {
            for (const uint8_t flags : {kSyn, kAck, kRst}) {
                const Decoded out =
                    outward(bed, tcp_out(bed, host(n), 1000, "192.0.2.130", 80, flags));
                CHECK(source_of(out) == Endpoint{host(n), 1000});
                CHECK(out.ttl == 63);
                const auto back =
                    bed.from_external().ipv4(ip("192.0.2.130"), host(n)).tcp(80, 1000, flags);
                CHECK(destination_of(inward(bed, back)) == Endpoint{host(n), 1000});
            }
            const auto mail = tcp_out(bed, host(n), 1000, "192.0.2.130", 25, kSyn);
            check_refused(bed, kInternalLink, mail, DropReason::kDeniedByRule);
            CHECK(outward(bed, udp_out(bed, host(n), 1, "192.0.2.1", 53)).source != host(n));
        }
        CHECK(rules.counts(bed) == Counts{40, 30, 10, 60, 10, 30});
        CHECK(bed.session_count() == 10);
        CHECK(bed.totals().untranslated == 60);
        story.step(bed);
    });
}

TEST_CASE("untracked datagrams pass in fragments, and so do errors about them", "[packet]") {
    run_everywhere(with_room(), [](TestBed& bed, Story& story) {
        NatRules rules;
        rules.add(Hook::kIngress, {to("192.0.2.128/25")}, {NoTrack{}});
        rules.add(Hook::kIngress, {from("192.0.2.128/25")}, {NoTrack{}});
        bed.put_rules(rules.set);
        uint16_t id = 7;
        const auto pass = [&](LinkId link, PacketBuilder packet) {
            Frames fragments = split(packet.ip_id(++id).payload_size(1000).bytes(), kPart);
            std::reverse(fragments.begin(), fragments.end());
            push_all(bed, link, fragments);
            bed.run();
            return whole(taken(bed));
        };
        for (unsigned n = 10; n < 14; ++n) {
            const Decoded out = pass(kInternalLink, udp_out(bed, host(n), 9, "192.0.2.130", 53));
            CHECK(source_of(out) == Endpoint{host(n), 9});
            const auto reply = bed.from_external().ipv4(ip("192.0.2.130"), host(n)).udp(53, 9);
            CHECK(destination_of(pass(kExternalLink, reply)) == Endpoint{host(n), 9});
            const auto came =
                frame().ipv4(ip("192.0.2.130"), host(n)).udp(53, 9).payload("12345678").l3();
            const auto error =
                bed.from_internal().ipv4(host(n), ip("192.0.2.130")).icmp_error(3, 3, came);
            CHECK(outward(bed, error).source == host(n));
        }
        CHECK(bed.session_count() == 0);
        story.step(bed);
    });
}

TEST_CASE(
    "no-track opens no way to pools, to the appliance or for who forges his source", "[packet]"
) {
    run_everywhere(with_room(), [](TestBed& bed, Story& story) {
        outward(bed, udp_out(bed, host(10), 1000, kServer, 53));
        NatRules rules;
        rules.add(Hook::kIngress, {}, {NoTrack{}});
        bed.put_rules(rules.set);
        const auto forged = bed.from_internal().ipv4(ip("8.8.8.8"), ip(kServer)).udp(1, 2);
        check_refused(bed, kInternalLink, forged, DropReason::kNoPolicy);
        const auto stuffed = bed.from_external().ipv4(ip("10.1.2.3"), host(10)).udp(1, 2);
        check_refused(bed, kExternalLink, stuffed, DropReason::kSpoofedSource);
        const auto unused = bed.from_external().ipv4(ip(kServer), ip("203.0.113.3")).udp(1, 2);
        check_refused(bed, kExternalLink, unused, DropReason::kNoMapping);
        // Its session stood before.
        CHECK(outward(bed, udp_out(bed, host(10), 1000, kServer, 53)).source != host(10));
        CHECK(outward(bed, udp_out(bed, host(10), 1000, kServer, 54)).source == host(10));
        story.step(bed);
    });
}

}  // namespace sekisho::test
