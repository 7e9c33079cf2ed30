#include "eventlog/rule_logger.h"

#include <catch2/catch.hpp>

using namespace sekisho;
using namespace sekisho::eventlog;
using dataplane::RuleLog;
using dataplane::RuleLogRecord;

namespace {

struct Desk {
    RuleLog shard;
    uint32_t now = 1000;
    bool takes = true;
    std::vector<std::string> sent;
    RuleLogger logger{plan()};

    RuleLoggerPlan plan() {
        RuleLoggerPlan p;
        p.shards = {&shard};
        p.names = {{"eth0"}, {"external", "internal"}};
        p.host = "nat";
        p.process = "1";
        p.utc_ms = [this] { return int64_t{1'000'000} + now; };
        p.ticks = [this] { return Tick{now}; };
        p.send = [this](const std::string& message) {
            sent.push_back(message);
            return takes;
        };
        return p;
    }
    void publish(uint32_t rule, uint32_t per_minute) {
        auto sites = std::make_shared<RuleSites>();
        RuleSite site{.chain = "input", .position = 1};
        site.log.per_minute = per_minute;
        site.log.style = rules::LogStyle::kIpchains;
        sites->emplace(rule, site);
        logger.publish(std::move(sites));
    }
    void write(uint32_t rule, uint32_t per_minute = 0) {
        RuleLogRecord record;
        record.rule = rules::RuleId{rule};
        record.now = Tick{now};
        record.protocol = 17;
        shard.write(record, per_minute);
    }
};

}  // namespace

TEST_CASE("a record becomes a message with the time of its packet", "[eventlog]") {
    Desk desk;
    desk.shard.make_room(10);
    desk.publish(3, 0);
    desk.write(3);
    desk.now += 500;  // until the logger has its turn
    CHECK(desk.logger.turn() == 1);
    REQUIRE(desk.sent.size() == 1);
    CHECK(desk.sent[0].starts_with(
        "<30>1 1970-01-01T00:16:41.000Z nat sekishod 1 rule - Packet log: "
    ));
    CHECK(desk.logger.sent() == 1);
    desk.takes = false;
    desk.write(3);
    desk.logger.turn();
    CHECK(desk.logger.failed() == 1);
}

TEST_CASE("a rule has so many lines a minute, and what is left out is told", "[eventlog]") {
    Desk desk;
    desk.shard.make_room(10);
    desk.publish(3, 3);
    for (int i = 0; i < 5; ++i) {
        desk.write(3, 60'000);  // the worker lets all through
    }
    desk.logger.turn();
    CHECK(desk.sent.size() == 3);
    desk.now += 61'000;
    desk.write(3, 60'000);
    desk.logger.turn();
    REQUIRE(desk.sent.size() == 5);
    CHECK(desk.sent[3].ends_with(" - 2 messages of rule input #1 left out"));
    CHECK(desk.logger.suppressed() == 2);
}

TEST_CASE("a flood of one rule leaves the others their lines, at the worker", "[eventlog]") {
    Desk desk;
    desk.shard.make_room(10);
    for (int i = 0; i < 100'000; ++i) {
        desk.write(3);
    }
    desk.write(4);
    CHECK(desk.shard.lost() == 0);
    CHECK(desk.shard.written() == RuleLog::kPerMinute / 10 + 1);
    CHECK(desk.shard.suppressed() == 100'000 - RuleLog::kPerMinute / 10);
    // What has come together in a minute is a burst, not a minute's lines.
    desk.now += 60'000;
    for (int i = 0; i < 1000; ++i) {
        desk.write(3);
    }
    CHECK(desk.shard.written() == 2 * (RuleLog::kPerMinute / 10) + 1);
    std::vector<RuleLogRecord> records(200);
    records.resize(desk.shard.read(records));
    REQUIRE(records.size() == desk.shard.written());
    CHECK(records[RuleLog::kPerMinute / 10 + 1].suppressed == 100'000 - RuleLog::kPerMinute / 10);
}

TEST_CASE("ten lines a second come evenly at ten lines a second", "[eventlog]") {
    Desk desk;
    desk.shard.make_room(10);
    for (int i = 0; i < 60; ++i) {
        desk.write(3);
    }
    const uint64_t before = desk.shard.written();
    for (int ms = 0; ms < 10'000; ++ms) {
        ++desk.now;
        desk.write(3);
    }
    CHECK(desk.shard.written() - before == 100);
}

TEST_CASE(
    "a slow rule's line comes once a minute, and a full ring loses and counts", "[eventlog]"
) {
    Desk desk;
    desk.shard.make_room(1 << 13);
    for (int minute = 0; minute < 5; ++minute) {
        for (int i = 0; i < 60'000; ++i) {
            ++desk.now;
            desk.write(3, 1);
        }
    }
    CHECK(desk.shard.written() >= 5);
    CHECK(desk.shard.written() <= 6);
    for (uint32_t rule = 0; rule < RuleLog::kRing + 10; ++rule) {
        desk.write(rule + 4);
    }
    CHECK(desk.shard.lost() >= 10);
    CHECK(desk.shard.lost() <= 16);
}

TEST_CASE(
    "records of a rule that is gone are told as it was, and then by its number", "[eventlog]"
) {
    Desk desk;
    desk.shard.make_room(10);
    desk.publish(3, 0);
    desk.publish(5, 0);
    desk.write(3);
    desk.write(9);
    desk.logger.turn();
    REQUIRE(desk.sent.size() == 2);
    CHECK(desk.sent[0].find("Packet log: input - ") != std::string::npos);
    CHECK(desk.sent[1].find("[rule@32473 id=\"9\" ") != std::string::npos);
}
