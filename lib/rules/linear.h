// The linear matcher: what a rule set means. Everything faster must agree with it.
//
//   Walk      a chain's rules are asked in order. One agrees if all its conditions do, its rates last; it is counted, and its
//             actions are done. Accept, deny, reject and the translations end the walk. Jump goes through another chain
//             and comes back behind the rule, goto comes back where this chain would have. Return, or the chain's end,
//             goes back; from a built-in chain it comes to the policy, which is counted too.
//   Cost      every rule up to the end; allocates. For tests, for `check`, and where rules are few.
//   Thread    pure but for `rates`.
//   Source    ARCHITECTURE 5; LEGACY S1, S2, C1, C2, I1.
#pragma once

#include <vector>

#include "rules/address_set.h"
#include "rules/outcome.h"
#include "rules/packet.h"
#include "rules/rates.h"
#include "rules/rule_set.h"

namespace sekisho::rules {

struct Walked {
    Outcome outcome;
    std::vector<RuleId> path;  // all that agreed, and the policy if it came to that
    // No rule was asked that leaves a residue (residue.h) and agreed in all that is fixed in a flow: every packet of the flow
    // fares so.
    bool is_for_flow = true;
};

// `chain`: of `set`.
Walked walk_linear(
    const RuleSet& set, ChainId chain, RulePacket packet, const AddressSets& sets, Rates& rates
);

}  // namespace sekisho::rules
