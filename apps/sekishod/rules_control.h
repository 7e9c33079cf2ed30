// RulesControl: the appliance's rules, as the control socket asks for them.
//
//   Thread    the control thread.
#pragma once

#include "control/rules_access.h"
#include "sekishod/appliance.h"
#include "sekishod/rules_changer.h"

namespace sekisho::daemon {

class RulesControl final : public control::RulesAccess {
  public:
    // `running` is what `appliance` was created with; both outlive it.
    RulesControl(config::Config& running, Appliance& appliance);

    Result<std::chrono::nanoseconds> change(const std::string& what, const control::MakeRules& make)
        override;
    std::vector<rules::RuleTotal> counted() override;
    std::vector<rules::RuleTotal> since_zero(
        std::span<const rules::RuleId> rules, std::span<const rules::RuleTotal> counted, bool zeroes
    ) override;
    Named named() override;

  private:
    Appliance& appliance_;
    RulesChanger changer_;
};

}  // namespace sekisho::daemon
