// What the actions of a rule do, in both matchers.
//
//   Cost      a few operations an action. Thread: that of `rates`.
#pragma once

#include "rules/outcome.h"
#include "rules/rates.h"

namespace sekisho::rules {

// Whether the rates among a rule's conditions agree, all others agreeing already. Each that is asked takes its token.
bool take_rates(const Rule& rule, const RulePacket& packet, Rates& rates);

// Does what lets the walk go on: rules behind see the mark and TOS that it leaves in `packet`.
//   Returns   false: a policer has denied the packet, and `outcome` is whole.
bool apply_effects(const Rule& rule, RulePacket& packet, Rates& rates, Outcome& outcome);

// Of an action that decides a packet's fate.
Disposition disposition_of(const Action& action);

// The end of a walk by an action that decides the packet's fate, of rule or policy `by`.
void decide(const Action& action, RuleId by, Outcome& outcome);

}  // namespace sekisho::rules
