#include <bit>

#include "dataplane/stages.h"

namespace sekisho::dataplane {
namespace {

bool is_pending_with(const PacketMeta& meta, uint32_t session) {
    return meta.verdict == Verdict::kPending && meta.session_index == session;
}

void drop_all_of(uint32_t session, Batch& batch) {
    for (uint32_t k = 0; k < batch.count; ++k) {
        if (is_pending_with(batch.meta[k], session)) {
            batch.drop(k, DropReason::kDeniedByRule);
        }
    }
}

}  // namespace

// Not before the whole burst has been judged: other packets of it may have the same session.
void end_forbidden(Burst& burst, const StageTables& tables, Tick now) {
    Batch& batch = burst.batch;
    for (uint32_t left = burst.forbidden | burst.made_in_vain; left != 0; left &= left - 1) {
        const auto i = static_cast<uint32_t>(std::countr_zero(left));
        const uint32_t session = batch.meta[i].session_index;
        bool is_used = false;
        for (uint32_t k = 0; k < batch.count; ++k) {
            is_used |= is_pending_with(batch.meta[k], session);
        }
        if (is_used && (burst.forbidden >> i & 1) == 0) {
            continue;
        }
        drop_all_of(session, batch);
        tables.nat->clear_session({session}, now);
    }
    burst.forbidden = burst.made_in_vain = 0;
}

}  // namespace sekisho::dataplane
