#include "rules/mirror.h"

#include <algorithm>

#include <fmt/format.h>

namespace sekisho::rules {
namespace {

// Takes away all rules of a chain but those.
void keep_only(RuleSet& set, ChainId id, const std::set<RuleId>& kept) {
    const auto is_kept = [&kept](const RulePtr& rule) { return kept.contains(rule->id); };
    if (std::ranges::none_of(set.chain(id)->rules, is_kept)) {
        (void)set.flush(id);
        return;
    }
    for (size_t i = set.chain(id)->rules.size(); i > 0; --i) {
        if (!is_kept(set.chain(id)->rules[i - 1])) {
            (void)set.remove(id, i - 1);
        }
    }
}

Result<void> check_sets(const Rule& rule) {
    for (const Condition& condition : rule.conditions) {
        const auto* test = std::get_if<AddressTest>(&condition.test);
        if (test != nullptr && !test->sets.empty()) {
            return failure("a rule of a set that is followed names a set of addresses");
        }
    }
    return {};
}

}  // namespace

void Mirror::note(RuleId own, RuleId there) {
    ids_.resize(std::max<size_t>(ids_.size(), size_t{own.value} + 1), kNoRule);
    ids_[own.value] = there;
}

bool Mirror::is_left_out(const Chain& chain) const {
    return chain.hook && (mask_of(*chain.hook) & changes_.without) != 0 && chain.rules.empty() &&
           chain.policy == Action{Accept{}};
}

// A chain that has another name now gets it there too, if it is free; otherwise it comes anew.
void Mirror::keep_names(const RuleSet& own, RuleSet& other) {
    for (const auto& [id, name] : names_) {
        const Chain* const chain = own.chain(id);
        if (chain == nullptr || chain->name == name || own.find_chain(name)) {
            continue;
        }
        if (const auto there = other.find_chain(prefix_ + name)) {
            (void)other.rename_chain(*there, name_of(*chain));
        }
    }
}

// By their ids there.
std::set<RuleId> Mirror::known_rules(const Chain& chain) const {
    std::set<RuleId> known;
    for (const RulePtr& rule : chain.rules) {
        known.insert(id_of(rule->id));
    }
    return known;
}

// First all rules that are no more, then the chains, to which nothing leads then.
void Mirror::take_away(const RuleSet& own, RuleSet& other) {
    std::vector<ChainId> gone;
    for (const ChainId there : other.chains()) {
        const std::string name = other.chain(there)->name;
        if (!name.starts_with(prefix_)) {
            continue;
        }
        const auto id = own.find_chain(name.substr(prefix_.size()));
        keep_only(other, there, id ? known_rules(*own.chain(*id)) : std::set<RuleId>{});
        if (!id) {
            gone.push_back(there);
        }
    }
    for (const ChainId there : gone) {
        if (other.chain(there)->hook) {
            (void)other.set_policy(there, Accept{});
        } else {
            (void)other.remove_chain(there);
        }
    }
}

Result<void> Mirror::add_chains(const RuleSet& own, RuleSet& other) {
    chains_.clear();
    names_.clear();
    for (const ChainId id : own.chains()) {
        if (auto added = add_chain(id, *own.chain(id), other); !added) {
            return added;
        }
    }
    return {};
}

Result<void> Mirror::add_chain(ChainId id, const Chain& chain, RuleSet& other) {
    const std::string name = name_of(chain);
    auto there = other.find_chain(name);
    if (!there && is_left_out(chain)) {
        return {};
    }
    if (!there) {
        const auto added = chain.hook
                               ? other.add_built_in(name, *chain.hook, chain.priority, chain.policy)
                               : other.add_chain(name);
        if (!added) {
            return tl::unexpected(added.error());
        }
        there = *added;
    }
    chains_[id] = *there;
    names_[id] = chain.name;
    if (!chain.hook) {
        return {};
    }
    note(chain.policy_id, other.chain(*there)->policy_id);
    return other.set_policy(*there, chain.policy);
}

Result<void> Mirror::put(const Rule& rule, size_t position, ChainId chain, RuleSet& other) {
    if (auto checked = check_sets(rule); !checked) {
        return checked;
    }
    Rule made = rule;
    if (changes_.adapt) {
        changes_.adapt(made);
    }
    if (const Action* const deciding = made.deciding()) {
        if (const auto* const jump = std::get_if<Jump>(deciding)) {
            made.actions.back() = Jump{chains_.at(jump->chain)};
        } else if (const auto* const go = std::get_if<Goto>(deciding)) {
            made.actions.back() = Goto{chains_.at(go->chain)};
        }
    }
    return other.insert(chain, position, std::move(made)).map([&](RuleId there) {
        note(rule.id, there);
    });
}

Result<void> Mirror::add_rules(const RuleSet& own, RuleSet& other) {
    for (const auto& [id, there] : chains_) {
        if (auto added = add_rules(own.chain(id)->rules, there, other); !added) {
            return added;
        }
    }
    return {};
}

Result<void> Mirror::add_rules(const std::vector<RulePtr>& rules, ChainId there, RuleSet& other) {
    for (size_t i = 0; i < rules.size(); ++i) {
        const auto& placed = other.chain(there)->rules;
        if (i < placed.size() && placed[i]->id == id_of(rules[i]->id)) {
            continue;
        }
        if (auto done = put(*rules[i], i, there, other); !done) {
            return done;
        }
    }
    // What stood in another order has come anew.
    while (other.chain(there)->rules.size() > rules.size()) {
        (void)other.remove(there, rules.size());
    }
    return {};
}

Result<void> Mirror::follow(const RuleSet& own, RuleSet& other) {
    keep_names(own, other);
    take_away(own, other);
    return add_chains(own, other).and_then([&] { return add_rules(own, other); });
}

void Mirror::find_again(const RuleSet& own, const RuleSet& other) {
    for (const ChainId id : own.chains()) {
        const Chain& chain = *own.chain(id);
        const auto there = other.find_chain(name_of(chain));
        if (!there || other.chain(*there)->rules.size() != chain.rules.size()) {
            continue;
        }
        chains_[id] = *there;
        for (size_t i = 0; i < chain.rules.size(); ++i) {
            note(chain.rules[i]->id, other.chain(*there)->rules[i]->id);
        }
        if (chain.hook) {
            note(chain.policy_id, other.chain(*there)->policy_id);
        }
    }
}

}  // namespace sekisho::rules
