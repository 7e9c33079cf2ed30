// Trigger forwards (SEEDS B6): external ports of whoever has last sent to a control port.
#include <algorithm>

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

TEST_CASE(
    "a connection over the ports outlives its holder's idleness", "[packet][trigger][rfc5382-req5]"
) {
    run_everywhere(triggered(), [](TestBed& bed, Story& story) {
        call(bed, 10);
        const auto segment = [&](uint8_t flags) {
            PacketBuilder packet = from(bed, kOther);
            return packet.tcp(9, 7648, flags);
        };
        const auto answer = [&](unsigned n, uint8_t flags) {
            return tcp_out(bed, host(n), 7648, kOther, 9, flags);
        };
        inward(bed, segment(kSyn));
        outward(bed, answer(10, kSyn | kAck));
        inward(bed, segment(kAck));
        bed.advance(100 * kMinute);
        CHECK(inward(bed, segment(kAck)).destination == host(10));
        CHECK(source_of(outward(bed, answer(10, kAck))) == at(kShown, 7648));
        // Nothing new comes in, and who takes the ports ends it.
        PacketBuilder stranger = from(bed, kServer);
        check_refused(bed, stranger.tcp(9, 7648, kSyn));
        call(bed, 11);
        check_refused(bed, segment(kAck));
        bed.push_internal(answer(10, kAck));
        bed.run();
        CHECK(bed.take().empty());
        story.note("ended");
    });
}

TEST_CASE("an outsider makes nobody a holder by what it is answered", "[packet][trigger]") {
    const Protocol protocol = GENERATE(Protocol::kTcp, Protocol::kUdp);
    BedOptions options = triggered();
    options.nat.trigger_forwards[0].trigger_protocol = protocol;
    nat::StaticMappingSettings fixed;
    fixed.internal = host(20);
    fixed.external = ip("203.0.113.3");
    fixed.internal_ports = fixed.external_ports = {80, 80};
    options.nat.static_mappings = {fixed};
    run_everywhere(options, [protocol](TestBed& bed, Story& story) {
        const bool is_tcp = protocol == Protocol::kTcp;
        const auto send = [&](PacketBuilder to, uint16_t port) {
            bed.push_external(is_tcp ? to.tcp(7648, port, kSyn) : to.udp(7648, port));
            bed.run();
            return bed.take();
        };
        // A static port: the packet comes in, and is answered.
        CHECK(send(bed.from_external().ipv4(ip(kServer), ip("203.0.113.3")), 80).size() == 1);
        // A mapping whose filter admits everybody.
        const auto begun = is_tcp ? tcp_out(bed, host(30), 1000, kOther, 80, kSyn)
                                  : udp_out(bed, host(30), 1000, kOther, 80);
        const Decoded out = outward(bed, begun);
        const auto came = send(bed.from_external().ipv4(ip(kServer), out.source), out.source_port);
        CHECK(came.size() == (is_tcp ? 1 : 0));
        CHECK(bed.dropped(DropReason::kFiltered) == (is_tcp ? 0 : 1));
        for (const auto& [n, port] :
             {std::pair{20U, uint16_t{80}}, std::pair{30U, uint16_t{1000}}}) {
            if (n == 30 && !is_tcp) {
                continue;
            }
            outward(
                bed,
                is_tcp ? tcp_out(bed, host(n), port, kServer, 7648, kSyn | kAck)
                       : udp_out(bed, host(n), port, kServer, 7648)
            );
        }
        PacketBuilder media = from(bed, kServer);
        check_refused(bed, media.udp(9, 7649));
        // Who calls by itself has the ports.
        outward(
            bed,
            is_tcp ? tcp_out(bed, host(30), 1000, "192.0.2.3", 7648, kSyn)
                   : udp_out(bed, host(30), 1000, "192.0.2.3", 7648)
        );
        PacketBuilder now = from(bed, kServer);
        CHECK(inward(bed, now.udp(9, 7649)).destination == host(30));
        story.note(std::to_string(bed.session_count()));
    });
}

TEST_CASE("a call takes the ports of every rule with that control port", "[packet][trigger]") {
    BedOptions options = triggered();
    nat::TriggerForwardSettings audio = options.nat.trigger_forwards[0];
    audio.name = "audio";
    audio.ports = {24032, 24032};
    options.nat.trigger_forwards.push_back(audio);
    run_everywhere(options, [](TestBed& bed, Story& story) {
        for (unsigned n = 10; n < 14; ++n) {
            call(bed, n);
            for (const uint16_t port : {uint16_t{7649}, uint16_t{24032}}) {
                PacketBuilder media = from(bed, kOther);
                CHECK(inward(bed, media.udp(9, port)).destination == host(n));
            }
        }
        story.note(std::to_string(bed.session_count()));
    });
}

TEST_CASE("the log tells who has the ports, and until when", "[packet][trigger][events]") {
    struct Told {
        nat::EventKind kind;
        Ipv4Addr who;
        uint32_t at;
        uint64_t order;
    };
    BedOptions options = triggered();
    options.shards = GENERATE(1U, 3U, 8U);
    options.nat.events.logged = GENERATE(nat::kLogMappings, nat::kLogBlocks);
    TestBed bed(options);
    for (const unsigned n : {10U, 10U, 11U, 10U}) {
        bed.advance(10);
        call(bed, n);
    }
    bed.advance(6 * kMinute);
    std::vector<Told> told;
    for (unsigned i = 0; i < bed.shards(); ++i) {
        nat::EventReader reader = bed.shard(i).nat().event_reader();
        for (const nat::Event& event : reader.front()) {
            const bool is_ports = Ipv4Addr{event.external_address} == ip(kShown) &&
                                  (event.kind == nat::EventKind::kBlockGranted ||
                                   event.kind == nat::EventKind::kBlockReleased) &&
                                  Port{event.last_port}.host() == 7649;
            if (is_ports) {
                CHECK(Port{event.external_port}.host() == 7648);
                told.push_back({event.kind, {event.internal_address}, event.tick_ms, event.sequence}
                );
            }
        }
    }
    std::ranges::stable_sort(told, [](const Told& a, const Told& b) {
        return a.at != b.at ? a.at < b.at : a.order < b.order;
    });
    std::string story;
    for (const Told& t : told) {
        story += (t.kind == nat::EventKind::kBlockGranted ? " +" : " -") +
                 std::to_string(t.who.host() & 0xff);
    }
    CHECK(story == " +10 -10 +11 -11 +10 -10");
}

}  // namespace sekisho::test
