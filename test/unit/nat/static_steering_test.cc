// To which shard packets are led when static mappings and forwards have changed, so that what stands is reached and what is
// new gets answers.
#include <algorithm>
#include <array>

#include <catch2/catch.hpp>

#include "change_support.h"

using namespace sekisho;
using namespace sekisho::test;
using nat::AdmitResult;
using nat::MakeResult;
using nat::StaticMappingSettings;

namespace {

StaticMappingSettings whole(uint32_t host) {
    StaticMappingSettings s = forward(host, 0, 0);
    s.internal_ports.last = s.external_ports.last = 65535;
    return s;
}

// Hosts of three shards behind a TCP port.
nat::DestinationNatSettings service(std::array<uint32_t, 3> weights) {
    nat::DestinationNatSettings s;
    s.name = "shared";
    s.realm = kExternalRealm;
    s.destination = {{kExternal, 32}};
    s.udp = false;
    s.ports = {8080, 8080};
    s.affinity = nat::Affinity::kNone;
    s.is_inbound = true;
    for (uint32_t i = 0; i < 3; ++i) {
        s.targets.push_back({subscriber(5 + i), {80, 80}, weights[i]});
    }
    return s;
}

nat::NatSettings with_room(bool is_room = true) {
    nat::NatSettings settings = lab();
    settings.has_destination_rules = is_room;
    return settings;
}

template <class Change>
void change(Cluster& c, Change how) {
    c.change(how, kAll);
    c.pass(2 * kSecond);
}

void set(Cluster& c, std::vector<StaticMappingSettings> statics) {
    change(c, [&](nat::NatSettings& s) { s.static_mappings = std::move(statics); });
}

FlowKey inbound(Protocol protocol, uint16_t external_port, uint16_t from) {
    return FlowKey::of(
        kRemote, kExternal, port(from), port(external_port), protocol, kExternalRealm
    );
}

ShardId owner(Cluster& c, const FlowKey& key) {
    return c.directory().owner_of(c.directory().find(kExternal), key);
}

// Whom a SYN from outside reaches at the shard to which it is led; 0.0.0.0: nobody.
Ipv4Addr reached(Cluster& c, uint16_t external_port, uint16_t from = 999) {
    const FlowKey key = inbound(Protocol::kTcp, external_port, from);
    nat::NatShard& shard = c.shard(owner(c, key).value);
    const AdmitResult result = shard.admit_inbound(key, PacketKind::kTcp, packet::kSyn, c.now);
    return result.kind == AdmitResult::kSession
               ? Ipv4Addr{shard.session(result.session).internal_address}
               : Ipv4Addr{};
}

uint16_t external_port_of(Cluster& c, const MakeResult& made, uint32_t host) {
    return Port{c.session_of(made, subscriber(host)).external_port}.host();
}

// Takes the trigger forwards with this control port.
void call_control(Cluster& c, uint32_t host, uint16_t control = kControl) {
    const MakeResult made = c.open(Protocol::kUdp, subscriber(host), 6000, kRemote, control);
    REQUIRE(made.kind == MakeResult::kMade);
    nat::NatShard& shard = c.shard(c.shard_of(subscriber(host)));
    shard.track(made.session, Direction::kOutbound, nullptr, c.now);
    REQUIRE((shard.session(made.session).flags & flow::kRedirected) != 0);
    CHECK(shard.touch_trigger(made.session, Direction::kOutbound, c.now));
}

}  // namespace

TEST_CASE(
    "a target without a share keeps its connections on every shard", "[nat][change][static]"
) {
    for (const bool is_gone : {false, true}) {
        INFO((is_gone ? "the rule goes" : "weight 0"));
        Cluster c(with_room(), 3);
        change(c, [](nat::NatSettings& s) { s.destination_nat = {service({1, 1, 1})}; });
        std::vector<Ipv4Addr> before;
        for (uint16_t n = 0; n < 30; ++n) {
            before.push_back(reached(c, 8080, static_cast<uint16_t>(100 + n)));
        }
        CHECK(std::ranges::count(before, subscriber(5)) > 0);
        CHECK(std::ranges::count(before, subscriber(6)) > 0);
        CHECK(std::ranges::count(before, subscriber(7)) > 0);
        change(c, [&](nat::NatSettings& s) {
            s.destination_nat.clear();
            if (!is_gone) {
                s.destination_nat = {service({0, 1, 1})};
            }
        });
        CHECK(sessions(c) == 30);
        for (uint16_t n = 0; n < 30; ++n) {
            CHECK(reached(c, 8080, static_cast<uint16_t>(100 + n)) == before[n]);
        }
        CHECK(sessions(c) == 30);
        CHECK(reached(c, 8080, 500) != subscriber(5));
    }
}

