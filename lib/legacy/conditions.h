// Conditions of the rule model, from what the old tools say.
//
//   Cost      control code. Thread: pure.
#pragma once

#include <string_view>
#include <vector>

#include "legacy/appliance.h"
#include "legacy/numbers.h"
#include "rules/condition.h"

namespace sekisho::legacy {

// Appends nothing for any address.
void add_address(
    std::vector<rules::Condition>& conditions, rules::Side side, const HostMask& host, bool negated
);
// Of one protocol number; 0 is all of them.
void add_protocol(std::vector<rules::Condition>& conditions, uint8_t protocol, bool negated);

// Links of that name; with a '+' at its end, of all names that begin so (LEGACY C6). None: no link (S6).
rules::ByteSet links_named(const Links& links, std::string_view name);
// Links that have that address.
rules::ByteSet links_with(const Links& links, Ipv4Addr address);
// Every link that may ever be.
rules::ByteSet all_links();

}  // namespace sekisho::legacy
