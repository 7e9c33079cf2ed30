#include "eventlog/rule_logger.h"

#include <array>

#include <fmt/format.h>

#include "eventlog/syslog.h"

namespace sekisho::eventlog {

using dataplane::RuleLogRecord;

void RuleLogger::publish(std::shared_ptr<const RuleSites> sites) {
    const std::lock_guard guard(mutex_);
    published_.push_front(std::move(sites));
    if (published_.size() > kSetsKept) {
        published_.pop_back();
    }
}

const RuleSite* RuleLogger::find(rules::RuleId rule) const {
    for (const auto& sites : sites_) {
        if (const auto at = sites->find(rule.value); at != sites->end()) {
            return &at->second;
        }
    }
    return nullptr;
}

unsigned RuleLogger::turn() {
    {
        const std::lock_guard guard(mutex_);
        sites_ = published_;
    }
    unsigned count = 0;
    std::array<RuleLogRecord, kBatch> records;
    for (dataplane::RuleLog* const shard : plan_.shards) {
        const size_t taken = shard->read(records);
        for (size_t i = 0; i < taken; ++i) {
            tell(records[i]);
        }
        count += static_cast<unsigned>(taken);
    }
    return count;
}

// `most`: 0: no bound.
bool RuleLogger::is_within_rate(Minute& minute, const RuleLogRecord& record, uint32_t most) {
    constexpr int32_t kMinuteMs = 60'000;
    if (minute.lines == 0 || elapsed_ms(minute.begun, record.now) >= kMinuteMs) {
        minute.begun = record.now;
        minute.lines = 0;
    }
    minute.suppressed += record.suppressed;
    if (most != 0 && minute.lines >= most) {
        ++minute.suppressed;
        suppressed_.add(1);
        return false;
    }
    ++minute.lines;
    return true;
}

void RuleLogger::tell(const RuleLogRecord& record) {
    const RuleSite* const site = find(record.rule);
    Minute& minute = minutes_[record.rule.value];
    if (!is_within_rate(minute, record, site != nullptr ? site->log.per_minute : 0)) {
        return;
    }
    // The worker's clock, by ours.
    const int64_t utc = plan_.utc_ms() - elapsed_ms(record.now, plan_.ticks());
    if (minute.suppressed != 0) {
        const std::string at = site != nullptr ? fmt::format("{} #{}", site->chain, site->position)
                                               : fmt::format("{}", record.rule.value);
        const auto text = fmt::format("{} messages of rule {} left out", minute.suppressed, at);
        send({site != nullptr ? site->log.level : uint8_t{6}, "", text}, utc);
        minute.suppressed = 0;
    }
    send(line_of(record, site, plan_.names), utc);
}

void RuleLogger::send(const RuleLine& line, int64_t utc_ms) {
    const SyslogHeader header{
        .facility = plan_.facility,
        .severity = line.level,
        .utc_ms = utc_ms,
        .host = plan_.host,
        .app = "sekishod",
        .process = plan_.process,
        .kind = "rule"};
    const bool is_taken = plan_.send(syslog_message(header, line.data, line.text));
    (is_taken ? sent_ : failed_).add(1);
}

}  // namespace sekisho::eventlog
