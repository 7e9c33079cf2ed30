#include "legacy/iptables_text.h"

#include <algorithm>
#include <cctype>

#include <fmt/format.h>

#include "base/text.h"
#include "legacy/icmp_names.h"
#include "legacy/iptables_words.h"

namespace sekisho::legacy {
namespace {

constexpr uint8_t kTcp = static_cast<uint8_t>(Protocol::kTcp);

const char* turned(bool inverted) {
    return inverted ? "! " : "";
}

std::string range_text(const PortRange& ports, char between) {
    return ports.first == ports.last ? fmt::format("{}", ports.first)
                                     : fmt::format("{}{}{}", ports.first, between, ports.last);
}

std::string flags_text(uint8_t flags) {
    std::string text;
    for (const auto& [name, flag] : kFlagNames) {
        if ((flags & flag) != 0) {
            text += fmt::format("{}{}", text.empty() ? "" : ",", name);
        }
    }
    return text.empty() ? "NONE" : text;
}

std::string states_text(const rules::ByteSet& states) {
    std::string text;
    for (const auto& [name, state] : kStateNames) {
        if (states.has(static_cast<uint8_t>(state))) {
            text += fmt::format("{}{}", text.empty() ? "" : ",", name);
        }
    }
    return text;
}

std::string list_text(const std::vector<PortRange>& ranges) {
    std::string text;
    for (const PortRange& range : ranges) {
        text += (text.empty() ? "" : ",") + range_text(range, ':');
    }
    return text;
}

std::string mark_text(uint32_t value, uint32_t mask) {
    return mask == 0xffffffff ? fmt::format("0x{:x}", value)
                              : fmt::format("0x{:x}/0x{:x}", value, mask);
}

std::string limit_text(const LimitMatch& match) {
    const auto unit = std::ranges::find(kUnits, match.period.value, &Unit::seconds);
    return fmt::format("{}/{}", match.packets, unit == std::end(kUnits) ? "sec" : unit->shown);
}

const char* side_name(rules::Side side) {
    switch (side) {
        case rules::Side::kSource:
            return "sports";
        case rules::Side::kDestination:
            return "dports";
        case rules::Side::kEither:
            break;
    }
    return "ports";
}

std::string icmp_text(const rules::IcmpKind& kind) {
    if (kind == rules::IcmpKind{}) {
        return "any";
    }
    return kind.code.first == kind.code.last
               ? fmt::format("{}/{}", kind.type.first, kind.code.first)
               : fmt::format("{}", kind.type.first);
}

// In quotes; bytes that are no characters as hexadecimal ones.
bool has_bytes(const std::string& text) {
    return !std::ranges::all_of(text, [](unsigned char c) { return c >= ' ' && c < 0x7f; });
}
std::string string_text(const std::string& text) {
    std::string made = has_bytes(text) ? "\"|" : "\"";
    for (const char c : text) {
        if (has_bytes(text)) {
            made += fmt::format("{:02x}", static_cast<unsigned char>(c));
            continue;
        }
        made += c == '"' || c == '\\' ? "\\" : "";
        made += c;
    }
    return made + (has_bytes(text) ? "|\"" : "\"");
}

struct OptionText {
    uint8_t protocol;

