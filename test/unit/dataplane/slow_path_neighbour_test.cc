#include "packet/checksum.h"
#include "slow_path_rig.h"

using namespace sekisho;
using namespace sekisho::test;

namespace {

const char* const kHop = "198.51.100.77";

std::vector<Outcome> requests_for(const std::vector<Outcome>& all, std::string_view address) {
    std::vector<Outcome> some = of_kind(all, Back::kArpRequest);
    std::erase_if(some, [&](const Outcome& o) {
        return o.back.update.entry.address != ip(address);
    });
    return some;
}

}  // namespace

// ---- start

TEST_CASE("the first turn announces own addresses and asks for the gateways", "[dataplane][arp]") {
    SlowPathRig rig;
    const std::vector<Outcome> all = rig.poll();
    for (const char* own : {"100.64.0.1", "198.51.100.2", "192.0.2.1"}) {
        CAPTURE(own);
        const std::vector<Outcome> asked = requests_for(all, own);
        REQUIRE(asked.size() == 1);
        CHECK(asked[0].back.sender == ip(own));
        CHECK(asked[0].back.update.entry.mac == packet::kBroadcastMac);
    }
    const std::vector<Outcome> asked = requests_for(all, "198.51.100.1");
    REQUIRE(asked.size() == 1);
    CHECK(asked[0].back.sender == ip("198.51.100.2"));
    CHECK(asked[0].back.update.entry.link == kExt);
    CHECK(requests_for(all, "100.64.0.2").size() == 1);
    CHECK(rig.state_of("198.51.100.1") == "incomplete");
    CHECK(of_kind(rig.poll(), Back::kArpRequest).empty());
    rig.check();
}

TEST_CASE("a neighbour whose link address is written down is never asked for", "[dataplane][arp]") {
    config::Config config = rig_config();
    const MacAddr written{{2, 0, 0, 0, 9, 9}};
    config.neighbours.push_back({ip("198.51.100.1"), written, kExt});  // a gateway
    config.neighbours.push_back({ip(kHop), written, kExt});            // a host
    SlowPathRig rig(2, {}, {}, config);
    const std::vector<Outcome> all = rig.poll();
    CHECK(requests_for(all, "198.51.100.1").empty());
    CHECK(requests_for(all, kHop).empty());
    CHECK(requests_for(all, "100.64.0.2").size() == 1);
    const std::vector<Outcome> updates = of_kind(all, Back::kNeighbour);
    REQUIRE(updates.size() == 4);  // to each shard, each of the two
    for (const Outcome& update : updates) {
        const dataplane::NeighbourEntry& entry = update.back.update.entry;
        CHECK(entry.resolved == 1);
        CHECK(entry.mac == written);
        CHECK(entry.gateway == (entry.address == ip("198.51.100.1")));
    }

    SECTION("no ARP frame changes it") {
        CHECK(of_kind(rig.hear(kExt, kHop, kPeerMac), Back::kNeighbour).empty());
        CHECK(rig.state_of(kHop) == "static");
    }
    SECTION("it does not age") {
        for (int second = 0; second < 200; ++second) {
            rig.now = rig.now + 1000;
            CHECK(requests_for(rig.poll(), kHop).empty());
        }
        CHECK(rig.state_of(kHop) == "static");
        CHECK(rig.state_of("198.51.100.1") == "static");
    }
    SECTION("a packet that came before the update goes out behind it") {
        REQUIRE(rig.punt_unresolved(kExt, ip(kHop), "early", 1));
        const std::vector<Outcome> outcomes = rig.poll();
        REQUIRE(of_kind(outcomes, Back::kSend).size() == 1);
        CHECK(of_kind(outcomes, Back::kNeighbour).size() == 1);
        CHECK(requests_for(outcomes, kHop).empty());
    }
    rig.check();
}

