// iptables-save and iptables-restore.
#include <algorithm>

#include <fmt/format.h>

#include "base/text.h"
#include "legacy/iptables.h"
#include "legacy/iptables_text.h"
#include "legacy/usage.h"

namespace sekisho::legacy {
namespace {

constexpr const char* kSaver = "iptables-save";
constexpr const char* kRestorer = "iptables-restore";
constexpr Table kOrder[] = {Table::kRaw, Table::kMangle, Table::kNat, Table::kFilter};

std::string count_text(const rules::RuleTotal& count) {
    return fmt::format("[{}:{}]", count.packets, count.bytes);
}

// "[PACKETS:BYTES]".
std::optional<rules::RuleTotal> read_count(std::string_view text) {
    const size_t colon = text.find(':');
    if (!text.starts_with('[') || !text.ends_with(']') || colon == std::string_view::npos) {
        return std::nullopt;
    }
    const auto packets = read_number(text.substr(1, colon - 1), 0xffffffff);
    const auto bytes = read_number(text.substr(colon + 1, text.size() - colon - 2), 0xffffffff);
    return packets && bytes ? std::optional(rules::RuleTotal{*packets, *bytes}) : std::nullopt;
}

std::string save(Table table, const Tables& tables, const Counts& counts, bool with_counts) {
    std::string text = fmt::format("*{}\n", name_of(table));
    std::string lines;
    for (const Tables::Chain& chain : tables.chains(table)) {
        text += fmt::format(
            ":{} {} {}\n",
            chain.name,
            chain.is_built_in ? chain.policy : "-",
            count_text(
                chain.is_built_in ? tables.policy_count_of(chain, counts) : rules::RuleTotal{}
            )
        );
        for (const Tables::Entry& entry : chain.entries) {
            lines += with_counts ? count_text(count_since(counts, entry.id, entry.zero)) + " " : "";
            lines += line_of(chain.name, entry.rule) + "\n";
        }
    }
    return text + lines + "COMMIT\n";
}

struct RestoreOptions {
    bool keeps = false;
    bool counts = false;
    bool only_tests = false;
    std::optional<Table> table;
};

class Restorer {
  public:
    Restorer(Tables& tables, const TableMachine& machine, const RestoreOptions& options)
        : tables_(tables), machine_(machine), options_(options) {}

    // What is wrong with the line, if anything.
    std::optional<Answer> take(std::string_view line) {
        const auto words = split_quoted(line);
        if (!words) {
            return wrong("unmatched quote");
        }
        if (words->empty() || words->front().starts_with('#')) {
            return std::nullopt;
        }
        const std::string& first = words->front();
        if (first.starts_with('*')) {
            return begin(first.substr(1));
        }
        if (!table_) {
            return wrong("a line outside of any table");
        }
        if (first == "COMMIT") {
            table_.reset();
            return std::nullopt;
        }
        if (is_passed_over()) {
            return std::nullopt;
        }
        return first.starts_with(':') ? take_chain(*words) : take_rule(*words);
    }
    bool is_open() const { return table_.has_value(); }

  private:
    static Answer wrong(const std::string& reason) { return refusal(kRestorer, reason, 2); }
    static std::optional<Answer> check(const Result<void>& done) {
        return done ? std::nullopt : std::optional(refusal(kRestorer, done.error().message, 1));
    }
    bool is_passed_over() const { return options_.table && options_.table != table_; }

    std::optional<Answer> begin(const std::string& name) {
        const auto table = table_named(name);
        if (!table || table_) {
            return wrong(table ? "COMMIT expected" : fmt::format("there is no table `{}'", name));
        }
        table_ = table;
        if (options_.keeps || is_passed_over()) {
            return std::nullopt;
        }
        for (const Words& words : {Words{"-F"}, Words{"-X"}}) {
            (void)run(words, {});
        }
        return std::nullopt;
    }

