// LegacyTools: the tools of earlier packet filters on this appliance: their state, and their rules beside the others in force.
//
//   Rules     of a family stand in the running configuration's rule set under names that begin with its tool: "ipchains:input". At a
//             point where several chains stand all are asked. They go with the process, as they went with a kernel.
//   Forwards  of ports stand behind those of the file (legacy_forwards.h).
//   Errors    what the appliance cannot do is the tool's own refusal; nothing is changed then.
//   Thread    the control thread.
#pragma once

#include <array>
#include <functional>
#include <vector>

#include "config/config.h"
#include "control/legacy_call.h"
#include "control/rules_access.h"
#include "dataplane/inspector.h"
#include "legacy/kernel.h"
#include "rules/mirror.h"
#include "sekishod/legacy_forwards.h"

namespace sekisho::daemon {

class LegacyTools {
  public:
    struct Plan {
        const config::Config& running;  // as `rules` changes it
        control::RulesAccess& rules;
        dataplane::Inspector& inspector;
        // Has other settings of the NAT in force.
        std::function<Result<void>(const nat::NatSettings&)> change_nat;
    };
    explicit LegacyTools(const Plan& plan);

    control::LegacyAnswer call(const control::LegacyCall& call);

    // For a configuration that is to take the place of the running one: the tools' rules and forwards stay.
    Result<void> add_to(config::Config& wanted);
    // It has taken its place: links may have others' addresses, and rules other ids.
    void settle();

  private:
    struct FamilyState {
        // external: the links by which answers come; they stay as long as the process
        FamilyState(legacy::Family family, const rules::ByteSet& external);
        rules::Mirror mirror;
        bool is_used = false;  // its chains stand in the rules in force
        // By the ids of its own rules, what those in force had counted when they became them.
        legacy::Counts base;
    };
    using States = std::array<FamilyState, legacy::kFamilies>;

    legacy::Machine machine(const legacy::Names& names) const;
    legacy::Links links() const;
    std::vector<legacy::TrackedSession> tracked() const;
    legacy::Counts counts(legacy::Family family) const;
    Result<void> take(const legacy::Kernel& next, const std::string& what);
    Result<void> take_rules(const legacy::Kernel& next, const std::string& what);
    Result<void> take_forwards(const legacy::Kernel& next, const std::string& what);
    Result<void> put_marks(const legacy::Kernel& next, rules::RuleSet& set) const;
    Result<void> take_tracking(const legacy::Kernel& next);
    bool has_changed(const legacy::Kernel& next) const;
    Result<void> follow(const legacy::Kernel& kernel, States& states, config::RulesSettings& made)
        const;
    void note_counts();
    void find_again(const legacy::Kernel& kernel, States& states) const;
    rules::RuleTotal base_of(
        legacy::Family family, rules::RuleId own, rules::RuleId there, const legacy::Counts& counted
    ) const;

    Plan plan_;
    uint32_t most_sessions_;   // for which there is room
    rules::ByteSet external_;  // the links by which answers come
    legacy::NameTables names_;
    legacy::Kernel kernel_;
    LegacyForwards forwards_;
    bool had_marks_ = false;  // the chain of forwards by mark is ours
    States states_;
    // Before a change: what the tools' rules had counted, and which ids had been given.
    std::array<legacy::Counts, legacy::kFamilies> had_;
    uint32_t ids_before_ = 0;
};

}  // namespace sekisho::daemon