TEST_CASE("announcements wait for room in the ring", "[dataplane][arp]") {
    Fabric::Sizes sizes;
    sizes.back = 2;
    SlowPathRig rig(1, {}, sizes);
    std::vector<Outcome> all;
    for (int i = 0; i < 10; ++i) {
        const std::vector<Outcome> some = rig.poll();
        all.insert(all.end(), some.begin(), some.end());
    }
    for (const char* own : {"100.64.0.1", "198.51.100.2", "192.0.2.1"}) {
        CHECK(requests_for(all, own).size() == 1);
    }
}

// ---- resolution

TEST_CASE("a packet waits for its next hop and follows the update", "[dataplane][arp]") {
    SlowPathRig rig(3);
    rig.start();
    REQUIRE(rig.punt_unresolved(kExt, ip(kHop), "first", 1));
    REQUIRE(rig.punt_unresolved(kExt, ip(kHop), "second", 1));
    REQUIRE(rig.punt_unresolved(kExt, ip(kHop), "third", 2));
    const std::vector<Outcome> asked = rig.poll();
    REQUIRE(requests_for(asked, kHop).size() == 1);
    CHECK(requests_for(asked, kHop)[0].back.update.entry.mac == packet::kBroadcastMac);
    CHECK(of_kind(asked, Back::kSend).empty());
    CHECK(rig.slow.held() == 3);
    CHECK(rig.state_of(kHop) == "incomplete");
    rig.check();

    const std::vector<Outcome> all = rig.hear(kExt, kHop, kPeerMac);
    const std::vector<Outcome> updates = of_kind(all, Back::kNeighbour);
    REQUIRE(updates.size() == 3);
    for (unsigned s = 0; s < 3; ++s) {
        const dataplane::NeighbourEntry& entry = updates[s].back.update.entry;
        CHECK(updates[s].shard == s);
        CHECK(updates[s].back.update.id.value != 0);
        CHECK(entry.address == ip(kHop));
        CHECK(entry.mac == kPeerMac);
        CHECK(entry.link == kExt);
        CHECK(entry.resolved == 1);
        CHECK(entry.gateway == 0);
        CHECK(entry.header_length == 14);
        CHECK(entry.mtu == 1500);
    }
    std::vector<std::string> order;
    for (const Outcome& each : all) {
        if (each.shard == 1) {
            order.push_back(
                each.back.kind == Back::kNeighbour ? "update" : text_of(each.frame().payload)
            );
        }
    }
    CHECK(order == std::vector<std::string>{"update", "first", "second"});
    const std::vector<Outcome> sent = of_kind(all, Back::kSend);
    REQUIRE(sent.size() == 3);
    for (const Outcome& each : sent) {
        CHECK((each.back.packet.flags & packet::kRouteOnly) != 0);
        CHECK(each.back.l3_offset == packet::kEthernetHeader);
    }
    CHECK(rig.slow.held() == 0);
    rig.check();
}

TEST_CASE("an update tells the tags and the MTU of the link", "[dataplane][arp]") {
    SlowPathRig rig;
    rig.start();
    REQUIRE(rig.punt_unresolved(kVlan, ip("192.0.2.7")));
    rig.poll();
    const std::vector<Outcome> updates =
        of_kind(rig.hear(kVlan, "192.0.2.7", kPeerMac), Back::kNeighbour);
    REQUIRE(updates.size() == 1);
    CHECK(updates[0].back.update.entry.header_length == 18);
    CHECK(updates[0].back.update.entry.mtu == 1400);
}

TEST_CASE("a next hop that does not answer is asked three times", "[dataplane][arp]") {
    SlowPathRig rig;
    rig.start();
    REQUIRE(rig.punt_unresolved(kExt, ip(kHop)));
    size_t asked = requests_for(rig.poll(), kHop).size();
    CHECK(rig.poll_after(999).empty());
    asked += requests_for(rig.poll_after(1), kHop).size();
    asked += requests_for(rig.poll_after(1000), kHop).size();
    CHECK(asked == 3);
    CHECK(rig.slow.held() == 1);
    const Outcome lost = only(rig.poll_after(1000));
    CHECK(lost.back.kind == Back::kDropped);
    CHECK(lost.reason() == DropReason::kNeighbourUnresolved);
    CHECK(rig.state_of(kHop) == "failed");

    REQUIRE(rig.punt_unresolved(kExt, ip(kHop)));
    const std::vector<Outcome> refused = rig.poll();
    CHECK(only(refused).reason() == DropReason::kNeighbourUnresolved);
    CHECK(requests_for(refused, kHop).empty());

    rig.poll_after(dataplane::kRefuseMs);
    CHECK(rig.state_of(kHop) == "none");
    REQUIRE(rig.punt_unresolved(kExt, ip(kHop)));
    CHECK(requests_for(rig.poll(), kHop).size() == 1);
    CHECK(rig.slow.held() == 1);
    rig.check();
}

