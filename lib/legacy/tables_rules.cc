// The filter of Linux 2.4 in the appliance's rule model.
#include <algorithm>
#include <cctype>

#include <fmt/format.h>

#include "base/text.h"
#include "legacy/conditions.h"
#include "legacy/reject_names.h"
#include "legacy/tables.h"
#include "rules/residue.h"

namespace sekisho::legacy {
namespace {

using Conditions = std::vector<rules::Condition>;

struct MatchTranslator {
    Conditions& made;

    void add_ports(rules::Side side, const Maybe<PortRange>& ports) const {
        if (ports.inverted || ports.value != kAnyPort) {
            made.push_back({rules::PortTest{side, {ports.value}, false}, ports.inverted});
        }
    }
    void operator()(const PortMatch& match) const {
        add_ports(rules::Side::kSource, match.source);
        add_ports(rules::Side::kDestination, match.destination);
        if (match.flags) {
            const auto& [flags, inverted] = *match.flags;
            made.push_back({rules::TcpFlagsTest{flags.mask, flags.set, false}, inverted});
        }
    }
    void operator()(const IcmpMatch& match) const {
        made.push_back({rules::IcmpTest{{match.kind.value}, false}, match.kind.inverted});
    }
    void operator()(const StateMatch& match) const {
        made.push_back({rules::StateTest{match.states.value}, match.states.inverted});
    }
    void operator()(const LimitMatch& match) const {
        made.push_back({rules::RateTest{match.packets, match.period, match.burst, 0}, false});
    }
    void operator()(const MultiportMatch& match) const {
        const rules::PortTest test{match.side, match.ports.value, false};
        made.push_back({test, match.ports.inverted});
    }
    void operator()(const MarkMatch& match) const {
        made.push_back({match.mark.value, match.mark.inverted});
    }
    void operator()(const CommentMatch& /*match*/) const {}
    void operator()(const StringMatch& /*match*/) const {}  // pattern_of()
    void add_range(rules::Side side, const std::optional<Maybe<rules::AddressRange>>& range) const {
        if (range) {
            made.push_back({rules::AddressTest{side, {range->value}, {}, {}}, range->inverted});
        }
    }
    void operator()(const RangeMatch& match) const {
        add_range(rules::Side::kSource, match.source);
        add_range(rules::Side::kDestination, match.destination);
    }
    void operator()(const LengthMatch& match) const {
        made.push_back({rules::LengthTest{{match.length.value}}, match.length.inverted});
    }
    void operator()(const TtlMatch& match) const {
        const uint8_t ttl = match.ttl.value;
        switch (match.how.value_or(TtlMatch::How::kEqual)) {
            case TtlMatch::How::kEqual:
                made.push_back({rules::TtlTest{{ttl, ttl}}, match.ttl.inverted});
                return;
            case TtlMatch::How::kMore:  // none is more than 255, or less than 0
                made.push_back({rules::TtlTest{{0, ttl}}, true});
                return;
            case TtlMatch::How::kLess:
                made.push_back({rules::TtlTest{{ttl, 255}}, true});
                return;
        }
    }
    void operator()(const TosMatch& match) const {
        made.push_back({match.tos.value, match.tos.inverted});
    }
};

bool is_plain(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; });
}

// Bytes that no text has, and capitals or not, only an expression says.
rules::Pattern pattern_for(const StringMatch& match) {
    rules::Pattern pattern;
    if (!match.ignores_case && is_plain(match.text.value)) {
        pattern.text = match.text.value;
        return pattern;
    }
    pattern.kind = rules::Pattern::Kind::kRegex;
    pattern.text = match.ignores_case ? "(?i)" : "";
    for (const char c : match.text.value) {
        const auto byte = static_cast<unsigned char>(c);
        pattern.text +=
            std::isalnum(byte) != 0 ? std::string(1, c) : fmt::format("\\x{:02x}", byte);
    }
    return pattern;
}

void add_link(
    Conditions& made, rules::Way way, const Maybe<std::string>& name, const Links& links
) {
    if (!name.value.empty()) {
        made.push_back({rules::LinkTest{way, links_named(links, name.value)}, name.inverted});
    }
}

// A target for each address and port.
Result<rules::Action> translate_dnat(const NatTarget& nat) {
    constexpr uint64_t kMostTargets = 256;
    const uint64_t addresses = uint64_t{nat.to.last.host()} - nat.to.first.host() + 1;
    const uint32_t ports = uint32_t{nat.ports.last} - nat.ports.first + 1;
    if (addresses * ports > kMostTargets) {
        return failure(fmt::format(
            "DNAT goes to {} endpoints at most: found {} addresses with {} ports",
            kMostTargets,
            addresses,
            ports
        ));
    }
    rules::Dnat dnat;
    for (uint32_t i = 0; i < addresses * ports; ++i) {
        const Ipv4Addr address = Ipv4Addr::from_host(nat.to.first.host() + i / ports);
        dnat.targets.push_back({address, static_cast<uint16_t>(nat.ports.first + i % ports), 1});
    }
    return dnat;
}

