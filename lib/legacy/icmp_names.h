// Names of ICMP types and codes, as ipchains and iptables have them.
//
//   Cost      control code. Thread: pure.
//   Source    LEGACY C8; RFC 792, RFC 950, RFC 1122, RFC 1256, RFC 1812.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "rules/condition.h"

namespace sekisho::legacy {

struct IcmpName {
    std::string_view name;
    uint8_t type;
    rules::Range<uint8_t> codes;
    // Packets of the type have codes that mean something: a packet needs one to be described.
    bool has_codes = false;
};

// First the name by which one is shown, then its others.
std::span<const IcmpName> icmp_names();
// All that the text may be short for; upper and lower case are one. Exactly one: it is meant.
std::vector<const IcmpName*> icmp_names_like(std::string_view text);
// nullptr: these have no name.
const IcmpName* icmp_name_of(rules::Range<uint16_t> types, rules::Range<uint16_t> codes);

}  // namespace sekisho::legacy
