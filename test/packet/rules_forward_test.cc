// Rules that lead what comes from outside to a subscriber: dnat at an address of a pool (iptables -t nat -A PREROUTING -d EXT -j DNAT).
#include <map>
#include <set>

#include <catch2/catch.hpp>

#include "nat_rules.h"

namespace sekisho::test {
namespace {

using namespace rules;        // NOLINT(google-build-using-namespace)
using namespace rules::test;  // NOLINT(google-build-using-namespace)
using packet::kAck;
using packet::kFin;
using packet::kRst;
using packet::kSyn;

constexpr auto kShown = "203.0.113.3";  // of the pool
constexpr auto kRouter = "198.51.100.77";

BedOptions forwarding() {
    BedOptions options;
    options.nat = nat_settings();
    options.nat.has_destination_rules = true;
    options.nat.policies[0].limits.inbound_openings = 1000;
    options.nat.pools[0].reserved_ports = {{8080, 8081}};
    options.nat.pools[0].unsolicited_syn = nat::UnsolicitedSyn::kSilent;
    return options;
}

PacketBuilder tcp_to(const TestBed& bed, const Endpoint& from, uint16_t port, uint8_t flags) {
    return bed.from_external().ipv4(from.address, ip(kShown)).tcp(from.port, port, flags);
}
PacketBuilder udp_to(const TestBed& bed, const Endpoint& from, uint16_t port) {
    return bed.from_external().ipv4(from.address, ip(kShown)).udp(from.port, port);
}
Endpoint client(unsigned n) {
    return {Ipv4Addr::of(192, 0, 2, static_cast<uint8_t>(n)), static_cast<uint16_t>(30000 + n)};
}
PacketBuilder tcp_reply(
    const TestBed& bed, const Endpoint& host, const Endpoint& to, uint8_t flags
) {
    return bed.from_internal().ipv4(host.address, to.address).tcp(host.port, to.port, flags);
}
std::string text_of(Ipv4Addr address) {
    return fmt::format("{}", address);
}

// Web at port 80 and 8080 to host 5, names to host 6.
NatRules port_forwards() {
    NatRules rules;
    rules.to_destination(
        {protocol(Protocol::kTcp), to(kShown), to_port(80)}, dnat_to(text_of(host(5)), 8000)
    );
    rules.to_destination(
        {protocol(Protocol::kTcp), to(kShown), to_port(8080)}, dnat_to(text_of(host(5)))
    );
    rules.to_destination(
        {protocol(Protocol::kUdp), to(kShown), to_port(53)}, dnat_to(text_of(host(6)))
    );
    return rules;
}

}  // namespace

TEST_CASE("a server inside is reached from outside by a dnat rule", "[packet]") {
    run_everywhere(forwarding(), [](TestBed& bed, Story& story) {
        NatRules rules = port_forwards();
        rules.add(Hook::kForward, {to(text_of(host(5))), to_port(8000)}, {});
        rules.add(Hook::kIngress, {to(kShown), to_port(80)}, {});
        rules.add(Hook::kEgress, {to(text_of(host(5)))}, {});
        bed.put_rules(rules.set);
        for (unsigned n = 10; n < 30; ++n) {
            const Decoded syn = inward(bed, tcp_to(bed, client(n), 80, kSyn));
            CHECK(destination_of(syn) == Endpoint{host(5), 8000});
            CHECK(source_of(syn) == client(n));
            CHECK(syn.ttl == 63);
            const Decoded back =
                outward(bed, tcp_reply(bed, {host(5), 8000}, client(n), kSyn | kAck));
            CHECK(source_of(back) == at(kShown, 80));
            CHECK(destination_of(back) == client(n));
            const Decoded ack = inward(bed, tcp_to(bed, client(n), 80, kAck));
            CHECK(destination_of(ack) == Endpoint{host(5), 8000});
            const Decoded other = inward(bed, tcp_to(bed, client(n), 8080, kSyn));
            CHECK(destination_of(other) == Endpoint{host(5), 8080});
        }
        CHECK(rules.counts(bed) == Counts{20, 20, 0, 40, 40, 60});
        CHECK(bed.session_count() == 40);
        CHECK(bed.mapping_count() == 2);
        story.step(bed);
        bed.advance(8000 * 1000);
        CHECK(bed.session_count() == 0);
        CHECK(bed.mapping_count() == 0);
        story.step(bed);
        CHECK(inward(bed, tcp_to(bed, client(10), 80, kSyn)).destination == host(5));
        story.step(bed);
    });
}

TEST_CASE("UDP from outside is led inside, answered, and ends", "[packet]") {
    run_everywhere(forwarding(), [](TestBed& bed, Story& story) {
        bed.put_rules(port_forwards().set);
        for (unsigned n = 10; n < 20; ++n) {
            const Decoded asked = inward(bed, udp_to(bed, client(n), 53));
            CHECK(destination_of(asked) == Endpoint{host(6), 53});
            const auto reply =
                bed.from_internal().ipv4(host(6), client(n).address).udp(53, client(n).port);
            CHECK(source_of(outward(bed, reply)) == at(kShown, 53));
            CHECK(inward(bed, udp_to(bed, client(n), 53)).destination == host(6));
        }
        CHECK(bed.session_count() == 10);
        story.step(bed);
        bed.advance(299 * 1000);
        CHECK(bed.session_count() == 10);
        bed.advance(3 * 1000);
        CHECK(bed.session_count() == 0);
        CHECK(bed.mapping_count() == 0);
        story.step(bed);
    });
}

TEST_CASE("what nobody inside answers is bounded, and does not live by what comes", "[packet]") {
    BedOptions options = forwarding();
    options.nat.policies[0].limits.inbound_openings = 4;
    run_everywhere(options, [](TestBed& bed, Story& story) {
        bed.put_rules(port_forwards().set);
        for (unsigned n = 10; n < 14; ++n) {
            inward(bed, udp_to(bed, client(n), 53));
            inward(bed, tcp_to(bed, client(n), 80, kSyn));
        }
        for (unsigned n = 14; n < 40; ++n) {
            check_refused(
                bed, kExternalLink, udp_to(bed, client(n), 53), DropReason::kTcpUnsolicited
            );
            check_refused(
                bed, kExternalLink, tcp_to(bed, client(n), 80, kSyn), DropReason::kTcpUnsolicited
            );
        }
        CHECK(bed.session_count() == 8);
        // One that is answered counts no more.
        const auto reply =
            bed.from_internal().ipv4(host(6), client(10).address).udp(53, client(10).port);
        outward(bed, reply);
        inward(bed, udp_to(bed, client(20), 53));
        story.step(bed);
        for (unsigned k = 0; k < 10; ++k) {
            bed.advance(60 * 1000);
            bed.push_external(udp_to(bed, client(11), 53));
            bed.run();
            bed.take();
        }
        CHECK(bed.session_count() == 1);  // made anew: the first had ended
        story.step(bed);
    });
}

TEST_CASE("no flood from outside takes what subscribers open themselves", "[packet]") {
    BedOptions options = forwarding();
    options.nat.policies[0].limits.inbound_openings = 65535;
    options.nat.policies[0].limits.sessions = 40;
    options.sessions = 64;
    options.mappings = 64;
    run_everywhere(options, [](TestBed& bed, Story& story) {
        bed.put_rules(port_forwards().set);
        for (unsigned n = 1; n < 250; ++n) {
            bed.push_external(tcp_to(bed, client(n), 80, kSyn));
            bed.push_external(udp_to(bed, client(n), 53));
            bed.run();
        }
        bed.take();
        CHECK(bed.session_count() <= 60);
        for (uint16_t port = 1000; port < 1010; ++port) {
            CHECK(outward(bed, tcp_out(bed, host(5), port, kServer, 80, kSyn)).ttl == 63);
        }
        CHECK(bed.imbalance() == "");
        bed.advance(600 * 1000);
        CHECK(bed.session_count() == 0);
        if (bed.directory().forwarded() != nullptr) {
            CHECK(bed.directory().forwarded()->size() == 0);
        }
        story.note("done");
    });
}

TEST_CASE("several hosts share what comes to one external endpoint", "[packet]") {
    run_everywhere(forwarding(), [](TestBed& bed, Story& story) {
        NatRules rules;
        Dnat farm;
        for (unsigned n = 40; n < 48; ++n) {
            farm.targets.push_back({host(n), 8000, 1});
        }
        rules.to_destination({to(kShown), to_port(80)}, farm);
        farm.by_source = true;
        rules.to_destination({to(kShown), to_port(81)}, farm);
        bed.put_rules(rules.set);
        std::map<Ipv4Addr, unsigned> got;
        for (unsigned n = 1; n < 200; ++n) {
            const Decoded syn = inward(bed, tcp_to(bed, client(n), 80, kSyn));
            ++got[syn.destination];
            const Endpoint server{syn.destination, 8000};
            const Decoded back = outward(bed, tcp_reply(bed, server, client(n), kSyn | kAck));
            CHECK(source_of(back) == at(kShown, 80));
            CHECK(inward(bed, tcp_to(bed, client(n), 80, kAck)).destination == server.address);
        }
        CHECK(got.size() == 8);
        for (unsigned n = 1; n < 20; ++n) {
            std::set<Ipv4Addr> hosts;
            for (uint16_t port = 1; port < 6; ++port) {
                const Endpoint from{client(n).address, port};
                hosts.insert(inward(bed, tcp_to(bed, from, 81, kSyn)).destination);
            }
            CHECK(hosts.size() == 1);
        }
        CHECK(rules.counts(bed) == Counts{199, 95});
        story.step(bed);
    });
}

TEST_CASE("fragments are led inside whole, in any order, and so are the answers", "[packet]") {
    run_everywhere(forwarding(), [](TestBed& bed, Story& story) {
        NatRules rules = port_forwards();
        bed.put_rules(rules.set);
        uint16_t id = 50;
        const auto pass = [&](LinkId link, PacketBuilder packet, bool reversed) {
            Frames fragments = split(packet.ip_id(++id).payload_size(1000).bytes(), kPart);
            if (reversed) {
                std::reverse(fragments.begin(), fragments.end());
            }
            push_all(bed, link, fragments);
            bed.run();
            return whole(taken(bed));
        };
        for (unsigned n = 10; n < 20; ++n) {
            const Decoded asked = pass(kExternalLink, udp_to(bed, client(n), 53), n % 2 == 0);
            CHECK(destination_of(asked) == Endpoint{host(6), 53});
            const auto reply =
                bed.from_internal().ipv4(host(6), client(n).address).udp(53, client(n).port);
            const Decoded told = pass(kInternalLink, reply, n % 2 == 1);
            CHECK(source_of(told) == at(kShown, 53));
            CHECK(pass(kExternalLink, udp_to(bed, client(n), 53), true).destination == host(6));
        }
        CHECK(rules.counts(bed) == Counts{0, 0, 10});
        story.step(bed);
    });
}

TEST_CASE("ICMP errors about what was led inside are translated, both ways", "[packet]") {
    run_everywhere(forwarding(), [](TestBed& bed, Story& story) {
        bed.put_rules(port_forwards().set);
        for (unsigned n = 10; n < 20; ++n) {
            inward(bed, tcp_to(bed, client(n), 80, kSyn));
            outward(bed, tcp_reply(bed, {host(5), 8000}, client(n), kSyn | kAck));
            const auto sent =
                frame().ipv4(ip(kShown), client(n).address).tcp(80, client(n).port, kAck).l3();
            const Decoded told = inward(
                bed, bed.from_external().ipv4(ip(kRouter), ip(kShown)).icmp_error(3, 4, sent, 1400)
            );
            CHECK(told.destination == host(5));
            REQUIRE(told.quote.size() == 1);
            CHECK(source_of(told.quote[0]) == Endpoint{host(5), 8000});
            const auto came =
                frame().ipv4(client(n).address, host(5)).tcp(client(n).port, 8000, kSyn).l3();
            const Decoded refused = outward(
                bed, bed.from_internal().ipv4(host(5), client(n).address).icmp_error(3, 3, came)
            );
            CHECK(refused.source == ip(kShown));
            REQUIRE(refused.quote.size() == 1);
            CHECK(destination_of(refused.quote[0]) == at(kShown, 80));
        }
        story.step(bed);
    });
}

TEST_CASE("subscribers reach a dnat'ed service as anybody outside does", "[packet][rfc5382-req8]") {
    run_everywhere(forwarding(), [](TestBed& bed, Story& story) {
        NatRules rules = port_forwards();
        bed.put_rules(rules.set);
        for (unsigned n = 10; n < 30; ++n) {
            const Decoded syn = turned(bed, tcp_out(bed, host(n), 1000, kShown, 80, kSyn));
            CHECK(destination_of(syn) == Endpoint{host(5), 8000});
            CHECK(bed.settings().pools[0].has(syn.source));
            const auto reply = bed.from_internal()
                                   .ipv4(host(5), syn.source)
                                   .tcp(8000, syn.source_port, kSyn | kAck);
            const Decoded back = turned(bed, reply);
            CHECK(source_of(back) == at(kShown, 80));
            CHECK(destination_of(back) == Endpoint{host(n), 1000});
            CHECK(
                turned(bed, tcp_out(bed, host(n), 1000, kShown, 80, kAck)).destination == host(5)
            );
        }
        CHECK(rules.counts(bed)[0] == 40);  // either half of a hairpin is a packet
        story.step(bed);
        // The server itself, too.
        const Decoded self = turned(bed, tcp_out(bed, host(5), 1000, kShown, 80, kSyn));
        CHECK(destination_of(self) == Endpoint{host(5), 8000});
        CHECK(self.source != host(5));
        story.step(bed);
    });
}

TEST_CASE("no rule takes a port that subscribers are given", "[packet]") {
    run_everywhere(forwarding(), [](TestBed& bed, Story& story) {
        NatRules rules;
        rules.to_destination({to("203.0.113.0/29")}, dnat_to(text_of(host(5))));
        bed.put_rules(rules.set);
        for (unsigned n = 10; n < 40; ++n) {
            outward(bed, tcp_out(bed, host(n), 1000, kServer, 80, kSyn));
            const auto syn = tcp_in(bed, "192.0.2.200", 7, host(n), 1000, kSyn);
            CHECK(destination_of(inward(bed, syn)) == Endpoint{host(n), 1000});
        }
        check_refused(
            bed, kExternalLink, tcp_to(bed, client(1), 5000, kSyn), DropReason::kNoMapping
        );
        CHECK(rules.counts(bed) == Counts{0});
        CHECK(inward(bed, tcp_to(bed, client(1), 443, kSyn)).destination == host(5));
        CHECK(inward(bed, tcp_to(bed, client(1), 8081, kSyn)).destination == host(5));
        check_refused(bed, kExternalLink, tcp_to(bed, client(1), 0, kSyn), DropReason::kPortZero);
        story.step(bed);
    });
}

TEST_CASE(
    "flows that would look alike to their server are refused, and nothing is left", "[packet]"
) {
    run_everywhere(forwarding(), [](TestBed& bed, Story& story) {
        NatRules rules;
        rules.to_destination({to_port(80, 81)}, dnat_to(text_of(host(5)), 8000));
        bed.put_rules(rules.set);
        for (unsigned n = 10; n < 20; ++n) {
            inward(bed, tcp_to(bed, client(n), 80, kSyn));
            const auto second = tcp_to(bed, client(n), 81, kSyn);
            check_refused(bed, kExternalLink, second, DropReason::kTargetInUse);
        }
        CHECK(bed.session_count() == 10);
        CHECK(bed.mapping_count() == 1);
        bed.advance(241 * 1000);
        CHECK(bed.session_count() == 0);
        for (unsigned n = 10; n < 20; ++n) {
            CHECK(inward(bed, tcp_to(bed, client(n), 81, kSyn)).destination == host(5));
        }
        story.step(bed);
    });
}

TEST_CASE("what the rules forbid or nobody has is not led inside, and claims nothing", "[packet]") {
    run_everywhere(forwarding(), [](TestBed& bed, Story& story) {
        NatRules rules;
        rules.to_destination({to_port(80)}, dnat_to(text_of(host(5)), 8000));
        rules.to_destination({to_port(81)}, dnat_to("192.0.2.9"));        // outside
        rules.to_destination({to_port(82)}, dnat_to("198.51.100.2"));     // the appliance
        rules.to_destination({to_port(83)}, dnat_to("100.127.255.255"));  // nobody
        rules.add(Hook::kForward, {from("192.0.2.0/27")}, {Deny{}});
        rules.add(Hook::kEgress, {from("192.0.2.32/27")}, {Deny{}});
        bed.put_rules(rules.set);
        for (unsigned n = 1; n < 64; ++n) {
            const auto syn = tcp_to(bed, client(n), 80, kSyn);
            check_refused(bed, kExternalLink, syn, DropReason::kDeniedByRule);
        }
        for (uint16_t port = 81; port < 84; ++port) {
            bed.push_external(tcp_to(bed, client(70), port, kSyn));
            bed.push_external(tcp_to(bed, client(70), port, kAck));
        }
        bed.run();
        CHECK(bed.take().empty());
        const auto segment = tcp_to(bed, client(71), 80, kFin | kAck);
        check_refused(bed, kExternalLink, segment, DropReason::kNoMapping);
        CHECK(bed.session_count() == 0);
        CHECK(bed.mapping_count() == 0);
        if (bed.directory().forwarded() != nullptr) {
            CHECK(bed.directory().forwarded()->size() == 0);
        }
        story.step(bed);
    });
}

TEST_CASE(
    "rules that change between SYN and SYN/ACK do not part a flow from its host", "[packet]"
) {
    run_everywhere(forwarding(), [](TestBed& bed, Story& story) {
        bed.put_rules(port_forwards().set);
        for (unsigned n = 10; n < 20; ++n) {
            inward(bed, tcp_to(bed, client(n), 80, kSyn));
        }
        NatRules other;
        other.to_destination({to(kShown), to_port(80)}, dnat_to(text_of(host(7)), 8000));
        bed.put_rules(other.set);
        for (unsigned n = 10; n < 20; ++n) {
            const Decoded back =
                outward(bed, tcp_reply(bed, {host(5), 8000}, client(n), kSyn | kAck));
            CHECK(source_of(back) == at(kShown, 80));
            CHECK(inward(bed, tcp_to(bed, client(n), 80, kAck)).destination == host(5));
            const Endpoint next{client(n).address, 9};
            CHECK(inward(bed, tcp_to(bed, next, 80, kSyn)).destination == host(7));
        }
        bed.put_rules(NatRules().set);
        CHECK(inward(bed, tcp_to(bed, client(10), 80, kAck)).destination == host(5));
        check_refused(
            bed, kExternalLink, tcp_to(bed, client(99), 80, kSyn), DropReason::kNoMapping
        );
        story.step(bed);
    });
}

TEST_CASE("new rules cut what was led inside, or let it go on, as they say", "[packet]") {
    for (const bool cuts : {true, false}) {
        run_everywhere(forwarding(), [cuts](TestBed& bed, Story& story) {
            const NatRules before = port_forwards();
            bed.put_rules(before.set);
            for (unsigned n = 10; n < 20; ++n) {
                inward(bed, tcp_to(bed, client(n), 80, kSyn));
                outward(bed, tcp_reply(bed, {host(5), 8000}, client(n), kSyn | kAck));
                inward(bed, tcp_to(bed, client(n), 80, kAck));
            }
            NatRules after = port_forwards();
            after.add(Hook::kForward, {to(text_of(host(5)))}, {Deny{}});
            after.add(Hook::kForward, {from(text_of(host(5)))}, {Deny{}});
            bed.put_rules(after.set, cuts);
            for (unsigned n = 10; n < 20; ++n) {
                const auto segment = tcp_to(bed, client(n), 80, kAck);
                const auto reply = tcp_reply(bed, {host(5), 8000}, client(n), kAck);
                if (cuts) {
                    check_refused(bed, kInternalLink, reply, DropReason::kDeniedByRule);
                    check_refused(bed, kExternalLink, segment, DropReason::kNoMapping);
                } else {
                    CHECK(inward(bed, segment).destination == host(5));
                    CHECK(source_of(outward(bed, reply)) == at(kShown, 80));
                }
                const Endpoint next{client(n).address, 9};
                check_refused(
                    bed, kExternalLink, tcp_to(bed, next, 80, kSyn), DropReason::kDeniedByRule
                );
            }
            CHECK(bed.session_count() == (cuts ? 0 : 10));
            if (cuts && bed.directory().forwarded() != nullptr) {
                CHECK(bed.directory().forwarded()->size() == 0);
            }
            story.step(bed);
        });
    }
}

TEST_CASE("the log tells of what rules have led inside", "[packet][events]") {
    BedOptions options = forwarding();
    options.nat.events.logged = nat::kLogBlocks;
    run_everywhere(options, [](TestBed& bed, Story& story) {
        bed.put_rules(port_forwards().set);
        inward(bed, tcp_to(bed, client(10), 80, kSyn));
        bed.advance(300 * 1000);
        unsigned created = 0;
        unsigned ended = 0;
        for (unsigned i = 0; i < bed.shards(); ++i) {
            nat::EventReader reader = bed.shard(i).nat().event_reader();
            for (const nat::Event& event : reader.front()) {
                created += event.kind == nat::EventKind::kMappingCreated ? 1 : 0;
                ended += event.kind == nat::EventKind::kMappingEnded ? 1 : 0;
                if (event.kind == nat::EventKind::kMappingCreated) {
                    CHECK(event.internal_address == host(5).raw);
                    CHECK(Port{event.internal_port}.host() == 8000);
                    CHECK(Port{event.external_port}.host() == 80);
                }
            }
        }
        CHECK(created == 1);
        CHECK(ended == 1);
        story.step(bed);
    });
}

}  // namespace sekisho::test
