// RuleLogger: takes what rules that log have said out of the shards' rings and hands it on as syslog messages.
//
//   Rate      a rule that says how many lines a minute has no more over all shards, evenly or in one burst. What was left out is
//             told, with its number, in a message of its own before the rule's next one.
//   Errors    a message that the sink does not take is counted; nothing waits for it.
//   Rules     publish(): those in force from now on; records of the three sets before are told as they were then.
//   Thread    turn() by one thread; publish() and the counters by anybody.
//   Source    ARCHITECTURE 6; RFC 5424.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/counters.h"
#include "dataplane/rule_log.h"
#include "eventlog/rule_lines.h"

namespace sekisho::eventlog {

struct RuleLoggerPlan {
    std::vector<dataplane::RuleLog*> shards;
    LogNames names;
    std::string host;
    std::string process;
    uint8_t facility = 3;
    std::function<int64_t()> utc_ms;
    std::function<Tick()> ticks;
    std::function<bool(const std::string&)> send;  // false: it was not taken
};

class RuleLogger {
  public:
    explicit RuleLogger(RuleLoggerPlan plan) : plan_(std::move(plan)) {}

    void publish(std::shared_ptr<const RuleSites> sites);
    // Hands on what is there, at most kBatch of each shard. Returns how many records there were.
    unsigned turn();

    uint64_t sent() const { return sent_.read(); }
    uint64_t failed() const { return failed_.read(); }
    // Of records that were read here; a shard counts its own.
    uint64_t suppressed() const { return suppressed_.read(); }

  private:
    static constexpr size_t kBatch = 256;
    static constexpr size_t kSetsKept = 4;
    struct Minute {
        Tick begun;
        uint32_t lines = 0;
        uint64_t suppressed = 0;
    };

    const RuleSite* find(rules::RuleId rule) const;
    void tell(const dataplane::RuleLogRecord& record);
    bool is_within_rate(Minute& minute, const dataplane::RuleLogRecord& record, uint32_t most);
    void send(const RuleLine& line, int64_t utc_ms);

    RuleLoggerPlan plan_;
    std::mutex mutex_;
    std::deque<std::shared_ptr<const RuleSites>> published_;  // the last first
    std::deque<std::shared_ptr<const RuleSites>> sites_;      // as of this turn
    std::unordered_map<uint32_t, Minute> minutes_;            // by RuleId
    base::Counter sent_;
    base::Counter failed_;
    base::Counter suppressed_;
};

}  // namespace sekisho::eventlog
