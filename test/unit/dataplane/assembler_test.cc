// Fragments that wait to be searched together: whose they may be where there are many.
#include "dataplane/assembler.h"

#include <array>
#include <set>

#include <catch2/catch.hpp>

#include "packet/views.h"

namespace sekisho::dataplane {
namespace {

// First fragments, which never become whole.
struct Bed {
    std::optional<DropReason> hold(uint32_t source, uint16_t id, uint32_t ms = 0) {
        std::array<uint8_t, 64>& bytes = buffers.at(next++ % buffers.size());
        bytes[0] = 0x45;
        bytes[packet::offset::kIpProtocol] = static_cast<uint8_t>(Protocol::kUdp);
        packet::store(bytes.data() + packet::offset::kIpSource, source);
        packet::store(bytes.data() + packet::offset::kIpId, id);
        packet::store(bytes.data() + packet::offset::kIpLength, Be16::from_host(28).raw);
        packet::store(bytes.data() + packet::offset::kIpFragment, Be16::from_host(0x2000).raw);
        PacketRef ref;
        ref.data = bytes.data();
        ref.length = ref.frame_length = 28;
        ref.handle = bytes.data();
        return assembler.hold(ref, 0, Tick{ms});
    }
    // The ids of what has ended.
    std::set<uint16_t> ended() {
        std::set<uint16_t> ids;
        while (assembler.has_ended()) {
            const Assembler::Ended ended = assembler.take_ended();
            CHECK(ended.reason == DropReason::kFragmentOverflow);
            ids.insert(packet::load<uint16_t>(ended.packet.data + packet::offset::kIpId));
        }
        return ids;
    }

    Assembler assembler;
    std::array<std::array<uint8_t, 64>, 256> buffers{};
    size_t next = 0;
};

}  // namespace

TEST_CASE("one source has some of the places, and leaves the others their own", "[fragments]") {
    Bed bed;
    for (uint16_t id = 0; id < 100; ++id) {
        const auto refused = bed.hold(1, id);
        CHECK(refused.has_value() == (id >= Assembler::kMostOfSource));
    }
    CHECK(bed.assembler.held() == Assembler::kMostOfSource);
    CHECK_FALSE(bed.hold(2, 0));
    CHECK(bed.ended().empty());
}

TEST_CASE("where there is no place left, who has the most gives its oldest", "[fragments]") {
    Bed bed;
    constexpr uint32_t kSources = Assembler::kDatagrams / Assembler::kMostOfSource;
    uint16_t id = 0;
    for (uint32_t k = 0; k < Assembler::kMostOfSource; ++k) {
        for (uint32_t source = 1; source <= kSources; ++source) {
            CHECK_FALSE(bed.hold(source, id++, 10 * k + source));
        }
    }
    CHECK_FALSE(bed.hold(100, 1000, 500));
    CHECK(bed.ended() == std::set<uint16_t>{0});  // the first source's first
    CHECK_FALSE(bed.hold(101, 1001, 501));
    CHECK(bed.ended() == std::set<uint16_t>{1});  // now the second has the most, and the oldest
    CHECK(bed.assembler.held() == Assembler::kDatagrams);
}

TEST_CASE("of many sources with one datagram each, none gives its place", "[fragments]") {
    Bed bed;
    for (uint32_t source = 1; source <= Assembler::kDatagrams; ++source) {
        CHECK_FALSE(bed.hold(source, static_cast<uint16_t>(source)));
    }
    CHECK(bed.hold(1000, 1) == DropReason::kFragmentOverflow);
    CHECK(bed.ended().empty());
    CHECK(bed.assembler.held() == Assembler::kDatagrams);
}

}  // namespace sekisho::dataplane
