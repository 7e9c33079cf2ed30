// Clamping the segment size of a SYN: tables, and random options against a full recomputation of the checksum.
#include "nat/mss.h"

#include <algorithm>
#include <random>
#include <vector>

#include <catch2/catch.hpp>

#include "packet/checksum.h"
#include "packet/views.h"

using namespace sekisho;

namespace {

using Bytes = std::vector<uint8_t>;

// A header with these options, padded with zeros, and a right checksum.
Bytes header_with(Bytes options) {
    options.resize((options.size() + 3) / 4 * 4);
    Bytes tcp(packet::kTcpHeader + options.size());
    tcp[0] = 0x12;
    tcp[12] = static_cast<uint8_t>((packet::kTcpHeader + options.size()) / 4 << 4);
    tcp[13] = packet::kSyn;
    std::ranges::copy(options, tcp.begin() + packet::kTcpHeader);
    packet::store(&tcp[packet::offset::kTcpChecksum], packet::full_checksum(tcp));
    return tcp;
}

}  // namespace

TEST_CASE("a larger segment size is clamped, wherever its option stands", "[nat][mss]") {
    struct Case {
        const char* what;
        Bytes before;
        Bytes after;
    };
    const Case cases[] = {
        {"alone", {2, 4, 0x05, 0xb4}, {2, 4, 0x05, 0x14}},
        {"at an odd place", {1, 2, 4, 0x05, 0xb4}, {1, 2, 4, 0x05, 0x14}},
        {"behind others", {4, 2, 3, 3, 7, 2, 4, 0xff, 0xff}, {4, 2, 3, 3, 7, 2, 4, 0x05, 0x14}},
        {"twice", {2, 4, 0x05, 0xb4, 2, 4, 0x06, 0}, {2, 4, 0x05, 0x14, 2, 4, 0x05, 0x14}},
        {"a jumbo frame's", {2, 4, 0x23, 0x28}, {2, 4, 0x05, 0x14}},
        {"at the very end of the longest header", Bytes(36, 1), Bytes(36, 1)},
    };
    for (Case each : cases) {
        CAPTURE(each.what);
        if (each.before.size() == 36) {
            each.before.insert(each.before.end(), {2, 4, 0x05, 0xb4});
            each.after.insert(each.after.end(), {2, 4, 0x05, 0x14});
        }
        Bytes tcp = header_with(each.before);
        CHECK(nat::clamp_mss(tcp, 1300));
        CHECK(tcp == header_with(each.after));
    }
}

TEST_CASE("what is no larger segment size stays byte for byte", "[nat][mss]") {
    const Bytes cases[] = {
        {},                  // none is added
        {2, 4, 0x05, 0x14},  // just as large
        {2, 4, 0x02, 0x18},  // never raised
        {2, 4, 0, 0},
        {0, 2, 4, 0x05, 0xb4},  // behind the end
        {2, 3, 0xff, 1},        // no such length
        {2, 6, 0xff, 0xff, 0xff, 0xff},
        {3, 0, 2, 4, 0xff, 0xff},  // a length of nothing
        {3, 1, 2, 4, 0xff, 0xff},
        {2, 4, 0xff, 0xff, 3, 0, 0, 0},  // malformed behind it
        {2, 4, 0xff, 0xff, 3, 5, 0, 0},  // past the header
        {2, 4, 0xff, 0xff, 1, 1, 1, 3},  // cut behind its kind
        {1, 1, 2, 4},
        {1, 1, 1, 2},
        {2, 255, 0xff, 0xff},
    };
    for (const Bytes& options : cases) {
        CAPTURE(options);
        const Bytes before = header_with(options);
        Bytes tcp = before;
        CHECK_FALSE(nat::clamp_mss(tcp, 1300));
        CHECK(tcp == before);
    }
}

TEST_CASE("after any clamping the checksum is what a full sum gives", "[nat][mss]") {
    std::mt19937 draw(7);
    unsigned changed = 0;
    for (unsigned round = 0; round < 200000; ++round) {
        Bytes options(draw() % 41);
        for (uint8_t& byte : options) {
            byte = static_cast<uint8_t>(draw() % 3 == 0 ? draw() : draw() % 5);
        }
        if (options.size() >= 8 && draw() % 2 == 0) {
            const size_t at = draw() % 5;
            std::fill_n(options.begin(), at, uint8_t{1});
            options[at] = 2;
            options[at + 1] = 4;
            std::fill(
                options.begin() + static_cast<std::ptrdiff_t>(at) + 4, options.end(), uint8_t{1}
            );
        }
        Bytes tcp = header_with(options);
        const Bytes before = tcp;
        const auto most = static_cast<uint16_t>(draw());
        if (!nat::clamp_mss(tcp, most)) {
            REQUIRE(tcp == before);
            continue;
        }
        ++changed;
        Bytes summed = tcp;
        packet::store(&summed[packet::offset::kTcpChecksum], uint16_t{0});
        packet::store(&summed[packet::offset::kTcpChecksum], packet::full_checksum(summed));
        REQUIRE(summed == tcp);
        REQUIRE(tcp.size() == before.size());
    }
    CHECK(changed > 1000);
}
