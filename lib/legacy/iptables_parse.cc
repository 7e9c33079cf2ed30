// The grammar of iptables: commands, and what every rule may say.
#include <algorithm>
#include <cctype>
#include <iterator>
#include <limits>

#include <fmt/format.h>

#include "legacy/hosts.h"
#include "legacy/iptables_parser.h"
#include "legacy/usage.h"

namespace sekisho::legacy {
namespace {

using Command = Iptables::Command;

constexpr std::string_view kLetters =
    "A:C:D:R:I:L::S::F::Z::N:X::E:P:Vh::o:p:s:d:j:i:fbvwnt:m:xc:g:";
constexpr LongOption kLongs[] = {
    {"append", 'A', Takes::kWord},        {"delete", 'D', Takes::kWord},
    {"check", 'C', Takes::kWord},         {"insert", 'I', Takes::kWord},
    {"replace", 'R', Takes::kWord},       {"list", 'L', Takes::kMaybe},
    {"list-rules", 'S', Takes::kMaybe},   {"flush", 'F', Takes::kMaybe},
    {"zero", 'Z', Takes::kMaybe},         {"new-chain", 'N', Takes::kWord},
    {"delete-chain", 'X', Takes::kMaybe}, {"rename-chain", 'E', Takes::kWord},
    {"policy", 'P', Takes::kWord},        {"source", 's', Takes::kWord},
    {"destination", 'd', Takes::kWord},   {"src", 's', Takes::kWord},
    {"dst", 'd', Takes::kWord},           {"protocol", 'p', Takes::kWord},
    {"in-interface", 'i', Takes::kWord},  {"out-interface", 'o', Takes::kWord},
    {"jump", 'j', Takes::kWord},          {"goto", 'g', Takes::kWord},
    {"table", 't', Takes::kWord},         {"match", 'm', Takes::kWord},
    {"numeric", 'n', Takes::kNothing},    {"verbose", 'v', Takes::kNothing},
    {"wait", 'w', Takes::kNothing},       {"exact", 'x', Takes::kNothing},
    {"fragment", 'f', Takes::kNothing},   {"version", 'V', Takes::kNothing},
    {"help", 'h', Takes::kNothing},       {"line-numbers", '0', Takes::kNothing},
    {"set-counters", 'c', Takes::kWord},
};

}  // namespace

IptablesParser::IptablesParser(const Words& words, const Names& names)
    : names_(names), reader_(words, kLetters), longs_(std::begin(kLongs), std::end(kLongs)) {
    reader_.set_longs(longs_);
}

bool IptablesParser::is_rule() const {
    return made_.command == Command::kAppend || made_.command == Command::kInsert ||
           made_.command == Command::kReplace || made_.command == Command::kDelete ||
           made_.command == Command::kCheck;
}

Parsed<Iptables> IptablesParser::parse(const std::string& program) {
    program_ = program;
    for (int code = reader_.next(); code != OptionReader::kEnd && !reason_; code = reader_.next()) {
        take_option(code);
        if (command_ && made_.command == Command::kHelp) {
            break;
        }
    }
    want(command_, "no command specified");
    want(!invert_, "nothing appropriate following !");
    if (!reason_) {
        finish();
    }
    if (reason_) {
        Answer answer = wrong_usage(program, *reason_);
        return tl::unexpected(std::move(answer));
    }
    return std::move(made_);
}

void IptablesParser::take_option(int code) {
    if (code == OptionReader::kBad) {
        return complain(reader_.complaint());
    }
    if (code == OptionReader::kWord) {
        if (argument() != "!") {
            return complain(fmt::format("Bad argument `{}'", argument()));
        }
        want(!invert_, "multiple consecutive ! not allowed");
        invert_ = true;
        return;
    }
    if (!take_command(code) && !take_parameter(code)) {
        take_extension(code);
    }
    if (invert_) {
        complain(fmt::format(
            "unexpected ! flag before {}",
            code < 128 ? std::string{'-', static_cast<char>(code)} : "an option"
        ));
    }
}

void IptablesParser::start(char letter, Command command) {
    want(!invert_, "unexpected ! flag");
    const bool goes_together =
        command_ && ((made_.command == Command::kList && command == Command::kZero) ||
                     (made_.command == Command::kZero && command == Command::kList));
    if (command_ && !goes_together) {
        complain(fmt::format("Cannot use -{} with another command", letter));
    }
    command_ = true;
    made_.command = goes_together ? Command::kListAndZero : command;
    if (reader_.has_argument()) {
        made_.chain = argument();
    }
}

void IptablesParser::take_chain_if_any() {
    const std::string* word = reader_.peek();
    if (!reader_.has_argument() && word != nullptr && *word != "!") {
        made_.chain = *reader_.take();
    }
}

void IptablesParser::take_number(bool is_needed) {
    const std::string* word = reader_.peek();
    if (word == nullptr || *word == "!") {
        want(!is_needed, "-R requires a rule number");
        return;
    }
    const auto number = read_number(*reader_.take(), std::numeric_limits<int32_t>::max());
    if (!number || *number == 0) {
        return complain(fmt::format("Invalid rule number `{}'", *word));
    }
    made_.number = *number - 1;
    made_.has_number = true;
    if (made_.command == Command::kDelete) {
        made_.command = Command::kDeleteNumber;
    }
}

void IptablesParser::take_word(const char* what) {
    const std::string* word = reader_.peek();
    if (word == nullptr || *word == "!") {
        return complain(what);
    }
    made_.word = *reader_.take();
}

// Whether it is one.
bool IptablesParser::take_command(int code) {
    struct Row {
        char letter;
        Command command;
    };
    constexpr Row kWithChain[] = {
        {'A', Command::kAppend},
        {'D', Command::kDelete},
        {'C', Command::kCheck},
        {'I', Command::kInsert},
        {'R', Command::kReplace},
        {'N', Command::kNewChain},
        {'E', Command::kRenameChain},
        {'P', Command::kPolicy},
        {'L', Command::kList},
        {'S', Command::kShow},
        {'F', Command::kFlush},
        {'Z', Command::kZero},
        {'X', Command::kDeleteChain},
        {'h', Command::kHelp},
        {'V', Command::kHelp}};
    const auto found = std::ranges::find(kWithChain, code, &Row::letter);
    if (found == std::end(kWithChain)) {
        return false;
    }
    start(found->letter, found->command);
    switch (found->letter) {
        case 'D':
        case 'I':
            take_number(false);
            break;
        case 'R':
            take_number(true);
            break;
        case 'E':
            take_word("-E requires old-chain-name and new-chain-name");
            break;
        case 'P':
            take_word("-P requires a chain and a policy");
            break;
        case 'L':
        case 'S':
        case 'Z':
            take_chain_if_any();
            made_.chain ? take_number(false) : void();
            break;
        case 'F':
        case 'X':
            take_chain_if_any();
            break;
        default:
            break;
    }
    return true;
}

void IptablesParser::take_host(
    std::optional<std::string>& host, Maybe<HostMask>& side, char letter
) {
    if (host) {
        complain(fmt::format("multiple -{} flags not allowed", letter));
    }
    host = argument();
    side.inverted = take_turn();
}

void IptablesParser::take_protocol() {
    Maybe<uint8_t>& protocol = made_.rule.protocol;
    want(given_.find('p') == std::string::npos, "multiple -p flags not allowed");
    given_ += 'p';
    std::string name = argument();
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
    auto number = read_number(name, 255);
    if (const auto known = names_.protocol_of(name); !number && known) {
        number = *known;
    }
    if (!number && name == "all") {
        number = 0;
    }
    if (!number) {
        return complain(fmt::format("unknown protocol \"{}\" specified", argument()));
    }
    protocol = {static_cast<uint8_t>(*number), take_turn()};
    want(*number != 0 || !protocol.inverted, "rule would never match protocol");
    if (!protocol.inverted) {
        load_protocol(static_cast<uint8_t>(*number));
    }
}

void IptablesParser::take_link(Maybe<std::string>& link, char letter) {
    constexpr size_t kLongest = 15;
    if (given_.find(letter) != std::string::npos) {
        complain(fmt::format("multiple -{} flags not allowed", letter));
    }
    given_ += letter;
    const std::string& name = argument();
    const auto is_plain = [](char c) {
        return c > ' ' && c < '\x7f' && c != '!' && c != '"' && c != '\\' && c != '/';
    };
    if (name.empty() || name.size() > kLongest || !std::ranges::all_of(name, is_plain)) {
        return complain(fmt::format(
            "interface name `{}' must have 1 to {} characters that a name has", name, kLongest
        ));
    }
    link = {name == "+" ? "" : name, take_turn()};
    want(!link.value.empty() || !link.inverted, "rule would never match interface");
}

void IptablesParser::take_counters() {
    const std::string* bytes = reader_.take();
    const auto packets = read_number(argument(), 0xffffffff);
    const auto of_bytes = bytes != nullptr ? read_number(*bytes, 0xffffffff) : std::nullopt;
    if (!packets || !of_bytes) {
        return complain("-c requires packet and byte counter");
    }
    made_.counted = {*packets, *of_bytes};
}

void IptablesParser::take_table() {
    const auto table = table_named(argument());
    made_.table = table.value_or(Table::kFilter);
    if (!table) {
        complain(
            fmt::format("can't initialize iptables table `{}': Table does not exist", argument())
        );
    }
}

// Whether it is one that every rule may have, or of the output.
bool IptablesParser::take_parameter(int code) {
    switch (code) {
        case 's':
            take_host(source_, made_.rule.source, 's');
            return true;
        case 'd':
            take_host(destination_, made_.rule.destination, 'd');
            return true;
        case 'p':
            take_protocol();
            return true;
        case 'i':
            take_link(made_.rule.in, 'i');
            return true;
        case 'o':
            take_link(made_.rule.out, 'o');
            return true;
        case 'f':
            made_.rule.fragment = !take_turn();
            given_ += 'f';
            return true;
        case 'm':
            take_match(argument());
            return true;
        case 'j':
        case 'g':
            want(made_.rule.target.empty(), "multiple -j flags not allowed");
            given_ += 'j';
            take_target(argument(), code == 'g');
            return true;
        case 'c':
            given_ += 'c';
            take_counters();
            return true;
        case 't':
            take_table();
            return true;
        default:
            break;
    }
    constexpr std::string_view kSwitches = "nvwx0b";
    const bool is_switch =
        code < 128 && kSwitches.find(static_cast<char>(code)) != std::string_view::npos;
    if (is_switch) {
        take_switch(code);
    }
    return is_switch;
}

void IptablesParser::take_switch(int code) {
    made_.numeric |= code == 'n';
    made_.verbose |= code == 'v';
    made_.exact |= code == 'x';
    made_.line_numbers |= code == '0';
    if (code == 'n' || code == 'x' || code == '0') {
        given_ += static_cast<char>(code);
    }
}

void IptablesParser::finish() {
    finish_rule();
    finish_matches();
    finish_target();
    check_links();
    check_options();
    const bool makes =
        made_.command == Command::kNewChain || made_.command == Command::kRenameChain;
    const std::string& name =
        made_.command == Command::kRenameChain ? made_.word : made_.chain.value_or("");
    if (!makes) {
        return;
    }
    const auto is_plain = [](char c) { return c > ' ' && c < '\x7f' && c != '"' && c != '\\'; };
    if (name.empty() || name.size() > kLongestTableChainName ||
        !std::ranges::all_of(name, is_plain)) {
        complain(fmt::format(
            "chain name `{}' must have 1 to {} characters", name, kLongestTableChainName
        ));
    }
    if (name.starts_with('-') || name.starts_with('!')) {
        complain(fmt::format("chain name not allowed to start with `{}'", name.front()));
    }
    if (is_table_target(name)) {
        complain(fmt::format("chain name `{}' is a target's", name));
    }
}

void IptablesParser::finish_rule() {
    if (is_rule()) {
        source_ = source_.value_or("0.0.0.0/0");
        destination_ = destination_.value_or("0.0.0.0/0");
    }
    if (source_) {
        made_.sources = read_hosts(*source_);
    }
    if (destination_) {
        made_.destinations = read_hosts(*destination_);
    }
    const bool is_many = made_.sources.size() > 1 || made_.destinations.size() > 1;
    want(
        !is_many || (!made_.rule.source.inverted && !made_.rule.destination.inverted),
        "! not allowed with multiple source or destination IP addresses"
    );
    want(
        made_.command != Command::kReplace || !is_many,
        "Replacement rule does not specify a unique address"
    );
}

// "A,B/24": each by itself.
std::vector<HostMask> IptablesParser::read_hosts(const std::string& text) {
    std::vector<HostMask> hosts;
    for (size_t at = 0; at <= text.size();) {
        const size_t end = std::min(text.find(',', at), text.size());
        auto found = legacy::read_hosts(std::string_view(text).substr(at, end - at), names_, '`');
        if (!found) {
            complain(found.error().message);
            return hosts;
        }
        std::ranges::copy_if(*found, std::back_inserter(hosts), [&hosts](const HostMask& host) {
            return std::ranges::find(hosts, host) == hosts.end();
        });
        at = end + 1;
    }
    return hosts;
}

void IptablesParser::check_links() {
    const std::string chain = made_.chain.value_or("");
    want(
        made_.rule.out.value.empty() || (chain != "INPUT" && chain != "PREROUTING"),
        "Can't use -o with INPUT or PREROUTING"
    );
    want(
        made_.rule.in.value.empty() || (chain != "OUTPUT" && chain != "POSTROUTING"),
        "Can't use -i with OUTPUT or POSTROUTING"
    );
}

void IptablesParser::check_options() {
    const bool lists = made_.command == Command::kList || made_.command == Command::kListAndZero;
    for (const char option : given_) {
        const bool is_of_lists = option == 'n' || option == 'x' || option == '0';
        const bool is_legal =
            is_of_lists ? lists : is_rule() && (option != 'c' || made_.command != Command::kCheck);
        if (!is_legal) {
            complain(fmt::format("Illegal option `-{}' with this command", option));
        }
    }
    const bool names_a_side = source_ || destination_ || !made_.rule.matches.empty();
    want(is_rule() || !names_a_side, "Illegal option with this command");
}

Parsed<Iptables> parse_iptables(
    const Words& words, const Names& names, const std::string& program
) {
    return IptablesParser(words, names).parse(program);
}

}  // namespace sekisho::legacy
