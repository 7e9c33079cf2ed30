// What the configuration gives one realm is not its namesake's in another: static mappings, redirects, trigger forwards, tunnels.
#include <catch2/catch.hpp>

#include "two_realms.h"

namespace sekisho::test {
namespace {

constexpr auto kFixed = "203.0.113.2";  // of the pool

PacketBuilder gre(PacketBuilder packet) {
    return packet.protocol(static_cast<uint8_t>(Protocol::kGre)).payload(ByteVector(24, 7));
}

// Nothing leaves into any realm, nor outside.
void check_nothing(TestBed& bed, DropReason reason) {
    const uint64_t before = bed.dropped(reason);
    bed.run();
    CHECK(bed.take().empty());
    CHECK(bed.dropped(reason) == before + 1);
}

}  // namespace

TEST_CASE("a static port of one realm is not its namesake's in another", "[packet][realms]") {
    BedOptions options = two_realms();
    nat::StaticMappingSettings fixed;
    fixed.realm = kBlue;
    fixed.internal = ip(kClient);
    fixed.external = ip(kFixed);
    fixed.internal_ports = {4000, 4000};
    fixed.external_ports = {8000, 8000};
    options.nat.static_mappings = {fixed};
    run_everywhere(options, [](TestBed& bed, Story& story) {
        const auto call = bed.from_external().ipv4(kStranger, kFixed).udp(9, 8000);
        CHECK(destination_of(inward(bed, kBlue, call)) == at(kClient, 4000));
        CHECK(source_of(outward(bed, query(bed, kBlue))) == at(kFixed, 8000));
        // Red's client has the same internal endpoint, and a mapping like anybody's.
        const Endpoint red = source_of(outward(bed, query(bed, kRed)));
        CHECK(red != at(kFixed, 8000));
        CHECK(destination_of(inward(bed, kRed, answer(bed, kRed))) == at(kClient, 4000));
        CHECK(destination_of(inward(bed, kBlue, call)) == at(kClient, 4000));
        story.note("static ports");
    });
}

TEST_CASE("a whole address of one realm is not its namesake's in another", "[packet][realms]") {
    BedOptions options = two_realms();
    nat::StaticMappingSettings whole;
    whole.realm = kBlue;
    whole.internal = ip(kClient);
    whole.external = ip(kFixed);
    options.nat.static_mappings = {whole};
    run_everywhere(options, [](TestBed& bed, Story& story) {
        CHECK(source_of(outward(bed, query(bed, kBlue))) == at(kFixed, 4000));
        CHECK(outward(bed, query(bed, kRed)).source != ip(kFixed));
        const auto ping = bed.from_external().ipv4(kStranger, kFixed).echo_request(5);
        CHECK(inward(bed, kBlue, ping).destination == ip(kClient));
        story.note("whole addresses");
    });
}

TEST_CASE("a redirect of one realm leaves its namesake's packets alone", "[packet][realms]") {
    BedOptions options = two_realms();
    nat::DestinationNatSettings proxy;
    proxy.name = "proxy";
    proxy.realm = kBlue;
    proxy.destination = {{ip("0.0.0.0"), 0}};
    proxy.ports = {53, 53};
    proxy.targets = {{ip(kStranger), {5353, 5353}}};
    options.nat.destination_nat = {proxy};
    run_everywhere(options, [](TestBed& bed, Story& story) {
        const Decoded out = outward(bed, query(bed, kBlue));
        CHECK(destination_of(out) == at(kStranger, 5353));
        CHECK(destination_of(outward(bed, query(bed, kRed))) == at(kServer, 53));
        const auto back =
            bed.from_external().ipv4(ip(kStranger), out.source).udp(5353, out.source_port);
        CHECK(source_of(inward(bed, kBlue, back)) == at(kServer, 53));
        CHECK(source_of(inward(bed, kRed, answer(bed, kRed))) == at(kServer, 53));
        story.note("redirects");
    });
}

TEST_CASE(
    "a trigger forward of one realm is nothing that its namesake could pull", "[packet][realms]"
) {
    BedOptions options = two_realms();
    nat::TriggerForwardSettings video;
    video.name = "video";
    video.realm = kBlue;
    video.external = ip(kFixed);
    video.ports = {7648, 7649};
    video.trigger_port = 7648;
    video.access = nat::TriggerAccess::kAnyone;
    options.nat.trigger_forwards = {video};
    run_everywhere(options, [](TestBed& bed, Story& story) {
        const auto call = [&](RealmId realm) {
            outward(bed, from(bed, realm).ipv4(kClient, kServer).udp(7648, 7648));
        };
        const auto media = bed.from_external().ipv4(kStranger, kFixed).udp(9, 7649);
        call(kRed);
        bed.push_external(media);
        check_nothing(bed, DropReason::kNoMapping);
        call(kBlue);
        CHECK(destination_of(inward(bed, kBlue, media)) == at(kClient, 7649));
        call(kRed);  // takes nothing away
        CHECK(destination_of(inward(bed, kBlue, media)) == at(kClient, 7649));
        story.note("triggers");
    });
}

TEST_CASE("a tunnel of one realm is not its namesake's in another", "[packet][realms]") {
    // Of one external address a remote one is one inside host's, so each has a pool of its own.
    BedOptions options = two_realms();
    options.nat.pools.push_back(options.nat.pools[0]);
    options.nat.pools[0].addresses = {{ip("203.0.113.0"), ip("203.0.113.3")}};
    options.nat.pools[1].addresses = {{ip("203.0.113.4"), ip("203.0.113.7")}};
    options.nat.policies[1].pool = PoolId{1};
    run_everywhere(options, [](TestBed& bed, Story& story) {
        const auto open = [&](RealmId realm) {
            return outward(bed, gre(from(bed, realm).ipv4(kClient, kServer))).source;
        };
        const Ipv4Addr red = open(kRed);
        const Ipv4Addr blue = open(kBlue);
        CHECK(red != blue);
        const auto back = [&](Ipv4Addr to) {
            return gre(bed.from_external().ipv4(ip(kServer), to));
        };
        CHECK(inward(bed, kRed, back(red)).destination == ip(kClient));
        CHECK(inward(bed, kBlue, back(blue)).destination == ip(kClient));
        CHECK(open(kRed) == red);
        CHECK(open(kBlue) == blue);
        CHECK(bed.session_count() == 2);
        story.note("tunnels");
    });
}

}  // namespace sekisho::test
