// Who had a port at a time: what the lines of the log tell, and what they cannot.
#include "eventlog/past.h"

#include <algorithm>
#include <fstream>

#include <catch2/catch.hpp>

#include "folder.h"
#include "past_log.h"

using namespace sekisho;
using namespace sekisho::test;

TEST_CASE("a time is a second or a millisecond, in UTC", "[eventlog][past]") {
    const auto second = eventlog::parse_utc("2026-01-02T12:00:00Z");
    REQUIRE(second);
    CHECK(second->first == kStart);
    CHECK(second->last == kStart + 999);
    const auto moment = eventlog::parse_utc("2026-01-02T12:00:00.007Z");
    REQUIRE(moment);
    CHECK(moment->first == kStart + 7);
    CHECK(moment->last == kStart + 7);
    for (const char* wrong :
         {"",
          "2026-01-02",
          "2026-01-02T12:00:00",
          "2026-01-02 12:00:00Z",
          "2026-02-30T12:00:00Z",
          "2026-01-02T24:00:00Z",
          "2026-01-02T12:60:00Z",
          "2026-01-02T12:00:00.07Z",
          "2026-01-02T12:00:00+01:00",
          "2026-13-02T12:00:00Z",
          "2026-01-02T12:00:00Zx"}) {
        INFO(wrong);
        CHECK_FALSE(eventlog::parse_utc(wrong));
    }
}

TEST_CASE("the holder at a time is whose mapping was there", "[eventlog][past]") {
    Log log;
    log.anchor(0, "start").created(10, kOne).ended(20, kOne).created(30, kOther, 1);
    log.anchor(60, "minute").ended(70, kOther, 1).stopped(80);
    struct Row {
        double at;
        const char* told;
    };
    const Row rows[] = {
        {-1, "?"},
        {5, "nobody"},
        {10, "one"},
        {15, "one"},
        {20, "one"},
        {25, "nobody"},
        {30, "other"},
        {50, "other"},
        {70, "other"},
        {75, "nobody"},
        {81, "?"},
    };
    for (const Row& row : rows) {
        INFO(row.at);
        CHECK(told(ask(log.text(), at(row.at))) == row.told);
    }
    PastQuestion other_port = at(15);
    other_port.port = kPort + 1;
    CHECK(told(ask(log.text(), other_port)) == "nobody");
    PastQuestion other_address = at(15);
    other_address.external = Ipv4Addr::of(203, 0, 113, 50);
    CHECK(told(ask(log.text(), other_address)) == "nobody");
    const PastAnswer answer = ask(log.text(), at(15));
    REQUIRE(answer.holders.size() == 1);
    CHECK(answer.holders[0].begin == Log::ms(10));
    CHECK(answer.holders[0].end == Log::ms(20));
    CHECK(answer.text(at(15)).starts_with(
        "internal 100.64.0.10:40000 realm internal protocol udp external 203.0.113.5:2000 from "
        "2026-01-02T12:00:10.000Z until 2026-01-02T12:00:20.000Z\nknown\n"
    ));
}

TEST_CASE(
    "within the second in which a port changes hands it had two holders", "[eventlog][past]"
) {
    Log log;
    log.anchor(0, "start")
        .created(10, kOne)
        .ended(20.3, kOne)
        .created(20.4, kOther)
        .anchor(60, "minute");
    log.ended(70, kOther).stopped(80);
    PastQuestion question = at(20);
    question.at.last += 999;
    CHECK(told(ask(log.text(), question)) == "one+other");
    CHECK(told(ask(log.text(), at(20.2))) == "one");
    CHECK(told(ask(log.text(), at(20.35))) == "nobody");
}

TEST_CASE("missing numbers leave nobody certain whose end they may hold", "[eventlog][past]") {
    Log log;
    log.anchor(0, "start").created(10, kOne).skip(2).created(40, kOther).anchor(60, "minute");
    log.ended(70, kOther).stopped(80);
    CHECK(told(ask(log.text(), at(5))) == "nobody");
    CHECK(told(ask(log.text(), at(20))) == "?one");
    CHECK(
        told(ask(log.text(), at(45))) == "?other"
    );  // what was in the gap may have another protocol
    CHECK(told(ask(log.text(), udp(45))) == "other");
    const PastAnswer answer = ask(log.text(), at(20));
    CHECK(std::ranges::any_of(answer.doubts, [](const std::string& doubt) {
        return doubt.starts_with("numbers 2 to 3 of shard 0 are missing");
    }));
    Log whole;
    whole.anchor(0, "start")
        .skip(5)
        .ended(40, kOne)
        .anchor(60, "minute")
        .created(61, kOne)
        .stopped(80);
    CHECK(told(ask(whole.text(), at(20))) == "?one");
    CHECK(told(ask(whole.text(), at(40))) == "?one");
    CHECK(told(ask(whole.text(), at(50))) == "?");
}

