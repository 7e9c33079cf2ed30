// The rules as a file says them: chains and rules, and what they name.
//
//   Ids       of sets, groups and patterns are places in their lists; those of links, realms and pools the places in
//             Config. A RuleSet that has taken over another one's rules (adopt(), change.h) keeps them.
//   Equal     what says the same: chains in their order, their rules, and what they name by its name. Numbers of
//             rules and of buckets are no part of it.
//   Thread    values. Source: ARCHITECTURE 5, doc/configuration.md.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/types.h"
#include "rules/rule_set.h"

namespace sekisho::config {

// What becomes of the sessions that new rules forbid.
enum class RulesChange : uint8_t {
    kRevalidate,  // cut by their next packet
    kKeep         // they go on until they end by themselves
};

// Addresses under a name: rules::SetId is its place.
struct SetSettings {
    std::string name;
    std::vector<rules::AddressRange> addresses;       // as the configuration has them
    std::string file;                                 // with more of them; empty: there is none
    std::vector<rules::AddressRange> file_addresses;  // as it had them when it was read

    // All of them as rules::AddressSet takes them: ascending, each once. Cost: sorts.
    std::vector<Ipv4Prefix> prefixes() const;
    friend bool operator==(const SetSettings&, const SetSettings&) = default;
};

// Subscribers under a name. Of the groups of a realm the one with the longest prefix has an address; no prefix
// is in two of them.
struct GroupSettings {
    std::string name;
    RealmId realm = kInternalRealm;
    std::vector<Ipv4Prefix> prefixes;
    friend bool operator==(const GroupSettings&, const GroupSettings&) = default;
};

// What a payload is searched for.
struct PatternSettings {
    std::string name;
    std::string text;
    bool is_regex = false;     // otherwise just these bytes
    uint32_t first_bytes = 0;  // of a direction, in which it must end; 0: anywhere
    int line = 0;              // of its text in the file, from 1; no part of what it says
    int column = 0;
    friend bool operator==(const PatternSettings& a, const PatternSettings& b) {
        return a.name == b.name && a.text == b.text && a.is_regex == b.is_regex &&
               a.first_bytes == b.first_bytes;
    }
};

// How payloads are searched.
struct PayloadSearchSettings {
    uint32_t streams = 4096;  // directions at the same time, over all shards
    bool drops_when_full =
        true;  // what would have to be searched beyond that; else it passes unsearched
    friend bool operator==(const PayloadSearchSettings&, const PayloadSearchSettings&) = default;
};

struct RulesSettings {
    rules::RuleSet set;
    std::vector<SetSettings> sets;          // by rules::SetId
    std::vector<GroupSettings> groups;      // by rules::GroupId
    std::vector<PatternSettings> patterns;  // by rules::PatternId
    RulesChange change = RulesChange::kRevalidate;

    friend bool operator==(const RulesSettings& a, const RulesSettings& b);
};

// Whether two rules say the same, and name the same chains and sets.
bool mean_the_same(
    const rules::RuleSet& in_a,
    const rules::Rule& a,
    const rules::RuleSet& in_b,
    const rules::Rule& b
);
// Whether two sets have the same chains in the same order, with rules that say the same.
bool say_the_same(const rules::RuleSet& a, const rules::RuleSet& b);

}  // namespace sekisho::config
