#include "control/rule_edit.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "config/rule_text.h"
#include "config/rule_words.h"
#include "config/rules_to_yaml.h"
#include "control/json_text.h"
#include "control/params.h"

namespace sekisho::control {
namespace {

using Op = RuleEdit::Op;

// Which parameters an op wants, and which it may have.
struct OpWord {
    std::string_view name;
    Op op;
    bool position = false;
    bool to = false;
    bool rule = false;
    bool policy = false;
};
constexpr std::array<OpWord, 9> kOps{{
    {"add", Op::kAdd, false, false, true},
    {"insert", Op::kInsert, true, false, true},
    {"delete", Op::kDelete},  // by position, by rule, or by both
    {"replace", Op::kReplace, true, false, true},
    {"move", Op::kMove, true, true},
    {"flush", Op::kFlush},
    {"policy", Op::kPolicy, false, false, false, true},
    {"create", Op::kCreate},
    {"remove", Op::kRemove},
}};
constexpr std::string_view kWantedOp =
    "add, insert, delete, replace, move, flush, policy, create or remove";
constexpr uint64_t kMostPosition = uint64_t{1} << 20;

const OpWord* find_op(std::string_view name) {
    const auto* const found = std::ranges::find(kOps, name, &OpWord::name);
    return found == kOps.end() ? nullptr : found;
}

void want(ParamReader& reader, std::string_view name, bool is_there, std::string_view wanted) {
    if (!is_there) {
        reader.complain(name, "nothing", wanted);
    }
}

void read_created(ParamReader& reader, RuleEdit& edit) {
    constexpr std::string_view kWantedPriority = "a whole number from -32768 to 32767, as text";
    edit.hook = read_value(reader, "hook", kWantedHook, find_hook);
    if (const auto priority = reader.text("priority", kWantedPriority)) {
        const auto number = config::parse_signed(*priority);
        edit.priority = number.value_or(edit.priority);
        if (!number || !edit.hook) {
            reader.complain(
                "priority", quoted(Json(*priority)), number ? "a hook as well" : kWantedPriority
            );
        }
    }
}

void read_numbers(ParamReader& reader, RuleEdit& edit) {
    edit.position = reader.number("position", 1, kMostPosition);
    edit.to = reader.number("to", 1, kMostPosition);
    if (const auto id = reader.number("id", 0, UINT32_MAX)) {
        edit.id = static_cast<uint32_t>(*id);
    }
}

// A parameter of an edit: whether it is there, must be, may be.
struct Part {
    std::string_view name;
    bool is_there;
    bool is_wanted;
    bool may_be;
    std::string_view wanted;
    std::string_view instead = {};  // of one that may not be
};

void check_part(ParamReader& reader, const Part& part) {
    if (part.is_wanted && !part.is_there) {
        reader.complain(part.name, "nothing", part.wanted);
    }
    if (part.is_there && !part.is_wanted && !part.may_be) {
        reader.complain(part.name, "it", part.instead.empty() ? "none here" : part.instead);
    }
}

// What the op does not know is a mistake, too.
void check_shape(ParamReader& reader, const OpWord& op, const RuleEdit& edit) {
    const bool deletes = op.op == Op::kDelete;
    const bool creates = op.op == Op::kCreate;
    const bool has_place = edit.position.has_value();
    const bool has_rule = edit.rule.has_value();
    const bool has_hook = edit.hook.has_value();
    const bool needs_place = op.position || (deletes && !has_rule);
    const std::string_view place = deletes ? "a position, or a rule" : "the rule's number, from 1";
    const Part parts[] = {
        {"position", has_place, needs_place, deletes, place},
        {"to", edit.to.has_value(), op.to, false, "the new number"},
        {"rule", has_rule, op.rule, deletes, "a rule as text"},
        {"policy",
         edit.policy.has_value(),
         op.policy,
         creates && has_hook,
         "a policy",
         creates ? "a hook as well" : ""},
        {"hook", has_hook, false, creates, "", "none: only a chain that is created gets one"},
        {"id", edit.id.has_value(), false, has_place, "", "a position as well"}};
    for (const Part& part : parts) {
        check_part(reader, part);
    }
}

RpcError wrong(std::string message) {
    return {kInvalidParams, std::move(message)};
}

RpcError wrong(const std::vector<config::Mistake>& mistakes) {
    std::string text;
    for (const config::Mistake& mistake : mistakes) {
        text += (text.empty() ? "" : "\n") + mistake.text();
    }
    return wrong(text);
}

using Done = tl::expected<void, RpcError>;

template <class T>
Done done(const Result<T>& result) {
    return result ? Done{} : tl::make_unexpected(wrong(result.error().message));
}

// Carries one edit out, on a copy.
class Editor {
  public:
    Editor(const config::Config& running, const RuleEdit& edit) : running_(running), edit_(edit) {
        edited_.chain = edit.chain;
        edited_.rules = running.rules;
    }