TEST_CASE("a log that begins later knows whoever ends in it", "[eventlog][past]") {
    Log log;
    std::string earlier;
    log.anchor(0, "start").created(10, kOne).take(earlier).anchor(30, "file").ended(50, kOne);
    log.anchor(60, "minute").created(61, kOther).ended(62, kOther).stopped(80);
    CHECK(told(ask(log.text(), at(40))) == "?one");
    CHECK(told(ask(log.text(), udp(40))) == "one");
    CHECK(told(ask(log.text(), udp(20))) == "?one");
    CHECK(told(ask(log.text(), udp(61.5))) == "other");
    CHECK(
        told(ask(log.text(), at(55))) == "?"
    );  // in another protocol somebody may have had it since before
    CHECK(told(ask(earlier + log.text(), at(55))) == "nobody");
    CHECK(told(ask(earlier + log.text(), at(20))) == "one");
    Log quiet;
    quiet.anchor(30, "file").skip(7).event(31, EventKind::kMappingCreated, kOther, 1).stopped(80);
    PastQuestion other_port = at(40);
    other_port.port = kPort + 1;
    CHECK(
        told(ask(quiet.text(), other_port)) == "?"
    );  // it may have been somebody's before the log
}

TEST_CASE("between two runs, and behind the last line, nothing is known", "[eventlog][past]") {
    Log first(1);
    first.anchor(0, "start")
        .created(10, kOne)
        .anchor(60, "minute")
        .ended(60.5, kOne)
        .created(61, kOther, 1)
        .anchor(120, "minute");
    Log second(2);
    second.anchor(200, "start").created(210, kOther).anchor(260, "minute");
    const std::string both = first.text() + second.text();
    CHECK(told(ask(both, at(30))) == "one");
    CHECK(told(ask(both, at(61.5))) == "other");
    CHECK(
        told(ask(both, at(118))) == "?other"
    );  // behind what the last anchor tells of, of a run that was killed
    CHECK(told(ask(both, at(150))).starts_with("?"));
    CHECK(told(ask(both, at(205))) == "nobody");
    CHECK(told(ask(both, at(220))) == "other");
    CHECK(told(ask(both, at(258))) == "?other");
    first.stopped(130);
    CHECK(told(ask(first.text() + second.text(), at(125))) == "other");
    CHECK(told(ask(first.text() + second.text(), at(150))).starts_with("?"));
}

TEST_CASE("what was lost, torn or left out makes a hole", "[eventlog][past]") {
    Log lossy;
    lossy.anchor(0, "start")
        .created(10, kOne)
        .lost(15, 25)
        .anchor(60, "minute")
        .ended(61, kOne)
        .stopped(80);
    CHECK(told(ask(lossy.text(), at(9))) == "nobody");
    for (const double when :
         {12, 20, 30}) {  // its end, and another beginning, may be among what was lost
        CHECK(told(ask(lossy.text(), udp(when))) == "?one+one");
    }
    Log torn;
    torn.anchor(0, "start").created(10, kOne).raw("{\"time\":\"2026-01-02T12:0").skip(1);
    torn.ended(30, kOther, 1).anchor(60, "minute").created(61, kOther).stopped(80);
    CHECK(told(ask(torn.text(), at(20))).starts_with("?"));
    Log left_out;  // a file without any later event of its shards
    left_out.anchor(0, "start")
        .created(10, kOne)
        .anchor(60, "minute")
        .anchor(600, "file")
        .stopped(610);
    CHECK(told(ask(left_out.text(), at(30))) == "one");
    CHECK(told(ask(left_out.text(), at(300))) == "?one");
    CHECK(told(ask(left_out.text(), at(605))) == "one");
}

