// ipchains, ipchains-save and ipchains-restore: the command language of Linux 2.2's firewall chains.
//
//   Parsing   ends with the first mistake: its reason and a hint on standard error, status 2, nothing is changed.
//   Doing     what cannot be done is told in one sentence, status 1 (LEGACY C14); every command is all or nothing.
//   Listing   in the original's columns (C18); addresses are numbers with and without -n (SEEDS A11).
//   Checking  (-C) moves no counter and logs nothing; status 0 (C12).
//   Thread    one at a time.
//   Source    LEGACY C; SEEDS A7.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "legacy/answer.h"
#include "legacy/chains.h"
#include "legacy/names.h"

namespace sekisho::legacy {

struct Ipchains {  // a command
    enum class Command : uint8_t {
        kAppend,
        kInsert,
        kReplace,
        kDelete,
        kDeleteNumber,
        kCheck,
        kList,
        kZero,
        kListAndZero,
        kFlush,
        kNewChain,
        kDeleteChain,
        kPolicy,
        kListMasquerading,
        kTimeouts
    };
    Command command = Command::kList;
    std::optional<std::string> chain;  // none: all of them
    size_t number = 0;                 // of a rule, from 0
    std::string policy;
    ChainRule rule;  // but for its addresses
    // The rule is for each source with each destination.
    std::vector<HostMask> sources;
    std::vector<HostMask> destinations;
    MasqueradeTimeouts timeouts;  // 0: as it is
    bool both_ways = false;       // -b
    bool verbose = false;         // -v
    bool numeric = false;         // -n
    bool exact = false;           // -x
    bool line_numbers = false;
    std::string warnings;  // what it prints besides

    friend bool operator==(const Ipchains&, const Ipchains&) = default;
};

// `program` is how the tool was called; it begins its messages.
Parsed<Ipchains> parse_ipchains(const Words& words, const Names& names, const std::string& program);

// What -h prints, and -h icmp.
Answer help_of_ipchains(const std::string& program);
Answer help_of_icmp_types();

Answer run(
    const Ipchains& command,
    Chains& chains,
    const Appliance& appliance,
    const Names& names,
    const std::string& program
);

// Both: the whole tool.
Answer run_ipchains(
    const Words& words,
    Chains& chains,
    const Appliance& appliance,
    const Names& names,
    const std::string& program = "ipchains"
);

// ipchains-save: the text of all chains, or of one. Counters and timeouts are not part of it.
Answer save_chains(const Words& words, const Chains& chains);
// ipchains-restore: does what a text says, whole or not at all. A user-defined chain that is there already is flushed with
// -f, and otherwise passed over with its rules, as the original does when nobody answers its question; -v tells each chain.
Answer restore_chains(
    const Words& words,
    std::string_view text,
    Chains& chains,
    const Appliance& appliance,
    const Names& names
);

// The line that appends the rule, as ipchains-save writes it.
std::string line_of(std::string_view chain, const ChainRule& rule);

}  // namespace sekisho::legacy
