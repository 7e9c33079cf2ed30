// Rules and sets in the language of the file.
//
//   Cost      control code; linear. Thread: pure.
#pragma once

#include <string>

#include "config/config.h"

namespace sekisho::config {

// The sections sets and rules; nothing where there are none.
std::string rules_to_yaml(const Config& config);

// The section patterns; nothing where there are none.
std::string patterns_to_yaml(const std::vector<PatternSettings>& patterns);

// One rule, as an entry of a chain's rules: a map on one line.
std::string rule_to_yaml(const Config& config, const rules::Rule& rule);

// A policy, or what a rule does.
std::string action_to_yaml(const Config& config, const rules::Action& action);

// All other sections.
std::string to_yaml_without_rules(const Config& config);

}  // namespace sekisho::config
