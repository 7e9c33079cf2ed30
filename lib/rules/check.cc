#include "rules/check.h"

#include <algorithm>
#include <array>
#include <set>

#include <fmt/format.h>

namespace sekisho::rules {
namespace {

template <class... Fs>
struct Overload : Fs... {
    using Fs::operator()...;
};
template <class... Fs>
Overload(Fs...) -> Overload<Fs...>;

constexpr HookMask kAnywhere = 0xff;
constexpr HookMask kFilters = mask_of(Hook::kIngress) | mask_of(Hook::kForward) |
                              mask_of(Hook::kEgress) | mask_of(Hook::kLocalIn) |
                              mask_of(Hook::kLocalOut);
constexpr HookMask kNat = mask_of(Hook::kNatDestination) | mask_of(Hook::kNatSource);

struct Ability {
    const char* name;
    HookMask hooks;  // where it can act
    bool is_policy;
};
// By the index of the action's kind.
constexpr std::array<Ability, std::variant_size_v<Action>> kAbilities = {{
    {"accept", kFilters | kNat, true},
    {"deny", kFilters, true},
    {"reject", kFilters, true},
    {"log", kAnywhere, false},
    {"jump", kAnywhere, false},
    {"goto", kAnywhere, false},
    {"return", kAnywhere, false},
    {"masquerade", mask_of(Hook::kForward) | mask_of(Hook::kNatSource), true},
    {"snat", mask_of(Hook::kNatSource), false},
    {"dnat", mask_of(Hook::kNatDestination), false},
    {"redirect",
     mask_of(Hook::kIngress) | mask_of(Hook::kLocalIn) | mask_of(Hook::kNatDestination),
     false},
    {"no-track", mask_of(Hook::kIngress) | mask_of(Hook::kLocalOut), false},
    {"set-tos", kFilters, false},
    {"set-dscp", kFilters, false},
    {"set-mark", kFilters | kNat, false},
    {"police", kFilters, false},
}};
static_assert(std::is_same_v<std::variant_alternative_t<15, Action>, Police>);
static_assert(std::is_same_v<std::variant_alternative_t<7, Action>, Masquerade>);

// Of a chain without a deciding action at its end every packet must fare somehow: accounting lets it pass.
constexpr HookMask kWithoutPolicy = mask_of(Hook::kAccounting);

std::string names_of(HookMask hooks) {
    std::string text;
    for (unsigned i = 0; i < kHooks; ++i) {
        if ((hooks >> i & 1) != 0) {
            text += fmt::format("{}{}", text.empty() ? "" : ", ", name_of(static_cast<Hook>(i)));
        }
    }
    return text;
}

template <class T>
Result<void> check_ranges(const std::vector<Range<T>>& ranges, const char* what) {
    for (const Range<T>& range : ranges) {
        if (range.last < range.first) {
            return failure(fmt::format("a range of {} ends before it begins", what));
        }
    }
    return {};
}

Result<void> check_test(const RuleSet& set, const AddressTest& test) {
    for (const SetId id : test.sets) {
        if (set.set_name(id) == nullptr) {
            return failure(fmt::format("there is no set with the number {}", id.value));
        }
    }
    return check_ranges(test.ranges, "addresses");
}

Result<void> check_test(const IcmpTest& test) {
    for (const IcmpKind& kind : test.kinds) {
        auto checked = check_ranges<uint8_t>({kind.type, kind.code}, "ICMP types or codes");
        if (!checked) {
            return checked;
        }
    }
    return {};
}

Result<void> check_bits(uint32_t mask, uint32_t value, const char* what) {
    if ((value & ~mask) != 0) {
        return failure(fmt::format("{} that are wanted set are not among those looked at", what));
    }
    return {};
}

Result<void> check_test(const RateTest& test) {
    constexpr uint32_t kMostPackets = 1'000'000'000;
    constexpr uint32_t kMostBurst = 1'000'000;
    constexpr uint32_t kWeek = 7 * TimeOfWeek::kDay;
    if (test.packets < 1 || test.packets > kMostPackets || test.burst < 1 ||
        test.burst > kMostBurst || test.period.value < 1 || test.period.value > kWeek) {
        return failure(fmt::format(
            "a rate is of 1 to {} packets in 1 to {} s, with a burst of 1 to {}",
            kMostPackets,
            kWeek,
            kMostBurst
        ));
    }
    return {};
}

Result<void> check_test(const TimeTest& test) {
    if (test.days == 0 || test.days > 0x7f || test.seconds.first >= TimeOfWeek::kDay ||
        test.seconds.last >= TimeOfWeek::kDay) {
        return failure("a time is some of the seven days, between two seconds of a day");
    }
    return {};
}

Result<void> check_condition(const RuleSet& set, const Condition& condition) {
    return std::visit(
        Overload{
            [&](const AddressTest& t) { return check_test(set, t); },
            [](const PortTest& t) { return check_ranges(t.ranges, "ports"); },
            [](const IcmpTest& t) { return check_test(t); },
            [](const TcpFlagsTest& t) { return check_bits(t.mask, t.set, "TCP flags"); },
            [](const TosTest& t) { return check_bits(t.mask, t.value, "bits of the TOS"); },
            [](const LengthTest& t) { return check_ranges(t.ranges, "lengths"); },
            [](const TtlTest& t) { return check_ranges<uint8_t>({t.range}, "TTLs"); },
            [](const TimeTest& t) { return check_test(t); },
            [](const RateTest& t) { return check_test(t); },
            [](const MarkTest& t) { return check_bits(t.mask, t.value, "bits of the mark"); },
            [](const auto&) { return Result<void>{}; }},
        condition.test
    );
}

Result<void> check_targets(const Dnat& dnat) {
    const auto has_weight = [](const DnatTarget& target) { return target.weight > 0; };
    if (std::ranges::none_of(dnat.targets, has_weight)) {
        return failure("dnat wants a target with a weight");
    }
    return {};
}

Result<void> check_chain_of(const RuleSet& set, ChainId id) {
    const Chain* chain = set.chain(id);
    if (chain == nullptr) {
        return failure(fmt::format("there is no chain with the number {}", id.value));
    }
    if (chain->hook) {
        return failure(fmt::format("no rule leads to a built-in chain, as {} is one", chain->name));
    }
    return {};
}

Result<void> want(bool holds, const char* sentence) {
    return holds ? Result<void>{} : failure(sentence);
}

Result<void> check_action(const RuleSet& set, const Action& action) {
    return std::visit(
        Overload{
            [](const Reject& a) { return want(a.icmp_code <= 15, "an ICMP code is 0 to 15"); },
            [](const Log& a) { return want(a.level <= 7, "a log level is 0 to 7"); },
            [&](const Jump& a) { return check_chain_of(set, a.chain); },
            [&](const Goto& a) { return check_chain_of(set, a.chain); },
            [](const Masquerade& a) { return check_ranges<uint16_t>({a.ports}, "ports"); },
            [](const Dnat& a) { return check_targets(a); },
            [](const SetDscp& a) { return want(a.value <= 63, "a DSCP is 0 to 63"); },
            [](const SetMark& a) { return check_bits(a.mask, a.value, "bits of the mark"); },
            [](const Police& a) {
                constexpr uint64_t kMostRate = 1'000'000'000'000;
                return want(
                    a.bytes_per_second >= 1 && a.bytes_per_second <= kMostRate && a.burst_bytes > 0,
                    "police wants 1 to 10^12 bytes a second and a burst of at least one byte"
                );
            },
            [](const auto&) { return Result<void>{}; }},
        action
    );
}

// How many chains deep it goes below `id`, itself included, and whether it comes to `forbidden`.
struct Descent {
    unsigned depth = 0;
    bool meets = false;
};
// No circle: what is there already has none.
Descent descend(
    const RuleSet& set, ChainId id, ChainId forbidden, std::map<ChainId, Descent>& known
) {
    if (const auto found = known.find(id); found != known.end()) {
        return found->second;
    }
    Descent result{1, id == forbidden};
    if (!result.meets) {
        for (const auto& [to, rules] : set.facts(id).leads_to) {
            const Descent below = descend(set, to, forbidden, known);
            result.depth = std::max(result.depth, below.depth + 1);
            result.meets = result.meets || below.meets;
        }
    }
    known[id] = result;
    return result;
}

// The longest way from a chain to `id`, itself included.
unsigned depth_above(const RuleSet& set, ChainId id, std::map<ChainId, unsigned>& known) {
    if (const auto found = known.find(id); found != known.end()) {
        return found->second;
    }
    unsigned depth = 1;
    for (const ChainId from : set.chains()) {
        if (set.facts(from).leads_to.contains(id)) {
            depth = std::max(depth, depth_above(set, from, known) + 1);
        }
    }
    known[id] = depth;
    return depth;
}

// What stands in `id` and in what it leads to can be done at `hooks`.
Result<void> check_abilities(
    const RuleSet& set, ChainId id, HookMask hooks, std::set<ChainId>& seen
) {
    if (!seen.insert(id).second) {
        return {};
    }
    const ChainFacts& facts = set.facts(id);
    for (size_t kind = 0; kind < kAbilities.size(); ++kind) {
        const auto missing = static_cast<HookMask>(hooks & ~kAbilities[kind].hooks);
        if (facts.actions[kind] > 0 && missing != 0) {
            return failure(fmt::format(
                "chain {} would be reached from {}, where {} cannot act",
                set.chain(id)->name,
                names_of(missing),
                kAbilities[kind].name
            ));
        }
    }
    for (const auto& [to, rules] : facts.leads_to) {
        if (auto checked = check_abilities(set, to, hooks, seen); !checked) {
            return checked;
        }
    }
    return {};
}

Result<void> check_way(const RuleSet& set, ChainId from, ChainId to) {
    std::map<ChainId, Descent> below;
    const Descent descent = descend(set, to, from, below);
    if (descent.meets) {
        return failure(fmt::format(
            "chain {} leads back to chain {}: a packet would go in a circle",
            set.chain(to)->name,
            set.chain(from)->name
        ));
    }
    std::map<ChainId, unsigned> above;
    if (depth_above(set, from, above) + descent.depth > kDeepest) {
        return failure(fmt::format("chains would lead into each other more than {} deep", kDeepest)
        );
    }
    std::set<ChainId> seen;
    return check_abilities(set, to, set.facts(from).reached_from, seen);
}

}  // namespace

const char* name_of(const Action& action) {
    return kAbilities[action.index()].name;
}

Result<void> check_rule(const RuleSet& set, const Rule& rule) {
    for (const Condition& condition : rule.conditions) {
        if (auto checked = check_condition(set, condition); !checked) {
            return checked;
        }
    }
    for (size_t i = 0; i < rule.actions.size(); ++i) {
        if (is_deciding(rule.actions[i]) && i + 1 < rule.actions.size()) {
            return failure(
                fmt::format("{} decides: nothing can be done after it", name_of(rule.actions[i]))
            );
        }
        if (auto checked = check_action(set, rule.actions[i]); !checked) {
            return checked;
        }
    }
    return {};
}

Result<void> check_policy(Hook hook, const Action& policy) {
    const Ability& ability = kAbilities[policy.index()];
    if ((kWithoutPolicy & mask_of(hook)) != 0) {
        return want(std::holds_alternative<Accept>(policy), "accounting stops no packet");
    }
    if (!ability.is_policy || (ability.hooks & mask_of(hook)) == 0) {
        return failure(fmt::format("{} is no policy at {}", ability.name, name_of(hook)));
    }
    return check_action(RuleSet(), policy);
}

Result<void> check_place(const RuleSet& set, ChainId chain, const Rule& rule) {
    const HookMask hooks = set.facts(chain).reached_from;
    for (const Action& action : rule.actions) {
        const Ability& ability = kAbilities[action.index()];
        if (const auto missing = static_cast<HookMask>(hooks & ~ability.hooks); missing != 0) {
            return failure(fmt::format("{} cannot act at {}", ability.name, names_of(missing)));
        }
    }
    const ChainId* to = rule.deciding() != nullptr ? chain_of(*rule.deciding()) : nullptr;
    if (to == nullptr || set.facts(chain).leads_to.contains(*to)) {
        return {};
    }
    return check_way(set, chain, *to);
}

}  // namespace sekisho::rules
