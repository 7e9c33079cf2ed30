// What must hold between values of different keys: links, routes and neighbours.
#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/mutation.h"
#include "config/device.h"
#include "config/draft.h"
#include "config/on_link.h"
#include "config/scalars.h"

namespace sekisho::config {
namespace {

// Two realms on the internal side may have the same; each of them sees what the external side has.
bool meet(RealmId a, RealmId b) {
    return a == b || a == kExternalRealm || b == kExternalRealm;
}

// What has been seen, in which realms, and where first.
template <class Key>
class Seen {
  public:
    // The line of what was there before in a realm that meets this one.
    std::optional<int> note(const Key& key, RealmId space, int line) {
        auto& known = known_[key];
        const auto first =
            std::ranges::find_if(known, [space](const auto& k) { return meet(k.first, space); });
        const auto line_before = first == known.end() ? std::nullopt : std::optional(first->second);
        known.emplace_back(space, line);
        return line_before;
    }

  private:
    std::map<Key, std::vector<std::pair<RealmId, int>>> known_;
};

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

void check_link_addresses(const Draft& draft, Mistakes& mistakes) {
    Seen<uint32_t> seen;
    for (const OnLink& p : on_link_prefixes(draft)) {
        const Place place = draft.links[p.link].addresses[p.address];
        if (const auto line = seen.note(p.own.host(), p.space, place.line)) {
            mistakes.add(
                place,
                fmt::format(
                    "the address {} a second time (first on line {})", format(p.own), *line
                ),
                "an own address once in a realm"
            );
        }
    }
}

// Routes are looked up by realm and destination, so of the links of a realm, and of those on the external side, a prefix is on
// one only. Nor may the external side have any of what a realm has inside: a host there could not be reached by those who have
// one of its address beside them (RFC 4787 REQ-7).
bool clash(const Draft& draft, const OnLink& a, const OnLink& b) {
    const bool overlap = a.first <= b.last && b.first <= a.last;
    const bool realms_read = draft.links[a.link].realm_read && draft.links[b.link].realm_read;
    const bool said_already = a.own == b.own;
    const bool collides =
        meet(a.space, b.space) && !(a.space != b.space && is_mutated(Mutation::kRfc4787Req7));
    return a.link != b.link && !said_already && overlap && realms_read && collides;
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
                second.space == first.space
                    ? "a prefix of its own for each link of a realm"
                    : "prefixes inside and outside that have no address in common (RFC 4787 REQ-7)"
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
        return p.addresses_read && p.realm_read;
    });
}

struct Named {
    std::string_view what;  // "next hop", "neighbour"
    Ipv4Addr address;
    Place place;
    std::optional<RealmId> realm;  // as written
};

// Where nobody has said the realm: the names of those on the internal side that have the address, if there are several.
std::string names_of_realms(
    const Draft& draft, const std::vector<OnLink>& prefixes, Ipv4Addr address
) {
    std::set<RealmId> realms;
    for (const OnLink& p : prefixes) {
        const bool holds = p.first <= address.host() && address.host() <= p.last;
        if (holds && p.space != kExternalRealm) {
            realms.insert(p.space);
        }
    }
    std::string names;
    for (const RealmId realm : realms) {
        names += (names.empty() ? "" : ", ") + draft.config.realms[realm.value].name;
    }
    return realms.size() > 1 ? names : "";
}

// Of the realm that is named, or of all.
std::vector<OnLink> prefixes_in(
    const Draft& draft, const std::vector<OnLink>& prefixes, std::optional<RealmId> realm
) {
    if (!realm) {
        return prefixes;
    }
    const RealmId space = space_of(draft.config.realms[realm->value]);
    std::vector<OnLink> some;
    std::ranges::copy_if(prefixes, std::back_inserter(some), [space](const OnLink& p) {
        return p.space == space;
    });
    return some;
}

