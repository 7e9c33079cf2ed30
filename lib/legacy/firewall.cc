#include "legacy/firewall.h"

#include <algorithm>
#include <tuple>

namespace sekisho::legacy {
namespace {

struct Built {
    Point point;
    const char* name;
    rules::Hook hook;
};
constexpr std::array<Built, kPoints> kBuiltIn = {{
    {Point::kInput, "input", rules::Hook::kIngress},
    {Point::kOutput, "output", rules::Hook::kEgress},
    {Point::kForward, "forward", rules::Hook::kForward},
    {Point::kAccounting, "accounting", rules::Hook::kAccounting},
}};

// LEGACY S10.
rules::Rule pass_of_later_fragments() {
    rules::Rule rule;
    rule.conditions = {
        {rules::FragmentTest{false, false, true}},
        {rules::ProtocolTest{rules::ByteSet::of(Protocol::kTcp, Protocol::kUdp, Protocol::kIcmp)}}};
    rule.actions = {rules::Accept{}};
    return rule;
}

}  // namespace

const char* name_of(Point point) {
    return kBuiltIn[static_cast<size_t>(point)].name;
}

const char* name_of(FirewallPolicy policy) {
    switch (policy) {
        case FirewallPolicy::kAccept:
            return "accept";
        case FirewallPolicy::kMasquerade:
            return "accept/masquerade";
        case FirewallPolicy::kDeny:
            return "deny";
        case FirewallPolicy::kReject:
            break;
    }
    return "reject";
}

const char* name_of(AccountingSide side) {
    switch (side) {
        case AccountingSide::kIn:
            return "in";
        case AccountingSide::kOut:
            return "out";
        case AccountingSide::kBoth:
            break;
    }
    return "both";
}

const char* name_of(FirewallProtocol protocol) {
    constexpr const char* kNames[] = {"all", "tcp", "udp", "icmp"};
    return kNames[static_cast<size_t>(protocol)];
}

bool PortList::has(uint16_t port) const {
    return (range && range->has(port)) || std::ranges::find(ports, port) != ports.end();
}

bool FirewallRule::is_for_the_same(const FirewallRule& other) const {
    FirewallRule as_other = *this;
    as_other.tos_and = other.tos_and;
    as_other.tos_xor = other.tos_xor;
    return as_other == other;
}

// A fresh rule set takes these chains and rules, so no result is looked at.
Firewall::Firewall() {
    for (const auto& [point, name, hook] : kBuiltIn) {
        Chain& chain = at(point);
        chain.chain = set_.add_built_in(name, hook, 0, rules::Accept{}).value();
        if (point != Point::kAccounting) {
            (void)set_.append(chain.chain, pass_of_later_fragments());
            chain.before = 1;
        }
    }
}

Result<void> Firewall::add(Point point, End end, const FirewallRule& rule, const Links& links) {
    Chain& chain = at(point);
    auto translated = translate(point, rule, links);
    if (!translated) {
        return tl::unexpected(translated.error());
    }
    const size_t index = end == End::kFirst ? 0 : chain.entries.size();
    const auto id = set_.insert(chain.chain, chain.before + index, *std::move(translated));
    if (!id) {
        return tl::unexpected(id.error());
    }
    const auto place = chain.entries.begin() + static_cast<std::ptrdiff_t>(index);
    chain.entries.insert(place, {rule, *id, {}});
    return {};
}

bool Firewall::remove(Point point, const FirewallRule& rule) {
    Chain& chain = at(point);
    const auto found = std::ranges::find_if(chain.entries, [&rule](const Entry& entry) {
        return entry.rule.is_for_the_same(rule);
    });
    if (found == chain.entries.end()) {
        return false;
    }
    const auto index = static_cast<size_t>(found - chain.entries.begin());
    (void)set_.remove(chain.chain, chain.before + index);
    chain.entries.erase(found);
    return true;
}

void Firewall::flush(Point point) {
    Chain& chain = at(point);
    while (!chain.entries.empty()) {
        (void)set_.remove(chain.chain, chain.before + chain.entries.size() - 1);
        chain.entries.pop_back();
    }
}

Result<void> Firewall::set_policy(Point point, FirewallPolicy policy) {
    auto set = set_.set_policy(chain(point), translate(point, policy));
    if (set) {
        at(point).policy = policy;
    }
    return set;
}

void Firewall::zero(Point point, const Counts& counts) {
    for (Entry& entry : at(point).entries) {
        entry.zero = count_since(counts, entry.id, {});
    }
}

void Firewall::follow_links(const Links& links, const Counts& counts) {
    for (const auto& [point, name, hook] : kBuiltIn) {
        for (size_t i = 0; i < at(point).entries.size(); ++i) {
            follow_links(point, i, links, counts);
        }
    }
}

void Firewall::follow_links(Point point, size_t index, const Links& links, const Counts& counts) {
    Chain& chain = at(point);
    Entry& entry = chain.entries[index];
    const size_t position = chain.before + index;
    auto translated = translate(point, entry.rule, links);
    if (!translated || set_.chain(chain.chain)->rules[position]->says_the_same(*translated)) {
        return;
    }
    if (const auto id = set_.replace(chain.chain, position, *std::move(translated))) {
        const rules::RuleTotal had = count_since(counts, entry.id, entry.zero);
        entry = {entry.rule, *id, {0 - had.packets, 0 - had.bytes}};
    }
}

}  // namespace sekisho::legacy
