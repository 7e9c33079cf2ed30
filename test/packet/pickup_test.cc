// Connections whose opening was not seen, through policies that pick them up.
#include <catch2/catch.hpp>

#include "scenario.h"

namespace sekisho::test {
namespace {

using packet::kAck;
using packet::kFin;
using packet::kPsh;
using packet::kRst;
using packet::kSyn;

constexpr auto kServer = "192.0.2.1";
constexpr uint32_t kSecond = 1000;

BedOptions picking_up() {
    BedOptions options;
    options.nat = nat_settings();
    options.nat.policies[0].tcp_pickup = true;
    return options;
}

PacketBuilder segment(const TestBed& bed, Ipv4Addr from, uint8_t flags) {
    return tcp_out(bed, from, 1000, kServer, 80, flags).sequence(100).acknowledgement(500);
}

PacketBuilder answer(const TestBed& bed, Ipv4Addr to, uint8_t flags) {
    return tcp_in(bed, kServer, 80, to, 1000, flags).sequence(500).acknowledgement(104);
}

}  // namespace

TEST_CASE(
    "a connection is picked up where it stands, and lives on once it is answered",
    "[packet][pickup]"
) {
    run_everywhere(picking_up(), [](TestBed& bed, Story& story) {
        bed.push_internal(segment(bed, host(5), kAck | kPsh).payload("data"));
        bed.run();
        CHECK(bed.take_one(kExternalLink).sequence == 100);
        story.step(bed);
        bed.advance(200 * kSecond);
        bed.push_external(answer(bed, host(5), kAck));
        bed.run();
        CHECK(bed.take_one(kInternalLink).destination == host(5));
        bed.advance(7400 * kSecond);
        CHECK(bed.session_count() == 1);
        story.step(bed);
    });
}

TEST_CASE(
    "what nobody answers is not kept for long, however often it is sent", "[packet][pickup]"
) {
    run_everywhere(picking_up(), [](TestBed& bed, Story& story) {
        bed.push_internal(segment(bed, host(5), kAck));
        bed.run();
        bed.take();
        bed.advance(242 * kSecond);
        CHECK(bed.session_count() == 0);
        story.step(bed);
    });
}

TEST_CASE("a far end that does not know the connection ends it by its reset", "[packet][pickup]") {
    run_everywhere(picking_up(), [](TestBed& bed, Story& story) {
        bed.push_internal(segment(bed, host(5), kAck));
        bed.push_internal(segment(bed, host(6), kAck));
        bed.run();
        bed.take();
        bed.push_external(answer(bed, host(5), kRst));
        bed.push_external(answer(bed, host(6), kRst).sequence(500 + 65536));  // not in the window
        bed.run();
        CHECK(bed.take().size() == 2);
        bed.push_internal(segment(bed, host(5), kAck));
        bed.push_external(answer(bed, host(5), kAck));
        bed.push_external(answer(bed, host(6), kAck));
        bed.run();
        bed.advance(245 * kSecond);
        CHECK(bed.session_count() == 1);
        story.step(bed);
    });
}

TEST_CASE(
    "only a subscriber's segment in the middle of a connection is picked up", "[packet][pickup]"
) {
    run_everywhere(picking_up(), [](TestBed& bed, Story& story) {
        for (const int flags : {kSyn | kAck, kFin | kAck, kRst + 0, kRst | kAck, kPsh + 0}) {
            bed.push_internal(segment(bed, host(5), static_cast<uint8_t>(flags)));
        }
        bed.run();
        CHECK(bed.dropped(DropReason::kNoSession) == 5);
        bed.push_internal(segment(bed, host(5), kAck));
        bed.run();
        bed.take();
        bed.push_external(tcp_in(bed, "192.0.2.9", 80, host(5), 1000, kAck));
        bed.run();
        CHECK(bed.take().empty());
        CHECK(bed.session_count() == 1);
        story.step(bed);
    });
}

TEST_CASE("what is picked up counts as half-open until it is answered", "[packet][pickup]") {
    BedOptions options = picking_up();
    options.nat.policies[0].limits.half_open = 2;
    run_everywhere(options, [](TestBed& bed, Story& story) {
        const auto send = [&bed](uint16_t port) {
            bed.push_internal(tcp_out(bed, host(5), port, kServer, 80, kAck).acknowledgement(500));
            bed.run();
        };
        send(1000);
        send(1001);
        send(1002);
        CHECK(bed.session_count() == 2);
        CHECK(bed.dropped(DropReason::kSubscriberHalfOpen) == 1);
        bed.push_external(answer(bed, host(5), kAck));
        bed.run();
        send(1002);
        CHECK(bed.session_count() == 3);
        story.step(bed);
    });
}

TEST_CASE("each policy says for itself whether it picks up", "[packet][pickup]") {
    BedOptions options = picking_up();
    nat::PolicySettings strict = options.nat.policies[0];
    strict.name = "strict";
    strict.source = {{host(60), 32}};
    strict.tcp_pickup = false;
    options.nat.policies.insert(options.nat.policies.begin(), strict);
    run_everywhere(options, [](TestBed& bed, Story& story) {
        bed.push_internal(segment(bed, host(60), kAck));
        bed.push_internal(segment(bed, host(5), kAck));
        bed.run();
        CHECK(bed.session_count() == 1);
        CHECK(bed.dropped(DropReason::kNoSession) == 1);
        story.step(bed);
    });
}

}  // namespace sekisho::test