    Answer run(Words words, const rules::RuleTotal& counted) {
        Words all = {"-t", name_of(*table_)};
        all.insert(all.end(), words.begin(), words.end());
        auto command = parse_iptables(all, machine_.names, kRestorer);
        if (!command) {
            return command.error();
        }
        if (options_.counts) {
            command->counted = counted;
        }
        return legacy::run(*command, tables_, machine_, kRestorer);
    }

    // What the policy has counted so far is gone.
    void set_policy_count(const std::string& name, const rules::RuleTotal& had) {
        const Tables::Chain& chain = *tables_.find(*table_, name);
        const rules::RuleId policy = tables_.rules().chain(chain.id)->policy_id;
        const rules::RuleTotal now = count_since(machine_.appliance.counts(), policy, {});
        const rules::RuleTotal more{had.packets - now.packets, had.bytes - now.bytes};
        tables_.set_count(*table_, name, chain.entries.size(), more);
    }

    std::optional<Answer> take_chain(const Words& words) {
        const std::string name = words[0].substr(1);
        const auto count = words.size() == 3 ? read_count(words[2]) : rules::RuleTotal{};
        if (words.size() < 2 || words.size() > 3 || !count) {
            return wrong(fmt::format("bad chain line `{}'", words[0]));
        }
        const Tables::Chain* chain = tables_.find(*table_, name);
        if (words[1] != "-") {
            if (auto bad = check(tables_.set_policy(*table_, name, words[1]))) {
                return bad;
            }
            set_policy_count(name, options_.counts ? *count : rules::RuleTotal{});
            return std::nullopt;
        }
        if (chain != nullptr) {
            return check(
                chain->is_built_in ? failure("a built-in chain has a policy")
                                   : tables_.flush(*table_, name)
            );
        }
        const Answer answer = run({"-N", name}, {});
        return answer.status == 0 ? std::nullopt : std::optional(answer);
    }

    std::optional<Answer> take_rule(Words words) {
        rules::RuleTotal counted;
        if (const auto count = read_count(words.front())) {
            counted = *count;
            words.erase(words.begin());
        }
        constexpr std::string_view kChanges[] = {
            "-A", "-I", "-D", "-R", "-N", "-X", "-P", "-F", "-E"};
        const bool changes =
            !words.empty() && std::ranges::find(kChanges, words[0]) != std::end(kChanges);
        const bool names_table = std::ranges::find(words, "-t") != words.end();
        if (!changes || names_table) {
            return wrong("a rule's line begins with -A, or another change, and names no table");
        }
        const Answer answer = run(words, counted);
        return answer.status == 0 ? std::nullopt : std::optional(answer);
    }

