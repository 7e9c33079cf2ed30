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

// As residue.h says, without the names.
bool leaves_residue(const Rule& rule) {
    const auto is_policer = [](const Action& a) { return std::holds_alternative<Police>(a); };
    return varies(rule) || std::ranges::any_of(rule.actions, is_policer);
}

// Whether what agrees with its fixed conditions goes no further in its chain, whatever else.
bool surely_ends(const Rule& rule) {
    const Action* deciding = rule.deciding();
    return deciding != nullptr && !std::holds_alternative<Jump>(*deciding) && !leaves_residue(rule);
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
    step.leaves_residue = leaves_residue(rule);
    const auto quick = quick_test_of(rule);
    step.is_quick = quick.has_value();
    step.quick = quick.value_or(QuickTest{});
    step.has_effects = rule.actions.size() > (step.deciding != nullptr ? 1U : 0U);
    if (step.deciding != nullptr && chain_of(*step.deciding) == nullptr &&
        !std::holds_alternative<Return>(*step.deciding)) {
        step.is_fate = true;
        step.disposition = disposition_of(*step.deciding);
    }
    return step;
}

// Where each of `rules` stands in `base`; kNoPosition: nowhere. What is alike at both ends is not searched for.
std::vector<uint32_t> origins_of(
    const std::vector<RulePtr>& rules, const std::vector<RulePtr>& base
) {
    std::vector<uint32_t> origins(rules.size(), kNoPosition);
    const size_t shorter = std::min(rules.size(), base.size());
    size_t begin = 0;
    while (begin < shorter && rules[begin] == base[begin]) {
        origins[begin] = static_cast<uint32_t>(begin);
        ++begin;
    }
    size_t same = 0;  // at the end
    while (begin + same < shorter && rules.end()[-1 - static_cast<std::ptrdiff_t>(same)] ==
                                         base.end()[-1 - static_cast<std::ptrdiff_t>(same)]) {
        ++same;
        origins[rules.size() - same] = static_cast<uint32_t>(base.size() - same);
    }
    std::unordered_map<const Rule*, uint32_t> between;
    for (size_t i = begin; i < base.size() - same; ++i) {
        between.emplace(base[i].get(), static_cast<uint32_t>(i));
    }
    for (size_t i = begin; i < rules.size() - same; ++i) {
        const auto found = between.find(rules[i].get());
        origins[i] = found == between.end() ? kNoPosition : found->second;
    }
    return origins;
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

std::shared_ptr<const CompiledChain> CompiledChain::build(const std::vector<RulePtr>& rules) {
    std::vector<OwnedBox> boxes;
    std::vector<Step> steps;
    steps.reserve(rules.size());
    for (uint32_t i = 0; i < rules.size(); ++i) {
        add_boxes(boxes, *rules[i], i);
        steps.push_back(step_of(*rules[i]));
    }
    auto chain = std::make_shared<CompiledChain>();
    chain->steps_ = steps;
    chain->base_ =
        std::make_shared<const Base>(Base{rules, std::move(steps), BoxIndex(std::move(boxes))});
    return chain;
}

std::shared_ptr<const CompiledChain> CompiledChain::follow(const std::vector<RulePtr>& rules
) const {
    const std::vector<uint32_t> origins = origins_of(rules, base_->rules);
    const std::vector<bool> stays = longest_ascent(origins);
    if (static_cast<size_t>(std::ranges::count(stays, false)) > kMostInFront) {
        return nullptr;
    }
    auto chain = std::make_shared<CompiledChain>();
    chain->base_ = base_;
    chain->place_of_base_.assign(base_->rules.size(), kNoPosition);
    chain->steps_.resize(rules.size());
    std::vector<OwnedBox> front;
    for (uint32_t i = 0; i < rules.size(); ++i) {
        if (stays[i]) {
            chain->place_of_base_[origins[i]] = i;
            chain->steps_[i] = base_->steps[origins[i]];
        } else {
            add_boxes(front, *rules[i], i);
            chain->steps_[i] = step_of(*rules[i]);
            chain->in_front_.push_back(rules[i]);
        }
    }
    chain->front_ = BoxList(front);
    return chain;
}

bool CompiledChain::has(const std::vector<RulePtr>& rules) const {
    const auto is_same = [](const Step& step, const RulePtr& rule) {
        return step.rule == rule.get();
    };
    return std::ranges::equal(steps_, rules, is_same);
}

size_t CompiledChain::bytes() const {
    return base_->index.bytes() + front_.bytes() +
           (base_->steps.size() + steps_.size()) * sizeof(Step) +
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
