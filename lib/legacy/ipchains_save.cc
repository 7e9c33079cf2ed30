// ipchains-save and ipchains-restore.
#include <algorithm>

#include <fmt/format.h>

#include "base/text.h"
#include "legacy/ipchains.h"
#include "legacy/usage.h"

namespace sekisho::legacy {
namespace {

constexpr const char* kSaver = "ipchains-save";
constexpr const char* kRestorer = "ipchains-restore";

std::string host_text(const Maybe<HostMask>& host) {
    return fmt::format("{}{}/{}", host.inverted ? "! " : "", host.value.address, host.value.mask);
}

std::string port_text(const Maybe<PortRange>& ports) {
    if (ports.value == kAnyPort && !ports.inverted) {
        return "";
    }
    return fmt::format(" {}{}:{}", ports.inverted ? "! " : "", ports.value.first, ports.value.last);
}

Words words_of(std::string_view line) {
    Words words;
    constexpr std::string_view kSpaces = " \t\r";
    for (size_t at = line.find_first_not_of(kSpaces); at != std::string_view::npos;) {
        const size_t end = line.find_first_of(kSpaces, at);
        words.emplace_back(line.substr(at, end - at));
        at = line.find_first_not_of(kSpaces, end);
    }
    return words;
}

class Restorer {
  public:
    Restorer(
        Chains& chains, const Appliance& appliance, const Names& names, bool flushes, bool tells
    )
        : chains_(chains), appliance_(appliance), names_(names), flushes_(flushes), tells_(tells) {}

    // Whether the line could be done.
    bool take(std::string_view line) {
        const Words words = words_of(line);
        if (words.empty() || words.front().starts_with('#')) {
            return true;
        }
        if (words.front().starts_with(':')) {
            return take_chain(words);
        }
        if (words.size() < 2 || words[0] != "-A") {
            return refuse("a line begins with a colon and a chain, or with -A");
        }
        if (std::ranges::find(skipped_, words[1]) != skipped_.end()) {
            return true;
        }
        const Answer answer = run_ipchains(words, chains_, appliance_, names_, kRestorer);
        answer_.out += tells_ ? fmt::format("{}\n", line) : "";
        if (answer.status != 0) {
            answer_ = answer;
        }
        return answer.status == 0;
    }
    Answer answer() { return std::move(answer_); }

  private:
    bool refuse(const std::string& reason) {
        answer_ = refusal(kRestorer, reason, 1);
        return false;
    }
    bool check(const Result<void>& result) { return result || refuse(result.error().message); }

    bool take_chain(const Words& words) {
        const std::string name = words[0].substr(1);
        if (words.size() != 2 || name.empty() || name.size() > kLongestChainName) {
            return refuse(fmt::format("`{}' is no chain with a policy", words[0]));
        }
        const Chains::Chain* chain = chains_.find(name);
        answer_.out += tells_ ? fmt::format("Restoring `{}'.\n", name) : "";
        if (words[1] != "-") {
            return check(chains_.set_policy(name, words[1]));
        }
        if (chain == nullptr) {
            return check(chains_.create(name));
        }
        if (chain->point) {
            return refuse(fmt::format("`{}' is built in and has a policy", name));
        }
        if (!flushes_) {
            answer_.out += fmt::format("Chain `{}' already exists. Skipping it.\n", name);
            skipped_.push_back(name);
            return true;
        }
        answer_.out += fmt::format("Flushing `{}'.\n", name);
        return check(chains_.flush(name));
    }

    Chains& chains_;
    const Appliance& appliance_;
    const Names& names_;
    bool flushes_;
    bool tells_;
    std::vector<std::string> skipped_;
    Answer answer_;
};

}  // namespace

std::string line_of(std::string_view chain, const ChainRule& rule) {
    std::string text = fmt::format(
        "-A {} -s {}{} -d {}{}",
        chain,
        host_text(rule.source),
        port_text(rule.source_ports),
        host_text(rule.destination),
        port_text(rule.destination_ports)
    );
    const auto add = [&text](bool holds, const std::string& more) { text += holds ? more : ""; };
    const auto sign = [](bool inverted) { return inverted ? "! " : ""; };
    add(!rule.via.value.empty(), fmt::format(" -i {}{}", sign(rule.via.inverted), rule.via.value));
    add(rule.protocol.value != 0,
        fmt::format(" -p {}{}", sign(rule.protocol.inverted), rule.protocol.value));
    add(!rule.target.empty(), fmt::format(" -j {}", rule.target));
    add(rule.target == "REDIRECT", fmt::format(" {}", rule.redirect));
    add(rule.log, " -l");
    add(rule.syn.has_value(), fmt::format(" {}-y", sign(rule.syn == false)));
    add(rule.fragment.has_value(), fmt::format(" {}-f", sign(rule.fragment == false)));
    add(rule.tos_and != 0xff || rule.tos_xor != 0,
        fmt::format(" -t 0x{:02x} 0x{:02x}", rule.tos_and, rule.tos_xor));
    add(rule.mark.has_value(), fmt::format(" -m 0x{:x}", rule.mark.value_or(0)));
    add(rule.copy_size.has_value(), fmt::format(" -o {}", rule.copy_size.value_or(0)));
    return text;
}

Answer save_chains(const Words& words, const Chains& chains) {
    Answer answer;
    if (words.size() > 1 || (words.size() == 1 && words[0].starts_with('-') && words[0] != "-v")) {
        return refusal(kSaver, "usage: ipchains-save [CHAIN]", 2);
    }
    const bool is_one = words.size() == 1 && words[0] != "-v";
    std::string lines;
    for (const Chains::Chain& chain : chains.all()) {
        if (is_one && chain.name != words[0]) {
            continue;
        }
        answer.err += fmt::format("Saving `{}'.\n", chain.name);
        answer.out += fmt::format(":{} {}\n", chain.name, chain.point ? chain.policy : "-");
        for (const Chains::Entry& entry : chain.entries) {
            lines += line_of(chain.name, entry.rule) + "\n";
        }
    }
    if (is_one && answer.out.empty()) {
        return refusal(kSaver, "No chain by that name", 1);
    }
    answer.out += lines;
    return answer;
}

Answer restore_chains(
    const Words& words,
    std::string_view text,
    Chains& chains,
    const Appliance& appliance,
    const Names& names
) {
    bool flushes = false;
    bool tells = false;
    for (const std::string& word : words) {
        flushes |= word == "-f";
        tells |= word == "-v";
        if (word != "-f" && word != "-v" && word != "-p") {
            return refusal(kRestorer, "usage: ipchains-restore [-f] [-v]", 2);
        }
    }
    Chains changed = chains;
    Restorer restorer(changed, appliance, names, flushes, tells);
    for (size_t number = 1; !text.empty(); ++number) {
        const size_t end = text.find('\n');
        if (!restorer.take(text.substr(0, end))) {
            Answer answer = restorer.answer();
            answer.out.clear();
            answer.err =
                fmt::format("{}: line {}: nothing is restored\n{}", kRestorer, number, answer.err);
            return answer;
        }
        text = end == std::string_view::npos ? "" : text.substr(end + 1);
    }
    chains = std::move(changed);
    return restorer.answer();
}

}  // namespace sekisho::legacy
