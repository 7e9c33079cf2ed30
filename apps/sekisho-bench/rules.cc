// What the rules cost the first packet of a flow.
#include <memory>

#include <fmt/format.h>

#include "rules/compiled_rules.h"
#include "rules/linear.h"
#include "sekisho-bench/benchmarks.h"
#include "sekisho-bench/rule_maker.h"

namespace sekisho::bench {
namespace {

using rules::CompiledRules;
using rules::kRuleBurst;
using rules::RulePacket;

constexpr uint64_t kSeed = 1;
constexpr size_t kPackets = 1 << 18;  // more than a cache holds
// Rules that the linear matcher is made to ask for one measurement.
constexpr uint64_t kMostAsked = 200'000'000;

// Drawn from the rules, each as often as any other.
std::vector<RulePacket> packets_for(const rules::Chain& chain) {
    std::mt19937_64 random(kSeed);
    std::vector<RulePacket> packets(kPackets);
    for (RulePacket& packet : packets) {
        packet = packet_for(*chain.rules[random() % chain.rules.size()], random);
    }
    return packets;
}

class RulesRig {
  public:
    RulesRig(const MadeRules& made, std::shared_ptr<const CompiledRules> compiled)
        : chain_(made.chain),
          compiled_(std::move(compiled)),
          rates_(made.set),
          packets_(packets_for(*made.set.chain(made.chain))),
          scratch_(std::make_unique<rules::WalkScratch>()) {}

    // Cycles a packet, `burst` of them at a time.
    double match(size_t burst) {
        const Stopwatch watch;
        for (size_t first = 0; first + burst <= packets_.size(); first += burst) {
            match(first, burst);
        }
        return static_cast<double>(watch.cycles()) / static_cast<double>(packets_.size());
    }
    double match_and_walk() {
        rules::Trail trail;
        const Stopwatch watch;
        for (size_t first = 0; first + kRuleBurst <= packets_.size(); first += kRuleBurst) {
            match(first, kRuleBurst);
            for (size_t i = 0; i < kRuleBurst; ++i) {
                trail.clear();
                denied_ +=
                    walk(first + i, matches_[i], trail).disposition == rules::Disposition::kDeny
                        ? 1
                        : 0;
            }
        }
        return static_cast<double>(watch.cycles()) / static_cast<double>(packets_.size());
    }
    // Packets, of as many as the time allows, that fare otherwise than the linear matcher says.
    uint64_t faults(uint32_t rule_count) {
        const size_t step = std::max<size_t>(kPackets * rule_count / kMostAsked, kRuleBurst);
        uint64_t faults = 0;
        for (size_t at = 0; at < packets_.size(); at += step) {
            match(at, 1);
            rules::Trail trail;
            const rules::Outcome found = walk(at, matches_[0], trail);
            const rules::Walked wanted =
                rules::walk_linear(compiled_->rules(), chain_, packets_[at], sets_, rates_);
            const bool is_same =
                found == wanted.outcome && std::ranges::equal(trail.rules(), wanted.path);
            faults += is_same ? 0 : 1;
        }
        return faults;
    }
    void follow(std::shared_ptr<const CompiledRules> compiled) { compiled_ = std::move(compiled); }

  private:
    void match(size_t first, size_t count) {
        compiled_->match(chain_, {&packets_[first], count}, sets_, *scratch_, matches_);
    }
    rules::Outcome walk(size_t at, const rules::Matches& matches, rules::Trail& trail) {
        return compiled_->walk(chain_, packets_[at], matches, {sets_, rates_, *scratch_, trail});
    }

    rules::ChainId chain_;
    std::shared_ptr<const CompiledRules> compiled_;
    rules::AddressSets sets_;
    rules::Rates rates_;
    std::vector<RulePacket> packets_;
    std::unique_ptr<rules::WalkScratch> scratch_;
    rules::Matches matches_[kRuleBurst];
    uint64_t denied_ = 0;
};

}  // namespace

RulesResult measure_rules(const RulesPlan& plan) {
    MadeRules made = make_rules(plan.kind, plan.rules, kSeed);
    RulesResult result;
    const Stopwatch building;
    const auto compiled = CompiledRules::build(made.set);
    result.build_seconds = building.seconds();
    const rules::CompiledChain& chain = compiled->chain(made.chain);
    result.bytes = compiled->bytes();
    result.tables = chain.table_count();
    result.list = chain.rest_count();
    RulesRig rig(made, compiled);
    std::vector<double> burst, alone, walked, fixed;
    rig.match(kRuleBurst);
    for (unsigned run = 0; run < plan.runs; ++run) {
        fixed.push_back(calibrate());
        burst.push_back(rig.match(kRuleBurst));
        alone.push_back(rig.match(1));
        walked.push_back(rig.match_and_walk());
    }
    result.cycles = Summary::of(burst);
    result.alone = Summary::of(alone);
    result.walked = Summary::of(walked);
    result.fixed_loop = Summary::of(fixed);
    result.faults = rig.faults(plan.rules);
    // One rule is replaced, in the middle.
    rules::Rule other;
    other.actions = {rules::Log{}};
    const auto replaced = made.set.replace(made.chain, plan.rules / 2, std::move(other));
    const Stopwatch changing;
    rig.follow(compiled->follow(made.set));
    result.change_seconds = changing.seconds();
    result.faults += replaced ? rig.faults(plan.rules) : 1;
    return result;
}

}  // namespace sekisho::bench
