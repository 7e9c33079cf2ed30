// The TCP reset that answers a segment which a rule rejects, made in the buffer of the segment.
//
//   Shape     as slow_path_icmp.h: a frame whose IPv4 packet begins at l3_offset, before and after.
//   Errors    false, and nothing is changed: it is not TCP, a fragment, a reset itself, or malformed.
//   Thread    pure. Source: RFC 9293 3.5.2, group 1.
#pragma once

#include <cstdint>

#include "packet/packet.h"

namespace sekisho::dataplane {

bool make_tcp_reset(PacketRef& packet, uint16_t l3_offset);

}  // namespace sekisho::dataplane
