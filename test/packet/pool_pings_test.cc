// Pings to addresses of a pool: answered where the pool says so, unless somebody inside gets them.
#include <catch2/catch.hpp>

#include "fragmenter.h"
#include "scenario.h"

namespace sekisho::test {
namespace {

constexpr auto kServer = "192.0.2.80";
constexpr auto kPool = "203.0.113.3";

BedOptions answering() {
    BedOptions options;
    options.nat = nat_settings();
    options.nat.pools[0].answers_pings = true;
    return options;
}

PacketBuilder ping(const TestBed& bed, std::string_view to) {
    return bed.from_external().ipv4(kServer, to).echo_request(77, 5).payload("are you there?");
}

}  // namespace

TEST_CASE("a pool that does not answer pings drops them", "[packet][pings][pitfall-21]") {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        check_refused(bed, kExternalLink, ping(bed, kPool), DropReason::kIcmpNoSession);
        bed.push_internal(bed.from_internal().ipv4(host(5), ip(kPool)).echo_request(9));
        story.step(bed);
        CHECK(bed.take().empty());
    });
}

TEST_CASE("a pool that answers pings does so from the address that was asked", "[packet][pings]") {
    run_everywhere(answering(), [](TestBed& bed, Story& story) {
        for (const char* address : {"203.0.113.0", kPool, "203.0.113.7"}) {
            bed.push_external(ping(bed, address));
            bed.run();
            const Decoded reply = bed.take_one(kExternalLink);
            CHECK(reply.source == ip(address));
            CHECK(reply.destination == ip(kServer));
            CHECK(reply.icmp_type == packet::kIcmpEchoReply);
            CHECK(reply.icmp_id == 77);
            CHECK(reply.icmp_sequence == 5);
            CHECK(std::string(reply.payload.begin(), reply.payload.end()) == "are you there?");
        }
        CHECK(bed.session_count() == 0);
        CHECK(bed.slow_path().counters().echo_answers.read() == 3);
        story.step(bed);
    });
}

TEST_CASE("a subscriber's ping to such a pool turns round and comes back", "[packet][pings]") {
    run_everywhere(answering(), [](TestBed& bed, Story& story) {
        const auto request = bed.from_internal().ipv4(host(5), ip(kPool)).echo_request(9, 3);
        const Decoded reply = turned(bed, request);
        CHECK(reply.source == ip(kPool));
        CHECK(reply.destination == host(5));
        CHECK(reply.icmp_type == packet::kIcmpEchoReply);
        CHECK(reply.icmp_id == 9);
        CHECK(reply.icmp_sequence == 3);
        story.step(bed);
    });
}

TEST_CASE("nothing but whole echo requests is answered", "[packet][pings]") {
    run_everywhere(answering(), [](TestBed& bed, Story& story) {
        const auto reply = bed.from_external().ipv4(kServer, kPool);
        check_refused(
            bed, kExternalLink, PacketBuilder(reply).echo_reply(77), DropReason::kIcmpNoSession
        );
        check_refused(bed, kExternalLink, PacketBuilder(reply).udp(9, 9), DropReason::kNoMapping);
        const auto parts = split(ping(bed, kPool).payload_size(600).bytes(), 256);
        for (const auto& part : parts) {
            bed.push(kExternalLink, part);
        }
        story.step(bed);
        CHECK(bed.dropped(DropReason::kIcmpNoSession) == 1 + parts.size());
        check_refused(
            bed,
            kExternalLink,
            bed.from_external().ipv4("203.0.113.1", kPool).echo_request(1),
            DropReason::kSpoofedSource
        );
    });
}

TEST_CASE("a ping to a whole static address is its host's", "[packet][pings]") {
    BedOptions options = answering();
    nat::StaticMappingSettings whole;
    whole.internal = host(9);
    whole.external = ip(kPool);
    options.nat.static_mappings = {whole};
    run_everywhere(options, [](TestBed& bed, Story& story) {
        CHECK(inward(bed, ping(bed, kPool)).destination == host(9));
        CHECK(bed.slow_path().counters().echo_answers.read() == 0);
        story.step(bed);
    });
}

TEST_CASE("pings to the pool have a rate of their own", "[packet][pings][flood]") {
    BedOptions options = answering();
    options.slow_path.pool_echo_per_second = 20;
    options.slow_path.echo_per_second = 30;
    TestBed bed(options);
    for (unsigned n = 0; n < 500; ++n) {
        bed.push_external(ping(bed, kPool));
        bed.run();
    }
    CHECK(bed.take().size() == 20);
    CHECK(bed.dropped(DropReason::kRateLimited) == 480);
    bed.push_external(ping(bed, "198.51.100.2"));
    bed.run();
    CHECK(bed.take().size() == 1);
    bed.advance(1000);
    bed.push_external(ping(bed, kPool));
    bed.run();
    CHECK(bed.take().size() == 1);
}

}  // namespace sekisho::test
