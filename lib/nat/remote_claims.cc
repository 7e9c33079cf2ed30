#include "nat/remote_claims.h"

#include <algorithm>
#include <bit>

namespace sekisho::nat {
namespace {

constexpr unsigned kRemoteShift = 20;
constexpr unsigned kProtocolShift = 52;
constexpr unsigned kShardShift = 55;
constexpr uint64_t kShardMask = 0x3f;
constexpr uint64_t kOfFlow = 5;  // in the place of a protocol's code
constexpr uint64_t kUsed = uint64_t{1} << 61;
constexpr uint64_t kKeyMask = kUsed | ((uint64_t{1} << kShardShift) - 1);

uint64_t code_of(Protocol protocol) {
    switch (protocol) {
        case Protocol::kSctp:
            return 0;
        case Protocol::kDccp:
            return 1;
        case Protocol::kUdpLite:
            return 2;
        case Protocol::kGre:
            return 3;
        default:
            return 4;
    }
}

uint64_t key_of(ExternalIndex external, Protocol protocol, Ipv4Addr remote) {
    return kUsed | external.value | uint64_t{remote.raw} << kRemoteShift |
           code_of(protocol) << kProtocolShift;
}

uint64_t word_of(uint64_t key, ShardId shard) {
    return key | uint64_t{shard.value} << kShardShift;
}

}  // namespace

RemoteClaims::RemoteClaims(uint32_t claims, const HashSecret& secret)
    : capacity_(std::clamp<uint32_t>(claims, 1, kMost)),
      secret_(secret),
      mask_(std::bit_ceil(std::max<uint32_t>(2 * capacity_ / kBucket, 2)) - 1),
      buckets_(std::make_unique<Bucket[]>(mask_ + 1)) {}

RemoteClaims::Places RemoteClaims::places_of(uint64_t key) const {
    const uint64_t hash = keyed_hash(secret_, key, 0);
    const auto first = static_cast<uint32_t>(hash) & mask_;
    const auto second = static_cast<uint32_t>(hash >> 32) & mask_;
    return {{&buckets_[first], &buckets_[second != first ? second : first ^ 1U]}};
}

bool RemoteClaims::has_other(const Places& places, uint64_t key, uint32_t own) const {
    for (uint32_t i = 0; i < kPlaces; ++i) {
        if (i != own && (places[i].load() & kKeyMask) == key) {
            return true;
        }
    }
    return false;
}

// Of two buckets always the emptier one: then hardly any fills up.
uint32_t RemoteClaims::emptier(const Places& places) const {
    int more_in_first = 0;
    for (uint32_t i = 0; i < kBucket; ++i) {
        more_in_first += places[i].load() != 0 ? 1 : 0;
        more_in_first -= places[i + kBucket].load() != 0 ? 1 : 0;
    }
    return more_in_first > 0 ? 1 : 0;
}

// Looked for before and after: whoever has written later sees the other, so never do two get it.
RemoteClaims::Answer RemoteClaims::claim(uint64_t key, ShardId shard) {
    const Places places = places_of(key);
    if (has_other(places, key, kPlaces)) {
        return Answer::kTaken;
    }
    if (size_.fetch_add(1, std::memory_order_relaxed) >= capacity_) {
        size_.fetch_sub(1, std::memory_order_relaxed);
        return Answer::kFull;
    }
    Answer answer = Answer::kFull;
    const uint32_t first = emptier(places) * kBucket;
    for (uint32_t n = 0; n < kPlaces && answer == Answer::kFull; ++n) {
        const uint32_t i = first ^ n;
        uint64_t nobody = 0;
        if (!places[i].compare_exchange_strong(nobody, word_of(key, shard))) {
            continue;
        }
        answer = Answer::kGranted;
        if (has_other(places, key, i)) {
            places[i].store(0);
            answer = Answer::kTaken;
        }
    }
    if (answer != Answer::kGranted) {
        size_.fetch_sub(1, std::memory_order_relaxed);
    }
    return answer;
}

void RemoteClaims::release(uint64_t key, ShardId shard) {
    const uint64_t word = word_of(key, shard);
    const Places places = places_of(key);
    for (uint32_t i = 0; i < kPlaces; ++i) {
        if (places[i].load() == word) {
            places[i].store(0);
            size_.fetch_sub(1, std::memory_order_relaxed);
            return;
        }
    }
}

std::optional<ShardId> RemoteClaims::find(uint64_t key) const {
    const Places places = places_of(key);
    for (uint32_t i = 0; i < kPlaces; ++i) {
        const uint64_t word = places[i].load(std::memory_order_acquire);
        if ((word & kKeyMask) == key) {
            return ShardId{static_cast<uint8_t>(word >> kShardShift & kShardMask)};
        }
    }
    return std::nullopt;
}

RemoteClaims::Answer RemoteClaims::claim(
    ExternalIndex external, Protocol protocol, Ipv4Addr remote, ShardId shard
) {
    return claim(key_of(external, protocol, remote), shard);
}

void RemoteClaims::release(
    ExternalIndex external, Protocol protocol, Ipv4Addr remote, ShardId shard
) {
    release(key_of(external, protocol, remote), shard);
}

std::optional<ShardId> RemoteClaims::find(
    ExternalIndex external, Protocol protocol, Ipv4Addr remote
) const {
    return find(key_of(external, protocol, remote));
}

uint64_t RemoteClaims::key_of_flow(const FlowKey& inbound) const {
    constexpr uint64_t kHashMask = (uint64_t{1} << kProtocolShift) - 1;
    const uint64_t hash = keyed_hash(secret_, inbound.addresses, inbound.rest);
    return kUsed | (hash & kHashMask) | kOfFlow << kProtocolShift;
}

RemoteClaims::Answer RemoteClaims::claim_flow(const FlowKey& inbound, ShardId shard) {
    return claim(key_of_flow(inbound), shard);
}

void RemoteClaims::release_flow(const FlowKey& inbound, ShardId shard) {
    release(key_of_flow(inbound), shard);
}

std::optional<ShardId> RemoteClaims::find_flow(const FlowKey& inbound) const {
    return find(key_of_flow(inbound));
}

}  // namespace sekisho::nat
