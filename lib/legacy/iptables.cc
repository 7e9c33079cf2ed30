// What the commands of iptables do.
#include "legacy/iptables.h"

#include <algorithm>
#include <functional>

#include <fmt/format.h>

#include "legacy/iptables_text.h"

namespace sekisho::legacy {
namespace {

using Command = Iptables::Command;

constexpr int kRefused = 1;

constexpr char sign_of(bool inverted) {
    return inverted ? '!' : ' ';
}

std::string count_text(uint64_t count, bool exact, int width) {
    if (exact) {
        return fmt::format("{:>{}} ", count, width);
    }
    return fmt::format("{:>5} ", rounded_to_billions(count));
}

// -L.
class TableListing {
  public:
    TableListing(const Iptables& command, const Names& names) : command_(command), names_(names) {}

    std::string chain(const Tables& tables, const Tables::Chain& chain, const Counts& counts)
        const {
        std::string text = fmt::format("Chain {} ", chain.name);
        if (!chain.is_built_in) {
            text +=
                fmt::format("({} references)\n", tables.references_to(command_.table, chain.name));
        } else if (command_.verbose) {
            const rules::RuleTotal met = tables.policy_count_of(chain, counts);
            text += fmt::format(
                "(policy {} {} packets, {} bytes)\n",
                chain.policy,
                command_.exact ? fmt::format("{}", met.packets) : rounded_to_billions(met.packets),
                command_.exact ? fmt::format("{}", met.bytes) : rounded_to_billions(met.bytes)
            );
        } else {
            text += fmt::format("(policy {})\n", chain.policy);
        }
        text += header();
        size_t number = 0;
        for (const Tables::Entry& entry : chain.entries) {
            text += line(entry.rule, ++number, count_since(counts, entry.id, entry.zero));
        }
        return text;
    }

  private:
    std::string header() const {
        std::string text = command_.line_numbers ? "num  " : "";
        if (command_.verbose) {
            text += command_.exact ? fmt::format("{:>8} {:>10} ", "pkts", "bytes")
                                   : fmt::format("{:>5} {:>5} ", "pkts", "bytes");
        }
        text += fmt::format("{:<9}  prot opt", "target");
        text += command_.verbose ? fmt::format(" {:<6} {:<6} ", "in", "out") : "";
        return text + fmt::format(" {:<19}  {:<19} \n", "source", "destination");
    }

    std::string protocol(uint8_t number) const {
        const auto name = number != 0 ? names_.protocol_name(number) : std::nullopt;
        return name ? *name : number == 0 ? "all" : fmt::format("{}", number);
    }
    std::string host(const HostMask& host) const {
        return host.is_any() && !command_.numeric ? "anywhere" : to_text(host);
    }
    std::string link(const Maybe<std::string>& name) const {
        const std::string text = name.value.empty() ? (command_.numeric ? "*" : "any") : name.value;
        return fmt::format("{:<6} ", (name.inverted ? "!" : "") + text);
    }

    std::string line(const TableRule& rule, size_t number, const rules::RuleTotal& count) const {
        std::string text = command_.line_numbers ? fmt::format("{:<4} ", number) : "";
        if (command_.verbose) {
            text += count_text(count.packets, command_.exact, 8);
            text += count_text(count.bytes, command_.exact, 10);
        }
        text += fmt::format(
            "{:<9} {}{:<5}{}{} ",
            rule.target,
            sign_of(rule.protocol.inverted),
            protocol(rule.protocol.value),
            rule.fragment == false ? '!' : '-',
            rule.fragment ? 'f' : '-'
        );
        text += command_.verbose ? " " + link(rule.in) + link(rule.out) : "";
        text += fmt::format(
            "{}{:<19} {}{:<19} ",
            sign_of(rule.source.inverted),
            host(rule.source.value),
            sign_of(rule.destination.inverted),
            host(rule.destination.value)
        );
        text += rule.goes ? " [goto] " : "";
        for (const Match& match : rule.matches) {
            text += shown_text(match, rule.protocol.value, names_, command_.numeric);
        }
        return text + shown_text(rule) + "\n";
    }

    const Iptables& command_;
    const Names& names_;
};

class Runner {
  public:
    Runner(const Iptables& command, Tables& tables, const TableMachine& machine)
        : command_(command), tables_(tables), machine_(machine) {}

    // One sentence if it could not be done.
    Result<std::string> run() {
        switch (command_.command) {
            case Command::kList:
            case Command::kZero:
            case Command::kListAndZero:
                return list_and_zero();
            case Command::kShow:
                return show();
            case Command::kAppend:
            case Command::kInsert:
            case Command::kReplace:
            case Command::kDelete:
            case Command::kCheck:
                return change_rules();
            default:
                return changed([this](Tables& tables) { return change_chain(tables); });
        }
    }

  private:
    const std::string& chain() const { return *command_.chain; }

    // Whole or not at all.
    Result<std::string> changed(const std::function<Result<void>(Tables&)>& change) {
        Tables copy = tables_;
        auto done = change(copy);
        if (!done) {
            return tl::unexpected(done.error());
        }
        tables_ = std::move(copy);
        return std::string();
    }

    // One rule comes or goes whole by itself. A text that is restored has thousands of them: no copy is made for each.
    Result<std::string> change_rules() {
        if (command_.sources.size() * command_.destinations.size() == 1) {
            return change_rules(tables_).map([] { return std::string(); });
        }
        return changed([this](Tables& tables) { return change_rules(tables); });
    }

