// From a packet to the segment that a StreamTable judges, and back to what of it passes.
//
//   Packet    parsed (packet/parse.h): an IPv4 header at `l3_offset`, its transport header whole TCP, no padding behind it.
//   Thread    the owner of the packet. Never allocates.
#pragma once

#include <cstdint>
#include <optional>

#include "packet/packet.h"
#include "stream/stream_table.h"

namespace sekisho::stream {

// Views its payload. nullopt: that lies in several buffers; who wants it judged copies it together (PacketStore::copy).
std::optional<Segment> segment_of(const PacketRef& packet, uint16_t l3_offset);

// Whether its TCP checksum is right, in software: a StreamTable wants no damaged segment, and not every link has told. The
// packet is one piece of memory. Cost: about a cycle for 8 bytes.
bool has_right_checksum(const PacketRef& packet, uint16_t l3_offset);

// Of the payload only what may pass, with its sequence number; no FIN where there is to be none; no URG, the urgent byte is
// one like all others. Lengths and checksums follow. The span of the segment that was judged means nothing afterwards.
//   packet     a judged segment, Judgement::kPass; one piece of memory
//   Cost       a copy of what passes and its checksum. Only where !judgement.is_whole(segment).
//   Source     RFC 9293 3.1; RFC 6093 (why the urgent byte is no data apart).
void trim_segment(PacketRef& packet, uint16_t l3_offset, const Judgement& judgement);

}  // namespace sekisho::stream
