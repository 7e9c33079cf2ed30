// The grammar of ipfwadm.
#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "legacy/hosts.h"
#include "legacy/ipfwadm.h"
#include "legacy/options.h"
#include "legacy/usage.h"

namespace sekisho::legacy {
namespace {

using Category = Ipfwadm::Category;
using Command = Ipfwadm::Command;

template <class T>
struct Word {
    std::string_view text;
    T value;
};
constexpr Word<FirewallPolicy> kPolicies[] = {
    {"accept", FirewallPolicy::kAccept},
    {"deny", FirewallPolicy::kDeny},
    {"reject", FirewallPolicy::kReject},
    {"masquerade", FirewallPolicy::kMasquerade}};
constexpr Word<FirewallProtocol> kProtocols[] = {
    {"all", FirewallProtocol::kAll},
    {"tcp", FirewallProtocol::kTcp},
    {"udp", FirewallProtocol::kUdp},
    {"icmp", FirewallProtocol::kIcmp}};
constexpr Word<AccountingSide> kSides[] = {
    {"in", AccountingSide::kIn}, {"out", AccountingSide::kOut}, {"both", AccountingSide::kBoth}};

// The first word that begins with `text` (LEGACY S28).
template <class T, size_t N>
std::optional<T> read_shortened(const Word<T> (&words)[N], std::string_view text) {
    const auto found = std::ranges::find_if(words, [text](const Word<T>& word) {
        return !text.empty() && word.text.starts_with(text);
    });
    return found == std::end(words) ? std::nullopt : std::optional(found->value);
}

// A side of the command line, as it stands there.
struct Side {
    std::optional<std::string> host;
    Words ports;
    size_t count = 0;  // a range counts as two
    bool has_range = false;
};

constexpr size_t kLongestLinkName = 15;  // as Linux has them

class Parser {
  public:
    Parser(const Words& words, const Names& names)
        : names_(names), reader_(words, "AFIMOadilzfs:p:chP:S:D:V:W:bekmnort:vxy") {}

    // The reason why not, or nothing.
    std::optional<std::string> parse();
    Ipfwadm take() { return std::move(made_); }
    bool wants_help() const { return wants_help_; }

  private:
    void complain(std::string reason) {
        if (!reason_) {
            reason_ = std::move(reason);
        }
    }
    // Complains if a rule that must hold does not.
    void want(bool holds, const char* reason) {
        if (!holds) {
            complain(reason);
        }
    }
    bool has(char option) const { return given_.find(option) != std::string::npos; }

    void take_option(int letter);
    void take_single(char letter);
    void take_category(Category category);
    void take_direction(const std::string* word);
    void take_command(char letter);
    void take_command_policy(const std::string* word);
    void take_timeouts();
    void take_side(Side& side);
    void take_tos();
    void take_via(const std::string& name);
    void take_via_name(const std::string& name);

    void check_category();
    void check_options();
    void check_required();
    void check_ports();
    void check_verdict();
    void finish_side(Side& side, std::vector<HostMask>& hosts, PortList& ports);
    void finish_redirect();
    void finish_verdict();

    bool adds_or_deletes() const { return made_.adds_or_deletes(); }
    bool checks() const { return command_ && made_.command == Command::kCheck; }
    bool is_firewall() const {
        return category_ && made_.category != Category::kAccounting &&
               made_.category != Category::kMasquerading;
    }
    bool is_icmp() const { return made_.rule.protocol == FirewallProtocol::kIcmp; }
    std::vector<HostMask> read_hosts(std::string_view text);
    std::optional<uint16_t> read_port(std::string_view text);
    uint32_t read_timeout(const std::string& text);

