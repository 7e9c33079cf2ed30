// Trigger forwards (SEEDS B6): external ports of whoever has last sent to a control port.
#include <catch2/catch.hpp>

#include "scenario.h"

namespace sekisho::test {
namespace {

using packet::kAck;
using packet::kSyn;

constexpr auto kShown = "203.0.113.2";  // of the pool
constexpr auto kServer = "192.0.2.1";   // its control port is 7648
constexpr auto kOther = "192.0.2.2";
constexpr uint32_t kMinute = 60 * 1000;

BedOptions triggered(nat::TriggerAccess access = nat::TriggerAccess::kAnyone) {
    BedOptions options;
    options.nat = nat_settings();
    nat::TriggerForwardSettings video;
    video.name = "video";
    video.source = {{ip("100.64.0.0"), 24}};
    video.external = ip(kShown);
    video.ports = {7648, 7649};
    video.trigger_port = 7648;
    video.access = access;
    options.nat.trigger_forwards = {video};
    return options;
}

PacketBuilder from(const TestBed& bed, std::string_view who) {
    return bed.from_external().ipv4(ip(who), ip(kShown));
}
void call(TestBed& bed, unsigned n, std::string_view server = kServer) {
    outward(bed, udp_out(bed, host(n), 7648, server, 7648));
}
void check_refused(TestBed& bed, const PacketBuilder& packet) {
    bed.push_external(packet);
    bed.run();
    CHECK(bed.take().empty());
}

}  // namespace

TEST_CASE("who calls the control port gets the ports, and answers from them", "[packet][trigger]") {
    run_everywhere(triggered(), [](TestBed& bed, Story& story) {
        PacketBuilder early = from(bed, kOther);
        check_refused(bed, early.udp(9, 7649));
        call(bed, 10);
        CHECK(bed.session_count() == 1);
        for (const uint16_t port : {uint16_t{7648}, uint16_t{7649}}) {
            PacketBuilder media = from(bed, kOther);
            CHECK(destination_of(inward(bed, media.udp(9, port))) == Endpoint{host(10), port});
            const Decoded answer = outward(bed, udp_out(bed, host(10), port, kOther, 9));
            CHECK(source_of(answer) == at(kShown, port));
            PacketBuilder more = from(bed, kOther);
            CHECK(destination_of(inward(bed, more.udp(9, port))) == Endpoint{host(10), port});
        }
        PacketBuilder syn = from(bed, kOther);
        CHECK(destination_of(inward(bed, syn.tcp(9, 7648, kSyn))) == Endpoint{host(10), 7648});
        const Decoded accepted = outward(bed, tcp_out(bed, host(10), 7648, kOther, 9, kSyn | kAck));
        CHECK(source_of(accepted) == at(kShown, 7648));
        // The flow to the control port stays what it was, and other ports are nobody's.
        CHECK(
            source_of(outward(bed, udp_out(bed, host(10), 7648, kServer, 7648))).address !=
            Ipv4Addr{}
        );
        PacketBuilder beside = from(bed, kOther);
        check_refused(bed, beside.udp(9, 7650));
        // Whom the rule does not name triggers nothing.
        outward(bed, udp_out(bed, host(300), 7648, kServer, 7648));
        PacketBuilder still = from(bed, kServer);
        CHECK(inward(bed, still.udp(9, 7649)).destination == host(10));
        story.note(std::to_string(bed.session_count()));
    });
}

TEST_CASE("a later caller has the ports at once, with every packet", "[packet][trigger]") {
    run_everywhere(triggered(), [](TestBed& bed, Story& story) {
        const auto media = [&] {
            PacketBuilder packet = from(bed, kOther);
            return packet.udp(9, 7649);
        };
        for (unsigned round = 0; round < 3; ++round) {
            for (unsigned n = 10; n < 18; ++n) {
                call(bed, n);
                CHECK(inward(bed, media()).destination == host(n));
            }
        }
        // One that has answered has a session, which is of no use to it any more.
        CHECK(source_of(outward(bed, udp_out(bed, host(17), 7649, kOther, 9))) == at(kShown, 7649));
        call(bed, 11);
        bed.push_external(media());
        bed.run();
        for (const auto& sent : bed.take()) {
            CHECK(decode(sent.bytes).destination == host(11));
        }
        bed.advance(10);
        CHECK(inward(bed, media()).destination == host(11));
        story.note("the last caller");
    });
}

TEST_CASE("the ports are free again when their holder is idle", "[packet][trigger]") {
    run_everywhere(triggered(), [](TestBed& bed, Story& story) {
        const auto media = [&] {
            PacketBuilder packet = from(bed, kOther);
            return packet.udp(9, 7649);
        };
        call(bed, 10);
        bed.advance(4 * kMinute);
        CHECK(inward(bed, media()).destination == host(10));
        outward(bed, udp_out(bed, host(10), 7649, kOther, 9));  // uses them
        bed.advance(4 * kMinute);
        CHECK(inward(bed, media()).destination == host(10));
        bed.advance(5 * kMinute + 2000);
        check_refused(bed, media());
        CHECK(bed.session_count() == 0);
        CHECK(bed.mapping_count() == 0);
        story.note(std::to_string(bed.session_count()));
        // The ports are nobody else's in between.
        for (unsigned n = 20; n < 60; ++n) {
            const Decoded out = outward(bed, udp_out(bed, host(n), 7648, kOther, 9));
            CHECK_FALSE((out.source == ip(kShown) && out.source_port / 256 == 7648 / 256));
        }
    });
}

TEST_CASE("only who was called may come in, where the rule says so", "[packet][trigger]") {
    run_everywhere(triggered(nat::TriggerAccess::kContacted), [](TestBed& bed, Story& story) {
        call(bed, 10);
        PacketBuilder called = from(bed, kServer);
        CHECK(inward(bed, called.udp(9, 7649)).destination == host(10));
        PacketBuilder other = from(bed, kOther);
        check_refused(bed, other.udp(9, 7649));
        CHECK(bed.dropped(DropReason::kFiltered) == 1);
        call(bed, 10, kOther);
        PacketBuilder now = from(bed, kOther);
        CHECK(inward(bed, now.udp(9, 7649)).destination == host(10));
        story.note(std::to_string(bed.session_count()));
    });
}

}  // namespace sekisho::test
