#include "rules/compiled_rules.h"

#include <algorithm>

#include "rules/covers.h"
#include "rules/effects.h"

namespace sekisho::rules {
namespace {

using Frame = WalkScratch::Frame;

class CompiledWalk {
  public:
    CompiledWalk(
        const CompiledRules& rules, const RulePacket& packet, const CompiledRules::Tools& tools
    )
        : rules_(rules), packet_(packet), tools_(tools) {
        outcome_.tos = packet.tos;
        outcome_.mark = packet.mark;
    }

    Outcome take(ChainId id, const Matches& matches) {
        Frame& first = tools_.scratch.frames[0];
        first.chain = &rules_.chain(id);
        first.next = 0;
        first.matches = matches;
        depth_ = 1;
        while (depth_ > 0) {
            Frame& frame = tools_.scratch.frames[depth_ - 1];
            const uint32_t position = next_of(frame);
            if (position == kNoPosition) {
                --depth_;
            } else if (do_step(frame.chain->step(position))) {
                return outcome_;
            }
        }
        const Chain& chain = *rules_.rules().chain(id);
        if (chain.hook) {
            tools_.trail.add(chain.policy_id);
            decide(chain.policy, chain.policy_id, outcome_);
        }
        return outcome_;
    }

  private:
    uint32_t next_of(Frame& frame) {
        if (frame.next == frame.matches.count && frame.matches.is_cut) {
            match(frame, frame.matches.positions[frame.matches.count - 1] + 1);
        }
        return frame.next < frame.matches.count ? frame.matches.positions[frame.next++]
                                                : kNoPosition;
    }

    void match(Frame& frame, uint32_t from) {
        frame.next = 0;
        frame.chain->match(
            {&packet_, 1}, from, tools_.sets, tools_.scratch.match, {&frame.matches, 1}
        );
    }

    // Whether the walk is at its end.
    bool do_step(const Step& step) {
        if (step.leaves_residue) {
            tools_.trail.note_residue();
        }
        if (step.varies && (!covers(*step.rule, Part::kVarying, packet_, tools_.sets) ||
                            !take_rates(*step.rule, packet_, tools_.rates))) {
            return false;
        }
        tools_.trail.add(step.id);
        if (step.has_effects && !apply_effects(*step.rule, packet_, tools_.rates, outcome_)) {
            return true;
        }
        if (step.is_fate) {
            outcome_.disposition = step.disposition;
            outcome_.by = step.id;
            outcome_.action = step.deciding;
            return true;
        }
        if (step.deciding != nullptr) {
            turn(*step.deciding);
        }
        return false;
    }

    // To another chain, or back.
    void turn(const Action& action) {
        if (!std::holds_alternative<Jump>(action)) {
            --depth_;  // return, or goto: nothing comes back here
        }
        if (const ChainId* to = chain_of(action)) {
            Frame& frame = tools_.scratch.frames[depth_++];
            frame.chain = &rules_.chain(*to);
            match(frame, 0);
        }
    }

    const CompiledRules& rules_;
    RulePacket packet_;
    const CompiledRules::Tools& tools_;
    Outcome outcome_;
    unsigned depth_ = 0;
};

}  // namespace

std::shared_ptr<const CompiledRules> CompiledRules::build(RuleSet set) {
    auto compiled = std::make_shared<CompiledRules>();
    for (const ChainId id : set.chains()) {
        compiled->chains_.resize(size_t{id.value} + 1);
        compiled->chains_[id.value] = CompiledChain::build(set.chain(id)->rules);
    }
    compiled->set_ = std::move(set);
    return compiled;
}

std::shared_ptr<const CompiledRules> CompiledRules::follow(RuleSet set) const {
    auto compiled = std::make_shared<CompiledRules>();
    for (const ChainId id : set.chains()) {
        compiled->chains_.resize(size_t{id.value} + 1);
        auto& chain = compiled->chains_[id.value];
        const std::vector<RulePtr>& rules = set.chain(id)->rules;
        const bool is_known = id.value < chains_.size() && chains_[id.value] != nullptr;
        if (is_known) {
            const auto& old = chains_[id.value];
            chain = old->has(rules) ? old : old->follow(rules);
        }
        if (chain == nullptr) {
            chain = CompiledChain::build(rules);
        }
    }
    compiled->set_ = std::move(set);
    return compiled;
}

bool CompiledRules::is_settled() const {
    return std::ranges::all_of(chains_, [](const auto& chain) {
        return chain == nullptr || chain->is_settled();
    });
}

size_t CompiledRules::bytes() const {
    size_t bytes = 0;
    for (const auto& chain : chains_) {
        bytes += chain == nullptr ? 0 : chain->bytes();
    }
    return bytes;
}

Outcome CompiledRules::walk(
    ChainId chain, RulePacket packet, const Matches& matches, const Tools& tools
) const {
    return CompiledWalk(*this, packet, tools).take(chain, matches);
}

}  // namespace sekisho::rules