    Tables& tables_;
    const TableMachine& machine_;
    const RestoreOptions& options_;
    std::optional<Table> table_;
};

std::optional<RestoreOptions> read_options(const Words& words) {
    RestoreOptions options;
    for (size_t i = 0; i < words.size(); ++i) {
        const std::string& word = words[i];
        const bool is_table = word == "-T" && i + 1 < words.size();
        options.table = is_table ? table_named(words[++i]) : options.table;
        const bool keeps = word == "-n" || word == "--noflush";
        const bool counts = word == "-c" || word == "--counters";
        const bool tests = word == "-t" || word == "--test";
        const bool is_known = keeps || counts || tests || word == "-w" || word == "-v";
        if (is_table ? !options.table : !is_known) {
            return std::nullopt;
        }
        options.keeps |= keeps;
        options.counts |= counts;
        options.only_tests |= tests;
    }
    return options;
}

}  // namespace

std::optional<Words> split_quoted(std::string_view line) {
    Words words;
    bool is_quoted = false;
    bool is_in_word = false;
    for (size_t i = 0; i < line.size(); ++i) {
        const char c = line[i];
        const bool is_space = (c == ' ' || c == '\t' || c == '\r') && !is_quoted;
        if (!is_space && !is_in_word) {
            words.emplace_back();
        }
        is_in_word = !is_space;
        if (c == '"') {
            is_quoted = !is_quoted;
        } else if (c == '\\' && is_quoted && i + 1 < line.size()) {
            words.back() += line[++i];
        } else if (!is_space) {
            words.back() += c;
        }
    }
    return is_quoted ? std::nullopt : std::optional(words);
}

std::string line_of(std::string_view chain, const TableRule& rule) {
    std::string text = fmt::format("-A {}", chain);
    const auto sign = [](bool inverted) { return inverted ? "! " : ""; };
    const auto add_host = [&](const Maybe<HostMask>& host, const char* option) {
        if (host.value.is_any() && !host.inverted) {
            return;
        }
        const auto bits = bits_of(host.value.mask);
        text +=
            bits
                ? fmt::format(" {}{} {}/{}", sign(host.inverted), option, host.value.address, *bits)
                : fmt::format(
                      " {}{} {}/{}",
                      sign(host.inverted),
                      option,
                      host.value.address,
                      host.value.mask
                  );
    };
    const auto add = [&](bool holds, bool inverted, const std::string& more) {
        text += holds ? fmt::format(" {}{}", sign(inverted), more) : "";
    };
    add_host(rule.source, "-s");
    add_host(rule.destination, "-d");
    add(!rule.in.value.empty(), rule.in.inverted, "-i " + rule.in.value);
    add(!rule.out.value.empty(), rule.out.inverted, "-o " + rule.out.value);
    constexpr std::pair<uint8_t, const char*> kNames[] = {{1, "icmp"}, {6, "tcp"}, {17, "udp"}};
    const auto known =
        std::ranges::find(kNames, rule.protocol.value, &std::pair<uint8_t, const char*>::first);
    const std::string protocol =
        known != std::end(kNames) ? known->second : fmt::format("{}", rule.protocol.value);
    add(rule.protocol.value != 0, rule.protocol.inverted, "-p " + protocol);
    add(rule.fragment.has_value(), rule.fragment == false, "-f");
    for (const Match& match : rule.matches) {
        text += option_text(match, rule.protocol.value);
    }
    add(!rule.target.empty(), false, (rule.goes ? "-g " : "-j ") + rule.target);
    return text + option_text(rule);
}

Answer save_tables(const Words& words, const Tables& tables, const Appliance& appliance) {
    bool with_counts = false;
    std::optional<Table> only;
    for (size_t i = 0; i < words.size(); ++i) {
        if (words[i] == "-c" || words[i] == "--counters") {
            with_counts = true;
        } else if (words[i] == "-t" && i + 1 < words.size() && table_named(words[i + 1])) {
            only = table_named(words[++i]);
        } else {
            return refusal(
                kSaver, fmt::format("Unknown argument found on commandline: {}", words[i]), 1
            );
        }
    }
    const Counts counts = appliance.counts();
    Answer answer;
    for (const Table table : kOrder) {
        answer.out += !only || only == table ? save(table, tables, counts, with_counts) : "";
    }
    return answer;
}

Answer restore_tables(
    const Words& words, std::string_view text, Tables& tables, const TableMachine& machine
) {
    const auto options = read_options(words);
    if (!options) {
        return refusal(kRestorer, "usage: iptables-restore [-c] [-n] [-t] [-T TABLE]", 2);
    }
    Tables changed = tables;
    Restorer restorer(changed, machine, *options);
    size_t number = 1;
    for (; !text.empty(); ++number) {
        const size_t end = text.find('\n');
        if (auto bad = restorer.take(text.substr(0, end))) {
            bad->out.clear();
            bad->err += fmt::format("Error occurred at line: {}\n", number);
            return *bad;
        }
        text = end == std::string_view::npos ? "" : text.substr(end + 1);
    }
    if (restorer.is_open()) {
        return refusal(kRestorer, fmt::format("COMMIT expected at line {}", number), 2);
    }
    if (!options->only_tests) {
        tables = std::move(changed);
    }
    return {};
}

}  // namespace sekisho::legacy
