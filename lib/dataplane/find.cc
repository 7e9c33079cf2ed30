#include "dataplane/stages.h"

namespace sekisho::dataplane {
namespace {

using flow::FlowIndex;
using flow::Session;

constexpr uint32_t direction_bit(const PacketMeta& meta) {
    return static_cast<uint32_t>(meta.direction);
}

// The whole search, where the first candidate was none.
[[gnu::noinline]] uint32_t find_exactly(const nat::NatShard& nat, const PacketMeta& meta) {
    return nat.session_index().find(meta.hash, [&](uint32_t value) {
        return (value & 1) == direction_bit(meta) && nat.is_flow_of(value, meta.key);
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

// Passes, so that memory is waited for once and not once a packet: the first bucket of all, for a few the second one.
void probe(Burst& burst, const StageTables& tables) {
    const Batch& batch = burst.batch;
    const nat::NatShard& nat = *tables.nat;
    const FlowIndex& index = nat.session_index();
    const Session* const sessions = &nat.session(SessionIndex{0});
    std::array<uint8_t, kBurst> displaced;
    uint32_t displaced_count = 0;
    // A tag of the other direction's fits by chance only; comparing the candidate shows it.
    const auto any = [](uint32_t) { return true; };
    const auto ask = [&](uint32_t i) {
        if (burst.candidate[i] != kNoIndex) {
            __builtin_prefetch(&sessions[burst.candidate[i] >> 1], 1);
        }
    };

    for (uint32_t i = 0; i < batch.count; ++i) {
        const PacketMeta& meta = batch.meta[i];
        bool more = false;
        burst.candidate[i] = index.find_first(meta.hash, any, more);
        ask(i);
        if (burst.candidate[i] == kNoIndex && more) {
            index.prefetch_second(meta.hash);
            displaced[displaced_count++] = static_cast<uint8_t>(i);
        }
    }
    for (uint32_t n = 0; n < displaced_count; ++n) {
        const uint32_t i = displaced[n];
        burst.candidate[i] = index.find_rest(batch.meta[i].hash, any);
        ask(i);
    }
}

// A candidate that was freed since, or given to another flow, is none any more; a session made since is found by make, which
// looks again.
void find(Burst& burst, const StageTables& tables, Tick now) {
    Batch& batch = burst.batch;
    nat::NatShard& nat = *tables.nat;
    Session* const sessions = &nat.session(SessionIndex{0});
    uint32_t misses = 0;
    for (uint32_t i = 0; i < batch.count; ++i) {
        PacketMeta& meta = batch.meta[i];
        if (meta.verdict != Verdict::kPending) {
            continue;
        }
        uint32_t value = burst.candidate[i];
        if (value != kNoIndex && !flow::is_flow(sessions[value >> 1], meta.key, meta.direction))
            [[unlikely]] {
            value = find_exactly(nat, meta);
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
