// Rewriting by the address alone: addresses, TTL and the IPv4 header's checksum. Of a later fragment, whose ports and
// transport checksum stand in the first one (rewrite.h), and of protocols without ports to translate.
//
//   Needs     nothing but the session, or a scratch one. Cost: as rewrite(). Thread: pure.
//   Source    RFC 3022 4.3, RFC 4787 REQ-14.
#pragma once

#include "nat/rewrite.h"

namespace sekisho::nat {

inline void rewrite_later_fragment(
    const PacketRef& ref, const PacketMeta& meta, const Session& session
) {
    const bool outbound = meta.direction == Direction::kOutbound;
    const bool steps_ttl = outbound || (ref.flags & packet::kHairpin) == 0;
    uint8_t* ip = ref.data + meta.l3_offset;
    detail::rewrite_header(
        ip, outbound ? session.ip_delta : packet::inverse_delta(session.ip_delta), steps_ttl ? 1 : 0
    );
    packet::store(
        ip + (outbound ? packet::offset::kIpSource : packet::offset::kIpDestination),
        outbound ? session.external_address : session.internal_address
    );
}

// Where the checksum covers the addresses of the IPv4 header, and stands in the first bytes; 0: it does not. An SCTP packet's
// CRC32c covers itself alone (RFC 9260 6.8).
constexpr size_t address_checksum_at(Protocol protocol) {
    return protocol == Protocol::kUdpLite || protocol == Protocol::kDccp ? size_t{6} : 0;
}

// RFC 3828 3.1: 0 is no checksum, and sent as 0xffff; what came so is wrong and stays so. DCCP's may be 0 (RFC 4340 9.1).
inline uint16_t apply_address_delta(uint16_t checksum, uint16_t delta, Protocol protocol) {
    return protocol == Protocol::kUdpLite ? packet::apply_delta_udp(checksum, delta)
                                          : packet::apply_delta(checksum, delta);
}

// An unfragmented packet or any fragment.
inline void rewrite_address_only(
    const PacketRef& ref, const PacketMeta& meta, const Session& session
) {
    rewrite_later_fragment(ref, meta, session);
    const Protocol protocol = meta.key.protocol();
    const size_t at = address_checksum_at(protocol);
    if (at == 0 || (ref.fragment & packet::kLaterFragment) != 0) {
        return;
    }
    uint8_t* const sum = ref.data + meta.l4_offset + at;
    const uint16_t delta = meta.direction == Direction::kOutbound
                               ? session.l4_delta
                               : packet::inverse_delta(session.l4_delta);
    packet::store(sum, apply_address_delta(packet::load<uint16_t>(sum), delta, protocol));
}

// The ports by which a later fragment goes on when its datagram turns round to another subscriber.
inline uint32_t hairpin_ports(const Session& session) {
    return uint32_t{session.external_port} | uint32_t{session.remote_port} << 16;
}

}  // namespace sekisho::nat
