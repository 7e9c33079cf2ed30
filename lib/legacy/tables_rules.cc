// The filter of Linux 2.4 in the appliance's rule model.
#include <fmt/format.h>

#include "base/text.h"
#include "legacy/conditions.h"
#include "legacy/reject_names.h"
#include "legacy/tables.h"

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
};

void add_link(
    Conditions& made, rules::Way way, const Maybe<std::string>& name, const Links& links
) {
    if (!name.value.empty()) {
        made.push_back({rules::LinkTest{way, links_named(links, name.value)}, name.inverted});
    }
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
        const auto pool = context.pool_of ? context.pool_of(nat.to) : std::nullopt;
        if (!pool) {
            return failure(fmt::format(
                "SNAT goes to a pool, and none has just the addresses {} to {}",
                nat.to.first,
                nat.to.last
            ));
        }
        return rules::Snat{*pool};
    }
    constexpr uint32_t kMostTargets = 256;
    const uint32_t first = nat.to.first.host();
    if (nat.to.last.host() - first >= kMostTargets) {
        return failure(fmt::format("DNAT goes to {} addresses at most", kMostTargets));
    }
    rules::Dnat dnat;
    for (uint32_t i = 0; i <= nat.to.last.host() - first; ++i) {
        dnat.targets.push_back({Ipv4Addr::from_host(first + i), nat.ports.first, 1});
    }
    return dnat;
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

Result<rules::Rule> Tables::translate(
    Table table, const TableRule& rule, const TableContext& context
) const {
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
    for (const Match& match : rule.matches) {
        std::visit(MatchTranslator{made.conditions}, match);
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