    std::string operator()(const PortMatch& match) const {
        std::string text = protocol == kTcp ? " -m tcp" : " -m udp";
        const auto add = [&text](const Maybe<PortRange>& ports, const char* option) {
            if (ports.inverted || ports.value != kAnyPort) {
                text += fmt::format(
                    " {}{} {}", turned(ports.inverted), option, range_text(ports.value, ':')
                );
            }
        };
        add(match.source, "--sport");
        add(match.destination, "--dport");
        if (match.flags) {
            const auto& [flags, inverted] = *match.flags;
            text += fmt::format(
                " {}--tcp-flags {} {}",
                turned(inverted),
                flags_text(flags.mask),
                flags_text(flags.set)
            );
        }
        return text;
    }
    std::string operator()(const IcmpMatch& match) const {
        return fmt::format(
            " -m icmp {}--icmp-type {}", turned(match.kind.inverted), icmp_text(match.kind.value)
        );
    }
    std::string operator()(const StateMatch& match) const {
        return fmt::format(
            " -m {} {}--{} {}",
            match.is_conntrack ? "conntrack" : "state",
            turned(match.states.inverted),
            match.is_conntrack ? "ctstate" : "state",
            states_text(match.states.value)
        );
    }
    std::string operator()(const LimitMatch& match) const {
        std::string text = " -m limit --limit " + limit_text(match);
        return match.burst == 5 ? text : text + fmt::format(" --limit-burst {}", match.burst);
    }
    std::string operator()(const MultiportMatch& match) const {
        return fmt::format(
            " -m multiport {}--{} {}",
            turned(match.ports.inverted),
            side_name(match.side),
            list_text(match.ports.value)
        );
    }
    std::string operator()(const MarkMatch& match) const {
        const rules::MarkTest& mark = match.mark.value;
        return fmt::format(
            " -m mark {}--mark {}", turned(match.mark.inverted), mark_text(mark.value, mark.mask)
        );
    }
    std::string operator()(const RangeMatch& match) const {
        std::string text = " -m iprange";
        const auto add = [&text](const auto& range, const char* option) {
            text += range ? fmt::format(
                                " {}{} {}-{}",
                                turned(range->inverted),
                                option,
                                range->value.first,
                                range->value.last
                            )
                          : "";
        };
        add(match.source, "--src-range");
        add(match.destination, "--dst-range");
        return text;
    }
    std::string operator()(const LengthMatch& match) const {
        return fmt::format(
            " -m length {}--length {}",
            turned(match.length.inverted),
            range_text(match.length.value, ':')
        );
    }
    std::string operator()(const TtlMatch& match) const {
        constexpr const char* kOptions[] = {"eq", "gt", "lt"};
        return fmt::format(
            " -m ttl {}--ttl-{} {}",
            turned(match.ttl.inverted),
            kOptions[static_cast<size_t>(match.how.value_or(TtlMatch::How::kEqual))],
            match.ttl.value
        );
    }
    std::string operator()(const TosMatch& match) const {
        const rules::TosTest& tos = match.tos.value;
        return fmt::format(
            " -m tos {}--tos 0x{:02x}/0x{:02x}", turned(match.tos.inverted), tos.value, tos.mask
        );
    }
    std::string operator()(const StringMatch& match) const {
        const std::string& text = match.text.value;
        return fmt::format(
            " -m string {}--{} {} --algo {}{}",
            turned(match.text.inverted),
            has_bytes(text) ? "hex-string" : "string",
            string_text(text),
            match.algorithm,
            match.ignores_case ? " --icase" : ""
        );
    }
    std::string operator()(const CommentMatch& match) const {
        return " -m comment --comment " + quoted(match.text);
    }
};

struct ShownText {
    uint8_t protocol;
    const Names& names;
    bool numeric;

    std::string port(uint16_t number) const {
        if (!numeric) {
            const auto name =
                names.service_at(number, protocol == kTcp ? Protocol::kTcp : Protocol::kUdp);
            if (name) {
                return *name;
            }
        }
        return fmt::format("{}", number);
    }
    std::string ports(const Maybe<PortRange>& ports, const char* what) const {
        const auto& [range, inverted] = ports;
        if (!inverted && range == kAnyPort) {
            return "";
        }
        const char* sign = inverted ? "!" : "";
        if (range.first == range.last) {
            return fmt::format(" {}:{}{}", what, sign, port(range.first));
        }
        return fmt::format(" {}s:{}{}:{}", what, sign, port(range.first), port(range.last));
    }