    const Names& names_;
    OptionReader reader_;
    std::optional<std::string> reason_;
    Ipfwadm made_;
    bool category_ = false;
    bool command_ = false;
    bool policy_ = false;  // behind -a, -i or -d
    bool wants_help_ = false;
    bool has_stray_ = false;
    std::string given_;  // letters of options that may stand once
    Side source_;
    Side destination_;
    std::string redirect_;
};

std::optional<std::string> Parser::parse() {
    for (int letter = reader_.next(); letter != OptionReader::kEnd && !reason_ && !wants_help_;
         letter = reader_.next()) {
        take_option(letter);
    }
    if (reason_ || wants_help_) {
        return reason_;
    }
    want(!has_stray_, "unknown arguments found on commandline");
    want(command_, "no command specified");
    finish_verdict();
    check_category();
    check_options();
    check_required();
    check_ports();
    check_verdict();
    if (!reason_) {
        finish_side(source_, made_.sources, made_.rule.source_ports);
        finish_side(destination_, made_.destinations, made_.rule.destination_ports);
        finish_redirect();
    }
    return reason_;
}

void Parser::take_option(int letter) {
    switch (letter) {
        case OptionReader::kBad:
            return complain(reader_.complaint());
        case OptionReader::kWord:
            has_stray_ = true;
            return;
        case 'A':
            take_category(Category::kAccounting);
            return take_direction(reader_.take());
        case 'F':
            return take_category(Category::kForward);
        case 'I':
            return take_category(Category::kInput);
        case 'M':
            return take_category(Category::kMasquerading);
        case 'O':
            return take_category(Category::kOutput);
        case 'h':
            wants_help_ = true;
            return;
        default:
            break;
    }
    constexpr std::string_view kCommands = "adilzfspc";
    if (kCommands.find(static_cast<char>(letter)) != std::string_view::npos) {
        take_command(static_cast<char>(letter));
    } else {
        take_single(static_cast<char>(letter));
    }
}

void Parser::take_direction(const std::string* word) {
    const auto side = word == nullptr ? AccountingSide::kBoth : read_shortened(kSides, *word);
    if (!side) {
        return complain(fmt::format("invalid direction \"{}\" specified", *word));
    }
    made_.rule.side = *side;
}

void Parser::take_category(Category category) {
    want(!category_, "multiple categories specified");
    category_ = true;
    made_.category = category;
}

void Parser::take_command(char letter) {
    const bool lists_and_zeroes = (letter == 'l' && made_.command == Command::kZero) ||
                                  (letter == 'z' && made_.command == Command::kList);
    if (command_ && lists_and_zeroes) {
        made_.command = Command::kListAndZero;
        return;
    }
    const bool again = (letter == 'l' && made_.command == Command::kList) ||
                       (letter == 'z' && made_.command == Command::kZero);
    want(!command_ || again, "multiple commands specified");
    command_ = true;
    constexpr std::string_view kLetters = "aidlz_fpsc";
    made_.command = static_cast<Command>(kLetters.find(letter));
    if (made_.adds_or_deletes()) {
        take_command_policy(reader_.take());
    } else if (made_.command == Command::kPolicy) {
        take_command_policy(&reader_.argument());
        policy_ = false;
    } else if (made_.command == Command::kTimeouts) {
        take_timeouts();
    }
}

void Parser::take_command_policy(const std::string* word) {
    if (word == nullptr) {
        return;
    }
    const auto policy = read_shortened(kPolicies, *word);
    if (!policy) {
        return complain(fmt::format("invalid policy \"{}\" specified", *word));
    }
    if (policy == FirewallPolicy::kMasquerade) {
        want(!has('m'), "multiple -m flags not allowed");
        given_ += 'm';
        made_.rule.policy = FirewallPolicy::kAccept;
    } else {
        made_.rule.policy = *policy;
    }
    policy_ = true;
}

void Parser::take_timeouts() {
    if (reader_.peek() == nullptr || reader_.peek(1) == nullptr) {
        return complain("-s requires 3 timeout values");
    }
    made_.timeouts.tcp = {read_timeout(reader_.argument())};
    made_.timeouts.tcp_fin = {read_timeout(*reader_.take())};
    made_.timeouts.udp = {read_timeout(*reader_.take())};
}

uint32_t Parser::read_timeout(const std::string& text) {
    const auto seconds = read_number(text, std::numeric_limits<int32_t>::max());
    if (!seconds) {
        complain(fmt::format("invalid timeout value \"{}\" specified", text));
    }
    return seconds.value_or(0);
}

// Options that stand once.
void Parser::take_single(char letter) {
    if (has(letter)) {
        return complain(fmt::format("multiple -{} flags not allowed", letter));
    }
    given_ += letter;
    FirewallRule& rule = made_.rule;
    switch (letter) {
        case 'P':
            if (const auto protocol = read_shortened(kProtocols, reader_.argument())) {
                rule.protocol = *protocol;
                return;
            }
            return complain(fmt::format("invalid protocol \"{}\" specified", reader_.argument()));
        case 'S':
            return take_side(source_);
        case 'D':
            return take_side(destination_);
        case 'V':
            return take_via(reader_.argument());
        case 'W':
            return take_via_name(reader_.argument());
        case 'r': {
            const std::string* port = reader_.take();
            redirect_ = port != nullptr ? *port : "0";
            return;
        }
        case 't':
            return take_tos();
        default:
            break;
    }
    rule.either_way |= letter == 'b';
    rule.ack |= letter == 'k';
    rule.syn |= letter == 'y';
    rule.log |= letter == 'o';
    made_.extended |= letter == 'e';
    made_.numeric |= letter == 'n';
    made_.verbose |= letter == 'v';
    made_.exact |= letter == 'x';
}

void Parser::take_side(Side& side) {
    side.host = reader_.argument();
    while (const std::string* port = reader_.take()) {
        const bool is_range = port->find(':') != std::string::npos;
        want(!is_range || !side.has_range, "multiple ranges not allowed");
        side.has_range |= is_range;
        side.count += is_range ? 2 : 1;
        side.ports.push_back(*port);
    }
    if (source_.count + destination_.count > kMostPorts) {
        complain(fmt::format("too many ports specified (maximum {})", kMostPorts));
    }
}

void Parser::take_tos() {
    const std::string* second = reader_.take();
    if (second == nullptr) {
        return complain("-t requires 2 hexbyte arguments");
    }
    const std::string* const texts[] = {&reader_.argument(), second};
    for (const std::string* text : texts) {
        if (!read_hex_byte(*text)) {
            return complain(fmt::format("invalid hexbyte \"{}\" specified", *text));
        }
    }
    // Bit 0 survives (LEGACY S14).
    made_.rule.tos_and = *read_hex_byte(*texts[0]) | 0x01;
    made_.rule.tos_xor = *read_hex_byte(*texts[1]) & 0xfe;
}

// Whoever lists the rules has it on the terminal.
void Parser::take_via_name(const std::string& name) {
    const auto is_plain = [](char c) { return c > ' ' && c < '\x7f'; };
    if (!std::ranges::all_of(name, is_plain)) {
        return complain(fmt::format("invalid interface name \"{}\" specified", name));
    }
    made_.rule.via_name = name.substr(0, kLongestLinkName);
}

void Parser::take_via(const std::string& name) {
    if (const auto address = read_dotted(name)) {
        made_.rule.via = *address;
        return;
    }
    const std::vector<Ipv4Addr> addresses = names_.host(name);
    if (addresses.empty()) {
        return complain(fmt::format("host \"{}\" not found", name));
    }
    if (addresses.size() != 1) {
        return complain(fmt::format("hostname \"{}\" does not specify a unique address", name));
    }
    made_.rule.via = addresses.front();
}

// With -m, accept means masquerade.
void Parser::finish_verdict() {
    if (has('m') && made_.rule.policy == FirewallPolicy::kAccept) {
        made_.rule.policy = FirewallPolicy::kMasquerade;
    }
}

void Parser::check_category() {
    want(category_, "missing -A, -F, -I, -O, or -M flag");
    want(is_firewall() || !checks(), "specify either -F, -I, or -O for checking a packet");
    want(
        is_firewall() || made_.command != Command::kPolicy,
        "specify either -F, -I, or -O for changing the policy"
    );
    want(!is_firewall() || policy_ || !adds_or_deletes(), "policy required for firewall entries");
    want(is_firewall() || !policy_, "no policy allowed with non-firewall entries");
    const bool is_for_masquerading = made_.command == Command::kTimeouts ||
                                     made_.command == Command::kList ||
                                     made_.command == Command::kListAndZero;
    want(
        made_.category != Category::kMasquerading || is_for_masquerading,
        "-M only allowed in combination with -s or -l command"
    );
    want(
        made_.category == Category::kMasquerading || made_.command != Command::kTimeouts,
        "setting masquerading timeouts requires -M flag"
    );
}

void Parser::check_options() {
    constexpr std::pair<char, const char*> kOfRules[] = {
        {'b', "bidirectional flag (-b) only allowed with insert/append/delete"},
        {'o', "kernel print flag (-o) only allowed with insert/append/delete"},
        {'r', "port redirection (-r) only allowed with insert/append/delete"},
        {'t', "tos values (-t) only allowed with insert/append/delete"}};
    for (const auto& [letter, reason] : kOfRules) {
        want(!has(letter) || adds_or_deletes(), reason);
    }
}

// What a command wants, and what it does not take.
void Parser::check_required() {
    struct Parameter {
        char letter;
        const char* what;
    };
    constexpr Parameter kParameters[] = {
        {'P', "protocol (-P)"},
        {'V', "interface address (-V)"},
        {'W', "interface name (-W)"},
        {'S', "source address (-S)"},
        {'D', "destination address (-D)"}};
    const bool takes_any = adds_or_deletes() || checks() || made_.command == Command::kTimeouts;
    for (const auto& [letter, what] : kParameters) {
        if (has(letter) && !takes_any) {
            complain(fmt::format("no {} allowed with this command", what));
        }
        if (!has(letter) && checks()) {
            complain(fmt::format("{} required for this command", what));
        }
    }
    want(
        !checks() || made_.rule.protocol != FirewallProtocol::kAll,
        "specific protocol required for check command"
    );
}

void Parser::check_ports() {
    want(!is_icmp() || destination_.count == 0, "ICMP types only allowed with -S, not with -D");
    want(
        made_.rule.protocol != FirewallProtocol::kAll || source_.count + destination_.count == 0,
        "no ports allowed without specific protocol"
    );
    want(
        !checks() || is_icmp() || (source_.count == 1 && destination_.count == 1),
        "one port required with source/destination address"
    );
    want(!checks() || !is_icmp() || source_.count == 1, "ICMP type required after source address");
}

void Parser::check_verdict() {
    want(
        !has('r') || made_.category == Category::kInput,
        "redirecting only allowed in combination with -I"
    );
    want(!has('r') || !is_icmp(), "redirecting not allowed with protocol ICMP");
    want(
        !has('m') || made_.category == Category::kForward,
        "masquerading only allowed in combination with -F"
    );
    want(!has('m') || !is_icmp(), "masquerading not allowed with protocol ICMP");
    want(
        !has('m') || made_.rule.policy == FirewallPolicy::kMasquerade,
        "masquerading only allowed with policy accept"
    );
}

void Parser::finish_side(Side& side, std::vector<HostMask>& hosts, PortList& ports) {
    if (!side.host && adds_or_deletes()) {
        side.host = "0.0.0.0/0";
    }
    if (!side.host) {
        return;
    }
    hosts = read_hosts(*side.host);
    for (const std::string& text : side.ports) {
        const size_t colon = text.find(':');
        const auto first = read_port(std::string_view(text).substr(0, colon));
        const auto last = colon == std::string::npos
                              ? first
                              : read_port(std::string_view(text).substr(colon + 1));
        if (!first || !last) {
            return;
        }
        if (*first > *last) {
            return complain(fmt::format("invalid range of ports ({} > {})", *first, *last));
        }
        if (colon != std::string::npos) {
            ports.range = {*first, *last};
        } else {
            ports.ports.push_back(*first);
        }
    }
}

std::vector<HostMask> Parser::read_hosts(std::string_view text) {
    auto hosts = legacy::read_hosts(text, names_, '"');
    if (!hosts) {
        complain(hosts.error().message);
        return {};
    }
    return *std::move(hosts);
}

std::optional<uint16_t> Parser::read_port(std::string_view text) {
    if (const auto number = read_number(text, 65535)) {
        return static_cast<uint16_t>(*number);
    }
    if (is_icmp()) {  // names are not for ICMP types (LEGACY S9)
        complain(fmt::format("invalid ICMP type \"{}\" specified", text));
        return std::nullopt;
    }
    const FirewallProtocol protocol = made_.rule.protocol;
    std::optional<uint16_t> port;
    if (protocol != FirewallProtocol::kAll) {
        port = names_.port_of(
            text, protocol == FirewallProtocol::kTcp ? Protocol::kTcp : Protocol::kUdp
        );
    }
    if (!port) {
        complain(fmt::format("invalid port/service \"{}\" specified", text));
    }
    return port;
}

void Parser::finish_redirect() {
    if (!has('r')) {
        return;
    }
    if (source_.count + destination_.count >= kMostPorts) {
        return complain(fmt::format(
            "too many ports specified (maximum {} when using -r option)", kMostPorts - 1
        ));
    }
    made_.rule.redirect = read_port(redirect_);
}

}  // namespace

Parsed<Ipfwadm> parse_ipfwadm(const Words& words, const Names& names, const std::string& program) {
    Parser parser(words, names);
    if (const auto reason = parser.parse()) {
        return tl::unexpected(wrong_usage(program, *reason));
    }
    if (parser.wants_help()) {
        return tl::unexpected(help_of_ipfwadm(program));
    }
    return parser.take();
}

}  // namespace sekisho::legacy
