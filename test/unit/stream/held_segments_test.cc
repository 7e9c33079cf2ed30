#include "stream/held_segments.h"

#include <vector>

#include <catch2/catch.hpp>

namespace sekisho::stream {
namespace {

PacketRef packet_of(uintptr_t number) {
    PacketRef packet;
    packet.handle = reinterpret_cast<void*>(number);
    return packet;
}

std::vector<uintptr_t> take_ready(HeldSegments& held) {
    std::vector<uintptr_t> numbers;
    PacketRef packet;
    while (held.take_ready({&packet, 1}) == 1) {
        CHECK((packet.flags & packet::kCounted) != 0);
        numbers.push_back(reinterpret_cast<uintptr_t>(packet.handle));
    }
    return numbers;
}

std::vector<uintptr_t> take_ended(HeldSegments& held, DropReason reason) {
    std::vector<uintptr_t> numbers;
    while (held.has_ended()) {
        const auto ended = held.take_ended();
        CHECK(ended.reason == reason);
        numbers.push_back(reinterpret_cast<uintptr_t>(ended.packet.handle));
    }
    return numbers;
}

struct Rig {
    HeldSegments held{100, Seconds{4}};
    HeldSegments::Chain chains[2];
    Tick now{0xfffffff0};
    uintptr_t last = 0;

    std::optional<DropReason> hold(unsigned chain, uint32_t begin, uint32_t end) {
        PacketRef packet = packet_of(++last);
        return held.hold(chains[chain], {begin, end}, packet, StreamIndex{chain}, now);
    }
};

using Numbers = std::vector<uintptr_t>;

}  // namespace

TEST_CASE("a stream's held segments come in the order of their bytes", "[stream]") {
    Rig rig;
    for (const uint32_t begin : {0xffffff00U, 0x40U, 0xffffffc0U, 0x80U, 0xffffff40U, 0U}) {
        CHECK(!rig.hold(0, begin, begin + 0x40));
    }
    CHECK(!rig.hold(1, 0xffffff40, 0xffffff80));
    rig.held.release(rig.chains[0], 0xfffffe00);
    CHECK(take_ready(rig.held).empty());
    rig.held.release(rig.chains[0], 0xffffff00);  // 0xffffff80 is missing
    CHECK(take_ready(rig.held) == Numbers{1, 5});
    rig.held.release(rig.chains[0], 0xffffffc0);
    CHECK(take_ready(rig.held) == Numbers{3, 6, 2, 4});
    CHECK(rig.chains[0].size == 0);
    CHECK(rig.held.held() == 1);
}

TEST_CASE("what brings nothing that does not wait already is refused", "[stream]") {
    Rig rig;
    CHECK(!rig.hold(0, 100, 200));
    CHECK(!rig.hold(0, 100, 250));
    CHECK(rig.hold(0, 100, 250) == DropReason::kStreamDuplicate);
    CHECK(rig.hold(0, 100, 150) == DropReason::kStreamDuplicate);
    CHECK(!rig.hold(0, 50, 80));
    CHECK(!rig.hold(0, 300, 400));
    CHECK(rig.hold(0, 100, 200) == DropReason::kStreamDuplicate);
    CHECK(!rig.hold(1, 100, 200));
    rig.held.release(rig.chains[0], 100);
    CHECK(take_ready(rig.held) == Numbers{5, 1, 2});
}

TEST_CASE("no stream holds more than its share, nor all more than there is room", "[stream]") {
    Rig rig;
    for (uint32_t i = 0; i < HeldSegments::kPerStream; ++i) {
        CHECK(!rig.hold(0, i * 10, i * 10 + 10));
    }
    CHECK(rig.hold(0, 5000, 5010) == DropReason::kStreamHeldOverflow);
    for (uint32_t i = 0; i < 100U - HeldSegments::kPerStream; ++i) {
        CHECK(!rig.hold(1, i * 10, i * 10 + 10));
    }
    CHECK(rig.hold(1, 5000, 5010) == DropReason::kStreamHeldOverflow);
    rig.held.end(rig.chains[0], DropReason::kStreamOrphan);
    CHECK(rig.hold(1, 5000, 5010) == DropReason::kStreamHeldOverflow);  // still the table's
    CHECK(take_ended(rig.held, DropReason::kStreamOrphan).size() == HeldSegments::kPerStream);
    CHECK(!rig.hold(1, 5000, 5010));
}

TEST_CASE("the oldest end first, wherever they stand", "[stream]") {
    Rig rig;
    rig.hold(0, 300, 310);
    rig.now = rig.now + 1000;
    rig.hold(0, 100, 110);
    rig.hold(1, 100, 110);
    rig.hold(0, 200, 210);
    rig.now = rig.now + 3000;
    REQUIRE(rig.held.oldest_overdue(rig.now).value == 0);
    rig.held.end_oldest(rig.chains[0], DropReason::kStreamHeldTimeout);
    CHECK(rig.held.oldest_overdue(rig.now).value == kNoIndex);
    CHECK(rig.chains[0].size == 2);
    rig.hold(0, 250, 260);  // goes to the end
    rig.held.release(rig.chains[0], 100);
    CHECK(take_ready(rig.held) == Numbers{2});
    rig.now = rig.now + 1000;
    REQUIRE(rig.held.oldest_overdue(rig.now).value == 1);
    rig.held.end_oldest(rig.chains[1], DropReason::kStreamHeldTimeout);
    REQUIRE(rig.held.oldest_overdue(rig.now).value == 0);
    rig.held.end_oldest(rig.chains[0], DropReason::kStreamHeldTimeout);
    CHECK(take_ended(rig.held, DropReason::kStreamHeldTimeout) == Numbers{1, 3, 4});
    rig.held.release(rig.chains[0], 250);
    CHECK(take_ready(rig.held) == Numbers{5});
    CHECK(rig.held.held() == 0);
}

}  // namespace sekisho::stream
