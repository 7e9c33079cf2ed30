#include "config/rule_text.h"

#include <fmt/format.h>

#include "config/rule_parts.h"
#include "rules/check.h"

namespace sekisho::config {
namespace {

// In no file.
Node name_node(const std::string& name) {
    Node node;
    node.kind = Node::Kind::kScalar;
    node.place.line = 0;
    node.text = name;
    return node;
}

template <class Things>
void declare_all(const Things& things, Names& names, Mistakes& none) {
    for (size_t i = 0; i < things.size(); ++i) {
        names.declare(name_node(things[i].name), i, none);
    }
}

void declare_chains(const rules::RuleSet& set, Draft& draft, Mistakes& none) {
    for (const rules::ChainId id : set.chains()) {
        draft.chain_names.declare(name_node(set.chain(id)->name), draft.chains.size(), none);
        draft.chains.push_back({{}, id});
    }
}

// A draft as it is when the rules of a file are read: of all that rules may name.
Draft draft_of(const Config& config) {
    Mistakes none({});
    Draft draft;
    draft.config.realms = config.realms;
    draft.config.links = config.links;
    draft.links.resize(config.links.size());
    for (LinkPlaces& places : draft.links) {
        places.addresses_read = true;
    }
    declare_all(config.realms, draft.realm_names, none);
    declare_all(config.links, draft.link_names, none);
    declare_all(config.nat.pools, draft.pool_names, none);
    declare_all(config.rules.groups, draft.group_names, none);
    declare_all(config.rules.patterns, draft.pattern_names, none);
    declare_all(config.rules.sets, draft.set_names, none);
    for (const SetSettings& set : config.rules.sets) {
        draft.sets.push_back(config.rules.set.find_set(set.name));
    }
    declare_chains(config.rules.set, draft, none);
    return draft;
}

// What `read` makes of the text, unless it has found a mistake.
template <class T, class Read>
FromText<T> from_text(const std::string& text, const std::string& name, Read&& read) {
    if (text.find_first_not_of(" \t\r\n") == std::string::npos) {
        return tl::make_unexpected(std::vector<Mistake>{{name, 1, 1, "nothing", "a " + name}});
    }
    const auto tree = read_tree(text, name);
    if (!tree) {
        return tl::make_unexpected(std::vector<Mistake>{tree.error()});
    }
    Mistakes mistakes(name);
    std::optional<T> made = read(*tree, mistakes);
    if (!made || !mistakes.empty()) {
        return tl::make_unexpected(std::move(mistakes).in_file_order());
    }
    return std::move(*made);
}

}  // namespace

FromText<rules::Rule> parse_rule(
    const std::string& text, const Config& config, rules::ChainId chain
) {
    const Draft draft = draft_of(config);
    return from_text<rules::Rule>(text, "rule", [&](const Node& node, Mistakes& mistakes) {
        auto rule = read_rule(node, {draft, mistakes});
        if (rule) {
            check_stand(node, *rule, {config.rules.set, chain}, mistakes);
        }
        return rule;
    });
}

FromText<rules::Action> parse_policy(
    const std::string& text, const Config& config, std::optional<rules::Hook> hook
) {
    const Draft draft = draft_of(config);
    return from_text<rules::Action>(text, "policy", [&](const Node& node, Mistakes& mistakes) {
        auto policy = read_action(node, {draft, mistakes});
        if (policy) {
            check_stand(node, *policy, hook, mistakes);
        }
        return policy;
    });
}

}  // namespace sekisho::config
