// RuleEdit: one change of the rules as a client asks for it, and the rules so changed.
//
//   Words     op: add, insert, delete, replace, move, flush, policy, create, remove. chain: a name. position, to: from 1, as a
//             listing has them. id: which rule the client means by the position; if another stands there by now, nothing is
//             changed. rule, policy: text in the language of the file (config/rule_text.h).
//   Errors    kInvalidParams: a parameter that is missing, unknown or no such value; mistakes in a text, a line each, with their
//             places; what the rule model refuses, in its words.
//   Thread    pure.
#pragma once

#include <optional>
#include <string>

#include "config/config.h"
#include "control/rpc_error.h"

namespace sekisho::control {

struct RuleEdit {
    enum class Op : uint8_t {
        kAdd,
        kInsert,
        kDelete,
        kReplace,
        kMove,
        kFlush,
        kPolicy,
        kCreate,
        kRemove
    };
    Op op = Op::kAdd;
    std::string chain;
    std::optional<size_t> position;
    std::optional<size_t> to;
    std::optional<uint32_t> id;
    std::optional<std::string> rule;    // text
    std::optional<std::string> policy;  // text
    std::optional<rules::Hook> hook;    // of a chain that is created
    int16_t priority = 0;
};

std::string_view name_of(RuleEdit::Op op);

inline constexpr std::string_view kWantedHook = "a hook: ingress, forward, egress, ...";
std::optional<rules::Hook> find_hook(std::string_view name);

tl::expected<RuleEdit, RpcError> read_rule_edit(const Json& params);

struct Edited {
    config::RulesSettings rules;
    std::string chain;
    std::optional<size_t>
        position;  // from 1: where the rule that has come stands, or the one that has gone stood
    bool comes = false;   // a rule has come to that position
    rules::RulePtr gone;  // what was deleted or replaced
    size_t flushed = 0;   // rules
    std::string what;     // it is, on one line
};
tl::expected<Edited, RpcError> edit_rules(const config::Config& running, const RuleEdit& edit);

}  // namespace sekisho::control
