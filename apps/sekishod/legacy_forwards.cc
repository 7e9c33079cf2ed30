#include "sekishod/legacy_forwards.h"

#include <algorithm>

#include <fmt/format.h>

#include "config/recheck.h"

namespace sekisho::daemon {
namespace {

template <class Thing>
void replace(std::vector<Thing>& all, const std::vector<Thing>& before, std::vector<Thing>& own) {
    for (const Thing& one : before) {
        if (const auto found = std::ranges::find(all, one); found != all.end()) {
            all.erase(found);
        }
    }
    all.insert(all.end(), own.begin(), own.end());
}

}  // namespace

Result<void> put_marks(
    const legacy::Forwards& forwards,
    const rules::ByteSet& external,
    bool had_any,
    rules::RuleSet& set
) {
    auto chain = set.find_chain(kMarkChain);
    if (chain && !had_any && !forwards.marks.empty()) {
        return failure(fmt::format("chain {}: that name is the tool's own chain's", kMarkChain));
    }
    if (forwards.marks.empty() && !(chain && had_any)) {
        return {};
    }
    if (!chain) {
        const auto made =
            set.add_built_in(kMarkChain, rules::Hook::kNatDestination, 0, rules::Accept{});
        if (!made) {
            return tl::unexpected(made.error());
        }
        chain = *made;
    }
    if (auto flushed = set.flush(*chain); !flushed) {
        return flushed;
    }
    for (rules::Rule& rule : legacy::rules_of_marks(forwards, external)) {
        if (const auto added = set.append(*chain, std::move(rule)); !added) {
            return tl::unexpected(added.error());
        }
    }
    return {};
}

Result<void> LegacyForwards::take(const legacy::Forwards& forwards, config::Config& config) {
    legacy::ForwardSettings made =
        legacy::settings_of(forwards, config::usual_external_address(config), kInternalRealm);
    replace(config.nat.static_mappings, own_.static_mappings, made.static_mappings);
    replace(config.nat.destination_nat, own_.destination_nat, made.destination_nat);
    replace(config.nat.trigger_forwards, own_.trigger_forwards, made.trigger_forwards);
    if (forwards != legacy::Forwards{}) {
        if (const auto mistake = config::find_mistake(config)) {
            return failure(*mistake);
        }
    }
    own_ = std::move(made);
    return {};
}

void LegacyForwards::settle(const legacy::Forwards& forwards, const config::Config& config) {
    own_ = legacy::settings_of(forwards, config::usual_external_address(config), kInternalRealm);
}

}  // namespace sekisho::daemon
