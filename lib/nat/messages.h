// What shards say to each other about port blocks. Travels over rings; a shard's messages to itself are handled at once.
//
//   Life of a block   free at its home -> granted -> taken in by the holder (owner byte) -> in use -> empty and rested ->
//                     returned (owner byte back to home). It changes shard only empty and rested (ARCHITECTURE 2).
//   Law               a request is answered by exactly one grant or refusal; a recall by exactly one return or
//                     kRecallDone from each shard asked. A message that finds no room in its ring is kept and tried again.
#pragma once

#include <cstdint>

#include "base/types.h"

namespace sekisho::nat {

enum class MessageKind : uint8_t {
    kBlockRequest,   // holder -> home: a block of `external`, or of any address of `pool` homed there if kNoIndex
    kBlockGrant,     // home -> holder: `external`, `block`
    kBlockRefusal,   // home -> holder: none is left on the whole appliance (that pairing allows)
    kBlockReturn,    // holder -> home: `external`, `block` comes back, empty and rested
    kBlockRecall,    // home -> holder: give back one empty, rested block of `external` (kNoIndex: of `pool`) if you have one
    kRecallDone,     // holder -> home: nothing (more) to give back
};

struct ShardMessage {
    MessageKind kind{};
    ShardId from;             // who sent this hop
    ShardId requester;        // on whose behalf: the shard that waits
    uint8_t reserved = 0;
    uint16_t block = 0;
    PoolId pool;
    ExternalIndex external{kNoIndex};
    uint32_t subscriber = 0;  // the requester's SubscriberIndex
    uint32_t subscriber_generation = 0;
    uint64_t tried = 0;       // homes that had none, by shard number
};
static_assert(sizeof(ShardMessage) == 32);

class MessageSink {
  public:
    virtual ~MessageSink() = default;
    // False if the ring has no room now; nothing is sent then.
    [[nodiscard]] virtual bool send(ShardId to, const ShardMessage& message) = 0;
};

}  // namespace sekisho::nat
