// The grammar of iptables: the options of its matches.
#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "legacy/icmp_names.h"
#include "legacy/iptables_options.h"
#include "legacy/iptables_parser.h"
#include "legacy/iptables_words.h"

namespace sekisho::legacy {
namespace {

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

std::optional<uint8_t> hex_byte(std::string_view digits) {
    uint8_t byte = 0;
    const char* const end = digits.data() + digits.size();
    const auto [stop, error] = std::from_chars(digits.data(), end, byte, 16);
    const bool is_byte = digits.size() == 2 && error == std::errc{} && stop == end;
    return is_byte ? std::optional(byte) : std::nullopt;
}

// "16 03|0a": pairs of digits, with or without spaces between them, up to the bar, which is taken too.
Result<std::string> take_hex_block(std::string_view& text) {
    const size_t end = text.find('|');
    if (end == std::string_view::npos || end == 0) {
        return failure("Invalid hex block");
    }
    std::string_view block = text.substr(0, end);
    text.remove_prefix(end + 1);
    std::string bytes;
    while (!block.empty()) {
        if (block.front() == ' ') {
            block.remove_prefix(1);
            continue;
        }
        const auto byte = hex_byte(block.substr(0, 2));
        if (!byte) {
            return failure(fmt::format("Invalid hex block `{}'", block.substr(0, 2)));
        }
        bytes += static_cast<char>(*byte);
        block.remove_prefix(2);
    }
    return bytes;
}

// A byte as it is, or the one behind a backslash.
Result<std::string> take_literal(std::string_view& text) {
    text.remove_prefix(text.front() == '\\' ? 1 : 0);
    if (text.empty()) {
        return failure("Bad literal placement at end of string");
    }
    std::string byte(1, text.front());
    text.remove_prefix(1);
    return byte;
}

// Bytes, and hexadecimal ones between bars.
Result<std::string> read_hex_string(std::string_view text) {
    std::string bytes;
    while (!text.empty()) {
        const bool is_block = text.front() == '|';
        text.remove_prefix(is_block ? 1 : 0);
        auto part = is_block ? take_hex_block(text) : take_literal(text);
        if (!part) {
            return part;
        }
        bytes += *part;
    }
    return bytes;
}

}  // namespace

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

std::optional<rules::MarkTest> read_mark(std::string_view text) {
    const size_t slash = text.find('/');
    const auto value = read_any_base(text.substr(0, slash));
    const auto mask = slash == std::string_view::npos ? std::optional(0xffffffffU)
                                                      : read_any_base(text.substr(slash + 1));
    return value && mask ? std::optional(rules::MarkTest{*mask, *value}) : std::nullopt;
}

std::optional<rules::AddressRange> read_range(std::string_view text) {
    const size_t dash = text.find('-');
    const auto first = read_dotted(text.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : read_dotted(text.substr(dash + 1));
    const bool is_range = first && last && first->host() <= last->host();
    return is_range ? std::optional(rules::AddressRange{*first, *last}) : std::nullopt;
}

bool is_printable(std::string_view text) {
    return std::ranges::all_of(text, [](unsigned char c) { return c >= ' ' && c != 0x7f; });
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
        case kSourceRange:
        case kDestinationRange:
            return take_range(code == kSourceRange);
        case kLength:
            return take_length();
        case kTos:
            return take_tos_match();
        case kTtlEqual:
        case kTtlMore:
        case kTtlLess:
            return take_ttl(code);
        default:
            take_string_option(code);
    }
}

void IptablesParser::take_string_option(int code) {
    auto& match = match_of<StringMatch>();
    switch (code) {
        case kString:
        case kHexString:
            return take_string(match, code == kHexString);
        case kAlgorithm:
            match.algorithm = argument();
            return;
        case kStringFrom:
            match.from = take_position("--from");
            return;
        case kStringTo:
            match.to = take_position("--to");
            return;
        case kIgnoreCase:
            match.ignores_case = true;
            return;
        default:
            complain("unknown option");
    }
}

void IptablesParser::take_string(StringMatch& match, bool is_hex) {
    constexpr size_t kLongest = 128;
    want(
        match.text.value.empty(),
        "string: option \"--string\" cannot be used together with \"--hex-string\""
    );
    const auto text = is_hex ? read_hex_string(argument()) : Result<std::string>(argument());
    if (!text) {
        return complain(text.error().message);
    }
    if (text->size() > kLongest) {
        return complain(fmt::format("STRING too long \"{}\"", argument()));
    }
    match.text = {*text, take_turn()};
}

uint16_t IptablesParser::take_position(const char* option) {
    const auto position = read_number(argument(), 65535);
    if (!position) {
        complain(
            fmt::format("string: bad value for option \"{}\", or out of range (0-65535)", option)
        );
    }
    return static_cast<uint16_t>(position.value_or(0));
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

void IptablesParser::take_range(bool is_source) {
    const auto range = read_range(argument());
    if (!range) {
        return complain("an address, or two with - between them, the lower one first, is wanted");
    }
    auto& match = match_of<RangeMatch>();
    (is_source ? match.source : match.destination) = {*range, take_turn()};
}

// "LEAST:MOST", of which either may be left out, or one number.
void IptablesParser::take_length() {
    auto& match = match_of<LengthMatch>();
    const std::string_view text = argument();
    const size_t colon = text.find(':');
    const std::string_view first = text.substr(0, colon);
    const std::string_view last = colon == std::string_view::npos ? first : text.substr(colon + 1);
    const bool has_colon = colon != std::string_view::npos;
    const auto least = has_colon && first.empty() ? std::optional(0U) : read_number(first, 65535);
    const auto most = has_colon && last.empty() ? std::optional(65535U) : read_number(last, 65535);
    if (!least || !most || *least > *most) {
        return complain(
            fmt::format("length: bad value `{}', wanted 0 to 65535, the lower one first", text)
        );
    }
    match.length = {{static_cast<uint16_t>(*least), static_cast<uint16_t>(*most)}, take_turn()};
}

void IptablesParser::take_ttl(int code) {
    const bool turned = take_turn();
    want(!turned || code == kTtlEqual, "ttl: --ttl-gt and --ttl-lt cannot be inverted");
    const auto number = read_number(argument(), 255);
    if (!number) {
        return complain(fmt::format("ttl: bad value `{}', wanted 0 to 255", argument()));
    }
    const auto how = code == kTtlEqual  ? TtlMatch::How::kEqual
                     : code == kTtlMore ? TtlMatch::How::kMore
                                        : TtlMatch::How::kLess;
    auto& match = match_of<TtlMatch>();
    want(!match.how || match.how == how, "ttl: --ttl-eq, --ttl-gt and --ttl-lt stand alone");
    match = {{static_cast<uint8_t>(*number), turned}, how};
}

// "VALUE/MASK", a value of all bits, or a name, which leaves out the two lowest.
void IptablesParser::take_tos_match() {
    auto& match = match_of<TosMatch>();
    const auto name = std::ranges::find(kTosNames, argument(), &TosName::name);
    if (name != std::end(kTosNames)) {
        match.tos = {{kNamedTosMask, name->value}, take_turn()};
        return;
    }
    const auto tos = read_mark(argument());
    const bool has_mask = argument().find('/') != std::string::npos;
    if (!tos || tos->value > 0xff || (has_mask && tos->mask > 0xff)) {
        return complain(fmt::format("Symbolic name or value \"{}\" of a TOS is unknown", argument())
        );
    }
    match.tos = {{static_cast<uint8_t>(tos->mask), static_cast<uint8_t>(tos->value)}, take_turn()};
}

}  // namespace sekisho::legacy
