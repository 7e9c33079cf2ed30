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

// A shard's part of the tables' entries.
struct TableShares {
    uint32_t sessions = 0;
    uint32_t mappings = 0;
    uint32_t subscribers = 0;
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

// What became of a wish that may have to wait. One word, because each step of a new flow returns one: parts that are written
// one by one and read together must wait for each other.
class Outcome {
  public:
    // Of what was wished for: a record, or a port.
    static constexpr Outcome made(uint32_t index) { return Outcome(MakeResult::kMade, index); }
    static constexpr Outcome of_port(uint32_t block, uint32_t port, bool shared = false) {
        return Outcome(MakeResult::kMade, block, static_cast<uint16_t>(port), shared ? kShared : 0);
    }
    static constexpr Outcome refused(DropReason reason, Refusal answer = Refusal::kSilent) {
        return Outcome(
            MakeResult::kRefused,
            kNoIndex,
            static_cast<uint16_t>(answer),
            static_cast<uint8_t>(reason)
        );
    }
    static constexpr Outcome hold(uint32_t waiting = kNoIndex) {
        return Outcome(MakeResult::kHold, waiting);
    }

    constexpr MakeResult::Kind kind() const { return static_cast<MakeResult::Kind>(bits_ & 0xff); }
    constexpr bool is_made() const { return kind() == MakeResult::kMade; }
    // kMade: the record, of a port its block; kHold: the subscriber that waits.
    constexpr uint32_t index() const { return static_cast<uint32_t>(bits_ >> 32); }
    constexpr uint16_t port() const { return middle(); }        // host order
    constexpr bool is_shared() const { return second() != 0; }  // another mapping has the port
    constexpr DropReason reason() const { return static_cast<DropReason>(second()); }
    constexpr Refusal answer() const { return static_cast<Refusal>(middle()); }

  private:
    static constexpr uint8_t kShared = 1;
    constexpr Outcome(
        MakeResult::Kind kind, uint32_t index, uint16_t middle = 0, uint8_t second = 0
    )
        : bits_(uint64_t{index} << 32 | uint64_t{middle} << 16 | uint64_t{second} << 8 | kind) {}
    constexpr uint8_t second() const { return static_cast<uint8_t>(bits_ >> 8); }
    constexpr uint16_t middle() const { return static_cast<uint16_t>(bits_ >> 16); }

    uint64_t bits_;
};

}  // namespace sekisho::nat
