// Paths: the lists of rules that packets agreed with, each kept once and counted as a whole.
//
//   Law       what a packet's whole walk agreed with, in order, is one number. Counters of rules are sums over the paths in
//             which they stand, made when somebody reads. Nothing is ever taken away: a table belongs to a rule set
//             and goes with it.
//   Full      there are bounds on paths and on the rules in them; a path beyond them has no number (kNoPath), and its
//             packets are counted rule by rule (RuleCounts).
//   Cost      find_or_make: a hash over the list and one probe, usually. Memory is taken when it is made.
//   Thread    one writer; counts may be read by anybody, rules_of() of paths below size() too.
//   Source    ARCHITECTURE 5.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "base/counters.h"
#include "base/keyed_hash.h"
#include "rules/rule_set.h"

namespace sekisho::rules {

using PathId = base::Id<struct PathTag, uint32_t>;
inline constexpr PathId kNoPath{0xffffffff};

struct PacketCount {
    Counter packets;
    Counter bytes;
    void add(uint64_t number, uint64_t of_bytes) {
        packets.add(number);
        bytes.add(of_bytes);
    }
};

class Paths {
  public:
    // At most `paths`, with `rules` in all of them together.
    Paths(uint32_t paths, uint32_t rules, const HashSecret& secret);

    PathId find_or_make(std::span<const RuleId> rules);
    std::span<const RuleId> rules_of(PathId path) const {
        const Entry& entry = entries_[path.value];
        return {rules_.data() + entry.first, entry.count};
    }
    uint32_t size() const { return size_.load(std::memory_order_acquire); }
    PacketCount& count_of(PathId path) { return counts_[path.value]; }
    const PacketCount& count_of(PathId path) const { return counts_[path.value]; }

  private:
    struct Entry {
        uint32_t first = 0;
        uint32_t count = 0;
    };
    uint64_t hash_of(std::span<const RuleId> rules) const;

    HashSecret secret_;
    std::vector<RuleId> rules_;
    std::vector<Entry> entries_;
    std::vector<PacketCount> counts_;
    std::vector<uint32_t> slots_;  // path + 1; 0: free
    uint32_t rules_taken_ = 0;
    std::atomic<uint32_t> size_{0};
};

// Counters rule by rule, by RuleId.
class RuleCounts {
  public:
    explicit RuleCounts(uint32_t id_bound) : counts_(id_bound) {}
    PacketCount& of(RuleId id) { return counts_[id.value]; }
    const PacketCount& of(RuleId id) const { return counts_[id.value]; }
    uint32_t id_bound() const { return static_cast<uint32_t>(counts_.size()); }

  private:
    std::vector<PacketCount> counts_;
};

struct RuleTotal {
    uint64_t packets = 0;
    uint64_t bytes = 0;
    friend bool operator==(const RuleTotal&, const RuleTotal&) = default;
};
// What every rule has counted, by RuleId: what its paths have, and what was counted rule by rule. Allocates.
std::vector<RuleTotal> total_by_rule(const Paths& paths, const RuleCounts& counts);

}  // namespace sekisho::rules