TEST_CASE("a host that failed is believed again when it speaks", "[dataplane][arp]") {
    SlowPathRig rig;
    rig.start();
    REQUIRE(rig.punt_unresolved(kExt, ip(kHop)));
    for (int i = 0; i < 5; ++i) {
        rig.poll_after(1000);
    }
    REQUIRE(rig.state_of(kHop) == "failed");
    CHECK(of_kind(rig.hear(kExt, kHop, kPeerMac), Back::kNeighbour).size() == 1);
    CHECK(rig.state_of(kHop) == "reachable");
}

TEST_CASE(
    "a packet for a known neighbour goes back at once, behind the update", "[dataplane][arp]"
) {
    SlowPathRig rig(2);
    rig.start();
    REQUIRE(rig.punt_unresolved(kExt, ip("198.51.100.1"), "x", 1));
    const std::vector<Outcome> all = rig.poll();
    REQUIRE(all.size() == 2);
    CHECK(all[0].back.kind == Back::kNeighbour);
    CHECK(all[0].shard == 1);
    CHECK(all[0].back.update.entry.gateway == 1);
    CHECK(all[1].back.kind == Back::kSend);
    CHECK(all[1].shard == 1);
}

TEST_CASE("a next hop that cannot stand on the link is refused", "[dataplane][arp]") {
    for (const char* hop :
         {"198.51.100.255", "198.51.100.0", "198.51.100.2", "8.8.8.8", "0.0.0.0"}) {
        CAPTURE(hop);
        SlowPathRig rig;
        rig.start();
        REQUIRE(rig.punt_unresolved(kExt, ip(hop)));
        const std::vector<Outcome> all = rig.poll();
        CHECK(only(all).reason() == DropReason::kNeighbourUnresolved);
        CHECK(of_kind(all, Back::kArpRequest).empty());
        rig.check();
    }
}

// ---- bounds

TEST_CASE("the ninth packet for a neighbour pushes out the first", "[dataplane][arp]") {
    SlowPathRig rig(2);
    rig.start();
    for (unsigned i = 0; i < 9; ++i) {
        REQUIRE(rig.punt_unresolved(kExt, ip(kHop), std::to_string(i), i == 0 ? 1 : 0));
        if (i < 8) {
            CHECK(of_kind(rig.poll(), Back::kDropped).empty());
        }
    }
    const Outcome lost = only(rig.poll());
    CHECK(lost.reason() == DropReason::kNeighbourQueueFull);
    CHECK(text_of(lost.frame().payload) == "0");
    CHECK(lost.shard == 1);
    const std::vector<Outcome> sent = of_kind(rig.hear(kExt, kHop, kPeerMac), Back::kSend);
    REQUIRE(sent.size() == 8);
    CHECK(text_of(sent.front().frame().payload) == "1");
    CHECK(text_of(sent.back().frame().payload) == "8");
    rig.check();
}

TEST_CASE("no more than kHeldInAll packets wait", "[dataplane][arp]") {
    SlowPathRig rig;
    rig.start();
    for (unsigned i = 0; i < 200; ++i) {
        for (int n = 0; n < 8; ++n) {
            REQUIRE(rig.punt_unresolved(kInt, Ipv4Addr::from_host(ip("100.64.9.0").host() + i)));
        }
        rig.poll();
    }
    CHECK(rig.slow.held() == dataplane::kHeldInAll);
    CHECK(rig.dropped[DropReason::kNeighbourQueueFull] == 200 * 8 - dataplane::kHeldInAll);
    rig.check();
    for (int i = 0; i < 10; ++i) {
        rig.poll_after(1000);
    }
    CHECK(rig.slow.held() == 0);
    rig.check();
}

