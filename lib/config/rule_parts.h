// A rule, part by part: what a key asks of a packet, and what a rule does with it.
//
//   Errors    reported; nothing then. Thread: one checker.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/draft.h"
#include "config/parts.h"
#include "config/rule_words.h"
#include "rules/rule_set.h"

namespace sekisho::config {

// What a rule may name, and where its mistakes go.
struct RuleContext {
    const Draft& draft;
    Mistakes& mistakes;
};

inline std::string_view text_of(const Node& node) {
    return node.kind == Node::Kind::kScalar ? std::string_view(node.text) : std::string_view();
}

// A single value, or a list of any number of them. `one` says whether it has read its item.
template <class One>
bool read_each(const Node& node, std::string_view wanted, const RuleContext& in, One&& one) {
    if (node.kind == Node::Kind::kScalar) {
        return one(node);
    }
    if (node.kind != Node::Kind::kList) {
        in.mistakes.add(node.place, describe(node), std::string(wanted));
        return false;
    }
    bool good = true;
    for (const Node& item : node.items) {
        good = one(item) && good;
    }
    return good;
}

// What is written for short.
inline constexpr Choice<rules::TcpFlagsTest> kTcpShorthands[] = {
    {"syn", {rules::kSyn | rules::kAck | rules::kFin | rules::kRst, rules::kSyn}},
    {"ack", {rules::kAck, rules::kAck}}};
inline constexpr Choice<uint32_t> kRatePeriods[] = {
    {"second", 1}, {"minute", 60}, {"hour", 3600}, {"day", rules::TimeOfWeek::kDay}};
inline constexpr Choice<bool> kDnatAffinities[] = {{"source", true}, {"none", false}};
inline constexpr uint8_t kDscpMask = 0xfc;  // of the TOS byte

// What is wanted where something of the file is to be named.
std::string wanted_name(std::string_view kind, const Names& names);

// A name or a number.
std::optional<uint8_t> read_dscp(const Node& node, Mistakes& mistakes);
// Text on one line, without control characters; nullptr after a mistake.
const std::string* read_line(const Node& node, size_t most, Mistakes& mistakes);

// The key of a condition, without its `not-`.
bool is_condition(std::string_view key);
std::optional<rules::Condition> read_condition(
    std::string_view key, const Node& node, const RuleContext& in
);

// One action: a word, or a map with one key.
std::optional<rules::Action> read_action(const Node& node, const RuleContext& in);
// A rule: a map. In the order of its keys. Nothing where there was a mistake, so that it causes no second one, or where it
// leads to a chain that could not be declared.
std::optional<rules::Rule> read_rule(const Node& node, const RuleContext& in);

// Whether a rule, or a policy, can stand in a chain; refused in the words of the rule model, at `node`.
struct Stand {
    const rules::RuleSet& set;
    rules::ChainId chain;
};
bool check_stand(const Node& node, const rules::Rule& rule, Stand stand, Mistakes& mistakes);
bool check_stand(
    const Node& node,
    const rules::Action& policy,
    std::optional<rules::Hook> hook,
    Mistakes& mistakes
);

// One, or a list of them in their order.
void read_actions(const Node& node, const RuleContext& in, std::vector<rules::Action>& actions);

}  // namespace sekisho::config