// The link that leads to a neighbour.
std::optional<LinkId> find_neighbour(
    const Draft& draft, const std::vector<OnLink>& all, const Named& named, Mistakes& mistakes
) {
    const auto& [what, address, place, realm] = named;
    const std::vector<OnLink> prefixes = prefixes_in(draft, all, realm);
    const std::string several = realm ? "" : names_of_realms(draft, prefixes, address);
    if (!several.empty()) {
        mistakes.add(
            place,
            fmt::format(
                "the {} {}, which is in several realms: {}", what, format(address), several
            ),
            "its realm as well"
        );
        return std::nullopt;
    }
    const auto refuse = [&](const std::string& why) -> std::optional<LinkId> {
        mistakes.add(
            named.place,
            fmt::format("the {} {}, {}", named.what, format(named.address), why),
            "the address of a neighbour"
        );
        return std::nullopt;
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
            fmt::format(
                "the {} {}, to which no link{} leads",
                what,
                format(address),
                realm ? " of the realm " + draft.config.realms[realm->value].name : ""
            ),
            "a neighbour in a link's own prefix"
        );
    }
    return std::nullopt;
}

// `spaces`: the realms in which the routes are, in step with them, as far as that is known.
void check_route_prefixes(
    const Draft& draft, const std::vector<std::optional<RealmId>>& spaces, Mistakes& mistakes
) {
    Seen<std::pair<uint32_t, uint8_t>> seen;
    for (size_t i = 0; i < draft.routes.size(); ++i) {
        const Ipv4Prefix prefix = draft.config.routes[i].prefix;
        const RoutePlaces& places = draft.routes[i];
        if (!places.prefix_read || !spaces[i]) {
            continue;
        }
        const auto line =
            seen.note({prefix.address.host(), prefix.length}, *spaces[i], places.prefix.line);
        if (line) {
            mistakes.add(
                places.prefix,
                fmt::format(
                    "the prefix {} a second time (first on line {})", format(prefix), *line
                ),
                "one route for a prefix in a realm"
            );
        }
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
    const std::vector<OnLink> prefixes = on_link_prefixes(draft);
    std::vector<std::optional<RealmId>> spaces;
    for (size_t i = 0; i < draft.routes.size(); ++i) {
        const RoutePlaces& at = draft.routes[i];
        RouteSettings& route = draft.config.routes[i];
        const Named next_hop{"next hop", route.next_hop, at.next_hop, at.realm};
        const auto link =
            at.next_hop_read ? find_neighbour(draft, prefixes, next_hop, mistakes) : std::nullopt;
        auto& space = spaces.emplace_back();
        if (at.realm) {
            space = space_of(draft.config.realms[at.realm->value]);
        }
        if (link) {
            route.link = *link;
            space = space_of(draft.config.links[link->value]);
        }
    }
    check_route_prefixes(draft, spaces, mistakes);
}

void check_neighbours(Draft& draft, Mistakes& mistakes) {
    const std::vector<OnLink> prefixes = on_link_prefixes(draft);
    Seen<uint32_t> seen;
    for (size_t i = 0; i < draft.neighbours.size(); ++i) {
        const NeighbourPlaces& at = draft.neighbours[i];
        NeighbourSettings& neighbour = draft.config.neighbours[i];
        if (!at.address_read) {
            continue;
        }
        const Named named{"neighbour", neighbour.address, at.address, at.realm};
        const auto link = find_neighbour(draft, prefixes, named, mistakes);
        if (!link) {
            continue;
        }
        neighbour.link = *link;
        const RealmId space = space_of(draft.config.links[link->value]);
        if (const auto line = seen.note(neighbour.address.host(), space, at.address.line)) {
            mistakes.add(
                at.address,
                fmt::format(
                    "the neighbour {} a second time (first on line {})",
                    format(neighbour.address),
                    *line
                ),
                "one link address for a neighbour"
            );
        }
    }
}

}  // namespace sekisho::config
