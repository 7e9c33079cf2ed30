// What no packet may be (SEEDS A14, B10): from an address of the other side, source-routed, or to a group.
#include <catch2/catch.hpp>

#include "nat/event_ring.h"
#include "scenario.h"

namespace sekisho::test {
namespace {

constexpr auto kServer = "192.0.2.80";

struct Forged {
    LinkId link;
    const char* source;
};
// Inside addresses that come from outside, and the other way round. 10.0.0.0/8 is routed inside, all else outside.
constexpr Forged kForged[] = {
    {kExternalLink, "100.64.0.9"},
    {kExternalLink, "100.127.255.254"},
    {kExternalLink, "10.9.8.7"},
    {kExternalLink, "100.64.0.1"},
    {kExternalLink, "203.0.113.1"},
    {kExternalLink, "198.51.100.2"},
    {kInternalLink, "192.0.2.80"},
    {kInternalLink, "198.51.100.1"},
    {kInternalLink, "198.51.100.2"},
    {kInternalLink, "203.0.113.1"},
};

// Its policy covers whoever sends from inside.
BedOptions for_everybody() {
    BedOptions options;
    options.nat = nat_settings();
    options.nat.policies[0].source = {Ipv4Prefix{ip("0.0.0.0"), 0}};
    return options;
}

}  // namespace

TEST_CASE("a source that is none of its side reaches nobody", "[packet][rfc2827][hygiene]") {
    run_everywhere(for_everybody(), [](TestBed& bed, Story& story) {
        bed.push_internal(udp_out(bed, host(5), 1000, kServer, 53));
        bed.push_internal(tcp_out(bed, host(5), 1000, kServer, 80, packet::kSyn));
        story.step(bed);
        const Endpoint udp = external_of(bed, Protocol::kUdp, host(5), 1000);
        const Endpoint tcp = external_of(bed, Protocol::kTcp, host(5), 1000);
        for (const Forged& forged : kForged) {
            INFO(forged.source);
            const bool inside = forged.link == kInternalLink;
            const auto from = inside ? bed.from_internal() : bed.from_external();
            const auto to = [&](const Endpoint& e) {
                return PacketBuilder(from).ipv4(
                    ip(forged.source), inside ? ip("192.0.2.1") : e.address
                );
            };
            for (const uint8_t ttl : {uint8_t{64}, uint8_t{1}}) {
                const auto datagram = to(udp).ttl(ttl).udp(53, udp.port);
                const auto opening = to(tcp).ttl(ttl).tcp(80, tcp.port, packet::kSyn);
                const auto ping = to(udp).ttl(ttl).echo_request(7);
                for (const PacketBuilder& packet : {datagram, opening, ping}) {
                    check_refused(bed, forged.link, packet, DropReason::kSpoofedSource);
                }
            }
        }
        story.step(bed);
        CHECK(bed.session_count() == 2);
        CHECK(bed.dropped(DropReason::kSpoofedSource) == 6 * std::size(kForged));
        bed.advance(7000);
        CHECK(bed.take().empty());
    });
}

TEST_CASE(
    "who is inside but has no policy is told so, and no stranger is", "[packet][rfc2827][hygiene]"
) {
    BedOptions options;
    options.nat = nat_settings();
    TestBed bed(options);
    bed.push_internal(bed.from_internal().ipv4("172.16.0.1", kServer).udp(1, 2));
    bed.run();
    CHECK(bed.dropped(DropReason::kNoPolicy) == 1);
    CHECK(bed.dropped(DropReason::kSpoofedSource) == 0);
}

TEST_CASE("source-routed packets pass neither way", "[packet][rfc7126][hygiene]") {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        bed.push_internal(udp_out(bed, host(5), 1000, kServer, 53));
        story.step(bed);
        const ByteVector loose{131, 7, 4, 192, 0, 2, 9, 0};
        const ByteVector strict{1, 137, 7, 4, 192, 0, 2, 9};
        for (const ByteVector& route : {loose, strict}) {
            check_refused(
                bed,
                kInternalLink,
                udp_out(bed, host(5), 1000, kServer, 53).ip_options(route),
                DropReason::kSourceRouted
            );
            check_refused(
                bed,
                kExternalLink,
                udp_in(bed, kServer, 53, host(5), 1000).ip_options(route),
                DropReason::kSourceRouted
            );
        }
        story.step(bed);
    });
}

