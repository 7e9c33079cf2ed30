// The grammar of ipchains.
#include <algorithm>
#include <charconv>
#include <limits>

#include <fmt/format.h>

#include "legacy/ipchains_parser.h"
#include "legacy/numbers.h"
#include "legacy/usage.h"

namespace sekisho::legacy {
namespace {

using Command = Ipchains::Command;

constexpr std::string_view kLetters = "A:C:D:R:I:L::F::Z::N:X::P:MS:Vh::o::p:s:d:j:i:fbvm:nlt:xy";
constexpr LongOption kLongs[] = {
    {"append", 'A', Takes::kWord},
    {"delete", 'D', Takes::kWord},
    {"insert", 'I', Takes::kWord},
    {"replace", 'R', Takes::kWord},
    {"list", 'L', Takes::kMaybe},
    {"flush", 'F', Takes::kMaybe},
    {"zero", 'Z', Takes::kMaybe},
    {"check", 'C', Takes::kWord},
    {"new-chain", 'N', Takes::kWord},
    {"delete-chain", 'X', Takes::kMaybe},
    {"policy", 'P', Takes::kWord},
    {"masquerading", 'M', Takes::kNothing},
    {"set", 'S', Takes::kWord},
    {"bidirectional", 'b', Takes::kNothing},
    {"source", 's', Takes::kWord},
    {"destination", 'd', Takes::kWord},
    {"src", 's', Takes::kWord},
    {"dst", 'd', Takes::kWord},
    {"source-port", '1', Takes::kWord},
    {"destination-port", '2', Takes::kWord},
    {"icmp-type", '1', Takes::kWord},
    {"sport", '1', Takes::kWord},
    {"dport", '2', Takes::kWord},
    {"protocol", 'p', Takes::kWord},
    {"interface", 'i', Takes::kWord},
    {"jump", 'j', Takes::kWord},
    {"TOS", 't', Takes::kWord},
    {"mark", 'm', Takes::kWord},
    {"numeric", 'n', Takes::kNothing},
    {"log", 'l', Takes::kNothing},
    {"output", 'o', Takes::kMaybe},
    {"verbose", 'v', Takes::kNothing},
    {"exact", 'x', Takes::kNothing},
    {"fragments", 'f', Takes::kNothing},
    {"syn", 'y', Takes::kNothing},
    {"version", 'V', Takes::kNothing},
    {"help", 'h', Takes::kNothing},
    {"line-numbers", '3', Takes::kNothing},
    {"no-warnings", 'W', Takes::kNothing},
};

constexpr std::string_view kInvertible = "sdpyif12";

}  // namespace

IpchainsParser::IpchainsParser(const Words& words, const Names& names)
    : names_(names), reader_(words, kLetters, kLongs) {}

Parsed<Ipchains> IpchainsParser::parse(const std::string& program) {
    program_ = program;
    for (int code = reader_.next(); code != OptionReader::kEnd && !reason_ && !answer_;
         code = reader_.next()) {
        take_option(code);
    }
    if (answer_ && !reason_) {
        return tl::unexpected(*answer_);
    }
    want(command_ || masquerading_, "no command specified");
    want(!invert_, "nothing appropriate following !");
    want(command_ || !masquerading_, "-M/--masquerading requires -L/--list or -S/--set");
    if (!reason_) {
        finish();
    }
    if (reason_) {
        return tl::unexpected(wrong_usage(program, *reason_));
    }
    return std::move(made_);
}

void IpchainsParser::take_option(int code) {
    if (code == OptionReader::kBad) {
        return complain(reader_.complaint());
    }
    if (code == OptionReader::kWord) {
        return take_word();
    }
    const char letter = static_cast<char>(code);
    if (letter == 'h') {
        const std::string* topic = reader_.has_argument() ? &reader_.argument() : reader_.peek();
        answer_ = topic != nullptr && *topic == "icmp" ? help_of_icmp_types()
                                                       : help_of_ipchains(program_);
    } else if (letter == 'V') {
        answer_ = Answer{"ipchains 1.3.9 (sekisho)\n", "", 0};
    } else if (!take_command(letter)) {
        take_parameter(letter);
    }
    invert_ = false;
}

void IpchainsParser::take_word() {
    if (reader_.argument() != "!") {
        return complain("unknown arguments found on commandline");
    }
    want(!invert_, "multiple consecutive ! not allowed");
    invert_ = true;
}

void IpchainsParser::start(char letter, Command command) {
    want(!invert_, "unexpected ! flag");
    if (command_ || masquerading_) {
        complain(fmt::format("Can't use -{} with another command", letter));
    }
    command_ = true;
    made_.command = command;
    if (reader_.has_argument()) {
        made_.chain = reader_.argument();
    }
}

// Whether it is one.
bool IpchainsParser::take_command(char letter) {
    switch (letter) {
        case 'A':
            start(letter, Command::kAppend);
            return true;
        case 'C':
            start(letter, Command::kCheck);
            return true;
        case 'N':
            start(letter, Command::kNewChain);
            return true;
        case 'D':
            start(letter, Command::kDelete);
            take_number(false);
            return true;
        case 'R':
            start(letter, Command::kReplace);
            take_number(true);
            return true;
        case 'I':
            start(letter, Command::kInsert);
            take_number(false);
            return true;
        case 'F':
            start(letter, Command::kFlush);
            take_chain_if_any();
            return true;
        case 'X':
            start(letter, Command::kDeleteChain);
            take_chain_if_any();
            return true;
        case 'P':
            start(letter, Command::kPolicy);
            take_policy();
            return true;
        case 'M':
            take_masquerading();
            return true;
        case 'L':
        case 'Z':
            take_list_or_zero(letter);
            return true;
        case 'S':
            take_timeouts();
            return true;
        default:
            return false;
    }
}

// -M goes with -L and -S.
void IpchainsParser::take_masquerading() {
    want(!invert_, "unexpected ! flag");
    const bool lists = command_ && made_.command == Command::kList;
    const bool sets = command_ && made_.command == Command::kTimeouts;
    want(!masquerading_ && (!command_ || lists || sets), "Can't use -M with another command");
    masquerading_ = true;
    made_.command = lists ? Command::kListMasquerading : made_.command;
}

// -L goes with -Z and with -M.
void IpchainsParser::take_list_or_zero(char letter) {
    want(!invert_, "unexpected ! flag");
    const bool is_list = letter == 'L';
    const Command other = is_list ? Command::kZero : Command::kList;
    const bool goes_with = command_ && !masquerading_ && made_.command == other;
    const bool is_first = !command_ && (!masquerading_ || is_list);
    want(is_first || goes_with, "Can't use -L, -Z with another command");
    if (goes_with) {
        made_.command = Command::kListAndZero;
    } else if (masquerading_) {
        made_.command = Command::kListMasquerading;
    } else {
        made_.command = is_list ? Command::kList : Command::kZero;
    }
    command_ = true;
    if (reader_.has_argument()) {
        made_.chain = reader_.argument();
    }
    take_chain_if_any();
    want(
        made_.command != Command::kListAndZero || !made_.chain,
        "-L with -Z does not allow chain to be specified"
    );
}

void IpchainsParser::take_chain_if_any() {
    const std::string* word = reader_.peek();
    if (!reader_.has_argument() && word != nullptr && *word != "!") {
        made_.chain = *reader_.take();
    }
}

void IpchainsParser::take_number(bool is_needed) {
    const std::string* word = reader_.peek();
    if (word == nullptr || word->starts_with('!')) {
        want(!is_needed, "-R requires a rule number");
        return;
    }
    const auto number = read_number(*reader_.take(), std::numeric_limits<int32_t>::max());
    if (!number || *number == 0) {
        return complain(fmt::format("Invalid rule number `{}'", *word));
    }
    made_.number = *number - 1;
    if (made_.command == Command::kDelete) {
        made_.command = Command::kDeleteNumber;
    }
}

void IpchainsParser::take_policy() {
    const std::string* word = reader_.peek();
    if (word == nullptr || word->starts_with('!')) {
        return complain("-P requires a chain and a policy");
    }
    made_.policy = *reader_.take();
    const bool is_built_in = is_on("input") || is_on("output") || is_on("forward");
    if (made_.policy == "MASQ") {
        want(is_on("forward"), "`-P MASQ' only valid for `forward' chain.");
        return;
    }
    want(is_built_in, "Can only set policy in built-in chains.");
    if (made_.policy != "ACCEPT" && made_.policy != "DENY" && made_.policy != "REJECT") {
        complain(fmt::format("Invalid policy `{}' for -P", made_.policy));
    }
}

void IpchainsParser::take_timeouts() {
    want(!invert_, "unexpected ! flag");
    want(!command_, "Can't use -S with another command");
    command_ = true;
    made_.command = Command::kTimeouts;
    Words values = {reader_.argument()};
    for (int i = 0; i < 2; ++i) {
        const std::string* word = reader_.take();
        if (word == nullptr || word->starts_with('!')) {
            return complain("-S requires 3 timeout values");
        }
        values.push_back(*word);
    }
    Seconds* const timeouts[] = {&made_.timeouts.tcp, &made_.timeouts.tcp_fin, &made_.timeouts.udp};
    for (size_t i = 0; i < values.size(); ++i) {
        const auto seconds = read_number(values[i], std::numeric_limits<int32_t>::max());
        if (!seconds) {
            return complain(fmt::format("invalid timeout value `{}' specified", values[i]));
        }
        *timeouts[i] = {*seconds};
    }
}

// The option's word, behind a '!' if there is one.
std::string IpchainsParser::take_invertible() {
    if (reader_.argument() != "!") {
        return reader_.argument();
    }
    want(!invert_, "Multiple `!' flags not allowed");
    invert_ = true;
    const std::string* word = reader_.take_any();
    want(word != nullptr, "option requires an argument behind !");
    return word != nullptr ? *word : "";
}

// That an option stands here, once, turned round or not.
void IpchainsParser::note(char letter) {
    const char shown = letter == '1' ? 's' : letter == '2' ? 'd' : letter;
    if (has(letter)) {
        complain(fmt::format("multiple -{} flags not allowed", shown));
    }
    given_ += letter;
    if (!invert_) {
        return;
    }
    if (kInvertible.find(letter) == std::string_view::npos) {
        complain(fmt::format("cannot have ! before -{}", shown));
    }
    inverted_ += letter;
    invert_ = false;
}

void IpchainsParser::take_side(
    char letter, std::optional<std::string>& host, std::optional<std::string>& ports
) {
    host = take_invertible();
    note(letter);
    const std::string* word = reader_.peek();
    const bool is_turned = word != nullptr && *word == "!";
    word = is_turned ? reader_.peek(1) : word;
    if (word == nullptr || word->starts_with('!')) {
        return;
    }
    if (is_turned) {
        reader_.take();
        invert_ = true;
    }
    ports = *reader_.take();
    note(letter == 's' ? '1' : '2');
}

void IpchainsParser::take_parameter(char letter) {
    switch (letter) {
        case 's':
            return take_side('s', source_, source_ports_);
        case 'd':
            return take_side('d', destination_, destination_ports_);
        case '1':
            source_ports_ = take_invertible();
            return note('1');
        case '2':
            destination_ports_ = take_invertible();
            return note('2');
        case 'p':
            return take_protocol();
        case 'i':
            return take_interface();
        case 'm':
            return take_mark();
        case 'o':
            return take_copy_size();
        case 't':
            return take_tos();
        case 'W':
            want(!invert_, "cannot have ! before --no-warnings");
            warns_ = false;
            return;
        default:
            break;
    }
    note(letter);
    ChainRule& rule = made_.rule;
    if (letter == 'j') {
        rule.target = reader_.argument();
        want(!rule.target.empty(), "Invalid target name (too short)");
        const std::string* word = reader_.peek();
        if (rule.target == "REDIRECT" && word != nullptr && !word->starts_with('!')) {
            redirect_ = *reader_.take();
        }
    } else if (letter == 'y') {
        rule.syn = !is_inverted('y');
    } else if (letter == 'f') {
        rule.fragment = !is_inverted('f');
    }
    rule.log |= letter == 'l';
    made_.both_ways |= letter == 'b';
    made_.verbose |= letter == 'v';
    made_.numeric |= letter == 'n';
    made_.exact |= letter == 'x';
    made_.line_numbers |= letter == '3';
}

void IpchainsParser::take_protocol() {
    const std::string name = take_invertible();
    note('p');
    auto number = read_number(name, 65535);
    if (const auto known = names_.protocol_of(name); !number && known) {
        number = *known;
    }
    constexpr std::pair<std::string_view, uint8_t> kAlways[] = {
        {"all", 0}, {"tcp", 6}, {"udp", 17}, {"icmp", 1}};
    for (const auto& [always, value] : kAlways) {
        if (!number && name == always) {
            number = value;
        }
    }
    if (!number) {
        return complain(fmt::format("unknown protocol `{}' specified", name));
    }
    made_.rule.protocol = {static_cast<uint16_t>(*number), is_inverted('p')};
    want(*number != 0 || !is_inverted('p'), "rule would never match protocol");
}

void IpchainsParser::take_interface() {
    constexpr size_t kLongestLinkName = 16;
    const std::string name = take_invertible();
    note('i');
    if (name.size() > kLongestLinkName) {
        complain(fmt::format(
            "interface name `{}' must be shorter than {} characters", name, kLongestLinkName
        ));
    }
    const auto is_plain = [](char c) { return c > ' ' && c < '\x7f' && c != '!'; };
    if (!std::ranges::all_of(name, is_plain)) {
        complain(fmt::format("interface name `{}' has characters that no name has", name));
    }
    made_.rule.via = {name == "+" ? "" : name, is_inverted('i')};
    want(!made_.rule.via.value.empty() || !is_inverted('i'), "rule would never match interface");
}

void IpchainsParser::take_mark() {
    note('m');
    std::string_view text = reader_.argument();
    if (text.starts_with('+') || text.starts_with('-')) {
        return complain("marks are set, they are not added to");
    }
    const bool is_hex = text.starts_with("0x");
    text.remove_prefix(is_hex ? 2 : 0);
    uint32_t value = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value, is_hex ? 16 : 10);
    if (error != std::errc{} || stop != end) {
        complain(fmt::format("Bad value `{}' for -m.", reader_.argument()));
    }
    made_.rule.mark = value;
}

