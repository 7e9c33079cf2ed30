// The grammar of iptables: what -m and -j bring along, and the targets' options; those of matches are in iptables_matches.cc.
#include <algorithm>

#include <fmt/format.h>

#include "legacy/iptables_options.h"
#include "legacy/iptables_parser.h"
#include "legacy/iptables_words.h"
#include "legacy/reject_names.h"

namespace sekisho::legacy {
namespace {

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
constexpr LongOption kRangeOptions[] = {
    {"src-range", kSourceRange, Takes::kWord}, {"dst-range", kDestinationRange, Takes::kWord}};
constexpr LongOption kLengthOptions[] = {{"length", kLength, Takes::kWord}};
constexpr LongOption kTtlOptions[] = {
    {"ttl-eq", kTtlEqual, Takes::kWord},
    {"ttl", kTtlEqual, Takes::kWord},
    {"ttl-gt", kTtlMore, Takes::kWord},
    {"ttl-lt", kTtlLess, Takes::kWord}};
constexpr LongOption kTosMatchOptions[] = {{"tos", kTos, Takes::kWord}};
constexpr LongOption kStringOptions[] = {
    {"string", kString, Takes::kWord},
    {"hex-string", kHexString, Takes::kWord},
    {"algo", kAlgorithm, Takes::kWord},
    {"from", kStringFrom, Takes::kWord},
    {"to", kStringTo, Takes::kWord},
    {"icase", kIgnoreCase, Takes::kNothing}};
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
        {"comment", kCommentOptions, CommentMatch{}, kComment},
        {"iprange", kRangeOptions, RangeMatch{}, kSourceRange},
        {"length", kLengthOptions, LengthMatch{}, kLength},
        {"ttl", kTtlOptions, TtlMatch{}, kTtlEqual},
        {"tos", kTosMatchOptions, TosMatch{}, kTos},
        {"string", kStringOptions, StringMatch{}, kString}};
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

void IptablesParser::take_extension(int code) {
    std::erase_if(wanted_, [code](int wanted) {
        const bool is_ports =
            code == kSourcePorts || code == kDestinationPorts || code == kEitherPorts;
        return wanted == code || (wanted == kEitherPorts && is_ports) ||
               (wanted == kSetMark && code == kSetXmark) ||
               (wanted == kSourceRange && code == kDestinationRange) ||
               (wanted == kString && code == kHexString) ||
               (wanted == kTtlEqual && (code == kTtlMore || code == kTtlLess));
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
    const auto range = read_range(addresses);
    if (!range) {
        return complain(fmt::format("Bad IP address \"{}\"", addresses));
    }
    nat.to = *range;
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
        is_one || rule.target != "REDIRECT", "the port of the appliance itself is one, not a range"
    );
    const auto* reject = std::get_if<RejectTarget>(&rule.options);
    want(
        reject == nullptr || reject->with != "tcp-reset" || is_of(Protocol::kTcp),
        "--reject-with tcp-reset needs `-p tcp'"
    );
}

}  // namespace sekisho::legacy
