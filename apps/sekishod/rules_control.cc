#include "sekishod/rules_control.h"

#include "sekishod/log.h"

namespace sekisho::daemon {

RulesControl::RulesControl(config::Config& running, Appliance& appliance)
    : appliance_(appliance), changer_(running, [&appliance](const auto& next, const auto& adopt) {
          return appliance.change(next, adopt);
      }) {}

Result<std::chrono::nanoseconds> RulesControl::change(
    const std::string& what, const control::MakeRules& make
) {
    auto rested = changer_.change(make);
    if (rested) {
        log("rules changed: {}", what);
    }
    return rested;
}

std::vector<rules::RuleTotal> RulesControl::counted() {
    std::vector<rules::RuleTotal> all;
    appliance_.with_rules([&](dataplane::RulesInForce& rules) { all = rules.counted(); });
    return all;
}

std::vector<rules::RuleTotal> RulesControl::since_zero(
    std::span<const rules::RuleId> rules, std::span<const rules::RuleTotal> counted, bool zeroes
) {
    std::vector<rules::RuleTotal> totals;
    appliance_.with_rules([&](dataplane::RulesInForce& in_force) {
        totals = in_force.since_zero(rules, counted, zeroes);
    });
    return totals;
}

control::RulesAccess::Named RulesControl::named() {
    Named named;
    appliance_.with_rules([&](dataplane::RulesInForce& rules) {
        named = {rules.rules().sets, rules.rules().groups};
    });
    return named;
}

}  // namespace sekisho::daemon
