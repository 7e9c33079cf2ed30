// What the control socket asks of whoever has the rules in force.
//
//   Change    what runs becomes another rule set, by the way of a reload: checked, compiled beside the old ones, put while
//             nobody takes a turn, whole or not at all. The configuration's file stays as it is.
//   Counts    by RuleId, policies among them. counted() only grows, so what it told stays right while others ask.
//   Thread    the control thread.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "config/config.h"
#include "rules/address_set.h"
#include "rules/groups.h"
#include "rules/paths.h"

namespace sekisho::control {

// Makes other rules of those that run, with what they name. What stays of a set keeps its ids: begin with a copy, or let one
// that is made anew take over (RuleSet::take_over). Links, realms and pools are named by their places in `running`.
using MakeRules = std::function<Result<config::RulesSettings>(const config::Config& running)>;

class RulesAccess {
  public:
    virtual ~RulesAccess() = default;

    // `what`: one line for the log, after "rules changed: ".
    //   Returns   how long a worker stood still, at most; 0 only where the rules were so already.
    //   Errors    what `make` says; what no worker can do yet; nobody comes to rest. Nothing was changed then.
    virtual Result<std::chrono::nanoseconds> change(
        const std::string& what, const MakeRules& make
    ) = 0;

    // Since the start. Cost: all paths and fates of the shards; stops no worker.
    virtual std::vector<rules::RuleTotal> counted() = 0;
    // Of what `rules` had in `counted`, what nobody has read as zeroed yet. `zeroes`: this reads it so; nothing that is counted
    // is told twice then, nor lost.
    virtual std::vector<rules::RuleTotal> since_zero(
        std::span<const rules::RuleId> rules, std::span<const rules::RuleTotal> counted, bool zeroes
    ) = 0;

    // What the rules in force name; empty: there are none.
    struct Named {
        std::shared_ptr<const rules::AddressSets> sets;
        std::shared_ptr<const rules::SubscriberGroups> groups;
    };
    virtual Named named() = 0;
};

}  // namespace sekisho::control
