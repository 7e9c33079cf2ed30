#include "dataplane/stages.h"

namespace sekisho::dataplane {
namespace {

using flow::FlowIndex;
using flow::Session;

constexpr uint32_t direction_bit(const PacketMeta& meta) {
    return static_cast<uint32_t>(meta.direction);
}

// The whole search, where the first candidate was none.
[[gnu::noinline]] uint32_t find_exactly(
    const FlowIndex& index, const PacketMeta& meta, const Session* sessions
) {
    return index.find(meta.hash, [&](uint32_t value) {
        return (value & 1) == direction_bit(meta) &&
               flow::is_flow(sessions[value >> 1], meta.key, meta.direction);
    });
}

}  // namespace

// Apart from find, so that other work lies between asking for a bucket and looking at it.
void hash(Burst& burst, const StageTables& tables) {
    Batch& batch = burst.batch;
    const nat::NatShard& nat = *tables.nat;
    for (uint32_t i = 0; i < batch.count; ++i) {
        PacketMeta& meta = batch.meta[i];
        meta.hash = nat.hash_of(meta.key);
        nat.session_index().prefetch_first(meta.hash);
    }
}

// Passes, so that memory is waited for once and not once a packet: probe the first bucket, for a few the second one, compare.
void find(Burst& burst, const StageTables& tables, Tick now) {
    Batch& batch = burst.batch;
    nat::NatShard& nat = *tables.nat;
    const FlowIndex& index = nat.session_index();
    Session* const sessions = &nat.session(SessionIndex{0});
    const uint32_t count = batch.count;
    std::array<uint32_t, kBurst> candidate;
    std::array<uint8_t, kBurst> displaced;
    uint32_t displaced_count = 0;
    // A tag of the other direction's fits by chance only; comparing the candidate shows it.
    const auto any = [](uint32_t) { return true; };

    for (uint32_t i = 0; i < count; ++i) {
        const PacketMeta& meta = batch.meta[i];
        bool more = false;
        candidate[i] = index.find_first(meta.hash, any, more);
        if (candidate[i] != kNoIndex) {
            __builtin_prefetch(&sessions[candidate[i] >> 1], 1);
        } else if (more) {
            index.prefetch_second(meta.hash);
            displaced[displaced_count++] = static_cast<uint8_t>(i);
        }
    }
    for (uint32_t n = 0; n < displaced_count; ++n) {
        const uint32_t i = displaced[n];
        const PacketMeta& meta = batch.meta[i];
        candidate[i] = index.find_rest(meta.hash, any);
        if (candidate[i] != kNoIndex) {
            __builtin_prefetch(&sessions[candidate[i] >> 1], 1);
        }
    }
    uint32_t misses = 0;
    for (uint32_t i = 0; i < count; ++i) {
        PacketMeta& meta = batch.meta[i];
        if (meta.verdict != Verdict::kPending) {
            continue;
        }
        uint32_t value = candidate[i];
        if (value != kNoIndex && !flow::is_flow(sessions[value >> 1], meta.key, meta.direction))
            [[unlikely]] {
            value = find_exactly(index, meta, sessions);
        }
        if (value == kNoIndex || nat.has_expired(sessions[value >> 1], now)) [[unlikely]] {
            meta.verdict = Verdict::kMiss;
            ++misses;
            continue;
        }
        meta.session = &sessions[value >> 1];
        meta.session_index = value >> 1;
    }
    burst.misses = misses;
}

}  // namespace sekisho::dataplane
