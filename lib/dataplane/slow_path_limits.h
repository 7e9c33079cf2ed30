// Rate limits of the slow path: a token bucket, and a bounded table of buckets by source (RFC
// 1812 4.3.2.8).
//
//   Units     tokens a second; a full bucket holds one second's worth. Rate 0 admits nothing.
//   Cost      constant; SourceLimiter looks at one set of four buckets. Nothing allocates once it
//             is made.
//   Thread    the slow path's.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/keyed_hash.h"
#include "base/types.h"

namespace sekisho::dataplane {

class TokenBucket {
  public:
    explicit TokenBucket(uint32_t per_second)
        : rate_(per_second), level_(uint64_t{per_second} * 1000) {}

    // Takes one token, if there is one.
    bool take(Tick now) {
        refill(now);
        if (level_ < kToken) {
            return false;
        }
        level_ -= kToken;
        return true;
    }

  private:
    static constexpr uint64_t kToken =
        1000;  // in thousandths, so that a millisecond brings `rate_`

    void refill(Tick now) {
        const int32_t passed = started_ ? elapsed_ms(last_, now) : 0;
        started_ = true;
        last_ = now;
        if (passed > 0) {
            level_ = std::min(
                level_ + uint64_t{static_cast<uint32_t>(passed)} * rate_, uint64_t{rate_} * kToken
            );
        }
    }

    uint32_t rate_;
    uint64_t level_;
    Tick last_{};
    bool started_ = false;
};

// One bucket a source in its realm, for the sources seen last. A source that was pushed out begins with a full
// bucket again; the bucket for all, which stands before this one, bounds what that can yield.
class SourceLimiter {
  public:
    SourceLimiter(uint32_t per_second, const HashSecret& secret)
        : rate_(per_second),
          secret_(secret),
          ways_(kSets * kWays, Way{{}, {}, {}, TokenBucket(per_second)}) {}

    bool take(RealmId realm, Ipv4Addr source, Tick now) {
        Way* const set =
            &ways_[(keyed_hash(secret_, source.raw, realm.value) & (kSets - 1)) * kWays];
        Way* victim = set;
        for (Way* way = set; way != set + kWays; ++way) {
            if (way->source == source && way->realm == realm) {
                way->used = now;
                return way->bucket.take(now);
            }
            const bool older = elapsed_ms(way->used, now) > elapsed_ms(victim->used, now);
            if (victim->source.raw != 0 && (way->source.raw == 0 || older)) {
                victim = way;
            }
        }
        *victim = Way{source, realm, now, TokenBucket(rate_)};
        return victim->bucket.take(now);
    }

  private:
    static constexpr size_t kSets = 1024;
    static constexpr size_t kWays = 4;
    struct Way {
        Ipv4Addr source;  // 0.0.0.0: free; it is never asked for
        RealmId realm;
        Tick used;
        TokenBucket bucket;
    };

    uint32_t rate_;
    HashSecret secret_;
    std::vector<Way> ways_;
};

}  // namespace sekisho::dataplane
