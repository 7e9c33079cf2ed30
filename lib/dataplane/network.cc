#include "dataplane/network.h"

#include <algorithm>
#include <bit>
#include <numeric>

namespace sekisho::dataplane {

namespace {

Ipv4Prefix prefix_of(Ipv4Addr address, uint8_t length) {
    Ipv4Prefix prefix{address, length};
    prefix.address = Ipv4Addr::from_host(address.host() & prefix.mask_host());
    return prefix;
}

uint32_t last_of(const Ipv4Prefix& prefix) {
    return prefix.address.host() | ~prefix.mask_host();
}

// The all-zeros or all-ones address of a prefix. Prefixes of 31 and 32 bits have none (RFC 3021).
bool is_edge(const Ipv4Prefix& prefix, Ipv4Addr address) {
    if (prefix.length > 30 || !prefix.contains(address)) {
        return false;
    }
    const uint32_t host_bits = address.host() & ~prefix.mask_host();
    return host_bits == 0 || host_bits == ~prefix.mask_host();
}

size_t count_addresses(const config::Config& config) {
    size_t count = 0;
    for (const config::LinkSettings& link : config.links) {
        count += link.addresses.size();
    }
    return count;
}

}  // namespace

Network::Table::Table(size_t entries)
    : slots_(std::bit_ceil(std::max<size_t>(2, 2 * entries))), mask_(slots_.size() - 1) {}

bool Network::Table::insert(uint32_t key, uint32_t value) {
    size_t at = first_slot(key);
    while (slots_[at].value != kNoIndex) {
        if (slots_[at].key == key) {
            return false;
        }
        at = (at + 1) & mask_;
    }
    slots_[at] = {key, value};
    return true;
}

Network::Network(
    const config::Config& config,
    const std::vector<unsigned>& device_of_link,
    const std::vector<MacAddr>& macs
)
    : static_neighbours_(config.neighbours),
      multicast_(config.multicast),
      own_(count_addresses(config)) {
    add_links(config, device_of_link, macs);
    for (size_t i = 0; i < links_.size(); ++i) {
        const LinkId id{static_cast<uint8_t>(i)};
        for (const config::InterfaceAddress& own : links_[i].addresses) {
            own_.insert(own.address.raw, id.value);
            routes_.push_back({prefix_of(own.address, own.prefix_length), Hop{id, {}, true}});
        }
    }
    for (const config::RouteSettings& route : config.routes) {
        routes_.push_back(
            {prefix_of(route.prefix.address, route.prefix.length),
             Hop{route.link, route.next_hop, false}}
        );
    }
    compile_routes();
}

void Network::add_links(
    const config::Config& config,
    const std::vector<unsigned>& device_of_link,
    const std::vector<MacAddr>& macs
) {
    for (size_t i = 0; i < config.links.size(); ++i) {
        const config::LinkSettings& from = config.links[i];
        Link link;
        link.name = from.name;
        link.device = device_of_link.at(i);
        link.realm = from.realm;
        link.side = from.side;
        link.mac = macs.at(link.device);
        link.addresses = from.addresses;
        link.mtu = from.mtu;
        link.vlans = from.vlans;
        link.proxy_arp = from.proxy_arp;
        links_.push_back(std::move(link));
    }
}

void Network::compile_routes() {
    // Stable, so that of two routes to one prefix the first stays first: connected before static.
    std::stable_sort(routes_.begin(), routes_.end(), [](const RouteEntry& a, const RouteEntry& b) {
        return a.prefix.length != b.prefix.length ? a.prefix.length > b.prefix.length
                                                  : a.prefix.address < b.prefix.address;
    });
    const auto same = [](const RouteEntry& a, const RouteEntry& b) { return a.prefix == b.prefix; };
    routes_.erase(std::unique(routes_.begin(), routes_.end(), same), routes_.end());
    compile_intervals();
}

// What one route, the longest of those that hold an address, means for it.
uint32_t Network::meaning_of(uint32_t route, Ipv4Addr destination) const {
    const RouteEntry& entry = routes_[route];
    return entry.hop.on_link && is_edge(entry.prefix, destination) ? kNoIndex : route;
}

// Where anything changes: at a prefix's first address and behind its last; of a connected one also behind its first and at
// its last.
std::vector<uint32_t> Network::borders() const {
    std::vector<uint32_t> borders{0};
    for (const RouteEntry& route : routes_) {
        const uint32_t first = route.prefix.address.host();
        const uint32_t last = last_of(route.prefix);
        for (const uint32_t border : {first, first + 1, last, last + 1}) {
            borders.push_back(border
            );  // behind the last address of all lies 0, which is there already
        }
    }
    std::sort(borders.begin(), borders.end());
    borders.erase(std::unique(borders.begin(), borders.end()), borders.end());
    return borders;
}

// Prefixes lie within each other or apart, so those that hold a border are a stack, the longest on top.
void Network::compile_intervals() {
    std::vector<uint32_t> by_start(routes_.size());
    std::iota(by_start.begin(), by_start.end(), 0U);
    std::sort(by_start.begin(), by_start.end(), [&](uint32_t a, uint32_t b) {
        const Ipv4Prefix& left = routes_[a].prefix;
        const Ipv4Prefix& right = routes_[b].prefix;
        return left.address == right.address ? left.length < right.length
                                             : left.address.host() < right.address.host();
    });
    std::vector<uint32_t> open;
    size_t next = 0;
    for (const uint32_t border : borders()) {
        while (!open.empty() && last_of(routes_[open.back()].prefix) < border) {
            open.pop_back();
        }
        while (next < by_start.size() && routes_[by_start[next]].prefix.address.host() == border) {
            open.push_back(by_start[next++]);
        }
        const uint32_t route =
            open.empty() ? kNoIndex : meaning_of(open.back(), Ipv4Addr::from_host(border));
        if (run_routes_.empty() || run_routes_.back() != route) {
            run_starts_.push_back(border);
            run_routes_.push_back(route);
        }
    }
    index_runs();
}

// The runs that an address's first octet leaves to be searched.
void Network::index_runs() {
    const auto run_of = [this](uint32_t address) {
        return std::upper_bound(run_starts_.begin(), run_starts_.end(), address) -
               run_starts_.begin() - 1;
    };
    for (uint32_t octet = 0; octet < by_octet_.size(); ++octet) {
        const auto first = run_of(octet << 24);
        const auto last = run_of(octet << 24 | 0xffffff);
        by_octet_[octet] = {static_cast<uint32_t>(first), static_cast<uint32_t>(last - first + 1)};
    }
}

const Hop* Network::find_route(Ipv4Addr destination) const {
    const uint32_t wanted = destination.host();
    const auto [first, count] = by_octet_[wanted >> 24];
    const uint32_t* run = run_starts_.data() + first;
    for (size_t left = count; left > 1;) {
        const size_t half = left / 2;
        run += run[half] <= wanted ? half : 0;
        left -= half;
    }
    const uint32_t index = run_routes_[static_cast<size_t>(run - run_starts_.data())];
    return index == kNoIndex ? nullptr : &routes_[index].hop;
}

bool Network::is_own_on(LinkId id, Ipv4Addr address) const {
    for (const config::InterfaceAddress& own : links_[id.value].addresses) {
        if (own.address == address) {
            return true;
        }
    }
    return false;
}

bool Network::is_host_on(LinkId id, Ipv4Addr address) const {
    for (const config::InterfaceAddress& own : links_[id.value].addresses) {
        const Ipv4Prefix prefix = prefix_of(own.address, own.prefix_length);
        if (prefix.contains(address) && !is_edge(prefix, address)) {
            return true;
        }
    }
    return false;
}

bool Network::is_link_broadcast(Ipv4Addr address) const {
    for (const Link& each : links_) {
        const auto is_broadcast = [&](const config::InterfaceAddress& own) {
            return is_edge(prefix_of(own.address, own.prefix_length), address);
        };
        if (std::any_of(each.addresses.begin(), each.addresses.end(), is_broadcast)) {
            return true;
        }
    }
    return false;
}

Ipv4Addr Network::own_address(LinkId id, Ipv4Addr peer) const {
    const std::vector<config::InterfaceAddress>& addresses = links_[id.value].addresses;
    for (const config::InterfaceAddress& own : addresses) {
        if (prefix_of(own.address, own.prefix_length).contains(peer)) {
            return own.address;
        }
    }
    return addresses.empty() ? Ipv4Addr{} : addresses.front().address;
}

std::optional<LinkId> Network::find_multicast(LinkId from, Ipv4Addr group) const {
    for (const config::MulticastSettings& entry : multicast_) {
        if (entry.from == from && entry.groups.contains(group)) {
            return entry.to;
        }
    }
    return std::nullopt;
}

std::vector<std::pair<LinkId, Ipv4Addr>> Network::own_addresses() const {
    std::vector<std::pair<LinkId, Ipv4Addr>> all;
    for (size_t i = 0; i < links_.size(); ++i) {
        for (const config::InterfaceAddress& own : links_[i].addresses) {
            all.emplace_back(LinkId{static_cast<uint8_t>(i)}, own.address);
        }
    }
    return all;
}

std::vector<packet::LinkView> Network::link_views() const {
    std::vector<packet::LinkView> views;
    for (const Link& each : links_) {
        packet::LinkView view;
        view.mac = each.mac;
        for (size_t i = 0; i < std::min(each.vlans.size(), std::size(view.vlans)); ++i) {
            view.vlans[i] = each.vlans[i];
        }
        view.realm = each.realm;
        view.internal = each.side == config::Side::kInternal;
        view.device = static_cast<uint8_t>(each.device);
        views.push_back(view);
    }
    return views;
}

}  // namespace sekisho::dataplane
