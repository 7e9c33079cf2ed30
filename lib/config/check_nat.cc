// What must hold between pools, policies and what stands around them.
#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <tuple>

#include <fmt/format.h>

#include "config/draft.h"
#include "config/on_link.h"
#include "config/scalars.h"

namespace sekisho::config {
namespace {

constexpr const char* kWantHosts = "pool addresses that may be a host's";

struct PlacedRange {
    nat::AddressRange range;
    Place place;
    bool is_of_link = false;  // masquerade
};

bool is_before_in_file(Place a, Place b) {
    return std::tie(a.line, a.column) < std::tie(b.line, b.column);
}

std::vector<PlacedRange> pool_ranges(const Draft& draft) {
    std::vector<PlacedRange> ranges;
    for (size_t i = 0; i < draft.pools.size(); ++i) {
        const auto& addresses = draft.config.nat.pools[i].addresses;
        for (size_t k = 0; k < addresses.size(); ++k) {
            const bool is_of_link = k >= addresses.size() - draft.config.nat.pools[i].links.size();
            ranges.push_back({addresses[k], draft.pools[i].addresses[k], is_of_link});
        }
    }
    std::stable_sort(ranges.begin(), ranges.end(), [](const PlacedRange& a, const PlacedRange& b) {
        return a.range.first < b.range.first;
    });
    return ranges;
}

void check_pool_overlaps(const std::vector<PlacedRange>& ranges, Mistakes& mistakes) {
    const PlacedRange* furthest = nullptr;  // of those before, the one that reaches furthest
    for (const PlacedRange& r : ranges) {
        if (furthest != nullptr && r.range.first <= furthest->range.last) {
            const bool later = is_before_in_file(furthest->place, r.place);
            const PlacedRange& second = later ? r : *furthest;
            const PlacedRange& first = later ? *furthest : r;
            mistakes.add(
                second.place,
                fmt::format(
                    "{}, which overlaps {} on line {}",
                    format(second.range),
                    format(first.range),
                    first.place.line
                ),
                "pool addresses that are in no other range"
            );
        }
        if (furthest == nullptr || r.range.last > furthest->range.last) {
            furthest = &r;
        }
    }
}

// What no pool may have, by address: whose it is, and what is wanted instead.
struct Taken {
    std::string what;
    std::string wanted;
};
using TakenAddresses = std::map<uint32_t, Taken>;

TakenAddresses own_addresses(const Draft& draft) {
    TakenAddresses taken;
    for (const OnLink& p : on_link_prefixes(draft)) {
        const std::string& link = draft.config.links[p.link].name;
        taken.try_emplace(
            p.own.host(),
            Taken{fmt::format("the link {}'s own address", link), "pool addresses that no link has"}
        );
    }
    return taken;
}

TakenAddresses known_neighbours(const Draft& draft) {
    TakenAddresses taken;
    const auto take = [&](Ipv4Addr address, std::string_view what, const Place& place) {
        taken.try_emplace(
            address.host(),
            Taken{
                fmt::format("the {} on line {}", what, place.line),
                "pool addresses that no neighbour has"}
        );
    };
    for (size_t i = 0; i < draft.routes.size(); ++i) {
        if (draft.routes[i].next_hop_read) {
            take(draft.config.routes[i].next_hop, "next hop", draft.routes[i].next_hop);
        }
    }
    for (size_t i = 0; i < draft.neighbours.size(); ++i) {
        if (draft.neighbours[i].address_read) {
            take(draft.config.neighbours[i].address, "neighbour", draft.neighbours[i].address);
        }
    }
    return taken;
}

TakenAddresses prefix_ends(const Draft& draft) {
    TakenAddresses taken;
    for (const OnLink& p : on_link_prefixes(draft)) {
        if (is_end(p, Ipv4Addr::from_host(p.first))) {
            taken.try_emplace(p.first, Taken{name_end(draft, p, p.first), kWantHosts});
            taken.try_emplace(p.last, Taken{name_end(draft, p, p.last), kWantHosts});
        }
    }
    return taken;
}

// One mistake a range, the gravest: its first address that is taken says enough.
void check_taken_addresses(
    const Draft& draft, const std::vector<PlacedRange>& ranges, Mistakes& mistakes
) {
    const TakenAddresses by_gravity[] = {
        own_addresses(draft), known_neighbours(draft), prefix_ends(draft)};
    const auto report = [&](const PlacedRange& r, const TakenAddresses& taken) {
        const auto at = taken.lower_bound(r.range.first.host());
        if (at == taken.end() || at->first > r.range.last.host()) {
            return false;
        }
        const std::string address = format(Ipv4Addr::from_host(at->first));
        mistakes.add(
            r.place,
            fmt::format("{}, which holds {}, {}", format(r.range), address, at->second.what),
            at->second.wanted
        );
        return true;
    };
    for (const PlacedRange& r : ranges) {
        std::ignore = std::any_of(
            std::begin(by_gravity) + (r.is_of_link ? 1 : 0),
            std::end(by_gravity),
            [&](const TakenAddresses& taken) { return report(r, taken); }
        );
    }
}

// The pool range that holds the whole prefix, or nullptr.
const PlacedRange* find_around(const std::vector<PlacedRange>& ranges, Ipv4Prefix prefix) {
    const uint32_t last = prefix.address.host() | ~prefix.mask_host();
    const auto after = std::upper_bound(
        ranges.begin(),
        ranges.end(),
        prefix.address,
        [](Ipv4Addr address, const PlacedRange& r) { return address < r.range.first; }
    );
    if (after == ranges.begin()) {
        return nullptr;
    }
    const PlacedRange& r = *std::prev(after);  // the only one that may hold it: none overlap
    return last <= r.range.last.host() ? &r : nullptr;
}

void check_outside_pools(
    const std::vector<PlacedRange>& ranges,
    Ipv4Prefix prefix,
    Place place,
    std::string_view wanted,
    Mistakes& mistakes
) {
    if (const PlacedRange* r = find_around(ranges, prefix)) {
        mistakes.add(
            place,
            fmt::format(
                "{}, which lies in the pool's {} on line {}",
                format(prefix),
                format(r->range),
                r->place.line
            ),
            std::string(wanted)
        );
    }
}

// Realms in which a link is, as the file names them; nothing where that is not sure, or where a
// link is missing for another reason, which is said already.
std::optional<std::set<RealmId>> realms_with_subscribers(const Draft& draft) {
    std::set<RealmId> realms;
    for (size_t i = 0; i < draft.links.size(); ++i) {
        if (!draft.links[i].realm_read) {
            return std::nullopt;
        }
        if (draft.config.links[i].side == Side::kInternal) {
            realms.insert(draft.config.links[i].realm);
        }
    }
    return realms.empty() ? std::nullopt : std::optional(realms);
}

void check_policy_realm(
    const Draft& draft, const std::set<RealmId>& realms, size_t policy, Mistakes& mistakes
) {
    const RealmId realm = draft.config.nat.policies[policy].realm;
    if (!draft.policies[policy].realm_read || realms.contains(realm)) {
        return;
    }
    std::string names;
    for (const RealmId id : realms) {
        names += (names.empty() ? "" : ", ") + draft.config.realms[id.value].name;
    }
    mistakes.add(
        draft.policies[policy].realm,
        fmt::format("the realm {}, in which no link is", draft.config.realms[realm.value].name),
        "a realm with a link: " + names
    );
}

void check_pool_size(const std::vector<PlacedRange>& ranges, Mistakes& mistakes) {
    uint64_t count = 0;
    const PlacedRange* last = nullptr;  // in the file
    for (const PlacedRange& r : ranges) {
        count += r.range.size();
        last = last == nullptr || is_before_in_file(last->place, r.place) ? &r : last;
    }
    if (count > kMaxPoolAddresses) {
        mistakes.add(
            last->place,
            fmt::format("{} pool addresses in all with {}", count, format(last->range)),
            fmt::format("at most {}", kMaxPoolAddresses)
        );
    }
}

}  // namespace

bool is_in_pool(const Draft& draft, Ipv4Addr address) {
    return std::ranges::any_of(draft.config.nat.pools, [address](const nat::PoolSettings& pool) {
        return pool.has(address);
    });
}

void check_pools(const Draft& draft, Mistakes& mistakes) {
    const std::vector<PlacedRange> ranges = pool_ranges(draft);
    check_pool_overlaps(ranges, mistakes);
    check_taken_addresses(draft, ranges, mistakes);
    check_pool_size(ranges, mistakes);
}

void check_policies(const Draft& draft, Mistakes& mistakes) {
    const std::vector<PlacedRange> ranges = pool_ranges(draft);
    const auto realms = realms_with_subscribers(draft);
    for (size_t i = 0; i < draft.policies.size(); ++i) {
        const auto& source = draft.config.nat.policies[i].source;
        for (size_t k = 0; k < source.size(); ++k) {
            // Subscribers whose address is given out to others would never be answered.
            check_outside_pools(
                ranges,
                source[k],
                draft.policies[i].source[k],
                "the subscribers' addresses, which no pool has",
                mistakes
            );
        }
        const auto& exempt = draft.config.nat.policies[i].exempt;
        for (size_t k = 0; k < exempt.size(); ++k) {
            // What goes to a pool's address is translated, or it would be routed out again.
            check_outside_pools(
                ranges,
                exempt[k].destination,
                draft.policies[i].exempt[k],
                "destinations that no pool has",
                mistakes
            );
        }
        const bool tells = (draft.config.nat.events.logged & nat::kLogInvalid) != 0;
        if (draft.config.nat.policies[i].tcp_window == nat::WindowPolicy::kLog && !tells) {
            mistakes.add(
                draft.policies[i].tcp_window,
                "tcp-window: log without a log that tells of it",
                "invalid among log.events"
            );
        }
        if (realms) {
            check_policy_realm(draft, *realms, i, mistakes);
        }
    }
}

}  // namespace sekisho::config
