// What must hold between the exemptions of several realms: what is not translated names no realm when it comes back.
#include <algorithm>
#include <tuple>

#include <fmt/format.h>

#include "config/draft.h"
#include "config/scalars.h"

namespace sekisho::config {
namespace {

// A prefix of a policy that has exemptions.
struct Source {
    Ipv4Prefix prefix;
    size_t policy;

    uint32_t first() const { return prefix.address.host(); }
    uint32_t last() const { return prefix.address.host() | ~prefix.mask_host(); }
};

bool overlap(const Ipv4Prefix& a, const Ipv4Prefix& b) {
    return a.contains(b.address) || b.contains(a.address);
}

bool overlap(const nat::Exemption& a, const nat::Exemption& b) {
    const bool has_common_port = !a.is_by_port() || !b.is_by_port() ||
                                 (a.ports.first <= b.ports.last && b.ports.first <= a.ports.last);
    return overlap(a.destination, b.destination) && has_common_port;
}

std::vector<Source> sources_of(const Draft& draft) {
    std::vector<Source> sources;
    for (size_t i = 0; i < draft.policies.size(); ++i) {
        const nat::PolicySettings& policy = draft.config.nat.policies[i];
        for (size_t k = 0;
             draft.policies[i].realm_read && !policy.exempt.empty() && k < policy.source.size();
             ++k) {
            sources.push_back({policy.source[k], i});
        }
    }
    std::ranges::stable_sort(sources, [](const Source& a, const Source& b) {
        return std::tuple(a.first(), b.last()) < std::tuple(b.first(), a.last());
    });
    return sources;
}

// Of two realms' policies that share addresses, the earlier one first.
struct Pair {
    size_t earlier;
    size_t later;
    Ipv4Prefix common;
};

// The first exemption of the later one that the earlier one has too; false: none.
bool report(const Draft& draft, const Pair& pair, Mistakes& mistakes) {
    const nat::PolicySettings& first = draft.config.nat.policies[pair.earlier];
    const nat::PolicySettings& second = draft.config.nat.policies[pair.later];
    for (size_t k = 0; k < second.exempt.size(); ++k) {
        const auto other = std::ranges::find_if(first.exempt, [&](const nat::Exemption& e) {
            return overlap(e, second.exempt[k]);
        });
        if (other == first.exempt.end()) {
            continue;
        }
        const auto at = static_cast<size_t>(other - first.exempt.begin());
        mistakes.add(
            draft.policies[pair.later].exempt[k],
            fmt::format(
                "{}, which the realm {} exempts on line {} for the same addresses, {}",
                format(second.exempt[k].destination),
                draft.config.realms[first.realm.value].name,
                draft.policies[pair.earlier].exempt[at].line,
                format(pair.common)
            ),
            "exemptions of addresses that one realm has: what comes back for them names none"
        );
        return true;
    }
    return false;
}

bool are_of_two_realms(const Draft& draft, const Pair& pair) {
    const auto& policies = draft.config.nat.policies;
    return policies[pair.earlier].realm != policies[pair.later].realm;
}

}  // namespace

void check_exemptions(const Draft& draft, Mistakes& mistakes) {
    std::vector<bool> said(draft.policies.size());
    std::vector<Source> around;  // prefixes nest, so those that hold the current one form a stack
    for (const Source& source : sources_of(draft)) {
        while (!around.empty() && around.back().last() < source.first()) {
            around.pop_back();
        }
        for (const Source& other : around) {
            const auto [earlier, later] = std::minmax(other.policy, source.policy);
            const Pair pair{earlier, later, source.prefix};
            said[later] =
                said[later] || (are_of_two_realms(draft, pair) && report(draft, pair, mistakes));
        }
        around.push_back(source);
    }
}

}  // namespace sekisho::config
