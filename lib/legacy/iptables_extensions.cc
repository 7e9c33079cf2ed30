// The grammar of iptables: what -m and -j bring along.
#include <algorithm>
#include <cctype>
#include <charconv>

#include <fmt/format.h>

#include "legacy/icmp_names.h"
#include "legacy/iptables_parser.h"
#include "legacy/iptables_words.h"
#include "legacy/reject_names.h"

namespace sekisho::legacy {
namespace {

enum Code : int {
    kSourcePort = 1001,
    kDestinationPort,
    kTcpFlags,
    kSyn,
    kIcmpType,
    kState,
    kConntrackState,
    kLimit,
    kLimitBurst,
    kSourcePorts,
    kDestinationPorts,
    kEitherPorts,
    kMark,
    kComment,
    kLogLevel,
    kLogPrefix,
    kRejectWith,
    kToSource,
    kToDestination,
    kToPorts,
    kSetMark,
    kSetXmark,
    kSetTos,
    kSetDscp,
};

constexpr LongOption kTcpOptions[] = {
    {"source-port", kSourcePort, Takes::kWord},
    {"sport", kSourcePort, Takes::kWord},
    {"destination-port", kDestinationPort, Takes::kWord},
    {"dport", kDestinationPort, Takes::kWord},
    {"tcp-flags", kTcpFlags, Takes::kWord},
    {"syn", kSyn, Takes::kNothing}};
constexpr std::span<const LongOption> kUdpOptions = std::span(kTcpOptions).first(4);
constexpr LongOption kIcmpOptions[] = {{"icmp-type", kIcmpType, Takes::kWord}};
constexpr LongOption kStateOptions[] = {{"state", kState, Takes::kWord}};
constexpr LongOption kConntrackOptions[] = {{"ctstate", kConntrackState, Takes::kWord}};
constexpr LongOption kLimitOptions[] = {
    {"limit", kLimit, Takes::kWord}, {"limit-burst", kLimitBurst, Takes::kWord}};
constexpr LongOption kMultiportOptions[] = {
    {"source-ports", kSourcePorts, Takes::kWord},
    {"sports", kSourcePorts, Takes::kWord},
    {"destination-ports", kDestinationPorts, Takes::kWord},
    {"dports", kDestinationPorts, Takes::kWord},
    {"ports", kEitherPorts, Takes::kWord}};
constexpr LongOption kMarkOptions[] = {{"mark", kMark, Takes::kWord}};
constexpr LongOption kCommentOptions[] = {{"comment", kComment, Takes::kWord}};
constexpr LongOption kLogOptions[] = {
    {"log-level", kLogLevel, Takes::kWord}, {"log-prefix", kLogPrefix, Takes::kWord}};
constexpr LongOption kRejectOptions[] = {{"reject-with", kRejectWith, Takes::kWord}};
constexpr LongOption kSnatOptions[] = {{"to-source", kToSource, Takes::kWord}};
constexpr LongOption kDnatOptions[] = {{"to-destination", kToDestination, Takes::kWord}};
constexpr LongOption kPortsOptions[] = {{"to-ports", kToPorts, Takes::kWord}};
constexpr LongOption kMarkTargetOptions[] = {
    {"set-mark", kSetMark, Takes::kWord}, {"set-xmark", kSetXmark, Takes::kWord}};
constexpr LongOption kTosOptions[] = {{"set-tos", kSetTos, Takes::kWord}};
constexpr LongOption kDscpOptions[] = {{"set-dscp", kSetDscp, Takes::kWord}};

struct MatchKind {
    std::string_view name;
    std::span<const LongOption> options;
    Match match;
    int wanted = 0;  // the option that it must have
};
const std::vector<MatchKind>& match_kinds() {
    static const std::vector<MatchKind> kinds = {
        {"tcp", kTcpOptions, PortMatch{}},
        {"udp", kUdpOptions, PortMatch{}},
        {"icmp", kIcmpOptions, IcmpMatch{}},
        {"state", kStateOptions, StateMatch{false, {}}, kState},
        {"conntrack", kConntrackOptions, StateMatch{true, {}}, kConntrackState},
        {"limit", kLimitOptions, LimitMatch{}},
        {"multiport", kMultiportOptions, MultiportMatch{}, kEitherPorts},
        {"mark", kMarkOptions, MarkMatch{}, kMark},
        {"comment", kCommentOptions, CommentMatch{}, kComment}};
    return kinds;
}

struct TargetKind {
    std::string_view name;
    std::span<const LongOption> options;
    TargetOptions made;
    int wanted = 0;
};
const std::vector<TargetKind>& target_kinds() {
    static const std::vector<TargetKind> kinds = {
        {"LOG", kLogOptions, LogTarget{}},
        {"REJECT", kRejectOptions, RejectTarget{}},
        {"SNAT", kSnatOptions, NatTarget{}, kToSource},
        {"DNAT", kDnatOptions, NatTarget{}, kToDestination},
        {"MASQUERADE", kPortsOptions, NatTarget{}},
        {"REDIRECT", kPortsOptions, NatTarget{}},
        {"MARK", kMarkTargetOptions, MarkTarget{}, kSetMark},
        {"TOS", kTosOptions, TosTarget{}, kSetTos},
        {"DSCP", kDscpOptions, TosTarget{}, kSetDscp}};
    return kinds;
}

// The parts of a list between commas.
std::vector<std::string_view> parts_of(std::string_view text) {
    std::vector<std::string_view> parts;
    while (true) {
        const size_t comma = text.find(',');
        parts.push_back(text.substr(0, comma));
        if (comma == std::string_view::npos) {
            return parts;
        }
        text.remove_prefix(comma + 1);
    }
}

std::optional<uint32_t> read_any_base(std::string_view text) {
    const bool is_hex = text.starts_with("0x") || text.starts_with("0X");
    text.remove_prefix(is_hex ? 2 : 0);
    uint32_t value = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value, is_hex ? 16 : 10);
    return error == std::errc{} && stop == end ? std::optional(value) : std::nullopt;
}

// "VALUE" or "VALUE/MASK".
std::optional<rules::MarkTest> read_mark(std::string_view text) {
    const size_t slash = text.find('/');
    const auto value = read_any_base(text.substr(0, slash));
    const auto mask = slash == std::string_view::npos ? std::optional(0xffffffffU)
                                                      : read_any_base(text.substr(slash + 1));
    return value && mask ? std::optional(rules::MarkTest{*mask, *value}) : std::nullopt;
}

bool is_printable(std::string_view text) {
    return std::ranges::all_of(text, [](unsigned char c) { return c >= ' ' && c != 0x7f; });
}

std::optional<uint8_t> read_flags(std::string_view text) {
    uint8_t flags = 0;
    for (const std::string_view part : parts_of(text)) {
        if (part == "ALL") {
            flags |= 0x3f;
            continue;
        }
        const auto found = std::ranges::find(kFlagNames, part, &FlagName::name);
        if (found == std::end(kFlagNames) && part != "NONE") {
            return std::nullopt;
        }
        flags |= found == std::end(kFlagNames) ? uint8_t{0} : found->flag;
    }
    return flags;
}

}  // namespace

