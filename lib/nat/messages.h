// What shards say to each other about port blocks. Travels over rings; a shard's messages to itself
// are handled at once.
//
//   Life of a block   free at its home -> granted -> taken in by the holder (owner byte) -> in use
//                     -> empty and rested -> returned (owner byte back to home). It changes shard
//                     only empty and rested (ARCHITECTURE 2).
//   Law               a request is answered by exactly one grant or refusal. A recall is answered
//                     by exactly one kRecallDone from each shard asked, behind the kBlockReturn if
//                     it had a block to give; the order of a ring is kept. A message that finds no
//                     room in its ring is kept and tried again.
//   Single ports   (single_ports.h) are asked for one by one, and answered like blocks.
//   Unpaired requests go from home to home (`tried`), twice: first for a free block, then with
//                     kMayRecall for one that can be called back.
#pragma once

#include <cstdint>

#include "base/types.h"
#include "packet/batch.h"

namespace sekisho::nat {

enum class MessageKind : uint8_t {
    kBlockRequest,  // holder -> home: a block of `external`, or of any address of `pool` (kNoIndex)
    kBlockGrant,    // home -> holder: `external`, `block`
    kBlockRefusal,  // home -> holder: the whole appliance has none left that pairing allows
    kBlockReturn,   // holder -> home: `external`, `block` comes back, empty and rested
    kBlockRecall,   // home -> holder: give back an empty, rested block of `external`, or, with
                    // kNoIndex, of any address of `pool` that is homed at the sender
    kRecallDone,    // holder -> home: the recall of `external` or `pool` is answered
    kPortRequest,  // shard -> home: the single port `block`, or another in its place, of `external`
                   // or, where pairing allows, of any address of `pool`
    kPortGrant,    // home -> shard: `external`, `block`, for the wanted port in `tried`
    kPortReturn,   // shard -> home: `external`, `block` is free again
};

enum MessageFlag : uint8_t {
    kAhead = 1 << 0,        // nobody waits for it: refuse rather than recall
    kMayRecall = 1 << 1,    // an unpaired request's second round
    kOtherPort = 1 << 1,    // a request's second round: another port than the wanted one will do
    kRested = 1 << 2,       // a returned port need not rest
    kSinglePorts = 1 << 3,  // it is about a single port
};
inline constexpr unsigned kSlotShift = 4;  // of a port's protocol_slot() in `flags`

struct ShardMessage {
    MessageKind kind{};
    ShardId from;       // who sent this hop
    ShardId requester;  // on whose behalf: the shard that waits
    uint8_t flags = 0;  // MessageFlag
    uint16_t block = 0;
    PoolId pool;
    ExternalIndex external{kNoIndex};
    uint32_t subscriber = 0;  // the requester's SubscriberIndex
    uint32_t subscriber_generation = 0;
    uint64_t tried = 0;  // homes that had none, by shard number
};
static_assert(sizeof(ShardMessage) == 32);

class MessageSink {
  public:
    virtual ~MessageSink() = default;
    // False if the ring has no room now; nothing is sent then.
    [[nodiscard]] virtual bool send(ShardId to, const ShardMessage& message) = 0;
};

// Told when a subscriber's wait for a block is over; the packets that were held are judged anew, once
// handle() has returned and before it is called again: a block that nobody uses yet can be recalled.
class WaitListener {
  public:
    virtual ~WaitListener() = default;
    virtual void wait_is_over(SubscriberIndex subscriber) = 0;
    // There was a TCP session, and it has ended. `hash`: the shard's, of the key of its inbound packets.
    // The record is another's from the end of the burst on.
    virtual void session_ended(SessionIndex /*session*/) {}
    virtual void tcp_session_ended(const FlowKey& /*inbound*/, uint64_t /*hash*/) {}
};

}  // namespace sekisho::nat
