// StreamTable: one direction of a TCP connection as the bytes that its receiver will see, in their order (doc/adr/0008).
//
// Who must have seen every byte before it passes (payload rules, helpers) opens a stream for the direction and asks of each
// segment, before it is forwarded:
//
//     const Judgement j = table.judge(stream, segment);
//     kPass    scan j.fresh, if it is not empty, and if j.is_end that was the last byte of all; what of the segment passes
//              is what j says: trim_segment() (trim.h) makes the packet so where it must be cut
//     kHold    table.hold(): the packet is the table's, or else dropped with the reason that it gives
//     kDrop    with j.reason
//
// and of each segment of the other direction table.acknowledge(). Behind every burst: what take_ready() gives is put through
// the pipeline again, as if it came now; what take_ended() gives is dropped with its reason; advance() lets time pass.
//
//   Law       a byte leaves only if it was `fresh` before, or is the same as the one that was `fresh` at its sequence number.
//             `fresh` bytes follow each other without a gap and without overlap, from the stream's beginning on. Whatever the
//             order, the cuts and the repetitions, they are the bytes of the first copy that was scanned: what
//             contradicts them is dropped and counted. After kMostContradictions of a stream no byte of it passes any more.
//   Again     of what was scanned there is a digest for each piece of at most kLongestPiece bytes, until it is acknowledged. What
//             comes again is held against the whole pieces that it has; what is cut off at its ends, because it is no
//             whole piece, does not pass. Receivers stand at the end of a piece, as all that passes ends there: so whoever
//             sends again from there at least kLongestPiece bytes, or as much as before, gets on. If nothing can be told
//             of it (it is older, or a probe of one byte) the segment passes without payload: its receiver answers where it stands.
//   Begin     at the SYN. A stream that is picked up begins at what its receiver has acknowledged last, if that is known (what lies before
//             that passes without payload), else at the first segment with payload. While it is being picked up an acknowledgement of
//             what passed before moves it on; nothing in between is fresh any more: acknowledge() says so.
//   Limit     only so many bytes are to be scanned: what lies behind passes as it comes, once all before it was scanned or the other side
//             has acknowledged where the stream begins. Before, it is held: the sender alone does not say where that is.
//   Sender    bytes under way, not acknowledged, are bounded by the pieces that are remembered: kGuaranteedPieces of every stream, more
//             while there are some. What is beyond is dropped, as in a router with a short queue, so that the sender slows down.
//   Where     in a pipeline: behind the stages that find the packet's session and before those that follow its state and write
//             to it, since what is held comes again from the start. trim.h leads from a packet to its segment and back.
//   Caller    has verified the TCP checksum: a damaged segment, which its receiver drops, would otherwise become the copy that
//             counts. Payload lies in one piece of memory. URG is cleared (trim_segment()): receivers differ on where that byte goes.
//             A connection that begins anew on the same ports is another stream: close it and open one. (Only before its first byte has
//             passed does a stream follow another SYN by itself, when the other side acknowledges that.)
//   Cost      an expected segment: its digest (piece_key.h) and a step a piece. One that comes again: its digest, and a walk
//             over the pieces before it, at most `most_blocks` lines. Never allocates after it is made.
//   Owner     the shard's worker; held() may be read by anyone. Order: host.
//   Source    ARCHITECTURE 5; RFC 9293 3.4, 3.8, 3.10.7.4.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/drop_reason.h"
#include "base/types.h"
#include "packet/packet.h"
#include "packet/views.h"
#include "stream/held_segments.h"
#include "stream/piece_key.h"
#include "stream/piece_pool.h"

namespace sekisho::stream {

struct Segment {
    uint32_t sequence = 0;
    uint8_t flags = 0;  // packet::TcpFlag
    std::span<const uint8_t> payload;
};

struct Judgement {
    enum Kind : uint8_t { kPass, kHold, kDrop };
    Kind kind = kPass;
    DropReason reason{};  // kDrop
    // kPass: of the payload `length` bytes from `skip` on, with the sequence number that they have.
    uint16_t skip = 0;
    uint16_t length = 0;
    bool without_fin = false;  // its FIN lies elsewhere than what passes ends
    bool is_end = false;       // all was fresh once, and the FIN came: for the first time
    std::span<const uint8_t>
        fresh;  // part of the payload; to be scanned, also where it does not pass

    // Whether it passes just as it came.
    bool is_whole(const Segment& segment) const {
        const bool is_cut = length != segment.payload.size();
        const bool loses_flag = (without_fin && (segment.flags & packet::kFin) != 0) ||
                                (segment.flags & packet::kUrg) != 0;
        return !is_cut && !loses_flag;
    }
};

class StreamTable {
  public:
    static constexpr uint16_t kLongestPiece = 512;  // below what every path carries (RFC 879)
    static constexpr uint32_t kGuaranteedPieces = PiecePool::kGuaranteed * PiecePool::kPerBlock;
    static constexpr uint8_t kMostContradictions = 8;
    static constexpr uint32_t kFarthest = 1U << 24;  // that a segment may lie ahead
    static constexpr uint64_t kNoLimit = UINT64_MAX;

