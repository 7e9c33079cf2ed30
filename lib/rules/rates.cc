#include "rules/rates.h"

#include <algorithm>

namespace sekisho::rules {

Rates::Rates(const RuleSet& set, uint32_t shares) : shares_(shares) {
    follow(set);
}

void Rates::add(uint32_t number, Bucket bucket) {
    bucket.cost *= shares_;
    bucket.room = std::max(bucket.room, bucket.cost);
    if (buckets_[number].room == 0) {
        buckets_[number] = bucket;
    }
}

void Rates::follow(const Rule& rule) {
    for (const Condition& condition : rule.conditions) {
        if (const auto* rate = std::get_if<RateTest>(&condition.test)) {
            const uint64_t period = uint64_t{rate->period.value} * 1000;
            add(rate->bucket, {rate->burst * period, rate->packets, period, 0, {}});
        }
    }
    for (const Action& action : rule.actions) {
        if (const auto* police = std::get_if<Police>(&action)) {
            const uint64_t room = uint64_t{police->burst_bytes} * 1000;
            add(police->bucket, {room, police->bytes_per_second, 1000, 0, {}});
        }
    }
}

void Rates::follow(const RuleSet& set) {
    buckets_.resize(set.bucket_bound());
    for (const ChainId id : set.chains()) {
        for (const RulePtr& rule : set.chain(id)->rules) {
            follow(*rule);
        }
    }
}

void Rates::take_over(const Rates& before) {
    const size_t count = std::min(buckets_.size(), before.buckets_.size());
    for (size_t number = 0; number < count; ++number) {
        Bucket& bucket = buckets_[number];
        const Bucket& old = before.buckets_[number];
        if (bucket.room == old.room && bucket.per_ms == old.per_ms && bucket.cost == old.cost) {
            bucket = old;
        }
    }
}

bool Rates::take(uint32_t number, uint32_t units, Tick now) {
    Bucket& bucket = buckets_[number];
    const uint64_t passed = bucket.is_new ? ~uint64_t{0} : uint64_t{now.ms - bucket.last.ms};
    const bool is_full = passed > bucket.room / bucket.per_ms;
    bucket.credit =
        is_full ? bucket.room : std::min(bucket.room, bucket.credit + passed * bucket.per_ms);
    bucket.last = now;
    bucket.is_new = false;
    const uint64_t wanted = bucket.cost * units;
    if (bucket.credit < wanted) {
        return false;
    }
    bucket.credit -= wanted;
    if (taken_count_ < kMostKept) {
        taken_[taken_count_++] = {number, wanted};
    }
    return true;
}

void Rates::give_back() {
    while (taken_count_ > 0) {
        const Taken& taken = taken_[--taken_count_];
        buckets_[taken.bucket].credit += taken.credit;
    }
}

}  // namespace sekisho::rules