void IpchainsParser::take_copy_size() {
    note('o');
    const std::string* word = reader_.has_argument() ? &reader_.argument() : reader_.peek();
    if (!reader_.has_argument() && word != nullptr) {
        word = word->starts_with('!') ? nullptr : reader_.take();
    }
    const auto size = word != nullptr ? read_number(*word, 65535) : 65535;
    if (!size) {
        return complain(fmt::format("-o argument must be 0-65535, not `{}'", *word));
    }
    made_.rule.copy_size = static_cast<uint16_t>(*size);
}

void IpchainsParser::take_tos() {
    note('t');
    const std::string* second = reader_.peek();
    if (second == nullptr || second->starts_with('!')) {
        return complain("-t requires 2 hexbyte arguments");
    }
    const std::string* const texts[] = {&reader_.argument(), reader_.take()};
    for (const std::string* text : texts) {
        if (!read_hex_byte(*text)) {
            return complain(fmt::format("invalid hexbyte `{}' specified", *text));
        }
    }
    made_.rule.tos_and = *read_hex_byte(*texts[0]);
    made_.rule.tos_xor = *read_hex_byte(*texts[1]);
}

Parsed<Ipchains> parse_ipchains(
    const Words& words, const Names& names, const std::string& program
) {
    return IpchainsParser(words, names).parse(program);
}

}  // namespace sekisho::legacy
