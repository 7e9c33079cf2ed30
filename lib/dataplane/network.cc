#include "dataplane/network.h"

#include <algorithm>
#include <iterator>
#include <tuple>

namespace sekisho::dataplane {

Network::Network(
    const config::Config& config,
    const std::vector<unsigned>& device_of_link,
    const std::vector<MacAddr>& macs
)
    : static_neighbours_(config.neighbours), multicast_(config.multicast) {
    add_links(config, device_of_link, macs);
    compile_realms(routes_of(config));
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

// Connected before static: of two to one prefix the first stays.
std::vector<RouteEntry> Network::routes_of(const config::Config& config) const {
    std::vector<RouteEntry> all;
    for (size_t i = 0; i < links_.size(); ++i) {
        const LinkId id{static_cast<uint8_t>(i)};
        for (const config::InterfaceAddress& own : links_[i].addresses) {
            all.push_back({prefix_of(own.address, own.prefix_length), Hop{id, {}, true}});
        }
    }
    for (const config::RouteSettings& route : config.routes) {
        all.push_back(
            {prefix_of(route.prefix.address, route.prefix.length),
             Hop{route.link, route.next_hop, false}}
        );
    }
    return all;
}

template <class Takes>
RouteTable Network::table_of(const std::vector<RouteEntry>& all, Takes takes) const {
    std::vector<RouteEntry> routes;
    std::ranges::copy_if(all, std::back_inserter(routes), [&](const RouteEntry& route) {
        return takes(link(route.hop.link));
    });
    sort_routes(routes);
    std::vector<Ipv4Addr> own;
    for (const Link& each : links_) {
        for (size_t i = 0; takes(each) && i < each.addresses.size(); ++i) {
            own.push_back(each.addresses[i].address);
        }
    }
    return {std::move(routes), own};
}

void Network::compile_realms(const std::vector<RouteEntry>& all) {
    for (const Link& each : links_) {
        const bool is_known =
            std::ranges::find(internal_realms_, each.realm) != internal_realms_.end();
        if (each.side == config::Side::kInternal && !is_known) {
            internal_realms_.push_back(each.realm);
        }
    }
    const auto is_external = [](const Link& each) { return each.side == config::Side::kExternal; };
    tables_.push_back(table_of(all, is_external));
    for (const RealmId realm : internal_realms_) {
        table_of_[realm.value] = static_cast<uint8_t>(tables_.size());
        tables_.push_back(table_of(all, [&](const Link& each) {
            return is_external(each) || each.realm == realm;
        }));
    }
    inside_ = table_of(all, [&](const Link& each) { return !is_external(each); });
    list_routes(all);
}

void Network::list_routes(const std::vector<RouteEntry>& all) {
    const auto place_of = [this](const RouteEntry& route) {
        return std::tuple(
            -int{route.prefix.length}, route.prefix.address.host(), view_of(route.hop.link).value
        );
    };
    routes_ = all;
    std::ranges::stable_sort(routes_, {}, place_of);
    const auto same = [&](const RouteEntry& a, const RouteEntry& b) {
        return place_of(a) == place_of(b);
    };
    routes_.erase(std::unique(routes_.begin(), routes_.end(), same), routes_.end());
}

bool Network::is_inside(RealmId realm, Ipv4Addr address) const {
    const Hop* const hop = find_route(realm, address);
    const bool leads_inside = hop != nullptr && view_of(hop->link) != kExternalRealm;
    return leads_inside || (is_own(realm, address) && !is_own(kExternalRealm, address));
}

bool Network::is_inside_some(Ipv4Addr address) const {
    return std::ranges::any_of(internal_realms_, [&](RealmId realm) {
        return is_inside(realm, address);
    });
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
