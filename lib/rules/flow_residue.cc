#include "rules/flow_residue.h"

#include <optional>

#include "rules/covers.h"
#include "rules/effects.h"

namespace sekisho::rules {
namespace {

constexpr uint16_t kChainEnd = 0xffff;  // where the chain in line ends; known when it does

// One packet on its way. It is copied only where a rule changes it: it has just been written in parts, and would be read as a
// whole.
class Run {
  public:
    Run(const RulePacket& packet, const CompiledRules::Tools& tools)
        : packet_(&packet), fields_(packet), tools_(tools) {
        outcome_.tos = packet.tos;
        outcome_.mark = packet.mark;
    }
    Run(const Run&) = delete;
    Run& operator=(const Run&) = delete;

    bool agrees(const Step& step) {
        if (step.is_quick) {
            return step.quick.holds(fields_);
        }
        return !step.varies || (covers(*step.rule, Part::kVarying, *packet_, tools_.sets) &&
                                take_rates(*step.rule, *packet_, tools_.rates));
    }
    // Of a rule that agrees. Whether the walk ends there.
    bool do_actions(const Step& step) {
        tools_.trail.add(step.id);
        if (step.has_effects && !change(step)) {
            return true;
        }
        if (step.is_fate) {
            outcome_.disposition = step.disposition;
            outcome_.by = step.id;
            outcome_.action = step.deciding;
        }
        return step.is_fate;
    }
    Outcome& outcome() { return outcome_; }

  private:
    bool change(const Step& step) {
        if (!changed_) {
            changed_ = *packet_;
            packet_ = &*changed_;
        }
        const bool goes_on = apply_effects(*step.rule, *changed_, tools_.rates, outcome_);
        fields_ = VaryingFields(*changed_);
        return goes_on;
    }

    const RulePacket* packet_;
    VaryingFields fields_;
    const CompiledRules::Tools& tools_;
    Outcome outcome_;
    std::optional<RulePacket> changed_;
};

}  // namespace

// Lays chains out. A chain's steps that leave it are marked, and sent to where it ends when that is known.
class FlowResidue::Maker {
  public:
    Maker(
        FlowResidue& residue,
        const CompiledRules& rules,
        const RulePacket& packet,
        const AddressSets& sets,
        MatchScratch& scratch
    )
        : residue_(residue), rules_(rules), packet_(packet), sets_(sets), scratch_(scratch) {}

    // NOLINTNEXTLINE(misc-no-recursion): chains lead into each other no deeper than kDeepest
    bool lay_out(ChainId id) {
        const CompiledChain& chain = rules_.chain(id);
        const uint16_t first = residue_.size_;
        uint32_t from = 0;
        Matches matches;
        do {
            chain.match({&packet_, 1}, from, sets_, scratch_, {&matches, 1});
            if (!add_all(chain, matches)) {
                return false;
            }
            from = matches.count > 0 ? matches.positions[matches.count - 1] + 1 : 0;
        } while (matches.is_cut);
        for (uint16_t i = first; i < residue_.size_; ++i) {
            Op& op = residue_.ops_[i];
            op.next = op.next == kChainEnd ? residue_.size_ : op.next;
            op.if_not = op.if_not == kChainEnd ? residue_.size_ : op.if_not;
        }
        return true;
    }

  private:
    // NOLINTNEXTLINE(misc-no-recursion): see above
    bool add_all(const CompiledChain& chain, const Matches& matches) {
        for (uint32_t i = 0; i < matches.count; ++i) {
            if (!add(chain.step(matches.positions[i]))) {
                return false;
            }
        }
        return true;
    }

    Op* push(const Step* step) {
        if (residue_.size_ == kMost) {
            return nullptr;
        }
        Op& op = residue_.ops_[residue_.size_++];
        op = {step, residue_.size_, residue_.size_};
        return &op;
    }

    // NOLINTNEXTLINE(misc-no-recursion): see above
    bool add(const Step& step) {
        Op* const op = push(&step);
        if (op == nullptr) {
            return false;
        }
        if (step.deciding == nullptr || step.is_fate) {
            return true;
        }
        const ChainId* to = chain_of(*step.deciding);
        if (to == nullptr) {
            op->next = kChainEnd;
            return true;
        }
        if (!lay_out(*to)) {
            return false;
        }
        if (std::holds_alternative<Goto>(*step.deciding)) {
            Op* const leave = push(nullptr);
            if (leave == nullptr) {
                return false;
            }
            leave->if_not = kChainEnd;
        }
        op->if_not = residue_.size_;
        return true;
    }

    FlowResidue& residue_;
    const CompiledRules& rules_;
    const RulePacket& packet_;
    const AddressSets& sets_;
    MatchScratch& scratch_;
};

bool FlowResidue::make(
    const CompiledRules& rules,
    ChainId chain,
    const RulePacket& packet,
    const AddressSets& sets,
    MatchScratch& scratch
) {
    const Chain& root = *rules.rules().chain(chain);
    size_ = 0;
    policy_ = root.hook ? &root.policy : nullptr;
    policy_id_ = root.policy_id;
    return Maker(*this, rules, packet, sets, scratch).lay_out(chain);
}

Outcome FlowResidue::run(const RulePacket& first, const CompiledRules::Tools& tools) const {
    Run run(first, tools);
    for (uint16_t at = 0; at < size_;) {
        const Op& op = ops_[at];
        const bool agrees = op.step != nullptr && run.agrees(*op.step);
        if (agrees && run.do_actions(*op.step)) {
            return run.outcome();
        }
        at = agrees ? op.next : op.if_not;
    }
    if (policy_ != nullptr) {
        tools.trail.add(policy_id_);
        decide(*policy_, policy_id_, run.outcome());
    }
    return run.outcome();
}

}  // namespace sekisho::rules
