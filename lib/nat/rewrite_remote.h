// Rewriting the other end of a packet, after rewrite(): of a session whose destination is translated too. Outbound the
// original destination D:d becomes the target Y:y, inbound Y:y becomes D:d.
//
//   Needs     the session and what its subscriber sees instead of its remote endpoint. Of an ICMP query only the address
//             changes, and its checksum does not cover that.
//   Sums      RFC 1624; UDP without checksum stays so. Cost: as rewrite(), which has loaded the lines. Thread: pure.
//   Source    RFC 3022 4; RFC 2663 4.4 (twice NAT).
#pragma once

#include "nat/original.h"
#include "nat/rewrite.h"

namespace sekisho::nat {

namespace detail {

// The transport header's part, where the packet has one.
inline void rewrite_remote_port(
    uint8_t* l4, PacketKind kind, size_t at, Port port, uint16_t delta
) {
    if (kind != PacketKind::kTcp && kind != PacketKind::kUdp) {
        return;
    }
    const uint16_t change = packet::add_deltas(
        delta, packet::checksum_delta16(packet::load<uint16_t>(l4 + at), port.raw)
    );
    uint8_t* const sum = l4 + kTransportPlaces[static_cast<size_t>(kind)].checksum;
    const auto before = packet::load<uint16_t>(sum);
    packet::store(
        sum,
        kind == PacketKind::kUdp ? packet::apply_delta_udp(before, change)
                                 : packet::apply_delta(before, change)
    );
    packet::store(l4 + at, port.raw);
}

}  // namespace detail

// The end that the packet's far side has in each direction.
struct RemoteEnd {
    size_t address_offset;  // in the IPv4 header
    size_t port_offset;     // in the TCP or UDP header
    RemoteEndpoint becomes;

    static RemoteEnd of(
        Direction direction, const Session& session, const RemoteEndpoint& original
    ) {
        return direction == Direction::kOutbound
                   ? RemoteEnd{packet::offset::kIpDestination,
                               packet::offset::kDestinationPort,
                               {{session.remote_address}, {session.remote_port}}}
                   : RemoteEnd{packet::offset::kIpSource, packet::offset::kSourcePort, original};
    }
};

// Of a packet of the session, a later fragment too; its TTL stays.
inline void rewrite_remote(
    const PacketRef& ref,
    const PacketMeta& meta,
    const Session& session,
    const RemoteEndpoint& original
) {
    const RemoteEnd end = RemoteEnd::of(meta.direction, session, original);
    uint8_t* const ip = ref.data + meta.l3_offset;
    const uint16_t delta = packet::checksum_delta(
        packet::load<uint32_t>(ip + end.address_offset), end.becomes.address.raw
    );
    detail::rewrite_header(ip, delta, 0);
    packet::store(ip + end.address_offset, end.becomes.address.raw);
    detail::rewrite_remote_port(
        ref.data + meta.l4_offset, meta.kind, end.port_offset, end.becomes.port, delta
    );
}

}  // namespace sekisho::nat
