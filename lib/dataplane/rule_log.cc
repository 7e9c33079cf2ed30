#include "dataplane/rule_log.h"

#include <algorithm>

namespace sekisho::dataplane {

// A thousandth of a token for each thousandth of what comes in a minute.
bool RuleLog::take(Bucket& bucket, uint32_t per_minute, Tick now) {
    constexpr uint64_t kToken = 1000;
    constexpr uint64_t kMinuteMs = 60'000;
    constexpr uint64_t kBurstsAMinute = 10;
    const uint64_t full = std::max<uint64_t>(per_minute / kBurstsAMinute, 1) * kToken;
    const uint64_t passed = bucket.is_used ? uint64_t{now.ms - bucket.filled_at} : kMinuteMs;
    const uint64_t tokens =
        std::min<uint64_t>(full, bucket.milli_tokens + passed * per_minute * kToken / kMinuteMs);
    // What is less than a thousandth is not forgotten: the clock stands until there is one.
    if (tokens != bucket.milli_tokens || !bucket.is_used || tokens == full) {
        bucket.filled_at = now.ms;
    }
    bucket.is_used = true;
    const bool is_granted = tokens >= kToken;
    bucket.milli_tokens =
        static_cast<uint32_t>(std::min<uint64_t>(tokens - (is_granted ? kToken : 0), 0xffffffff));
    return is_granted;
}

void RuleLog::write(RuleLogRecord record, uint32_t per_minute) {
    if (record.rule.value >= buckets_.size()) {
        return lost_.add(1);
    }
    Bucket& bucket = buckets_[record.rule.value];
    if (!take(bucket, per_minute != 0 ? per_minute : kPerMinute, record.now)) {
        ++bucket.suppressed;
        return suppressed_.add(1);
    }
    record.suppressed = bucket.suppressed;
    if (!ring_.push(record)) {
        return lost_.add(1);
    }
    bucket.suppressed = 0;
    written_.add(1);
}

}  // namespace sekisho::dataplane
