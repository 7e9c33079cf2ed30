// Rules that choose where a new flow's source is translated: snat and masquerade.
#include <set>

#include <catch2/catch.hpp>

#include "nat_rules.h"

namespace sekisho::test {
namespace {

using namespace rules;        // NOLINT(google-build-using-namespace)
using namespace rules::test;  // NOLINT(google-build-using-namespace)
using packet::kAck;
using packet::kSyn;

constexpr PoolId kMain{0};
constexpr PoolId kOther{1};
constexpr PoolId kOfLink{2};
constexpr auto kOwn = "198.51.100.2";  // of the external link

bool is_of(const Decoded& packet, const nat::PoolSettings& pool) {
    return pool.has(packet.source);
}

// The policy's pool, one that rules choose, and one that is the link's own address.
BedOptions three_pools() {
    BedOptions options;
    options.nat = nat_settings();
    nat::PoolSettings other = options.nat.pools[0];
    other.name = "other";
    other.addresses = {{ip("203.0.113.64"), ip("203.0.113.67")}};
    nat::PoolSettings own = options.nat.pools[0];
    own.name = "own";
    own.addresses = {{ip(kOwn), ip(kOwn)}};
    own.links = {kExternalLink};
    options.nat.pools.push_back(other);
    options.nat.pools.push_back(own);
    return options;
}

PacketBuilder answer_to(const TestBed& bed, const Decoded& sent) {
    return bed.from_external()
        .ipv4(sent.destination, sent.source)
        .udp(sent.destination_port, sent.source_port);
}

}  // namespace

TEST_CASE("snat leads a new flow to its pool, and later packets follow", "[packet]") {
    run_everywhere(three_pools(), [](TestBed& bed, Story& story) {
        NatRules rules;
        rules.to_source({to_port(53)}, Snat{kOther}).to_source({}, Accept{});
        bed.put_rules(rules.set);
        const auto& pools = bed.settings().pools;
        for (unsigned n = 10; n < 30; ++n) {
            for (unsigned k = 0; k < 3; ++k) {
                const Decoded asked = outward(bed, udp_out(bed, host(n), 1000, kServer, 53));
                CHECK(is_of(asked, pools[kOther.value]));
                const Decoded told = inward(bed, answer_to(bed, asked));
                CHECK(destination_of(told) == Endpoint{host(n), 1000});
            }
            const Decoded syn = outward(bed, tcp_out(bed, host(n), 1000, kServer, 80, kSyn));
            CHECK(is_of(syn, pools[kMain.value]));
            outward(bed, tcp_out(bed, host(n), 1000, kServer, 80, kAck));
        }
        CHECK(rules.counts(bed) == Counts{20, 20});  // once a flow
        story.step(bed);
        bed.advance(600 * 1000);
        CHECK(bed.session_count() == 0);
        CHECK(bed.mapping_count() == 0);
        story.step(bed);
    });
}

TEST_CASE(
    "in each pool an internal endpoint has one mapping, whatever its remote endpoints", "[packet]"
) {
    run_everywhere(three_pools(), [](TestBed& bed, Story& story) {
        NatRules rules;
        rules.to_source({to("192.0.2.0/25")}, Snat{kOther});
        rules.to_source({to("198.18.0.0/15")}, Snat{kMain});
        bed.put_rules(rules.set);
        for (unsigned n = 10; n < 20; ++n) {
            std::set<Endpoint> shown;
            for (const auto* const remote :
                 {"192.0.2.1", "192.0.2.200", "192.0.2.2", "192.0.2.201", "198.18.0.1"}) {
                shown.insert(source_of(outward(bed, udp_out(bed, host(n), 1000, remote, 53))));
            }
            CHECK(shown.size() == 2);  // to the policy's own pool by rule is as without one
        }
        CHECK(bed.mapping_count() == 20);
        // Who was not asked reaches both of them (endpoint-independent filtering).
        for (const nat::MappingView& view : bed.mappings()) {
            const Decoded told = inward(
                bed,
                bed.from_external()
                    .ipv4(ip("192.0.2.77"), Ipv4Addr{view.mapping.external_address})
                    .udp(7, Port{view.mapping.external_port}.host())
            );
            CHECK(told.destination == Ipv4Addr{view.mapping.internal_address});
        }
        story.step(bed);
    });
}

TEST_CASE("a subscriber has one external address in each pool", "[packet][rfc6888-req2]") {
    run_everywhere(three_pools(), [](TestBed& bed, Story& story) {
        NatRules rules;
        rules.to_source({to_port(53)}, Snat{kOther});
        bed.put_rules(rules.set);
        for (unsigned n = 10; n < 20; ++n) {
            std::set<Ipv4Addr> shown;
            for (uint16_t port = 1000; port < 1010; ++port) {
                shown.insert(outward(bed, udp_out(bed, host(n), port, kServer, 53)).source);
                shown.insert(outward(bed, udp_out(bed, host(n), port, kServer, 54)).source);
                shown.insert(outward(bed, tcp_out(bed, host(n), port, kServer, 53, kSyn)).source);
            }
            CHECK(shown.size() == 2);
        }
        story.step(bed);
    });
}

TEST_CASE("masquerade is behind the departing link's own address", "[packet][masquerade]") {
    const auto by_rule = [](NatRules& rules) {
        rules.to_source({from("100.64.0.0/10"), out_by(kExternalLink)}, Masquerade{});
    };
    const auto by_policy = [](NatRules& rules) {
        const ChainId chain = rules.at(Hook::kNatSource);
        REQUIRE(rules.set.set_policy(chain, Masquerade{}));
    };
    const auto at_forward = [](NatRules& rules) {
        rules.add(Hook::kForward, {from("100.64.0.0/10")}, {Masquerade{}});
    };
    for (const auto& say :
         std::vector<std::function<void(NatRules&)>>{by_rule, by_policy, at_forward}) {
        run_everywhere(three_pools(), [&](TestBed& bed, Story& story) {
            NatRules rules;
            say(rules);
            bed.put_rules(rules.set);
            std::set<Endpoint> shown;
            for (unsigned n = 10; n < 20; ++n) {
                const Decoded asked = outward(bed, udp_out(bed, host(n), 1000, kServer, 53));
                CHECK(asked.source == ip(kOwn));
                CHECK(shown.insert(source_of(asked)).second);
                CHECK(inward(bed, answer_to(bed, asked)).destination == host(n));
                CHECK(outward(bed, udp_out(bed, host(n), 1000, kServer, 53)).source == ip(kOwn));
            }
            story.step(bed);
        });
    }
}

TEST_CASE("an earlier accept leaves a flow to its policy", "[packet]") {
    run_everywhere(three_pools(), [](TestBed& bed, Story& story) {
        NatRules rules;
        rules.to_source({to("192.0.2.1")}, Accept{}).to_source({}, Snat{kOther});
        bed.put_rules(rules.set);
        const auto& pools = bed.settings().pools;
        for (unsigned n = 10; n < 14; ++n) {
            CHECK(is_of(outward(bed, udp_out(bed, host(n), 1, "192.0.2.1", 53)), pools[0]));
            CHECK(is_of(outward(bed, udp_out(bed, host(n), 1, "192.0.2.2", 53)), pools[1]));
        }
        CHECK(rules.counts(bed) == Counts{4, 4});
        story.step(bed);
    });
}

TEST_CASE("packets of one burst ask about their common flow once", "[packet]") {
    run_everywhere(three_pools(), [](TestBed& bed, Story& story) {
        NatRules rules;
        rules.to_source({}, Snat{kOther});
        bed.put_rules(rules.set);
        for (unsigned n = 10; n < 20; ++n) {
            for (unsigned k = 0; k < 5; ++k) {
                bed.push_internal(udp_out(bed, host(n), 1000, kServer, 53));
            }
        }
        bed.run();
        CHECK(bed.take().size() == 50);
        CHECK(rules.counts(bed) == Counts{10});
        CHECK(bed.session_count() == 10);
        story.step(bed);
    });
}

TEST_CASE("sessions keep their translation when the rules change", "[packet]") {
    run_everywhere(three_pools(), [](TestBed& bed, Story& story) {
        NatRules first;
        first.to_source({}, Snat{kOther});
        bed.put_rules(first.set);
        std::vector<Decoded> before;
        for (unsigned n = 10; n < 20; ++n) {
            before.push_back(outward(bed, udp_out(bed, host(n), 1000, kServer, 53)));
        }
        NatRules second;
        second.to_source({}, Snat{kMain});
        second.takes_over(first);
        bed.put_rules(second.set);
        for (unsigned n = 10; n < 20; ++n) {
            const Decoded again = outward(bed, udp_out(bed, host(n), 1000, kServer, 53));
            CHECK(source_of(again) == source_of(before[n - 10]));
            CHECK(inward(bed, answer_to(bed, again)).destination == host(n));
            const Decoded other = outward(bed, udp_out(bed, host(n), 1000, kServer, 54));
            CHECK(is_of(other, bed.settings().pools[kMain.value]));
        }
        CHECK(second.counts(bed) == Counts{10});
        story.step(bed);
    });
}

TEST_CASE("a static endpoint keeps its mapping, whatever rules choose", "[packet]") {
    BedOptions options = three_pools();
    nat::StaticMappingSettings server;
    server.internal = host(9);
    server.external = ip("203.0.113.2");
    server.internal_ports = server.external_ports = {8080, 8080};
    options.nat.static_mappings = {server};
    run_everywhere(options, [](TestBed& bed, Story& story) {
        NatRules rules;
        rules.to_source({}, Snat{kOther});
        bed.put_rules(rules.set);
        const Decoded out = outward(bed, udp_out(bed, host(9), 8080, kServer, 53));
        CHECK(source_of(out) == at("203.0.113.2", 8080));
        CHECK(is_of(outward(bed, udp_out(bed, host(9), 8081, kServer, 53)), bed.settings().pools[1])
        );
        story.step(bed);
    });
}

TEST_CASE(
    "a port is kept in the pool that a rule has chosen, at another address if need be", "[packet]"
) {
    BedOptions options = three_pools();
    nat::PoolSettings& other = options.nat.pools[kOther.value];
    other.port_selection = nat::PortSelection::kPreserve;
    other.pairing = nat::Pairing::kNone;
    run_everywhere(options, [](TestBed& bed, Story& story) {
        NatRules rules;
        rules.to_source({}, Snat{kOther});
        bed.put_rules(rules.set);
        std::set<Ipv4Addr> addresses;
        for (unsigned n = 10; n < 14; ++n) {
            const Decoded asked = outward(bed, udp_out(bed, host(n), 5060, kServer, 5060));
            CHECK(asked.source_port == 5060);
            CHECK(is_of(asked, bed.settings().pools[kOther.value]));
            addresses.insert(asked.source);
            const Decoded told = inward(bed, answer_to(bed, asked));
            CHECK(destination_of(told) == Endpoint{host(n), 5060});
        }
        CHECK(addresses.size() == 4);
        const Decoded fifth = outward(bed, udp_out(bed, host(14), 5060, kServer, 5060));
        CHECK(fifth.source_port != 5060);
        CHECK(is_of(fifth, bed.settings().pools[kOther.value]));
        story.step(bed);
    });
}

TEST_CASE("limits hold for what a subscriber has of a pool", "[packet][rfc6888-req4]") {
    BedOptions options = three_pools();
    options.nat.policies[0].limits.ports = 5;
    options.nat.policies[0].refusal = nat::Refusal::kSilent;
    run_everywhere(options, [](TestBed& bed, Story& story) {
        NatRules rules;
        rules.to_source({to_port(53)}, Snat{kOther});
        bed.put_rules(rules.set);
        for (uint16_t port = 1000; port < 1005; ++port) {
            outward(bed, udp_out(bed, host(10), port, kServer, 53));
            outward(bed, udp_out(bed, host(10), port, kServer, 54));
        }
        for (const uint16_t remote : {uint16_t{53}, uint16_t{54}}) {
            const auto more = udp_out(bed, host(10), 2000, kServer, remote);
            check_refused(bed, kInternalLink, more, DropReason::kSubscriberPortLimit);
        }
        story.step(bed);
    });
}

TEST_CASE("ICMP, fragments and errors go by the pool that a rule has chosen", "[packet]") {
    run_everywhere(three_pools(), [](TestBed& bed, Story& story) {
        NatRules rules;
        rules.to_source({}, Snat{kOther});
        bed.put_rules(rules.set);
        const auto& other = bed.settings().pools[kOther.value];
        uint16_t id = 5;
        for (unsigned n = 10; n < 14; ++n) {
            const Decoded ping =
                outward(bed, bed.from_internal().ipv4(host(n), ip(kServer)).echo_request(7));
            CHECK(is_of(ping, other));
            const auto pong = bed.from_external().ipv4(ip(kServer), ping.source);
            CHECK(inward(bed, PacketBuilder(pong).echo_reply(ping.icmp_id)).icmp_id == 7);
            const auto big =
                udp_out(bed, host(n), 2000, kServer, 53).payload_size(1000).ip_id(++id);
            push_all(bed, kInternalLink, split(PacketBuilder(big).bytes(), kPart));
            bed.run();
            const Decoded left = whole(taken(bed));
            CHECK(is_of(left, other));
            const auto quote = frame()
                                   .ipv4(left.source, ip(kServer))
                                   .udp(left.source_port, 53)
                                   .payload("12345678");
            const Decoded told = inward(
                bed,
                bed.from_external()
                    .ipv4(ip("198.51.100.77"), left.source)
                    .icmp_error(3, 3, quote.l3())
            );
            CHECK(told.destination == host(n));
            REQUIRE(told.quote.size() == 1);
            CHECK(source_of(told.quote[0]) == Endpoint{host(n), 2000});
        }
        story.step(bed);
    });
}

TEST_CASE("a subscriber led to a pool reaches its neighbours by hairpinning", "[packet]") {
    run_everywhere(three_pools(), [](TestBed& bed, Story& story) {
        NatRules rules;
        rules.to_source({}, Snat{kOther});
        bed.put_rules(rules.set);
        outward(bed, udp_out(bed, host(20), 5000, kServer, 53));
        const Endpoint callee = external_of(bed, Protocol::kUdp, host(20), 5000);
        for (unsigned n = 10; n < 16; ++n) {
            const Decoded heard = turned(
                bed, bed.from_internal().ipv4(host(n), callee.address).udp(1000, callee.port)
            );
            CHECK(destination_of(heard) == Endpoint{host(20), 5000});
            CHECK(is_of(heard, bed.settings().pools[kOther.value]));
            const auto reply =
                bed.from_internal().ipv4(host(20), heard.source).udp(5000, heard.source_port);
            CHECK(destination_of(turned(bed, reply)) == Endpoint{host(n), 1000});
        }
        story.step(bed);
    });
}

}  // namespace sekisho::test
