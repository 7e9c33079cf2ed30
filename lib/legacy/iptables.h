// iptables, iptables-save and iptables-restore: the command language of Linux 2.4 and later.
//
//   Has       tables filter, nat, mangle and raw; -m tcp, udp, icmp, state, conntrack (--ctstate), limit, multiport,
//             mark, comment, iprange, length, ttl, tos, string; -j ACCEPT, DROP, RETURN, LOG, REJECT, SNAT, DNAT, MASQUERADE, REDIRECT, MARK, TOS,
//             DSCP, NOTRACK and chains, -g. Any other match or target is refused by its name.
//   Status    2 for a wrong command line, 1 for what cannot be done, as iptables 1.8.
//   Doing     every command is whole or nothing; a restored text too, over all its tables (SEEDS A9).
//   Listing   in the original's columns; addresses are numbers with and without -n (SEEDS A11).
//   Thread    one at a time.
//   Source    LEGACY I; SEEDS A8, A9; iptables(8).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "legacy/answer.h"
#include "legacy/names.h"
#include "legacy/tables.h"

namespace sekisho::legacy {

struct Iptables {  // a command
    enum class Command : uint8_t {
        kAppend,
        kInsert,
        kReplace,
        kDelete,
        kDeleteNumber,
        kCheck,
        kList,
        kShow,  // -S
        kZero,
        kListAndZero,
        kFlush,
        kNewChain,
        kDeleteChain,
        kRenameChain,
        kPolicy,
        kHelp
    };
    Table table = Table::kFilter;
    Command command = Command::kHelp;
    std::optional<std::string> chain;  // none: all of them
    size_t number = 0;                 // of a rule, from 0
    bool has_number = false;
    std::string word;  // the policy, or the chain's new name
    TableRule rule;    // but for its addresses
    // The rule is for each source with each destination.
    std::vector<HostMask> sources;
    std::vector<HostMask> destinations;
    rules::RuleTotal counted;  // -c
    bool verbose = false;
    bool numeric = false;
    bool exact = false;
    bool line_numbers = false;

    friend bool operator==(const Iptables&, const Iptables&) = default;
};

// `program` is how the tool was called; it begins its messages.
Parsed<Iptables> parse_iptables(const Words& words, const Names& names, const std::string& program);

// On what the tool runs.
struct TableMachine {
    const Appliance& appliance;
    const TableContext& context;
    const Names& names;
};

Answer run(
    const Iptables& command, Tables& tables, const TableMachine& machine, const std::string& program
);

// Both: the whole tool.
Answer run_iptables(
    const Words& words,
    Tables& tables,
    const TableMachine& machine,
    const std::string& program = "iptables"
);

// iptables-save: -t TABLE, -c with counters.
Answer save_tables(const Words& words, const Tables& tables, const Appliance& appliance);
// iptables-restore: -n keeps what is there, -c sets counters, -t only tests, -T TABLE takes one table.
Answer restore_tables(
    const Words& words, std::string_view text, Tables& tables, const TableMachine& machine
);

// The line that appends the rule, as -S and iptables-save write it: "-A CHAIN ...".
std::string line_of(std::string_view chain, const TableRule& rule);

// Words of a line, where "double quotes" keep spaces together and a backslash what comes behind it; nothing: they do not end.
std::optional<Words> split_quoted(std::string_view line);

}  // namespace sekisho::legacy
