// Residues: flows whose packets fare differently by header fields that vary (rules/residue.h), and all that they can meet.
//
//   Shape     the tests that such a flow's walk can come to, each once, and an entry for each outcome of all of them: what a whole walk
//             came to when it was first seen. So a packet is asked only what varies, and the rest is one load.
//   Law       two flows whose walks can meet the same rules in the same order have the same residue.
//   Full      kNone: too many tests, or no room: such a flow's packets walk through the rules one by one.
//   Cost      entry_of: two dozen operations, however many tests. Memory is taken when it is made.
//   Thread    one writer; counts and paths of those that are known may be read by anybody.
//   Source    ARCHITECTURE 5.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "base/keyed_hash.h"
#include "rules/compiled_chain.h"
#include "rules/paths.h"
#include "rules/quick_test.h"

namespace sekisho::dataplane {

class Residues {
  public:
    static constexpr uint32_t kNone = 0xffffffff;
    static constexpr size_t kMostTests = 6;
    static_assert(kMostTests <= rules::QuickTests::kMost);

    struct Entry {
        rules::PacketCount count;
        std::atomic<uint32_t> path{rules::kNoPath.value};  // kNoPath: not known yet
        bool is_usual = false;                             // there is nothing to do but to count
    };

    // So many residues at most, with so many entries together.
    Residues(uint32_t room, uint32_t entries, const HashSecret& secret);

    // `key`: the rules that can be met, in order.
    uint32_t find_or_make(
        std::span<const rules::RuleId> key, std::span<const rules::QuickTest> tests
    );
    [[gnu::always_inline]] Entry& entry_of(uint32_t residue, rules::VaryingFields fields) {
        const Residue& r = residues_[residue];
        return entries_[r.first + r.tests.holding(fields)];
    }
    // For whoever sums up: those below size().
    uint32_t size() const { return taken_.load(std::memory_order_acquire); }
    const Entry& at(uint32_t entry) const { return entries_[entry]; }

  private:
    struct Residue {
        rules::QuickTests tests;
        uint32_t first = 0;  // of its entries
    };

    rules::Paths keys_;
    std::vector<Residue> residues_;
    std::vector<Entry> entries_;
    uint32_t made_ = 0;
    std::atomic<uint32_t> taken_{0};
};

// All that the walk of one packet's flow can meet, gathered chain by chain.
class ResidueGatherer {
  public:
    void clear() {
        key_count_ = test_count_ = 0;
        is_possible_ = true;
    }
    // A chain whose walk no packet of the flow can leave.
    void add_path(std::span<const rules::RuleId> path);
    // One of whose steps some vary.
    void add_step(const rules::Step& step);
    void add_end(rules::RuleId policy) { add_key(policy); }
    void give_up() { is_possible_ = false; }

    bool is_possible() const { return is_possible_; }
    std::span<const rules::RuleId> key() const { return {key_.data(), key_count_}; }
    std::span<const rules::QuickTest> tests() const { return {tests_.data(), test_count_}; }

  private:
    void add_key(rules::RuleId rule);
    void add_test(const rules::QuickTest& test);

    std::array<rules::RuleId, 256> key_;
    size_t key_count_ = 0;
    std::array<rules::QuickTest, Residues::kMostTests> tests_;
    size_t test_count_ = 0;
    bool is_possible_ = true;
};

}  // namespace sekisho::dataplane
