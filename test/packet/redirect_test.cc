// Destinations that are translated (SEEDS B8): a proxy in place of every web server, outside and among the subscribers.
#include <map>
#include <set>

#include <catch2/catch.hpp>

#include "fragment_scenario.h"

namespace sekisho::test {
namespace {

using packet::kFin;
using packet::kRst;

constexpr auto kProxy = "192.0.2.20";     // outside, its web proxy at 3128
constexpr auto kResolver = "192.0.2.53";  // outside
constexpr auto kShown = "203.0.113.2";    // of the pool: where neighbours reach the proxy inside
constexpr auto kRouter = "198.51.100.77";

nat::DestinationNatSettings rule(
    nat::PortRange ports, std::vector<nat::TargetSettings> targets, nat::Affinity affinity = {}
) {
    nat::DestinationNatSettings r;
    r.name = "rule";
    r.destination = {{ip("0.0.0.0"), 0}};
    r.ports = ports;
    r.targets = std::move(targets);
    r.affinity = affinity;
    return r;
}

// Web to the proxy outside, names to the resolver on its own port.
BedOptions proxied() {
    BedOptions options;
    options.nat = nat_settings();
    options.nat.destination_nat = {
        rule({80, 80}, {{ip(kProxy), {3128, 3128}}}), rule({53, 53}, {{ip(kResolver)}})};
    return options;
}

// The same with the proxy inside: host 9, whom neighbours reach at kShown.
BedOptions proxied_inside() {
    BedOptions options;
    options.nat = nat_settings();
    nat::StaticMappingSettings proxy;
    proxy.internal = host(9);
    proxy.external = ip(kShown);
    proxy.internal_ports = proxy.external_ports = {3128, 3128};
    options.nat.static_mappings = {proxy};
    options.nat.destination_nat = {rule({80, 80}, {{host(9), {3128, 3128}}})};
    return options;
}

PacketBuilder answer(const TestBed& bed, const Endpoint& from, const Endpoint& to, uint8_t flags) {
    return bed.from_external().ipv4(from.address, to.address).tcp(from.port, to.port, flags);
}

}  // namespace

TEST_CASE(
    "a web request reaches the proxy, and the answer seems to come from the server",
    "[packet][redirect]"
) {
    run_everywhere(proxied(), [](TestBed& bed, Story& story) {
        for (unsigned n = 10; n < 30; ++n) {
            const Decoded syn = outward(bed, tcp_out(bed, host(n), 1000, kServer, 80, kSyn));
            CHECK(destination_of(syn) == at(kProxy, 3128));
            CHECK(syn.source != host(n));
            CHECK(syn.ttl == 63);
            const Decoded back =
                inward(bed, answer(bed, at(kProxy, 3128), source_of(syn), kSyn | kAck));
            CHECK(source_of(back) == at(kServer, 80));
            CHECK(destination_of(back) == Endpoint{host(n), 1000});
            CHECK(back.ttl == 63);
            const Decoded ack = outward(bed, tcp_out(bed, host(n), 1000, kServer, 80, kAck));
            CHECK(destination_of(ack) == at(kProxy, 3128));
            CHECK(source_of(ack) == source_of(syn));
            // Of UDP too, with and without a checksum, on the port that was asked for.
            const auto question = udp_out(bed, host(n), 2000, kServer, 53).payload("name");
            const Decoded asked = outward(bed, question);
            CHECK(destination_of(asked) == at(kResolver, 53));
            const auto reply = bed.from_external().ipv4(ip(kResolver), asked.source);
            PacketBuilder told = reply;
            CHECK(
                source_of(inward(bed, told.udp(53, asked.source_port).l4_checksum(0))) ==
                at(kServer, 53)
            );
            // Other ports and protocols go where they are sent.
            CHECK(
                destination_of(outward(bed, tcp_out(bed, host(n), 3000, kServer, 443, kSyn))) ==
                at(kServer, 443)
            );
            CHECK(
                outward(bed, bed.from_internal().ipv4(host(n), ip(kServer)).echo_request(7))
                    .destination == ip(kServer)
            );
        }
        for (const nat::SessionView& view : bed.sessions()) {
            const bool is_redirected = (view.session.flags & flow::kRedirected) != 0;
            const Port port{view.session.remote_port};
            CHECK(is_redirected == (port.host() == 3128 || port.host() == 53));
            CHECK(view.original.address == (is_redirected ? ip(kServer) : Ipv4Addr{}));
        }
        story.step(bed);
    });
}

TEST_CASE(
    "flows of one endpoint to several servers stay apart at their common proxy",
    "[packet][redirect]"
) {
    run_everywhere(proxied(), [](TestBed& bed, Story& story) {
        std::map<Ipv4Addr, Endpoint> shown;  // by server: where its flow comes from, outside
        std::set<Endpoint> externals;
        for (unsigned n = 1; n < 40; ++n) {
            const std::string server = "192.0.2." + std::to_string(100 + n);
            const Decoded syn = outward(bed, tcp_out(bed, host(10), 1000, server, 80, kSyn));
            shown[ip(server)] = source_of(syn);
            CHECK(externals.insert(source_of(syn)).second);
        }
        for (const auto& [server, external] : shown) {
            const Decoded back = inward(bed, answer(bed, at(kProxy, 3128), external, kSyn | kAck));
            CHECK(source_of(back) == Endpoint{server, 80});
            CHECK(destination_of(back) == Endpoint{host(10), 1000});
            // Nobody else is admitted to it, though the filtering is endpoint-independent.
            const auto other = answer(bed, at(kStranger, 3128), external, kSyn);
            check_refused(bed, kExternalLink, other, DropReason::kFiltered);
        }
        CHECK(bed.session_count() == 39);
        CHECK(bed.mapping_count() == 39);
        story.step(bed);
        // Who speaks to the proxy itself is another flow again.
        const Decoded direct = outward(bed, tcp_out(bed, host(10), 1000, kProxy, 3128, kSyn));
        CHECK(destination_of(direct) == at(kProxy, 3128));
        CHECK(externals.count(source_of(direct)) == 0);
        CHECK(
            source_of(inward(bed, answer(bed, at(kProxy, 3128), source_of(direct), kSyn | kAck))) ==
            at(kProxy, 3128)
        );
        bed.advance(600 * 1000);
        CHECK(bed.session_count() == 0);
        CHECK(bed.mapping_count() == 0);
        story.step(bed);
    });
}

TEST_CASE("ICMP errors of redirected flows are translated at both ends", "[packet][redirect]") {
    run_everywhere(proxied(), [](TestBed& bed, Story& story) {
        const Decoded out =
            outward(bed, udp_out(bed, host(10), 2000, kServer, 53).payload("12345678"));
        const Endpoint external = source_of(out);
        const auto quote = frame()
                               .ipv4(external.address, ip(kResolver))
                               .udp(external.port, 53)
                               .payload("12345678")
                               .l3();
        for (const auto* const sender : {kRouter, kResolver}) {
            const Decoded told = inward(
                bed, bed.from_external().ipv4(ip(sender), external.address).icmp_error(3, 3, quote)
            );
            CHECK(told.destination == host(10));
            // Of the target itself the subscriber sees what it has sent to.
            CHECK(told.source == ip(sender == kRouter ? kRouter : kServer));
            REQUIRE(told.quote.size() == 1);
            CHECK(source_of(told.quote[0]) == Endpoint{host(10), 2000});
            CHECK(destination_of(told.quote[0]) == at(kServer, 53));
        }
        const auto came =
            frame().ipv4(ip(kServer), host(10)).udp(53, 2000).payload("12345678").l3();
        const Decoded sent =
            outward(bed, bed.from_internal().ipv4(host(10), ip(kServer)).icmp_error(3, 3, came));
        CHECK(sent.source == external.address);
        CHECK(sent.destination == ip(kResolver));
        REQUIRE(sent.quote.size() == 1);
        CHECK(source_of(sent.quote[0]) == at(kResolver, 53));
        CHECK(destination_of(sent.quote[0]) == external);
        story.step(bed);
    });
}

TEST_CASE(
    "fragments of redirected flows arrive whole, in any order", "[packet][redirect][rfc4787-req14]"
) {
    run_everywhere(proxied(), [](TestBed& bed, Story& story) {
        uint16_t id = 100;
        const auto pass = [&](LinkId link, PacketBuilder packet) {
            Frames fragments = split(packet.ip_id(++id).payload_size(1000).bytes(), kPart);
            std::reverse(fragments.begin(), fragments.end());
            push_all(bed, link, fragments);
            bed.run();
            return whole(taken(bed));
        };
        for (unsigned n = 10; n < 14; ++n) {
            const Decoded asked = pass(kInternalLink, udp_out(bed, host(n), 2000, kServer, 53));
            CHECK(destination_of(asked) == at(kResolver, 53));
            const auto reply =
                bed.from_external().ipv4(ip(kResolver), asked.source).udp(53, asked.source_port);
            const Decoded told = pass(kExternalLink, reply);
            CHECK(source_of(told) == at(kServer, 53));
            CHECK(destination_of(told) == Endpoint{host(n), 2000});
        }
        story.step(bed);
    });
}

TEST_CASE(
    "a proxy among the subscribers gets its neighbours' requests, and reaches the origin itself",
    "[packet][redirect][rfc5382-req8]"
) {
    run_everywhere(proxied_inside(), [](TestBed& bed, Story& story) {
        for (unsigned n = 10; n < 20; ++n) {
            const Decoded syn = turned(bed, tcp_out(bed, host(n), 1000, kServer, 80, kSyn));
            CHECK(destination_of(syn) == Endpoint{host(9), 3128});
            CHECK(syn.source != host(n));
            CHECK(syn.ttl == 63);
            const auto reply = bed.from_internal()
                                   .ipv4(host(9), syn.source)
                                   .tcp(3128, syn.source_port, kSyn | kAck);
            const Decoded back = turned(bed, reply);
            CHECK(source_of(back) == at(kServer, 80));
            CHECK(destination_of(back) == Endpoint{host(n), 1000});
            // The proxy's host refuses: the subscriber hears it of the server.
            const auto came =
                frame().ipv4(syn.source, host(9)).tcp(syn.source_port, 3128, kSyn).l3();
            const Decoded told =
                turned(bed, bed.from_internal().ipv4(host(9), syn.source).icmp_error(3, 3, came));
            CHECK(told.destination == host(n));
            CHECK(told.source == ip(kServer));
            REQUIRE(told.quote.size() == 1);
            CHECK(destination_of(told.quote[0]) == at(kServer, 80));
        }
        const Decoded own = outward(bed, tcp_out(bed, host(9), 5000, kServer, 80, kSyn));
        CHECK(destination_of(own) == at(kServer, 80));
        story.step(bed);
    });
}

TEST_CASE(
    "a target that is exempt sees the subscriber's own address", "[packet][redirect][rfc6888-req6]"
) {
    BedOptions options = proxied();
    options.nat.policies[0].exempt = {{{ip("192.0.2.0"), 26}}};
    run_everywhere(options, [](TestBed& bed, Story& story) {
        uint16_t id = 1;
        for (unsigned n = 10; n < 20; ++n) {
            const Decoded syn = outward(bed, tcp_out(bed, host(n), 1000, kServer, 80, kSyn));
            CHECK(source_of(syn) == Endpoint{host(n), 1000});
            CHECK(destination_of(syn) == at(kProxy, 3128));
            const Decoded back =
                inward(bed, answer(bed, at(kProxy, 3128), {host(n), 1000}, kSyn | kAck));
            CHECK(source_of(back) == at(kServer, 80));
            CHECK(destination_of(back) == Endpoint{host(n), 1000});
            // A second flow of the endpoint would look like the first: to another server, not to another proxy.
            const auto second = tcp_out(bed, host(n), 1000, kStranger, 80, kSyn);
            bed.push_internal(second);
            bed.run();
            CHECK(bed.take_one(kInternalLink).icmp_type == 3);
            // Fragments of what has kept its source find their session as well.
            const Decoded asked = outward(bed, udp_out(bed, host(n), 2000, kServer, 53));
            CHECK(source_of(asked) == Endpoint{host(n), 2000});
            const auto reply = bed.from_external()
                                   .ipv4(ip(kResolver), host(n))
                                   .udp(53, 2000)
                                   .payload_size(1000)
                                   .ip_id(++id);
            Frames fragments = split(PacketBuilder(reply).bytes(), kPart);
            std::reverse(fragments.begin(), fragments.end());
            push_all(bed, kExternalLink, fragments);
            bed.run();
            CHECK(source_of(whole(taken(bed))) == at(kServer, 53));
        }
        CHECK(bed.dropped(DropReason::kTargetInUse) == 10);
        CHECK(bed.session_count() == 20);
        bed.advance(600 * 1000);
        CHECK(bed.session_count() == 0);
        CHECK(bed.mapping_count() == 0);
        story.step(bed);
    });
}

TEST_CASE("targets share what is new by their weights", "[packet][redirect]") {
    BedOptions options;
    options.nat = nat_settings();
    options.nat.policies[0].refusal = nat::Refusal::kSilent;
    options.nat.destination_nat = {
        rule(
            {80, 80},
            {{ip("192.0.2.20"), {}, 3}, {ip("192.0.2.21"), {}, 1}, {ip("192.0.2.22"), {}, 0}},
            nat::Affinity::kNone
        ),
        rule({81, 81}, {{ip("192.0.2.20")}, {ip("192.0.2.21")}})};
    for (nat::DestinationNatSettings& each : options.nat.destination_nat) {
        for (nat::TargetSettings& target : each.targets) {
            target.ports = {0, 0};
        }
    }
    run_everywhere(options, [](TestBed& bed, Story& story) {
        std::map<Ipv4Addr, unsigned> flows;
        std::map<Ipv4Addr, unsigned> sources;
        for (unsigned n = 10; n < 60; ++n) {
            std::set<Ipv4Addr> targets;
            for (uint16_t port = 1000; port < 1010; ++port) {
                ++flows[outward(bed, tcp_out(bed, host(n), port, kServer, 80, kSyn)).destination];
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
        story.step(bed);
    });
}

TEST_CASE(
    "the appliance's own address may stand for a resolver, and still answers pings",
    "[packet][redirect]"
) {
    run_everywhere(proxied(), [](TestBed& bed, Story& story) {
        uint16_t id = 5;
        for (unsigned n = 10; n < 14; ++n) {
            const Decoded asked = outward(bed, udp_out(bed, host(n), 2000, "100.64.0.1", 53));
            CHECK(destination_of(asked) == at(kResolver, 53));
            const auto reply =
                bed.from_external().ipv4(ip(kResolver), asked.source).udp(53, asked.source_port);
            CHECK(source_of(inward(bed, PacketBuilder(reply))) == at("100.64.0.1", 53));
            const Frames fragments = split(
                udp_out(bed, host(n), 2001, "100.64.0.1", 53)
                    .ip_id(++id)
                    .payload_size(1000)
                    .bytes(),
                kPart
            );
            push_all(bed, kInternalLink, fragments);
            bed.run();
            CHECK(destination_of(whole(taken(bed))) == at(kResolver, 53));
            const Decoded pong =
                turned(bed, bed.from_internal().ipv4(host(n), ip("100.64.0.1")).echo_request(7));
            CHECK(pong.source == ip("100.64.0.1"));
            CHECK(pong.destination == host(n));
        }
        story.step(bed);
    });
}

TEST_CASE(
    "a rule for all ports says nothing of protocols that it cannot redirect",
    "[packet][redirect][rfc6888-req6]"
) {
    BedOptions options;
    options.nat = nat_settings();
    options.nat.policies[0].exempt = {{{ip("192.0.2.0"), 24}}};
    options.nat.destination_nat = {rule({0, 65535}, {{ip("198.51.100.50")}})};
    run_everywhere(options, [](TestBed& bed, Story& story) {
        for (unsigned n = 10; n < 20; ++n) {
            for (const Protocol protocol : {Protocol::kGre, Protocol::kEsp, Protocol::kSctp}) {
                const Decoded left = outward(
                    bed,
                    bed.from_internal()
                        .ipv4(host(n), ip(kServer))
                        .protocol(static_cast<uint8_t>(protocol))
                        .payload_size(64)
                );
                CHECK(left.source == host(n));
                CHECK(left.destination == ip(kServer));
            }
            // What it can redirect goes to its target, a ping too.
            const auto ping = bed.from_internal().ipv4(host(n), ip(kServer)).echo_request(7);
            CHECK(outward(bed, ping).destination == ip("198.51.100.50"));
        }
        CHECK(bed.session_count() == 10);
        story.step(bed);
    });
}

TEST_CASE(
    "a rule for all ports of the appliance's own address takes datagrams in fragments",
    "[packet][redirect][rfc4787-req14]"
) {
    BedOptions options;
    options.nat = nat_settings();
    options.nat.destination_nat = {rule({0, 65535}, {{ip(kResolver)}})};
    options.nat.destination_nat[0].destination = {{ip("100.64.0.1"), 32}};
    run_everywhere(options, [](TestBed& bed, Story& story) {
        uint16_t id = 5;
        for (unsigned n = 10; n < 14; ++n) {
            Frames fragments = split(
                udp_out(bed, host(n), 2001, "100.64.0.1", 53)
                    .ip_id(++id)
                    .payload_size(1000)
                    .bytes(),
                kPart
            );
            std::reverse(fragments.begin(), fragments.end());
            push_all(bed, kInternalLink, fragments);
            bed.run();
            CHECK(destination_of(whole(taken(bed))) == at(kResolver, 53));
        }
        story.step(bed);
    });
}

TEST_CASE(
    "of two flows of a static port that look alike to their target the second is refused, "
    "whichever it is",
    "[packet][redirect]"
) {
    const bool direct_first = GENERATE(false, true);
    BedOptions options = proxied();
    nat::StaticMappingSettings fixed;
    fixed.internal = host(9);
    fixed.external = ip(kShown);
    fixed.internal_ports = fixed.external_ports = {2000, 2000};
    options.nat.static_mappings = {fixed};
    options.nat.policies[0].refusal = nat::Refusal::kSilent;
    run_everywhere(options, [direct_first](TestBed& bed, Story& story) {
        const Endpoint ends[] = {at(kServer, 80), at(kProxy, 3128)};  // the rule covers the first
        const Endpoint& first = ends[direct_first ? 1 : 0];
        const Endpoint& second = ends[direct_first ? 0 : 1];
        const auto syn = [&](const Endpoint& to) {
            return bed.from_internal().ipv4(host(9), to.address).tcp(2000, to.port, kSyn);
        };
        const Decoded opened = outward(bed, syn(first));
        CHECK(source_of(opened) == at(kShown, 2000));
        CHECK(destination_of(opened) == at(kProxy, 3128));
        check_refused(bed, kInternalLink, syn(second), DropReason::kTargetInUse);
        const auto reply = answer(bed, at(kProxy, 3128), at(kShown, 2000), kSyn | kAck);
        CHECK(source_of(inward(bed, reply)) == first);
        CHECK(bed.session_count() == 1);
        story.step(bed);
    });
}

TEST_CASE(
    "the log of sessions has the target, whom the outside has seen, and the destination",
    "[packet][redirect][events]"
) {
    BedOptions options = proxied();
    options.nat.events.logged = nat::kLogMappings | nat::kLogSessions;
    options.nat.policies[0].mapping = nat::MappingBehaviour::kAddressAndPortDependent;
    options.nat.policies[0].filtering = nat::FilteringBehaviour::kAddressAndPortDependent;
    options.nat.policies[0].port_overloading = true;
    options.shards = GENERATE(1U, 3U);
    TestBed bed(options);
    outward(bed, udp_out(bed, host(10), 2000, kServer, 53));
    bed.advance(301 * 1000);
    unsigned sessions = 0;
    unsigned mappings = 0;
    for (unsigned i = 0; i < bed.shards(); ++i) {
        nat::EventReader reader = bed.shard(i).nat().event_reader();
        for (const nat::Event& event : reader.front()) {
            if (event.kind == nat::EventKind::kSessionCreated ||
                event.kind == nat::EventKind::kSessionEnded) {
                CHECK(Ipv4Addr{event.remote_address} == ip(kResolver));
                CHECK(Port{event.remote_port}.host() == 53);
                CHECK(Ipv4Addr{event.sent_to_address} == ip(kServer));
                CHECK(Port{event.sent_to_port}.host() == 53);
                ++sessions;
            } else {
                CHECK(event.remote_address == 0);  // its port is shared with nobody
                ++mappings;
            }
        }
    }
    CHECK(sessions == 2);
    CHECK(mappings == 2);
}

}  // namespace sekisho::test
