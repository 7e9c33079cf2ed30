#include "dataplane/stages.h"

namespace sekisho::dataplane {
namespace {

// No error is ever owed for an ICMP error or a later fragment (RFC 1122 3.2.2),
// or to a source that is forged.
void expire(const PacketRef& ref, PacketMeta& meta, const StageTables& tables) {
    if (is_forged(realm_of(meta), source_of(ref, meta), meta.direction, tables)) {
        meta.verdict = Verdict::kDrop;
        meta.reason = DropReason::kSpoofedSource;
        return;
    }
    meta.verdict = meta.kind >= PacketKind::kIcmpError ? Verdict::kDrop : Verdict::kPuntError;
    meta.reason = DropReason::kTtlExceeded;
}

// Ends what expires and `is_over` holds for. Not the second halves of hairpins, whose TTL the first has stepped.
template <class IsOver>
[[gnu::noinline]] void expire_all(Burst& burst, const StageTables& tables, IsOver is_over) {
    Batch& batch = burst.batch;
    for (uint32_t i = 0; i < batch.count; ++i) {
        PacketMeta& meta = batch.meta[i];
        const bool is_expiring = meta.ttl <= 1 && meta.verdict == Verdict::kPending &&
                                 (batch.ref[i].flags & packet::kHairpin) == 0;
        if (is_expiring && is_over(batch.ref[i], meta)) {
            expire(batch.ref[i], meta, tables);
        }
    }
}

}  // namespace

// Own addresses still take a packet with TTL 1.
void screen(Burst& burst, const StageTables& tables) {
    expire_all(burst, tables, [&](const PacketRef& ref, const PacketMeta& meta) {
        return !tables.network->is_own(realm_of(meta), destination_of(ref, meta));
    });
}

void screen_translated(Burst& burst, const StageTables& tables) {
    expire_all(burst, tables, [](const PacketRef&, const PacketMeta&) { return true; });
}

}  // namespace sekisho::dataplane