TEST_CASE(
    "a scan has a rate and a bound, and pushes out nothing that is resolved", "[dataplane][arp]"
) {
    SlowPathRig rig;
    rig.start();
    REQUIRE(rig.punt_unresolved(kInt, ip("100.64.0.9")));
    rig.poll();
    rig.hear(kInt, "100.64.0.9", kPeerMac);
    uint32_t next = ip("100.65.0.0").host();
    size_t most = 0;
    for (int turn = 0; turn < 400; ++turn) {
        for (int i = 0; i < 100; ++i) {
            REQUIRE(rig.punt_unresolved(kInt, Ipv4Addr::from_host(++next)));
        }
        rig.poll_after(50);
        if (turn % 20 == 0) {
            most = std::max(most, rig.slow.neighbours(rig.now).size());
        }
    }
    CHECK(most <= dataplane::kUnresolvedMost + 3);
    CHECK(rig.dropped[DropReason::kRateLimited] > 20000);
    CHECK(rig.slow.counters().resolutions.read() <= 2 + 500 + 20 * 500 + 2);
    CHECK(rig.state_of("100.64.0.9") == "reachable");
    CHECK(rig.state_of("198.51.100.1") == "reachable");
    rig.check();
}

TEST_CASE(
    "among thousands each entry is found, also when others were removed", "[dataplane][arp]"
) {
    SlowPathRig rig;
    rig.start();
    std::vector<Ipv4Addr> stay;
    for (uint32_t i = 0; i < 10000; ++i) {
        const Ipv4Addr host = Ipv4Addr::from_host(ip("100.80.0.1").host() + i * 3);
        REQUIRE(rig.punt_unresolved(kInt, host));
        rig.poll_after(2);
        if (i % 2 == 0) {
            const ByteVector bytes =
                frame().arp(2, kPeerMac, host, kIntMac, ip("100.64.0.1")).bytes();
            REQUIRE(rig.punt(Punt::kArp, bytes, kInt));
            rig.poll();
            stay.push_back(host);
        }
    }
    for (int i = 0; i < 100; ++i) {  // the others fail and are removed
        rig.poll_after(90);
    }
    CHECK(rig.slow.neighbours(rig.now).size() == stay.size() + 2);
    for (const Ipv4Addr host : stay) {
        REQUIRE(rig.punt_unresolved(kInt, host));
        REQUIRE(only(rig.poll()).back.kind == Back::kSend);
    }
    rig.check();
}

// ---- ageing

TEST_CASE("a silent neighbour is probed, then asked for, then forgotten", "[dataplane][arp]") {
    SlowPathRig rig(2);
    rig.start();
    REQUIRE(rig.punt_unresolved(kExt, ip(kHop)));
    rig.poll();
    rig.hear(kExt, kHop, kPeerMac);
    CHECK(requests_for(rig.poll_after(29999), kHop).empty());
    std::vector<MacAddr> asked;
    for (uint32_t wait : {1u, 1000u, 1000u, 1000u, 1000u, 1000u}) {
        const std::vector<Outcome> some = requests_for(rig.poll_after(wait), kHop);
        REQUIRE(some.size() == 1);
        asked.push_back(some[0].back.update.entry.mac);
        CHECK(rig.state_of(kHop) == "probing");
    }
    const MacAddr all = packet::kBroadcastMac;
    CHECK(asked == std::vector<MacAddr>{kPeerMac, kPeerMac, kPeerMac, all, all, all});
    const std::vector<Outcome> last = rig.poll_after(1000);
    CHECK(rig.state_of(kHop) == "failed");
    std::vector<Outcome> updates = of_kind(last, Back::kNeighbour);
    std::erase_if(updates, [](const Outcome& o) {
        return o.back.update.entry.address != ip(kHop);
    });
    REQUIRE(updates.size() == 2);
    CHECK(updates[0].back.update.entry.resolved == 0);
    rig.check();
}

