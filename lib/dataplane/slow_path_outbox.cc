#include "dataplane/slow_path_outbox.h"

namespace sekisho::dataplane {

Outbox::Outbox(Fabric& fabric)
    : fabric_(fabric), nodes_(kHeldInAll), leaving_(fabric.shards()), marks_(fabric.shards()) {
    for (uint16_t i = 0; i < kHeldInAll; ++i) {
        append(free_, i);
    }
}

void Outbox::append(HeldPunts& list, uint16_t node) {
    nodes_[node].next = kNoHeld;
    if (list.count == 0) {
        list.head = node;
    } else {
        nodes_[list.tail].next = node;
    }
    list.tail = node;
    ++list.count;
}

uint16_t Outbox::take_first(HeldPunts& list) {
    const uint16_t node = list.head;
    list.head = nodes_[node].next;
    --list.count;
    return node;
}

void Outbox::mark(NeighbourId id) {
    for (unsigned s = 0; s < fabric_.shards(); ++s) {
        mark(id, ShardId{static_cast<uint8_t>(s)});
    }
}

void Outbox::mark(NeighbourId id, ShardId shard) {
    Marks& marks = marks_[shard.value];
    if (marks.queued[id.value]) {
        return;
    }
    marks.queued[id.value] = true;
    marks.queue[static_cast<uint16_t>(marks.first + marks.count)] = id.value;
    ++marks.count;
}

bool Outbox::hold(HeldPunts& list, ShardId from, const Punt& punt) {
    if (free_.count == 0) {
        return false;
    }
    const uint16_t index = take_first(free_);
    nodes_[index] = Node{punt.packet, {}, 0, from, punt.l3_offset, kNoHeld};
    append(list, index);
    held_.store(held_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    return true;
}

void Outbox::release_first(HeldPunts& list, Back::Kind kind, DropReason reason) {
    const uint16_t index = take_first(list);
    Node& node = nodes_[index];
    node.kind = kind;
    node.reason = static_cast<uint8_t>(reason);
    append(leaving_[node.from.value], index);
}

void Outbox::release_all(HeldPunts& list, Back::Kind kind, DropReason reason) {
    while (list.count > 0) {
        release_first(list, kind, reason);
    }
}

unsigned Outbox::flush(const std::function<NeighbourEntry(NeighbourId)>& current) {
    unsigned sent = 0;
    for (unsigned s = 0; s < fabric_.shards(); ++s) {
        const ShardId to{static_cast<uint8_t>(s)};
        sent += flush_updates(to, current);
        // A packet that overtook its update would only come back.
        if (marks_[s].count == 0) {
            sent += flush_packets(to);
        }
    }
    return sent;
}

unsigned Outbox::flush_updates(
    ShardId to, const std::function<NeighbourEntry(NeighbourId)>& current
) {
    Marks& marks = marks_[to.value];
    unsigned sent = 0;
    while (marks.count > 0 && room(to) > 0) {
        const NeighbourId id{marks.queue[marks.first]};
        Back back;
        back.kind = Back::kNeighbour;
        back.update = NeighbourUpdate{id, current(id)};
        push(to, back);
        marks.queued[id.value] = false;
        ++marks.first;
        --marks.count;
        ++sent;
    }
    return sent;
}

unsigned Outbox::flush_packets(ShardId to) {
    HeldPunts& list = leaving_[to.value];
    unsigned sent = 0;
    while (list.count > 0 && room(to) > 0) {
        const uint16_t index = take_first(list);
        const Node& node = nodes_[index];
        Back back;
        back.kind = node.kind;
        back.reason = node.reason;
        back.l3_offset = node.l3_offset;
        back.packet = node.packet;
        if (node.kind == Back::kSend && (node.packet.flags & packet::kGenerated) == 0) {
            back.packet.flags |= packet::kRouteOnly;
        }
        push(to, back);
        append(free_, index);
        held_.store(held_.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed);
        ++sent;
    }
    return sent;
}

}  // namespace sekisho::dataplane
