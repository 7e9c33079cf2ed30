// Fabric: every ring between threads. N shards, one slow path, one control thread.
//
//   hand_off[from][to]   packets for another shard (also tx hand-over where the other worker owns the queue: tx[from][to])
//   message[from][to]    port-block messages (nat::ShardMessage)
//   punt[shard][class]   to the slow path, one ring a class, so that a flood of one starves none of the others
//   back[shard]          from the slow path: neighbour updates, packets to send, buffers to free, in order
//   request[shard], reply[shard]   control: pointers to requests that the control thread owns; one slice a poll
//   Law       every ring is single-producer single-consumer; a full ring is a counted drop, never back-pressure. Rings for
//             messages that may not be lost are sized for the most that can be outstanding, or the sender keeps them.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/spsc_ring.h"
#include "base/types.h"
#include "dataplane/neighbour.h"
#include "nat/messages.h"
#include "packet/packet.h"

namespace sekisho::dataplane {

// Whoever can send much of one class must not keep the others from the slow path: outsiders reach own addresses, and only
// stations on a link send ARP.
enum class PuntClass : uint8_t {
    kArp,
    kNeighbour,  // unresolved next hops
    kOwn,        // packets for own addresses
    kError,      // errors owed
    kHelper,
};
inline constexpr unsigned kPuntClasses = 5;

struct Punt {
    enum Kind : uint8_t {
        kArp,          // an ARP frame
        kToAppliance,  // an IPv4 packet for an own address
        kUnresolved,  // translated and routed, but its next hop `address` on `link` has no address yet: hold, resolve, send back
        kIcmpError,  // an error is owed for this packet (already counted as dropped); `reason`, `detail`
    };
    PacketRef packet;
    Kind kind{};
    LinkId link;             // kUnresolved: the link to resolve on; else the link it came from
    uint8_t reason = 0;      // DropReason
    uint8_t gateway = 0;     // kUnresolved
    uint16_t detail = 0;     // kIcmpError: as in PacketMeta
    uint16_t l3_offset = 0;  // of the IPv4 header or the ARP body in the frame
    Ipv4Addr address;        // kUnresolved: next hop
};

// What the slow path tells a shard. The shard does entries in ring order, so an update stands before the packets that need it.
//
//   Counting  every packet that went through a punt ring was counted as received (or generated) when it first appeared.
//             `kind` says what is still to be counted, so that received + generated = forwarded + consumed + held + dropped;
//             "transmit" ends as forwarded or as a drop, as for any other packet.
//   Frames    kSend, kAnswer, kGeneratedSend: `l3_offset` != 0: an IPv4 packet begins there, checksums and TTL are final; route
//             it by its destination and put its L2 header before it. `l3_offset` == 0: an ARP frame, complete with its
//             L2 header: transmit it as it stands on the device of `packet.in_link`.
struct Back {
    enum Kind : uint8_t {
        kNeighbour,  // `update` replaces what the shard knows of update.id
        kSend,  // `packet` (kRouteOnly or kGenerated) waited for its neighbour: nothing to count; route, transmit
        kConsumed,  // count consumed 1, free the buffer
        kAnswer,  // the packet is dealt with and its buffer carries the answer: count consumed 1 and generated 1; transmit
        kGeneratedSend,  // the packet was counted as dropped, its buffer carries an ICMP error: count generated 1; transmit
        kDropped,     // count dropped[`reason`] 1, free the buffer
        kFree,        // count nothing (it was counted as dropped before), free the buffer
        kArpRequest,  // no packet. Allocate a buffer, build an ARP request for update.entry.address on update.entry.link to
        // the link address update.entry.mac (all ones or the neighbour's), asked by `sender` (sender ==
        // the address: gratuitous); count generated 1; transmit. No buffer: nothing happens, it is retried
    };
    Kind kind{};
    uint8_t reason = 0;      // kDropped: DropReason
    uint16_t l3_offset = 0;  // see Frames
    Ipv4Addr sender;         // kArpRequest: own address of the link
    NeighbourUpdate update;  // kNeighbour, kArpRequest
    PacketRef
        packet;  // flags as they came, plus kGenerated for kAnswer and kGeneratedSend; in_link: see kind
};
static_assert(sizeof(Back) == 128);

// A request of the control thread. It and what `out` names live in the control thread's memory, and stay there untouched
// until the reply ring has named the request: a worker that answers late must find them.
struct ControlRequest {
    enum Kind : uint8_t {
        kSessions,
        kMappings,
        kSubscribers,  // a slice of a listing: SessionView, MappingView, SubscriberView
        kPools,        // PoolView by PoolId
        kClearSessions,  // out: SessionView, those that are to end, at most kMostCleared; filled: how many did
        kClearLeases,  // out: MappingView, whose leases are to end; the same
    };
    static constexpr uint32_t kMostCleared = 16;
    Kind kind{};
    uint32_t cursor = 0;   // in, out
    uint32_t limit = 256;  // entries to look at in this slice, at most 256
    void* out = nullptr;   // array of the view type
    uint32_t room = 0;     // its elements
    uint32_t filled = 0;   // out
    bool more = false;     // out
};

class Fabric {
  public:
    struct Sizes {
        size_t hand_off = 1024;
        size_t message = 1024;
        size_t punt = 512;
        size_t back = 2048;
    };
    explicit Fabric(unsigned shards) : Fabric(shards, Sizes{}) {}
    Fabric(unsigned shards, const Sizes& sizes);

    using PacketRing = base::SpscRing<PacketRef>;
    unsigned shards() const { return shards_; }
    PacketRing& hand_off(ShardId from, ShardId to) { return *hand_off_[index(from, to)]; }
    base::SpscRing<nat::ShardMessage>& message(ShardId from, ShardId to) {
        return *message_[index(from, to)];
    }
    base::SpscRing<Punt>& punt(ShardId from, PuntClass c) {
        return *punt_[from.value * kPuntClasses + static_cast<unsigned>(c)];
    }
    base::SpscRing<Back>& back(ShardId to) { return *back_[to.value]; }
    base::SpscRing<ControlRequest*>& request(ShardId to) { return *request_[to.value]; }
    base::SpscRing<ControlRequest*>& reply(ShardId from) { return *reply_[from.value]; }

  private:
    size_t index(ShardId from, ShardId to) const { return size_t{from.value} * shards_ + to.value; }
    unsigned shards_;
    std::vector<std::unique_ptr<PacketRing>> hand_off_;
    std::vector<std::unique_ptr<base::SpscRing<nat::ShardMessage>>> message_;
    std::vector<std::unique_ptr<base::SpscRing<Punt>>> punt_;
    std::vector<std::unique_ptr<base::SpscRing<Back>>> back_;
    std::vector<std::unique_ptr<base::SpscRing<ControlRequest*>>> request_;
    std::vector<std::unique_ptr<base::SpscRing<ControlRequest*>>> reply_;
};

}  // namespace sekisho::dataplane