TEST_CASE("a neighbour that answers its probe stays, without an update", "[dataplane][arp]") {
    SlowPathRig rig;
    rig.start();
    REQUIRE(rig.punt_unresolved(kExt, ip(kHop)));
    rig.poll();
    rig.hear(kExt, kHop, kPeerMac);
    REQUIRE(requests_for(rig.poll_after(30000), kHop).size() == 1);
    CHECK(of_kind(rig.hear(kExt, kHop, kPeerMac), Back::kNeighbour).empty());
    CHECK(rig.state_of(kHop) == "reachable");
    CHECK(requests_for(rig.poll_after(29999), kHop).empty());
    CHECK(requests_for(rig.poll_after(1), kHop).size() == 1);
}

TEST_CASE("a gateway that failed is asked for again until it answers", "[dataplane][arp]") {
    SlowPathRig rig;
    rig.poll();
    for (int i = 0; i < 3; ++i) {
        rig.poll_after(1000);
    }
    CHECK(rig.state_of("198.51.100.1") == "failed");
    const std::vector<Outcome> again = rig.poll_after(dataplane::kRefuseMs);
    CHECK(requests_for(again, "198.51.100.1").size() == 1);
    CHECK(rig.state_of("198.51.100.1") == "incomplete");
    const std::vector<Outcome> updates =
        of_kind(rig.hear(kExt, "198.51.100.1", kPeerMac), Back::kNeighbour);
    REQUIRE(updates.size() == 1);
    CHECK(updates[0].back.update.entry.gateway == 1);
    CHECK(updates[0].back.update.entry.resolved == 1);
}

TEST_CASE("no more than a thousand neighbours are probed a second", "[dataplane][arp]") {
    SlowPathRig rig;
    rig.start();
    uint32_t next = ip("100.70.0.0").host();
    for (int i = 0; i < 3000; ++i) {
        const std::string address = std::to_string(100) + ".70." + std::to_string(1 + i / 200) +
                                    "." + std::to_string(1 + i % 200);
        REQUIRE(rig.punt_unresolved(kInt, ip(address)));
        rig.poll_after(2);
        rig.hear(kInt, address, kPeerMac);
        ++next;
    }
    REQUIRE(rig.slow.neighbours(rig.now).size() == 3002);
    rig.now = rig.now + 30000;
    size_t probes = 0;
    for (int i = 0; i < 1000; ++i) {
        probes += of_kind(rig.poll_after(1), Back::kArpRequest).size();
    }
    CHECK(probes > 1500);  // a full bucket and a second's worth
    CHECK(probes <= 2010);
    rig.check();
}

// ---- what ARP frames teach

TEST_CASE("a neighbour's new link address reaches every shard", "[dataplane][arp]") {
    SlowPathRig rig(2);
    rig.start();
    CHECK(of_kind(rig.hear(kExt, "198.51.100.1", kPeerMac), Back::kNeighbour).empty());
    const std::vector<Outcome> updates =
        of_kind(rig.hear(kExt, "198.51.100.1", kOtherMac), Back::kNeighbour);
    REQUIRE(updates.size() == 2);
    CHECK(updates[1].back.update.entry.mac == kOtherMac);
    CHECK(updates[1].back.update.entry.resolved == 1);
}

TEST_CASE("strangers make no entries", "[dataplane][arp]") {
    SlowPathRig rig;
    rig.start();
    rig.hear(kExt, "198.51.100.50", kPeerMac);        // gratuitous
    rig.ask(kExt, "198.51.100.51", "198.51.100.52");  // for somebody else
    rig.ask(kExt, "8.8.8.8", "198.51.100.2");         // not of this link
    rig.ask(kExt, "198.51.100.255", "198.51.100.2");  // no host
    rig.ask(kExt, "0.0.0.0", "198.51.100.2");         // a probe
    CHECK(rig.slow.neighbours(rig.now).size() == 2);
    rig.ask(kExt, "198.51.100.53", "198.51.100.2");
    CHECK(rig.slow.neighbours(rig.now).size() == 3);
    CHECK(rig.state_of("198.51.100.53") == "reachable");
    rig.check();
}

