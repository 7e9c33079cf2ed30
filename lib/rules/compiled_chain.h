// CompiledChain: the rules of one chain, ready to say which of them a packet agrees with.
//
//   Shape     an index of boxes over the rules as they once were (the base), a mark for each of them that is gone or where
//             it stands now, and a list of what has come since (the front). A base is shared by the chains that follow it.
//   Law       match() finds just what the linear matcher would: all rules whose fixed conditions agree, in order, up to and
//             with the first that surely ends the walk of this chain. Rules with conditions that vary, and policers, end
//             nothing surely: the walk asks them.
//   Cost      build: seconds for 100 000 rules, milliseconds for 1 000. follow: some milliseconds for 100 000 rules, if few have
//             changed. match: doc/benchmarks.md; never allocates.
//   Thread    immutable; `scratch` is its caller's.
//   Source    ARCHITECTURE 5.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "rules/address_set.h"
#include "rules/box_index.h"
#include "rules/matches.h"
#include "rules/outcome.h"
#include "rules/quick_test.h"
#include "rules/rule_set.h"

namespace sekisho::rules {

inline constexpr unsigned kRuleBurst = BoxIndex::kBurst;

// What a look-up writes to on its way; one for each thread that looks up.
struct MatchScratch {
    Key keys[kRuleBurst];
    BoxIndex::Probe probe;
};

// What the walk has to know of a rule, without going to it.
struct Step {
    const Rule* rule = nullptr;
    const Action* deciding = nullptr;  // nullptr: the walk goes on
    RuleId id = kNoRule;
    Disposition disposition = Disposition::kPassed;  // of an action that decides the packet's fate
    bool is_fate = false;                            // `deciding` is such an action
    bool varies = false;                             // it has conditions that vary
    bool has_effects = false;                        // it has other actions
    bool leaves_residue = false;
    bool is_quick = false;  // `quick` is all that varies
    QuickTest quick;
};

class CompiledChain {
  public:
    // At most so many rules stand in a front; a chain that has changed more is built anew.
    static constexpr size_t kMostInFront = 128;

    static std::shared_ptr<const CompiledChain> build(const std::vector<RulePtr>& rules);
    // The chain as it is now; nullptr: too much has changed.
    std::shared_ptr<const CompiledChain> follow(const std::vector<RulePtr>& rules) const;

    bool is_settled() const { return place_of_base_.empty() && front_.size() == 0; }
    // Whether it is of just these.
    bool has(const std::vector<RulePtr>& rules) const;
    size_t bytes() const;
    size_t table_count() const { return base_->index.table_count(); }
    size_t rest_count() const { return base_->index.rest_count(); }

    const Step& step(uint32_t position) const { return steps_[position]; }
    // At most kRuleBurst packets. Rules from `from` on.
    void match(
        std::span<const RulePacket> packets,
        uint32_t from,
        const AddressSets& sets,
        MatchScratch& scratch,
        std::span<Matches> matches
    ) const;

  private:
    struct Base {
        std::vector<RulePtr> rules;
        std::vector<Step> steps;
        BoxIndex index;
    };
    uint32_t place_of(uint32_t in_base) const {
        return place_of_base_.empty() ? in_base : place_of_base_[in_base];
    }
    struct Wanted {
        const RulePacket& packet;
        uint32_t from;
        const AddressSets& sets;
        Matches& found;
        bool is_wanted(uint32_t place) const { return place >= from && place <= found.limit; }
    };
    // A rule at `place` has a box with the packet's key.
    void add(uint32_t ref, uint32_t place, const Wanted& wanted) const;

    std::vector<Step> steps_;  // by position
    std::shared_ptr<const Base> base_;
    std::vector<uint32_t> place_of_base_;  // kNoPosition: gone; empty: all where they were
    BoxList front_;                        // by position
    std::vector<RulePtr> in_front_;        // the base keeps the others
};

}  // namespace sekisho::rules