TEST_CASE(
    "a port goes to another shard's host and back, and the connections of both go on",
    "[nat][change][static]"
) {
    for (const bool is_room : {true, false}) {
        INFO(is_room);
        Cluster c(with_room(is_room), 3);
        set(c, {forward(5, 80, 8080)});
        set(c, {forward(6, 80, 8080)});
        REQUIRE(reached(c, 8080, 1000) == subscriber(6));
        const MakeResult own = c.open(Protocol::kUdp, subscriber(6), 80, kRemote, 2000);
        REQUIRE(own.kind == MakeResult::kMade);
        REQUIRE(external_port_of(c, own, 6) == 8080);
        set(c, {forward(5, 80, 8080)});
        CHECK(sessions(c) == (is_room ? 2 : 0));
        CHECK(reached(c, 8080, 1000) == subscriber(is_room ? 6 : 5));
        const unsigned shard = owner(c, inbound(Protocol::kUdp, 8080, 2000)).value;
        CHECK(shard == c.shard_of(subscriber(is_room ? 6 : 5)));
        CHECK(reached(c, 8080, 1001) == subscriber(5));
        CHECK(c.audit() == "");
    }
}

TEST_CASE(
    "what is new of a former mapping whose port is another host's leaves by a port of its own",
    "[nat][change][static]"
) {
    for (const unsigned shards : {1U, 3U}) {
        for (const bool by_trigger : {false, true}) {
            INFO(shards << (by_trigger ? ", a trigger forward" : ", a static mapping"));
            nat::NatSettings settings = with_room();
            settings.events = {nat::kLogMappings, 1024, {}};
            Cluster c(settings, shards);
            set(c, {forward(5, 80, 8080)});
            REQUIRE(reached(c, 8080) == subscriber(5));
            change(c, [&](nat::NatSettings& s) {
                s.static_mappings.clear();
                if (by_trigger) {
                    s.trigger_forwards = {trigger(8000, 8100)};
                } else {
                    s.static_mappings = {forward(6, 80, 8080)};
                }
            });
            const Ipv4Addr remote = addr(192, 0, 2, 9);
            const MakeResult made = c.open(Protocol::kTcp, subscriber(5), 80, remote, 443);
            REQUIRE(made.kind == MakeResult::kMade);
            const uint16_t own = external_port_of(c, made, 5);
            CHECK(own != 8080);
            CHECK(reached(c, 8080) == subscriber(5));
            unsigned lines = 0;
            nat::EventReader reader = c.shard(c.shard_of(subscriber(5))).event_reader();
            for (; !reader.front().empty(); reader.pop(1)) {
                const nat::Event& event = reader.front().front();
                lines += event.kind == nat::EventKind::kMappingCreated &&
                                 event.internal_address == subscriber(5).raw &&
                                 event.external_port == port(own).raw
                             ? 1
                             : 0;
            }
            CHECK(lines == 1);
            // And what follows uses the same (RFC 4787 REQ-1).
            const MakeResult more = c.open(Protocol::kTcp, subscriber(5), 80, remote, 444);
            CHECK(external_port_of(c, more, 5) == own);
            CHECK(c.audit() == "");
        }
    }
}

TEST_CASE(
    "a trigger forward gets its calls where a static mapping was, and that keeps its connections",
    "[nat][change][static][trigger]"
) {
    for (const bool is_room : {true, false}) {
        INFO(is_room);
        Cluster c(with_room(is_room), 3);
        set(c, {forward(5, 80, 8080)});
        REQUIRE(reached(c, 8080) == subscriber(5));
        change(c, [](nat::NatSettings& s) {
            s.static_mappings.clear();
            s.trigger_forwards = {trigger(8000, 8100)};
        });
        CHECK(sessions(c) == (is_room ? 1 : 0));
        CHECK(reached(c, 8080, 1000) == Ipv4Addr{});
        call_control(c, 6);
        CHECK(reached(c, 8080, 1000) == subscriber(6));
        CHECK(reached(c, 8080) == subscriber(is_room ? 5 : 6));
    }
}

