// Rewriting a packet from its session: addresses, ports or identifier, TTL and checksums.
//
//   Needs     nothing but the session's line (or a scratch one made of a mapping): the deltas are in it. Outbound X:x
//             becomes X':x', inbound X':x' becomes X:x.
//   Bounds    parse has checked that the fixed transport header is there.
//   Sums      RFC 1624. UDP without checksum stays so, a result 0 is written 0xffff (RFC 768). A wrong checksum stays wrong:
//             it is the ends' business.
//   Cost      a handful of loads and stores in two lines of the packet; no table. Thread: pure.
//   Source    RFC 3022 4; RFC 1812 5.3.1 (TTL).
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/types.h"
#include "flow/session.h"
#include "packet/batch.h"
#include "packet/checksum.h"
#include "packet/views.h"

namespace sekisho::nat {

namespace detail {

// TTL and header checksum are one load and one store: the four bytes from the TTL on.
inline void rewrite_header(uint8_t* ip, uint16_t delta, unsigned ttl_step) {
    const auto word = packet::load<uint32_t>(ip + packet::offset::kIpTtl);
    const uint16_t change =
        ttl_step != 0 ? packet::add_deltas(delta, packet::kTtlDecrement) : delta;
    const uint16_t checksum = packet::apply_delta(static_cast<uint16_t>(word >> 16), change);
    const uint32_t ttl_and_protocol = (word & 0xffff) - ttl_step;
    packet::store(ip + packet::offset::kIpTtl, ttl_and_protocol | uint32_t{checksum} << 16);
}

// Where the port (or identifier) and the checksum stand in a transport header.
struct TransportPlaces {
    uint8_t port[2];  // by Direction
    uint8_t checksum;
    uint8_t reserved = 0;
};
inline constexpr TransportPlaces kTransportPlaces[] = {
    {},  // kOther
    {{packet::offset::kSourcePort, packet::offset::kDestinationPort}, packet::offset::kTcpChecksum},
    {{packet::offset::kSourcePort, packet::offset::kDestinationPort}, packet::offset::kUdpChecksum},
    {{packet::offset::kIcmpIdentifier, packet::offset::kIcmpIdentifier},
     packet::offset::kIcmpChecksum},
};
static_assert(static_cast<unsigned>(PacketKind::kTcp) == 1);
static_assert(static_cast<unsigned>(PacketKind::kUdp) == 2);
static_assert(static_cast<unsigned>(PacketKind::kIcmpQuery) == 3);

// No branch on the kind, which is a coin's toss in mixed traffic; only the checksums that are or become zero have a way of
// their own.
inline void rewrite_transport(
    uint8_t* l4, PacketKind kind, size_t direction, uint16_t port, uint16_t delta
) {
    const TransportPlaces& places = kTransportPlaces[static_cast<size_t>(kind)];
    uint8_t* const at = l4 + places.checksum;
    const auto before = packet::load<uint16_t>(at);
    uint16_t after = packet::apply_delta(before, delta);
    if (before == 0 || after == 0) [[unlikely]] {
        after = kind == PacketKind::kTcp   ? after
                : kind == PacketKind::kUdp ? packet::apply_delta_udp(before, delta)
                                           : packet::apply_delta_icmp(before, delta);
    }
    packet::store(l4 + places.port[direction], port);
    packet::store(at, after);
}

}  // namespace detail

// Rewrites a TCP, UDP or ICMP query packet whose headers parse has found, by `meta.direction`. The TTL, which must not run
// out here, is stepped too, but for a hairpin only in its outbound half.
// Both directions by arithmetic: which one comes next is a coin's toss, and a wrong guess costs more than all of this.
[[gnu::always_inline]] inline void rewrite(
    const PacketRef& ref, const PacketMeta& meta, const Session& session
) {
    const auto inbound = static_cast<size_t>(meta.direction);
    const auto inverse = static_cast<uint16_t>(0 - inbound);  // the complement of a delta undoes it
    const auto* line = reinterpret_cast<const uint8_t*>(&session);
    const auto address =
        packet::load<uint32_t>(line + offsetof(Session, external_address) * (1 - inbound));
    const auto port = packet::load<uint16_t>(
        line + offsetof(Session, external_port) -
        (offsetof(Session, external_port) - offsetof(Session, internal_port)) * inbound
    );
    uint8_t* ip = ref.data + meta.l3_offset;
    uint8_t* l4 = ref.data + meta.l4_offset;
    const unsigned ttl_step = (ref.flags & packet::kHairpin) == 0 || inbound == 0 ? 1 : 0;
    detail::rewrite_header(ip, static_cast<uint16_t>(session.ip_delta ^ inverse), ttl_step);
    packet::store(ip + packet::offset::kIpSource + 4 * inbound, address);
    detail::rewrite_transport(
        l4, meta.kind, inbound, port, static_cast<uint16_t>(session.l4_delta ^ inverse)
    );
}

// A packet that is only forwarded.
inline void step_ttl(const PacketRef& ref, const PacketMeta& meta) {
    detail::rewrite_header(ref.data + meta.l3_offset, 0, 1);
}

}  // namespace sekisho::nat
