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

std::vector<Rule> Mirror::rules_before(const Chain& chain) const {
    return changes_.before ? changes_.before(chain) : std::vector<Rule>{};
}

// By their ids there. One that stands before the own ones is known only while it is to say what it says.
std::set<RuleId> Mirror::known_rules(ChainId id, const Chain& chain, const Chain& there) const {
    std::set<RuleId> known;
    for (const RulePtr& rule : chain.rules) {
        known.insert(id_of(rule->id));
    }
    const std::vector<Rule> before = rules_before(chain);
    const auto placed = before_.find(id);
    const size_t count =
        placed == before_.end() ? 0 : std::min(before.size(), placed->second.size());
    for (size_t i = 0; i < count; ++i) {
        const RuleId known_as = placed->second[i];
        const bool is_there = std::ranges::any_of(there.rules, [&](const RulePtr& rule) {
            return rule->id == known_as && rule->says_the_same(before[i]);
        });
        if (is_there) {
            known.insert(known_as);
        }
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
        keep_only(
            other,
            there,
            id ? known_rules(*id, *own.chain(*id), *other.chain(there)) : std::set<RuleId>{}
        );
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

Result<void> Mirror::rename_patterns(Rule& rule) const {
    for (Condition& condition : rule.conditions) {
        auto* const test = std::get_if<PayloadTest>(&condition.test);
        if (test != nullptr && test->pattern.value >= patterns_.size()) {
            return failure("a rule of a set that is followed names a pattern without a place");
        }
        if (test != nullptr) {
            test->pattern = patterns_[test->pattern.value];
        }
    }
    return {};
}

Result<RuleId> Mirror::put(const Rule& rule, size_t position, ChainId chain, RuleSet& other) {
    if (auto checked = check_sets(rule); !checked) {
        return tl::unexpected(checked.error());
    }
    Rule made = rule;
    if (auto renamed = rename_patterns(made); !renamed) {
        return tl::unexpected(renamed.error());
    }
    if (const Action* const deciding = made.deciding()) {
        if (const auto* const jump = std::get_if<Jump>(deciding)) {
            made.actions.back() = Jump{chains_.at(jump->chain)};
        } else if (const auto* const go = std::get_if<Goto>(deciding)) {
            made.actions.back() = Goto{chains_.at(go->chain)};
        }
    }
    return other.insert(chain, position, std::move(made));
}

Result<RuleId> Mirror::have_at(
    size_t position, ChainId chain, const Wanted& wanted, RuleSet& other
) {
    const auto& placed = other.chain(chain)->rules;
    const bool is_there = position < placed.size() && placed[position]->id == wanted.known;
    return is_there ? Result<RuleId>(wanted.known) : put(wanted.rule, position, chain, other);
}

Result<void> Mirror::add_rules(const RuleSet& own, RuleSet& other) {
    std::erase_if(before_, [this](const auto& each) { return !chains_.contains(each.first); });
    for (const auto& [id, there] : chains_) {
        if (auto added = add_rules(id, *own.chain(id), other); !added) {
            return added;
        }
    }
    return {};
}

Result<void> Mirror::add_rules(ChainId id, const Chain& chain, RuleSet& other) {
    const ChainId there = chains_.at(id);
    const std::vector<Rule> before = rules_before(chain);
    std::vector<RuleId>& ids_before = before_[id];
    ids_before.resize(before.size(), kNoRule);
    for (size_t i = 0; i < before.size(); ++i) {
        const auto placed = have_at(i, there, {before[i], ids_before[i]}, other);
        if (!placed) {
            return tl::unexpected(placed.error());
        }
        ids_before[i] = *placed;
    }
    for (size_t i = 0; i < chain.rules.size(); ++i) {
        const Rule& rule = *chain.rules[i];
        const auto placed = have_at(before.size() + i, there, {rule, id_of(rule.id)}, other);
        if (!placed) {
            return tl::unexpected(placed.error());
        }
        note(rule.id, *placed);
    }
    // What stood in another order has come anew.
    const size_t wanted = before.size() + chain.rules.size();
    while (other.chain(there)->rules.size() > wanted) {
        (void)other.remove(there, wanted);
    }
    return {};
}

Result<void> Mirror::follow(const RuleSet& own, RuleSet& other, std::vector<PatternId> patterns) {
    patterns_ = std::move(patterns);
    keep_names(own, other);
    take_away(own, other);
    return add_chains(own, other).and_then([&] { return add_rules(own, other); });
}

void Mirror::find_again(const RuleSet& own, const RuleSet& other) {
    for (const ChainId id : own.chains()) {
        const Chain& chain = *own.chain(id);
        const auto there = other.find_chain(name_of(chain));
        const size_t before = rules_before(chain).size();
        if (!there || other.chain(*there)->rules.size() != before + chain.rules.size()) {
            continue;
        }
        const auto& placed = other.chain(*there)->rules;
        chains_[id] = *there;
        before_[id].clear();
        for (size_t i = 0; i < before; ++i) {
            before_[id].push_back(placed[i]->id);
        }
        for (size_t i = 0; i < chain.rules.size(); ++i) {
            note(chain.rules[i]->id, placed[before + i]->id);
        }
        if (chain.hook) {
            note(chain.policy_id, other.chain(*there)->policy_id);
        }
    }
}

}  // namespace sekisho::rules
