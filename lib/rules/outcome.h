// Outcome: what a walk through a chain comes to.
//
//   Lifetime  `action` points into the rule set that was walked: for the burst, no longer.
//   Thread    a value.
#pragma once

#include <cstdint>

#include "rules/action.h"
#include "rules/packet.h"
#include "rules/rule_set.h"

namespace sekisho::rules {

enum class Disposition : uint8_t {
    kAccept,
    kDeny,
    kReject,
    kMasquerade,
    kSnat,
    kDnat,
    kRedirect,
    kPassed  // a user-defined chain, walked by itself, has ended (LEGACY C12)
};

struct Outcome {
    Disposition disposition = Disposition::kPassed;
    bool no_track = false;
    bool logs = false;        // a rule that logs has agreed
    uint8_t tos = 0;          // as the packet is to have it
    uint8_t tos_keep = 0xff;  // what was done to it, whatever it was: (TOS & keep) ^ flip
    uint8_t tos_flip = 0;
    uint32_t mark = 0;               // the same
    RuleId by = kNoRule;             // the rule, or policy, that decided
    const Action* action = nullptr;  // that decided; nullptr: none, or a policer
    friend bool operator==(const Outcome&, const Outcome&) = default;
};

}  // namespace sekisho::rules
