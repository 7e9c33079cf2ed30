// ipfwadm: the command language of Linux 2.0's firewall, accounting and masquerading.
//
//   Parsing   ends with the first mistake: its reason and a hint on standard error, status 2, nothing is changed (LEGACY
//             S31). Policies, protocols and directions may be shortened (S28).
//   Listing   in the original's columns (S25, S26). Addresses are numbers with and without -n: no listing waits for a name
//             server (SEEDS A11); networks and hosts that are any are "anywhere", ports are services where they have a name.
//   Checking  (-c) moves no counter and logs nothing. A redirected packet is answered by "packet redirected"; every
//             answer ends with status 0, also "packet masqueraded", for which the original's is 255 (S22).
//   Status    2 for wrong usage; 255, as the original's, where the firewall refuses.
//   Thread    one at a time.
//   Source    LEGACY S; SEEDS A1 to A6, A13.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "legacy/answer.h"
#include "legacy/firewall.h"
#include "legacy/names.h"

namespace sekisho::legacy {

struct Ipfwadm {  // a command
    enum class Category : uint8_t { kAccounting, kInput, kOutput, kForward, kMasquerading };
    enum class Command : uint8_t {
        kAppend,
        kInsert,
        kDelete,
        kList,
        kZero,
        kListAndZero,
        kFlush,
        kPolicy,
        kTimeouts,
        kCheck
    };
    Category category = Category::kInput;
    Command command = Command::kList;
    FirewallRule rule;  // but for its addresses; with kPolicy its policy
    // The rule is for each source with each destination; no two are equal (LEGACY S30).
    std::vector<HostMask> sources;
    std::vector<HostMask> destinations;
    MasqueradeTimeouts timeouts;  // 0: as it is
    bool extended = false;        // -e
    bool numeric = false;         // -n
    bool verbose = false;         // -v
    bool exact = false;           // -x

    bool adds_or_deletes() const {
        return command == Command::kAppend || command == Command::kInsert ||
               command == Command::kDelete;
    }
    friend bool operator==(const Ipfwadm&, const Ipfwadm&) = default;
};

// `program` is how the tool was called; it begins its messages.
Parsed<Ipfwadm> parse_ipfwadm(const Words& words, const Names& names, const std::string& program);

// What -h prints.
Answer help_of_ipfwadm(const std::string& program);

Answer run(
    const Ipfwadm& command,
    Firewall& firewall,
    const Appliance& appliance,
    const Names& names,
    const std::string& program
);

// Both: the whole tool.
Answer run_ipfwadm(
    const Words& words,
    Firewall& firewall,
    const Appliance& appliance,
    const Names& names,
    const std::string& program = "ipfwadm"
);

// The command that appends the rule as it is.
Words command_of(Point point, const FirewallRule& rule);
// All that make the state out of a fresh one; counters are not part of it.
std::vector<Words> commands_of(const Firewall& firewall);

}  // namespace sekisho::legacy
