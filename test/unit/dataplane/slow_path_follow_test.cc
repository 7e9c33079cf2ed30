// Addresses of links and routes change while the slow path knows neighbours.
#include "slow_path_rig.h"

using namespace sekisho;
using namespace sekisho::test;

namespace {

std::vector<Outcome> requests_for(const std::vector<Outcome>& all, std::string_view address) {
    std::vector<Outcome> some = of_kind(all, Back::kArpRequest);
    std::erase_if(some, [&](const Outcome& o) {
        return o.back.update.entry.address != ip(address);
    });
    return some;
}

// What the last update says of a neighbour; shards know nothing else of it.
dataplane::NeighbourEntry told_of(const std::vector<Outcome>& all, std::string_view address) {
    dataplane::NeighbourEntry told;
    told.resolved = 0xff;
    for (const Outcome& update : of_kind(all, Back::kNeighbour)) {
        if (update.back.update.entry.address == ip(address)) {
            told = update.back.update.entry;
        }
    }
    return told;
}

// ext0 in another network, by another router.
config::Config moved() {
    config::Config config = rig_config();
    config.links[kExt.value].addresses = {{ip("198.51.101.2"), 24}};
    config.routes[0].next_hop = ip("198.51.101.1");
    return config;
}

config::Config with_own(std::string_view address) {
    config::Config config = rig_config();
    config.links[kExt.value].addresses = {{ip(address), 24}};
    return config;
}

}  // namespace

TEST_CASE("a link's new address is announced, and no other", "[dataplane][arp][change]") {
    SlowPathRig rig;
    rig.start();
    rig.renumber(with_own("198.51.100.9"));
    const std::vector<Outcome> requests = of_kind(rig.poll(), Back::kArpRequest);
    REQUIRE(requests.size() == 1);
    CHECK(requests[0].back.sender == ip("198.51.100.9"));
    CHECK(requests[0].back.update.entry.address == ip("198.51.100.9"));
    CHECK(requests[0].back.update.entry.mac == packet::kBroadcastMac);
    CHECK(rig.state_of("198.51.100.1") == "reachable");

    CHECK(of_kind(rig.ask(kExt, "198.51.100.77", "198.51.100.2"), Back::kAnswer).empty());
    CHECK(of_kind(rig.ask(kExt, "198.51.100.77", "198.51.100.9"), Back::kAnswer).size() == 1);
    // Another host may have the old one, and is no conflict.
    (void)rig.hear(kExt, "198.51.100.2", kOtherMac);
    CHECK(rig.slow.counters().conflicts.read() == 0);
    rig.check();
}

TEST_CASE("neighbours of a network that a link has left are given up", "[dataplane][arp][change]") {
    SlowPathRig rig;
    rig.start();
    (void)rig.ask(kExt, "198.51.100.77", "198.51.100.2");
    REQUIRE(rig.punt_unresolved(kExt, ip("198.51.100.78")));
    (void)rig.poll();
    rig.renumber(moved());
    const std::vector<Outcome> all = rig.poll();
    for (const char* left : {"198.51.100.1", "198.51.100.77"}) {
        INFO(left);
        const dataplane::NeighbourEntry told = told_of(all, left);
        CHECK(told.resolved == 0);
        CHECK(told.gateway == 0);
        CHECK(rig.state_of(left) == "failed");
    }
    const std::vector<Outcome> dropped = of_kind(all, Back::kDropped);
    REQUIRE(dropped.size() == 1);
    CHECK(dropped[0].reason() == DropReason::kNeighbourUnresolved);
    CHECK(requests_for(all, "198.51.101.1").size() == 1);
    CHECK(requests_for(all, "198.51.101.2").size() == 1);
    CHECK(rig.state_of("100.64.0.2") == "reachable");

    SECTION("nothing is left of them after a while") {
        (void)rig.poll_after(dataplane::kRefuseMs);
        CHECK(rig.state_of("198.51.100.1") == "none");
        CHECK(rig.state_of("198.51.100.77") == "none");
    }
    SECTION("the new router is one") {
        const std::vector<Outcome> heard = rig.hear(kExt, "198.51.101.1", kOtherMac);
        CHECK(told_of(heard, "198.51.101.1").gateway == 1);
        CHECK(told_of(heard, "198.51.101.1").mac == kOtherMac);
    }
    SECTION("and back: the old one is asked for again at once") {
        rig.renumber(rig_config());
        CHECK(requests_for(rig.poll(), "198.51.100.1").size() == 1);
        const std::vector<Outcome> heard = rig.hear(kExt, "198.51.100.1", kPeerMac);
        CHECK(told_of(heard, "198.51.100.1").gateway == 1);
        CHECK(rig.state_of("198.51.101.1") == "failed");
    }
    rig.check();
}

TEST_CASE(
    "who is no gateway any more is told as a host, and the other way round",
    "[dataplane][arp][change]"
) {
    SlowPathRig rig(3);
    rig.start();
    (void)rig.ask(kExt, "198.51.100.7", "198.51.100.2");
    config::Config config = rig_config();
    config.routes[0].next_hop = ip("198.51.100.7");
    rig.renumber(config);
    const std::vector<Outcome> all = rig.poll();
    CHECK(told_of(all, "198.51.100.1").gateway == 0);
    CHECK(told_of(all, "198.51.100.1").resolved == 1);
    CHECK(told_of(all, "198.51.100.7").gateway == 1);
    CHECK(of_kind(all, Back::kNeighbour).size() == 6);  // each to each shard
    CHECK(requests_for(all, "198.51.100.7").empty());
    for (int second = 0; second < 100; ++second) {
        (void)rig.poll_after(1000);
    }
    CHECK(rig.state_of("198.51.100.1") == "none");
    CHECK(rig.state_of("198.51.100.7") != "none");
    rig.check();
}

TEST_CASE("a neighbour whose address has become our own is none", "[dataplane][arp][change]") {
    SlowPathRig rig;
    rig.start();
    (void)rig.ask(kExt, "198.51.100.9", "198.51.100.2");
    REQUIRE(rig.state_of("198.51.100.9") == "reachable");
    rig.renumber(with_own("198.51.100.9"));
    CHECK(told_of(rig.poll(), "198.51.100.9").resolved == 0);
    rig.check();
}
