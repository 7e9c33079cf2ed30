// What a shard is made of, and what it says of packets without session.
#pragma once

#include <cstdint>
#include <string>

#include "base/arena.h"
#include "base/drop_reason.h"
#include "base/keyed_hash.h"
#include "base/types.h"
#include "nat/settings.h"

namespace sekisho::nat {

// What became of an outbound miss.
struct MakeResult {
    // kStaticOnly: translate with scratch_static(), no state changes.
    enum Kind : uint8_t { kMade, kHold, kRefused, kStaticOnly } kind = kRefused;
    DropReason reason{};                // with kRefused
    Refusal answer = Refusal::kSilent;  // with kRefused: what its sender is to be told
    SessionIndex session{kNoIndex};     // with kMade
    SubscriberIndex waiting{kNoIndex};  // with kHold: the subscriber whose block is being asked for
};

// What became of an inbound miss.
struct AdmitResult {
    enum Kind : uint8_t { kSession, kMappingOnly, kRefused, kStaticOnly } kind = kRefused;
    DropReason reason{};             // with kRefused
    SessionIndex session{kNoIndex};  // with kSession: a TCP opening from outside
    // With kMappingOnly: translate from the mapping alone, no state changes.
    MappingIndex mapping{kNoIndex};
};

struct NatShardPlan {
    ShardId shard;
    unsigned shards = 1;    // 64 at most
    uint32_t sessions = 0;  // entries of this shard's tables
    uint32_t mappings = 0;
    uint32_t subscribers = 0;
    HashSecret secret;
    std::string arena_name;      // empty: anonymous memory
    std::string huge_directory;  // see base/arena.h
    base::ArenaFacts facts;
};

// What became of a wish that may have to wait.
struct Outcome {
    MakeResult::Kind kind = MakeResult::kMade;
    DropReason reason{};
    uint32_t index = kNoIndex;
    uint16_t port = 0;    // of allocate_port, host order
    bool shared = false;  // another mapping has the port too
    static Outcome made(uint32_t i) { return {.index = i}; }
    static Outcome of_port(uint32_t block, uint32_t port) {
        return {.index = block, .port = static_cast<uint16_t>(port)};
    }
    static Outcome refused(DropReason r) { return {MakeResult::kRefused, r}; }
    static Outcome hold() { return {.kind = MakeResult::kHold}; }
};

}  // namespace sekisho::nat
