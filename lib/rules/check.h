// Whether a rule can stand where it is to stand. Control code; errors are sentences without the place, which the caller knows.
#pragma once

#include <span>

#include "base/result.h"
#include "rules/rule_set.h"

namespace sekisho::rules {

// The rule by itself: values in their ranges, one deciding action and that the last, chains and sets that are there.
Result<void> check_rule(const RuleSet& set, const Rule& rule);

// Whether a built-in chain at this hook may have this policy.
Result<void> check_policy(Hook hook, const Action& policy);

// A rule in a chain: what it does can be done at every hook from which the chain is reached; and where it leads is
// neither back to the chain nor too deep, nor to what cannot be done there.
Result<void> check_place(const RuleSet& set, ChainId chain, const Rule& rule);

}  // namespace sekisho::rules