TEST_CASE("hosts that ask for us make entries only slowly", "[dataplane][arp]") {
    SlowPathRig rig;
    rig.start();
    for (int i = 0; i < 1000; ++i) {
        const std::string address =
            "100.66." + std::to_string(i / 250) + "." + std::to_string(1 + i % 250);
        CHECK(only(rig.ask(kInt, address, "100.64.0.1")).back.kind == Back::kAnswer);
    }
    CHECK(rig.slow.neighbours(rig.now).size() == 2 + 100);
}

TEST_CASE("who claims one of our addresses is not believed, but counted", "[dataplane][rfc5227]") {
    const std::pair<LinkId, const char*> claims[] = {
        {kExt, "198.51.100.2"},
        {kInt, "198.51.100.2"},
        {kInt, "100.64.0.1"},
        {kExt, "203.0.113.3"}};
    for (const auto& [link, claimed] : claims) {
        CAPTURE(claimed);
        SlowPathRig rig;
        rig.start();
        CHECK(only(rig.hear(link, claimed, kOtherMac)).back.kind == Back::kConsumed);
        CHECK(rig.slow.counters().conflicts.read() == 1);
        const auto conflict = rig.slow.last_conflict();
        REQUIRE(conflict.has_value());
        CHECK(conflict->address == ip(claimed));
        CHECK(conflict->mac == kOtherMac);
        CHECK(conflict->link == link);
        CHECK(rig.state_of(claimed) == "none");
        rig.check();
    }
}

TEST_CASE("our own announcement sent back by a bridge is no conflict", "[dataplane][arp]") {
    SlowPathRig rig;
    rig.start();
    CHECK(only(rig.hear(kExt, "198.51.100.2", kExtMac)).back.kind == Back::kConsumed);
    CHECK(rig.slow.counters().conflicts.read() == 0);
    CHECK_FALSE(rig.slow.last_conflict().has_value());
}

// ---- ARP requests

TEST_CASE("an ARP request for an own address is answered in its buffer", "[dataplane][rfc826]") {
    SlowPathRig rig;
    rig.start();
    const Outcome out = only(rig.ask(kExt, "198.51.100.9", "198.51.100.2"));
    CHECK(out.back.kind == Back::kAnswer);
    CHECK(out.back.l3_offset == 0);
    CHECK(out.back.packet.in_link == kExt);
    CHECK((out.back.packet.flags & packet::kGenerated) != 0);
    const Decoded frame = out.frame();
    CHECK(frame.to == kPeerMac);
    CHECK(frame.from == kExtMac);
    REQUIRE(frame.is_arp);
    CHECK(frame.arp_operation == 2);
    CHECK(frame.arp_sender_mac == kExtMac);
    CHECK(frame.arp_sender == ip("198.51.100.2"));
    CHECK(frame.arp_target == ip("198.51.100.9"));
    CHECK(out.bytes.size() == packet::kEthernetHeader + packet::kArpLength);
    rig.check();
}

TEST_CASE("an answer keeps the tags of its request", "[dataplane][arp]") {
    SlowPathRig rig;
    rig.start();
    const ByteVector bytes = frame()
                                 .mac(kPeerMac, packet::kBroadcastMac)
                                 .vlan(100)
                                 .arp_request(kPeerMac, "192.0.2.9", "192.0.2.1")
                                 .bytes();
    REQUIRE(rig.punt(Punt::kArp, bytes, kVlan, 0, 18));
    const Decoded answer = only(rig.poll()).frame();
    CHECK(answer.vlans == std::vector<uint16_t>{100});
    CHECK(answer.arp_sender == ip("192.0.2.1"));
    CHECK(answer.from == kIntMac);
}

