#include "flow/timing_wheel.h"

#include <vector>

#include <catch2/catch.hpp>

#include "line_memory.h"

using namespace sekisho;
using support::LineMemory;

namespace {

struct Wheel {
    explicit Wheel(size_t entries, Tick now = {})
        : memory(TimingWheel::bytes_for(entries)), wheel(memory.bytes(), entries, now) {}

    std::vector<uint32_t> fired(Tick now, uint32_t budget = 1'000'000) {
        std::vector<uint32_t> out;
        const uint32_t n = wheel.advance(now, budget, [&](uint32_t e) { out.push_back(e); });
        CHECK(n == out.size());
        return out;
    }

    LineMemory memory;
    TimingWheel wheel;
};

constexpr uint32_t kSlotMs = TimingWheel::kSlotMs;
using List = std::vector<uint32_t>;

}  // namespace

TEST_CASE("an entry never fires before its deadline and at most a slot after it", "[flow][wheel]") {
    for (const uint32_t start : {0U, 1U, 511U, 512U, 0xfffff000U, 0xffffffffU, 0x7fffff00U}) {
        for (const uint32_t ahead :
             {1U, 2U, 511U, 512U, 513U, 1023U, 1024U, 120'000U, 7'440'000U, 8'387'000U}) {
            Wheel w(4, Tick{start});
            const Tick deadline = Tick{start} + ahead;
            INFO("start " << start << ", ahead " << ahead);
            w.wheel.schedule(3, deadline);
            CHECK(w.wheel.is_scheduled(3));
            CHECK(w.fired(deadline + ~0U).empty());
            CHECK(w.wheel.is_scheduled(3));
            CHECK(w.fired(deadline + (kSlotMs - 1)) == List{3});
            CHECK_FALSE(w.wheel.is_scheduled(3));
        }
    }
}

TEST_CASE("a deadline that is past already fires in the next slot", "[flow][wheel]") {
    Wheel w(2, Tick{100'000});
    w.wheel.schedule(0, Tick{50'000});
    w.wheel.schedule(1, Tick{100'000});
    CHECK(w.fired(Tick{100'000}).empty());
    CHECK(w.fired(Tick{100'000 + kSlotMs}).size() == 2);
}

TEST_CASE("a deadline beyond the horizon fires early, at the horizon", "[flow][wheel]") {
    Wheel w(1);
    w.wheel.schedule(0, Tick{20'000'000});
    CHECK(w.fired(Tick{8'380'000}).empty());
    CHECK(w.fired(Tick{8'388'608}) == List{0});
}

TEST_CASE("scheduling again moves an entry at once, sooner or later", "[flow][wheel]") {
    Wheel w(3);
    w.wheel.schedule(1, Tick{7'000'000});
    w.wheel.schedule(1, Tick{4'000});
    w.wheel.schedule(2, Tick{4'000});
    w.wheel.schedule(2, Tick{10'000});
    CHECK(w.fired(Tick{4'600}) == List{1});
    CHECK(w.fired(Tick{9'999}).empty());
    CHECK(w.fired(Tick{10'600}) == List{2});
    CHECK(w.fired(Tick{8'000'000}).empty());
}

TEST_CASE("a cancelled entry does not fire, wherever it stood in its slot", "[flow][wheel]") {
    for (uint32_t gone = 0; gone < 5; ++gone) {
        Wheel w(5);
        for (uint32_t e = 0; e < 5; ++e) {
            w.wheel.schedule(e, Tick{1000});
        }
        w.wheel.cancel(gone);
        w.wheel.cancel(gone);
        CHECK_FALSE(w.wheel.is_scheduled(gone));
        auto fired = w.fired(Tick{2000});
        CHECK(fired.size() == 4);
        CHECK(std::find(fired.begin(), fired.end(), gone) == fired.end());
    }
}

TEST_CASE("the budget bounds a call, the rest follows in later calls", "[flow][wheel]") {
    Wheel w(100);
    for (uint32_t e = 0; e < 100; ++e) {
        w.wheel.schedule(e, Tick{500 + e * 20});
    }
    size_t total = 0;
    for (int call = 0; call < 14; ++call) {
        const size_t n = w.fired(Tick{5'000'000}, 7).size();
        CHECK(n == 7);
        total += n;
    }
    CHECK(w.fired(Tick{5'000'000}, 0).empty());
    CHECK(w.fired(Tick{5'000'000}, 7).size() == 2);
    CHECK(total == 98);
}

TEST_CASE("an entry that waits in the backlog can be cancelled or moved", "[flow][wheel]") {
    Wheel w(3);
    for (uint32_t e = 0; e < 3; ++e) {
        w.wheel.schedule(e, Tick{1000});
    }
    const auto first = w.fired(Tick{3000}, 1);
    REQUIRE(first.size() == 1);
    w.wheel.cancel((first[0] + 1) % 3);
    w.wheel.schedule((first[0] + 2) % 3, Tick{9000});
    CHECK(w.fired(Tick{8999}).empty());
    CHECK(w.fired(Tick{9600}) == List{(first[0] + 2) % 3});
}

TEST_CASE("fire may cancel and schedule any entry, the fired one included", "[flow][wheel]") {
    Wheel w(4);
    for (uint32_t e = 0; e < 4; ++e) {
        w.wheel.schedule(e, Tick{1000});
    }
    std::vector<uint32_t> fired;
    w.wheel.advance(Tick{2000}, 100, [&](uint32_t e) {
        CHECK_FALSE(w.wheel.is_scheduled(e));
        fired.push_back(e);
        w.wheel.schedule(e, Tick{5000});
        for (uint32_t other = 0; other < 4; ++other) {
            if (other != e) {
                w.wheel.cancel(other);
            }
        }
    });
    REQUIRE(fired.size() == 1);
    CHECK(w.fired(Tick{5600}) == fired);
}

TEST_CASE(
    "an owner that always schedules for the past is met once a slot, not for ever", "[flow][wheel]"
) {
    Wheel w(1);
    w.wheel.schedule(0, Tick{0});
    uint32_t n = w.wheel.advance(Tick{10 * kSlotMs}, 1'000'000, [&](uint32_t e) {
        w.wheel.schedule(e, Tick{0});
    });
    CHECK(n == 10);
}

TEST_CASE("a jump of time over the whole wheel fires all, in one call", "[flow][wheel]") {
    Wheel w(1000, Tick{0xfff00000});
    for (uint32_t e = 0; e < 1000; ++e) {
        w.wheel.schedule(e, Tick{0xfff00000} + e * 8000);
    }
    CHECK(w.fired(Tick{0xfff00000} + 2'000'000'000).size() == 1000);
    w.wheel.schedule(5, Tick{0xfff00000} + 2'000'001'000);
    CHECK(w.fired(Tick{0xfff00000} + 2'000'000'900).empty());
    CHECK(w.fired(Tick{0xfff00000} + 2'000'001'512) == List{5});
}

TEST_CASE("time that steps back fires nothing and loses nothing", "[flow][wheel]") {
    Wheel w(1, Tick{100'000});
    w.wheel.schedule(0, Tick{101'000});
    CHECK(w.fired(Tick{90'000}).empty());
    CHECK(w.fired(Tick{101'600}) == List{0});
}

TEST_CASE("the wheel costs 8 bytes an entry", "[flow][wheel]") {
    CHECK(TimingWheel::bytes_for(1'000'000) - TimingWheel::bytes_for(0) == 8'000'000);
    CHECK(TimingWheel::bytes_for(0) < 70'000);
}