TEST_CASE("where only blocks are logged the block tells", "[eventlog][past]") {
    Log log(1, "blocks");
    log.anchor(0, "start").event(10, EventKind::kBlockGranted, kOne);
    log.event(40, EventKind::kBlockReleased, kOne).anchor(60, "minute").stopped(80);
    CHECK(told(ask(log.text(), at(5))) == "nobody");
    CHECK(told(ask(log.text(), at(20))) == "one");
    CHECK(told(ask(log.text(), at(50))) == "nobody");
    CHECK(ask(log.text(), at(20)).holders[0].is_block);
}

TEST_CASE("several have an overloaded port at once", "[eventlog][past]") {
    Log log;
    log.anchor(0, "start").event(10, EventKind::kMappingCreated, kOne, 0, 443);
    log.event(11, EventKind::kMappingCreated, kOther, 0, 80).anchor(60, "minute").stopped(80);
    const PastAnswer answer = ask(log.text(), at(20));
    CHECK(told(answer) == "one+other");
    CHECK(answer.holders[0].who.ends_with("towards 192.0.2.1:443"));
}

TEST_CASE("lines of another shard may come before what happened earlier", "[eventlog][past]") {
    Log log;
    log.anchor(0, "start").created(30, kOther, 1).created(10, kOne).ended(20, kOne);
    log.anchor(60, "minute").ended(70, kOther, 1).stopped(80);
    CHECK(told(ask(log.text(), at(15))) == "one");
    CHECK(told(ask(log.text(), at(25))) == "nobody");
    CHECK(told(ask(log.text(), at(40))) == "other");
}

TEST_CASE("the files of two appliances tell of neither", "[eventlog][past]") {
    Log log;
    log.anchor(0, "start").created(10, kOne).anchor(60, "minute").stopped(80);
    std::string other = log.text();
    other.replace(other.find("\"name\":\"n\""), 10, "\"name\":\"m\"");
    CHECK(told(ask(log.text(), at(15))) == "one");
    CHECK(told(ask(log.text() + other, at(15))) == "?one");
}

TEST_CASE("times near a step of the clock name nobody for certain", "[eventlog][past]") {
    Log log;
    log.anchor(0, "start").created(10, kOne).anchor(600, "minute").anchor(601, "step", -300'000);
    log.ended(2000, kOne).stopped(2100);
    CHECK(told(ask(log.text(), at(400))) == "?one");
    Log anchored;
    anchored.anchor(0, "start").created(10, kOne);
    for (int minute = 1; minute <= 10; ++minute) {
        anchored.anchor(minute * 60, "minute");
    }
    anchored.anchor(601, "step", -300'000);
    for (int minute = 11; minute <= 30; ++minute) {
        anchored.anchor(minute * 60, "minute", -300'000);
    }
    anchored.stopped(1801);
    CHECK(told(ask(anchored.text(), at(100))) == "one");
    CHECK(told(ask(anchored.text(), at(400))) == "?one");
    CHECK(told(ask(anchored.text(), at(1000))) == "one");
}

TEST_CASE("files are read in the order of time, and each line counts once", "[eventlog][past]") {
    const Folder folder;
    Log log;
    std::string first;
    log.anchor(0, "start")
        .created(10, kOne)
        .take(first)
        .anchor(30, "file")
        .ended(50, kOne)
        .stopped(80);
    std::ofstream(folder / "a") << log.text();
    std::ofstream(folder / "b") << first;
    const auto answer =
        eventlog::who_had(at(20), {folder / "a", folder / "b", folder / "a", folder / "b"});
    REQUIRE(answer);
    CHECK(told(*answer) == "one");
    Log next(2);  // two runs in one file, given twice
    next.anchor(100, "start")
        .created(110, kOther)
        .ended(150, kOther)
        .anchor(160, "minute")
        .stopped(170);
    std::ofstream(folder / "d") << first << log.text() << next.text();
    for (const auto& [moment, who] :
         {std::pair{20, "one"}, {60, "nobody"}, {120, "other"}, {90, "?"}}) {
        const auto again = eventlog::who_had(at(moment), {folder / "d", folder / "d"});
        REQUIRE(again);
        CHECK(told(*again) == who);
    }
    CHECK_FALSE(eventlog::who_had(at(20), {folder / "a", folder / "missing"}));
    std::ofstream(folder / "c") << "something else\n";
    CHECK_FALSE(eventlog::who_had(at(20), {folder / "c"}));
}
