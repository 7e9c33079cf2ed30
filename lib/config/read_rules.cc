// The sections rules and rules-change: chains first, so that a rule may lead to one that stands behind it, then their rules.
#include <algorithm>

#include <fmt/format.h>

#include "config/rule_parts.h"
#include "rules/check.h"

namespace sekisho::config {
namespace {

constexpr Choice<rules::Hook> kHooks[] = {
    {"ingress", rules::Hook::kIngress},
    {"forward", rules::Hook::kForward},
    {"egress", rules::Hook::kEgress},
    {"local-in", rules::Hook::kLocalIn},
    {"local-out", rules::Hook::kLocalOut},
    {"accounting", rules::Hook::kAccounting},
    {"nat-destination", rules::Hook::kNatDestination},
    {"nat-source", rules::Hook::kNatSource},
};
static_assert(std::size(kHooks) == rules::kHooks);

constexpr Choice<RulesChange> kChanges[] = {
    {"revalidate", RulesChange::kRevalidate}, {"keep", RulesChange::kKeep}};

// As a rule set takes it; nullptr after a mistake.
const std::string* read_chain_name(const Node& node, Mistakes& mistakes) {
    const std::string_view text = text_of(node);
    const auto is_plain = [](char c) { return c > ' ' && c < '\x7f'; };
    if (text.empty() || text.size() > rules::kLongestName || !std::ranges::all_of(text, is_plain)) {
        mistakes.add(
            node.place,
            describe(node),
            fmt::format(
                "a name of 1 to {} printable ASCII characters, no blank", rules::kLongestName
            )
        );
        return nullptr;
    }
    return &node.text;
}

void read_priority(const Node& node, int16_t& priority, Mistakes& mistakes) {
    const auto value = parse_signed(node.quoted ? "" : text_of(node));
    if (!value) {
        mistakes.add(node.place, describe(node), "a whole number from -32768 to 32767");
        return;
    }
    priority = *value;
}

// What stands at a hook point only.
void refuse_without_hook(const Map& map, Mistakes& mistakes) {
    for (const char* key : {"priority", "policy"}) {
        if (const Node* node = map.find(key)) {
            mistakes.add(
                node->place,
                fmt::format("the {} of a chain without a hook", key),
                "a hook as well: such a chain is reached by rules only"
            );
        }
    }
}

// Its policy is read when all chains are known, as an action.
void declare_chain(const Map& map, ChainPlaces& places, Draft& draft, Mistakes& mistakes) {
    const Node* const name = map.find("name");
    if (name == nullptr || read_chain_name(*name, mistakes) == nullptr) {
        return;
    }
    const bool is_second = draft.chain_names.find(name->text).has_value();
    draft.chain_names.declare(*name, draft.chains.size(), mistakes);
    if (is_second) {
        return;
    }
    rules::RuleSet& set = draft.config.rules.set;
    int16_t priority = 0;
    const Node* const hook_node = map.find("hook");
    if (hook_node == nullptr) {
        refuse_without_hook(map, mistakes);
    } else if (const Node* node = map.find("priority")) {
        read_priority(*node, priority, mistakes);
    }
    const auto hook = hook_node != nullptr ? read_choice(*hook_node, kHooks, mistakes)
                                           : std::optional<rules::Hook>();
    const auto added = hook ? set.add_built_in(name->text, *hook, priority, rules::Accept{})
                            : set.add_chain(name->text);
    if (added) {
        places.id = *added;
    }
}

void read_policy(const Node& node, rules::ChainId chain, Draft& draft, Mistakes& mistakes) {
    const auto policy = read_action(node, {draft, mistakes});
    rules::RuleSet& set = draft.config.rules.set;
    if (!policy || !set.chain(chain)->hook) {
        return;
    }
    if (check_stand(node, *policy, set.chain(chain)->hook, mistakes)) {
        [[maybe_unused]] const auto set_well = set.set_policy(chain, *policy);
        if (translates(*policy)) {
            draft.translations.push_back({node.place, *policy, chain, nullptr});
        }
    }
}

void add_condition(const Node& key, const Node& value, const RuleContext& in, rules::Rule& rule) {
    if (auto condition = read_condition(key.text, value, in)) {
        rule.conditions.push_back(std::move(*condition));
    }
}

void add_conditions(const Map& map, const RuleContext& in, rules::Rule& rule) {
    for (size_t i = 0; i < map.keys().size(); ++i) {
        if (is_condition(map.keys()[i].text)) {
            add_condition(map.keys()[i], map.items()[i], in, rule);
        }
    }
}

// Further conditions, where one of a kind is not enough.
void read_further(const Node& node, const RuleContext& in, rules::Rule& rule) {
    const auto* items = read_list(node, kMaxFurther, "a list of maps with conditions", in.mistakes);
    for (size_t i = 0; items != nullptr && i < items->size(); ++i) {
        if (const auto map = Map::open((*items)[i], kRuleConditions, in.mistakes)) {
            add_conditions(*map, in, rule);
        }
    }
}

void read_part(const Node& key, const Node& value, const RuleContext& in, rules::Rule& rule) {
    if (is_condition(key.text)) {
        add_condition(key, value, in, rule);
    } else if (key.text == "and") {
        read_further(value, in, rule);
    } else if (key.text == "action") {
        read_actions(value, in, rule.actions);
    } else if (key.text == "either-way") {
        rule.either_way = read_boolean(value, in.mistakes).value_or(false);
    } else if (key.text == "comment") {
        const auto* const comment = read_line(value, kMaxComment, in.mistakes);
        rule.comment = comment != nullptr ? *comment : "";
    }
}

// What no packet gets past: nothing is asked, and the walk does not come back.
bool ends_the_walk(const rules::Rule& rule) {
    const rules::Action* const deciding = rule.deciding();
    return rule.conditions.empty() && deciding != nullptr &&
           !std::holds_alternative<rules::Jump>(*deciding);
}

void note_translation(
    const Node& node, rules::ChainId chain, const rules::RulePtr& rule, Draft& draft
) {
    const rules::Action* const deciding = rule->deciding();
    if (deciding != nullptr && translates(*deciding)) {
        draft.translations.push_back({node.place, *deciding, chain, rule});
    }
}

// Once for all that are behind it.
void warn_of_unreached(const Node& end, const Node* next, Mistakes& mistakes) {
    if (next != nullptr) {
        mistakes.warn(
            next->place,
            fmt::format("a rule behind one that ends every walk, on line {}", end.place.line),
            "rules that a packet can reach"
        );
    }
}

void read_chain_rules(
    const Node& node, const ChainPlaces& places, Draft& draft, Mistakes& mistakes
) {
    const auto* items = read_list(node, kMaxRules, "a list of rules, each a map", mistakes);
    if (items == nullptr) {
        return;
    }
    const RuleContext in{draft, mistakes};
    bool is_reached = true;
    for (const Node& item : *items) {
        auto rule = read_rule(item, in);
        if (is_reached && rule && ends_the_walk(*rule)) {
            is_reached = false;
            warn_of_unreached(item, &item == &items->back() ? nullptr : &item + 1, mistakes);
        }
        rules::RuleSet& set = draft.config.rules.set;
        if (rule && places.id && check_stand(item, *rule, {set, *places.id}, mistakes)) {
            [[maybe_unused]] const auto added = set.append(*places.id, std::move(*rule));
            note_translation(item, *places.id, set.chain(*places.id)->rules.back(), draft);
        }
    }
}

}  // namespace

std::optional<rules::Rule> read_rule(const Node& node, const RuleContext& in) {
    const size_t mistakes_before = in.mistakes.count();
    const auto map = Map::open(node, kRule, in.mistakes);
    rules::Rule rule;
    for (size_t i = 0; map && i < map->keys().size(); ++i) {
        read_part(map->keys()[i], map->items()[i], in, rule);
    }
    return in.mistakes.count() == mistakes_before ? std::optional(std::move(rule)) : std::nullopt;
}

bool check_stand(const Node& node, const rules::Rule& rule, Stand stand, Mistakes& mistakes) {
    const auto checked = rules::check_rule(stand.set, rule).and_then([&] {
        return rules::check_place(stand.set, stand.chain, rule);
    });
    if (!checked) {
        mistakes.add(
            node.place,
            fmt::format("a rule that cannot stand here ({})", checked.error().message),
            "one that can"
        );
    }
    return checked.has_value();
}

bool check_stand(
    const Node& node,
    const rules::Action& policy,
    std::optional<rules::Hook> hook,
    Mistakes& mistakes
) {
    const Result<void> checked =
        hook ? rules::check_policy(*hook, policy) : failure("a chain without a hook has none");
    if (!checked) {
        mistakes.add(
            node.place,
            fmt::format("a policy that cannot be ({})", checked.error().message),
            "accept, or one that can"
        );
    }
    return checked.has_value();
}

void read_rules(const Node& node, Draft& draft, Mistakes& mistakes) {
    const auto* items =
        read_list(node, kMaxChains, "a list of chains, each with name and rules", mistakes);
    if (items == nullptr) {
        return;
    }
    std::vector<std::optional<Map>> chains;
    for (const Node& item : *items) {
        ChainPlaces places{item.place, std::nullopt};
        chains.push_back(Map::open(item, kChain, mistakes));
        if (chains.back()) {
            declare_chain(*chains.back(), places, draft, mistakes);
        }
        draft.chains.push_back(places);
    }
    for (size_t i = 0; i < chains.size(); ++i) {
        if (const Node* policy =
                chains[i] && draft.chains[i].id ? chains[i]->find("policy") : nullptr) {
            read_policy(*policy, *draft.chains[i].id, draft, mistakes);
        }
        if (const Node* rules = chains[i] ? chains[i]->find("rules") : nullptr) {
            read_chain_rules(*rules, draft.chains[i], draft, mistakes);
        }
    }
}

void read_rules_change(const Node& node, Draft& draft, Mistakes& mistakes) {
    const auto change = read_choice(node, kChanges, mistakes);
    draft.config.rules.change = change.value_or(draft.config.rules.change);
}

}  // namespace sekisho::config