    std::string operator()(const PortMatch& match) const {
        std::string text = protocol == kTcp ? " tcp" : " udp";
        text += ports(match.source, "spt") + ports(match.destination, "dpt");
        if (match.flags) {
            const auto& [flags, inverted] = *match.flags;
            const char* sign = inverted ? "!" : "";
            text += numeric
                        ? fmt::format(" flags:{}0x{:02X}/0x{:02X}", sign, flags.mask, flags.set)
                        : fmt::format(
                              " flags:{}{}/{}", sign, flags_text(flags.mask), flags_text(flags.set)
                          );
        }
        return text;
    }
    std::string operator()(const IcmpMatch& match) const {
        const rules::IcmpKind& kind = match.kind.value;
        const char* sign = match.kind.inverted ? "!" : "";
        const auto widen = [](const rules::Range<uint8_t>& range) {
            return rules::Range<uint16_t>{range.first, range.last};
        };
        const IcmpName* name = numeric ? nullptr : icmp_name_of(widen(kind.type), widen(kind.code));
        if (name != nullptr) {
            return fmt::format(" icmp {}{}", sign, name->name);
        }
        if (kind == rules::IcmpKind{}) {
            return fmt::format(" icmp {}any", sign);
        }
        std::string text = fmt::format(" icmptype {}{}", sign, kind.type.first);
        return kind.code.first == kind.code.last ? text + fmt::format(" code {}", kind.code.first)
                                                 : text;
    }
    std::string operator()(const StateMatch& match) const {
        return fmt::format(
            " {}{} {}",
            match.states.inverted ? "! " : "",
            match.is_conntrack ? "ctstate" : "state",
            states_text(match.states.value)
        );
    }
    std::string operator()(const LimitMatch& match) const {
        return fmt::format(" limit: avg {} burst {}", limit_text(match), match.burst);
    }
    std::string operator()(const MultiportMatch& match) const {
        return fmt::format(
            " multiport {} {}{}",
            side_name(match.side),
            match.ports.inverted ? "!" : "",
            list_text(match.ports.value)
        );
    }
    std::string operator()(const MarkMatch& match) const {
        const rules::MarkTest& mark = match.mark.value;
        return fmt::format(
            " mark match {}{}", match.mark.inverted ? "!" : "", mark_text(mark.value, mark.mask)
        );
    }
    std::string operator()(const RangeMatch& match) const {
        const auto shown = [](const auto& range, const char* side) {
            return range ? fmt::format(
                               " {} IP range {}{}-{}",
                               side,
                               turned(range->inverted),
                               range->value.first,
                               range->value.last
                           )
                         : "";
        };
        return shown(match.source, "source") + shown(match.destination, "destination");
    }
    std::string operator()(const LengthMatch& match) const {
        return fmt::format(
            " length {}{}", match.length.inverted ? "!" : "", range_text(match.length.value, ':')
        );
    }
    std::string operator()(const TtlMatch& match) const {
        constexpr const char* kSigns[] = {"==", ">", "<"};
        const char* const sign =
            kSigns[static_cast<size_t>(match.how.value_or(TtlMatch::How::kEqual))];
        return fmt::format(
            " TTL match TTL {} {}", match.ttl.inverted ? "!=" : sign, match.ttl.value
        );
    }
    std::string operator()(const TosMatch& match) const {
        const rules::TosTest& tos = match.tos.value;
        const auto name = std::ranges::find(kTosNames, tos.value, &TosName::value);
        if (!numeric && tos.mask == kNamedTosMask && name != std::end(kTosNames)) {
            return fmt::format(" tos match{} {}", match.tos.inverted ? "!" : "", name->name);
        }
        return fmt::format(
            " tos match{}0x{:02x}/0x{:02x}", match.tos.inverted ? "!" : "", tos.value, tos.mask
        );
    }
    std::string operator()(const StringMatch& match) const {
        return fmt::format(
            " STRING match {} {} ALGO name {}{}",
            match.text.inverted ? "!" : "",
            string_text(match.text.value),
            match.algorithm,
            match.ignores_case ? " ICASE" : ""
        );
    }
    std::string operator()(const CommentMatch& match) const {
        return fmt::format(" /* {} */", match.text);
    }
};

std::string nat_text(const NatTarget& nat) {
    std::string text = base::to_text(nat.to.first);
    text += nat.to.last == nat.to.first ? "" : "-" + base::to_text(nat.to.last);
    return nat.ports.first == 0 ? text : text + ":" + range_text(nat.ports, '-');
}

}  // namespace

std::string quoted(const std::string& text) {
    const auto is_plain = [](unsigned char c) {
        return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.' || c == ':' || c == '/';
    };
    if (!text.empty() && std::ranges::all_of(text, is_plain) && text[0] != '-') {
        return text;
    }
    std::string made = "\"";
    for (const char c : text) {
        made += c == '"' || c == '\\' || c == '\'' ? "\\" : "";
        made += c;
    }
    return made + "\"";
}

std::string option_text(const Match& match, uint8_t protocol) {
    return std::visit(OptionText{protocol}, match);
}

std::string option_text(const TableRule& rule) {
    if (const auto* log = std::get_if<LogTarget>(&rule.options)) {
        std::string text = log->prefix.empty() ? "" : " --log-prefix " + quoted(log->prefix);
        return log->level == 4 ? text : text + fmt::format(" --log-level {}", log->level);
    }
    if (const auto* reject = std::get_if<RejectTarget>(&rule.options)) {
        return " --reject-with " + reject->with;
    }
    if (const auto* mark = std::get_if<MarkTarget>(&rule.options)) {
        return fmt::format(" --set-xmark 0x{:x}/0x{:x}", mark->value, mark->mask);
    }
    if (const auto* tos = std::get_if<TosTarget>(&rule.options)) {
        return rule.target == "TOS"
                   ? fmt::format(" --set-tos 0x{:02x}/0x{:02x}", tos->value, tos->mask)
                   : fmt::format(" --set-dscp 0x{:02x}", tos->value >> 2);
    }
    const auto* nat = std::get_if<NatTarget>(&rule.options);
    if (nat == nullptr) {
        return "";
    }
    if (rule.target == "SNAT" || rule.target == "DNAT") {
        return fmt::format(
            " --to-{} {}", rule.target == "SNAT" ? "source" : "destination", nat_text(*nat)
        );
    }
    return nat->ports.first == 0 ? "" : " --to-ports " + range_text(nat->ports, '-');
}

std::string shown_text(const Match& match, uint8_t protocol, const Names& names, bool numeric) {
    return std::visit(ShownText{protocol, names, numeric}, match);
}

std::string shown_text(const TableRule& rule) {
    if (const auto* log = std::get_if<LogTarget>(&rule.options)) {
        const auto level = std::ranges::find(kLevelNames, log->level, &LevelName::level);
        const std::string text = fmt::format(" LOG level {}", level->name);
        return log->prefix.empty() ? text : text + fmt::format(" prefix \"{}\"", log->prefix);
    }
    if (const auto* reject = std::get_if<RejectTarget>(&rule.options)) {
        return " reject-with " + reject->with;
    }
    if (const auto* mark = std::get_if<MarkTarget>(&rule.options)) {
        return mark->mask == 0xffffffff
                   ? fmt::format(" MARK set 0x{:x}", mark->value)
                   : fmt::format(" MARK xset 0x{:x}/0x{:x}", mark->value, mark->mask);
    }
    if (const auto* tos = std::get_if<TosTarget>(&rule.options)) {
        return rule.target == "TOS"
                   ? fmt::format(" TOS set 0x{:02x}/0x{:02x}", tos->value, tos->mask)
                   : fmt::format(" DSCP set 0x{:02x}", tos->value >> 2);
    }
    const auto* nat = std::get_if<NatTarget>(&rule.options);
    if (nat == nullptr) {
        return "";
    }
    if (rule.target == "SNAT" || rule.target == "DNAT") {
        return " to:" + nat_text(*nat);
    }
    if (nat->ports.first == 0) {
        return "";
    }
    return (rule.target == "REDIRECT" ? " redir ports " : " masq ports: ") +
           range_text(nat->ports, '-');
}

}  // namespace sekisho::legacy
