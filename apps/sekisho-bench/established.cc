// What the rules cost a packet of a session that stands: one rig by turns without rules, with them, and with four more whose answer
// depends on the packet.
#include <array>

#include "rules/compiled_rules.h"
#include "sekisho-bench/benchmarks.h"
#include "sekisho-bench/rig.h"

namespace sekisho::bench {
namespace {

using rules::CompiledRules;
using rules::Rule;

struct Compiled {
    std::shared_ptr<const CompiledRules> set;  // empty: no rules
    rules::RuleId all = rules::kNoRule;        // agrees with every packet, asked first
};

Rule rule(std::vector<rules::Test> tests, std::vector<rules::Action> actions) {
    Rule made;
    for (rules::Test& test : tests) {
        made.conditions.push_back({std::move(test)});
    }
    made.actions = std::move(actions);
    return made;
}

// Header fields that vary within a flow, as no packet of the far ends has them.
std::vector<Rule> residue() {
    const auto deny = [](rules::Test test) { return rule({std::move(test)}, {rules::Deny{}}); };
    return {
        deny(rules::LengthTest{{{1600, 1700}}}),
        deny(rules::TtlTest{{0, 3}}),
        deny(rules::TosTest{0xfc, 0xb8}),
        deny(rules::FragmentTest{false, true, false})};
}

// The made rules, but all traffic gets through, and none of it is logged: what is denied or logged is no established flow's.
Compiled passing(const MadeRules& made, const std::vector<Rule>& before) {
    rules::RuleSet set;
    const rules::ChainId chain =
        set.add_built_in("main", rules::Hook::kForward, 0, rules::Accept{}).value();
    Compiled compiled;
    compiled.all = set.append(chain, rule({}, {})).value();
    for (const Rule& each : before) {
        set.append(chain, each).value();
    }
    for (const rules::RulePtr& each : made.set.chain(made.chain)->rules) {
        Rule copy = *each;
        const bool logs = std::holds_alternative<rules::Log>(copy.actions.front());
        copy.actions =
            logs ? std::vector<rules::Action>{} : std::vector<rules::Action>{rules::Accept{}};
        set.append(chain, std::move(copy)).value();
    }
    compiled.set = CompiledRules::build(set);
    return compiled;
}

class Turns {
  public:
    Turns(Rig& rig, uint64_t packets) : rig_(rig), packets_(packets), alone_(1) {}

    // Cycles a packet with these rules, once every session has had a verdict.
    double measure(const Compiled& compiled) {
        rig_.put_rules(compiled.set);
        rig_.checked_pass(true, true);
        rig_.set_checks(flowgen::FlowgenQueue::Checks::kSample);
        rig_.send(config::FlowgenDirection::kBoth);
        return run_pipeline(rig_, packets_, alone_).cycles;
    }
    // Frames that the rules have not seen.
    uint64_t unseen(const Compiled& compiled) {
        rig_.put_rules(compiled.set);
        const uint64_t before = rig_.counted(compiled.all);
        const uint64_t sent = rig_.checked_pass(true, true) + rig_.checked_pass(true, true);
        const uint64_t seen = rig_.counted(compiled.all) - before;
        return std::max(sent, seen) - std::min(sent, seen);
    }

  private:
    Rig& rig_;
    uint64_t packets_;
    Together alone_;
};

}  // namespace

EstablishedResult measure_established(
    Rig& rig, const MadeRules& made, uint64_t packets, unsigned runs
) {
    const std::array<Compiled, 3> all = {Compiled{}, passing(made, {}), passing(made, residue())};
    Turns turns(rig, packets);
    std::vector<double> without, extra, residue_extra;
    for (unsigned run = 0; run < runs; ++run) {
        std::array<double, all.size()> cycles{};
        for (size_t k = 0; k < all.size();
             ++k) {  // each is first, second and last as often as any other
            const size_t which = (k + run) % all.size();
            cycles[which] = turns.measure(all[which]);
        }
        without.push_back(cycles[0]);
        extra.push_back(cycles[1] - cycles[0]);
        residue_extra.push_back(cycles[2] - cycles[0]);
    }
    EstablishedResult result;
    result.without = Summary::of(without);
    result.extra = Summary::of(extra);
    result.residue_extra = Summary::of(residue_extra);
    result.faults = turns.unseen(all[1]) + turns.unseen(all[2]) + rig.faults() + rig.dropped();
    return result;
}

}  // namespace sekisho::bench
