#include "legacy/chains.h"

#include <algorithm>

#include <fmt/format.h>

namespace sekisho::legacy {
namespace {

struct Built {
    const char* name;
    rules::Hook hook;
};
constexpr std::array<Built, kChainPoints> kBuiltIn = {{
    {"input", rules::Hook::kIngress},
    {"forward", rules::Hook::kForward},
    {"output", rules::Hook::kEgress},
}};

constexpr const char* kNoChain = "No chain by that name";

rules::RuleTotal& operator+=(rules::RuleTotal& sum, const rules::RuleTotal& more) {
    sum.packets += more.packets;
    sum.bytes += more.bytes;
    return sum;
}

}  // namespace

bool is_own_target(std::string_view target) {
    constexpr std::string_view kTargets[] = {
        "ACCEPT", "DENY", "REJECT", "MASQ", "REDIRECT", "RETURN"};
    return std::ranges::find(kTargets, target) != std::end(kTargets);
}

ChainRule ChainRule::exchanged() const {
    ChainRule other = *this;
    std::swap(other.source, other.destination);
    if (protocol.value != static_cast<uint8_t>(Protocol::kIcmp)) {
        std::swap(other.source_ports, other.destination_ports);
    }
    return other;
}

// A fresh rule set takes these chains, so no result is looked at.
Chains::Chains() {
    for (size_t point = 0; point < kChainPoints; ++point) {
        Chain chain;
        chain.name = kBuiltIn[point].name;
        chain.point = static_cast<ChainPoint>(point);
        chain.policy = "ACCEPT";
        chain.at[point] =
            set_.add_built_in(chain.name, kBuiltIn[point].hook, 0, rules::Accept{}).value();
        chains_.push_back(std::move(chain));
    }
}

const Chains::Chain* Chains::find(std::string_view name) const {
    const auto found = std::ranges::find(chains_, name, &Chain::name);
    return found == chains_.end() ? nullptr : &*found;
}

Result<Chains::Chain*> Chains::need(std::string_view name) {
    const auto found = std::ranges::find(chains_, name, &Chain::name);
    return found != chains_.end() ? Result<Chain*>(&*found) : failure(kNoChain);
}

size_t Chains::references_to(std::string_view name) const {
    size_t count = 0;
    for (const Chain& chain : chains_) {
        count +=
            static_cast<size_t>(std::ranges::count_if(chain.entries, [name](const Entry& entry) {
                return entry.rule.target == name;
            }));
    }
    return count;
}

void Chains::take_back(const Chain& chain, size_t points) {
    for (size_t point = 0; point < points; ++point) {
        (void)set_.remove_chain(chain.at[point]);
    }
}

Result<void> Chains::create(const std::string& name) {
    if (find(name) != nullptr || is_own_target(name)) {
        return failure("Chain already exists");
    }
    Chain chain;
    chain.name = name;
    for (size_t point = 0; point < kChainPoints; ++point) {
        const auto id = set_.add_chain(fmt::format("{}.{}", name, kBuiltIn[point].name));
        if (!id) {
            take_back(chain, point);
            return tl::unexpected(id.error());
        }
        chain.at[point] = *id;
    }
    chains_.push_back(std::move(chain));
    return {};
}

Result<void> Chains::remove_chain(std::string_view name) {
    const auto chain = need(name);
    if (!chain) {
        return tl::unexpected(chain.error());
    }
    if ((*chain)->point) {
        return failure("Can't delete built-in chain");
    }
    if (!(*chain)->entries.empty()) {
        return failure("Chain is not empty");
    }
    if (references_to(name) != 0) {
        return failure("Can't delete chain with references left");
    }
    for (const rules::ChainId id : (*chain)->at) {
        (void)set_.remove_chain(id);
    }
    chains_.erase(chains_.begin() + (*chain - chains_.data()));
    return {};
}

Result<void> Chains::set_policy(std::string_view name, const std::string& policy) {
    const auto chain = need(name);
    if (!chain) {
        return tl::unexpected(chain.error());
    }
    const bool is_policy = is_own_target(policy) && policy != "REDIRECT" && policy != "RETURN";
    if (!(*chain)->point || !is_policy) {
        return failure("Bad policy name");
    }
    ChainRule rule;
    rule.target = policy;
    const auto translated = translate(*(*chain)->point, rule, {});
    if (!translated) {
        return tl::unexpected(translated.error());
    }
    const size_t point = static_cast<size_t>(*(*chain)->point);
    auto set = set_.set_policy((*chain)->at[point], *translated->deciding());
    if (set) {
        (*chain)->policy = policy;
    }
    return set;
}

Result<std::vector<std::pair<size_t, rules::Rule>>> Chains::translate_for(
    const Chain& chain, const ChainRule& rule, const Links& links
) const {
    std::vector<std::pair<size_t, rules::Rule>> all;
    for (size_t point = 0; point < kChainPoints; ++point) {
        if (chain.point && *chain.point != static_cast<ChainPoint>(point)) {
            continue;
        }
        auto translated = translate(static_cast<ChainPoint>(point), rule, links);
        if (!translated) {
            return tl::unexpected(translated.error());
        }
        all.emplace_back(point, *std::move(translated));
    }
    return all;
}

void Chains::take_back(const Chain& chain, size_t index, const Ids& ids) {
    for (size_t point = 0; point < kChainPoints; ++point) {
        if (ids[point] != rules::kNoRule) {
            (void)set_.remove(chain.at[point], index);
        }
    }
}

Result<void> Chains::insert(
    std::string_view name, size_t index, const ChainRule& rule, const Links& links
) {
    const auto chain = need(name);
    if (!chain) {
        return tl::unexpected(chain.error());
    }
    auto& entries = (*chain)->entries;
    if (index != kEnd && index > entries.size()) {
        return failure("Index of insertion too big");
    }
    index = std::min(index, entries.size());
    auto translated = translate_for(**chain, rule, links);
    if (!translated) {
        return tl::unexpected(translated.error());
    }
    Entry entry{rule, {rules::kNoRule, rules::kNoRule, rules::kNoRule}, {}};
    for (auto& [point, made] : *translated) {
        const auto id = set_.insert((*chain)->at[point], index, std::move(made));
        if (!id) {
            take_back(**chain, index, entry.ids);
            return tl::unexpected(id.error());
        }
        entry.ids[point] = *id;
    }
    entries.insert(entries.begin() + static_cast<std::ptrdiff_t>(index), std::move(entry));
    return {};
}

Result<void> Chains::replace(
    std::string_view name, size_t index, const ChainRule& rule, const Links& links
) {
    const auto chain = need(name);
    if (!chain) {
        return tl::unexpected(chain.error());
    }
    if (index >= (*chain)->entries.size()) {
        return failure("Index of replacement too big");
    }
    Chains changed = *this;
    (void)changed.remove(name, index);
    auto inserted = changed.insert(name, index, rule, links);
    if (inserted) {
        *this = std::move(changed);
    }
    return inserted;
}

Result<void> Chains::remove(std::string_view name, size_t index) {
    const auto chain = need(name);
    if (!chain) {
        return tl::unexpected(chain.error());
    }
    auto& entries = (*chain)->entries;
    if (index >= entries.size()) {
        return failure("Index of deletion too big");
    }
    take_back(**chain, index, entries[index].ids);
    entries.erase(entries.begin() + static_cast<std::ptrdiff_t>(index));
    return {};
}

Result<void> Chains::remove_equal(std::string_view name, const ChainRule& rule) {
    const auto chain = need(name);
    if (!chain) {
        return tl::unexpected(chain.error());
    }
    const auto& entries = (*chain)->entries;
    const auto found = std::ranges::find(entries, rule, &Entry::rule);
    if (found == entries.end()) {
        return failure("Bad rule (does a matching rule exist in that chain?)");
    }
    return remove(name, static_cast<size_t>(found - entries.begin()));
}

Result<void> Chains::flush(std::string_view name) {
    const auto chain = need(name);
    if (!chain) {
        return tl::unexpected(chain.error());
    }
    while (!(*chain)->entries.empty()) {
        (void)remove(name, (*chain)->entries.size() - 1);
    }
    return {};
}

rules::RuleTotal Chains::count_of(const Entry& entry, const Counts& counts) {
    rules::RuleTotal sum{0 - entry.zero.packets, 0 - entry.zero.bytes};
    for (const rules::RuleId id : entry.ids) {
        sum += count_since(counts, id, {});
    }
    return sum;
}

rules::RuleTotal Chains::policy_count_of(const Chain& chain, const Counts& counts) const {
    if (!chain.point) {
        return {};
    }
    const rules::ChainId id = chain.at[static_cast<size_t>(*chain.point)];
    return count_since(counts, set_.chain(id)->policy_id, chain.policy_zero);
}

Result<void> Chains::zero(std::string_view name, const Counts& counts) {
    const auto chain = need(name);
    if (!chain) {
        return tl::unexpected(chain.error());
    }
    (*chain)->policy_zero += policy_count_of(**chain, counts);
    for (Entry& entry : (*chain)->entries) {
        entry.zero += count_of(entry, counts);
    }
    return {};
}

void Chains::follow_links(const Links& links, const Counts& counts) {
    for (Chain& chain : chains_) {
        for (size_t index = 0; index < chain.entries.size(); ++index) {
            follow_links(chain, index, links, counts);
        }
    }
}

void Chains::follow_links(Chain& chain, size_t index, const Links& links, const Counts& counts) {
    Entry& entry = chain.entries[index];
    auto translated = translate_for(chain, entry.rule, links);
    if (!translated || entry.rule.via.value.empty()) {
        return;
    }
    const rules::RuleTotal had = count_of(entry, counts);
    for (auto& [point, made] : *translated) {
        if (set_.chain(chain.at[point])->rules[index]->says_the_same(made)) {
            continue;
        }
        if (const auto id = set_.replace(chain.at[point], index, std::move(made))) {
            entry.ids[point] = *id;
        }
    }
    const rules::RuleTotal has = count_of(entry, counts);
    entry.zero += {has.packets - had.packets, has.bytes - had.bytes};
}

}  // namespace sekisho::legacy