Result<rules::Action> translate_nat(
    const std::string& target, const NatTarget& nat, const TableContext& context
) {
    if (target == "MASQUERADE") {
        return rules::Masquerade{nat.ports};
    }
    if (target == "REDIRECT") {
        return rules::Redirect{nat.ports.first};
    }
    if (target == "SNAT") {
        const auto pool = context.pool_of ? context.pool_of(nat.to, nat.ports) : std::nullopt;
        if (!pool) {
            return failure(fmt::format(
                "SNAT goes to a pool, and none has just the addresses {} to {}{}",
                nat.to.first,
                nat.to.last,
                nat.ports.first == 0
                    ? ""
                    : fmt::format(" and ports {} to {}", nat.ports.first, nat.ports.last)
            ));
        }
        return rules::Snat{*pool};
    }
    return translate_dnat(nat);
}

Result<rules::Action> translate_target(const TableRule& rule, const TableContext& context) {
    if (rule.target == "ACCEPT") {
        return rules::Accept{};
    }
    if (rule.target == "DROP") {
        return rules::Deny{};
    }
    if (rule.target == "RETURN") {
        return rules::Return{};
    }
    if (rule.target == "NOTRACK") {
        return rules::NoTrack{};
    }
    if (const auto* log = std::get_if<LogTarget>(&rule.options)) {
        return rules::Log{log->level, log->prefix, 0, rules::LogStyle::kIptables};
    }
    if (const auto* mark = std::get_if<MarkTarget>(&rule.options)) {
        return rules::SetMark{mark->mask, mark->value};
    }
    if (const auto* tos = std::get_if<TosTarget>(&rule.options)) {
        return rules::SetTos{static_cast<uint8_t>(~tos->mask), tos->value};
    }
    if (const auto* reject = std::get_if<RejectTarget>(&rule.options)) {
        const RejectName* name = reject_named(reject->with);
        return rules::Reject{name->is_reset, name->code};
    }
    return translate_nat(rule.target, std::get<NatTarget>(rule.options), context);
}

}  // namespace

// The same, or in the place of one that no rule names, or a new one.
Result<rules::PatternId> Tables::pattern_of(const StringMatch& match) {
    if (match.text.value.empty()) {
        return failure("Invalid argument: an empty string");
    }
    if (match.from != 0 || match.to != kEndOfPacket) {
        return failure(
            "string: --from and --to are places in a packet; here a flow's payload is searched, "
            "wherever it is cut"
        );
    }
    if (match.algorithm != "bm" && match.algorithm != "kmp") {
        return failure("No chain/target/match by that name");
    }
    rules::Pattern wanted = pattern_for(match);
    const auto known = std::ranges::find(patterns_, wanted);
    if (known != patterns_.end()) {
        return rules::PatternId{static_cast<uint16_t>(known - patterns_.begin())};
    }
    std::vector<bool> asked = rules::patterns_asked_for(set_);
    const size_t place = static_cast<size_t>(std::ranges::find(asked, false) - asked.begin());
    if (place == rules::PatternSet::kMost) {
        return failure(fmt::format("there is room for {} strings", place));
    }
    patterns_.resize(std::max(patterns_.size(), place + 1));
    patterns_[place] = std::move(wanted);
    return rules::PatternId{static_cast<uint16_t>(place)};
}

Result<void> Tables::translate(const std::vector<Match>& matches, Conditions& made) {
    for (const Match& match : matches) {
        std::visit(MatchTranslator{made}, match);
        const auto* const text = std::get_if<StringMatch>(&match);
        if (text == nullptr) {
            continue;
        }
        const auto pattern = pattern_of(*text);
        if (!pattern) {
            return tl::unexpected(pattern.error());
        }
        made.push_back({rules::PayloadTest{*pattern}, text->text.inverted});
    }
    return {};
}

Result<rules::Rule> Tables::translate(
    Table table, const TableRule& rule, const TableContext& context
) {
    rules::Rule made;
    add_address(made.conditions, rules::Side::kSource, rule.source.value, rule.source.inverted);
    add_address(
        made.conditions,
        rules::Side::kDestination,
        rule.destination.value,
        rule.destination.inverted
    );
    add_protocol(made.conditions, rule.protocol.value, rule.protocol.inverted);
    add_link(made.conditions, rules::Way::kIn, rule.in, context.links);
    add_link(made.conditions, rules::Way::kOut, rule.out, context.links);
    if (rule.fragment) {
        made.conditions.push_back({rules::FragmentTest{false, false, true}, !*rule.fragment});
    }
    if (auto translated = translate(rule.matches, made.conditions); !translated) {
        return tl::unexpected(translated.error());
    }
    if (rule.target.empty()) {
        return made;
    }
    if (!is_table_target(rule.target)) {
        const Chain* chain = find(table, rule.target);
        if (chain == nullptr || chain->is_built_in) {
            return failure("No chain/target/match by that name");
        }
        made.actions.push_back(
            rule.goes ? rules::Action{rules::Goto{chain->id}}
                      : rules::Action{rules::Jump{chain->id}}
        );
        return made;
    }
    auto action = translate_target(rule, context);
    if (!action) {
        return tl::unexpected(action.error());
    }
    made.actions.push_back(*std::move(action));
    return made;
}

}  // namespace sekisho::legacy
