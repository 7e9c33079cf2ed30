// What must hold between values of different keys.
#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "config/device.h"
#include "config/draft.h"
#include "config/scalars.h"

namespace sekisho::config {
namespace {

void check_both_sides(const Draft& draft, Mistakes& mistakes) {
    bool internal = false;
    bool external = false;
    for (size_t i = 0; i < draft.links.size(); ++i) {
        const bool unknown = !draft.links[i].realm_read;  // may be either
        internal = internal || unknown || draft.config.links[i].side == Side::kInternal;
        external = external || unknown || draft.config.links[i].side == Side::kExternal;
    }
    if (draft.links.empty()) {
        return;  // said already
    }
    if (!internal) {
        mistakes.add(draft.links_list, "no link in a realm on the internal side", "at least one");
    }
    if (!external) {
        mistakes.add(draft.links_list, "no link in a realm on the external side", "at least one");
    }
}

// What two links on one device must not have in common; false if nothing is wrong between them.
bool report_shared_device(const Draft& draft, size_t first, size_t second, Mistakes& mistakes) {
    const LinkSettings& earlier = draft.config.links[first];
    const LinkSettings& link = draft.config.links[second];
    const int line = draft.links[first].device.line;
    if (link.device.kind != earlier.device.kind) {
        mistakes.add(
            draft.links[second].device,
            fmt::format(
                "{}, opened as {} on line {}",
                quote(link.device.text),
                quote(earlier.device.text),
                line
            ),
            "one driver for a device"
        );
        return true;
    }
    if (link.vlans == earlier.vlans) {
        mistakes.add(
            draft.links[second].device,
            fmt::format(
                "{} a second time with the same VLAN tags (first on line {})",
                quote(link.device.text),
                line
            ),
            "a device or a vlan of its own for each link"
        );
        return true;
    }
    return false;
}

// A device may carry several links if the tags of a frame say which one it belongs to.
void check_devices(const Draft& draft, Mistakes& mistakes) {
    std::map<std::string, std::vector<size_t>> by_device;
    for (size_t i = 0; i < draft.links.size(); ++i) {
        if (!draft.links[i].device_read || !draft.links[i].vlan_read) {
            continue;
        }
        auto& others = by_device[device_identity(draft.config.links[i].device)];
        const auto clashes = [&](size_t other) {
            return report_shared_device(draft, other, i, mistakes);
        };
        std::ignore = std::any_of(others.begin(), others.end(), clashes);  // the first is enough
        others.push_back(i);
    }
}

struct OnLink {
    uint32_t first;
    uint32_t last;
    size_t link;
    size_t address;
    Ipv4Addr own;
};

std::vector<OnLink> on_link_prefixes(const Draft& draft) {
    std::vector<OnLink> prefixes;
    for (size_t i = 0; i < draft.links.size(); ++i) {
        const auto& addresses = draft.config.links[i].addresses;
        for (size_t k = 0; k < addresses.size(); ++k) {
            const Ipv4Prefix prefix = addresses[k].on_link();
            const uint32_t first = prefix.address.host();
            prefixes.push_back({first, first | ~prefix.mask_host(), i, k, addresses[k].address});
        }
    }
    return prefixes;
}

void check_link_addresses(const Draft& draft, Mistakes& mistakes) {
    std::map<uint32_t, int> first_line;
    for (const OnLink& p : on_link_prefixes(draft)) {
        const Place place = draft.links[p.link].addresses[p.address];
        const auto [at, fresh] = first_line.try_emplace(p.own.host(), place.line);
        if (!fresh) {
            mistakes.add(
                place,
                fmt::format(
                    "the address {} a second time (first on line {})", format(p.own), at->second
                ),
                "an own address once"
            );
        }
    }
}

// Routes are looked up by destination alone, so a prefix is on one link only. Across the sides a
// longer prefix may lie within a shorter one; the longer one wins.
bool clash(const Draft& draft, const OnLink& a, const OnLink& b) {
    const bool overlap = a.first <= b.last && b.first <= a.last;
    const bool equal = a.first == b.first && a.last == b.last;
    const bool realms_read = draft.links[a.link].realm_read && draft.links[b.link].realm_read;
    const bool same_side =
        realms_read && draft.config.links[a.link].side == draft.config.links[b.link].side;
    const bool said_already = a.own == b.own;
    return a.link != b.link && !said_already && (equal || (overlap && same_side));
}

void check_link_prefixes(const Draft& draft, Mistakes& mistakes) {
    std::vector<OnLink> prefixes = on_link_prefixes(draft);  // in the order of the file
    std::stable_sort(prefixes.begin(), prefixes.end(), [](const OnLink& a, const OnLink& b) {
        return std::tie(a.first, b.last) < std::tie(b.first, a.last);
    });
    std::vector<OnLink> around;  // prefixes nest, so those that hold the current one form a stack
    for (const OnLink& prefix : prefixes) {
        while (!around.empty() && around.back().last < prefix.first) {
            around.pop_back();
        }
        const auto other = std::find_if(around.rbegin(), around.rend(), [&](const OnLink& o) {
            return clash(draft, o, prefix);
        });
        if (other != around.rend()) {
            const bool later =
                std::tie(prefix.link, prefix.address) > std::tie(other->link, other->address);
            const OnLink& second = later ? prefix : *other;
            const OnLink& first = later ? *other : prefix;
            mistakes.add(
                draft.links[second.link].addresses[second.address],
                fmt::format(
                    "{}, which overlaps {} on line {}",
                    format(draft.config.links[second.link].addresses[second.address].on_link()),
                    format(draft.config.links[first.link].addresses[first.address].on_link()),
                    draft.links[first.link].addresses[first.address].line
                ),
                "a prefix of its own for each link"
            );
        }
        around.push_back(prefix);
    }
}

// The longest on-link prefix that holds the address; nullptr if none does.
const OnLink* find_on_link(const std::vector<OnLink>& prefixes, Ipv4Addr address) {
    const OnLink* best = nullptr;
    for (const OnLink& p : prefixes) {
        const bool holds = p.first <= address.host() && address.host() <= p.last;
        if (holds && (best == nullptr || p.last - p.first < best->last - best->first)) {
            best = &p;
        }
    }
    return best;
}

bool all_addresses_read(const Draft& draft) {
    return std::all_of(draft.links.begin(), draft.links.end(), [](const LinkPlaces& p) {
        return p.addresses_read;
    });
}

// The link that leads to a route's next hop.
LinkId find_next_hop(
    const Draft& draft, const std::vector<OnLink>& prefixes, size_t route, Mistakes& mistakes
) {
    const Ipv4Addr next_hop = draft.config.routes[route].next_hop;
    const Place place = draft.routes[route].next_hop;
    const auto own = std::find_if(prefixes.begin(), prefixes.end(), [&](const OnLink& p) {
        return p.own == next_hop;
    });
    if (own != prefixes.end()) {
        mistakes.add(
            place,
            fmt::format(
                "the next hop {}, the link {}'s own address",
                format(next_hop),
                draft.config.links[own->link].name
            ),
            "the address of a neighbour"
        );
        return {};
    }
    const OnLink* on_link = find_on_link(prefixes, next_hop);
    if (on_link != nullptr) {
        return LinkId{static_cast<uint8_t>(on_link->link)};
    }
    if (all_addresses_read(draft)) {
        mistakes.add(
            place,
            fmt::format("the next hop {}, to which no link leads", format(next_hop)),
            "a neighbour in a link's own prefix"
        );
    }
    return {};
}

void check_route_prefixes(const Draft& draft, Mistakes& mistakes) {
    std::map<std::pair<uint32_t, uint8_t>, int> first_line;
    for (size_t i = 0; i < draft.routes.size(); ++i) {
        const Ipv4Prefix prefix = draft.config.routes[i].prefix;
        const RoutePlaces& places = draft.routes[i];
        if (!places.prefix_read) {
            continue;
        }
        const auto [at, fresh] =
            first_line.try_emplace({prefix.address.host(), prefix.length}, places.prefix.line);
        if (!fresh) {
            mistakes.add(
                places.prefix,
                fmt::format(
                    "the prefix {} a second time (first on line {})", format(prefix), at->second
                ),
                "one route for a prefix"
            );
        }
    }
}

struct PlacedRange {
    nat::AddressRange range;
    Place place;
};

bool is_before_in_file(Place a, Place b) {
    return std::tie(a.line, a.column) < std::tie(b.line, b.column);
}

std::vector<PlacedRange> pool_ranges(const Draft& draft) {
    std::vector<PlacedRange> ranges;
    for (size_t i = 0; i < draft.pools.size(); ++i) {
        const auto& addresses = draft.config.nat.pools[i].addresses;
        for (size_t k = 0; k < addresses.size(); ++k) {
            ranges.push_back({addresses[k], draft.pools[i].addresses[k]});
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

void check_own_addresses(
    const Draft& draft, const std::vector<PlacedRange>& ranges, Mistakes& mistakes
) {
    for (const OnLink& p : on_link_prefixes(draft)) {
        const auto holds = [&](const PlacedRange& r) {
            return r.range.first <= p.own && p.own <= r.range.last;
        };
        const auto r = std::find_if(ranges.begin(), ranges.end(), holds);
        if (r != ranges.end()) {
            mistakes.add(
                r->place,
                fmt::format(
                    "{}, which holds {}, the link {}'s own address",
                    format(r->range),
                    format(p.own),
                    draft.config.links[p.link].name
                ),
                "pool addresses that no link has"
            );
        }
    }
}

void check_pool_size(const std::vector<PlacedRange>& ranges, Mistakes& mistakes) {
    uint64_t count = 0;
    const PlacedRange* last = nullptr;  // in the file
    for (const PlacedRange& r : ranges) {
        count += uint64_t{r.range.last.host()} - r.range.first.host() + 1;
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

Ipv4Prefix InterfaceAddress::on_link() const {
    Ipv4Prefix prefix{address, prefix_length};
    prefix.address = Ipv4Addr::from_host(address.host() & prefix.mask_host());
    return prefix;
}

void check_links(const Draft& draft, Mistakes& mistakes) {
    check_both_sides(draft, mistakes);
    check_devices(draft, mistakes);
    check_link_addresses(draft, mistakes);
    check_link_prefixes(draft, mistakes);
}

void check_routes(Draft& draft, Mistakes& mistakes) {
    check_route_prefixes(draft, mistakes);
    const std::vector<OnLink> prefixes = on_link_prefixes(draft);
    for (size_t i = 0; i < draft.routes.size(); ++i) {
        if (draft.routes[i].next_hop_read) {
            draft.config.routes[i].link = find_next_hop(draft, prefixes, i, mistakes);
        }
    }
}

void check_pools(const Draft& draft, Mistakes& mistakes) {
    const std::vector<PlacedRange> ranges = pool_ranges(draft);
    check_pool_overlaps(ranges, mistakes);
    check_own_addresses(draft, ranges, mistakes);
    check_pool_size(ranges, mistakes);
}

}  // namespace sekisho::config
