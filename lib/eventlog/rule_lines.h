// RuleLines: a line of text for a record of a rule that logs, structured or as the kernel of its time had it.
//
//   Sites     where each rule that logs stands in the published rules; it is made of each new set, and the last few are kept for
//             records that were written before.
//   Styles    structured: RFC 5424's data elements, and a sentence. ipfwadm, ipchains: LEGACY S20 and C11. iptables: the
//             prefix, then KEY=value as people's log readers know them, without IP and TCP options and without what an ICMP error quotes.
//   Thread    one at a time. Allocates.
//   Source    LEGACY S20, C11; RFC 5424.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/rule_log.h"
#include "rules/action.h"
#include "rules/rule_set.h"

namespace sekisho::eventlog {

// A rule that logs.
struct RuleSite {
    std::string chain{};    // without the tool's name before it
    unsigned position = 0;  // from 1
    rules::Log log{};
    std::string verdict{};  // of the deciding action: "deny"; empty: there is none
    uint16_t redirect = 0;  // its port, of redirect
    friend bool operator==(const RuleSite&, const RuleSite&) = default;
};
using RuleSites = std::map<uint32_t, RuleSite>;  // by RuleId
RuleSites sites_of(const rules::RuleSet& set);

struct LogNames {
    std::vector<std::string> links;   // by LinkId
    std::vector<std::string> realms;  // by RealmId
};

// A line without time and host.
struct RuleLine {
    uint8_t level = 6;
    std::string data;  // structured data elements; empty: none
    std::string text;
};
// `site`: nullptr: nobody knows the rule any more; it is told by its number.
RuleLine line_of(
    const dataplane::RuleLogRecord& record, const RuleSite* site, const LogNames& names
);

}  // namespace sekisho::eventlog
