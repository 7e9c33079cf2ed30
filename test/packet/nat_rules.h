// Rules that translate, as cases write them: chains at the nat hooks and before them, and what they have counted.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "fragment_scenario.h"
#include "support/rules_support.h"

namespace sekisho::test {

// Chains, one at a hook; the rules' ids in the order in which they were added.
struct NatRules {
    rules::RuleSet set;
    std::vector<rules::RuleId> ids;

    rules::ChainId at(rules::Hook hook) {
        const std::string name = rules::name_of(hook);
        const auto found = set.find_chain(name);
        return found ? *found : set.add_built_in(name, hook, 0, rules::Accept{}).value();
    }
    NatRules& add(
        rules::Hook hook,
        std::vector<rules::Condition> conditions,
        std::vector<rules::Action> actions
    ) {
        const auto rule = rules::test::rule(std::move(conditions), std::move(actions));
        ids.push_back(set.append(at(hook), rule).value());
        return *this;
    }
    NatRules& to_destination(std::vector<rules::Condition> conditions, rules::Action action) {
        return add(rules::Hook::kNatDestination, std::move(conditions), {std::move(action)});
    }
    NatRules& to_source(std::vector<rules::Condition> conditions, rules::Action action) {
        return add(rules::Hook::kNatSource, std::move(conditions), {std::move(action)});
    }
    // As a changed file: what says the same is the same rule, all else is another one.
    void takes_over(const NatRules& before) {
        std::vector<rules::Place> places;
        for (const rules::RuleId id : ids) {
            places.push_back(set.find_rule(id).value());
        }
        set.take_over(before.set);
        for (size_t i = 0; i < ids.size(); ++i) {
            ids[i] = set.chain(places[i].chain)->rules[places[i].position]->id;
        }
    }
    // What each rule has counted, in packets.
    std::vector<uint64_t> counts(const TestBed& bed) const {
        std::vector<uint64_t> packets;
        for (const rules::RuleId id : ids) {
            packets.push_back(bed.counted(id).packets);
        }
        return packets;
    }
};

inline rules::Dnat dnat_to(std::string_view host, uint16_t port = 0) {
    return {{{ip(host), port, 1}}, false};
}
inline rules::Condition in_by(LinkId link) {
    return {rules::LinkTest{rules::Way::kIn, rules::ByteSet::of(link.value)}};
}
inline rules::Condition out_by(LinkId link) {
    return {rules::LinkTest{rules::Way::kOut, rules::ByteSet::of(link.value)}};
}

using Counts = std::vector<uint64_t>;

}  // namespace sekisho::test
