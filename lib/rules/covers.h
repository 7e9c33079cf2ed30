// Whether a packet agrees with a condition, and with those of a rule: the meaning of each test, in one place.
//
//   Rates     are no part of it: they are asked last, by the walk (rates.h).
//   Cost      a few loads a condition; in a set a probe for each length of its prefixes. Thread: pure.
#pragma once

#include "rules/address_set.h"
#include "rules/packet.h"
#include "rules/rule_set.h"

namespace sekisho::rules {

// `exchanged`: with the packet's source and destination exchanged.
bool covers(
    const Condition& condition, const RulePacket& packet, const AddressSets& sets, bool exchanged
);

enum class Part : uint8_t { kAll, kFixed, kVarying };
// Whether all conditions of that part agree.
bool covers(const Rule& rule, Part part, const RulePacket& packet, const AddressSets& sets);

}  // namespace sekisho::rules
