#include "eventlog/anchors.h"

#include <catch2/catch.hpp>

using namespace sekisho;
using eventlog::Anchors;

namespace {
constexpr int64_t kNoon = 1'767'355'200'000;
}

TEST_CASE("ticks become times by the last look at the clock", "[eventlog]") {
    Anchors anchors;
    CHECK(anchors.look({1000}, kNoon) == Anchors::Cause::kStart);
    CHECK(anchors.utc_of({1000}) == kNoon);
    CHECK(anchors.utc_of({400}) == kNoon - 600);
    CHECK(anchors.look({31'000}, kNoon + 30'000) == Anchors::Cause::kNone);
    CHECK(anchors.look({61'000}, kNoon + 60'020) == Anchors::Cause::kMinute);  // slewed
    CHECK(anchors.utc_of({61'500}) == kNoon + 60'520);
}

TEST_CASE("what happened before the clock was set has the time of before", "[eventlog]") {
    for (const int64_t step : {int64_t{3'600'000}, int64_t{-3'600'000}, int64_t{100}}) {
        CAPTURE(step);
        Anchors anchors;
        anchors.look({0}, kNoon);
        CHECK(anchors.look({10'000}, kNoon + 10'000 + step) == Anchors::Cause::kStep);
        CHECK(anchors.utc_of({9'999}) == kNoon + 9'999);
        CHECK(anchors.utc_of({10'000}) == kNoon + 10'000 + step);
        CHECK(anchors.look({70'000}, kNoon + 70'000 + step) == Anchors::Cause::kMinute);
        CHECK(anchors.utc_of({9'999}) == kNoon + 9'999);
        CHECK(anchors.utc_of({10'001}) == kNoon + 10'001 + step);
    }
}

TEST_CASE("the ticks may wrap", "[eventlog]") {
    Anchors anchors;
    anchors.look({0xffffff00}, kNoon);
    CHECK(anchors.utc_of({0x100}) == kNoon + 0x200);
    for (uint32_t i = 1; i < 100'000; ++i) {  // 69 days
        REQUIRE(
            anchors.look(Tick{0xffffff00} + i * 60'000, kNoon + int64_t{i} * 60'000) ==
            Anchors::Cause::kMinute
        );
    }
    CHECK(anchors.utc_of(Tick{0xffffff00} + 99'999U * 60'000 + 5) == kNoon + 99'999LL * 60'000 + 5);
}

TEST_CASE("a clock that is set over and over takes a bounded list", "[eventlog]") {
    Anchors anchors;
    for (uint32_t i = 0; i < 1000; ++i) {
        anchors.look({i}, kNoon + i * 1000);
    }
    CHECK(anchors.utc_of({999}) == kNoon + 999'000);
    CHECK(anchors.utc_of({0}) == kNoon + (1000 - 64) * 1000 - (1000 - 64));
}

TEST_CASE("times are right for months after the clock was set", "[eventlog]") {
    constexpr uint32_t kMinute = 60'000;
    for (const int64_t step : {int64_t{150}, int64_t{-3'600'000}}) {
        Anchors anchors;
        anchors.look({0}, kNoon);
        anchors.look({1'000}, kNoon + 1'000 + step);
        for (uint32_t minute = 2; minute < 120 * 24 * 60; ++minute) {
            const int64_t passed = int64_t{minute} * kMinute;
            const Tick tick{static_cast<uint32_t>(passed)};
            REQUIRE(anchors.look(tick, kNoon + passed + step) == Anchors::Cause::kMinute);
            REQUIRE(anchors.utc_of(tick) == kNoon + passed + step);
            REQUIRE(anchors.utc_of(Tick{tick.ms + 30'000}) == kNoon + passed + step + 30'000);
        }
    }
}
