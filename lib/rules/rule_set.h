// RuleSet: chains of rules at the hook points of a packet's route, and the sets of addresses that they name. A value.
//
//   Chains    built-in: stand at a hook point, have a policy; several at one point are asked by priority. User-defined:
//             reached by jump and goto. The walk of a chain is linear.h's to define.
//   Law       every RuleSet is sound: each change is checked before it is made, and what fails changes nothing. No
//             jump leads to a chain that is not there, none leads in a circle or deeper than kDeepest; an action
//             stands only where it can act, in every chain that a built-in one reaches.
//   Ids       of rules (and of policies, which are counted as rules) are never given twice by a set, and a copy goes on
//             from where it was made, so that counters and paths survive a change; those of chains and sets are used again.
//   Errors    a sentence that names the chain and, counted from 1, the rule.
//   Cost      control code; allocates. A copy shares its rules. append: constant, but for a rule that leads to a chain to which
//             none led before; insert: a move of what stands behind. Thread: one at a time; published copies are only read.
//   Source    ARCHITECTURE 5; LEGACY C1, C14, I1, I10.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "rules/action.h"
#include "rules/condition.h"

namespace sekisho::rules {

using RuleId = base::Id<struct RuleTag, uint32_t>;
inline constexpr RuleId kNoRule{0xffffffff};

enum class Hook : uint8_t {
    kIngress,
    kForward,
    kEgress,
    kLocalIn,
    kLocalOut,
    kAccounting,
    kNatDestination,
    kNatSource
};
inline constexpr unsigned kHooks = 8;
const char* name_of(Hook hook);
using HookMask = uint8_t;
constexpr HookMask mask_of(Hook hook) {
    return static_cast<HookMask>(1U << static_cast<unsigned>(hook));
}

inline constexpr unsigned kDeepest = 32;  // chains within each other
inline constexpr size_t kLongestName = 63;
inline constexpr size_t kMostChains = 4096;

struct Rule {
    std::vector<Condition> conditions;
    // Agrees too with its addresses and ports exchanged (LEGACY S8).
    bool either_way = false;
    std::vector<Action> actions;
    std::string comment;
    RuleId id = kNoRule;  // given by the rule set

    const Action* deciding() const {
        return !actions.empty() && is_deciding(actions.back()) ? &actions.back() : nullptr;
    }
    // What it says; not which it is.
    bool says_the_same(const Rule& other) const {
        return conditions == other.conditions && either_way == other.either_way &&
               actions == other.actions && comment == other.comment;
    }
};
using RulePtr = std::shared_ptr<const Rule>;

struct Chain {
    std::string name;
    std::optional<Hook> hook;  // none: user-defined
    int16_t priority = 0;      // lower is asked first
    Action policy = Accept{};  // of a built-in chain
    RuleId policy_id = kNoRule;
    std::vector<RulePtr> rules;
};

// What the checks of a change ask of a chain, kept so that they need not walk its rules.
struct ChainFacts {
    std::map<ChainId, size_t> leads_to;  // how many of its rules do
    std::array<size_t, std::variant_size_v<Action>> actions{};
    HookMask reached_from = 0;  // built-in chains at these hooks reach it, or it is one
};

// Where a rule stands; `position` from 0, of a policy behind the last rule.
struct Place {
    ChainId chain;
    size_t position = 0;
    friend bool operator==(const Place&, const Place&) = default;
};

class RuleSet {
  public:
    Result<ChainId> add_chain(std::string name);
    Result<ChainId> add_built_in(std::string name, Hook hook, int16_t priority, Action policy);
    Result<void> rename_chain(ChainId chain, std::string name);
    Result<void> set_policy(ChainId chain, Action policy);
    // Of a user-defined chain without rules, to which nothing leads.
    Result<void> remove_chain(ChainId chain);

    // At `position`, which may be the number of rules: behind the last.
    Result<RuleId> insert(ChainId chain, size_t position, Rule rule);
    Result<RuleId> append(ChainId chain, Rule rule);
    // The new rule gets an id of its own: it counts from 0.
    Result<RuleId> replace(ChainId chain, size_t position, Rule rule);
    Result<void> remove(ChainId chain, size_t position);
    // The first that says the same (LEGACY S21).
    Result<void> remove_equal(ChainId chain, const Rule& rule);
    Result<void> move(ChainId chain, size_t from, size_t to);
    Result<void> flush(ChainId chain);

    // For a set that was made anew, as from a file that was read again: rules that `before` has in the chain of that name, and
    // that say the same, become those rules, so that their counters, rates and paths go on; policies too. All others get
    // ids that `before` has never given.
    void take_over(const RuleSet& before);

    Result<SetId> add_set(std::string name);
    Result<void> remove_set(SetId set);

    std::optional<ChainId> find_chain(std::string_view name) const;
    std::optional<SetId> find_set(std::string_view name) const;
    std::optional<Place> find_rule(RuleId id) const;
    // nullptr: there is none.
    const Chain* chain(ChainId id) const;
    const std::string* set_name(SetId id) const;
    const ChainFacts& facts(ChainId id) const { return facts_[id.value]; }
    // In the order of their ids.
    std::vector<ChainId> chains() const;
    // Those that stand there, in the order in which they are asked.
    std::vector<ChainId> chains_at(Hook hook) const;
    // How many rules lead to a chain.
    size_t references_to(ChainId chain) const;
    size_t rule_count() const;
    // Every RuleId given so far is less; every bucket of a rate is less.
    uint32_t id_bound() const { return next_id_; }
    uint32_t bucket_bound() const { return next_bucket_; }

  private:
    Result<void> check_name(std::string_view name) const;
    Result<void> check_chain(ChainId chain) const;
    Result<void> check_position(ChainId chain, size_t position) const;
    Result<ChainId> add(Chain chain);
    RulePtr adopt(Rule rule);
    bool means_the_same(const Rule& rule, const RuleSet& before, const Rule& other) const;
    std::vector<bool> take_over(Chain& chain, const RuleSet& before, const Chain& other) const;
    Chain& at(ChainId id) { return *chains_[id.value]; }
    const Chain& at(ChainId id) const { return *chains_[id.value]; }

    Result<void> check_in(ChainId chain, size_t position, const Rule& rule) const;
    void count(ChainId chain, const Rule& rule, int by);
    bool pass_reach_on(const ChainFacts& from);
    void follow_reach();

    std::vector<std::optional<Chain>> chains_;
    std::vector<ChainFacts> facts_;  // by ChainId
    std::vector<std::optional<std::string>> sets_;
    uint32_t next_id_ = 0;
    uint32_t next_bucket_ = 0;
};

}  // namespace sekisho::rules
