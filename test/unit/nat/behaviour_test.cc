// Mapping behaviours, ports kept even or odd or side by side, and ports shared between remotes.
#include <algorithm>
#include <map>
#include <set>

#include <catch2/catch.hpp>

#include "cluster.h"

namespace sekisho::test {
namespace {

using nat::FilteringBehaviour;
using nat::MakeResult;
using nat::MappingBehaviour;
using nat::PerProtocol;

const Ipv4Addr kOther = addr(198, 51, 100, 8);

nat::NatSettings mapping(PerProtocol<MappingBehaviour> behaviour) {
    nat::NatSettings s = lab();
    s.policies[0].mapping = behaviour;
    return s;
}

nat::NatSettings overloading(uint32_t ports) {
    nat::NatSettings s = mapping(MappingBehaviour::kAddressAndPortDependent);
    s.policies[0].filtering = FilteringBehaviour::kAddressAndPortDependent;
    s.policies[0].port_overloading = true;
    s.policies[0].limits.ports = ports;
    return s;
}

uint16_t external_port(Cluster& c, const MakeResult& made, Ipv4Addr internal) {
    REQUIRE(made.kind == MakeResult::kMade);
    return Port{c.session_of(made, internal).external_port}.host();
}

// The external port of subscriber 1's port 5000 towards each of four remote endpoints.
std::vector<uint16_t> ports_towards_four(Cluster& c, Protocol protocol) {
    std::vector<uint16_t> ports;
    for (const Ipv4Addr remote : {kRemote, kOther}) {
        for (const uint16_t remote_port : {uint16_t{80}, uint16_t{81}}) {
            const MakeResult made = c.open(protocol, subscriber(1), 5000, remote, remote_port);
            ports.push_back(external_port(c, made, subscriber(1)));
        }
    }
    return ports;
}

size_t distinct(const std::vector<uint16_t>& ports) {
    return std::set<uint16_t>(ports.begin(), ports.end()).size();
}

}  // namespace

TEST_CASE("endpoint-independent mapping: one port for all remotes", "[nat][rfc4787-req1]") {
    Cluster c(mapping(MappingBehaviour::kEndpointIndependent));
    CHECK(distinct(ports_towards_four(c, Protocol::kUdp)) == 1);
    CHECK(c.shard().mapping_count() == 1);
}

TEST_CASE("endpoint-independent mapping of TCP", "[nat][rfc5382-req1]") {
    Cluster c(mapping(MappingBehaviour::kEndpointIndependent));
    CHECK(distinct(ports_towards_four(c, Protocol::kTcp)) == 1);
}

TEST_CASE("an ICMP query's mapping does not depend on its remote host", "[nat][rfc5508-req1a]") {
    Cluster c(mapping(MappingBehaviour::kEndpointIndependent));
    CHECK(distinct(ports_towards_four(c, Protocol::kIcmp)) == 1);
}

TEST_CASE("address-dependent mapping: one port for each remote address", "[nat][mapping]") {
    Cluster c(mapping(MappingBehaviour::kAddressDependent));
    const auto ports = ports_towards_four(c, Protocol::kUdp);
    CHECK(ports[0] == ports[1]);
    CHECK(ports[2] == ports[3]);
    CHECK(distinct(ports) == 2);
    CHECK(c.shard().mapping_count() == 2);
}

TEST_CASE(
    "address-and-port-dependent mapping: one port for each remote endpoint", "[nat][mapping]"
) {
    Cluster c(mapping(MappingBehaviour::kAddressAndPortDependent));
    CHECK(distinct(ports_towards_four(c, Protocol::kTcp)) == 4);
    CHECK(c.shard().mapping_count() == 4);
    // The same again finds what stands.
    CHECK(distinct(ports_towards_four(c, Protocol::kTcp)) == 4);
    CHECK(c.shard().mapping_count() == 4);
}

TEST_CASE("each protocol has its own mapping behaviour", "[nat][rfc7857-5]") {
    Cluster c(mapping(
        {MappingBehaviour::kAddressAndPortDependent,
         MappingBehaviour::kEndpointIndependent,
         MappingBehaviour::kAddressDependent}
    ));
    CHECK(distinct(ports_towards_four(c, Protocol::kTcp)) == 4);
    CHECK(distinct(ports_towards_four(c, Protocol::kUdp)) == 1);
    CHECK(distinct(ports_towards_four(c, Protocol::kIcmp)) == 2);
}

TEST_CASE("each protocol has its own filtering behaviour", "[nat][rfc7857-6]") {
    nat::NatSettings s = lab();
    s.policies[0].filtering = {
        FilteringBehaviour::kAddressAndPortDependent,
        FilteringBehaviour::kEndpointIndependent,
        FilteringBehaviour::kAddressDependent};
    Cluster c(s);
    const auto admits = [&](Protocol protocol) {
        const MakeResult made = c.open(protocol, subscriber(1), 5000);
        const Session session = c.session_of(made, subscriber(1));
        return c.inbound(session, kOther, 99).kind != nat::AdmitResult::kRefused;
    };
    CHECK_FALSE(admits(Protocol::kTcp));
    CHECK(admits(Protocol::kUdp));
    CHECK_FALSE(admits(Protocol::kIcmp));
}

TEST_CASE("a mapping made for one remote endpoint translates no other's", "[nat][mapping]") {
    Cluster c(mapping(MappingBehaviour::kAddressAndPortDependent));
    const MakeResult made = c.open(Protocol::kUdp, subscriber(1), 5000, kRemote, 80);
    const Session s = c.session_of(made, subscriber(1));
    const auto inbound = [&](Ipv4Addr remote, uint16_t y) {
        return c.shard().find_mapping_of_inbound(FlowKey::of(
            remote, {s.external_address}, port(y), {s.external_port}, Protocol::kUdp, kExternalRealm
        ));
    };
    const auto outbound = [&](Ipv4Addr remote, uint16_t y) {
        return c.shard().find_mapping_of_outbound(
            FlowKey::of(subscriber(1), remote, port(5000), port(y), Protocol::kUdp, kInternalRealm)
        );
    };
    CHECK(inbound(kRemote, 80).value == s.mapping);
    CHECK(inbound(kRemote, 81).value == kNoIndex);
    CHECK(inbound(kOther, 80).value == kNoIndex);
    CHECK(outbound(kRemote, 80).value == s.mapping);
    CHECK(outbound(kRemote, 81).value == kNoIndex);
    c.pass(301000);
    CHECK(c.shard().mapping_count() == 0);
    CHECK(inbound(kRemote, 80).value == kNoIndex);
    CHECK(outbound(kRemote, 80).value == kNoIndex);
}

TEST_CASE("even ports map to even ones and odd ports to odd ones", "[nat][rfc4787-req4]") {
    nat::NatSettings s = lab();
    s.pools[0].port_parity = true;
    s.pools[0].port_block_size = 64;
    s.pools[0].blocks_per_subscriber = 2;
    Cluster c(s);
    // Two blocks have 64 even ports; the 65th even one is refused although odd ones are free.
    for (uint16_t n = 0; n < 64; ++n) {
        const uint16_t internal = static_cast<uint16_t>(4000 + 2 * n);
        const MakeResult made = c.open(Protocol::kUdp, subscriber(1), internal);
        CHECK(external_port(c, made, subscriber(1)) % 2 == 0);
    }
    CHECK(c.open(Protocol::kUdp, subscriber(1), 6000).reason == DropReason::kSubscriberPortLimit);
    const MakeResult odd = c.open(Protocol::kUdp, subscriber(1), 6001);
    CHECK(external_port(c, odd, subscriber(1)) % 2 == 1);
    const MakeResult tcp = c.open(Protocol::kTcp, subscriber(1), 6000);
    CHECK(tcp.kind == MakeResult::kMade);
}

TEST_CASE("a pair of ports is mapped to a pair where it is free", "[nat][rfc4787-req4]") {
    nat::NatSettings s = lab();
    s.pools[0].port_parity = true;
    s.pools[0].port_contiguity = true;
    Cluster c(s);
    for (uint16_t n = 0; n < 100; ++n) {
        const auto rtp = static_cast<uint16_t>(4000 + 2 * n);
        const auto rtcp = static_cast<uint16_t>(rtp + 1);
        const uint16_t first =
            external_port(c, c.open(Protocol::kUdp, subscriber(1), rtp), subscriber(1));
        const uint16_t second =
            external_port(c, c.open(Protocol::kUdp, subscriber(1), rtcp), subscriber(1));
        CHECK(first % 2 == 0);
        CHECK(second == first + 1);
    }
}

TEST_CASE("no port is shared by two mappings unless that is set", "[nat][rfc4787-req3]") {
    Cluster c(mapping(MappingBehaviour::kAddressAndPortDependent));
    std::set<uint16_t> seen;
    for (uint16_t n = 0; n < 2048; ++n) {
        const auto remote_port = static_cast<uint16_t>(1000 + n);
        const MakeResult made = c.open(Protocol::kUdp, subscriber(1), 5000, kRemote, remote_port);
        REQUIRE(seen.insert(external_port(c, made, subscriber(1))).second);
    }
    CHECK(
        c.open(Protocol::kUdp, subscriber(1), 5000, kRemote, 9).reason ==
        DropReason::kSubscriberPortLimit
    );
}

TEST_CASE("no TCP port is shared by two mappings unless that is set", "[nat][rfc5382-req7]") {
    Cluster c(mapping(MappingBehaviour::kAddressAndPortDependent));
    std::set<uint16_t> seen;
    for (uint16_t n = 0; n < 500; ++n) {
        const auto remote_port = static_cast<uint16_t>(1000 + n);
        const MakeResult made = c.open(Protocol::kTcp, subscriber(1), 5000, kRemote, remote_port);
        REQUIRE(seen.insert(external_port(c, made, subscriber(1))).second);
    }
}

TEST_CASE(
    "overloading gives one port to several remotes, and never twice to one", "[nat][rfc7857-3]"
) {
    Cluster c(overloading(8));
    std::map<std::pair<uint16_t, uint16_t>, unsigned> users;  // external port, remote port
    std::set<uint16_t> ports;
    for (uint16_t n = 0; n < 64; ++n) {
        const auto remote_port = static_cast<uint16_t>(100 + n % 16);
        const auto internal = static_cast<uint16_t>(5000 + n / 16);
        const MakeResult made =
            c.open(Protocol::kUdp, subscriber(1), internal, kRemote, remote_port);
        const uint16_t external = external_port(c, made, subscriber(1));
        ports.insert(external);
        CHECK(++users[std::pair(external, remote_port)] == 1);
    }
    CHECK(ports.size() == 8);
    CHECK(c.shard().mapping_count() == 64);
    // Eight ports towards one remote endpoint are eight sessions; the ninth has none.
    for (uint16_t n = 0; n < 8; ++n) {
        const auto internal = static_cast<uint16_t>(6000 + n);
        CHECK(c.open(Protocol::kUdp, subscriber(1), internal, kOther, 1).kind == MakeResult::kMade);
    }
    CHECK(
        c.open(Protocol::kUdp, subscriber(1), 6008, kOther, 1).reason ==
        DropReason::kSubscriberPortLimit
    );
}

TEST_CASE("a shared port is free when its last user has gone", "[nat][rfc7857-3]") {
    Cluster c(overloading(1));
    const MakeResult first = c.open(Protocol::kUdp, subscriber(1), 5000, kRemote, 1);
    const MakeResult second = c.open(Protocol::kUdp, subscriber(1), 5001, kRemote, 2);
    const MakeResult third = c.open(Protocol::kUdp, subscriber(1), 5002, kRemote, 3);
    const uint16_t external = external_port(c, first, subscriber(1));
    CHECK(external_port(c, second, subscriber(1)) == external);
    CHECK(external_port(c, third, subscriber(1)) == external);
    const auto block = [&] {
        uint32_t cursor = 0;
        size_t filled = 0;
        nat::BlockView view{};
        c.shard().list_blocks(cursor, 1, {&view, 1}, filled);
        return view.in_use[1];
    };
    for (const MakeResult& made : {second, first}) {
        c.shard().clear_session(made.session, c.now);
        c.shard().end_of_burst();
        CHECK(block() == 1);
    }
    // The port of one that is left can be shared again.
    const MakeResult fourth = c.open(Protocol::kUdp, subscriber(1), 5003, kRemote, 4);
    CHECK(external_port(c, fourth, subscriber(1)) == external);
    c.shard().clear_session(third.session, c.now);
    c.shard().clear_session(fourth.session, c.now);
    c.shard().end_of_burst();
    CHECK(block() == 0);
    CHECK(c.shard().mapping_count() == 0);
}

TEST_CASE(
    "however many share a port, others have mappings, and strangers are filtered",
    "[nat][rfc7857-3][pitfall-4]"
) {
    Cluster c(overloading(1));
    std::vector<MakeResult> made;
    for (uint16_t n = 0; n < 3000; ++n) {
        made.push_back(c.open(Protocol::kUdp, subscriber(1), 5000, kRemote, 1000 + n));
        REQUIRE(made.back().kind == MakeResult::kMade);
    }
    const Session first = c.session_of(made.front(), subscriber(1));
    const auto stranger = [&] { return c.inbound(first, kOther, 9).reason; };
    const auto mapping_of = [&](const MakeResult& m) {
        const Session& s = c.session_of(m, subscriber(1));
        const FlowKey inbound = FlowKey::of(
            {s.remote_address},
            {s.external_address},
            {s.remote_port},
            {s.external_port},
            Protocol::kUdp,
            kExternalRealm
        );
        return c.shard().find_mapping_of_inbound(inbound).value == s.mapping;
    };
    CHECK(stranger() == DropReason::kFiltered);
    for (const size_t n : {size_t{0}, size_t{1}, size_t{1500}, made.size() - 1}) {
        CHECK(mapping_of(made[n]));
    }
    for (uint32_t n = 2; n < 200; ++n) {
        CHECK(c.open(Protocol::kUdp, subscriber(n), 5000).kind == MakeResult::kMade);
    }
    for (size_t n = 0; n + 1 < made.size(); ++n) {
        c.shard().clear_session(made[n].session, c.now);
    }
    c.shard().end_of_burst();
    CHECK(stranger() == DropReason::kFiltered);
    CHECK(mapping_of(made.back()));
    c.shard().clear_session(made.back().session, c.now);
    c.shard().end_of_burst();
    CHECK(stranger() == DropReason::kNoMapping);
    CHECK(c.shard().pool_view({0}, c.now).ports_in_use == 198);
}

}  // namespace sekisho::test
