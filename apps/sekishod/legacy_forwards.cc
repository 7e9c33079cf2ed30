#include "sekishod/legacy_forwards.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.h"
#include "config/recheck.h"

namespace sekisho::daemon {
namespace {

template <class Thing>
void remove(std::vector<Thing>& all, const std::vector<Thing>& own) {
    for (const Thing& one : own) {
        if (const auto found = std::ranges::find(all, one); found != all.end()) {
            all.erase(found);
        }
    }
}

template <class Thing>
void add(std::vector<Thing>& all, const std::vector<Thing>& own) {
    all.insert(all.end(), own.begin(), own.end());
}

// Its own name if nobody has it, else "TOOL-NUMBER" with the first number that is free.
template <class Thing>
void add_named(std::vector<Thing>& all, std::vector<Thing>& own) {
    for (Thing& one : own) {
        const std::string stem = one.name.substr(0, one.name.rfind('-') + 1);
        for (size_t number = 1; std::ranges::find(all, one.name, &Thing::name) != all.end();
             ++number) {
            one.name = fmt::format("{}{}", stem, number);
        }
        all.push_back(one);
    }
}

// Under which they stand there.
template <class Thing>
void find_names(const std::vector<Thing>& all, std::vector<Thing>& own) {
    for (Thing& one : own) {
        const auto found = std::ranges::find_if(all, [&](Thing other) {
            other.name = one.name;
            return other == one;
        });
        one.name = found == all.end() ? one.name : found->name;
    }
}

bool has_no_address(const legacy::FixedForward& forward, const config::Config& config) {
    return forward.local &&
           std::ranges::none_of(config.nat.pools, [&](const nat::PoolSettings& pool) {
               return pool.has(*forward.local);
           });
}

legacy::ForwardSettings settings_of(
    const legacy::Forwards& forwards, const config::Config& config
) {
    return legacy::settings_of(forwards, config::usual_external_address(config), kInternalRealm);
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

std::vector<std::string> without_address(
    const legacy::Forwards& forwards, const config::Config& config
) {
    std::vector<std::string> texts;
    for (const legacy::FixedForward& forward : forwards.fixed) {
        if (has_no_address(forward, config)) {
            texts.push_back(fmt::format(
                "{} {}:{} to {}",
                forward.protocol == Protocol::kTcp ? "TCP" : "UDP",
                *forward.local,
                forward.ports.first,
                forward.host
            ));
        }
    }
    return texts;
}

Result<void> LegacyForwards::take(
    const legacy::Forwards& forwards, const legacy::Forwards& standing, config::Config& config
) {
    legacy::Forwards alive = forwards;
    std::erase_if(alive.fixed, [&](const legacy::FixedForward& forward) {
        return has_no_address(forward, config) &&
               std::ranges::find(standing.fixed, forward) != standing.fixed.end();
    });
    legacy::ForwardSettings made = settings_of(alive, config);
    nat::NatSettings& nat = config.nat;
    remove(nat.static_mappings, own_.static_mappings);
    remove(nat.destination_nat, own_.destination_nat);
    remove(nat.trigger_forwards, own_.trigger_forwards);
    add(nat.static_mappings, made.static_mappings);
    add_named(nat.destination_nat, made.destination_nat);
    add_named(nat.trigger_forwards, made.trigger_forwards);
    if (forwards != legacy::Forwards{}) {
        if (const auto mistake = config::find_mistake(config)) {
            return failure(*mistake);
        }
    }
    own_ = std::move(made);
    return {};
}

void LegacyForwards::settle(const legacy::Forwards& forwards, const config::Config& config) {
    legacy::Forwards alive = forwards;
    std::erase_if(alive.fixed, [&](const legacy::FixedForward& forward) {
        return has_no_address(forward, config);
    });
    own_ = settings_of(alive, config);
    find_names(config.nat.destination_nat, own_.destination_nat);
    find_names(config.nat.trigger_forwards, own_.trigger_forwards);
}

}  // namespace sekisho::daemon
