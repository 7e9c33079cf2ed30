// RulesInForce: the rules of all shards together: how they change, and what they have counted.
//
//   Change    prepare() makes a judge for each shard beside those in force, which takes memory and time; put() exchanges them
//             while no worker takes a turn; settle() keeps what the old ones have counted, which can go then.
//   Counts    of a rule go on for as long as its id does (RuleSet::take_over). What was zeroed as it was read is told by nobody
//             again, and none is lost, whoever else reads meanwhile.
//   Errors    prepare: sessions still remember rules so old that their generation would come round again: try later.
//   Thread    one control thread.
//   Source    ARCHITECTURE 2 and 5.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "dataplane/judge.h"
#include "dataplane/shard.h"
#include "rules/compiled_rules.h"
#include "rules/paths.h"

namespace sekisho::dataplane {

class RulesInForce {
  public:
    // `shards`: of the whole appliance; they outlive this.
    RulesInForce(std::vector<Shard*> shards, const HashSecret& secret);

    struct Rules {
        std::shared_ptr<const rules::CompiledRules> compiled;  // empty: none
        std::shared_ptr<const rules::AddressSets> sets;
        std::shared_ptr<const rules::SubscriberGroups> groups;
        // Empty: no rule asks for payloads. Else all shards scan (Shard::begin_scanning) before they are put, and the scanners look for these.
        std::shared_ptr<const rules::PatternNames> patterns;
        bool cuts = true;  // judge.h
    };
    using Judges = std::vector<std::unique_ptr<Judge>>;  // by shard

    Result<Judges> prepare(const Rules& rules);
    // Afterwards `judges` are those that were.
    void put(Judges& judges);
    void settle(const Judges& judges);
    // Instead of put(): what was prepared is not to be; `before`: what rules() was.
    void give_back(const Rules& before) { rules_ = before; }
    // The same rules, compiled anew. While no worker takes a turn.
    void change_compiled(const std::shared_ptr<const rules::CompiledRules>& compiled);

    WeekClock& clock() { return clock_; }
    // The rules last prepared.
    const std::shared_ptr<const rules::CompiledRules>& compiled() const { return rules_.compiled; }
    const Rules& rules() const { return rules_; }
    // By RuleId, since the start. No count is ever less than it was.
    std::vector<rules::RuleTotal> counted() const;
    // Of what `rules` had in `counted`, what is behind their zero. `zeroes`: what they had then is their zero from now on.
    std::vector<rules::RuleTotal> since_zero(
        std::span<const rules::RuleId> rules, std::span<const rules::RuleTotal> counted, bool zeroes
    );
    // By RuleId, since the start or their zero.
    std::vector<rules::RuleTotal> totals() const;
    // The same, and they begin anew.
    std::vector<rules::RuleTotal> zero();

  private:
    bool may_come(uint32_t generation) const;

    std::vector<Shard*> shards_;
    HashSecret secret_;
    WeekClock clock_;
    Rules rules_;
    uint32_t generation_ = 0;  // of what was put last
    uint32_t prepared_ = 0;
    std::vector<rules::RuleTotal> settled_;  // of judges that are no more
    std::vector<rules::RuleTotal> zero_;     // by RuleId, of counted()
};

}  // namespace sekisho::dataplane
