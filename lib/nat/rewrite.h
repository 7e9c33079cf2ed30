// Rewriting a packet from its session: addresses, ports or identifier, TTL and checksums.
//
//   Needs     nothing but the session's line (or a scratch one made of a mapping): the deltas are
//             in it. Outbound X:x becomes X':x', inbound X':x' becomes X:x.
//   Bounds    parse has checked that the fixed transport header is there.
//   Sums      RFC 1624. UDP without checksum stays so, a result 0 is written 0xffff (RFC 768). A
//             wrong checksum stays wrong: it is the ends' business.
//   Cost      a handful of loads and stores in two lines of the packet; no table. Thread: pure.
//   Source    RFC 3022 4; RFC 1812 5.3.1 (TTL).
#pragma once

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

inline void rewrite_transport(
    uint8_t* l4, PacketKind kind, size_t port_offset, uint16_t port, uint16_t delta
) {
    using packet::load;
    using packet::store;
    namespace offset = packet::offset;
    if (kind == PacketKind::kUdp) {
        uint8_t* sum = l4 + offset::kUdpChecksum;
        store(l4 + port_offset, port);
        store(sum, packet::apply_delta_udp(load<uint16_t>(sum), delta));
    } else if (kind == PacketKind::kTcp) {
        uint8_t* sum = l4 + offset::kTcpChecksum;
        store(l4 + port_offset, port);
        store(sum, packet::apply_delta(load<uint16_t>(sum), delta));
    } else {
        uint8_t* sum = l4 + offset::kIcmpChecksum;
        store(l4 + offset::kIcmpIdentifier, port);
        store(sum, packet::apply_delta_icmp(load<uint16_t>(sum), delta));
    }
}

}  // namespace detail

// `kind`: kTcp, kUdp or kIcmpQuery. `ttl_step`: 1, or 0 where the TTL is done (second half of a
// hairpin); the TTL must be above it.
inline void rewrite_outbound(
    uint8_t* ip, uint8_t* l4, const Session& session, PacketKind kind, unsigned ttl_step
) {
    detail::rewrite_header(ip, session.ip_delta, ttl_step);
    packet::store(ip + packet::offset::kIpSource, session.external_address);
    detail::rewrite_transport(
        l4, kind, packet::offset::kSourcePort, session.external_port, session.l4_delta
    );
}

inline void rewrite_inbound(
    uint8_t* ip, uint8_t* l4, const Session& session, PacketKind kind, unsigned ttl_step
) {
    detail::rewrite_header(ip, packet::inverse_delta(session.ip_delta), ttl_step);
    packet::store(ip + packet::offset::kIpDestination, session.internal_address);
    detail::rewrite_transport(
        l4,
        kind,
        packet::offset::kDestinationPort,
        session.internal_port,
        packet::inverse_delta(session.l4_delta)
    );
}

}  // namespace sekisho::nat
