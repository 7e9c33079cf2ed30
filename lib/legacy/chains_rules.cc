// The filter of Linux 2.2 in the appliance's rule model.
#include <algorithm>

#include "legacy/chains.h"
#include "legacy/conditions.h"

namespace sekisho::legacy {
namespace {

constexpr uint8_t kEcn = 0x03;

std::vector<rules::Range<uint8_t>> clipped(const PortRange& range) {
    if (range.first > 255) {
        return {};
    }
    return {
        {static_cast<uint8_t>(range.first),
         static_cast<uint8_t>(std::min<uint16_t>(range.last, 255))}};
}

class Translator {
  public:
    Translator(ChainPoint point, const ChainRule& rule, const Links& links)
        : point_(point), rule_(rule), links_(links) {}

    // All but what its target does.
    rules::Rule translate() {
        const auto& [source, destination] = std::tie(rule_.source, rule_.destination);
        add_address(made_.conditions, rules::Side::kSource, source.value, source.inverted);
        add_address(
            made_.conditions, rules::Side::kDestination, destination.value, destination.inverted
        );
        add_the_protocol();
        if (rule_.protocol.value == static_cast<uint8_t>(Protocol::kIcmp)) {
            add_icmp();
        } else {
            add_ports(rules::Side::kSource, rule_.source_ports);
            add_ports(rules::Side::kDestination, rule_.destination_ports);
        }
        if (rule_.syn) {  // LEGACY C3
            constexpr uint8_t kMask = rules::kSyn | rules::kAck | rules::kRst;
            add(rules::TcpFlagsTest{kMask, rules::kSyn, false}, !*rule_.syn);
        }
        if (rule_.fragment) {
            add(rules::FragmentTest{false, false, true}, !*rule_.fragment);
        }
        if (!rule_.via.value.empty()) {
            const rules::Way way =
                point_ == ChainPoint::kInput ? rules::Way::kIn : rules::Way::kOut;
            add(rules::LinkTest{way, links_named(links_, rule_.via.value)}, rule_.via.inverted);
        }
        add_effects();
        return std::move(made_);
    }

  private:
    void add(rules::Test test, bool negated) {
        made_.conditions.push_back({std::move(test), negated});
    }

    void add_the_protocol() {
        const auto& [number, inverted] = rule_.protocol;
        if (number > 255) {
            add(rules::ProtocolTest{}, inverted);
        } else {
            add_protocol(made_.conditions, static_cast<uint8_t>(number), inverted);
        }
    }

    // A rule that names ports has none of what shows no ports (C4).
    void add_ports(rules::Side side, const Maybe<PortRange>& ports) {
        if (ports.inverted || ports.value != kAnyPort) {
            add(rules::PortTest{side, {ports.value}, false}, ports.inverted);
        }
    }

    void add_icmp() {
        if (rule_.source_ports.inverted || rule_.source_ports.value != kAnyPort) {
            rules::IcmpTest test;
            for (const auto& types : clipped(rule_.source_ports.value)) {
                test.kinds.push_back({types, {0, 255}});
            }
            add(std::move(test), rule_.source_ports.inverted);
        }
        if (rule_.destination_ports.inverted || rule_.destination_ports.value != kAnyPort) {
            rules::IcmpTest test;
            for (const auto& codes : clipped(rule_.destination_ports.value)) {
                test.kinds.push_back({{0, 255}, codes});
            }
            add(std::move(test), rule_.destination_ports.inverted);
        }
    }

    // Done at each match, whatever the target (C2, C13).
    void add_effects() {
        if (rule_.log) {
            made_.actions.emplace_back(rules::Log{6, "", 0, rules::LogStyle::kIpchains});
        }
        const auto keep = static_cast<uint8_t>(rule_.tos_and | kEcn);
        const auto flip = static_cast<uint8_t>(rule_.tos_xor & ~kEcn);
        if (keep != 0xff || flip != 0) {
            made_.actions.emplace_back(rules::SetTos{keep, flip});
        }
        if (rule_.mark) {
            made_.actions.emplace_back(rules::SetMark{0xffffffff, *rule_.mark});
        }
    }

    ChainPoint point_;
    const ChainRule& rule_;
    const Links& links_;
    rules::Rule made_;
};

rules::Action translate_target(ChainPoint point, const ChainRule& rule) {
    constexpr uint8_t kHostUnreachable = 1;
    constexpr uint8_t kPortUnreachable = 3;
    const bool is_input = point == ChainPoint::kInput;
    if (rule.target == "DENY") {
        return rules::Deny{};
    }
    if (rule.target == "REJECT") {  // C15
        return rules::Reject{false, is_input ? kPortUnreachable : kHostUnreachable};
    }
    if (rule.target == "RETURN") {
        return rules::Return{};
    }
    if (rule.target == "MASQ" && point == ChainPoint::kForward) {
        return rules::Masquerade{};
    }
    if (rule.target == "REDIRECT" && is_input) {
        return rules::Redirect{rule.redirect};
    }
    return rules::Accept{};
}

}  // namespace

Result<rules::Rule> Chains::translate(ChainPoint point, const ChainRule& rule, const Links& links)
    const {
    rules::Rule made = Translator(point, rule, links).translate();
    if (rule.target.empty()) {
        return made;
    }
    if (is_own_target(rule.target)) {
        made.actions.push_back(translate_target(point, rule));
        return made;
    }
    const Chain* chain = find(rule.target);
    if (chain == nullptr || chain->point) {
        return failure("No target by that name");
    }
    made.actions.emplace_back(rules::Jump{chain->at[static_cast<size_t>(point)]});
    return made;
}

}  // namespace sekisho::legacy
