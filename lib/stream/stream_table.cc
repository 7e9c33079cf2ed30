#include "stream/stream_table.h"

#include <algorithm>

#include "packet/views.h"
#include "stream/sequence.h"

namespace sekisho::stream {
namespace {

constexpr bool has(const Segment& segment, packet::TcpFlag flag) {
    return (segment.flags & flag) != 0;
}

constexpr uint32_t first_byte_of(const Segment& segment) {
    return segment.sequence + (has(segment, packet::kSyn) ? 1 : 0);
}

// Without payload, and without a FIN, which would stand in the wrong place.
Judgement bare() {
    Judgement judgement;
    judgement.without_fin = true;
    return judgement;
}

Judgement whole(const Segment& segment) {
    Judgement judgement;
    judgement.length = static_cast<uint16_t>(segment.payload.size());
    return judgement;
}

Judgement refused(DropReason reason) {
    Judgement judgement;
    judgement.kind = Judgement::kDrop;
    judgement.reason = reason;
    return judgement;
}

}  // namespace

StreamTable::StreamTable(const Sizes& sizes, const HashSecret& secret)
    : streams_(sizes.streams),
      key_(secret),
      pieces_(sizes.blocks, sizes.streams, sizes.most_blocks),
      held_(sizes.held, sizes.lifetime) {
    for (uint32_t i = sizes.streams; i-- > 0;) {
        streams_[i].next_free = free_;
        free_ = i;
    }
}

StreamIndex StreamTable::open(const Start& start) {
    if (free_ == kNoIndex) {
        return StreamIndex{kNoIndex};
    }
    const uint32_t index = free_;
    Stream& stream = streams_[index];
    free_ = stream.next_free;
    stream = {};
    stream.is_open = true;
    stream.limit = start.limit;
    stream.is_acknowledged = start.acknowledged.has_value();
    stream.edge = start.acknowledged.value_or(0);
    pieces_.open(stream.pieces);
    ++size_;
    return StreamIndex{index};
}

void StreamTable::close(StreamIndex index, DropReason reason) {
    Stream& stream = at(index);
    held_.end(stream.held, reason);
    pieces_.close(stream.pieces);
    stream.is_open = false;
    stream.next_free = free_;
    free_ = index.value;
    --size_;
}

// Of a stream that has not begun: all of it was acknowledged before.
bool StreamTable::is_past(const Stream& stream, const Segment& segment, uint32_t first_byte) {
    const uint32_t end = first_byte + static_cast<uint32_t>(segment.payload.size()) +
                         (has(segment, packet::kFin) ? 1 : 0);
    return stream.is_acknowledged && !has(segment, packet::kSyn) &&
           distance(stream.edge, first_byte) >= -static_cast<int32_t>(kFarthest) &&
           distance(stream.edge, end) <= 0;
}

void StreamTable::begin(Stream& stream, const Segment& segment, uint32_t first_byte) {
    constexpr auto kFar = static_cast<int32_t>(kFarthest);
    const bool is_opening = has(segment, packet::kSyn);
    const int32_t missing = distance(stream.edge, first_byte);
    const bool follows =
        !is_opening && stream.is_acknowledged && missing >= -kFar && missing <= kFar;
    stream.edge = follows ? stream.edge : first_byte;
    stream.is_confirmed = follows;
    stream.first = stream.edge;
    stream.origin = first_byte;
    stream.has_opening = is_opening;
    stream.is_picked_up = !is_opening;
    stream.picked_up_to = first_byte + static_cast<uint32_t>(segment.payload.size());
    stream.has_begun = true;
}

Judgement StreamTable::judge(StreamIndex index, const Segment& segment) {
    Stream& stream = at(index);
    const uint32_t first_byte = first_byte_of(segment);
    const bool is_opening = has(segment, packet::kSyn);
    const bool has_substance = !segment.payload.empty() || has(segment, packet::kFin);
    if (has(segment, packet::kRst)) {
        return bare();
    }
    if (!stream.has_begun && has_substance && is_past(stream, segment, first_byte)) {
        return bare();
    }
    if (!stream.has_begun && (is_opening || has_substance)) {
        begin(stream, segment, first_byte);
    }
    if (is_opening && (!stream.has_opening || first_byte != stream.origin)) {
        stream.other_origin = first_byte;
        stream.has_other_origin = true;
        return bare();
    }
    if (!has_substance) {
        return {};
    }
    if (stream.contradictions >= kMostContradictions) {
        return refused(DropReason::kStreamContradiction);
    }
    const Judgement judgement = judge_bytes(stream, segment, first_byte);
    if (!judgement.fresh.empty()) {
        const bool is_all = stream.scanned == stream.limit;  // what lies behind need not wait
        held_.release(stream.held, stream.edge + (is_all ? kFarthest : 0));
    }
    // A SYN stands where it is: no part of what follows it passes alone.
    const bool is_cut = is_opening && judgement.kind == Judgement::kPass && judgement.skip > 0;
    if (is_cut) {
        Judgement opening = bare();
        opening.fresh = judgement.fresh;
        opening.is_end = judgement.is_end;
        return opening;
    }
    return judgement;
}

Judgement StreamTable::judge_bytes(Stream& stream, const Segment& segment, uint32_t first_byte) {
    const std::span<const uint8_t> payload = segment.payload;
    const auto size = static_cast<int64_t>(payload.size());
    const int64_t from = distance(stream.edge, first_byte);  // all from the edge on
    const int64_t to = from + size;
    const auto limit =
        static_cast<int64_t>(std::min<uint64_t>(stream.limit - stream.scanned, INT64_MAX));
    const bool may_skip = stream.is_confirmed || limit == 0;
    if (may_skip && from >= limit && (from > 0 || size > 0)) {
        return whole(segment);
    }
    if (stream.has_end && to > 0) {
        return contradiction(stream);
    }
    if (from > 0) {
        Judgement ahead = refused(DropReason::kStreamHeldOverflow);
        ahead.kind = from <= kFarthest ? Judgement::kHold : Judgement::kDrop;
        return ahead;
    }
    const auto old_size = static_cast<size_t>(std::min(-from, size));
    const Known known = compare(stream, first_byte, payload.first(old_size));
    if (known.contradicts) {
        return contradiction(stream);
    }
    const auto fresh =
        payload.subspan(old_size, static_cast<size_t>(std::clamp<int64_t>(to, 0, limit)));
    const bool takes_new = to > 0 && remember(stream, fresh);
    if (to > 0 && !takes_new && known.begin == known.end) {
        return refused(DropReason::kStreamInFlight);
    }
    const bool reaches_edge = takes_new || to == 0;  // as it is now
    const bool has_fin = has(segment, packet::kFin);
    // What is known ends at the edge or it does not reach it: so it is one part with what is fresh.
    const size_t end = takes_new ? payload.size() : known.end;
    const bool passes_nothing = known.begin == end && !(has_fin && reaches_edge);
    Judgement judgement;
    judgement.fresh = takes_new ? fresh : std::span<const uint8_t>();
    judgement.skip = static_cast<uint16_t>(passes_nothing ? 0 : known.begin);
    judgement.length = static_cast<uint16_t>(end - known.begin);
    judgement.without_fin = !reaches_edge;
    if (has_fin && reaches_edge && to <= limit) {
        judgement.is_end = !stream.has_end;
        stream.has_end = true;
    }
    return judgement;
}

Judgement StreamTable::contradiction(Stream& stream) {
    ++stream.contradictions;
    return refused(DropReason::kStreamContradiction);
}

StreamTable::Known StreamTable::compare(
    const Stream& stream, uint32_t sequence, std::span<const uint8_t> old_bytes
) const {
    const auto size = static_cast<int64_t>(old_bytes.size());
    Known known{false, old_bytes.size(), old_bytes.size()};
    int64_t begin = distance(sequence, stream.first);  // of a piece, from the segment's first byte
    PiecePool::Place place = PiecePool::begin(stream.pieces);
    for (; !PiecePool::is_end(stream.pieces, place); place = pieces_.next(place)) {
        const PiecePool::Piece piece = pieces_.at(place);
        const auto offset = static_cast<size_t>(begin);
        begin += piece.length;
        if (begin > size) {
            break;
        }
        if (begin < piece.length) {
            continue;  // it begins before the segment
        }
        if (key_.digest(old_bytes.subspan(offset, piece.length)) != piece.digest) {
            return {true, 0, 0};
        }
        known.begin = std::min(known.begin, offset);
        known.end = static_cast<size_t>(begin);
    }
    return known;
}

bool StreamTable::remember(Stream& stream, std::span<const uint8_t> fresh) {
    const auto count = static_cast<uint32_t>((fresh.size() + kLongestPiece - 1) / kLongestPiece);
    if (!pieces_.has_room(stream.pieces, count)) {
        return false;
    }
    stream.edge += static_cast<uint32_t>(fresh.size());
    stream.scanned += fresh.size();
    for (; !fresh.empty(); fresh = fresh.subspan(std::min<size_t>(fresh.size(), kLongestPiece))) {
        const auto piece = fresh.first(std::min<size_t>(fresh.size(), kLongestPiece));
        pieces_.add(stream.pieces, {static_cast<uint16_t>(piece.size()), key_.digest(piece)});
    }
    return true;
}

void StreamTable::forget_until(Stream& stream, uint32_t acknowledgement) {
    while (!pieces_.is_empty(stream.pieces)) {
        const uint32_t end = stream.first + pieces_.front(stream.pieces).length;
        if (distance(end, acknowledgement) < 0) {
            return;
        }
        pieces_.pop_front(stream.pieces);
        stream.first = end;
    }
}

// Its sender has begun anew with another number before it sent anything, and the other side has taken that. Once bytes have
// passed that would let both say them again otherwise.
bool StreamTable::follows_other_opening(Stream& stream, uint32_t acknowledgement) {
    const bool is_there = stream.has_other_origin && acknowledgement == stream.other_origin;
    if (!is_there || stream.scanned > 0 || stream.has_end) {
        return false;
    }
    stream.origin = stream.edge = stream.first = stream.other_origin;
    stream.has_opening = true;
    stream.is_picked_up = false;
    stream.is_confirmed = true;
    stream.has_other_origin = false;
    held_.release(stream.held, stream.edge);
    return true;
}

bool StreamTable::acknowledge(StreamIndex index, uint32_t acknowledgement) {
    Stream& stream = at(index);
    const int32_t beyond = distance(stream.edge, acknowledgement);
    if (!stream.has_begun) {
        stream.edge = stream.is_acknowledged && beyond < 0 ? stream.edge : acknowledgement;
        stream.is_acknowledged = true;
        return false;
    }
    if (follows_other_opening(stream, acknowledgement)) {
        return false;
    }
    stream.is_picked_up &= distance(stream.edge, stream.picked_up_to) > 0;
    if (beyond <= 0) {
        const bool is_within = distance(stream.first, acknowledgement) >= 0;
        if (is_within && !stream.is_confirmed && stream.limit != kNoLimit) {
            held_.release(stream.held, stream.edge + kFarthest);  // what lies behind the limit
        }
        stream.is_confirmed |= is_within;
        forget_until(stream, acknowledgement);
        return false;
    }
    // What passes behind the limit is acknowledged too, and so is a FIN.
    if (stream.scanned == stream.limit || (stream.has_end && beyond == 1)) {
        forget_until(stream, stream.edge);
        return false;
    }
    if (!stream.is_picked_up || distance(acknowledgement, stream.picked_up_to) < 0) {
        return false;  // what it acknowledges has never passed here
    }
    forget_until(stream, stream.edge);
    stream.edge = acknowledgement;
    stream.first = acknowledgement;
    stream.is_confirmed = true;
    held_.release(stream.held, stream.edge);
    return true;
}

std::optional<DropReason> StreamTable::hold(
    StreamIndex index, const Segment& segment, PacketRef& packet, Tick now
) {
    Stream& stream = at(index);
    const uint32_t begin = first_byte_of(segment);
    const uint32_t end = begin + static_cast<uint32_t>(segment.payload.size()) +
                         (has(segment, packet::kFin) ? 1 : 0);
    return held_.hold(stream.held, {begin, end}, packet, index, now);
}

unsigned StreamTable::advance(Tick now, unsigned budget) {
    unsigned ended = 0;
    for (; ended < budget; ++ended) {
        const StreamIndex index = held_.oldest_overdue(now);
        if (index.value == kNoIndex) {
            break;
        }
        held_.end_oldest(at(index).held, DropReason::kStreamHeldTimeout);
    }
    return ended;
}

void StreamTable::end_all(DropReason reason) {
    for (Stream& stream : streams_) {
        if (stream.is_open) {
            held_.end(stream.held, reason);
        }
    }
}

}  // namespace sekisho::stream
