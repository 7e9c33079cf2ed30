// Residue: rules whose answer can differ between packets of one flow, so that no verdict of a flow can stand for them.
//
//   Why       a rule reads a field that varies inside a flow (condition.h), or has a policer, which counts each packet.
//   Use       a flow whose walk asks such a rule, with all that is fixed in it agreeing, keeps the rule in its residue; where
//             the fixed conditions disagree, no packet of the flow will ever agree.
//   Thread    pure. Source: ARCHITECTURE 5.
#pragma once

#include <string>
#include <vector>

#include "rules/rule_set.h"

namespace sekisho::rules {

// The fields for which a rule leaves a residue, as people call them ("ttl", "tcp-flags", "rate"), each once; empty: none.
std::vector<std::string> varying_fields(const Rule& rule);

// Whether it asks what was found in payloads.
bool asks_for_payload(const Rule& rule);
// By PatternId: whether a rule asks for it; what lies beyond the end is asked for by none.
std::vector<bool> patterns_asked_for(const RuleSet& set);
// By ChainId: whether a walk through the chain, and those that it leads to, can come to such a rule.
std::vector<bool> chains_that_ask_for_payload(const RuleSet& set);

struct ResidueRule {
    Place place;
    RuleId rule;
    std::vector<std::string> fields;
};
// All of a rule set, by chain and position.
std::vector<ResidueRule> residue_of(const RuleSet& set);

}  // namespace sekisho::rules
