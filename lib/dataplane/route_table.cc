#include "dataplane/route_table.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <utility>

namespace sekisho::dataplane {

namespace {

uint32_t last_of(const Ipv4Prefix& prefix) {
    return prefix.address.host() | ~prefix.mask_host();
}

}  // namespace

Ipv4Prefix prefix_of(Ipv4Addr address, uint8_t length) {
    Ipv4Prefix prefix{address, length};
    prefix.address = Ipv4Addr::from_host(address.host() & prefix.mask_host());
    return prefix;
}

bool is_edge(const Ipv4Prefix& prefix, Ipv4Addr address) {
    if (prefix.length > 30 || !prefix.contains(address)) {
        return false;
    }
    const uint32_t host_bits = address.host() & ~prefix.mask_host();
    return host_bits == 0 || host_bits == ~prefix.mask_host();
}

void sort_routes(std::vector<RouteEntry>& routes) {
    std::stable_sort(routes.begin(), routes.end(), [](const RouteEntry& a, const RouteEntry& b) {
        return a.prefix.length != b.prefix.length ? a.prefix.length > b.prefix.length
                                                  : a.prefix.address < b.prefix.address;
    });
    const auto same = [](const RouteEntry& a, const RouteEntry& b) { return a.prefix == b.prefix; };
    routes.erase(std::unique(routes.begin(), routes.end(), same), routes.end());
}

RouteTable::AddressSet::AddressSet(std::span<const Ipv4Addr> addresses)
    : slots_(std::bit_ceil(std::max<size_t>(2, 2 * addresses.size()))), mask_(slots_.size() - 1) {
    for (const Ipv4Addr address : addresses) {
        size_t at = first_slot(address.raw);
        while (slots_[at].is_used && slots_[at].address != address.raw) {
            at = (at + 1) & mask_;
        }
        slots_[at] = {address.raw, true};
    }
}

RouteTable::RouteTable(std::vector<RouteEntry> routes, std::span<const Ipv4Addr> own)
    : routes_(std::move(routes)), own_(own) {
    compile_runs();
}

// What one route, the longest of those that hold an address, means for it.
uint32_t RouteTable::meaning_of(uint32_t route, Ipv4Addr destination) const {
    const RouteEntry& entry = routes_[route];
    return entry.hop.on_link && is_edge(entry.prefix, destination) ? kNoIndex : route;
}

// Where anything changes: at a prefix's first address and behind its last; of a connected one also behind its first and at
// its last.
std::vector<uint32_t> RouteTable::borders() const {
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
void RouteTable::compile_runs() {
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
void RouteTable::index_runs() {
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

const Hop* RouteTable::find(Ipv4Addr destination) const {
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

bool RouteTable::is_link_broadcast(Ipv4Addr address) const {
    return std::ranges::any_of(routes_, [address](const RouteEntry& route) {
        return route.hop.on_link && is_edge(route.prefix, address);
    });
}

}  // namespace sekisho::dataplane
