// Static mappings: ports and whole addresses that the operator gives to a subscriber, on any number of shards.
#include <set>

#include <catch2/catch.hpp>

#include "fragment_scenario.h"

namespace sekisho::test {
namespace {

using packet::kFin;
using packet::kRst;

constexpr auto kStatic = "203.0.113.2";  // of the pool: single ports of it are given away
constexpr auto kWhole = "203.0.113.3";   // all of it
constexpr auto kFriend = "192.0.2.200";  // on the access list
constexpr auto kPlain = "192.0.2.1";

nat::StaticMappingSettings port_of(
    unsigned subscriber, std::string_view external, nat::PortRange internal, nat::PortRange outside
) {
    nat::StaticMappingSettings s;
    s.internal = host(subscriber);
    s.external = ip(external);
    s.internal_ports = internal;
    s.external_ports = outside;
    return s;
}

nat::StaticMappingSettings whole_of(unsigned subscriber, std::string_view external) {
    nat::StaticMappingSettings s;
    s.internal = host(subscriber);
    s.external = ip(external);
    return s;
}

// host 10: port 80 of TCP as 8080, and for some only 22 as 2222; host 11: UDP 5000-5009 as 6000-6009; host 12: an address.
BedOptions with_statics() {
    BedOptions options;
    options.nat = nat_settings();
    auto web = port_of(10, kStatic, {80, 80}, {8080, 8080});
    web.udp = false;
    auto shell = port_of(10, kStatic, {22, 22}, {2222, 2222});
    shell.access = {{ip("192.0.2.128"), 25}};
    auto media = port_of(11, kStatic, {5000, 5009}, {6000, 6009});
    media.tcp = false;
    auto low = port_of(13, kStatic, {53, 53}, {53, 53});
    options.nat.static_mappings = {web, shell, media, whole_of(12, kWhole), low};
    return options;
}

PacketBuilder in_udp(TestBed& bed, std::string_view from, uint16_t from_port, Endpoint to) {
    return bed.from_external().ipv4(ip(from), to.address).udp(from_port, to.port);
}

PacketBuilder in_tcp(
    TestBed& bed, std::string_view from, uint16_t from_port, Endpoint to, uint8_t flags
) {
    return bed.from_external().ipv4(ip(from), to.address).tcp(from_port, to.port, flags);
}

}  // namespace

TEST_CASE("a connection from outside reaches the host behind a static port", "[packet][static]") {
    run_everywhere(with_statics(), [](TestBed& bed, Story& story) {
        for (unsigned n = 0; n < 20; ++n) {
            const auto port = static_cast<uint16_t>(4000 + n);
            const Decoded syn = inward(bed, in_tcp(bed, kPlain, port, at(kStatic, 8080), kSyn));
            CHECK(destination_of(syn) == Endpoint{host(10), 80});
            CHECK(source_of(syn) == at(kPlain, port));
            CHECK(syn.ttl == 63);
            const Decoded answer =
                outward(bed, tcp_out(bed, host(10), 80, kPlain, port, kSyn | kAck));
            CHECK(source_of(answer) == at(kStatic, 8080));
            inward(bed, in_tcp(bed, kPlain, port, at(kStatic, 8080), kAck));
        }
        CHECK(bed.session_count() == 20);
        CHECK(bed.mapping_count() == 1);
        story.step(bed);
    });
}

TEST_CASE(
    "what a host sends from a static port leaves from its external port", "[packet][static]"
) {
    run_everywhere(with_statics(), [](TestBed& bed, Story& story) {
        const Decoded web = outward(bed, tcp_out(bed, host(10), 80, kPlain, 9, kSyn));
        CHECK(source_of(web) == at(kStatic, 8080));
        for (unsigned i = 0; i < 10; ++i) {
            const auto port = static_cast<uint16_t>(5000 + i);
            const Decoded media = outward(bed, udp_out(bed, host(11), port, kPlain, 9));
            CHECK(source_of(media) == at(kStatic, 6000 + i));
        }
        // The port before and after the run, and the other protocol: from the pool's blocks.
        for (const uint16_t port : {uint16_t{4999}, uint16_t{5010}}) {
            const Decoded dynamic = outward(bed, udp_out(bed, host(11), port, kPlain, 9));
            const bool is_of_static_block =
                dynamic.source == ip(kStatic) && dynamic.source_port / 256 == 6000 / 256;
            CHECK_FALSE(is_of_static_block);
        }
        const Decoded other = outward(bed, udp_out(bed, host(10), 80, kPlain, 9));
        CHECK(other.source_port != 8080);
        // All that has a static port leaves from that address (RFC 4787 REQ-2).
        CHECK(other.source == ip(kStatic));
        story.step(bed);
    });
}

TEST_CASE(
    "UDP and ICMP from outside pass by a static mapping without state, until they are answered",
    "[packet][static]"
) {
    run_everywhere(with_statics(), [](TestBed& bed, Story& story) {
        const Decoded media = inward(bed, in_udp(bed, kPlain, 4000, at(kStatic, 6003)));
        CHECK(destination_of(media) == Endpoint{host(11), 5003});
        CHECK(bed.session_count() == 0);
        const Decoded answer = outward(bed, udp_out(bed, host(11), 5003, kPlain, 4000));
        CHECK(source_of(answer) == at(kStatic, 6003));
        CHECK(bed.session_count() == 1);
        // Below 1024 as well, and both protocols.
        CHECK(destination_of(inward(bed, in_udp(bed, kPlain, 4000, at(kStatic, 53)))).port == 53);
        const Decoded syn = inward(bed, in_tcp(bed, kPlain, 4000, at(kStatic, 53), kSyn));
        CHECK(destination_of(syn) == Endpoint{host(13), 53});
        story.step(bed);
    });
}

TEST_CASE("an access list says who may begin", "[packet][static]") {
    run_everywhere(with_statics(), [](TestBed& bed, Story& story) {
        const auto from = [&](std::string_view who, uint8_t flags) {
            return in_tcp(bed, who, 4000, at(kStatic, 2222), flags);
        };
        check_refused(bed, kExternalLink, from(kPlain, kSyn), DropReason::kFiltered);
        CHECK(bed.session_count() == 0);
        CHECK(destination_of(inward(bed, from(kFriend, kSyn))) == Endpoint{host(10), 22});
        // Also while it is in use by somebody else; but what the host itself begins is answered.
        check_refused(bed, kExternalLink, from(kPlain, kSyn), DropReason::kFiltered);
        const auto datagram = in_udp(bed, kPlain, 4000, at(kStatic, 2222));
        check_refused(bed, kExternalLink, datagram, DropReason::kFiltered);
        outward(bed, udp_out(bed, host(10), 22, kPlain, 4000));
        CHECK(destination_of(inward(bed, datagram)) == Endpoint{host(10), 22});
        story.step(bed);
    });
}

TEST_CASE("a whole address belongs to one host: every port", "[packet][static]") {
    run_everywhere(with_statics(), [](TestBed& bed, Story& story) {
        for (const unsigned port : {1U, 80U, 1023U, 1024U, 6000U, 40000U, 65535U}) {
            const auto p = static_cast<uint16_t>(port);
            const Decoded in = inward(bed, in_udp(bed, kPlain, 9, at(kWhole, port)));
            CHECK(destination_of(in) == Endpoint{host(12), p});
            const Decoded out = outward(bed, tcp_out(bed, host(12), p, kPlain, 9, kSyn));
            CHECK(source_of(out) == at(kWhole, port));
        }
        // Nobody else has a port of it.
        for (unsigned n = 20; n < 60; ++n) {
            CHECK(outward(bed, udp_out(bed, host(n), 1000, kPlain, 53)).source != ip(kWhole));
        }
        story.step(bed);
    });
}

TEST_CASE("a ping to a whole address is its host's, and keeps its identifier", "[packet][static]") {
    run_everywhere(with_statics(), [](TestBed& bed, Story& story) {
        for (const uint16_t id : {uint16_t{0}, uint16_t{7}, uint16_t{40000}}) {
            const auto ping = bed.from_external().ipv4(ip(kPlain), ip(kWhole)).echo_request(id);
            const Decoded in = inward(bed, ping);
            CHECK(in.destination == host(12));
            CHECK(in.icmp_id == id);
            const auto pong = bed.from_internal().ipv4(host(12), ip(kPlain)).echo_reply(id);
            const Decoded out = outward(bed, pong);
            CHECK(out.source == ip(kWhole));
            CHECK(out.icmp_id == id);
        }
        const auto own = bed.from_internal().ipv4(host(12), ip(kPlain)).echo_request(9);
        CHECK(outward(bed, own).icmp_id == 9);
        const auto reply = bed.from_external().ipv4(ip(kPlain), ip(kWhole)).echo_reply(9);
        CHECK(inward(bed, reply).destination == host(12));
        story.step(bed);
    });
}

TEST_CASE(
    "a subscriber reaches another's static mapping by its external endpoint",
    "[packet][static][rfc4787-req9]"
) {
    run_everywhere(with_statics(), [](TestBed& bed, Story& story) {
        for (const unsigned n : {5U, 6U, 7U, 8U, 12U}) {
            const Decoded call = turned(bed, udp_out(bed, host(n), 1000, kStatic, 6001));
            CHECK(destination_of(call) == Endpoint{host(11), 5001});
            const Endpoint caller = source_of(call);
            CHECK(caller.address != host(n));
            const Decoded back = turned(
                bed, bed.from_internal().ipv4(host(11), caller.address).udp(5001, caller.port)
            );
            CHECK(destination_of(back) == Endpoint{host(n), 1000});
            CHECK(source_of(back) == at(kStatic, 6001));
        }
        story.step(bed);
    });
}

TEST_CASE(
    "a subscriber's ping to another's whole address turns round, and so does the answer",
    "[packet][static][rfc5508-req7-query]"
) {
    run_everywhere(with_statics(), [](TestBed& bed, Story& story) {
        for (const unsigned n : {5U, 6U, 7U, 8U}) {
            const Decoded ping =
                turned(bed, bed.from_internal().ipv4(host(n), ip(kWhole)).echo_request(77));
            CHECK(ping.icmp_type == 8);
            const Decoded pong = turned(
                bed, bed.from_internal().ipv4(host(12), ping.source).echo_reply(ping.icmp_id)
            );
            CHECK(pong.icmp_type == 0);
            CHECK(pong.destination == host(n));
            CHECK(pong.icmp_id == 77);
        }
        story.step(bed);
    });
}

TEST_CASE(
    "a ping turned round keeps the mapping between a whole address and its host",
    "[packet][static][rfc7857-12]"
) {
    run_everywhere(with_statics(), [](TestBed& bed, Story& story) {
        for (const unsigned n : {5U, 6U}) {
            const auto to_whole = bed.from_internal().ipv4(host(n), ip(kWhole));
            const Decoded ping = turned(bed, PacketBuilder(to_whole).echo_request(77));
            CHECK(ping.destination == host(12));
            CHECK(ping.source == external_of(bed, Protocol::kIcmp, host(n), 77).address);
            const auto to_caller = bed.from_internal().ipv4(host(12), ping.source);
            const Decoded pong = turned(bed, PacketBuilder(to_caller).echo_reply(ping.icmp_id));
            CHECK(pong.source == ip(kWhole));
        }
        story.step(bed);
    });
}

TEST_CASE("fragments follow static mappings, echo replies too", "[packet][static][rfc4787-req14]") {
    run_everywhere(with_statics(), [](TestBed& bed, Story& story) {
        uint16_t id = 100;
        const auto pass = [&](LinkId link, PacketBuilder packet) {
            Frames fragments = split(packet.ip_id(++id).payload_size(1000).bytes(), kPart);
            std::reverse(fragments.begin(), fragments.end());
            push_all(bed, link, fragments);
            bed.run();
            const Frames left = taken(bed);
            CHECK(left.size() >= 4);
            return whole(left);
        };
        const Decoded media = pass(kExternalLink, in_udp(bed, kPlain, 9, at(kStatic, 6009)));
        CHECK(destination_of(media) == Endpoint{host(11), 5009});
        const Decoded answer = pass(kInternalLink, udp_out(bed, host(11), 5009, kPlain, 9));
        CHECK(source_of(answer) == at(kStatic, 6009));
        const auto ping = bed.from_external().ipv4(ip(kPlain), ip(kWhole)).echo_request(7);
        CHECK(pass(kExternalLink, ping).destination == host(12));
        const auto pong = bed.from_internal().ipv4(host(12), ip(kPlain)).echo_reply(7);
        const Decoded replied = pass(kInternalLink, pong);
        CHECK(replied.source == ip(kWhole));
        CHECK(replied.icmp_id == 7);
        // Within the appliance, from one subscriber to the other.
        const Decoded asked =
            pass(kInternalLink, bed.from_internal().ipv4(host(5), ip(kWhole)).echo_request(8));
        CHECK(asked.destination == host(12));
        const auto turned = bed.from_internal().ipv4(host(12), asked.source);
        PacketBuilder reply = turned;
        CHECK(pass(kInternalLink, reply.echo_reply(asked.icmp_id)).destination == host(5));
        story.step(bed);
    });
}

TEST_CASE(
    "ICMP errors about packets by a static mapping are translated, without a session too",
    "[packet][static][rfc5508-req4]"
) {
    run_everywhere(with_statics(), [](TestBed& bed, Story& story) {
        // About a datagram, and an echo reply, that the host has sent without a session.
        const auto datagram = frame().ipv4(ip(kStatic), ip(kPlain)).udp(6004, 9).l3();
        const Decoded told = inward(
            bed,
            bed.from_external().ipv4(ip("198.51.100.77"), ip(kStatic)).icmp_error(11, 0, datagram)
        );
        CHECK(told.destination == host(11));
        REQUIRE(told.quote.size() == 1);
        CHECK(source_of(told.quote[0]) == Endpoint{host(11), 5004});
        const auto pong = frame().ipv4(ip(kWhole), ip(kPlain)).echo_reply(7).l3();
        const Decoded about_pong = inward(
            bed, bed.from_external().ipv4(ip("198.51.100.77"), ip(kWhole)).icmp_error(3, 1, pong)
        );
        REQUIRE(about_pong.quote.size() == 1);
        CHECK(about_pong.quote[0].source == host(12));
        CHECK(about_pong.quote[0].icmp_id == 7);
        // The host's own, about what came to it.
        const auto came = frame().ipv4(ip(kPlain), host(11)).udp(9, 5005).l3();
        const Decoded sent =
            outward(bed, bed.from_internal().ipv4(host(11), ip(kPlain)).icmp_error(3, 3, came));
        CHECK(sent.source == ip(kStatic));
        REQUIRE(sent.quote.size() == 1);
        CHECK(destination_of(sent.quote[0]) == at(kStatic, 6005));
        CHECK(bed.session_count() == 0);
        story.step(bed);
    });
}

TEST_CASE(
    "a static mapping does without the limits of ports and mappings, and keeps to that of sessions",
    "[packet][static]"
) {
    BedOptions options = with_statics();
    options.nat.policies[0].limits.ports = 1;
    options.nat.policies[0].limits.mappings = 1;
    options.nat.policies[0].limits.sessions = 8;
    run_everywhere(options, [](TestBed& bed, Story& story) {
        outward(bed, udp_out(bed, host(10), 1000, kPlain, 53));
        const auto second = udp_out(bed, host(10), 1001, kPlain, 53);
        bed.push_internal(second);
        bed.run();
        bed.take();
        CHECK(bed.dropped(DropReason::kSubscriberMappingLimit) == 1);
        // Six of eight sessions may come from outside (one is the subscriber's own already).
        for (unsigned n = 0; n < 5; ++n) {
            const auto port = static_cast<uint16_t>(4000 + n);
            inward(bed, in_tcp(bed, kPlain, port, at(kStatic, 8080), kSyn));
        }
        const auto sixth = in_tcp(bed, kPlain, 4005, at(kStatic, 8080), kSyn);
        check_refused(bed, kExternalLink, sixth, DropReason::kSubscriberSessionLimit);
        outward(bed, tcp_out(bed, host(10), 80, kPlain, 9000, kSyn));
        outward(bed, tcp_out(bed, host(10), 80, kPlain, 9001, kSyn));
        story.step(bed);
    });
}

TEST_CASE(
    "a scan of a whole address from outside leaves the subscriber its sessions, and others all",
    "[packet][static]"
) {
    BedOptions options = with_statics();
    options.nat.policies[0].limits.sessions = 64;
    run_everywhere(options, [](TestBed& bed, Story& story) {
        inward(
            bed, in_udp(bed, kPlain, 4000, at(kWhole, 1))
        );  // its link address is known from here on
        for (unsigned port = 1; port < 3000; ++port) {
            bed.push_external(in_tcp(bed, kPlain, 4000, at(kWhole, port), kSyn));
            bed.push_external(in_udp(bed, kPlain, 4000, at(kWhole, port)));
            if (port % 100 == 0) {
                bed.run();
                bed.take();
            }
        }
        bed.run();
        bed.take();
        CHECK(bed.session_count() == 48);
        CHECK(bed.mapping_count() == 48);
        CHECK(outward(bed, tcp_out(bed, host(12), 9, kPlain, 80, kSyn)).source == ip(kWhole));
        outward(bed, udp_out(bed, host(5), 9, kPlain, 80));
        story.step(bed);
        bed.advance(400 * 1000);
        CHECK(bed.session_count() == 0);
        CHECK(bed.mapping_count() == 0);
    });
}

TEST_CASE("a static mapping never ends: not by time, not by being cleared", "[packet][static]") {
    run_everywhere(with_statics(), [](TestBed& bed, Story& story) {
        inward(bed, in_tcp(bed, kPlain, 4000, at(kStatic, 8080), kSyn));
        outward(bed, udp_out(bed, host(11), 5000, kPlain, 9));
        CHECK(bed.mapping_count() == 2);
        for (unsigned i = 0; i < bed.shards(); ++i) {
            auto& nat = bed.shard(i).nat();
            for (uint32_t s = 0; s < 8; ++s) {
                nat.clear_session({s}, bed.now());
            }
        }
        CHECK(bed.mapping_count() == 0);
        CHECK(bed.session_count() == 0);
        bed.advance(1000 * 1000);
        for (unsigned i = 0; i < bed.shards(); ++i) {
            CHECK(bed.shard(i).nat().subscriber_count() == 0);
        }
        inward(bed, in_tcp(bed, kPlain, 4000, at(kStatic, 8080), kSyn));
        CHECK(outward(bed, udp_out(bed, host(11), 5000, kPlain, 9)).source_port == 6000);
        story.step(bed);
    });
}

TEST_CASE(
    "static mappings are listed from the start, each by its subscriber's shard, with its sessions",
    "[packet][static]"
) {
    run_everywhere(with_statics(), [](TestBed& bed, Story& story) {
        const auto list = [&] {
            std::vector<nat::MappingView> all;
            for (unsigned i = 0; i < bed.shards(); ++i) {
                uint32_t cursor = 0;
                bool more = true;
                while (more) {
                    std::array<nat::MappingView, 2> views;
                    size_t filled = 0;
                    more = bed.shard(i).nat().list_mappings(cursor, 3, views, filled);
                    for (size_t v = 0; v < filled; ++v) {
                        CHECK(views[v].shard == ShardId{static_cast<uint8_t>(i)});
                        all.push_back(views[v]);
                    }
                }
            }
            return all;
        };
        const auto sessions_of = [&](uint16_t external_port, Protocol protocol) {
            int sessions = -1;
            for (const nat::MappingView& view : list()) {
                if (view.kind == nat::MappingView::kStatic &&
                    Port{view.mapping.external_port}.host() == external_port &&
                    view.mapping.protocol == static_cast<uint8_t>(protocol)) {
                    CHECK(sessions == -1);
                    sessions = static_cast<int>(view.mapping.sessions);
                }
            }
            return sessions;
        };
        CHECK(list().size() == 9);  // web 1, shell 2, media 1, whole 3, low 2
        CHECK(sessions_of(6000, Protocol::kUdp) == 0);
        for (unsigned i = 0; i < 10; ++i) {
            const auto port = static_cast<uint16_t>(5000 + i);
            outward(bed, udp_out(bed, host(11), port, kPlain, 9));
        }
        CHECK(sessions_of(6000, Protocol::kUdp) == 10);
        CHECK(list().size() == 19);
        bed.advance(400 * 1000);
        CHECK(sessions_of(6000, Protocol::kUdp) == 0);
        CHECK(list().size() == 9);
        story.step(bed);
    });
}

TEST_CASE(
    "static mappings work the same whatever the policy's mapping and filtering", "[packet][static]"
) {
    BedOptions options = with_statics();
    options.nat.policies[0].mapping = nat::MappingBehaviour::kAddressAndPortDependent;
    options.nat.policies[0].filtering = nat::FilteringBehaviour::kAddressAndPortDependent;
    options.nat.policies[0].port_overloading = true;
    run_everywhere(options, [](TestBed& bed, Story& story) {
        for (unsigned n = 0; n < 5; ++n) {
            const auto port = static_cast<uint16_t>(100 + n);
            CHECK(outward(bed, udp_out(bed, host(11), 5001, kPlain, port)).source_port == 6001);
        }
        CHECK(bed.mapping_count() == 1);
        const Decoded in = inward(bed, in_udp(bed, kFriend, 9, at(kStatic, 6001)));
        CHECK(destination_of(in) == Endpoint{host(11), 5001});
        const auto datagram = frame().ipv4(ip(kStatic), ip(kFriend)).udp(6001, 9).l3();
        const Decoded told = inward(
            bed, bed.from_external().ipv4(ip(kFriend), ip(kStatic)).icmp_error(3, 3, datagram)
        );
        CHECK(told.destination == host(11));
        story.step(bed);
    });
}

TEST_CASE("static ports never come out of a pool, however full it is", "[packet][static]") {
    BedOptions options = with_statics();
    options.nat.pools[0].addresses = {{ip(kStatic), ip(kWhole)}};
    options.nat.pools[0].ports = {5120, 8191};  // 12 blocks; 6000-6009 and 8080 lie in two of them
    options.nat.policies[0].limits.ports = 4096;
    options.nat.pools[0].blocks_per_subscriber = 12;
    run_everywhere(options, [](TestBed& bed, Story& story) {
        std::set<Endpoint> used;
        for (unsigned i = 0; i < 3000; ++i) {
            const auto port = static_cast<uint16_t>(10000 + i);
            bed.push_internal(udp_out(bed, host(5 + i % 5), port, kPlain, 53));
            bed.run();
            for (const auto& sent : bed.take()) {
                if (sent.device == kExternalLink) {
                    used.insert(source_of(decode(sent.bytes)));
                }
            }
        }
        CHECK(used.size() == 10 * 256);
        for (const Endpoint& endpoint : used) {
            CHECK(endpoint.address == ip(kStatic));
            CHECK(endpoint.port / 256 != 6000 / 256);
            CHECK(endpoint.port / 256 != 8080 / 256);
        }
        story.note("all ports are in use");
    });
}

}  // namespace sekisho::test
