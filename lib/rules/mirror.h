// Mirror: a rule set whose chains stand in another one too, under names with a prefix, and follow its changes.
//
//   Law       after follow() the chains with the prefix in the other set are those of the own one: points, policies, rules in
//             order, jumps among them, behind what MirrorChanges has stand before them. All its other chains are as they were. A
//             rule keeps its id there for as long as the own one has it, so that counters and rates go on; built-in chains stay when
//             the own set has them no more, empty, accepting. Whatever has the prefix there is the mirror's.
//             What is searched for in payloads has another PatternId there, as follow() is told; one that a rule names keeps it.
//   Errors    a name that is too long, a rule that names a set of addresses or a pattern without a place: the other set and the
//             mirror are of no more use then. Work on copies.
//   Cost      control code: linear, and a move of what stands behind for each rule that comes or goes.
//   Thread    a value; one at a time.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "rules/rule_set.h"

namespace sekisho::rules {

// How the chains there differ from the own ones.
struct MirrorChanges {
    // Rules that stand there before those of an own chain. They are no own ones: id_of() never names them. They lead to no chain.
    std::function<std::vector<Rule>(const Chain& own)> before;
    // At these points a built-in chain that has no rules and accepts is not there.
    HookMask without = 0;
};

class Mirror {
  public:
    // "ipchains:" and a chain "input" is "ipchains:input".
    explicit Mirror(std::string prefix, MirrorChanges changes = {})
        : prefix_(std::move(prefix)), changes_(std::move(changes)) {}

    // `patterns`: those there, by the own PatternId.
    Result<void> follow(const RuleSet& own, RuleSet& other, std::vector<PatternId> patterns = {});
    // The other set has been made anew and says the same, perhaps with other ids (RuleSet::take_over).
    void find_again(const RuleSet& own, const RuleSet& other);

    // What an own rule or policy is there; kNoRule: nothing.
    RuleId id_of(RuleId own) const { return own.value < ids_.size() ? ids_[own.value] : kNoRule; }

  private:
    std::string name_of(const Chain& chain) const { return prefix_ + chain.name; }
    void keep_names(const RuleSet& own, RuleSet& other);
    void take_away(const RuleSet& own, RuleSet& other);
    std::vector<Rule> rules_before(const Chain& chain) const;
    std::set<RuleId> known_rules(ChainId id, const Chain& chain, const Chain& there) const;
    Result<void> add_chains(const RuleSet& own, RuleSet& other);
    Result<void> add_chain(ChainId id, const Chain& chain, RuleSet& other);
    Result<void> add_rules(const RuleSet& own, RuleSet& other);
    Result<void> add_rules(ChainId id, const Chain& chain, RuleSet& other);
    // A rule, and which it was there when it last was.
    struct Wanted {
        const Rule& rule;
        RuleId known;
    };
    Result<RuleId> have_at(size_t position, ChainId chain, const Wanted& wanted, RuleSet& other);
    Result<void> rename_patterns(Rule& rule) const;
    Result<RuleId> put(const Rule& rule, size_t position, ChainId chain, RuleSet& other);
    bool is_left_out(const Chain& chain) const;
    void note(RuleId own, RuleId there);

    std::string prefix_;
    MirrorChanges changes_;
    std::vector<PatternId> patterns_;       // by the own one
    std::vector<RuleId> ids_;               // by the own one
    std::map<ChainId, std::string> names_;  // of own chains, as they were
    std::map<ChainId, ChainId> chains_;     // by the own one
    // By the own chain, those there before its rules.
    std::map<ChainId, std::vector<RuleId>> before_;
};

}  // namespace sekisho::rules