    struct Sizes {
        uint32_t streams = 1024;
        uint32_t blocks = 32 * 1024;  // of pieces, over all streams: 2 KiB of each
        uint32_t most_blocks = 256;   // of one: 2560 pieces, 1.2 MB in segments of 1460 bytes
        uint32_t held = 1024;         // packets, over all streams
        Seconds lifetime{4};          // of a held one; senders try again within 1 to 3 s (RFC 6298)
    };
    StreamTable(const Sizes& sizes, const HashSecret& secret);

    struct Start {
        // By what is known of the other direction's last segment; for a stream that is picked up.
        std::optional<uint32_t> acknowledged;
        uint64_t limit = kNoLimit;
    };
    // kNoIndex: `streams` are open.
    StreamIndex open(const Start& start);
    // What it holds has ended, with `reason`.
    void close(StreamIndex stream, DropReason reason = DropReason::kStreamOrphan);

    Judgement judge(StreamIndex stream, const Segment& segment);
    // After kHold, with the same segment. nullopt: the table owns the packet now.
    std::optional<DropReason> hold(
        StreamIndex stream, const Segment& segment, PacketRef& packet, Tick now
    );
    // True: bytes that have passed before the stream was picked up are acknowledged; whoever scans begins anew.
    bool acknowledge(StreamIndex stream, uint32_t acknowledgement);

    bool has_ready() const { return held_.has_ready(); }
    unsigned take_ready(std::span<PacketRef> out) { return held_.take_ready(out); }
    bool has_ended() const { return held_.has_ended(); }
    HeldSegments::Ended take_ended() { return held_.take_ended(); }
    // Ends what is held too long, at most `budget`. Returns how many.
    unsigned advance(Tick now, unsigned budget);
    // At the end: all that is held has ended.
    void end_all(DropReason reason);

    bool has_begun(StreamIndex stream) const { return at(stream).has_begun; }
    // By a SYN with this acknowledgement: the receiver takes nothing of what the stream has begun with, as it begins elsewhere.
    bool begins_elsewhere(StreamIndex stream, uint32_t acknowledgement) const {
        const Stream& s = at(stream);
        return s.has_begun && !s.is_confirmed && s.first != acknowledgement;
    }
    // How many bytes were fresh.
    uint64_t scanned(StreamIndex stream) const { return at(stream).scanned; }
    // All up to the limit or the FIN was.
    bool is_scanned(StreamIndex stream) const {
        return at(stream).has_end || at(stream).scanned == at(stream).limit;
    }
    // That, and nothing of it can come again: the stream may be closed, and what follows passes.
    bool is_over(StreamIndex stream) const {
        return is_scanned(stream) && pieces_.is_empty(at(stream).pieces);
    }
    uint32_t size() const { return size_; }
    uint32_t capacity() const { return static_cast<uint32_t>(streams_.size()); }
    size_t held() const { return held_.held(); }
    // What it was made with, packets apart.
    uint64_t bytes() const {
        return streams_.size() * sizeof(Stream) + pieces_.bytes() + held_.bytes();
    }

  private:
    struct Stream {
        uint64_t scanned = 0;
        uint64_t limit = kNoLimit;
        PiecePool::Chain pieces;
        HeldSegments::Chain held;
        uint32_t first = 0;   // where the first piece begins
        uint32_t edge = 0;    // behind the last byte that was fresh
        uint32_t origin = 0;  // of its first segment
        uint32_t picked_up_to = 0;
        uint32_t other_origin = 0;  // of a SYN that was not the stream's
        uint32_t next_free = kNoIndex;
        uint8_t contradictions = 0;
        bool is_open = false;
        bool has_begun = false;
        bool has_opening = false;      // it began with a SYN, at `origin`
        bool is_picked_up = false;     // what lies before `picked_up_to` may have passed already
        bool is_acknowledged = false;  // before it has begun: `edge` is what the other side said
        bool has_end = false;
        bool has_other_origin = false;
        bool is_confirmed = false;  // the other side has acknowledged its beginning
    };
    // Of the old part of a segment: what of it is known to be the same, as offsets in the payload.
    struct Known {
        bool contradicts = false;
        size_t begin = 0;
        size_t end = 0;
    };

    Stream& at(StreamIndex stream) { return streams_[stream.value]; }
    const Stream& at(StreamIndex stream) const { return streams_[stream.value]; }
    static bool is_past(const Stream& stream, const Segment& segment, uint32_t first_byte);
    static void begin(Stream& stream, const Segment& segment, uint32_t first_byte);
    Judgement judge_bytes(Stream& stream, const Segment& segment, uint32_t first_byte);
    Judgement contradiction(Stream& stream);
    Known compare(const Stream& stream, uint32_t sequence, std::span<const uint8_t> old_bytes)
        const;
    bool remember(Stream& stream, std::span<const uint8_t> fresh);
    void forget_until(Stream& stream, uint32_t acknowledgement);
    bool follows_other_opening(Stream& stream, uint32_t acknowledgement);

    std::vector<Stream> streams_;
    PieceKey key_;
    PiecePool pieces_;
    HeldSegments held_;
    uint32_t free_ = kNoIndex;
    uint32_t size_ = 0;
};

}  // namespace sekisho::stream

namespace sekisho {
using stream::StreamIndex;
}
