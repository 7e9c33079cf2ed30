// PayloadScanner: looks for the patterns of a PatternSet in streams of bytes that come in pieces; one worker's.
//
// With stream/stream_table.h, per packet of a direction that a header rule selected:
//
//     a TCP segment      j = table.judge(...); if j.fresh is not empty or j.is_end: found = scan(slot, j.fresh, j.is_end);
//                        else found(slot). Then the rules judge the packet with RulePacket::patterns = found.
//     a gap              table.acknowledge() was true: restart(slot)
//     a UDP datagram     found = scan_datagram(slot, payload): it is a stream of its own, whose finds add to the direction's
//     the session ends   close(slot)
//     open() had none    the rule's own `on-overload`
//
//   Law       a pattern is among the found from the packet on whose bytes complete its first match, whatever pieces the bytes come
//             in; it stays until close(). Found are all of the set's that match, no others.
//   Begun late  (after restart(), or when the patterns changed) patterns that are tied to the first bytes (Pattern::within,
//             has_start_anchor()) are held against the stream's own beginning: what lies behind is not taken for it.
//   Shape     PatternIds ascending; the span is good until the next call.
//   Errors    none on the packet route; an implementation compiles its set before, and names there what it cannot do.
//   Cost      scan: by the byte. Never allocates. Thread: one.
#pragma once

#include <cstdint>
#include <span>

#include "base/types.h"
#include "rules/packet.h"

namespace sekisho::rules {

using ScanSlot = base::Id<struct ScanSlotTag, uint32_t>;  // kNoIndex: none

class PayloadScanner {
  public:
    virtual ~PayloadScanner() = default;

    // A direction's state, from a fixed pool. kNoIndex: there is none left.
    virtual ScanSlot open() = 0;
    virtual void close(ScanSlot slot) = 0;

    // Bytes that follow those before. `is_end`: the last ones, also if there are none.
    virtual std::span<const PatternId> scan(
        ScanSlot slot, std::span<const uint8_t> bytes, bool is_end
    ) = 0;
    // Bytes that are all of a datagram.
    virtual std::span<const PatternId> scan_datagram(
        ScanSlot slot, std::span<const uint8_t> bytes
    ) = 0;
    // Bytes are missing before the next ones.
    virtual void restart(ScanSlot slot) = 0;
    virtual std::span<const PatternId> found(ScanSlot slot) = 0;

    virtual uint32_t size() const = 0;
    virtual uint32_t capacity() const = 0;
};

}  // namespace sekisho::rules