    tl::expected<Edited, RpcError> edit() {
        const Done ready = edit_.op == Op::kCreate ? create() : find();
        if (const Done all = ready.and_then([this] { return carry_out(); }); !all) {
            return tl::make_unexpected(all.error());
        }
        edited_.what = sentence();
        return std::move(edited_);
    }

  private:
    rules::RuleSet& set() { return edited_.rules.set; }
    const rules::Chain& chain() { return *set().chain(chain_); }
    size_t index() const { return *edit_.position - 1; }

    Done create() {
        const auto made =
            edit_.hook
                ? set().add_built_in(edit_.chain, *edit_.hook, edit_.priority, rules::Accept{})
                : set().add_chain(edit_.chain);
        chain_ = made.value_or(rules::ChainId{});
        return done(made);
    }

    Done find() {
        const auto found = set().find_chain(edit_.chain);
        if (!found) {
            return tl::make_unexpected(
                wrong(fmt::format("there is no chain {}", quoted(Json(edit_.chain))))
            );
        }
        chain_ = *found;
        return check_id();
    }

    Done check_id() {
        if (!edit_.id || index() >= chain().rules.size()) {
            return {};
        }
        const uint32_t there = chain().rules[index()]->id.value;
        if (there == *edit_.id) {
            return {};
        }
        return tl::make_unexpected(wrong(fmt::format(
            "rule {} of chain {} has the id {}, not {}: the rules have changed",
            *edit_.position,
            edit_.chain,
            there,
            *edit_.id
        )));
    }

    Done carry_out() {
        switch (edit_.op) {
            case Op::kAdd:
                return insert(chain().rules.size());
            case Op::kInsert:
                return insert(index());
            case Op::kDelete:
                return remove_rule();
            case Op::kReplace:
                return replace();
            case Op::kMove:
                edited_.position = edit_.to;
                edited_.comes = true;
                return done(set().move(chain_, index(), *edit_.to - 1));
            case Op::kFlush:
                edited_.flushed = chain().rules.size();
                return done(set().flush(chain_));
            case Op::kPolicy:
            case Op::kCreate:
                return edit_.policy ? set_policy() : Done{};
            case Op::kRemove:
                return remove_chain();
        }
        return {};
    }

    tl::expected<rules::Rule, RpcError> read_rule() {
        auto rule = config::parse_rule(*edit_.rule, running_, chain_);
        if (!rule) {
            return tl::make_unexpected(wrong(rule.error()));
        }
        return std::move(*rule);
    }

    Done insert(size_t place) {
        edited_.position = place + 1;
        edited_.comes = true;
        return read_rule().and_then([&](rules::Rule rule) {
            return done(set().insert(chain_, place, std::move(rule)));
        });
    }

    Done replace() {
        edited_.position = edit_.position;
        edited_.comes = true;
        if (index() < chain().rules.size()) {
            edited_.gone = chain().rules[index()];
        }
        return read_rule().and_then([&](rules::Rule rule) {
            return done(set().replace(chain_, index(), std::move(rule)));
        });
    }

    Done remove_rule() {
        if (!edit_.rule) {
            return remove_at(index());
        }
        return read_rule().and_then([&](const rules::Rule& rule) { return remove_equal(rule); });
    }

    Done remove_equal(const rules::Rule& rule) {
        const auto& rules = chain().rules;
        const auto says_it = [&](const rules::RulePtr& other) {
            return other->says_the_same(rule);
        };
        const auto found = std::ranges::find_if(rules, says_it);
        if (found == rules.end()) {
            return tl::make_unexpected(wrong(fmt::format("chain {} has no such rule", edit_.chain))
            );
        }
        if (!edit_.position) {
            return remove_at(static_cast<size_t>(found - rules.begin()));
        }
        if (index() < rules.size() && !says_it(rules[index()])) {
            return tl::make_unexpected(wrong(fmt::format(
                "rule {} of chain {} says something else: {}",
                *edit_.position,
                edit_.chain,
                config::rule_to_yaml(running_, *rules[index()])
            )));
        }
        return remove_at(index());
    }

