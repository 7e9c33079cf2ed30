// What makes the log of bindings doubtful: files, lines and numbers that are missing, clocks that were set, several runs.
#include <fstream>

#include <catch2/catch.hpp>

#include "folder.h"
#include "past_log.h"

using namespace sekisho;
using namespace sekisho::test;

TEST_CASE(
    "a file that is not given is missed, however short, and however quiet it is after",
    "[eventlog][past]"
) {
    Log log;
    std::string first;
    std::string second;
    log.anchor(0, "start").created(5, kOne).anchor(60, "minute").take(first);
    log.anchor(65, "file").ended(70, kOne).created(80, kOther).anchor(125, "minute").take(second);
    log.anchor(170, "file").anchor(230, "minute").anchor(290, "minute").stopped(300);
    CHECK(told(ask(first + second + log.text(), at(250))) == "other");
    CHECK(told(ask(first + log.text(), at(250))) == "?one");
    CHECK(told(ask(first + log.text(), udp(250))) == "?one");
    CHECK(told(ask(first + log.text(), at(30))) == "one");
}

TEST_CASE("who had it in one protocol says nothing of another", "[eventlog][past]") {
    Log log;
    std::string first;
    log.anchor(0, "start").created(5, kOther).take(first);
    log.anchor(10, "file").event(12, EventKind::kMappingCreated, kOne, 1, 0, 6);
    log.event(20, EventKind::kMappingEnded, kOne, 1, 0, 6).anchor(60, "minute").stopped(80);
    PastQuestion tcp = at(15);
    tcp.protocol = Protocol::kTcp;
    CHECK(told(ask(first + log.text(), at(15))) == "other+one");
    CHECK(told(ask(log.text(), at(15))) == "?one");
    CHECK(told(ask(log.text(), tcp)) == "one");
    CHECK(told(ask(log.text(), udp(15))) == "?");
    CHECK(told(ask(log.text(), at(30))) == "?");
    CHECK(told(ask(first + log.text(), at(30))) == "other");
    tcp.at = {Log::ms(30), Log::ms(30)};
    CHECK(told(ask(first + log.text(), tcp)) == "nobody");
}

TEST_CASE("lines and files may come in any order", "[eventlog][past]") {
    Log log;
    std::string first;
    log.anchor(0, "start").created(5, kOne).take(first);
    log.anchor(30, "file").anchor(60, "minute", -3'600'000).anchor(61, "step", -3'600'000);
    for (int minute = 2; minute < 130; ++minute) {
        log.anchor(60 * minute, "minute", -3'600'000);
    }
    log.stopped(7800);
    for (const std::string& text :
         {first + log.text(), log.text() + first, first + first + log.text()}) {
        CHECK(told(ask(text, at(4000))) == "one");
        CHECK(told(ask(text, at(40))) == "?one");  // the clock showed this time twice
    }
}

TEST_CASE("a time that lies in two runs is nobody's", "[eventlog][past]") {
    Log one(1);
    one.anchor(0, "start").created(5, kOne).anchor(60, "minute").anchor(120, "minute").stopped(130);
    Log other(2);
    other.anchor(30, "start").anchor(90, "minute").anchor(150, "minute").stopped(160);
    CHECK(told(ask(one.text() + other.text(), at(20))) == "one");
    CHECK(told(ask(one.text() + other.text(), at(50))) == "?one");
    CHECK(told(ask(one.text() + other.text(), at(140))) == "nobody");
}

TEST_CASE("an anchor without numbers tells nothing of what waits", "[eventlog][past]") {
    Log log;
    log.anchor(0, "start").created(5, kOne);
    std::string waits;
    log.anchor(60, "minute").take(waits);
    waits.resize(waits.rfind(",\"numbers\""));  // of the last line
    waits += "}\n";
    log.anchor(120, "minute");
    CHECK(told(ask(waits, at(20))) == "?one");
    CHECK(told(ask(waits + log.text(), at(20))) == "one");
}

TEST_CASE("a span is told only as far as nothing is missing in it", "[eventlog][past]") {
    Log log;
    log.anchor(0, "start").created(10, kOne).skip(3).created(36, kOther, 1).ended(37, kOther, 1);
    log.ended(50, kOne).anchor(60, "minute").stopped(80);
    const PastAnswer answer = ask(log.text(), udp(30));
    CHECK(told(answer) == "?one+one");
    for (const auto& holder : answer.holders) {
        CHECK(holder.begin.has_value() != holder.end.has_value());
    }
}

TEST_CASE("a block is told of beside a port that nobody had", "[eventlog][past]") {
    Log log;
    log.anchor(0, "start")
        .event(10, EventKind::kBlockGranted, kOne)
        .created(11, kOne)
        .ended(20, kOne);
    log.anchor(60, "minute").stopped(80);
    const PastAnswer answer = ask(log.text(), at(30));
    CHECK(told(answer) == "nobody");
    REQUIRE(answer.blocks.size() == 1);
    CHECK(
        answer.text(at(30)).find("note: its block was that of internal 100.64.0.10 ") !=
        std::string::npos
    );
}

