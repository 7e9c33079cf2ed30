#include "rules/linear.h"

#include "rules/covers.h"
#include "rules/effects.h"
#include "rules/residue.h"

namespace sekisho::rules {
namespace {

class LinearWalk {
  public:
    LinearWalk(const RuleSet& set, const RulePacket& packet, const AddressSets& sets, Rates& rates)
        : set_(set), packet_(packet), sets_(sets), rates_(rates) {
        walked_.outcome.tos = packet.tos;
        walked_.outcome.mark = packet.mark;
    }

    // Whether it ended there.
    bool walk(ChainId id) {
        for (const RulePtr& rule : set_.chain(id)->rules) {
            walked_.is_for_flow =
                walked_.is_for_flow &&
                (varying_fields(*rule).empty() || !covers(*rule, Part::kFixed, packet_, sets_));
            if (!covers(*rule, Part::kAll, packet_, sets_) || !take_rates(*rule, packet_, rates_)) {
                continue;
            }
            walked_.path.push_back(rule->id);
            if (!apply_effects(*rule, packet_, rates_, walked_.outcome)) {
                return true;
            }
            const Action* action = rule->deciding();
            if (action == nullptr) {
                continue;
            }
            if (std::holds_alternative<Return>(*action)) {
                return false;
            }
            if (const auto* go = std::get_if<Goto>(action)) {
                return walk(go->chain);
            }
            if (const auto* jump = std::get_if<Jump>(action); jump == nullptr) {
                decide(*action, rule->id, walked_.outcome);
                return true;
            } else if (walk(jump->chain)) {
                return true;
            }
        }
        return false;
    }

    Walked take(ChainId id) {
        const Chain& chain = *set_.chain(id);
        if (!walk(id) && chain.hook) {
            walked_.path.push_back(chain.policy_id);
            decide(chain.policy, chain.policy_id, walked_.outcome);
        }
        return std::move(walked_);
    }

  private:
    const RuleSet& set_;
    RulePacket packet_;
    const AddressSets& sets_;
    Rates& rates_;
    Walked walked_;
};

}  // namespace

Walked walk_linear(
    const RuleSet& set, ChainId chain, RulePacket packet, const AddressSets& sets, Rates& rates
) {
    return LinearWalk(set, packet, sets, rates).take(chain);
}

}  // namespace sekisho::rules
