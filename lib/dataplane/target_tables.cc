#include "dataplane/target_tables.h"

#include <vector>

namespace sekisho::dataplane {
namespace {

std::vector<nat::TargetSettings> settings_of(const rules::Dnat& dnat) {
    std::vector<nat::TargetSettings> targets;
    for (const rules::DnatTarget& target : dnat.targets) {
        targets.push_back({target.address, {target.port, target.port}, target.weight});
    }
    return targets;
}

// nullptr: a rule without a choice between targets.
const rules::Dnat* balancing_of(const rules::Rule& rule) {
    const rules::Action* const action = rule.deciding();
    const auto* const dnat = action != nullptr ? std::get_if<rules::Dnat>(action) : nullptr;
    return dnat != nullptr && dnat->targets.size() > 1 ? dnat : nullptr;
}

}  // namespace

TargetTables::TargetTables(const rules::RuleSet& set) {
    const auto note = [this](const rules::Rule& rule) {
        if (const rules::Dnat* const dnat = balancing_of(rule)) {
            tables_.emplace(rule.id.value, nat::TargetChoice(settings_of(*dnat)));
        }
    };
    for (const rules::ChainId id : set.chains()) {
        for (const rules::RulePtr& rule : set.chain(id)->rules) {
            note(*rule);
        }
    }
}

}  // namespace sekisho::dataplane
