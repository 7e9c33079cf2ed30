// A rule, or a policy, as text by itself: in the language of the file, beside a configuration that has the rest.
//
//   Places    of mistakes count from the beginning of the text; its name stands where a file's would: "rule:1:12: found ...".
//   Errors    all mistakes of the text, in its order.
//   Cost      control code; linear in the text, and in the names that the configuration has. Thread: pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <tl/expected.hpp>

#include "config/config.h"

namespace sekisho::config {

template <class T>
using FromText = tl::expected<T, std::vector<Mistake>>;

// An entry of a chain's rules: a map. What it may do, and where it may lead, is that of a rule in `chain`.
FromText<rules::Rule> parse_rule(
    const std::string& text, const Config& config, rules::ChainId chain
);

// The policy of a chain at `hook`; one without a hook has none.
FromText<rules::Action> parse_policy(
    const std::string& text, const Config& config, std::optional<rules::Hook> hook
);

// What rules that translate want around them, and this configuration, which runs, has not, as a sentence; nothing: they can be in force.
std::optional<std::string> find_unfit(const Config& config, const rules::RuleSet& set);

}  // namespace sekisho::config
