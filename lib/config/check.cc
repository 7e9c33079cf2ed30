// What must hold between values of different keys: links, routes and neighbours.
#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "config/device.h"
#include "config/draft.h"
#include "config/on_link.h"
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

}  // namespace sekisho::config
