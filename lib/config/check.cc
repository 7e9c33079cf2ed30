// What must hold between values of different keys.
#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "config/device.h"
#include "config/draft.h"
#include "config/scalars.h"

namespace sekisho::config {
namespace {

constexpr const char* kWantHosts = "pool addresses that may be a host's";

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
    if (!opened_alike(link.device, earlier.device)) {
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
    const bool queues_read = draft.links[first].queues_read && draft.links[second].queues_read;
    if (queues_read && link.queues != earlier.queues) {
        mistakes.add(
            draft.links[second].device,
            fmt::format(
                "{} with queues other than those on line {}", quote(link.device.text), line
            ),
            "the same queues for all links of a device"
        );
        return true;
    }
    return false;
}

// Two devices, of which one writes a capture file that the other writes or reads.
void check_capture_files(const Draft& draft, size_t second, Mistakes& mistakes) {
    const DeviceSettings& device = draft.config.links[second].device;
    for (size_t i = 0; i < second; ++i) {
        const DeviceSettings& earlier = draft.config.links[i].device;
        if (!draft.links[i].device_read || device_identity(earlier) == device_identity(device)) {
            continue;
        }
        const std::string file = shared_file(earlier, device);
        if (!file.empty()) {
            mistakes.add(
                draft.links[second].device,
                fmt::format(
                    "{}, whose file {} is also the device's on line {}",
                    quote(device.text),
                    quote(file),
                    draft.links[i].device.line
                ),
                "a file to write that no other device has"
            );
            return;
        }
    }
}

// A device may carry several links if the tags of a frame say which one it belongs to.
void check_devices(const Draft& draft, Mistakes& mistakes) {
    std::map<std::string, std::vector<size_t>> by_device;
    for (size_t i = 0; i < draft.links.size(); ++i) {
        if (!draft.links[i].device_read) {
            continue;
        }
        check_capture_files(draft, i, mistakes);
        if (!draft.links[i].vlan_read) {
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

// The first and the last address of a prefix are no host's (RFC 1122 3.2.1.3, RFC 919), but where
// there are no others (RFC 3021).
bool is_end(const OnLink& prefix, Ipv4Addr address) {
    return prefix.last - prefix.first > 1 &&
           (address.host() == prefix.first || address.host() == prefix.last);
}

std::string name_end(const Draft& draft, const OnLink& prefix, uint32_t end) {
    return fmt::format(
        "{} of the link {}'s prefix",
        end == prefix.first ? "the first address" : "the last address",
        draft.config.links[prefix.link].name
    );
}

bool all_addresses_read(const Draft& draft) {
    return std::all_of(draft.links.begin(), draft.links.end(), [](const LinkPlaces& p) {
        return p.addresses_read;
    });
}

struct Named {
    std::string_view what;  // "next hop", "neighbour"
    Ipv4Addr address;
    Place place;
};

// The link that leads to a neighbour.
LinkId find_neighbour(
    const Draft& draft, const std::vector<OnLink>& prefixes, const Named& named, Mistakes& mistakes
) {
    const auto& [what, address, place] = named;
    const auto refuse = [&](const std::string& why) {
        mistakes.add(
            named.place,
            fmt::format("the {} {}, {}", named.what, format(named.address), why),
            "the address of a neighbour"
        );
        return LinkId{};
    };
    const auto own = std::find_if(prefixes.begin(), prefixes.end(), [&](const OnLink& p) {
        return p.own == named.address;
    });
    if (own != prefixes.end()) {
        return refuse(fmt::format("the link {}'s own address", draft.config.links[own->link].name));
    }
    const OnLink* on_link = find_on_link(prefixes, address);
    if (on_link != nullptr && is_end(*on_link, address)) {
        return refuse(name_end(draft, *on_link, address.host()));
    }
    if (on_link != nullptr) {
        return LinkId{static_cast<uint8_t>(on_link->link)};
    }
    if (all_addresses_read(draft)) {
        mistakes.add(
            place,
            fmt::format("the {} {}, to which no link leads", what, format(address)),
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
            std::begin(by_gravity),
            std::end(by_gravity),
            [&](const TakenAddresses& taken) { return report(r, taken); }
        );
    }
}

// Subscribers whose address is given out to others would never be answered.
void check_source(
    const std::vector<PlacedRange>& ranges, Ipv4Prefix source, Place place, Mistakes& mistakes
) {
    const uint32_t last = source.address.host() | ~source.mask_host();
    const auto after = std::upper_bound(
        ranges.begin(),
        ranges.end(),
        source.address,
        [](Ipv4Addr address, const PlacedRange& r) { return address < r.range.first; }
    );
    if (after == ranges.begin()) {
        return;
    }
    const PlacedRange& r = *std::prev(after);  // the only one that may hold it: none overlap
    if (last <= r.range.last.host()) {
        mistakes.add(
            place,
            fmt::format(
                "{}, which lies in the pool's {} on line {}",
                format(source),
                format(r.range),
                r.place.line
            ),
            "the subscribers' addresses, which no pool has"
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
            draft.config.routes[i].link = find_neighbour(
                draft,
                prefixes,
                {"next hop", draft.config.routes[i].next_hop, draft.routes[i].next_hop},
                mistakes
            );
        }
    }
}

void check_neighbours(Draft& draft, Mistakes& mistakes) {
    const std::vector<OnLink> prefixes = on_link_prefixes(draft);
    std::map<uint32_t, int> first_line;
    for (size_t i = 0; i < draft.neighbours.size(); ++i) {
        const Place place = draft.neighbours[i].address;
        NeighbourSettings& neighbour = draft.config.neighbours[i];
        if (!draft.neighbours[i].address_read) {
            continue;
        }
        const auto [at, fresh] = first_line.try_emplace(neighbour.address.host(), place.line);
        if (!fresh) {
            mistakes.add(
                place,
                fmt::format(
                    "the neighbour {} a second time (first on line {})",
                    format(neighbour.address),
                    at->second
                ),
                "one link address for a neighbour"
            );
            continue;
        }
        neighbour.link =
            find_neighbour(draft, prefixes, {"neighbour", neighbour.address, place}, mistakes);
    }
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
            check_source(ranges, source[k], draft.policies[i].source[k], mistakes);
        }
        if (realms) {
            check_policy_realm(draft, *realms, i, mistakes);
        }
    }
}

}  // namespace sekisho::config
