#include "dataplane/network.h"

#include <random>

#include "slow_path_rig.h"

using namespace sekisho;
using namespace sekisho::test;
using dataplane::Hop;
using dataplane::Network;

namespace {

struct RouteCase {
    std::string destination;
    std::string next_hop;  // empty: no route
    LinkId link;
    bool on_link = false;
};

}  // namespace

TEST_CASE("the longest prefix decides the next hop", "[dataplane]") {
    config::Config config = rig_config();
    config.routes.push_back({Ipv4Prefix{ip("10.1.0.0"), 16}, ip("192.0.2.9"), kVlan});
    config.routes.push_back({Ipv4Prefix{ip("10.1.2.3"), 32}, ip("198.51.100.7"), kExt});
    const Network network = rig_network(config);
    const RouteCase cases[] = {
        {"8.8.8.8", "198.51.100.1", kExt, false},
        {"10.2.0.1", "100.64.0.2", kInt, false},
        {"10.1.0.1", "192.0.2.9", kVlan, false},
        {"10.1.2.3", "198.51.100.7", kExt, false},
        {"10.1.2.4", "192.0.2.9", kVlan, false},
        {"100.64.0.9", "100.64.0.9", kInt, true},
        {"100.127.255.254", "100.127.255.254", kInt, true},
        {"100.128.0.0", "198.51.100.1", kExt, false},
        {"198.51.100.200", "198.51.100.200", kExt, true},
        {"192.0.2.7", "192.0.2.7", kVlan, true},
    };
    for (const RouteCase& each : cases) {
        CAPTURE(each.destination);
        const std::optional<Hop> hop = network.route(kInternalRealm, ip(each.destination));
        REQUIRE(hop.has_value());
        CHECK(hop->next_hop == ip(each.next_hop));
        CHECK(hop->link == each.link);
        CHECK(hop->on_link == each.on_link);
    }
}

TEST_CASE("network and broadcast addresses of a link have no route", "[dataplane][rfc2644]") {
    const Network network = rig_network(rig_config());
    for (const char* edge : {"198.51.100.0", "198.51.100.255", "100.64.0.0", "100.127.255.255"}) {
        CAPTURE(edge);
        CHECK_FALSE(network.route(kInternalRealm, ip(edge)).has_value());
        CHECK(network.is_link_broadcast(kInternalRealm, ip(edge)));
        CHECK_FALSE(network.is_host_on(kExt, ip(edge)));
    }
    CHECK_FALSE(network.is_link_broadcast(kInternalRealm, ip("198.51.100.1")));
}

TEST_CASE("a 31-bit prefix has two hosts and no broadcast address", "[dataplane][rfc3021]") {
    config::Config config = rig_config();
    config.links[2].addresses = {{ip("192.0.2.0"), 31}};
    const Network network = rig_network(config);
    CHECK(network.route(kInternalRealm, ip("192.0.2.1")).value().link == kVlan);
    CHECK(network.is_host_on(kVlan, ip("192.0.2.1")));
    CHECK(network.is_own(kInternalRealm, ip("192.0.2.0")));
}

TEST_CASE("without a default route the rest of the world has no route", "[dataplane]") {
    config::Config config = rig_config();
    config.routes.clear();
    const Network network = rig_network(config);
    CHECK_FALSE(network.route(kInternalRealm, ip("8.8.8.8")).has_value());
    CHECK(network.routes().size() == 3);
}

TEST_CASE("a connected prefix stands before a static route to the same prefix", "[dataplane]") {
    config::Config config = rig_config();
    config.routes.push_back({Ipv4Prefix{ip("192.0.2.0"), 24}, ip("198.51.100.1"), kExt});
    const Network network = rig_network(config);
    CHECK(network.route(kInternalRealm, ip("192.0.2.5")).value().on_link);
    CHECK_FALSE(network.route(kExternalRealm, ip("192.0.2.5")).value().on_link);
    CHECK(network.routes().size() == 6);  // one for each side
    CHECK(network.routes().front().prefix.length == 24);
    CHECK(network.routes().back().prefix.length == 0);
}

TEST_CASE("own addresses are known on their link and anywhere", "[dataplane]") {
    config::Config config = rig_config();
    config.links[1].addresses.push_back({ip("198.18.0.1"), 16});
    config.links[2].addresses.clear();
    const Network network = rig_network(config);
    CHECK(network.is_own(kInternalRealm, ip("198.18.0.1")));
    CHECK(network.is_own_on(kExt, ip("198.18.0.1")));
    CHECK_FALSE(network.is_own_on(kInt, ip("198.18.0.1")));
    CHECK_FALSE(network.is_own(kInternalRealm, ip("198.18.0.2")));
    CHECK_FALSE(network.is_own(kInternalRealm, ip("0.0.0.0")));
    CHECK(network.own_address(kExt, ip("198.18.7.7")) == ip("198.18.0.1"));
    CHECK(network.own_address(kExt, ip("8.8.8.8")) == ip("198.51.100.2"));
    CHECK(network.own_address(kVlan, ip("8.8.8.8")) == Ipv4Addr{});
}

TEST_CASE("links carry their settings, and parse gets what it needs of them", "[dataplane]") {
    const Network network = rig_network(rig_config());
    CHECK(network.link(kExt).mac == kExtMac);
    CHECK(network.link(kVlan).mac == kIntMac);
    CHECK(network.link(kVlan).device == 0);
    CHECK(network.link(kVlan).mtu == 1400);
    const std::vector<packet::LinkView> views = network.link_views();
    REQUIRE(views.size() == 3);
    CHECK(views[0].internal);
    CHECK_FALSE(views[1].internal);
    CHECK(views[1].realm == kExternalRealm);
    CHECK(views[1].device == 1);
    CHECK(views[2].vlans[0] == 100);
    CHECK(views[2].vlan_count() == 1);
    CHECK(views[2].mac == kIntMac);
}

TEST_CASE("random routes are found as a plain walk finds them", "[dataplane]") {
    std::mt19937 engine(7);
    const auto random = [&] { return static_cast<uint32_t>(engine()); };
    config::Config config = rig_config();
    for (int i = 0; i < 2000; ++i) {
        Ipv4Prefix prefix{Ipv4Addr::from_host(0x0a000000 | (random() & 0x00ffffff)), 0};
        prefix.length = static_cast<uint8_t>(8 + random() % 25);
        prefix.address = Ipv4Addr::from_host(prefix.address.host() & prefix.mask_host());
        config.routes.push_back({prefix, Ipv4Addr::from_host(random()), kExt});
    }
    const Network network = rig_network(config);
    for (int i = 0; i < 20000; ++i) {
        const Ipv4Addr destination = Ipv4Addr::from_host(0x0a000000 | (random() & 0x00ffffff));
        const config::RouteSettings* best = nullptr;
        for (const config::RouteSettings& route : config.routes) {
            const bool longer = best == nullptr || route.prefix.length > best->prefix.length;
            if (longer && route.prefix.contains(destination)) {
                best = &route;
            }
        }
        REQUIRE(network.route(kInternalRealm, destination).value().next_hop == best->next_hop);
    }
}