void IptablesParser::load(std::span<const LongOption> options) {
    for (const LongOption& option : options) {
        // What is loaded last decides what a name means.
        std::erase_if(longs_, [&option](const LongOption& other) {
            return other.name == option.name;
        });
        longs_.push_back(option);
    }
    reader_.set_longs(longs_);
}

void IptablesParser::load_protocol(uint8_t protocol) {
    if (protocol == static_cast<uint8_t>(Protocol::kTcp)) {
        load(kTcpOptions);
    } else if (protocol == static_cast<uint8_t>(Protocol::kUdp)) {
        load(kUdpOptions);
    } else if (protocol == static_cast<uint8_t>(Protocol::kIcmp)) {
        load(kIcmpOptions);
    }
}

void IptablesParser::take_match(const std::string& name) {
    const auto found = std::ranges::find(match_kinds(), name, &MatchKind::name);
    if (found == match_kinds().end()) {
        return complain(fmt::format("Couldn't load match `{}':No such file or directory", name));
    }
    load(found->options);
    made_.rule.matches.push_back(found->match);
    if (found->wanted != 0) {
        wanted_.push_back(found->wanted);
    }
    want(name != "tcp" || is_of(Protocol::kTcp), "tcp match needs `-p tcp' before it");
    want(name != "udp" || is_of(Protocol::kUdp), "udp match needs `-p udp' before it");
    want(name != "icmp" || is_of(Protocol::kIcmp), "icmp match needs `-p icmp' before it");
    const bool has_ports = is_of(Protocol::kTcp) || is_of(Protocol::kUdp);
    want(name != "multiport" || has_ports, "multiport needs `-p tcp' or `-p udp' before it");
}

