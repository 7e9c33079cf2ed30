// Flow index, record pool and timing wheel together, as a store of sessions, against plain maps.
//
// The model knows every live key with its deadline on a clock of 64 bits. The store sees 32-bit
// ticks that wrap, a full table (90 % of the index), keys whose hashes are equal, jumps of time and
// bounded expiry. Default a few million operations; SEKISHO_LONG=1 does ten times as many. A
// failure prints the seed.
#include <algorithm>
#include <cstdlib>
#include <random>
#include <unordered_map>
#include <vector>

#include <catch2/catch.hpp>

#include "base/keyed_hash.h"
#include "flow/flow_index.h"
#include "flow/record_pool.h"
#include "flow/timing_wheel.h"
#include "line_memory.h"

using namespace sekisho;
using support::LineMemory;

namespace {

constexpr uint64_t kHorizonMs = uint64_t{TimingWheel::kSlots - 1} * TimingWheel::kSlotMs;
constexpr uint64_t kFamily = uint64_t{1} << 63;  // keys with this bit all have one hash
constexpr uint32_t kFamilyLimit = 60;

struct Record {
    uint32_t link;
    Tick deadline;
    uint64_t key;
};

struct Expected {
    uint32_t entry;
    uint64_t deadline;    // when it is to end
    uint64_t not_before;  // when the wheel may fire at the earliest
    uint64_t not_after;   // and must have at the latest, given budget
};

class Run {
  public:
    Run(uint64_t seed, size_t entries)
        : random_(seed),
          secret_{{random_(), random_(), random_(), random_()}},
          index_memory_(FlowIndex::bytes_for(entries)),
          wheel_memory_(TimingWheel::bytes_for(entries * 2)),
          records_(entries * 2),
          now_((uint64_t{1} << 32) - random_() % 200'000),
          settled_(now_),
          index_(index_memory_.bytes(), entries),
          pool_(std::span(records_)),
          wheel_(wheel_memory_.bytes(), entries * 2, tick(now_)),
          most_(index_.slots() * 9 / 10) {}

    // Eight spells, by turns of filling up while time stands nearly still and of coming and going.
    void operations(size_t n) {
        jump_odds_ = n / 10;
        for (size_t i = 0; i < n; ++i) {
            one((i / (n / 8)) % 2 == 0);
            if (i % 32 == 0) {
                pool_.end_of_burst();
            }
            if (i % (n / 64 + 1) == 0) {
                sweep();
            }
        }
        sweep();
        drain();
    }

    size_t high() const { return high_; }
    size_t most() const { return most_; }
    size_t expired() const { return expired_; }

  private:
    static Tick tick(uint64_t ms) { return Tick{static_cast<uint32_t>(ms)}; }
    uint64_t hash(uint64_t key) const {
        return (key & kFamily) != 0 ? secret_.words[0] : keyed_hash(secret_, key, ~key);
    }
    uint32_t find(uint64_t key) const {
        return index_.find(hash(key), [&](uint32_t v) { return records_[v].key == key; });
    }
    uint64_t known_key() { return keys_[random_() % keys_.size()]; }
    uint64_t draw_timeout() {
        constexpr uint64_t kTimeouts[] = {
            1, 500, 4'000, 60'000, 240'000, 300'000, 7'440'000, 20'000'000};
        return kTimeouts[random_() % 8] + random_() % 700;
    }

    void one(bool filling) {
        const uint64_t dice = random_() % 1000;
        if (dice < 400 || (filling && dice < 800)) {
            insert();
        } else if (dice < 600) {
            look_up();
        } else if (dice < 700) {
            if (!keys_.empty()) {
                erase(known_key());
            }
        } else if (dice < 900) {
            touch();
        } else if (!filling || random_() % 64 == 0) {
            pass_time();
        }
    }

    void insert() {
        const bool family = random_() % 256 == 0 && family_size_ < kFamilyLimit;
        const uint64_t key = family ? kFamily | random_() % 1000 : random_() >> 1;
        if (model_.size() >= most_ || model_.contains(key)) {
            return;
        }
        const uint32_t entry = pool_.allocate();
        if (entry == kNoIndex) {
            return;  // the others are in limbo
        }
        records_[entry].key = key;
        REQUIRE(index_.insert(hash(key), entry));
        position_[key] = keys_.size();
        keys_.push_back(key);
        family_size_ += family;
        model_[key] = {entry, 0, 0, 0};
        set_deadline(key, now_ + draw_timeout());
        schedule(key);
        high_ = std::max(high_, model_.size());
    }

    void look_up() {
        const uint64_t stranger = random_() % 64 == 0 ? kFamily | random_() % 1000 : random_() >> 1;
        if (!model_.contains(stranger)) {
            REQUIRE(find(stranger) == kNoIndex);
        }
        if (!keys_.empty()) {
            const uint64_t key = known_key();
            REQUIRE(find(key) == model_.at(key).entry);
        }
    }

    void erase(uint64_t key) {
        const Expected expected = model_.at(key);
        REQUIRE(index_.erase(hash(key), expected.entry));
        REQUIRE(find(key) == kNoIndex);
        wheel_.cancel(expected.entry);
        pool_.release(expected.entry);
        records_[expected.entry].key = ~uint64_t{0};
        family_size_ -= (key & kFamily) != 0;
        const size_t at = position_.at(key);
        position_[keys_.back()] = at;
        std::swap(keys_[at], keys_.back());
        keys_.pop_back();
        position_.erase(key);
        model_.erase(key);
    }

    // Lengthening is lazy, shortening is at once.
    void touch() {
        if (keys_.empty()) {
            return;
        }
        const uint64_t key = known_key();
        const uint64_t deadline = now_ + draw_timeout();
        const bool sooner = deadline < model_.at(key).deadline;
        set_deadline(key, deadline);
        if (sooner) {
            schedule(key);
        }
    }

    void set_deadline(uint64_t key, uint64_t deadline) {
        Expected& e = model_.at(key);
        e.deadline = deadline;
        records_[e.entry].deadline = tick(deadline);
    }

    void schedule(uint64_t key) {
        Expected& e = model_.at(key);
        wheel_.schedule(e.entry, tick(e.deadline));
        REQUIRE(wheel_.is_scheduled(e.entry));
        const uint64_t cursor = settled_ / TimingWheel::kSlotMs * TimingWheel::kSlotMs;
        e.not_before = std::min(e.deadline, cursor + kHorizonMs);
        e.not_after =
            std::max(std::min(e.deadline, now_ + kHorizonMs), now_) + TimingWheel::kSlotMs;
    }

    void pass_time() {
        const uint64_t dice = random_() % jump_odds_;
        if (dice < 4) {
            now_ += random_() % (uint64_t{20} * 86'400'000);
        } else if (dice < 20) {
            now_ += random_() % 8'000'000;
        } else if (random_() % 16 != 0) {
            now_ += random_() % 20;
        } else {
            now_ += random_() % 2'000;
        }
        expire(random_() % 4 == 0 ? static_cast<uint32_t>(random_() % 50) : 1'000'000'000);
    }

    void expire(uint32_t budget) {
        const uint32_t fired = wheel_.advance(tick(now_), budget, [&](uint32_t entry) {
            const uint64_t key = records_[entry].key;
            const auto at = model_.find(key);
            REQUIRE(at != model_.end());
            REQUIRE(at->second.entry == entry);
            REQUIRE_FALSE(wheel_.is_scheduled(entry));
            REQUIRE(at->second.not_before <= now_);
            const bool over = elapsed_ms(tick(now_), records_[entry].deadline) <= 0;
            REQUIRE(over == (at->second.deadline <= now_));
            if (over) {
                erase(key);
                ++expired_;
            } else {
                schedule(key);
            }
            if (random_() % 16 == 0 && !keys_.empty()) {
                erase(known_key());  // any entry, one of the same slot too
            }
        });
        REQUIRE(fired <= budget);
        if (fired < budget) {
            settled_ = now_;
        }
    }

    void sweep() {
        expire(1'000'000'000);
        REQUIRE(index_.size() == model_.size());
        REQUIRE(pool_.size() == model_.size());
        size_t wrong = 0;
        for (const auto& [key, e] : model_) {
            wrong += find(key) != e.entry;
            wrong += !wheel_.is_scheduled(e.entry);
            wrong += e.not_after < now_;
        }
        REQUIRE(wrong == 0);
    }

    void drain() {
        for (int i = 0; i < 4; ++i) {
            now_ += 9'000'000;
            expire(1'000'000'000);
        }
        REQUIRE(model_.empty());
        REQUIRE(index_.size() == 0);
        REQUIRE(index_.overflow_size() == 0);
        REQUIRE(pool_.size() == 0);
    }

    std::mt19937_64 random_;
    HashSecret secret_;
    LineMemory index_memory_;
    LineMemory wheel_memory_;
    std::vector<Record> records_;
    uint64_t now_;
    uint64_t settled_;  // when nothing that was due was left over
    FlowIndex index_;
    RecordPool<Record> pool_;
    TimingWheel wheel_;
    size_t most_;
    std::unordered_map<uint64_t, Expected> model_;
    std::vector<uint64_t> keys_;
    std::unordered_map<uint64_t, size_t> position_;
    uint32_t family_size_ = 0;
    size_t high_ = 0;
    uint64_t jump_odds_ = 1;
    size_t expired_ = 0;
};

struct Shape {
    size_t entries;
    size_t operations;
};

}  // namespace

TEST_CASE(
    "index, pool and wheel agree with plain maps at 90 % load while time wraps and jumps",
    "[flow][model]"
) {
    const char* const asked = std::getenv("SEKISHO_LONG");
    const size_t factor = asked != nullptr && asked[0] == '1' ? 10 : 1;
    for (const Shape shape :
         {Shape{40, 500'000}, Shape{1'000, 1'000'000}, Shape{20'000, 2'000'000}}) {
        for (uint64_t seed = 1; seed <= 2 * factor; ++seed) {
            INFO("seed " << seed << ", entries " << shape.entries);
            Run run(seed, shape.entries);
            run.operations(shape.operations);
            CHECK(run.high() == run.most());
            CHECK(run.expired() > 1'000);
        }
    }
}
