// Services (SEEDS B8): an external endpoint behind which several subscribers stand, each with its share.
#include <map>
#include <set>

#include <catch2/catch.hpp>

#include "fragment_scenario.h"

namespace sekisho::test {
namespace {

constexpr auto kService = "203.0.113.2";  // of the pool
constexpr auto kClient = "192.0.2.1";

// 443 and 53 of the service are 8443 and 53 of hosts 10 to 12, the last of which gets nothing new.
BedOptions balanced(nat::Affinity affinity = nat::Affinity::kNone) {
    BedOptions options;
    options.nat = nat_settings();
    nat::DestinationNatSettings rule;
    rule.name = "web";
    rule.is_inbound = true;
    rule.realm = kExternalRealm;
    rule.destination = {{ip(kService), 32}};
    rule.ports = {443, 443};
    rule.udp = false;
    rule.affinity = affinity;
    rule.targets = {
        {host(10), {8443, 8443}, 3}, {host(11), {8443, 8443}, 1}, {host(12), {8443, 8443}, 0}};
    nat::DestinationNatSettings names = rule;
    names.name = "dns";
    names.ports = {53, 53};
    names.tcp = false;
    names.udp = true;
    names.source = {{ip("192.0.2.0"), 24}};
    names.targets = {{host(10)}, {host(11)}};
    options.nat.destination_nat = {rule, names};
    options.nat.policies[0].limits.inbound_openings = 1000;
    return options;
}

PacketBuilder syn(const TestBed& bed, std::string_view from, unsigned port, uint8_t flags = kSyn) {
    return bed.from_external()
        .ipv4(ip(from), ip(kService))
        .tcp(static_cast<uint16_t>(port), 443, flags);
}
PacketBuilder question(const TestBed& bed, std::string_view from, unsigned port) {
    return bed.from_external().ipv4(ip(from), ip(kService)).udp(static_cast<uint16_t>(port), 53);
}

}  // namespace

TEST_CASE("connections to a service are spread by weight, and each stays", "[packet][redirect]") {
    run_everywhere(balanced(), [](TestBed& bed, Story& story) {
        std::map<Ipv4Addr, unsigned> connections;
        for (unsigned n = 0; n < 200; ++n) {
            const std::string client = "192.0.2." + std::to_string(1 + n % 50);
            const unsigned port = 4000 + n;
            const Decoded opened = inward(bed, syn(bed, client, port));
            const Ipv4Addr member = opened.destination;
            ++connections[member];
            CHECK(opened.destination_port == 8443);
            CHECK(source_of(opened) == at(client, port));
            const auto to = static_cast<uint16_t>(port);
            const Decoded answer =
                outward(bed, tcp_out(bed, member, 8443, client, to, kSyn | kAck));
            CHECK(source_of(answer) == at(kService, 443));
            CHECK(inward(bed, syn(bed, client, port, kAck)).destination == member);
            story.note(std::to_string(n) + " to " + std::to_string(member.host() & 0xff));
        }
        CHECK(connections.size() == 2);
        CHECK(connections[host(10)] > 125);  // of 200: 150 are expected, 6 a standard deviation
        CHECK(connections[host(10)] < 175);
        CHECK(bed.session_count() == 200);
        CHECK(bed.mapping_count() == 2);  // one a member in use
        // What a member begins itself is its own, from another endpoint, whoever it is to.
        std::set<Endpoint> own;
        for (unsigned n = 0; n < 50; ++n) {
            const auto port = static_cast<uint16_t>(9000 + n);
            own.insert(source_of(outward(bed, tcp_out(bed, host(12), 8443, kClient, port, kSyn))));
        }
        CHECK(own.size() == 1);
        CHECK(own.count(at(kService, 443)) == 0);
        bed.advance(8000 * 1000);
        CHECK(bed.session_count() == 0);
        CHECK(bed.mapping_count() == 0);
    });
}

TEST_CASE("with affinity all of a client goes to one member", "[packet][redirect]") {
    run_everywhere(balanced(nat::Affinity::kSource), [](TestBed& bed, Story& story) {
        std::set<Ipv4Addr> members;
        for (unsigned c = 1; c < 20; ++c) {
            const std::string client = "192.0.2." + std::to_string(c);
            std::set<Ipv4Addr> of_client;
            for (unsigned port = 4000; port < 4008; ++port) {
                of_client.insert(inward(bed, syn(bed, client, port)).destination);
            }
            CHECK(of_client.size() == 1);
            story.note(client + " to " + std::to_string(of_client.begin()->host() & 0xff));
            members.insert(*of_client.begin());
        }
        CHECK(members.size() == 2);
    });
}

TEST_CASE(
    "datagrams to a service pass without state until their member answers, fragments too",
    "[packet][redirect][rfc4787-req14]"
) {
    run_everywhere(balanced(), [](TestBed& bed, Story& story) {
        uint16_t id = 1;
        for (unsigned n = 0; n < 20; ++n) {
            const unsigned port = 4000 + n;
            const Decoded asked = inward(bed, question(bed, kClient, port));
            CHECK(asked.destination_port == 53);
            const Frames fragments =
                split(question(bed, kClient, port).ip_id(++id).payload_size(1000).bytes(), kPart);
            push_all(bed, kExternalLink, {fragments.rbegin(), fragments.rend()});
            bed.run();
            CHECK(whole(taken(bed)).destination == asked.destination);
            CHECK(bed.session_count() == n);
            const auto to = static_cast<uint16_t>(port);
            const Decoded told = outward(bed, udp_out(bed, asked.destination, 53, kClient, to));
            CHECK(source_of(told) == at(kService, 53));
            CHECK(inward(bed, question(bed, kClient, port)).destination == asked.destination);
            CHECK(bed.session_count() == n + 1);
            story.note(
                std::to_string(n) + " to " + std::to_string(asked.destination.host() & 0xff)
            );
        }
        // Whom the rule does not name is refused.
        const uint64_t before = bed.dropped(DropReason::kFiltered);
        bed.push_external(question(bed, "198.51.100.77", 4000));
        bed.run();
        CHECK(bed.take().empty());
        CHECK(bed.dropped(DropReason::kFiltered) == before + 1);
    });
}

TEST_CASE(
    "a subscriber reaches a service as outsiders do, and ICMP errors find their way",
    "[packet][redirect][rfc5382-req8]"
) {
    run_everywhere(balanced(), [](TestBed& bed, Story& story) {
        for (unsigned n = 20; n < 30; ++n) {
            bed.push_internal(tcp_out(bed, host(n), 1000, kService, 443, kSyn));
            bed.run();
            const Decoded opened = bed.take_one(kInternalLink);
            CHECK(opened.destination_port == 8443);
            CHECK(opened.source != host(n));
            bed.push_internal(bed.from_internal()
                                  .ipv4(opened.destination, opened.source)
                                  .tcp(8443, opened.source_port, kSyn | kAck));
            bed.run();
            const Decoded answer = bed.take_one(kInternalLink);
            CHECK(source_of(answer) == at(kService, 443));
            CHECK(destination_of(answer) == Endpoint{host(n), 1000});
        }
        const Decoded asked = inward(bed, question(bed, kClient, 4000));
        const auto came = frame().ipv4(ip(kClient), asked.destination).udp(4000, 53).l3();
        const Decoded sent = outward(
            bed, bed.from_internal().ipv4(asked.destination, ip(kClient)).icmp_error(3, 3, came)
        );
        CHECK(sent.source == ip(kService));
        REQUIRE(sent.quote.size() == 1);
        CHECK(destination_of(sent.quote[0]) == at(kService, 53));
        const auto left = frame().ipv4(ip(kService), ip(kClient)).udp(53, 4000).l3();
        const Decoded told = inward(
            bed, bed.from_external().ipv4(ip("198.51.100.77"), ip(kService)).icmp_error(11, 0, left)
        );
        CHECK(told.destination == asked.destination);
        REQUIRE(told.quote.size() == 1);
        CHECK(source_of(told.quote[0]) == Endpoint{asked.destination, 53});
        story.note("asked " + std::to_string(asked.destination.host() & 0xff));
    });
}

}  // namespace sekisho::test
