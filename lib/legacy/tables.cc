#include "legacy/tables.h"

#include <algorithm>

#include <fmt/format.h>

namespace sekisho::legacy {
namespace {

constexpr const char* kTableNames[kTables] = {"filter", "nat", "mangle", "raw"};

struct Built {
    Table table;
    const char* chain;
    std::optional<rules::Hook> hook;
    int16_t priority;
};
constexpr Built kBuiltIn[] = {
    {Table::kFilter, "INPUT", rules::Hook::kLocalIn, 0},
    {Table::kFilter, "FORWARD", rules::Hook::kForward, 0},
    {Table::kFilter, "OUTPUT", rules::Hook::kLocalOut, 0},
    {Table::kNat, "PREROUTING", rules::Hook::kNatDestination, -100},
    {Table::kNat, "INPUT", std::nullopt, 0},
    {Table::kNat, "OUTPUT", std::nullopt, 0},
    {Table::kNat, "POSTROUTING", rules::Hook::kNatSource, 100},
    {Table::kMangle, "PREROUTING", rules::Hook::kIngress, -150},
    {Table::kMangle, "INPUT", rules::Hook::kLocalIn, -150},
    {Table::kMangle, "FORWARD", rules::Hook::kForward, -150},
    {Table::kMangle, "OUTPUT", rules::Hook::kLocalOut, -150},
    {Table::kMangle, "POSTROUTING", rules::Hook::kEgress, -150},
    {Table::kRaw, "PREROUTING", rules::Hook::kIngress, -300},
    {Table::kRaw, "OUTPUT", rules::Hook::kLocalOut, -300},
};

constexpr const char* kNoChain = "No chain/target/match by that name";

std::string name_in(Table table, std::string_view chain) {
    return fmt::format("{}.{}", name_of(table), chain);
}

}  // namespace

const char* name_of(Table table) {
    return kTableNames[static_cast<size_t>(table)];
}

std::optional<Table> table_named(std::string_view name) {
    const auto found = std::ranges::find(kTableNames, name);
    return found == std::end(kTableNames)
               ? std::nullopt
               : std::optional(static_cast<Table>(found - std::begin(kTableNames)));
}

bool is_table_target(std::string_view target) {
    constexpr std::string_view kTargets[] = {
        "ACCEPT",
        "DROP",
        "RETURN",
        "LOG",
        "REJECT",
        "SNAT",
        "DNAT",
        "MASQUERADE",
        "REDIRECT",
        "MARK",
        "TOS",
        "DSCP",
        "NOTRACK"};
    return std::ranges::find(kTargets, target) != std::end(kTargets);
}

// A fresh rule set takes these chains, so no result is looked at.
Tables::Tables() {
    for (const Built& built : kBuiltIn) {
        const std::string name = name_in(built.table, built.chain);
        Chain chain;
        chain.name = built.chain;
        chain.is_built_in = true;
        chain.policy = "ACCEPT";
        chain.id =
            built.hook
                ? set_.add_built_in(name, *built.hook, built.priority, rules::Accept{}).value()
                : set_.add_chain(name).value();
        at(built.table).push_back(std::move(chain));
    }
}

const Tables::Chain* Tables::find(Table table, std::string_view name) const {
    const auto found = std::ranges::find(at(table), name, &Chain::name);
    return found == at(table).end() ? nullptr : &*found;
}

Result<Tables::Chain*> Tables::need(Table table, std::string_view name) {
    const auto found = std::ranges::find(at(table), name, &Chain::name);
    return found != at(table).end() ? Result<Chain*>(&*found) : failure(kNoChain);
}

size_t Tables::references_to(Table table, std::string_view name) const {
    size_t count = 0;
    for (const Chain& chain : at(table)) {
        count +=
            static_cast<size_t>(std::ranges::count_if(chain.entries, [name](const Entry& entry) {
                return entry.rule.target == name;
            }));
    }
    return count;
}

Result<void> Tables::create(Table table, const std::string& name) {
    if (find(table, name) != nullptr) {
        return failure("Chain already exists");
    }
    const auto id = set_.add_chain(name_in(table, name));
    if (!id) {
        return tl::unexpected(id.error());
    }
    Chain chain;
    chain.name = name;
    chain.id = *id;
    at(table).push_back(std::move(chain));
    return {};
}

Result<void> Tables::remove_chain(Table table, std::string_view name) {
    const auto chain = need(table, name);
    if (!chain) {
        return tl::unexpected(chain.error());
    }
    if ((*chain)->is_built_in) {
        return failure("Invalid argument");
    }
    if (!(*chain)->entries.empty()) {
        return failure("Directory not empty");
    }
    if (references_to(table, name) != 0) {
        return failure("Too many links");
    }
    auto removed = set_.remove_chain((*chain)->id);
    if (removed) {
        at(table).erase(at(table).begin() + (*chain - at(table).data()));
    }
    return removed;
}

Result<void> Tables::rename(Table table, std::string_view name, const std::string& to) {
    const auto chain = need(table, name);
    if (!chain) {
        return tl::unexpected(chain.error());
    }
    if ((*chain)->is_built_in) {
        return failure("Invalid argument");
    }
    if (find(table, to) != nullptr) {
        return failure("File exists");
    }
    auto renamed = set_.rename_chain((*chain)->id, name_in(table, to));
    if (!renamed) {
        return renamed;
    }
    const std::string before = (*chain)->name;
    (*chain)->name = to;
    for (Chain& other : at(table)) {
        for (Entry& entry : other.entries) {
            entry.rule.target = entry.rule.target == before ? to : entry.rule.target;
        }
    }
    return {};
}

Result<void> Tables::set_policy(Table table, std::string_view name, const std::string& policy) {
    const auto chain = need(table, name);
    if (!chain) {
        return tl::unexpected(chain.error());
    }
    if (!(*chain)->is_built_in || (policy != "ACCEPT" && policy != "DROP")) {
        return failure("Bad policy name. Run `dmesg' for more information.");
    }
    const bool accepts = policy == "ACCEPT";
    if (!set_.chain((*chain)->id)->hook) {
        return accepts ? Result<void>{}
                       : failure("Bad policy name. Run `dmesg' for more information.");
    }
    auto set = set_.set_policy(
        (*chain)->id, accepts ? rules::Action{rules::Accept{}} : rules::Action{rules::Deny{}}
    );
    if (set) {
        (*chain)->policy = policy;
    }
    return set;
}

Result<void> Tables::insert(
    Table table,
    std::string_view name,
    size_t index,
    const TableRule& rule,
    const TableContext& context
) {
    const auto chain = need(table, name);
    if (!chain) {
        return tl::unexpected(chain.error());
    }
    auto& entries = (*chain)->entries;
    if (index != kEnd && index > entries.size()) {
        return failure("Index of insertion too big");
    }
    index = std::min(index, entries.size());
    auto translated = translate(table, rule, context);
    if (!translated) {
        return tl::unexpected(translated.error());
    }
    const auto id = set_.insert((*chain)->id, index, *std::move(translated));
    if (!id) {
        return tl::unexpected(id.error());
    }
    entries.insert(entries.begin() + static_cast<std::ptrdiff_t>(index), {rule, *id, {}});
    return {};
}

Result<void> Tables::replace(
    Table table,
    std::string_view name,
    size_t index,
    const TableRule& rule,
    const TableContext& context
) {
    const auto chain = need(table, name);
    if (!chain) {
        return tl::unexpected(chain.error());
    }
    if (index >= (*chain)->entries.size()) {
        return failure("Index of replacement too big");
    }
    auto translated = translate(table, rule, context);
    if (!translated) {
        return tl::unexpected(translated.error());
    }
    const auto id = set_.replace((*chain)->id, index, *std::move(translated));
    if (!id) {
        return tl::unexpected(id.error());
    }
    (*chain)->entries[index] = {rule, *id, {}};
    return {};
}

Result<void> Tables::remove(Table table, std::string_view name, size_t index) {
    const auto chain = need(table, name);
    if (!chain) {
        return tl::unexpected(chain.error());
    }
    auto& entries = (*chain)->entries;
    if (index >= entries.size()) {
        return failure("Index of deletion too big");
    }
    auto removed = set_.remove((*chain)->id, index);
    if (removed) {
        entries.erase(entries.begin() + static_cast<std::ptrdiff_t>(index));
    }
    return removed;
}

Result<size_t> Tables::find_equal(Table table, std::string_view name, const TableRule& rule) const {
    const Chain* chain = find(table, name);
    if (chain == nullptr) {
        return failure(kNoChain);
    }
    const auto found = std::ranges::find(chain->entries, rule, &Entry::rule);
    if (found == chain->entries.end()) {
        return failure("Bad rule (does a matching rule exist in that chain?)");
    }
    return static_cast<size_t>(found - chain->entries.begin());
}

Result<void> Tables::flush(Table table, std::string_view name) {
    const auto chain = need(table, name);
    if (!chain) {
        return tl::unexpected(chain.error());
    }
    auto flushed = set_.flush((*chain)->id);
    if (flushed) {
        (*chain)->entries.clear();
    }
    return flushed;
}

void Tables::set_count(Table table, std::string_view name, size_t index, rules::RuleTotal had) {
    const auto chain = need(table, name);
    if (!chain || index > (*chain)->entries.size()) {
        return;
    }
    auto& entries = (*chain)->entries;
    (index == entries.size() ? (*chain)->policy_zero : entries[index].zero) = {
        0 - had.packets, 0 - had.bytes};
}

rules::RuleTotal Tables::policy_count_of(const Chain& chain, const Counts& counts) const {
    return count_since(counts, set_.chain(chain.id)->policy_id, chain.policy_zero);
}

Result<void> Tables::zero(Table table, std::string_view name, const Counts& counts) {
    const auto chain = need(table, name);
    if (!chain) {
        return tl::unexpected(chain.error());
    }
    (*chain)->policy_zero = count_since(counts, set_.chain((*chain)->id)->policy_id, {});
    for (Entry& entry : (*chain)->entries) {
        entry.zero = count_since(counts, entry.id, {});
    }
    return {};
}

void Tables::follow_links(const TableContext& context, const Counts& counts) {
    for (size_t table = 0; table < kTables; ++table) {
        for (Chain& chain : chains_[table]) {
            follow_links(static_cast<Table>(table), chain, context, counts);
        }
    }
}

void Tables::follow_links(
    Table table, Chain& chain, const TableContext& context, const Counts& counts
) {
    for (size_t index = 0; index < chain.entries.size(); ++index) {
        follow_links(table, chain, index, context, counts);
    }
}

void Tables::follow_links(
    Table table, Chain& chain, size_t index, const TableContext& context, const Counts& counts
) {
    Entry& entry = chain.entries[index];
    auto translated = translate(table, entry.rule, context);
    if (!translated || set_.chain(chain.id)->rules[index]->says_the_same(*translated)) {
        return;
    }
    if (const auto id = set_.replace(chain.id, index, *std::move(translated))) {
        const rules::RuleTotal had = count_since(counts, entry.id, entry.zero);
        entry = {entry.rule, *id, {0 - had.packets, 0 - had.bytes}};
    }
}

}  // namespace sekisho::legacy