TEST_CASE(
    "a trigger forward in force and a former one do not hide each other", "[nat][change][trigger]"
) {
    Cluster c(with_room(), 3);
    change(c, [](nat::NatSettings& s) { s.trigger_forwards = {trigger(8000, 8100)}; });
    call_control(c, 5);
    REQUIRE(reached(c, 8080) == subscriber(5));
    change(c, [](nat::NatSettings& s) { s.trigger_forwards = {trigger(8050, 8150, 99)}; });
    CHECK(reached(c, 8080) == subscriber(5));
    CHECK(reached(c, 8080, 1000) == Ipv4Addr{});
    call_control(c, 6, 99);
    CHECK(reached(c, 8080, 1000) == subscriber(6));
    CHECK(reached(c, 8080) == subscriber(5));
    // Both are former, and each keeps its own.
    change(c, [](nat::NatSettings& s) { s.trigger_forwards.clear(); });
    CHECK(reached(c, 8080, 1000) == subscriber(6));
    CHECK(reached(c, 8080) == subscriber(5));
    CHECK(sessions(c) == 4);
}

TEST_CASE(
    "a whole address that is taken from its host leaves its single ports to all shards",
    "[nat][change][static]"
) {
    for (const bool are_all_single : {true, false}) {
        INFO((are_all_single ? "preserve" : "well-known ports"));
        nat::NatSettings settings = lab();
        if (are_all_single) {
            settings.pools[0].port_selection = nat::PortSelection::kPreserve;
        } else {
            settings.pools[0].port_ranges = nat::PortRanges::kPreserve;
            settings.pools[0].ports = {1, 65535};
        }
        settings.static_mappings = {whole(5)};
        Cluster c(settings, 3);
        const uint16_t wish = are_all_single ? 5000 : 600;
        REQUIRE(reached(c, wish) == subscriber(5));
        CHECK_FALSE(c.directory().grants_blocks(c.directory().find(kExternal)));
        CHECK(owner(c, inbound(Protocol::kTcp, wish, 5)).value == c.shard_of(subscriber(5)));
        set(c, {});
        pass(c, 600);
        REQUIRE(c.directory().statics().former().empty());
        CHECK(c.directory().grants_blocks(c.directory().find(kExternal)));
        for (uint16_t n = 0; n < 6; ++n) {
            const auto inside = static_cast<uint16_t>(wish + n);
            const MakeResult made = c.open(Protocol::kTcp, subscriber(10U + n), inside);
            REQUIRE(made.kind == MakeResult::kMade);
            const uint16_t own = external_port_of(c, made, 10U + n);
            CHECK(own == inside);
            CHECK(
                owner(c, inbound(Protocol::kTcp, own, 80)).value == c.shard_of(subscriber(10U + n))
            );
        }
        CHECK(c.audit() == "");
    }
}

TEST_CASE(
    "protocols without ports of a former whole address reach their host's shard",
    "[nat][change][static]"
) {
    for (const bool is_from_start : {true, false}) {
        INFO(is_from_start);
        nat::NatSettings settings = lab();
        if (is_from_start) {
            settings.static_mappings = {whole(5)};
        }
        Cluster c(settings, 3);
        set(c, {whole(5)});
        const unsigned shard = c.shard_of(subscriber(5));
        REQUIRE(c.directory()[c.directory().find(kExternal)].home.value != shard);
        const Protocol without_ports[] = {Protocol::kGre, Protocol::kEsp, Protocol::kSctp};
        for (const Protocol protocol : without_ports) {
            CHECK(owner(c, inbound(protocol, 0, 0)).value == shard);
        }
        set(c, {});
        for (const Protocol protocol : without_ports) {
            CHECK(owner(c, inbound(protocol, 0, 0)).value == shard);
        }
        pass(c, 200);
        for (const Protocol protocol : without_ports) {
            CHECK(owner(c, inbound(protocol, 0, 0)).value != shard);
        }
    }
}
