// RemoteClaims: which shard holds (external address, protocol, remote address) for one of its subscribers. Of a protocol whose
// ports are not translated nothing else tells the subscribers behind one external address apart.
//
//   Shape     one 64-bit word a claim, in buckets of eight; two buckets come into question for each. Twice as many words as
//             claims, so that a claim finds no place only if somebody knew the secret.
//   Thread    any; each claim is made and released by the shard that holds it. Of two shards that claim the same at once at
//             most one gets it, and perhaps none: the packet is refused, the next one comes again.
//   Flows     of what rules lead inside (forward.cc) the whole flow is claimed, in a table of its own: by 52 bits of its keyed hash.
//   find()    is a hint for steering like the owner bytes of the directory: who holds is said by the shard's own session.
//   Cost      two cache lines. Never allocates after it is made.
//   Source    RFC 3022 4.1 (what NAPT can tell apart), RFC 5597.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/keyed_hash.h"
#include "base/types.h"
#include "packet/batch.h"

namespace sekisho::nat {

class RemoteClaims {
  public:
    enum class Answer : uint8_t { kGranted, kTaken, kFull };
    static constexpr uint32_t kMost = 1U << 20;

    // `claims`: 1 to kMost.
    RemoteClaims(uint32_t claims, const HashSecret& secret);

    // `protocol` is address-only; `external` less than 2^20.
    Answer claim(ExternalIndex external, Protocol protocol, Ipv4Addr remote, ShardId shard);
    // What claim() has granted to this shard.
    void release(ExternalIndex external, Protocol protocol, Ipv4Addr remote, ShardId shard);
    std::optional<ShardId> find(ExternalIndex external, Protocol protocol, Ipv4Addr remote) const;

    // The same of a flow. Released by the shard for which it was claimed, which may be another one.
    Answer claim_flow(const FlowKey& inbound, ShardId shard);
    void release_flow(const FlowKey& inbound, ShardId shard);
    std::optional<ShardId> find_flow(const FlowKey& inbound) const;

    uint32_t size() const { return size_.load(std::memory_order_relaxed); }
    uint32_t capacity() const { return capacity_; }

  private:
    static constexpr uint32_t kBucket = 8;
    struct alignas(64) Bucket {
        std::atomic<uint64_t> words[kBucket] = {};
    };
    struct Places {
        Bucket* buckets[2];
        std::atomic<uint64_t>& operator[](uint32_t i) const {
            return buckets[i / kBucket]->words[i % kBucket];
        }
    };
    static constexpr uint32_t kPlaces = 2 * kBucket;

    uint64_t key_of_flow(const FlowKey& inbound) const;
    Answer claim(uint64_t key, ShardId shard);
    void release(uint64_t key, ShardId shard);
    std::optional<ShardId> find(uint64_t key) const;
    Places places_of(uint64_t key) const;
    uint32_t emptier(const Places& places) const;
    bool has_other(const Places& places, uint64_t key, uint32_t own) const;

    uint32_t capacity_;
    HashSecret secret_;
    uint32_t mask_;  // of bucket numbers
    std::unique_ptr<Bucket[]> buckets_;
    std::atomic<uint32_t> size_ = 0;
};

}  // namespace sekisho::nat
