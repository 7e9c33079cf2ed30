// HeldSegments: segments that came before those that they follow, until these have come.
//
//   Holds     the packets themselves, whole: what comes back goes through the pipeline again as if it came now.
//   Bounds    `segments` in all, kPerStream of one stream, each no longer than `lifetime`.
//   Order     a stream's come back in the order of their sequence numbers; of those that begin alike, first come first.
//   Owner     one worker; held() may be read by anyone. It owns its packets until take_ready() or take_ended() gives
//             them back: both must be empty again after every burst.
//   Cost      hold: constant at the end of the stream's, else a walk over at most kPerStream. Never allocates after it is made.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/counters.h"
#include "base/drop_reason.h"
#include "base/types.h"
#include "packet/packet.h"

namespace sekisho::stream {

using StreamIndex = base::Id<struct StreamTag, uint32_t>;

class HeldSegments {
  public:
    static constexpr uint16_t kPerStream = 64;

    HeldSegments(uint32_t segments, Seconds lifetime);

    // A stream's chain; a value of its owner, who ends it.
    struct Chain {
        uint32_t head = kNoIndex;
        uint32_t tail = kNoIndex;
        uint16_t size = 0;
    };
    // Where a segment lies: `end` behind its last byte, a FIN included. Host order.
    struct Extent {
        uint32_t begin = 0;
        uint32_t end = 0;
    };

    // nullopt: it is held, and marked kCounted. Else why not; the packet stays the caller's.
    std::optional<DropReason> hold(
        Chain& chain, Extent extent, PacketRef& packet, StreamIndex stream, Tick now
    );
    // What begins no further than `edge`, and what follows it without a gap, is ready.
    void release(Chain& chain, uint32_t edge);
    // All of the stream's have ended.
    void end(Chain& chain, DropReason reason);

    // Whose is the one that has waited longest, if that is `lifetime`; else kNoIndex.
    StreamIndex oldest_overdue(Tick now) const;
    // It has ended; `chain` of that stream.
    void end_oldest(Chain& chain, DropReason reason);

    bool has_ready() const { return ready_.head != kNoIndex; }
    unsigned take_ready(std::span<PacketRef> out);
    struct Ended {
        PacketRef packet;
        DropReason reason{};
    };
    bool has_ended() const { return ended_.head != kNoIndex; }
    Ended take_ended();

    size_t held() const { return held_.read(); }  // the ready and the ended ones too
    uint64_t bytes() const { return nodes_.size() * sizeof(Node); }

  private:
    struct Node {
        PacketRef packet;
        Extent extent;
        StreamIndex stream;
        uint32_t next = kNoIndex;  // of the stream, ready, ended or free
        uint32_t older = kNoIndex;
        uint32_t newer = kNoIndex;
        Tick since;
        DropReason reason{};
    };
    struct Queue {
        uint32_t head = kNoIndex;
        uint32_t tail = kNoIndex;
    };

    // Behind which it belongs; kNoIndex: at the front.
    uint32_t place_for(const Chain& chain, Extent extent) const;
    bool is_there(const Chain& chain, uint32_t before, Extent extent) const;
    uint32_t pop_front(Chain& chain);
    void append(Queue& queue, uint32_t node);
    PacketRef pop(Queue& queue);

    std::vector<Node> nodes_;
    int32_t lifetime_ms_;
    uint32_t free_ = kNoIndex;
    uint32_t oldest_ = kNoIndex;
    uint32_t newest_ = kNoIndex;
    Queue ready_;
    Queue ended_;
    Counter held_;
};

}  // namespace sekisho::stream