void IptablesParser::take_target(const std::string& name, bool goes) {
    made_.rule.target = name;
    made_.rule.goes = goes;
    const auto is_plain = [](char c) {
        return c > ' ' && c < '\x7f' && c != '"' && c != '\\' && c != '!';
    };
    if (name.empty() || name.size() > kLongestTableChainName ||
        !std::ranges::all_of(name, is_plain)) {
        return complain(
            fmt::format("Invalid target name `{}' ({} chars max)", name, kLongestTableChainName)
        );
    }
    want(!goes || !is_table_target(name), "-g goes to a chain");
    const auto found = std::ranges::find(target_kinds(), name, &TargetKind::name);
    if (found == target_kinds().end()) {
        return;
    }
    load(found->options);
    made_.rule.options = found->made;
    if (found->wanted != 0) {
        wanted_.push_back(found->wanted);
    }
}

// The last of its kind, or a new one.
template <class T>
T& IptablesParser::match_of() {
    auto& matches = made_.rule.matches;
    const auto is_one = [](const Match& match) { return std::holds_alternative<T>(match); };
    const auto found = std::find_if(matches.rbegin(), matches.rend(), is_one);
    if (found != matches.rend()) {
        return std::get<T>(*found);
    }
    matches.emplace_back(T{});
    return std::get<T>(matches.back());
}

void IptablesParser::take_extension(int code) {
    std::erase_if(wanted_, [code](int wanted) {
        const bool is_ports =
            code == kSourcePorts || code == kDestinationPorts || code == kEitherPorts;
        return wanted == code || (wanted == kEitherPorts && is_ports) ||
               (wanted == kSetMark && code == kSetXmark);
    });
    switch (code) {
        case kSourcePort:
        case kDestinationPort:
        case kTcpFlags:
        case kSyn:
            return take_port_option(code);
        case kLogLevel:
        case kLogPrefix:
        case kRejectWith:
        case kToSource:
        case kToDestination:
        case kToPorts:
        case kSetMark:
        case kSetXmark:
        case kSetTos:
        case kSetDscp:
            return take_target_option(code);
        default:
            return take_match_option(code);
    }
}

void IptablesParser::take_port_option(int code) {
    auto& match = match_of<PortMatch>();
    switch (code) {
        case kSourcePort:
            match.source = take_ports();
            return;
        case kDestinationPort:
            match.destination = take_ports();
            return;
        case kTcpFlags:
            return take_flags();
        default:  // --syn
            match.flags = {
                {rules::kSyn | rules::kRst | rules::kAck | rules::kFin, rules::kSyn}, take_turn()};
    }
}

void IptablesParser::take_match_option(int code) {
    switch (code) {
        case kIcmpType:
            return take_icmp_type();
        case kState:
        case kConntrackState:
            return take_states();
        case kLimit:
            return take_limit();
        case kLimitBurst:
            return take_burst();
        case kSourcePorts:
            return take_multiport(rules::Side::kSource);
        case kDestinationPorts:
            return take_multiport(rules::Side::kDestination);
        case kEitherPorts:
            return take_multiport(rules::Side::kEither);
        case kMark:
            return take_mark_match();
        case kComment:
            return take_comment();
        default:
            complain("unknown option");
    }
}

Maybe<PortRange> IptablesParser::take_ports() {
    const auto ports = read_ports(argument(), ':');
    return {ports.value_or(kAnyPort), take_turn()};
}

std::optional<PortRange> IptablesParser::read_ports(std::string_view text, char between) {
    const size_t at = text.find(between);
    if (at == std::string_view::npos) {
        const auto port = read_port(text);
        return port ? std::optional(PortRange{*port, *port}) : std::nullopt;
    }
    const std::string_view first = text.substr(0, at);
    const std::string_view last = text.substr(at + 1);
    const auto from = first.empty() ? std::optional(kAnyPort.first) : read_port(first);
    const auto to = last.empty() ? std::optional(kAnyPort.last) : read_port(last);
    if (!from || !to) {
        return std::nullopt;
    }
    want(*from <= *to, "invalid portrange (min > max)");
    return PortRange{*from, std::max(*from, *to)};
}

std::optional<uint16_t> IptablesParser::read_port(std::string_view text) {
    const Protocol protocol = is_of(Protocol::kUdp) ? Protocol::kUdp : Protocol::kTcp;
    if (const auto number = read_number(text, 65535)) {
        return static_cast<uint16_t>(*number);
    }
    const auto port = names_.port_of(text, protocol);
    if (!port) {
        complain(fmt::format("invalid port/service `{}' specified", text));
    }
    return port;
}

void IptablesParser::take_flags() {
    const std::string* second = reader_.take();
    const auto mask = read_flags(argument());
    const auto set = second != nullptr ? read_flags(*second) : std::nullopt;
    if (!mask || !set || (*set & ~*mask) != 0) {
        return complain("--tcp-flags wants the flags to look at, and those of them that are set");
    }
    match_of<PortMatch>().flags = {{*mask, *set}, take_turn()};
}

