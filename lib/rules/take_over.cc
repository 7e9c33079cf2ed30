// RuleSet::take_over: which rules of a set made anew are rules that were there before.
#include <algorithm>
#include <deque>
#include <unordered_map>

#include "rules/rule_set.h"

namespace sekisho::rules {
namespace {

class Number {
  public:
    void add(uint64_t part) {
        value_ = (value_ ^ part) * 0x9e3779b97f4a7c15ULL;
        value_ ^= value_ >> 32;
    }
    void add(const AddressTest& test) {
        for (const AddressRange& range : test.ranges) {
            add(uint64_t{range.first.raw} << 32 | range.last.raw);
        }
    }
    void add(const PortTest& test) {
        for (const Range<uint16_t>& range : test.ranges) {
            add(uint64_t{range.first} << 16 | range.last);
        }
    }
    uint64_t value() const { return value_; }

  private:
    uint64_t value_ = 0;
};

// Of what most rules differ in; what is equal has the same number.
uint64_t number_of(const Rule& rule) {
    Number number;
    number.add(rule.actions.size());
    for (const Condition& condition : rule.conditions) {
        number.add(condition.test.index() * 2 + (condition.negated ? 1 : 0));
        if (const auto* address = std::get_if<AddressTest>(&condition.test)) {
            number.add(*address);
        } else if (const auto* ports = std::get_if<PortTest>(&condition.test)) {
            number.add(*ports);
        }
    }
    return number.value();
}

}  // namespace

// Chains and sets are told by their names: the same number may be another's now.
bool RuleSet::means_the_same(const Rule& rule, const RuleSet& before, const Rule& other) const {
    if (!rule.says_the_same(other)) {
        return false;
    }
    const ChainId* to = rule.deciding() != nullptr ? chain_of(*rule.deciding()) : nullptr;
    if (to != nullptr &&
        (before.chain(*to) == nullptr || before.chain(*to)->name != at(*to).name)) {
        return false;
    }
    return std::ranges::all_of(rule.conditions, [&](const Condition& condition) {
        const auto* test = std::get_if<AddressTest>(&condition.test);
        return test == nullptr || std::ranges::all_of(test->sets, [&](SetId set) {
                   const std::string* name = before.set_name(set);
                   return name != nullptr && *name == *set_name(set);
               });
    });
}

// Which rules are old ones now. Of rules that say the same, the first becomes the first, and so on.
std::vector<bool> RuleSet::take_over(Chain& chain, const RuleSet& before, const Chain& other)
    const {
    std::unordered_map<uint64_t, std::deque<RulePtr>> known;
    for (const RulePtr& rule : other.rules) {
        known[number_of(*rule)].push_back(rule);
    }
    std::vector<bool> is_old(chain.rules.size());
    for (size_t i = 0; i < chain.rules.size(); ++i) {
        auto& alike = known[number_of(*chain.rules[i])];
        const auto same = std::ranges::find_if(alike, [&](const RulePtr& old) {
            return means_the_same(*chain.rules[i], before, *old);
        });
        if (same != alike.end()) {
            chain.rules[i] = *same;
            alike.erase(same);
            is_old[i] = true;
        }
    }
    return is_old;
}

void RuleSet::take_over(const RuleSet& before) {
    next_id_ = before.next_id_;
    next_bucket_ = before.next_bucket_;
    for (const ChainId id : chains()) {
        Chain& chain = at(id);
        const auto old = before.find_chain(chain.name);
        const Chain none;
        const Chain& other = old ? *before.chain(*old) : none;
        const std::vector<bool> is_old = take_over(chain, before, other);
        for (size_t i = 0; i < is_old.size(); ++i) {
            chain.rules[i] = is_old[i] ? chain.rules[i] : adopt(*chain.rules[i]);
        }
        if (chain.hook) {
            const bool is_same = other.hook == chain.hook;
            chain.policy_id = is_same ? other.policy_id : RuleId{next_id_++};
        }
    }
}

}  // namespace sekisho::rules
