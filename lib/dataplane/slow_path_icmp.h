// ICMP that the appliance says itself: echo replies and errors, made in the buffer of the packet
// that they answer.
//
//   Shape     the frame is an L2 header of l3_offset bytes and an IPv4 packet. The result is again
//             such a frame with the same l3_offset; its L2 header is for the route stage to
//             rewrite.
//   Errors    false, and nothing is changed, if the packet is malformed or its buffer has not the
//             room.
//   Cost      an error copies nothing but headers and sums at most 576 bytes.
//   Thread    pure.
//   Source    RFC 792, 1122 3.2.2, 1191, 1812 4.3, 6864.
#pragma once

#include <cstdint>
#include <optional>

#include "base/drop_reason.h"
#include "dataplane/network.h"
#include "packet/packet.h"
#include "packet/views.h"

namespace sekisho::dataplane {

struct IcmpErrorKind {
    uint8_t type = 0;
    uint8_t code = 0;
    uint16_t mtu = 0;  // with fragmentation needed: that of the next hop
};

// The error that a drop owes; nothing for reasons that are silent. `detail` as in PacketMeta.
std::optional<IcmpErrorKind> error_of(DropReason reason, uint16_t detail);

// Whether RFC 1812 4.3.2.7 lets an error answer this packet.
bool may_be_answered(
    const packet::Ipv4View& ip, const Network& network, RealmId realm, bool is_hairpin = false
);

// Turns an echo request into its reply. A wrong ICMP checksum stays wrong, so the asker will not
// believe the answer.
bool make_echo_reply(PacketRef& packet, uint16_t l3_offset);

// Turns the packet into an error about itself, from `source` to its source.
bool make_icmp_error(
    PacketRef& packet, uint16_t l3_offset, const IcmpErrorKind& kind, Ipv4Addr source
);

}  // namespace sekisho::dataplane
