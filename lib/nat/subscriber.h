// Subscriber: a realm and an internal address, its paired external address, its blocks and counts. Of an address whose flows rules
// lead to several pools there is one for each.
//
//   Life      made with its first mapping (or with the request for its first block); goes when it
//             has neither sessions nor mappings nor blocks nor a request under way.
//   Pairing   all its mappings, of all protocols, have one external address (RFC 4787 REQ-2, RFC
//             6888 REQ-2), kept while the record lives.
//   Units     tokens in thousandths of a session.
//   Owner     the shard's worker. `state` is written last.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/types.h"

namespace sekisho::nat {

// What a subscriber has asked its address's home for.
enum class BlockWait : uint8_t {
    kNone,
    kAhead,   // a block before the last is full; nobody waits for it
    kNeeded,  // packets may be held for it
};

inline constexpr unsigned kRefusedBlock = 3;

struct alignas(64) Subscriber {
    uint32_t next_lingering;  // list of refused subscribers that have nothing else
    uint32_t address;         // network order
    uint8_t realm;
    uint8_t state;         // written last: 0 free, 1 live
    uint16_t policy;       // as a number (policy_numbers.h)
    uint32_t external;     // ExternalIndex, or kNoIndex while it has none
    uint32_t first_block;  // newest first
    uint8_t blocks;
    uint8_t limits_told;   // of which limits, a bit each, the log was told since limits_told_at
    uint16_t half_open;    // TCP sessions without a handshake; saturates
    uint32_t sessions[3];  // by protocol_slot()
    uint32_t ports;        // in use, all protocols
    uint32_t mappings;     // as many, but where mappings share ports
    uint32_t generation;   // of the record: survives the subscriber
    uint32_t refused_at;   // Tick of the last refusal, if `refused` says of what
    uint32_t tokens_at;    // Tick
    uint32_t tokens;
    BlockWait wait;
    struct Marks {
        bool is_held : 1;  // somebody was told kHold
        uint8_t
            refused : 4;   // a bit each: a single port by protocol_slot(), a block (kRefusedBlock)
        bool lingers : 1;  // in the list of next_lingering
    } marks;
    uint16_t limits_told_at;  // Tick / 1024

    uint32_t all_sessions() const { return sessions[0] + sessions[1] + sessions[2]; }
};
static_assert(sizeof(Subscriber) == 64 && offsetof(Subscriber, generation) != 0);

// What outsiders may use of a table or limit of this size; a quarter, one at least, is kept for outbound sessions.
constexpr uint32_t share_for_inbound(uint32_t size) {
    const uint32_t kept = size / 4;
    return size - (kept == 0 && size != 0 ? 1 : kept);
}

// Subscribers that were refused, in the order of that (Subscriber::next_lingering).
struct Lingering {
    uint32_t first = kNoIndex;
    uint32_t last = kNoIndex;
};

}  // namespace sekisho::nat
