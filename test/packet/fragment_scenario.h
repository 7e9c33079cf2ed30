// What the cases about fragments share: datagrams in pieces, sent in any order and joined by their receiver.
#pragma once

#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "fragmenter.h"
#include "packet/checksum.h"
#include "scenario.h"

namespace sekisho::test {

using nat::FilteringBehaviour;
using packet::kAck;
using packet::kSyn;

inline constexpr auto kServer = "192.0.2.80";
inline constexpr auto kStranger = "192.0.2.99";
inline constexpr size_t kPart = 256;  // bytes of payload a fragment

using Frames = std::vector<ByteVector>;

inline void push_all(TestBed& bed, LinkId link, const Frames& frames) {
    for (const ByteVector& frame : frames) {
        bed.push(link, frame);
    }
}

inline Frames taken(TestBed& bed) {
    Frames frames;
    for (const auto& sent : bed.take()) {
        frames.push_back(sent.bytes);
    }
    return frames;
}

// The datagram that the fragments make up at the receiver, checksums verified.
inline Decoded whole(const Frames& frames) {
    const auto joined = join(frames);
    REQUIRE(joined);
    CHECK(checksums_ok(*joined));
    return decode(*joined);
}

inline uint16_t id_of(const ByteVector& frame) {
    return decode(frame).ip_id;
}

inline PacketBuilder big_udp(const TestBed& bed, unsigned from = 5, uint16_t id = 77) {
    return udp_out(bed, host(from), 1000, kServer, 53).ip_id(id).payload_size(1000);
}

// The fragments in the order of `order`, an index each.
inline Frames in_order(const Frames& fragments, const std::vector<size_t>& order) {
    Frames sorted;
    for (const size_t i : order) {
        sorted.push_back(fragments[i]);
    }
    return sorted;
}

inline nat::NatSettings one_address(FilteringBehaviour filtering = {}) {
    nat::NatSettings settings = nat_settings("203.0.113.1", "203.0.113.1");
    settings.policies[0].filtering = filtering;
    return settings;
}

inline BedOptions with(const nat::NatSettings& settings) {
    BedOptions options;
    options.nat = settings;
    return options;
}

}  // namespace sekisho::test
