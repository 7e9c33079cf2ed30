
#include <catch2/catch.hpp>

#include "fragment_rig.h"

namespace sekisho::dataplane {
namespace {

using Outcome = FragmentTable::Outcome;

struct Rig {
    explicit Rig(const FragmentTable::Sizes& sizes = {}) : table(sizes, kSecret) {}

    Outcome take(const FragmentFacts& f) {
        PacketRef packet = packets.make(++last);
        return table.take(f, packet, 0, now);
    }
    bool bind(const FragmentFacts& first, uint32_t ports) {
        return table.bind(first, {ports, false, {}}, now);
    }

    Packets packets;
    FragmentTable table;
    uint64_t last = 0;
    Tick now{1000};
};

constexpr uint32_t kReasonOverflow = static_cast<uint32_t>(DropReason::kFragmentOverflow);

}  // namespace

TEST_CASE("later fragments wait for the first, in order", "[fragments][rfc4787-req14]") {
    Rig rig;
    CHECK(rig.take(facts(1, 1, 8, 16)).kind == Outcome::kHeld);
    CHECK(rig.take(facts(1, 1, 32, 40)).kind == Outcome::kHeld);
    CHECK(rig.take(facts(1, 1, 0, 8)).kind == Outcome::kNoted);
    CHECK(rig.take(facts(1, 1, 24, 32)).kind == Outcome::kHeld);
    CHECK(!rig.table.has_ready());
    CHECK(rig.bind(facts(1, 1, 0, 8), 42));
    CHECK(take_ready(rig.table) == Given{{1, 42}, {2, 42}, {4, 42}});
    const Outcome follows = rig.take(facts(1, 1, 16, 24));
    CHECK(follows.kind == Outcome::kFollow);
    CHECK(follows.binding.ports == 42);
    CHECK(rig.table.size() == 1);
    CHECK(rig.take(facts(1, 1, 40, 48, false)).kind == Outcome::kFollow);
    CHECK(rig.table.size() == 0);  // all of it has come
    CHECK(rig.table.held() == 0);
}

TEST_CASE("a refused datagram ends with the reason of its first", "[fragments][rfc4787-req14]") {
    Rig rig;
    rig.take(facts(1, 1, 8, 16));
    rig.take(facts(1, 1, 0, 8));
    rig.table.refuse(facts(1, 1, 0, 8), DropReason::kNoPolicy, rig.now);
    CHECK(take_ended(rig.table) == Given{{1, static_cast<uint32_t>(DropReason::kNoPolicy)}});
    CHECK(rig.take(facts(1, 1, 16, 24)).reason == DropReason::kNoPolicy);
    rig.now = rig.now + 2000;
    CHECK(rig.take(facts(1, 1, 16, 24)).kind == Outcome::kHeld);
}

TEST_CASE("the table forgets in time, in bounded steps", "[fragments][rfc4787-req14a]") {
    Rig rig;
    for (uint16_t id = 0; id < 10; ++id) {
        rig.take(facts(id, 1, 8, 16));
        rig.now = rig.now + 100;
    }
    rig.now = rig.now + 1400;  // five are 2 s old or older
    CHECK(rig.table.advance(rig.now, 3) == 3);
    CHECK(rig.table.advance(rig.now, 64) == 2);
    CHECK(rig.table.advance(rig.now, 64) == 0);
    CHECK(take_ended(rig.table).size() == 5);
    CHECK(rig.table.size() == 5);
    CHECK(rig.table.held() == 5);
}

TEST_CASE(
    "one source fills no more than half of a set, and its oldest goes first",
    "[fragments][rfc4787-req14a]"
) {
    FragmentTable::Sizes sizes;
    sizes.datagrams = FragmentTable::kWays;  // one set
    Rig rig(sizes);
    rig.take(facts(7, 1, 8, 16));
    for (uint16_t id = 0; id < 1000; ++id) {
        rig.now = rig.now + 1;
        rig.take(facts(66, id, 8, 16));
    }
    CHECK(rig.table.size() == 1 + FragmentTable::kWays / 2);
    CHECK(rig.take(facts(7, 1, 0, 8)).kind == Outcome::kNoted);
    CHECK(rig.bind(facts(7, 1, 0, 8), 9));
    CHECK(take_ready(rig.table) == Given{{1, 9}});
    const Given ended = take_ended(rig.table);
    REQUIRE(ended.size() == 1000 - FragmentTable::kWays / 2);
    CHECK(ended.front() == std::pair<uint64_t, uint32_t>{2, kReasonOverflow});
}

TEST_CASE(
    "a second first fragment of another flow ends the datagram",
    "[fragments][rfc4787-req14a][pitfall-17]"
) {
    Rig rig;
    FragmentFacts first = facts(1, 1, 0, 8);
    first.ports = 5;
    CHECK(rig.take(first).kind == Outcome::kNoted);
    CHECK(rig.bind(first, 5));
    CHECK(rig.take(first).reason == DropReason::kDuplicateFragment);
    FragmentFacts another = first;
    another.ports = 6;
    CHECK(rig.take(another).reason == DropReason::kOverlappingFragment);
    CHECK(rig.take(facts(1, 1, 8, 16)).reason == DropReason::kOverlappingFragment);
}

TEST_CASE(
    "a flood of first fragments leaves those that wait alone", "[fragments][rfc4787-req14a]"
) {
    FragmentTable::Sizes sizes;
    sizes.datagrams = FragmentTable::kWays;
    Rig rig(sizes);
    rig.take(facts(7, 1, 8, 16));
    for (uint32_t source = 100; source < 1100; ++source) {
        rig.now = rig.now + 1;
        rig.take(facts(source, 1, 0, 8));
        CHECK(rig.bind(facts(source, 1, 0, 8), 9));
    }
    CHECK(rig.table.size() == FragmentTable::kWays);
    CHECK(rig.take(facts(7, 1, 0, 8)).kind == Outcome::kNoted);
}

TEST_CASE(
    "a flood of later fragments leaves those whose first has come alone",
    "[fragments][rfc4787-req14a]"
) {
    FragmentTable::Sizes sizes;
    sizes.datagrams = FragmentTable::kWays;
    Rig rig(sizes);
    rig.take(facts(7, 1, 0, 8));
    CHECK(rig.bind(facts(7, 1, 0, 8), 9));
    for (uint32_t source = 100; source < 1100; ++source) {
        rig.now = rig.now + 1;
        rig.take(facts(source, 1, 8, 16));
        take_ended(rig.table);
    }
    CHECK(rig.table.size() == FragmentTable::kWays);
    CHECK(rig.take(facts(7, 1, 8, 16)).kind == Outcome::kFollow);
}

TEST_CASE("held packets are bounded, a datagram and in all", "[fragments][rfc4787-req14a]") {
    FragmentTable::Sizes sizes;
    sizes.held = 100;
    Rig rig(sizes);
    for (uint16_t n = 1; n <= 70; ++n) {
        const auto at = static_cast<uint16_t>(16 * n);
        const Outcome outcome = rig.take(facts(1, 1, at, static_cast<uint16_t>(at + 16)));
        CHECK((outcome.kind == Outcome::kHeld) == (n <= FragmentTable::kHeldPerDatagram));
    }
    for (uint32_t source = 100; source < 300; ++source) {
        rig.now = rig.now + 1;
        CHECK(rig.take(facts(source, 1, 8, 16)).kind == Outcome::kHeld);
        take_ended(rig.table);
        CHECK(rig.table.held() <= 100);
    }
    CHECK(rig.table.held() == 100);
    rig.table.end_all(DropReason::kShutdown);
    CHECK(take_ended(rig.table).size() == 100);
    CHECK(rig.table.size() == 0);
}

TEST_CASE("a datagram in too many parts is given up", "[fragments][rfc4787-req14a]") {
    Rig rig;
    unsigned held = 0;
    Outcome outcome;
    for (uint16_t n = 1; n < 100; ++n) {
        const auto at = static_cast<uint16_t>(32 * n);
        outcome = rig.take(facts(1, 1, at, static_cast<uint16_t>(at + 8)));
        held += outcome.kind == Outcome::kHeld ? 1 : 0;
    }
    CHECK(held == 35);
    CHECK(outcome.reason == DropReason::kFragmentOverflow);
    CHECK(rig.take(facts(1, 1, 0, 8)).kind == Outcome::kDropped);
    CHECK(take_ended(rig.table).size() == 35);
}

TEST_CASE(
    "a flood of any fragments never breaks the bounds, and nothing is lost",
    "[fragments][random][rfc4787-req14a]"
) {
    FragmentTable::Sizes sizes;
    sizes.datagrams = 4 * FragmentTable::kWays;
    sizes.held = 90;
    Rig rig(sizes);
    uint64_t state = 1;
    const auto draw = [&](uint32_t below) {
        state = state * 6364136223846793005U + 1442695040888963407U;
        return static_cast<uint32_t>(state >> 33) % below;
    };
    uint64_t held = 0;
    uint64_t given = 0;
    for (unsigned i = 0; i < 2'000'000; ++i) {
        const uint32_t source = draw(2) == 0 ? draw(3) : draw(1'000'000);
        const auto begin = static_cast<uint16_t>(8 * draw(40));
        const auto length = static_cast<uint16_t>(8 * (1 + draw(3)));
        const FragmentFacts f = facts(
            source,
            static_cast<uint16_t>(draw(50)),
            begin,
            static_cast<uint16_t>(begin + length),
            draw(8) != 0
        );
        const Outcome outcome = rig.take(f);
        held += outcome.kind == Outcome::kHeld ? 1 : 0;
        if (outcome.kind == Outcome::kNoted && draw(4) != 0) {
            (void)rig.bind(f, 1);
        } else if (outcome.kind == Outcome::kNoted) {
            rig.table.refuse(f, DropReason::kFiltered, rig.now);
        }
        if (draw(16) == 0) {
            rig.now = rig.now + draw(40);
            rig.table.advance(rig.now, 4);
        }
        if (i % 32 == 31) {
            given += take_ready(rig.table).size() + take_ended(rig.table).size();
            REQUIRE(rig.table.held() <= sizes.held);
            REQUIRE(rig.table.size() <= rig.table.capacity());
            REQUIRE(held == given + rig.table.held());
        }
        REQUIRE(rig.table.held() <= FragmentTable::most_held(sizes));
    }
    rig.table.end_all(DropReason::kShutdown);
    given += take_ready(rig.table).size() + take_ended(rig.table).size();
    CHECK(given == held);
    CHECK(rig.table.held() == 0);
}

}  // namespace sekisho::dataplane
