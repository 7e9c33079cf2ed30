// Rule sets as large as one likes, of the kinds that packet classification is measured with, and packets for them.
//
//   Kinds     acl: access lists of routers; fw: firewalls; ipc: chains of hosts. They differ in how often an address is any,
//             how long prefixes are, and which ports and protocols are named; the shares are written down in the .cc.
//             Addresses cluster in networks, so that rules overlap. Rules that fix more come earlier, mostly.
//   Law       the same seed makes the same rules. No two of a set say the same.
//   Source    the kinds are those of ClassBench (Taylor and Turner, INFOCOM 2005); the shares are ours.
#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <string_view>

#include "rules/rule_set.h"

namespace sekisho::bench {

enum class RuleKind : uint8_t { kAcl, kFw, kIpc };
// By its name: acl, fw, ipc.
std::optional<RuleKind> kind_of(std::string_view name);

struct MadeRules {
    rules::RuleSet set;
    rules::ChainId chain;
};
MadeRules make_rules(RuleKind kind, uint32_t count, uint64_t seed);

// A packet that agrees with the rule's addresses, ports and protocol, anywhere within them.
rules::RulePacket packet_for(const rules::Rule& rule, std::mt19937_64& random);

}  // namespace sekisho::bench
