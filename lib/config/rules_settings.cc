#include "config/rules_settings.h"

#include <algorithm>
#include <tuple>

#include "rules/address_set.h"

namespace sekisho::config {
namespace {

bool say_the_same(
    const rules::RuleSet& in_a,
    const rules::Chain& a,
    const rules::RuleSet& in_b,
    const rules::Chain& b
) {
    const auto head = [](const rules::Chain& chain) {
        return std::tie(chain.name, chain.hook, chain.priority, chain.policy);
    };
    return head(a) == head(b) &&
           std::ranges::equal(a.rules, b.rules, [&](const auto& one, const auto& other) {
               return mean_the_same(in_a, *one, in_b, *other);
           });
}

}  // namespace

// Chains and sets are told by their names.
bool mean_the_same(
    const rules::RuleSet& in_a,
    const rules::Rule& a,
    const rules::RuleSet& in_b,
    const rules::Rule& b
) {
    if (&a != &b && !a.says_the_same(b)) {
        return false;
    }
    const rules::Action* const deciding = a.deciding();
    const rules::ChainId* const to = deciding != nullptr ? rules::chain_of(*deciding) : nullptr;
    if (to != nullptr &&
        (in_b.chain(*to) == nullptr || in_a.chain(*to)->name != in_b.chain(*to)->name)) {
        return false;
    }
    return std::ranges::all_of(a.conditions, [&](const rules::Condition& condition) {
        const auto* test = std::get_if<rules::AddressTest>(&condition.test);
        return test == nullptr || std::ranges::all_of(test->sets, [&](rules::SetId id) {
                   const std::string* const name = in_b.set_name(id);
                   return name != nullptr && *name == *in_a.set_name(id);
               });
    });
}

bool say_the_same(const rules::RuleSet& a, const rules::RuleSet& b) {
    return std::ranges::equal(a.chains(), b.chains(), [&](rules::ChainId x, rules::ChainId y) {
        return say_the_same(a, *a.chain(x), b, *b.chain(y));
    });
}

std::vector<Ipv4Prefix> SetSettings::prefixes() const {
    std::vector<Ipv4Prefix> all;
    all.reserve(addresses.size() + file_addresses.size());
    for (const auto* const ranges : {&addresses, &file_addresses}) {
        for (const rules::AddressRange& range : *ranges) {
            const std::vector<Ipv4Prefix> some = rules::prefixes_of(range);
            all.insert(all.end(), some.begin(), some.end());
        }
    }
    const auto place = [](Ipv4Prefix p) { return std::pair(p.address.host(), p.length); };
    std::ranges::sort(all, {}, place);
    all.erase(std::unique(all.begin(), all.end()), all.end());
    return all;
}

bool operator==(const RulesSettings& a, const RulesSettings& b) {
    return a.change == b.change && a.sets == b.sets && a.groups == b.groups &&
           a.patterns == b.patterns && say_the_same(a.set, b.set);
}

}  // namespace sekisho::config
