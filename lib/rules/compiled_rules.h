// CompiledRules: a rule set, ready for packets. It answers as the linear matcher does (linear.h), and faster.
//
//   Use       match() for a burst that comes to a chain, so that its waits for memory overlap; then walk() for each packet,
//             which does what the rules say, in order, and looks other chains up as it comes to them.
//   Change    follow() takes a changed rule set over at once, if few of a chain's rules are others: they stand in a short list
//             in front until build() has made the whole anew. Both are for a control thread; the result is published
//             whole, and the old one goes when no worker looks at it any more.
//   Cost      doc/benchmarks.md. Neither match() nor walk() allocates.
//   Thread    immutable; `scratch`, `rates` and `trail` are the caller's.
//   Source    ARCHITECTURE 5.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "rules/address_set.h"
#include "rules/compiled_chain.h"
#include "rules/matches.h"
#include "rules/outcome.h"
#include "rules/rates.h"
#include "rules/rule_set.h"

namespace sekisho::rules {

// The path of one packet. What is longer than kRoom goes, rule by rule, to `spill`: such a path is not whole, and its rules
// are counted one by one.
class Trail {
  public:
    static constexpr uint32_t kRoom = 64;
    using Spill = void (*)(void* context, RuleId rule);

    Trail() = default;
    Trail(Spill spill, void* context) : spill_(spill), context_(context) {}

    void clear() {
        count_ = 0;
        is_whole_ = true;
        is_for_flow_ = true;
    }
    void add(RuleId rule) {
        if (count_ < kRoom) {
            rules_[count_++] = rule;
            return;
        }
        is_whole_ = false;
        if (spill_ != nullptr) {
            spill_(context_, rule);
        }
    }
    void note_residue() { is_for_flow_ = false; }
    bool is_whole() const { return is_whole_; }
    // As if nothing had been asked yet, but for the path.
    void forget_residue() { is_for_flow_ = true; }
    // No rule that leaves a residue was asked: outcome and path are those of every packet of the flow (linear.h).
    bool is_for_flow() const { return is_for_flow_; }
    std::span<const RuleId> rules() const { return {rules_, count_}; }

  private:
    RuleId rules_[kRoom];
    uint32_t count_ = 0;
    bool is_whole_ = true;
    bool is_for_flow_ = true;
    Spill spill_ = nullptr;
    void* context_ = nullptr;
};

// Of one thread. Large: it is made once.
struct WalkScratch {
    struct Frame {
        const CompiledChain* chain = nullptr;
        uint32_t next = 0;  // of its matches
        Matches matches;
    };
    MatchScratch match;
    Frame frames[kDeepest];
};

class CompiledRules {
  public:
    static std::shared_ptr<const CompiledRules> build(RuleSet set);
    std::shared_ptr<const CompiledRules> follow(RuleSet set) const;

    const RuleSet& rules() const { return set_; }
    // No rule stands in a front.
    bool is_settled() const;
    size_t bytes() const;
    const CompiledChain& chain(ChainId id) const { return *chains_[id.value]; }

    // At most kRuleBurst packets, which come to this chain.
    void match(
        ChainId chain,
        std::span<const RulePacket> packets,
        const AddressSets& sets,
        WalkScratch& scratch,
        std::span<Matches> matches
    ) const {
        this->chain(chain).match(packets, 0, sets, scratch.match, matches);
    }
    // `matches`: of this packet in this chain. The path is added to `trail`.
    struct Tools {
        const AddressSets& sets;
        Rates& rates;
        WalkScratch& scratch;
        Trail& trail;
    };
    Outcome walk(ChainId chain, RulePacket packet, const Matches& matches, const Tools& tools)
        const;

  private:
    RuleSet set_;
    std::vector<std::shared_ptr<const CompiledChain>> chains_;  // by ChainId
};

}  // namespace sekisho::rules
