// Two realms with the same addresses on two VLANs of one port, and short ways to send packets of theirs.
#pragma once

#include <catch2/catch.hpp>

#include "scenario.h"

namespace sekisho::test {

inline constexpr RealmId kRed = kInternalRealm;
inline constexpr RealmId kBlue = kBlueRealm;
inline constexpr auto kClient = "10.0.0.2";  // of either realm
inline constexpr auto kServer = "192.0.2.80";
inline constexpr auto kStranger = "192.0.2.99";

inline uint16_t tag_of(RealmId realm) {
    return realm == kRed ? 10 : 20;
}

inline PacketBuilder from(const TestBed& bed, RealmId realm) {
    return bed.from_internal().vlan(tag_of(realm));
}

inline nat::PolicySettings policy_of(RealmId realm, const char* name) {
    nat::PolicySettings policy;
    policy.name = name;
    policy.realm = realm;
    policy.source = {{ip("10.0.0.0"), 24}, {ip("172.16.0.0"), 16}};
    return policy;
}

inline BedOptions two_realms() {
    BedOptions options;
    options.two_realms = true;
    options.nat = nat_settings();
    options.nat.policies = {policy_of(kRed, "red"), policy_of(kBlue, "blue")};
    options.nat.policies[1].source.push_back({ip("10.9.0.0"), 16});
    return options;
}

inline Endpoint endpoint_of(
    const TestBed& bed, RealmId realm, uint16_t port, Protocol protocol = Protocol::kUdp
) {
    const auto found = bed.external_of(protocol, ip(kClient), port, realm);
    REQUIRE(found);
    return *found;
}

// The one frame that leaves into a realm.
inline Decoded into(TestBed& bed, RealmId realm) {
    bed.run();
    const Decoded seen = bed.take_one(kInternalLink);
    CHECK(seen.vlans == std::vector<uint16_t>{tag_of(realm)});
    return seen;
}

inline Decoded inward(TestBed& bed, RealmId realm, const PacketBuilder& packet) {
    bed.push_external(packet);
    return into(bed, realm);
}

// A question of a realm's client to the server, and its answer.
inline PacketBuilder query(const TestBed& bed, RealmId realm, uint16_t port = 4000) {
    return from(bed, realm).ipv4(kClient, kServer).udp(port, 53);
}

inline PacketBuilder answer(const TestBed& bed, RealmId realm, const char* source = kServer) {
    const Endpoint to = endpoint_of(bed, realm, 4000);
    return bed.from_external().ipv4(ip(source), to.address).udp(53, to.port);
}

}  // namespace sekisho::test
