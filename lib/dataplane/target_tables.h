// TargetTables: which of its targets a dnat rule gives to whom.
//
//   Law       a function of the rule's targets and a hash of the flow, or of its source alone, so it needs no state, is the same on all
//             shards, and goes on as it was for most flows when the targets change (nat/target_choice.h).
//   Shape     a table for each rule with several targets. Cost: made with the rules, beside those in force; of(): one look-up.
//   Thread    immutable.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>

#include "nat/target_choice.h"
#include "rules/rule_set.h"

namespace sekisho::dataplane {

class TargetTables {
  public:
    explicit TargetTables(const rules::RuleSet& set);
    // The place of the target, of a rule with a dnat.
    size_t of(rules::RuleId rule, uint64_t hash) const {
        const auto found = tables_.find(rule.value);
        return found == tables_.end() ? 0 : found->second.of(hash);
    }

  private:
    std::unordered_map<uint32_t, nat::TargetChoice> tables_;  // by RuleId
};

}  // namespace sekisho::dataplane
