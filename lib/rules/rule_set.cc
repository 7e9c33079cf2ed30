#include "rules/rule_set.h"

#include <algorithm>

#include <fmt/format.h>

#include "rules/check.h"

namespace sekisho::rules {
namespace {

Result<void> in_rule(const Chain& chain, size_t position, Result<void> checked) {
    if (!checked) {
        return failure(
            fmt::format("chain {}, rule {}: {}", chain.name, position + 1, checked.error().message)
        );
    }
    return checked;
}

template <class T>
size_t first_free(const std::vector<std::optional<T>>& slots) {
    const auto free = std::ranges::find_if(slots, [](const auto& slot) { return !slot; });
    return static_cast<size_t>(free - slots.begin());
}

void give_bucket(Rule& rule, uint32_t& next) {
    for (Condition& condition : rule.conditions) {
        if (auto* rate = std::get_if<RateTest>(&condition.test)) {
            rate->bucket = next++;
        }
    }
    for (Action& action : rule.actions) {
        if (auto* police = std::get_if<Police>(&action)) {
            police->bucket = next++;
        }
    }
}

bool names_set(const Rule& rule, SetId set) {
    return std::ranges::any_of(rule.conditions, [set](const Condition& condition) {
        const auto* test = std::get_if<AddressTest>(&condition.test);
        return test != nullptr && std::ranges::find(test->sets, set) != test->sets.end();
    });
}

}  // namespace

const char* name_of(Hook hook) {
    switch (hook) {
        case Hook::kIngress:
            return "ingress";
        case Hook::kForward:
            return "forward";
        case Hook::kEgress:
            return "egress";
        case Hook::kLocalIn:
            return "local-in";
        case Hook::kLocalOut:
            return "local-out";
        case Hook::kAccounting:
            return "accounting";
        case Hook::kNatDestination:
            return "nat-destination";
        case Hook::kNatSource:
            return "nat-source";
    }
    return "";
}

Result<void> RuleSet::check_name(std::string_view name) const {
    const auto is_plain = [](char c) { return c > ' ' && c < '\x7f'; };
    if (name.empty() || name.size() > kLongestName || !std::ranges::all_of(name, is_plain)) {
        return failure(fmt::format(
            "a chain's name has 1 to {} printable characters and no space, '{:.80}' has not",
            kLongestName,
            name
        ));
    }
    if (find_chain(name)) {
        return failure(fmt::format("there is a chain {} already", name));
    }
    return {};
}

Result<void> RuleSet::check_chain(ChainId id) const {
    if (chain(id) == nullptr) {
        return failure(fmt::format("there is no chain with the number {}", id.value));
    }
    return {};
}

Result<void> RuleSet::check_position(ChainId id, size_t position) const {
    if (auto checked = check_chain(id); !checked) {
        return checked;
    }
    if (position >= at(id).rules.size()) {
        return failure(fmt::format(
            "chain {} has no rule {}: it has {}", at(id).name, position + 1, at(id).rules.size()
        ));
    }
    return {};
}

// `rule` is to stand at `position`.
Result<void> RuleSet::check_in(ChainId id, size_t position, const Rule& rule) const {
    return in_rule(at(id), position, check_rule(*this, rule).and_then([&] {
        return check_place(*this, id, rule);
    }));
}

Result<ChainId> RuleSet::add(Chain chain) {
    if (auto checked = check_name(chain.name); !checked) {
        return tl::unexpected(checked.error());
    }
    const size_t slot = first_free(chains_);
    if (slot == kMostChains) {
        return failure(fmt::format("chain {}: there are {} already", chain.name, kMostChains));
    }
    chains_.resize(std::max(chains_.size(), slot + 1));
    facts_.resize(chains_.size());
    facts_[slot] = {};
    facts_[slot].reached_from = chain.hook ? mask_of(*chain.hook) : HookMask{0};
    chains_[slot] = std::move(chain);
    return ChainId{static_cast<uint16_t>(slot)};
}

Result<ChainId> RuleSet::add_chain(std::string name) {
    Chain chain;
    chain.name = std::move(name);
    return add(std::move(chain));
}

Result<ChainId> RuleSet::add_built_in(
    std::string name, Hook hook, int16_t priority, Action policy
) {
    if (auto checked = check_policy(hook, policy); !checked) {
        return failure(fmt::format("chain {}: {}", name, checked.error().message));
    }
    Chain chain;
    chain.name = std::move(name);
    chain.hook = hook;
    chain.priority = priority;
    chain.policy = std::move(policy);
    chain.policy_id = RuleId{next_id_};
    return add(std::move(chain)).map([this](ChainId id) {
        ++next_id_;
        return id;
    });
}

Result<void> RuleSet::rename_chain(ChainId id, std::string name) {
    auto checked = check_chain(id).and_then([&] { return check_name(name); });
    if (checked) {
        at(id).name = std::move(name);
    }
    return checked;
}

Result<void> RuleSet::set_policy(ChainId id, Action policy) {
    if (auto checked = check_chain(id); !checked) {
        return checked;
    }
    Chain& chain = at(id);
    if (!chain.hook) {
        return failure(fmt::format("chain {} is no built-in one: it has no policy", chain.name));
    }
    if (auto checked = check_policy(*chain.hook, policy); !checked) {
        return failure(fmt::format("chain {}: {}", chain.name, checked.error().message));
    }
    chain.policy = std::move(policy);
    return {};
}

Result<void> RuleSet::remove_chain(ChainId id) {
    if (auto checked = check_chain(id); !checked) {
        return checked;
    }
    const Chain& chain = at(id);
    if (chain.hook) {
        return failure(fmt::format("chain {} is a built-in one: it stays", chain.name));
    }
    if (!chain.rules.empty()) {
        return failure(
            fmt::format("chain {} is not empty: it has {} rules", chain.name, chain.rules.size())
        );
    }
    if (const size_t references = references_to(id); references > 0) {
        return failure(
            fmt::format("chain {} is in use: {} rules lead to it", chain.name, references)
        );
    }
    chains_[id.value].reset();
    facts_[id.value] = {};
    return {};
}

// A rule comes (1) or goes (-1).
void RuleSet::count(ChainId id, const Rule& rule, int by) {
    ChainFacts& facts = facts_[id.value];
    for (const Action& action : rule.actions) {
        facts.actions[action.index()] += static_cast<size_t>(by);
    }
    const ChainId* to = rule.deciding() != nullptr ? chain_of(*rule.deciding()) : nullptr;
    if (to == nullptr) {
        return;
    }
    const size_t rules = facts.leads_to[*to] += static_cast<size_t>(by);
    if (rules == 0) {
        facts.leads_to.erase(*to);
    }
    if (rules == 0 || (rules == 1 && by > 0)) {
        follow_reach();
    }
}

// Whether a chain is reached from more hooks now.
bool RuleSet::pass_reach_on(const ChainFacts& from) {
    bool changed = false;
    for (const auto& [to, rules] : from.leads_to) {
        HookMask& mask = facts_[to.value].reached_from;
        const auto wider = static_cast<HookMask>(mask | from.reached_from);
        changed = changed || wider != mask;
        mask = wider;
    }
    return changed;
}

// reached_from of every chain, anew: no circle, so it ends when nothing changes.
void RuleSet::follow_reach() {
    for (const ChainId id : chains()) {
        facts_[id.value].reached_from = at(id).hook ? mask_of(*at(id).hook) : HookMask{0};
    }
    bool changed = true;
    while (changed) {
        changed = false;
        for (const ChainFacts& from : facts_) {
            changed = pass_reach_on(from) || changed;
        }
    }
}

RulePtr RuleSet::adopt(Rule rule) {
    rule.id = RuleId{next_id_++};
    give_bucket(rule, next_bucket_);
    return std::make_shared<const Rule>(std::move(rule));
}

Result<RuleId> RuleSet::insert(ChainId id, size_t position, Rule rule) {
    if (auto checked = check_chain(id); !checked) {
        return tl::unexpected(checked.error());
    }
    auto& rules = at(id).rules;
    if (position > rules.size()) {
        return failure(fmt::format(
            "chain {}: rule {} is to follow the last, which is rule {}",
            at(id).name,
            position + 1,
            rules.size()
        ));
    }
    if (auto checked = check_in(id, position, rule); !checked) {
        return tl::unexpected(checked.error());
    }
    const RulePtr adopted = adopt(std::move(rule));
    rules.insert(rules.begin() + static_cast<std::ptrdiff_t>(position), adopted);
    count(id, *adopted, 1);
    return adopted->id;
}

Result<RuleId> RuleSet::append(ChainId id, Rule rule) {
    if (auto checked = check_chain(id); !checked) {
        return tl::unexpected(checked.error());
    }
    return insert(id, at(id).rules.size(), std::move(rule));
}

Result<RuleId> RuleSet::replace(ChainId id, size_t position, Rule rule) {
    auto checked =
        check_position(id, position).and_then([&] { return check_in(id, position, rule); });
    if (!checked) {
        return tl::unexpected(checked.error());
    }
    RulePtr& slot = at(id).rules[position];
    count(id, *slot, -1);
    slot = adopt(std::move(rule));
    count(id, *slot, 1);
    return slot->id;
}

Result<void> RuleSet::remove(ChainId id, size_t position) {
    if (auto checked = check_position(id, position); !checked) {
        return checked;
    }
    auto& rules = at(id).rules;
    const auto where = rules.begin() + static_cast<std::ptrdiff_t>(position);
    count(id, **where, -1);
    rules.erase(where);
    return {};
}

Result<void> RuleSet::remove_equal(ChainId id, const Rule& rule) {
    if (auto checked = check_chain(id); !checked) {
        return checked;
    }
    const auto& rules = at(id).rules;
    const auto found =
        std::ranges::find_if(rules, [&](const RulePtr& r) { return r->says_the_same(rule); });
    if (found == rules.end()) {
        return failure(fmt::format("chain {} has no such rule", at(id).name));
    }
    return remove(id, static_cast<size_t>(found - rules.begin()));
}

Result<void> RuleSet::move(ChainId id, size_t from, size_t to) {
    auto checked = check_position(id, from).and_then([&] { return check_position(id, to); });
    if (checked) {
        const auto at_number = [first = at(id).rules.begin()](size_t number) {
            return first + static_cast<std::ptrdiff_t>(number);
        };
        if (from < to) {
            std::rotate(at_number(from), at_number(from + 1), at_number(to + 1));
        } else {
            std::rotate(at_number(to), at_number(from), at_number(from + 1));
        }
    }
    return checked;
}

Result<void> RuleSet::flush(ChainId id) {
    auto checked = check_chain(id);
    if (checked) {
        at(id).rules.clear();
        const HookMask reached_from = facts(id).reached_from;
        facts_[id.value] = {};
        facts_[id.value].reached_from = reached_from;
        follow_reach();
    }
    return checked;
}

Result<SetId> RuleSet::add_set(std::string name) {
    if (name.empty() || name.size() > kLongestName) {
        return failure(fmt::format("a set's name has 1 to {} characters", kLongestName));
    }
    if (find_set(name)) {
        return failure(fmt::format("there is a set {} already", name));
    }
    constexpr size_t kMostSets = 4096;
    const size_t slot = first_free(sets_);
    if (slot == kMostSets) {
        return failure(fmt::format("set {}: there are {} already", name, kMostSets));
    }
    sets_.resize(std::max(sets_.size(), slot + 1));
    sets_[slot] = std::move(name);
    return SetId{static_cast<uint16_t>(slot)};
}

Result<void> RuleSet::remove_set(SetId set) {
    const std::string* name = set_name(set);
    if (name == nullptr) {
        return failure(fmt::format("there is no set with the number {}", set.value));
    }
    for (const ChainId id : chains()) {
        const auto& rules = at(id).rules;
        const auto user =
            std::ranges::find_if(rules, [set](const RulePtr& r) { return names_set(*r, set); });
        if (user != rules.end()) {
            return failure(fmt::format(
                "set {} is in use: rule {} of chain {} names it",
                *name,
                user - rules.begin() + 1,
                at(id).name
            ));
        }
    }
    sets_[set.value].reset();
    return {};
}

std::optional<ChainId> RuleSet::find_chain(std::string_view name) const {
    for (const ChainId id : chains()) {
        if (at(id).name == name) {
            return id;
        }
    }
    return {};
}

std::optional<SetId> RuleSet::find_set(std::string_view name) const {
    for (size_t i = 0; i < sets_.size(); ++i) {
        if (sets_[i] && *sets_[i] == name) {
            return SetId{static_cast<uint16_t>(i)};
        }
    }
    return {};
}

std::optional<Place> RuleSet::find_rule(RuleId rule) const {
    for (const ChainId id : chains()) {
        const Chain& chain = at(id);
        if (chain.hook && chain.policy_id == rule) {
            return Place{id, chain.rules.size()};
        }
        const auto found =
            std::ranges::find_if(chain.rules, [rule](const RulePtr& r) { return r->id == rule; });
        if (found != chain.rules.end()) {
            return Place{id, static_cast<size_t>(found - chain.rules.begin())};
        }
    }
    return {};
}

const Chain* RuleSet::chain(ChainId id) const {
    return id.value < chains_.size() && chains_[id.value] ? &*chains_[id.value] : nullptr;
}

const std::string* RuleSet::set_name(SetId id) const {
    return id.value < sets_.size() && sets_[id.value] ? &*sets_[id.value] : nullptr;
}

std::vector<ChainId> RuleSet::chains() const {
    std::vector<ChainId> ids;
    for (size_t i = 0; i < chains_.size(); ++i) {
        if (chains_[i]) {
            ids.push_back(ChainId{static_cast<uint16_t>(i)});
        }
    }
    return ids;
}

std::vector<ChainId> RuleSet::chains_at(Hook hook) const {
    std::vector<ChainId> ids = chains();
    std::erase_if(ids, [&](ChainId id) { return at(id).hook != hook; });
    std::ranges::stable_sort(ids, {}, [&](ChainId id) { return at(id).priority; });
    return ids;
}

size_t RuleSet::references_to(ChainId chain) const {
    size_t count = 0;
    for (const ChainFacts& from : facts_) {
        const auto found = from.leads_to.find(chain);
        count += found == from.leads_to.end() ? 0 : found->second;
    }
    return count;
}

size_t RuleSet::rule_count() const {
    size_t count = 0;
    for (const ChainId id : chains()) {
        count += at(id).rules.size();
    }
    return count;
}

}  // namespace sekisho::rules
