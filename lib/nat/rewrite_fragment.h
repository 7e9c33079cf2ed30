// Rewriting a later fragment from its datagram's session: addresses, TTL and the IPv4 header's checksum. What stands in the
// first fragment, ports and transport checksum, is changed there (rewrite.h).
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

// The ports by which a later fragment goes on when its datagram turns round to another subscriber.
inline uint32_t hairpin_ports(const Session& session) {
    return uint32_t{session.external_port} | uint32_t{session.remote_port} << 16;
}

}  // namespace sekisho::nat
