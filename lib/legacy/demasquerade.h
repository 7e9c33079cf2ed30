// What the forward chains of Linux 2.0 and 2.2 were never asked about: there answers to masqueraded flows, and ICMP errors about
// them, were translated back before the routing, and went past the chain. The appliance asks its forward hook about every packet.
//
//   Source    LEGACY S17, S18, C16.
//   Cost      control code; allocates. Thread: any.
#pragma once

#include <vector>

#include "legacy/kernel.h"
#include "rules/rule_set.h"

namespace sekisho::legacy {

// What has to stand before the rules of a family's chain on the appliance, so that the chain sees what it saw then.
//   external  the links by which answers come
//   Empty     of iptables, of all chains but forward, and of one that is empty and accepts
std::vector<rules::Rule> rules_before(
    Family family, const rules::Chain& chain, const rules::ByteSet& external
);

}  // namespace sekisho::legacy
