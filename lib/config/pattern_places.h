// Patterns of rules that are not the file's, among those of a configuration.
//
//   Names     PREFIX and the own PatternId from 1; what has the prefix in the configuration is theirs. One keeps its place for as long as
//             rules ask for it, or for one behind it.
//   Errors    there are too many; the settings are of no more use then.
//   Cost      control code; allocates. Thread: pure.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "config/rules_settings.h"
#include "rules/patterns.h"

namespace sekisho::config {

// By the own PatternId, for all that the rules of `own` ask for.
Result<std::vector<rules::PatternId>> place_patterns(
    const rules::RuleSet& own,
    std::span<const rules::Pattern> patterns,
    const std::string& prefix,
    RulesSettings& settings
);

}  // namespace sekisho::config