void IptablesParser::take_icmp_type() {
    auto& match = match_of<IcmpMatch>();
    match.kind.inverted = take_turn();
    const std::string_view text = argument();
    if (text == "any") {
        match.kind.value = {};
        return;
    }
    const auto names = icmp_names_like(text);
    if (names.size() > 1) {
        return complain(fmt::format(
            "Ambiguous ICMP type `{}': `{}' or `{}'?", text, names[0]->name, names[1]->name
        ));
    }
    if (names.size() == 1) {
        match.kind.value = {{names[0]->type, names[0]->type}, names[0]->codes};
        return;
    }
    const size_t slash = text.find('/');
    const auto type = read_number(text.substr(0, slash), 255);
    const auto code =
        slash == std::string_view::npos ? 0 : read_number(text.substr(slash + 1), 255);
    if (!type || !code) {
        return complain(fmt::format("Invalid ICMP type `{}'", text));
    }
    const auto only = [](uint32_t value) {
        return rules::Range<uint8_t>{static_cast<uint8_t>(value), static_cast<uint8_t>(value)};
    };
    match.kind.value.type = only(*type);
    match.kind.value.code =
        slash == std::string_view::npos ? rules::Range<uint8_t>{0, 255} : only(*code);
}

void IptablesParser::take_states() {
    auto& match = match_of<StateMatch>();
    match.states = {{}, take_turn()};
    for (const std::string_view part : parts_of(argument())) {
        const auto found = std::ranges::find(kStateNames, part, &StateName::name);
        if (found == std::end(kStateNames)) {
            return complain(fmt::format("Bad state \"{}\"", part));
        }
        match.states.value.add(static_cast<uint8_t>(found->state));
    }
}

void IptablesParser::take_limit() {
    auto& match = match_of<LimitMatch>();
    want(!take_turn(), "the limit match does not support invert");
    const std::string_view text = argument();
    const size_t slash = text.find('/');
    const auto packets = read_number(text.substr(0, slash), 10000);
    const std::string_view unit =
        slash == std::string_view::npos ? "second" : text.substr(slash + 1);
    const auto found = std::ranges::find_if(kUnits, [unit](const Unit& one) {
        return !unit.empty() && one.name.starts_with(unit);
    });
    if (packets.value_or(0) == 0 || found == std::end(kUnits)) {
        return complain(fmt::format("bad rate \"{}\"", text));
    }
    match.packets = *packets;
    match.period = Seconds{found->seconds};
}

void IptablesParser::take_multiport(rules::Side side) {
    auto& match = match_of<MultiportMatch>();
    match.side = side;
    match.ports = {{}, take_turn()};
    constexpr size_t kMost = 15;
    size_t count = 0;
    for (const std::string_view part : parts_of(argument())) {
        const auto ports = read_ports(part, ':');
        if (!ports || part.empty()) {
            return complain("bad list of ports");
        }
        count += ports->first == ports->last ? 1 : 2;
        match.ports.value.push_back(*ports);
    }
    want(count <= kMost, "too many ports specified");
}

void IptablesParser::take_mark_match() {
    const auto mark = read_mark(argument());
    want(mark.has_value() && (mark->value & ~mark->mask) == 0, "bad --mark");
    match_of<MarkMatch>().mark = {mark.value_or(rules::MarkTest{}), take_turn()};
}

void IptablesParser::take_burst() {
    const auto burst = read_number(argument(), 10000);
    want(burst.value_or(0) != 0, "bad --limit-burst");
    match_of<LimitMatch>().burst = burst.value_or(1);
}

void IptablesParser::take_comment() {
    constexpr size_t kLongest = 255;
    want(argument().size() <= kLongest && is_printable(argument()), "bad --comment");
    match_of<CommentMatch>().text = argument();
}

void IptablesParser::take_target_option(int code) {
    switch (code) {
        case kLogLevel:
            return take_level();
        case kLogPrefix:
            return take_prefix();
        case kRejectWith:
            return take_reject();
        case kToSource:
        case kToDestination:
            return take_nat_address();
        case kToPorts:
            return take_nat_ports();
        case kSetTos:
            return take_tos();
        case kSetDscp:
            return take_dscp();
        default:
            take_mark_target(code == kSetXmark);
    }
}

