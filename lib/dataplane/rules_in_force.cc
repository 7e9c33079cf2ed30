#include "dataplane/rules_in_force.h"

#include <algorithm>

namespace sekisho::dataplane {
namespace {

using Totals = std::vector<rules::RuleTotal>;

void add(Totals& to, const Totals& what) {
    to.resize(std::max(to.size(), what.size()));
    for (size_t i = 0; i < what.size(); ++i) {
        to[i].packets += what[i].packets;
        to[i].bytes += what[i].bytes;
    }
}

rules::RuleTotal at(std::span<const rules::RuleTotal> totals, size_t place) {
    return place < totals.size() ? totals[place] : rules::RuleTotal{};
}

// Nothing where it was zeroed later than it was counted.
rules::RuleTotal difference(const rules::RuleTotal& now, const rules::RuleTotal& before) {
    return {
        now.packets - std::min(now.packets, before.packets),
        now.bytes - std::min(now.bytes, before.bytes)};
}

}  // namespace

RulesInForce::RulesInForce(std::vector<Shard*> shards, const HashSecret& secret)
    : shards_(std::move(shards)), secret_(secret) {}

// Not while a session may remember it from the last time round.
bool RulesInForce::may_come(uint32_t generation) const {
    return std::ranges::all_of(shards_, [&](const Shard* shard) {
        const uint32_t oldest = shard->oldest_rules();
        const bool has_begun = oldest != 0;
        return has_begun ? generation != oldest : generation > generation_;
    });
}

Result<RulesInForce::Judges> RulesInForce::prepare(const Rules& rules) {
    Judges judges(shards_.size());
    if (rules.compiled == nullptr) {
        prepared_ = generation_;
        rules_ = rules;
        return judges;
    }
    const uint32_t generation = generation_ % (Judge::kGenerations - 1) + 1;
    if (!may_come(generation)) {
        return failure("sessions still remember rules that were changed thousands of times since");
    }
    JudgePlan plan;
    plan.rules = rules.compiled;
    plan.sets = rules.sets != nullptr ? rules.sets : std::make_shared<rules::AddressSets>();
    plan.groups = rules.groups;
    plan.patterns = rules.patterns;
    plan.targets = std::make_shared<TargetTables>(rules.compiled->rules());
    plan.clock = &clock_;
    plan.generation = generation;
    plan.shards = static_cast<uint32_t>(shards_.size());
    plan.secret = secret_;
    plan.cuts = rules.cuts;
    for (size_t i = 0; i < shards_.size(); ++i) {
        plan.log = &shards_[i]->rule_log();
        judges[i] = std::make_unique<Judge>(plan);
    }
    prepared_ = generation;
    rules_ = rules;
    return judges;
}

void RulesInForce::put(Judges& judges) {
    generation_ = prepared_;
    for (size_t i = 0; i < shards_.size(); ++i) {
        judges[i] = shards_[i]->change_rules(std::move(judges[i]));
    }
}

void RulesInForce::change_compiled(const std::shared_ptr<const rules::CompiledRules>& compiled) {
    rules_.compiled = compiled;
    for (Shard* const shard : shards_) {
        shard->change_compiled(compiled);
    }
}

void RulesInForce::settle(const Judges& judges) {
    for (const auto& judge : judges) {
        if (judge != nullptr) {
            add(settled_, judge->totals());
        }
    }
}

Totals RulesInForce::counted() const {
    Totals totals = settled_;
    for (const Shard* shard : shards_) {
        if (shard->current_judge() != nullptr) {
            add(totals, shard->current_judge()->totals());
        }
    }
    return totals;
}

Totals RulesInForce::since_zero(
    std::span<const rules::RuleId> rules, std::span<const rules::RuleTotal> counted, bool zeroes
) {
    Totals totals;
    for (const rules::RuleId rule : rules) {
        const rules::RuleTotal now = at(counted, rule.value);
        const rules::RuleTotal zero = at(zero_, rule.value);
        totals.push_back(difference(now, zero));
        if (zeroes && rule.value < counted.size()) {
            zero_.resize(std::max(zero_.size(), counted.size()));
            zero_[rule.value] = {
                std::max(zero.packets, now.packets), std::max(zero.bytes, now.bytes)};
        }
    }
    return totals;
}

Totals RulesInForce::totals() const {
    Totals totals = counted();
    for (size_t i = 0; i < totals.size(); ++i) {
        totals[i] = difference(totals[i], at(zero_, i));
    }
    return totals;
}

Totals RulesInForce::zero() {
    Totals now = counted();
    Totals totals = now;
    for (size_t i = 0; i < totals.size(); ++i) {
        totals[i] = difference(totals[i], at(zero_, i));
    }
    zero_ = std::move(now);
    return totals;
}

}  // namespace sekisho::dataplane