    Done remove_at(size_t place) {
        edited_.position = place + 1;
        if (place < chain().rules.size()) {
            edited_.gone = chain().rules[place];
        }
        return done(set().remove(chain_, place));
    }

    // Its policy has counted, and by its id it may count again.
    Done remove_chain() {
        if (!chain().hook) {
            return done(set().remove_chain(chain_));
        }
        return tl::make_unexpected(wrong(fmt::format(
            "chain {} stands at {} and stays: flushed, with the policy accept it denies nothing, "
            "and it "
            "goes with a reload of a file that has it no more",
            edit_.chain,
            rules::name_of(*chain().hook)
        )));
    }

    Done set_policy() {
        const auto policy = config::parse_policy(*edit_.policy, running_, chain().hook);
        if (!policy) {
            return tl::make_unexpected(wrong(policy.error()));
        }
        return done(set().set_policy(chain_, *policy));
    }

    // In the language of the file; the names of what the running configuration has.
    std::string sentence() {
        std::string head = fmt::format("{} {}", name_of(edit_.op), edit_.chain);
        switch (edit_.op) {
            case Op::kAdd:
            case Op::kInsert:
            case Op::kReplace:
                return fmt::format("{} {} {}", head, *edited_.position, text_of_new());
            case Op::kDelete:
                return fmt::format("{} {} {}", head, *edited_.position, text_of_gone());
            case Op::kMove:
                return fmt::format("{} {} {}", head, *edit_.position, *edit_.to);
            case Op::kPolicy:
                return fmt::format("{} {}", head, text_of_policy());
            case Op::kCreate:
                return chain().hook ? fmt::format(
                                          "{} hook {} priority {} policy {}",
                                          head,
                                          rules::name_of(*chain().hook),
                                          chain().priority,
                                          text_of_policy()
                                      )
                                    : head;
            default:
                return head;
        }
    }
    std::string text_of_new() {
        return config::rule_to_yaml(running_, *chain().rules[*edited_.position - 1]);
    }
    std::string text_of_policy() { return config::action_to_yaml(running_, chain().policy); }
    std::string text_of_gone() { return config::rule_to_yaml(running_, *edited_.gone); }

    const config::Config& running_;
    const RuleEdit& edit_;
    rules::ChainId chain_;
    Edited edited_;
};

}  // namespace

std::optional<rules::Hook> find_hook(std::string_view name) {
    for (unsigned i = 0; i < rules::kHooks; ++i) {
        if (name == rules::name_of(static_cast<rules::Hook>(i))) {
            return static_cast<rules::Hook>(i);
        }
    }
    return std::nullopt;
}

std::string_view name_of(RuleEdit::Op op) {
    return std::ranges::find(kOps, op, &OpWord::op)->name;
}

tl::expected<RuleEdit, RpcError> read_rule_edit(const Json& params) {
    ParamReader reader(params);
    RuleEdit edit;
    const auto op_name = reader.text("op", kWantedOp);
    const OpWord* const op = find_op(op_name.value_or(""));
    if (op == nullptr) {
        reader.complain("op", op_name ? quoted(Json(*op_name)) : "nothing", kWantedOp);
    }
    constexpr std::string_view kWantedChain = "the name of a chain";
    const auto chain = reader.text("chain", kWantedChain);
    want(reader, "chain", chain.has_value(), kWantedChain);
    edit.chain = chain.value_or("");
    read_numbers(reader, edit);
    edit.rule = reader.text("rule", "a rule as text");
    edit.policy = reader.text("policy", "a policy as text");
    read_created(reader, edit);
    if (op != nullptr) {
        edit.op = op->op;
        check_shape(reader, *op, edit);
    }
    if (const auto read = reader.finish(); !read) {
        return tl::make_unexpected(read.error());
    }
    return edit;
}

tl::expected<Edited, RpcError> edit_rules(const config::Config& running, const RuleEdit& edit) {
    return Editor(running, edit).edit();
}

}  // namespace sekisho::control
