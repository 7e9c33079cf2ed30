// What a pool keeps back: ports that no dynamic mapping gets, and addresses that are none of the pool's.
#include <algorithm>

#include <fmt/format.h>

#include "config/draft.h"
#include "config/scalars.h"

namespace sekisho::config {
namespace {

struct Part {
    nat::AddressRange range;
    Place place;
};

// What is left of a range when another is taken out of it: nothing, one part or two.
void add_rest(const Part& part, nat::AddressRange out, std::vector<Part>& rest) {
    if (out.last < part.range.first || part.range.last < out.first) {
        rest.push_back(part);
        return;
    }
    if (part.range.first < out.first) {
        rest.push_back({{part.range.first, Ipv4Addr::from_host(out.first.host() - 1)}, part.place});
    }
    if (out.last < part.range.last) {
        rest.push_back({{Ipv4Addr::from_host(out.last.host() + 1), part.range.last}, part.place});
    }
}

std::vector<Part> without(const std::vector<Part>& parts, nat::AddressRange out) {
    std::vector<Part> rest;
    for (const Part& part : parts) {
        add_rest(part, out, rest);
    }
    return rest;
}

bool overlaps(const std::vector<Part>& parts, nat::AddressRange range) {
    return std::ranges::any_of(parts, [&](const Part& part) {
        return range.first <= part.range.last && part.range.first <= range.last;
    });
}

}  // namespace

// The pool has them no more, as if they had not been named. The addresses of links, which come last, stay.
void read_reserved_addresses(
    const Node& node, nat::PoolSettings& pool, PoolPlaces& places, Mistakes& mistakes
) {
    const auto* items =
        read_list(node, kMaxNodes, "a list of addresses, prefixes and ranges", mistakes);
    if (items == nullptr) {
        return;
    }
    std::vector<Part> parts;
    const size_t own = pool.addresses.size() - pool.links.size();
    for (size_t i = 0; i < own; ++i) {
        parts.push_back({pool.addresses[i], places.addresses[i]});
    }
    const std::vector<Part> all = parts;
    for (const Node& item : *items) {
        const auto range = parse_address_range(item.kind == Node::Kind::kScalar ? item.text : "");
        if (!range) {
            mistakes.add(item.place, describe(item), range.error());
        } else if (!overlaps(all, *range)) {
            mistakes.add(
                item.place,
                describe(item) + ", which the pool does not have",
                "addresses of the pool"
            );
        } else {
            parts = without(parts, *range);
        }
    }
    if (parts.empty() && !all.empty() && pool.links.empty()) {
        mistakes.add(node.place, "all addresses of the pool reserved", "at least one that is not");
        return;
    }
    for (size_t i = own; i < pool.addresses.size(); ++i) {
        parts.push_back({pool.addresses[i], places.addresses[i]});
    }
    pool.addresses.clear();
    places.addresses.clear();
    for (const Part& part : parts) {
        pool.addresses.push_back(part.range);
        places.addresses.push_back(part.place);
    }
}

void read_reserved_ports(
    const Node& node, nat::PoolSettings& pool, PoolPlaces& places, Mistakes& mistakes
) {
    places.reserved_ports = node.place;
    const auto* items =
        read_list(node, kMaxNodes, "a list of ports, such as [5060, 6000-6063]", mistakes);
    if (items == nullptr) {
        return;
    }
    for (const Node& item : *items) {
        const auto ports = parse_ports(item.kind == Node::Kind::kScalar ? item.text : "");
        if (ports) {
            pool.reserved_ports.push_back(*ports);
        } else {
            mistakes.add(item.place, describe(item), ports.error());
        }
    }
}

}  // namespace sekisho::config
