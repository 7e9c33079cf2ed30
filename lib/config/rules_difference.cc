#include "config/rules_difference.h"

#include <algorithm>
#include <iterator>
#include <map>

#include <fmt/format.h>

#include "config/rules_to_yaml.h"
#include "config/scalars.h"

namespace sekisho::config {
namespace {

constexpr size_t kMostListed = 4;

struct Lists {
    std::vector<std::string> gone;
    std::vector<std::string> come;
};

std::string joined(const std::vector<std::string>& texts) {
    std::string all;
    for (const std::string& text : texts) {
        all += (all.empty() ? "" : ", ") + text;
    }
    return all;
}

std::string counted(size_t some, size_t all, const char* what) {
    return fmt::format("{} of {} {}", some, all, what);
}

// What is in one of the two only, each as often as it is there; in order.
Lists sort_out(const std::vector<std::string>& a, const std::vector<std::string>& b) {
    std::map<std::string_view, size_t> left;
    for (const std::string& text : a) {
        ++left[text];
    }
    Lists lists;
    for (const std::string& text : b) {
        const auto known = left.find(text);
        if (known == left.end() || known->second == 0) {
            lists.come.push_back(text);
        } else {
            --known->second;
        }
    }
    for (const std::string& text : a) {
        const auto known = left.find(text);
        if (known->second > 0) {
            --known->second;
            lists.gone.push_back(text);
        }
    }
    return lists;
}

// What is compared of two chains of one name.
struct ChainPair {
    const Config& in_a;
    const rules::Chain& a;
    const Config& in_b;
    const rules::Chain& b;
    std::string setting;
};

void compare_heads(const ChainPair& pair, std::vector<Difference>& all) {
    const auto add = [&](const char* key, const std::string& from, const std::string& to) {
        if (from != to) {
            all.push_back({fmt::format("{}.{}", pair.setting, key), from, to});
        }
    };
    const auto hook = [](const rules::Chain& chain) {
        return std::string(chain.hook ? rules::name_of(*chain.hook) : "");
    };
    const auto policy = [](const Config& config, const rules::Chain& chain) {
        return chain.hook ? action_to_yaml(config, chain.policy) : std::string();
    };
    add("hook", hook(pair.a), hook(pair.b));
    add("priority", std::to_string(pair.a.priority), std::to_string(pair.b.priority));
    add("policy", policy(pair.in_a, pair.a), policy(pair.in_b, pair.b));
}

std::vector<std::string> texts_of(
    const Config& config, const rules::Chain& chain, size_t first, size_t behind
) {
    std::vector<std::string> texts;
    for (size_t i = first; i < behind; ++i) {
        texts.push_back(rule_to_yaml(config, *chain.rules[i]));
    }
    return texts;
}

void compare_rules(const ChainPair& pair, std::vector<Difference>& all) {
    const auto& a = pair.a.rules;
    const auto& b = pair.b.rules;
    const auto is_same = [&](const rules::RulePtr& x, const rules::RulePtr& y) {
        return mean_the_same(pair.in_a.rules.set, *x, pair.in_b.rules.set, *y);
    };
    const auto first = std::mismatch(a.begin(), a.end(), b.begin(), b.end(), is_same);
    const auto last = std::mismatch(
        a.rbegin(),
        std::make_reverse_iterator(first.first),
        b.rbegin(),
        std::make_reverse_iterator(first.second),
        is_same
    );
    const auto from = static_cast<size_t>(first.first - a.begin());
    const auto behind = static_cast<size_t>(last.first - a.rbegin());
    if (from == a.size() && from == b.size()) {
        return;
    }
    const Lists lists = sort_out(
        texts_of(pair.in_a, pair.a, from, a.size() - behind),
        texts_of(pair.in_b, pair.b, from, b.size() - behind)
    );
    if (lists.gone.empty() && lists.come.empty()) {
        all.push_back({pair.setting, fmt::format("{} rules", a.size()), "the same in another order"}
        );
    } else if (std::max(lists.gone.size(), lists.come.size()) <= kMostListed) {
        all.push_back({pair.setting, joined(lists.gone), joined(lists.come)});
    } else {
        all.push_back(
            {pair.setting,
             counted(lists.gone.size(), a.size(), "rules"),
             counted(lists.come.size(), b.size(), "rules")}
        );
    }
}

std::string chain_names(const rules::RuleSet& set) {
    std::vector<std::string> names;
    for (const rules::ChainId id : set.chains()) {
        names.push_back(set.chain(id)->name);
    }
    return joined(names);
}

void compare_chains(const Config& a, const Config& b, std::vector<Difference>& all) {
    bool has_same_chains = true;
    for (const rules::ChainId id : a.rules.set.chains()) {
        const rules::Chain& chain = *a.rules.set.chain(id);
        const std::string setting = "rules." + chain.name;
        const auto other = b.rules.set.find_chain(chain.name);
        has_same_chains = has_same_chains && other;
        if (!other) {
            all.push_back({setting, fmt::format("{} rules", chain.rules.size()), ""});
            continue;
        }
        const ChainPair pair{a, chain, b, *b.rules.set.chain(*other), setting};
        compare_heads(pair, all);
        compare_rules(pair, all);
    }
    for (const rules::ChainId id : b.rules.set.chains()) {
        const rules::Chain& chain = *b.rules.set.chain(id);
        if (!a.rules.set.find_chain(chain.name)) {
            has_same_chains = false;
            all.push_back({"rules." + chain.name, "", fmt::format("{} rules", chain.rules.size())});
        }
    }
    const std::string from = chain_names(a.rules.set);
    const std::string to = chain_names(b.rules.set);
    if (has_same_chains && from != to) {
        all.push_back({"rules", from, to});
    }
}

std::string shown(const std::vector<Ipv4Prefix>& some, size_t all) {
    std::vector<std::string> texts;
    for (size_t i = 0; i < std::min(some.size(), kMostListed); ++i) {
        texts.push_back(format(some[i]));
    }
    return some.size() <= kMostListed ? joined(texts) : counted(some.size(), all, "prefixes");
}

void compare_sets(const SetSettings& a, const SetSettings& b, std::vector<Difference>& all) {
    const std::string setting = "sets." + a.name;
    if (a.file != b.file) {
        all.push_back({setting + ".file", a.file, b.file});
    }
    const std::vector<Ipv4Prefix> before = a.prefixes();
    const std::vector<Ipv4Prefix> after = b.prefixes();
    const auto is_less = [](Ipv4Prefix x, Ipv4Prefix y) {
        return std::pair(x.address, x.length) < std::pair(y.address, y.length);
    };
    std::vector<Ipv4Prefix> gone;
    std::vector<Ipv4Prefix> come;
    std::ranges::set_difference(before, after, std::back_inserter(gone), is_less);
    std::ranges::set_difference(after, before, std::back_inserter(come), is_less);
    if (!gone.empty() || !come.empty()) {
        all.push_back({setting, shown(gone, before.size()), shown(come, after.size())});
    }
}

void compare_sets(const Config& a, const Config& b, std::vector<Difference>& all) {
    const auto find = [](const Config& config, const std::string& name) {
        return std::ranges::find(config.rules.sets, name, &SetSettings::name);
    };
    for (const SetSettings& set : a.rules.sets) {
        const auto other = find(b, set.name);
        if (other == b.rules.sets.end()) {
            all.push_back(
                {"sets." + set.name, fmt::format("{} prefixes", set.prefixes().size()), ""}
            );
        } else if (set != *other) {
            compare_sets(set, *other, all);
        }
    }
    for (const SetSettings& set : b.rules.sets) {
        if (find(a, set.name) == a.rules.sets.end()) {
            all.push_back(
                {"sets." + set.name, "", fmt::format("{} prefixes", set.prefixes().size())}
            );
        }
    }
}

}  // namespace

std::vector<Difference> rules_differences(const Config& a, const Config& b) {
    std::vector<Difference> all;
    compare_sets(a, b, all);
    compare_chains(a, b, all);
    return all;
}

}  // namespace sekisho::config