    std::vector<TableRule> all_rules() const {
        std::vector<TableRule> rules;
        for (const HostMask& source : command_.sources) {
            for (const HostMask& destination : command_.destinations) {
                rules.push_back(command_.rule);
                rules.back().source.value = source;
                rules.back().destination.value = destination;
            }
        }
        return rules;
    }

    Result<void> change_rules(Tables& tables) {
        Result<void> done;
        size_t at = command_.number;
        for (const TableRule& rule : all_rules()) {
            done = done ? change_rule(tables, rule, at++) : done;
        }
        return done;
    }

    Result<void> change_rule(Tables& tables, const TableRule& rule, size_t at) {
        const Table table = command_.table;
        if (command_.command == Command::kDelete || command_.command == Command::kCheck) {
            const auto found = tables.find_equal(table, chain(), rule);
            if (!found) {
                return tl::unexpected(found.error());
            }
            return command_.command == Command::kCheck ? Result<void>{}
                                                       : tables.remove(table, chain(), *found);
        }
        Result<void> done;
        if (command_.command == Command::kAppend) {
            const Tables::Chain* found = tables.find(table, chain());
            at = found != nullptr ? found->entries.size() : 0;
            done = tables.insert(table, chain(), Tables::kEnd, rule, machine_.context);
        } else if (command_.command == Command::kInsert) {
            done = tables.insert(table, chain(), at, rule, machine_.context);
        } else {
            done = tables.replace(table, chain(), at, rule, machine_.context);
        }
        if (done) {
            tables.set_count(table, chain(), at, command_.counted);
        }
        return done;
    }

    std::vector<std::string> named_chains() const {
        if (command_.chain) {
            return {chain()};
        }
        std::vector<std::string> names;
        for (const Tables::Chain& one : tables_.chains(command_.table)) {
            if (command_.command != Command::kDeleteChain || !one.is_built_in) {
                names.push_back(one.name);
            }
        }
        return names;
    }

    Result<void> change_chain(Tables& tables) {
        const Table table = command_.table;
        switch (command_.command) {
            case Command::kNewChain:
                return tables.create(table, chain());
            case Command::kRenameChain:
                return tables.rename(table, chain(), command_.word);
            case Command::kPolicy:
                return tables.set_policy(table, chain(), command_.word);
            case Command::kDeleteNumber:
                return tables.remove(table, chain(), command_.number);
            default:
                break;
        }
        for (const std::string& name : named_chains()) {
            auto done = command_.command == Command::kFlush ? tables.flush(table, name)
                                                            : tables.remove_chain(table, name);
            if (!done) {
                return done;
            }
        }
        return {};
    }

    // What is shown and what is taken away is one reading.
    Result<std::string> list_and_zero() {
        const Counts counts = machine_.appliance.counts();
        const TableListing listing(command_, machine_.names);
        std::string text;
        for (const std::string& name : named_chains()) {
            const Tables::Chain* found = tables_.find(command_.table, name);
            if (found == nullptr) {
                return failure("No chain/target/match by that name");
            }
            if (command_.command != Command::kZero) {
                text += (text.empty() ? "" : "\n") + listing.chain(tables_, *found, counts);
            }
            if (command_.command != Command::kList) {
                (void)tables_.zero(command_.table, name, counts);
            }
        }
        return text;
    }

    Result<std::string> show() {
        std::string heads;
        std::string lines;
        for (const std::string& name : named_chains()) {
            const Tables::Chain* found = tables_.find(command_.table, name);
            if (found == nullptr) {
                return failure("No chain/target/match by that name");
            }
            heads += found->is_built_in ? fmt::format("-P {} {}\n", name, found->policy)
                                        : fmt::format("-N {}\n", name);
            for (size_t i = 0; i < found->entries.size(); ++i) {
                const bool is_meant = !command_.has_number || command_.number == i;
                lines += is_meant ? line_of(name, found->entries[i].rule) + "\n" : "";
            }
        }
        return command_.has_number ? lines : heads + lines;
    }

    const Iptables& command_;
    Tables& tables_;
    const TableMachine& machine_;
};

Answer help(const std::string& program) {
    return {
        fmt::format(
            "Usage: {} [-t TABLE] -A|-C|-D CHAIN RULE\n"
            "       {} [-t TABLE] -I CHAIN [NUMBER] RULE, -R CHAIN NUMBER RULE, -D CHAIN NUMBER\n"
            "       {} [-t TABLE] -L|-S|-F|-Z [CHAIN], -N CHAIN, -X [CHAIN], -E CHAIN NAME, -P "
            "CHAIN TARGET\n"
            "RULE is of -p -s -d -i -o -f -m -j -g, ! before what is turned round; -L takes -n -v "
            "-x --line-numbers.\n",
            program,
            program,
            program
        ),
        "",
        0};
}

}  // namespace

Answer run(
    const Iptables& command, Tables& tables, const TableMachine& machine, const std::string& program
) {
    if (command.command == Command::kHelp) {
        return help(program);
    }
    auto text = Runner(command, tables, machine).run();
    if (!text) {
        return {"", fmt::format("{}: {}.\n", program, text.error().message), kRefused};
    }
    return {*std::move(text), "", 0};
}

Answer run_iptables(
    const Words& words, Tables& tables, const TableMachine& machine, const std::string& program
) {
    const auto command = parse_iptables(words, machine.names, program);
    return command ? run(*command, tables, machine, program) : command.error();
}

}  // namespace sekisho::legacy