TEST_CASE(
    "multicast is counted by its name, and neither fills a table nor the log",
    "[packet][events][hygiene]"
) {
    BedOptions options;
    options.nat = nat_settings();
    options.nat.events.logged = nat::kLogMappings | nat::kLogSessions | nat::kLogLimits;
    TestBed bed(options);
    const MacAddr group{{0x01, 0x00, 0x5e, 0x01, 0x02, 0x03}};
    nat::EventReader events = bed.shard(0).nat().event_reader();
    unsigned sent = 0;
    for (const LinkId link : {kInternalLink, kExternalLink}) {
        for (unsigned n = 0; n < 500; ++n) {
            const auto to = Ipv4Addr::of(239, 1, 2, 3);
            const Ipv4Addr from = link == kInternalLink ? host(5 + n) : ip(kServer);
            const bool is_to_station = n % 2 == 0;
            PacketBuilder packet = is_to_station && link == kInternalLink ? bed.from_internal()
                                   : is_to_station                        ? bed.from_external()
                                                   : frame().mac(kHostMac, group);
            packet.ipv4(from, to).udp(static_cast<uint16_t>(1 + n), 5004);
            bed.push(link, packet.bytes());
            ++sent;
        }
        bed.run();
    }
    CHECK(bed.take().empty());
    CHECK(bed.dropped(DropReason::kMulticast) == sent);
    CHECK(bed.session_count() == 0);
    CHECK(events.front().empty());
}

TEST_CASE(
    "groups that the configuration names pass from link to link, and no others", "[packet][hygiene]"
) {
    BedOptions options;
    options.nat = nat_settings();
    options.internal_vlans = GENERATE(std::vector<uint16_t>{}, std::vector<uint16_t>{7});
    options.internal_mtu = 1400;
    options.multicast = {{Ipv4Prefix{ip("239.1.0.0"), 16}, kExternalLink, kInternalLink}};
    run_everywhere(options, [](TestBed& bed, Story& story) {
        const MacAddr group{{0x01, 0x00, 0x5e, 0x01, 0x82, 0x03}};
        const auto to = [&](const char* address) {
            return frame().mac(kHostMac, group).ipv4(kServer, address).udp(5004, 5004).ttl(9);
        };
        const Decoded sent = inward(bed, to("239.1.130.3").payload("on air"));
        CHECK(sent.to == group);
        CHECK(sent.from == bed.mac(kInternalLink));
        CHECK(sent.source == ip(kServer));
        CHECK(sent.destination == ip("239.1.130.3"));
        CHECK(sent.ttl == 8);
        CHECK(std::string(sent.payload.begin(), sent.payload.end()) == "on air");
        const auto refuse = [&](const PacketBuilder& packet, DropReason reason) {
            check_refused(bed, kExternalLink, packet, reason);
        };
        refuse(to("239.2.0.1"), DropReason::kMulticast);
        refuse(to("239.1.0.1").ttl(1), DropReason::kTtlExceeded);
        refuse(to("239.1.0.1").payload_size(1400), DropReason::kTooBig);
        refuse(to("239.1.0.1").ipv4("100.64.0.9", "239.1.0.1"), DropReason::kSpoofedSource);
        refuse(to("239.1.0.1").ip_checksum(1), DropReason::kBadIpChecksum);
        refuse(to("239.1.0.1").ip_options({131, 3, 4}), DropReason::kSourceRouted);
        refuse(to("192.0.2.9"), DropReason::kLinkBroadcast);
        CHECK(bed.session_count() == 0);
        story.step(bed);
    });
}

}  // namespace sekisho::test
