// Makes a packet what a StreamTable has judged that passes of its segment.
#pragma once

#include <cstdint>

#include "packet/packet.h"
#include "stream/stream_table.h"

namespace sekisho::stream {

// Of the payload only what may pass, with its sequence number; no FIN where there is to be none; no URG, the urgent byte is
// one like all others. Lengths and checksums follow. The span of the segment that was judged means nothing afterwards.
//   packet     a judged segment, Judgement::kPass; the frame is one piece of memory and ends with the IPv4 packet
//   l3_offset  of its IPv4 header, whose transport header is whole TCP
//   Cost       a copy of what passes and its checksum. Only where !judgement.is_whole(segment).
//   Source     RFC 9293 3.1; RFC 6093 (why the urgent byte is no data apart).
void trim_segment(PacketRef& packet, uint16_t l3_offset, const Judgement& judgement);

}  // namespace sekisho::stream
