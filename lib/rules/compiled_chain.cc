#include "rules/compiled_chain.h"

#include <algorithm>
#include <unordered_map>

#include "rules/covers.h"
#include "rules/effects.h"

namespace sekisho::rules {
namespace {

bool varies(const Rule& rule) {
    return std::ranges::any_of(rule.conditions, is_varying);
}

// Whether what agrees with its fixed conditions goes no further in its chain, whatever else.
bool surely_ends(const Rule& rule) {
    const auto is_policer = [](const Action& a) { return std::holds_alternative<Police>(a); };
    const Action* deciding = rule.deciding();
    return deciding != nullptr && !std::holds_alternative<Jump>(*deciding) && !varies(rule) &&
           std::ranges::none_of(rule.actions, is_policer);
}

void add_boxes(std::vector<OwnedBox>& boxes, const Rule& rule, uint32_t number) {
    const uint32_t ends = surely_ends(rule) ? BoxRef::kEnds : 0;
    for (const RuleBox& box : boxes_of(rule)) {
        boxes.push_back({box.box, number | ends | (box.is_exact ? 0 : BoxRef::kMustAsk)});
    }
}

Step step_of(const Rule& rule) {
    Step step;
    step.rule = &rule;
    step.id = rule.id;
    step.deciding = rule.deciding();
    step.varies = varies(rule);
    step.has_effects = rule.actions.size() > (step.deciding != nullptr ? 1U : 0U);
    if (step.deciding != nullptr && chain_of(*step.deciding) == nullptr &&
        !std::holds_alternative<Return>(*step.deciding)) {
        step.is_fate = true;
        step.disposition = disposition_of(*step.deciding);
    }
    return step;
}

// Of numbers, those of a longest run that ascends, as they come; kNoPosition is no number.
std::vector<bool> longest_ascent(const std::vector<uint32_t>& numbers) {
    std::vector<size_t> ends;  // of the best run of each length, where it ends
    std::vector<size_t> before(numbers.size(), numbers.size());
    const auto number_at = [&](size_t at) { return numbers[at]; };
    for (size_t i = 0; i < numbers.size(); ++i) {
        if (numbers[i] == kNoPosition) {
            continue;
        }
        const auto longer = std::ranges::lower_bound(ends, numbers[i], {}, number_at);
        if (longer != ends.begin()) {
            before[i] = *(longer - 1);
        }
        if (longer == ends.end()) {
            ends.push_back(i);
        } else {
            *longer = i;
        }
    }
    std::vector<bool> is_in(numbers.size());
    for (size_t at = ends.empty() ? numbers.size() : ends.back(); at < numbers.size();
         at = before[at]) {
        is_in[at] = true;
    }
    return is_in;
}

}  // namespace

void CompiledChain::take_steps() {
    steps_.reserve(rules_.size());
    for (const RulePtr& rule : rules_) {
        steps_.push_back(step_of(*rule));
    }
}

std::shared_ptr<const CompiledChain> CompiledChain::build(const std::vector<RulePtr>& rules) {
    std::vector<OwnedBox> boxes;
    for (uint32_t i = 0; i < rules.size(); ++i) {
        add_boxes(boxes, *rules[i], i);
    }
    auto chain = std::make_shared<CompiledChain>();
    chain->rules_ = rules;
    chain->base_ = std::make_shared<const Base>(Base{rules, BoxIndex(std::move(boxes))});
    chain->take_steps();
    return chain;
}

std::shared_ptr<const CompiledChain> CompiledChain::follow(const std::vector<RulePtr>& rules
) const {
    std::unordered_map<const Rule*, uint32_t> in_base;
    for (uint32_t i = 0; i < base_->rules.size(); ++i) {
        in_base.emplace(base_->rules[i].get(), i);
    }
    std::vector<uint32_t> origins;  // where each stands in the base
    for (const RulePtr& rule : rules) {
        const auto found = in_base.find(rule.get());
        origins.push_back(found == in_base.end() ? kNoPosition : found->second);
    }
    const std::vector<bool> stays = longest_ascent(origins);
    if (static_cast<size_t>(std::ranges::count(stays, false)) > kMostInFront) {
        return nullptr;
    }
    auto chain = std::make_shared<CompiledChain>();
    chain->rules_ = rules;
    chain->base_ = base_;
    chain->place_of_base_.assign(base_->rules.size(), kNoPosition);
    std::vector<OwnedBox> front;
    for (uint32_t i = 0; i < rules.size(); ++i) {
        if (stays[i]) {
            chain->place_of_base_[origins[i]] = i;
        } else {
            add_boxes(front, *rules[i], i);
        }
    }
    chain->front_ = BoxList(front);
    chain->take_steps();
    return chain;
}

size_t CompiledChain::bytes() const {
    return base_->index.bytes() + front_.bytes() + steps_.size() * sizeof(Step) +
           place_of_base_.size() * sizeof(uint32_t);
}

void CompiledChain::add(uint32_t ref, uint32_t place, const Wanted& wanted) const {
    if (place != kNoPosition && wanted.is_wanted(place) &&
        ((ref & BoxRef::kMustAsk) == 0 ||
         covers(*steps_[place].rule, Part::kFixed, wanted.packet, wanted.sets))) {
        wanted.found.add(place, (ref & BoxRef::kEnds) != 0);
    }
}

void CompiledChain::match(
    std::span<const RulePacket> packets,
    uint32_t from,
    const AddressSets& sets,
    MatchScratch& scratch,
    std::span<Matches> matches
) const {
    for (size_t i = 0; i < packets.size(); ++i) {
        scratch.keys[i] = key_of(packets[i]);
    }
    const std::span<const Key> keys(scratch.keys, packets.size());
    base_->index.probe(keys, scratch.probe);
    base_->index.open(keys, scratch.probe);
    for (size_t i = 0; i < packets.size(); ++i) {
        matches[i].clear();
        const Wanted wanted{packets[i], from, sets, matches[i]};
        const auto add_front = [&](uint32_t ref) { add(ref, ref & BoxRef::kRule, wanted); };
        const auto add_base = [&](uint32_t ref) {
            add(ref, place_of(ref & BoxRef::kRule), wanted);
        };
        // Of a list that goes by position: whether what begins here can still matter. What is gone says nothing.
        const auto is_front_wanted = [&](uint32_t ref) {
            return (ref & BoxRef::kRule) <= matches[i].limit;
        };
        const auto is_base_wanted = [&](uint32_t ref) {
            const uint32_t place = place_of(ref & BoxRef::kRule);
            return place == kNoPosition || place <= matches[i].limit;
        };
        front_.find(keys[i], add_front, is_front_wanted);
        base_->index.find(keys[i], i, scratch.probe, add_base, is_base_wanted);
        if (matches[i].count > 0) {
            __builtin_prefetch(&steps_[matches[i].positions[0]]);
        }
    }
}

}  // namespace sekisho::rules