TEST_CASE("files that contradict each other tell nothing", "[eventlog][past]") {
    Log log;
    log.anchor(0, "start").created(10, kOne).anchor(60, "minute").stopped(80);
    std::string other = log.text();
    for (size_t at = other.find("100.64.0.10"); at != std::string::npos;
         at = other.find("100.64.0.10")) {
        other.replace(at, 11, "100.64.0.11");
    }
    CHECK(told(ask(log.text() + other, at(20))).starts_with("?"));
}

TEST_CASE(
    "a port that changed hands a hundred thousand times is told of soon", "[eventlog][past]"
) {
    Log log;
    log.anchor(0, "start");
    for (int i = 0; i < 100'000; ++i) {
        log.created(1 + i * 1e-4, kOne).ended(1 + i * 1e-4, kOne);
    }
    log.created(20, kOther).anchor(60, "minute").stopped(80);
    CHECK(told(ask(log.text(), at(30))) == "other");
    CHECK(told(ask(log.text(), at(15))) == "nobody");
}

TEST_CASE("a file without a line says nothing, and is no mistake", "[eventlog][past]") {
    const Folder folder;
    Log log;
    log.anchor(0, "start").created(10, kOne).anchor(60, "minute").stopped(80);
    std::ofstream(folder / "a") << log.text();
    std::ofstream(folder / "empty").flush();
    const auto answer = eventlog::who_had(at(20), {folder / "empty", folder / "a"});
    REQUIRE(answer);
    CHECK(told(*answer) == "one");
}

TEST_CASE(
    "whose beginning comes later by number has not ended by the time of another", "[eventlog][past]"
) {
    Log log;  // the port goes from one shard to another, whose worker stamps 2 ms behind
    log.anchor(0, "start").created(10, kOther, 1).ended(20.002, kOther, 1).created(20, kOne);
    log.anchor(60, "minute").anchor(120, "minute").stopped(130);
    CHECK(told(ask(log.text(), at(50))) == "one");
    Log slewed;
    slewed.anchor(0, "start")
        .created(59.95, kOther)
        .ended(59.951, kOther)
        .anchor(60, "minute", -90);
    slewed.created(59.94, kOne).anchor(120, "minute", -90).stopped(130);
    CHECK(told(ask(slewed.text(), at(100))) == "one");
}

TEST_CASE(
    "a trigger forward's ports have no mapping: its grant leaves a doubt", "[eventlog][past]"
) {
    Log log;
    log.anchor(0, "start")
        .trigger(10, EventKind::kBlockGranted, kOne)
        .anchor(60, "minute")
        .stopped(80);
    CHECK(told(ask(log.text(), at(5))) == "nobody");
    CHECK(told(ask(log.text(), at(30))) == "?one");
}

TEST_CASE("a log that does not tell of bindings says nothing of nobody", "[eventlog][past]") {
    Log log(1, "");
    log.anchor(0, "start")
        .event(10, EventKind::kSessionCreated, kOne, 0, 80)
        .anchor(60, "minute")
        .stopped(80);
    CHECK(told(ask(log.text(), at(30))) == "?");
}

TEST_CASE("torn lines end the belief in what follows, until the next anchor", "[eventlog][past]") {
    Log first(1);
    first.anchor(0, "start").created(5, kOne).anchor(60, "minute");
    Log second(2);
    second.anchor(100, "start").created(110, kOther).anchor(160, "minute").stopped(170);
    std::string torn = first.text();
    torn += "{\"time\":\"2026-01-02T12:01:10.000Z\",\"shard\":0,\"seq";  // killed here
    CHECK(told(ask(torn + second.text(), at(30))) == "one");
    CHECK(told(ask(torn + second.text(), at(130))).starts_with("?"));
    CHECK(told(ask(torn + "\n" + second.text(), at(130))) == "other");
}

TEST_CASE(
    "at the edge of a second a beginning proves nothing of the rest of it", "[eventlog][past]"
) {
    Log log;
    log.anchor(0, "start").created(70, kOne).skip(2).anchor(120, "minute").stopped(130);
    PastQuestion second = udp(70);
    second.at.last += 999;
    CHECK(told(ask(log.text(), second)) == "?one");
}

TEST_CASE(
    "a time at which one run may still have gone on is not the next one's", "[eventlog][past]"
) {
    Log first(1);
    first.anchor(0, "start").anchor(60, "minute").anchor(120, "minute").created(172, kOne);
    Log second(2);
    second.anchor(135, "start").anchor(195, "minute").anchor(255, "minute").stopped(300);
    CHECK(told(ask(first.text() + second.text(), at(180))).starts_with("?"));
    CHECK(told(ask(first.text() + second.text(), at(240))) == "nobody");
}
