// Ports that are preserved, packet by packet, on any number of shards.
#include <set>

#include <catch2/catch.hpp>

#include "scenario.h"

namespace sekisho::test {
namespace {

constexpr auto kServer = "192.0.2.1";

BedOptions preserving(unsigned addresses, nat::Pairing pairing = nat::Pairing::kHard) {
    BedOptions options;
    options.nat = nat_settings();
    nat::PoolSettings& pool = options.nat.pools[0];
    pool.addresses = {
        {ip("203.0.113.1"), Ipv4Addr::from_host(ip("203.0.113.0").host() + addresses)}};
    pool.port_selection = nat::PortSelection::kPreserve;
    pool.pairing = pairing;
    return options;
}

}  // namespace

TEST_CASE("hosts behind one address keep their ports, and each gets its answers", "[packet]") {
    run_everywhere(preserving(1), [](TestBed& bed, Story& story) {
        for (unsigned n = 1; n <= 20; ++n) {
            const auto port = static_cast<uint16_t>(30000 + n);
            CHECK(outward(bed, udp_out(bed, host(10 + n), port, kServer, 53)).source_port == port);
            const Decoded syn =
                outward(bed, tcp_out(bed, host(10 + n), port, kServer, 80, packet::kSyn));
            CHECK(syn.source == ip("203.0.113.1"));
            CHECK(syn.source_port == port);
        }
        for (unsigned n = 1; n <= 20; ++n) {
            const auto port = static_cast<uint16_t>(30000 + n);
            bed.push_external(bed.from_external().ipv4(ip(kServer), ip("203.0.113.1")).udp(53, port)
            );
            bed.run();
            const Decoded answer = bed.take_one(kInternalLink);
            CHECK(answer.destination == host(10 + n));
            CHECK(answer.destination_port == port);
        }
        story.step(bed);
    });
}

TEST_CASE("on a clash another address with the same port comes before another port", "[packet]") {
    run_everywhere(preserving(3, nat::Pairing::kNone), [](TestBed& bed, Story& story) {
        std::set<uint32_t> addresses;
        for (unsigned n = 1; n <= 3; ++n) {
            const Decoded out = outward(bed, udp_out(bed, host(10 + n), 5060, kServer, 5060));
            CHECK(out.source_port == 5060);
            addresses.insert(out.source.raw);
        }
        CHECK(addresses.size() == 3);
        CHECK(outward(bed, udp_out(bed, host(14), 5060, kServer, 5060)).source_port != 5060);
        // Two subscribers meet by endpoints at different addresses.
        bed.push_internal(udp_out(bed, host(14), 7000, kServer, 53));
        bed.run();
        CHECK(bed.take_one(kExternalLink).source_port == 7000);
        story.step(bed);
    });
}

TEST_CASE("a burst of new flows of one host keeps all their ports", "[packet]") {
    run_everywhere(preserving(1), [](TestBed& bed, Story& story) {
        std::set<uint16_t> ports;
        for (unsigned n = 0; n < 24; ++n) {
            bed.push_internal(udp_out(bed, host(11), static_cast<uint16_t>(20000 + n), kServer, 53)
            );
            bed.push_internal(udp_out(bed, host(12), static_cast<uint16_t>(21000 + n), kServer, 53)
            );
        }
        bed.run();
        for (const auto& sent : bed.take()) {
            ports.insert(decode(sent.bytes).source_port);
        }
        CHECK(ports.size() == 48);
        CHECK(*ports.begin() == 20000);
        CHECK(*ports.rbegin() == 21023);
        story.step(bed);
    });
}

TEST_CASE(
    "a subscriber's own external endpoint is reached by its neighbour", "[packet][rfc4787-req9]"
) {
    run_everywhere(preserving(1), [](TestBed& bed, Story& story) {
        outward(bed, udp_out(bed, host(11), 4000, kServer, 53));
        bed.push_internal(udp_out(bed, host(12), 4001, "203.0.113.1", 4000));
        bed.run();
        const Decoded met = bed.take_one(kInternalLink);
        CHECK(met.destination == host(11));
        CHECK(met.source == ip("203.0.113.1"));
        CHECK(met.source_port == 4001);
        story.step(bed);
    });
}

}  // namespace sekisho::test
