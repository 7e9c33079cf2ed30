// FlowResidue: all that the packets of one flow can meet on their walk, laid out flat, so that each of them asks only what varies.
//
//   Law       made for one packet, it answers for every packet that is the same in all fixed fields (condition.h) just as the
//             linear matcher does: outcome and path. Fields that vary may differ, and rates go on.
//   Shape     steps in the order of the walk. Each says where it goes on if its rule agrees and if not; other chains stand
//             in line where they are jumped to. At most kMost; a flow that meets more has none, and is walked anew
//             for each packet.
//   Cost      make: as a walk through every chain that may be met. run: what varies of each rule, nothing is looked up.
//             Neither allocates.
//   Lifetime  points into the compiled rules that it was made of.
//   Thread    a value; `tools` are the caller's.
//   Source    ARCHITECTURE 5.
#pragma once

#include <cstdint>

#include "rules/compiled_rules.h"

namespace sekisho::rules {

class FlowResidue {
  public:
    static constexpr uint16_t kMost = 48;

    // false: the flow meets more than kMost rules.
    bool make(
        const CompiledRules& rules,
        ChainId chain,
        const RulePacket& packet,
        const AddressSets& sets,
        MatchScratch& scratch
    );
    uint16_t size() const { return size_; }
    // In the order of the walk; nullptr: none, only a way on.
    const Step* step(uint16_t at) const { return ops_[at].step; }
    // `first`: as it comes to the first rule; of the same flow. Adds the path to the trail.
    Outcome run(const RulePacket& first, const CompiledRules::Tools& tools) const;

  private:
    struct Op {
        const Step* step = nullptr;  // nullptr: none, only on to `if_not`
        uint16_t next = 0;
        uint16_t if_not = 0;
    };
    class Maker;

    Op ops_[kMost];
    uint16_t size_ = 0;
    const Action* policy_ = nullptr;  // nullptr: of a user-defined chain
    RuleId policy_id_ = kNoRule;
};

}  // namespace sekisho::rules
