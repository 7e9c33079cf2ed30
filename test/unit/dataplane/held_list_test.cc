#include "dataplane/held_list.h"

#include <array>

#include <catch2/catch.hpp>

namespace sekisho::dataplane {
namespace {

PacketRef numbered(uint16_t number) {
    PacketRef packet;
    packet.length = number;
    return packet;
}

}  // namespace

TEST_CASE("a subscriber's held packets come out in order, others stay", "[dataplane][held]") {
    HeldList list(16);
    const SubscriberIndex a{1};
    const SubscriberIndex b{257};  // the same chain
    for (const uint16_t n : {uint16_t{1}, uint16_t{2}, uint16_t{3}}) {
        REQUIRE(list.hold(a, numbered(n)));
        REQUIRE(list.hold(b, numbered(static_cast<uint16_t>(10 + n))));
    }
    CHECK_FALSE(list.has_ready());
    list.release(a);
    std::array<PacketRef, 2> out;
    REQUIRE(list.take_ready(out) == 2);
    CHECK(out[0].length == 1);
    CHECK(out[1].length == 2);
    REQUIRE(list.take_ready(out) == 1);
    CHECK(out[0].length == 3);
    CHECK(list.size() == 3);
    list.release_all();
    REQUIRE(list.take_ready(out) == 2);
    CHECK(out[0].length == 11);
}

TEST_CASE("the held list has a bound for all and one for each subscriber", "[dataplane][held]") {
    HeldList list(100);
    for (unsigned n = 0; n < HeldList::kPerSubscriber; ++n) {
        REQUIRE(list.hold(SubscriberIndex{1}, numbered(1)));
    }
    CHECK_FALSE(list.hold(SubscriberIndex{1}, numbered(1)));
    for (unsigned n = HeldList::kPerSubscriber; n < 100; ++n) {
        REQUIRE(list.hold(SubscriberIndex{2}, numbered(2)));
    }
    CHECK_FALSE(list.hold(SubscriberIndex{3}, numbered(3)));
    list.release(SubscriberIndex{1});
    std::array<PacketRef, 32> out;
    CHECK(list.take_ready(out) == 32);
    CHECK(list.hold(SubscriberIndex{3}, numbered(3)));
}

}  // namespace sekisho::dataplane