TEST_CASE("who gets an ARP answer", "[dataplane][rfc1027]") {
    struct Case {
        const char* what;
        LinkId link;
        const char* sender;
        const char* target;
        bool proxy_arp;
        bool answered;
    };
    const Case cases[] = {
        {"own address", kExt, "198.51.100.9", "198.51.100.2", true, true},
        {"own address, without proxy ARP", kExt, "198.51.100.9", "198.51.100.2", false, true},
        {"a probe for our address", kExt, "0.0.0.0", "198.51.100.2", true, true},
        {"own address of another link", kExt, "198.51.100.9", "100.64.0.1", true, false},
        {"a pool's first address", kExt, "198.51.100.1", "203.0.113.0", true, true},
        {"a pool's last address", kExt, "198.51.100.1", "203.0.113.15", true, true},
        {"a probe for a pool's address", kExt, "0.0.0.0", "203.0.113.3", true, true},
        {"a pool's address, without proxy ARP", kExt, "198.51.100.1", "203.0.113.3", false, false},
        {"a pool's address on an internal link", kInt, "100.64.0.9", "203.0.113.3", true, false},
        {"an address behind the pool", kExt, "198.51.100.1", "203.0.113.16", true, false},
        {"a host of the link", kExt, "198.51.100.9", "198.51.100.10", true, false},
        {"the Internet", kExt, "198.51.100.9", "8.8.8.8", true, false},
        {"a gratuitous request", kExt, "198.51.100.9", "198.51.100.9", true, false},
    };
    for (const Case& each : cases) {
        CAPTURE(each.what);
        SlowPathRig rig(1, {}, {}, rig_config(each.proxy_arp));
        rig.start();
        const Outcome out = only(rig.ask(each.link, each.sender, each.target));
        CHECK((out.back.kind == Back::kAnswer) == each.answered);
        CHECK((out.back.kind == Back::kConsumed) == !each.answered);
        if (each.answered) {
            CHECK(out.frame().arp_sender == ip(each.target));
        }
        rig.check();
    }
}

TEST_CASE("proxy ARP stays off on an internal link that asks for it", "[dataplane][rfc1027]") {
    config::Config config = rig_config();
    config.links[0].proxy_arp = true;
    SlowPathRig rig(1, {}, {}, config);
    rig.start();
    CHECK(only(rig.ask(kInt, "100.64.0.9", "203.0.113.3")).back.kind == Back::kConsumed);
}

TEST_CASE("an ARP reply is never answered", "[dataplane][arp]") {
    SlowPathRig rig;
    rig.start();
    const ByteVector bytes =
        frame().arp(2, kPeerMac, ip("198.51.100.9"), kExtMac, ip("198.51.100.2")).bytes();
    REQUIRE(rig.punt(Punt::kArp, bytes, kExt));
    CHECK(only(rig.poll()).back.kind == Back::kConsumed);
}

TEST_CASE("malformed ARP is dropped", "[dataplane][arp]") {
    const ByteVector good = frame().arp_request(kPeerMac, "198.51.100.9", "198.51.100.2").bytes();
    std::vector<ByteVector> bad;
    for (size_t length = 0; length < packet::kEthernetHeader + packet::kArpLength; ++length) {
        bad.emplace_back(good.begin(), good.begin() + static_cast<ptrdiff_t>(length));
    }
    const MacAddr group{{0x03, 0, 0, 0, 0, 1}};
    bad.push_back(frame().arp_request(group, "198.51.100.9", "198.51.100.2").bytes());
    bad.push_back(frame().arp_request(MacAddr{}, "198.51.100.9", "198.51.100.2").bytes());
    bad.push_back(good);
    bad.back()[14] = 9;  // hardware type
    SlowPathRig rig;
    rig.start();
    for (const ByteVector& bytes : bad) {
        CAPTURE(bytes.size());
        REQUIRE(rig.punt(Punt::kArp, bytes, kExt));
        CHECK(only(rig.poll()).reason() == DropReason::kMalformedArp);
    }
    CHECK(rig.slow.neighbours(rig.now).size() == 2);
    rig.check();
}
