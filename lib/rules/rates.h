// Rates: the token buckets of a rule set's rates and policers, as one shard has them.
//
//   Units     credit is packets times the milliseconds of the rate's period, or bytes times 1000, so that nothing is rounded.
//   Shares    each of so many shards has its share of each rate, of a burst at least one packet.
//   Law       a bucket begins full, and fills with time up to its burst. Buckets go by the number that the rule set
//             gave, so what a change leaves alone keeps its credit (follow()).
//   Undo      of what was taken since keep(), give_back() puts back all, up to kMostKept takings: a packet that is asked about again pays once.
//   Cost      take: a multiplication and a compare. Thread: its shard's.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/types.h"
#include "rules/rule_set.h"

namespace sekisho::rules {

class Rates {
  public:
    explicit Rates(const RuleSet& set, uint32_t shares = 1);

    // Takes over another rule set; allocates.
    void follow(const RuleSet& set);
    // The credit of buckets that are the same as there.
    void take_over(const Rates& before);
    bool take_packet(uint32_t bucket, Tick now) { return take(bucket, 1, now); }
    bool take_bytes(uint32_t bucket, uint32_t bytes, Tick now) { return take(bucket, bytes, now); }
    void keep() { taken_count_ = 0; }
    void give_back();

  private:
    struct Bucket {
        uint64_t room = 0;  // of credit; 0: no such bucket
        uint64_t per_ms = 0;
        uint64_t cost = 0;  // of a packet, or a byte
        uint64_t credit = 0;
        Tick last;
        bool is_new = true;  // full, whatever the time
    };
    void follow(const Rule& rule);
    void add(uint32_t number, Bucket bucket);
    bool take(uint32_t number, uint32_t units, Tick now);

    struct Taken {
        uint32_t bucket = 0;
        uint64_t credit = 0;
    };
    static constexpr size_t kMostKept = 32;

    std::vector<Bucket> buckets_;
    uint32_t shares_;
    size_t taken_count_ = 0;  // since keep()
    std::array<Taken, kMostKept> taken_;
};

}  // namespace sekisho::rules
