// ShardPool: a pool as a shard's route of a packet needs it, and what the shard counts of it.
//
//   Units     milliseconds; ports in host order. Owner: the shard's worker.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "nat/external_directory.h"
#include "nat/formula.h"
#include "nat/port_block.h"
#include "nat/settings.h"

namespace sekisho::nat {

struct ShardPool {
    // Whether one more freed port may rest (RFC 6888 REQ-8).
    bool may_rest() const { return rests && clock.resting() < most_resting; }

    PortRange ports;
    BlockSpan span{};
    uint8_t shift = 8;
    bool is_random = true;
    bool rests = true;
    bool keeps_parity = false;
    bool keeps_contiguity = false;
    bool has_singles = false;  // ports that are given out one by one
    bool has_only_singles = false;
    bool is_deterministic = false;  // blocks by formula (formula.h)
    PoolId overflow = kNoPool;
    bool keeps_ranges = false;  // RFC 4787 REQ-3 a
    Pairing pairing = Pairing::kHard;
    bool keeps_first = false;  // block of a subscriber
    uint32_t blocks_per_subscriber = 0;
    uint32_t most_resting = ~uint32_t{0};  // ports, of this shard's share of the pool's
    uint32_t max_age_ms = 0;               // of a block; 0: none
    uint32_t quarantine_ms = 0;
    uint32_t release_delay_ms = 0;
    RestClock clock;
    uint32_t held = 0;
    uint32_t in_use = 0;
    uint64_t refused = 0;
    uint64_t withdrawn = 0;              // sessions that ended with their external address
    std::vector<uint64_t> reserved{};    // ports, a bit each; empty: none
    std::optional<Tick> none_left_at{};  // when its homes had no block for any address
    bool was_told = false;               // the log, of its exhaustion, in this minute
    std::optional<Formula> formula{};    // of a deterministic pool
};

// Ports that no dynamic mapping gets, a bit each; empty: none.
std::vector<uint64_t> reserved_bits(const PoolSettings& pool);
inline bool is_reserved(const std::vector<uint64_t>& reserved, uint32_t port) {
    return !reserved.empty() && (reserved[port / 64] >> (port % 64) & 1) != 0;
}

// Ports of all protocols together that the pool's dynamic mappings may have.
inline uint64_t most_ports(const PoolSettings& pool) {
    const std::vector<uint64_t> reserved = reserved_bits(pool);
    uint64_t ports = 0;
    for (uint32_t port = std::max<uint32_t>(pool.ports.first, 1); port <= pool.ports.last; ++port) {
        ports += is_reserved(reserved, port) ? 0 : 1;
    }
    return pool.address_count() * ports * kProtocolSlots;
}

}  // namespace sekisho::nat
