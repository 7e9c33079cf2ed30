#include "dataplane/stages.h"

namespace sekisho::dataplane {
namespace {

// Own addresses still take a packet with TTL 1. No error is ever owed for an ICMP error or a later fragment (RFC 1122 3.2.2),
// or to a source that is ours, because it is forged.
[[gnu::noinline]] void screen_expiring(
    const PacketRef& ref, PacketMeta& meta, const StageTables& tables
) {
    if (tables.network->is_own(destination_of(ref, meta))) {
        return;
    }
    if (tables.is_ours(source_of(ref, meta))) {
        meta.verdict = Verdict::kDrop;
        meta.reason = DropReason::kSpoofedSource;
        return;
    }
    meta.verdict = meta.kind >= PacketKind::kIcmpError ? Verdict::kDrop : Verdict::kPuntError;
    meta.reason = DropReason::kTtlExceeded;
}

}  // namespace

void screen(Burst& burst, const StageTables& tables) {
    Batch& batch = burst.batch;
    for (uint32_t i = 0; i < batch.count; ++i) {
        PacketMeta& meta = batch.meta[i];
        const bool expiring = meta.ttl <= 1 && meta.verdict == Verdict::kPending;
        if (expiring && (batch.ref[i].flags & packet::kHairpin) == 0) {
            screen_expiring(batch.ref[i], meta, tables);
        }
    }
}

}  // namespace sekisho::dataplane