// "VALUE/MASK", where a value by itself is of all bits.
void IptablesParser::take_tos() {
    const auto tos = read_mark(argument());
    if (!tos || tos->value > 0xff) {
        return complain(fmt::format("bad TOS \"{}\"", argument()));
    }
    const auto mask = static_cast<uint8_t>(tos->mask);
    want(
        (tos->value & ~uint32_t{mask}) == 0,
        "a TOS's bits outside of its mask would be turned round"
    );
    made_.rule.options = TosTarget{static_cast<uint8_t>(tos->value), mask};
}

void IptablesParser::take_dscp() {
    const auto dscp = read_any_base(argument());
    if (!dscp || *dscp > 63) {
        return complain("DSCP `" + argument() + "` out of range");
    }
    made_.rule.options = TosTarget{static_cast<uint8_t>(*dscp << 2), 0xfc};
}

void IptablesParser::take_prefix() {
    constexpr size_t kLongest = 29;
    want(
        argument().size() <= kLongest && is_printable(argument()),
        "Maximum prefix length 29 for --log-prefix"
    );
    std::get<LogTarget>(made_.rule.options).prefix = argument();
}

void IptablesParser::take_reject() {
    const RejectName* name = reject_named(argument());
    if (name == nullptr) {
        return complain(fmt::format("unknown reject type \"{}\"", argument()));
    }
    std::get<RejectTarget>(made_.rule.options).with = name->name;
}

void IptablesParser::take_nat_ports() {
    const auto ports = read_ports(argument(), '-');
    want(ports.value_or(PortRange{}).first != 0, "bad --to-ports");
    std::get<NatTarget>(made_.rule.options).ports = ports.value_or(PortRange{});
}

void IptablesParser::take_level() {
    const auto number = read_number(argument(), 7);
    const auto found = std::ranges::find(kLevelNames, argument(), &LevelName::name);
    if (!number && found == std::end(kLevelNames)) {
        return complain(fmt::format("log-level `{}' unknown", argument()));
    }
    auto& log = std::get<LogTarget>(made_.rule.options);
    log.level = number ? static_cast<uint8_t>(*number) : found->level;
}

// "ADDRESS[-ADDRESS][:PORT[-PORT]]".
void IptablesParser::take_nat_address() {
    auto& nat = std::get<NatTarget>(made_.rule.options);
    const std::string_view text = argument();
    const size_t colon = text.find(':');
    const std::string_view addresses = text.substr(0, colon);
    const size_t dash = addresses.find('-');
    const auto first = read_dotted(addresses.substr(0, dash));
    const auto last =
        dash == std::string_view::npos ? first : read_dotted(addresses.substr(dash + 1));
    if (!first || !last || *last < *first) {
        return complain(fmt::format("Bad IP address \"{}\"", addresses));
    }
    nat.to = {*first, *last};
    if (colon == std::string_view::npos) {
        return;
    }
    const auto ports = read_ports(text.substr(colon + 1), '-');
    want(ports.value_or(PortRange{}).first != 0, "Port range is wrong");
    nat.ports = ports.value_or(PortRange{});
}

void IptablesParser::take_mark_target(bool is_xmark) {
    const auto mark = read_mark(argument());
    if (!mark) {
        return complain("bad mark");
    }
    const uint32_t mask = is_xmark ? mark->mask : mark->mask | mark->value;
    want((mark->value & ~mask) == 0, "a mark's bits outside of its mask would be turned round");
    made_.rule.options = MarkTarget{mark->value & mask, mask};
}

void IptablesParser::finish_matches() {
    want(wanted_.empty(), "a match or target lacks the option that it must have");
}

void IptablesParser::finish_target() {
    const TableRule& rule = made_.rule;
    want(
        made_.table != Table::kNat || rule.target != "DROP",
        "The \"nat\" table is not intended for filtering, the use of DROP is therefore inhibited."
    );
    const bool has_ports = is_of(Protocol::kTcp) || is_of(Protocol::kUdp);
    const auto* nat = std::get_if<NatTarget>(&rule.options);
    want(
        nat == nullptr || nat->ports.first == 0 || has_ports,
        "Need TCP, UDP, SCTP or DCCP with port specification"
    );
    const bool is_one = nat == nullptr || nat->ports.first == nat->ports.last;
    want(
        is_one || (rule.target != "DNAT" && rule.target != "REDIRECT"),
        "the destination's port is one, not a range"
    );
    const auto* reject = std::get_if<RejectTarget>(&rule.options);
    want(
        reject == nullptr || reject->with != "tcp-reset" || is_of(Protocol::kTcp),
        "--reject-with tcp-reset needs `-p tcp'"
    );
}

}  // namespace sekisho::legacy
