#include "stream/held_segments.h"

#include "stream/sequence.h"

namespace sekisho::stream {

HeldSegments::HeldSegments(uint32_t segments, Seconds lifetime)
    : nodes_(segments), lifetime_ms_(static_cast<int32_t>(lifetime.ms())) {
    for (uint32_t i = segments; i-- > 0;) {
        nodes_[i].next = free_;
        free_ = i;
    }
}

uint32_t HeldSegments::place_for(const Chain& chain, Extent extent) const {
    if (chain.tail == kNoIndex || distance(nodes_[chain.tail].extent.begin, extent.begin) >= 0) {
        return chain.tail;
    }
    uint32_t before = kNoIndex;
    uint32_t at = chain.head;
    while (distance(nodes_[at].extent.begin, extent.begin) >= 0) {
        before = at;
        at = nodes_[at].next;
    }
    return before;
}

// Whether one that begins alike, all of which stand together before the place, brings as much.
bool HeldSegments::is_there(const Chain& chain, uint32_t before, Extent extent) const {
    if (before == kNoIndex || nodes_[before].extent.begin != extent.begin) {
        return false;
    }
    for (uint32_t i = chain.head; i != nodes_[before].next; i = nodes_[i].next) {
        const Extent& other = nodes_[i].extent;
        if (other.begin == extent.begin && distance(extent.end, other.end) >= 0) {
            return true;
        }
    }
    return false;
}

std::optional<DropReason> HeldSegments::hold(
    Chain& chain, Extent extent, PacketRef& packet, StreamIndex stream, Tick now
) {
    const uint32_t before = place_for(chain, extent);
    if (is_there(chain, before, extent)) {
        return DropReason::kStreamDuplicate;
    }
    if (free_ == kNoIndex || chain.size >= kPerStream) {
        return DropReason::kStreamHeldOverflow;
    }
    const uint32_t index = free_;
    Node& node = nodes_[index];
    free_ = node.next;
    packet.flags |= packet::kCounted;
    uint32_t& link = before == kNoIndex ? chain.head : nodes_[before].next;
    node = {packet, extent, stream, link, newest_, kNoIndex, now, {}};
    link = index;
    chain.tail = node.next == kNoIndex ? index : chain.tail;
    ++chain.size;
    (newest_ == kNoIndex ? oldest_ : nodes_[newest_].newer) = index;
    newest_ = index;
    held_.add(1);
    return std::nullopt;
}

// Out of the stream's chain and of the order of age.
uint32_t HeldSegments::pop_front(Chain& chain) {
    const uint32_t index = chain.head;
    const Node& node = nodes_[index];
    chain.head = node.next;
    chain.tail = chain.head == kNoIndex ? kNoIndex : chain.tail;
    --chain.size;
    (node.older == kNoIndex ? oldest_ : nodes_[node.older].newer) = node.newer;
    (node.newer == kNoIndex ? newest_ : nodes_[node.newer].older) = node.older;
    return index;
}

void HeldSegments::release(Chain& chain, uint32_t edge) {
    while (chain.head != kNoIndex && distance(nodes_[chain.head].extent.begin, edge) >= 0) {
        const uint32_t index = pop_front(chain);
        const uint32_t end = nodes_[index].extent.end;
        edge = distance(edge, end) > 0 ? end : edge;
        append(ready_, index);
    }
}

void HeldSegments::end(Chain& chain, DropReason reason) {
    while (chain.head != kNoIndex) {
        const uint32_t index = pop_front(chain);
        nodes_[index].reason = reason;
        append(ended_, index);
    }
}

StreamIndex HeldSegments::oldest_overdue(Tick now) const {
    const bool is_overdue =
        oldest_ != kNoIndex && elapsed_ms(nodes_[oldest_].since, now) >= lifetime_ms_;
    return is_overdue ? nodes_[oldest_].stream : StreamIndex{kNoIndex};
}

void HeldSegments::end_oldest(Chain& chain, DropReason reason) {
    uint32_t before = kNoIndex;
    uint32_t at = chain.head;
    while (at != oldest_) {
        before = at;
        at = nodes_[at].next;
    }
    Node& node = nodes_[at];
    (before == kNoIndex ? chain.head : nodes_[before].next) = node.next;
    chain.tail = chain.tail == at ? before : chain.tail;
    --chain.size;
    oldest_ = node.newer;
    (oldest_ == kNoIndex ? newest_ : nodes_[oldest_].older) = kNoIndex;
    node.reason = reason;
    append(ended_, at);
}

void HeldSegments::append(Queue& queue, uint32_t node) {
    nodes_[node].next = kNoIndex;
    (queue.head == kNoIndex ? queue.head : nodes_[queue.tail].next) = node;
    queue.tail = node;
}

PacketRef HeldSegments::pop(Queue& queue) {
    const uint32_t index = queue.head;
    Node& node = nodes_[index];
    queue.head = node.next;
    node.next = free_;
    free_ = index;
    held_.set(held_.read() - 1);
    return node.packet;
}

unsigned HeldSegments::take_ready(std::span<PacketRef> out) {
    unsigned taken = 0;
    while (taken < out.size() && has_ready()) {
        out[taken++] = pop(ready_);
    }
    return taken;
}

HeldSegments::Ended HeldSegments::take_ended() {
    const DropReason reason = nodes_[ended_.head].reason;
    return {pop(ended_), reason};
}

}  // namespace sekisho::stream
