// Outbox: what the slow path gives back to the shards, without losing any of it when a ring is
// full.
//
//   Updates   marked by id, once a shard; what is sent is the entry as it stands when there is
//             room. Never lost.
//   Held      packets that wait for a neighbour lie in lists of nodes from one pool of kHeldInAll;
//             released, they move to the list of their shard and leave it as there is room, after
//             all updates that were marked before.
//   Rest      push() of entries that carry a buffer: the caller has seen to room() before it took
//             the buffer.
//   Thread    the slow path's; held() by anyone.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <vector>

#include "base/drop_reason.h"
#include "dataplane/fabric.h"
#include "dataplane/slow_path.h"

namespace sekisho::dataplane {

inline constexpr uint16_t kNoHeld = 0xffff;

// Nodes of the outbox, in the order in which they came.
struct HeldPunts {
    uint16_t head = kNoHeld;
    uint16_t tail = kNoHeld;
    uint16_t count = 0;
};

class Outbox {
  public:
    explicit Outbox(Fabric& fabric);

    unsigned shards() const { return fabric_.shards(); }
    size_t room(ShardId to) const { return fabric_.back(to).room(); }
    // Gives an entry to the shard; the caller knows that there is room.
    void push(ShardId to, const Back& back) { fabric_.back(to).push(back); }
    // Gives an entry that may be lost: only if a place is left besides it for a packet under way.
    // False: not sent.
    bool push_spare(ShardId to, const Back& back) {
        return room(to) >= 2 && fabric_.back(to).push(back);
    }

    // The entry has changed: every shard, or one, will be told.
    void mark(NeighbourId id);
    void mark(NeighbourId id, ShardId shard);

    // Puts a packet at the end of the list; false: no node is left.
    bool hold(HeldPunts& list, ShardId from, const Punt& punt);
    // Moves the first packet of the list, or all of them, on their way back to their shards.
    void release_first(HeldPunts& list, Back::Kind kind, DropReason reason);
    void release_all(HeldPunts& list, Back::Kind kind, DropReason reason);
    // Packets in lists, or on their way back and not in a ring yet.
    size_t held() const { return held_.load(std::memory_order_relaxed); }

    // Sends what there is room for. `current` gives an entry as it stands. Returns the number sent.
    unsigned flush(const std::function<NeighbourEntry(NeighbourId)>& current);

  private:
    struct Node {
        PacketRef packet;
        Back::Kind kind{};
        uint8_t reason = 0;
        ShardId from;
        uint16_t l3_offset = 0;
        uint16_t next = kNoHeld;
    };
    // Ids to tell a shard: a queue without doubles, so it holds them all.
    struct Marks {
        std::vector<uint16_t> queue = std::vector<uint16_t>(size_t{kNeighbourCapacity} + 1);
        std::vector<bool> queued = std::vector<bool>(size_t{kNeighbourCapacity} + 1);
        uint16_t first = 0;  // wraps with the queue: 65536 places
        uint32_t count = 0;
    };

    uint16_t take_first(HeldPunts& list);
    void append(HeldPunts& list, uint16_t node);
    unsigned flush_updates(ShardId to, const std::function<NeighbourEntry(NeighbourId)>& current);
    unsigned flush_packets(ShardId to);

    Fabric& fabric_;
    std::vector<Node> nodes_;
    HeldPunts free_;
    std::vector<HeldPunts> leaving_;  // by shard
    std::vector<Marks> marks_;        // by shard
    std::atomic<size_t> held_{0};
};

}  // namespace sekisho::dataplane
