// Event: one fact of a shard's log, of fixed size, as it lies in the shard's ring.
//
//   Shape     64 bytes, one cache line. Addresses and ports in network order, as in Session; all else
//             in the machine's (little-endian). What a kind does not use is zero.
//   Sequence  of its shard, from 1, without a gap: also what is lost takes no number (kLost tells).
//   Order     as things happened in the shard: a block is granted before the mappings in it, a mapping
//             is created before its sessions, and they end the other way round.
//   Time      of the worker's clock; the logger knows what time of day that was.
//   Source    RFC 6888 REQ-12 to 14, RFC 8158 (the kinds; doc/manual.md has its numbers beside them).
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/types.h"

namespace sekisho::nat {

enum class EventKind : uint8_t {
    kNone,
    kMappingCreated,
    kMappingEnded,  // `cause`: EndCause of its last session
    kSessionCreated,
    kSessionEnded,  // `cause`: EndCause
    kBlockGranted,  // `subscriber` may use external_port to last_port from here on
    kBlockReleased,
    kLimitReached,  // `cause`: DropReason of the packets that are refused
    kLost,          // `count` events since `since_ms` found no room (on-log-loss: count)
    kSegmentInvalid,  // `cause`: WindowFault; `inbound`, `sequence_number`, `count`: its acknowledgement; of kNoSession
    // `count` is its flags, and outbound there is no external endpoint
};

enum class EndCause : uint8_t {
    kIdle,       // its timeout has passed
    kClosed,     // TCP: both sides have closed it
    kCleared,    // by the operator
    kUndone,     // what it was made for could not be made
    kMadeRoom,   // unanswered, in a full table, where that is set
    kWithdrawn,  // its external address is the appliance's no more
};

inline constexpr uint8_t kOfTrigger = 0x80;  // a block that is a trigger forward's

struct alignas(64) Event {
    uint64_t sequence;
    uint32_t tick_ms;
    EventKind kind;
    uint8_t realm;  // of the subscriber
    uint8_t protocol;
    uint8_t cause;  // EndCause or DropReason; of blocks: kOfTrigger or 0
    uint32_t internal_address;
    uint32_t external_address;
    uint32_t remote_address;  // of sessions
    uint16_t internal_port;
    uint16_t external_port;  // of blocks: the first
    uint16_t remote_port;
    uint16_t last_port;        // of blocks
    uint16_t pool;             // PoolId, of blocks and limits
    uint16_t inbound;          // of a segment: 1, or 0: outbound
    uint32_t since_ms;         // of kLost
    uint32_t sequence_number;  // of a segment
    uint64_t count;            // of kLost
    uint32_t
        sent_to_address;  // of a session whose destination is translated: what its subscriber sees as the remote
    uint16_t sent_to_port;  // endpoint; zero of others
    uint16_t reserved;
};
static_assert(sizeof(Event) == 64);

}  // namespace sekisho::nat
