#include "base/mutation.h"
#include "dataplane/stages.h"

namespace sekisho::dataplane {
namespace {

// An error from a link may come from any router, but never in our name. A later fragment counts, but keeps nothing alive: its
// first one has.
[[gnu::noinline]] void track_little(Batch& batch, uint32_t i, const StageTables& tables) {
    const PacketMeta& meta = batch.meta[i];
    const PacketRef& ref = batch.ref[i];
    const RealmId realm = flow::realm_of(*static_cast<const flow::Session*>(meta.session));
    if (meta.kind == PacketKind::kLaterFragment && meta.session_index != kNoIndex) {
        flow::Session& session = tables.nat->session(SessionIndex{meta.session_index});
        ++session.packets[static_cast<size_t>(meta.direction)];
    }
    if (meta.kind == PacketKind::kIcmpError && (ref.flags & packet::kHairpin) == 0 &&
        tables.is_ours(realm, source_of(ref, meta))) {
        batch.drop(i, DropReason::kSpoofedSource);
    }
}

// What only sessions with a mark are asked: false: the packet is dropped.
[[gnu::noinline]] bool may_pass(Batch& batch, uint32_t i, const StageTables& tables, Tick now) {
    const PacketMeta& meta = batch.meta[i];
    const PacketRef& ref = batch.ref[i];
    const auto& session = *static_cast<const flow::Session*>(meta.session);
    if ((session.flags & flow::kSessionHairpin) != 0 && meta.direction == Direction::kInbound &&
        (ref.flags & packet::kHairpin) == 0) {
        batch.drop(i, DropReason::kSpoofedSource);
        return false;
    }
    if ((session.flags & flow::kRedirected) != 0 && meta.kind < PacketKind::kIcmpError &&
        !tables.nat->touch_trigger({meta.session_index}, meta.direction, now)) {
        batch.drop(i, DropReason::kStaleOwner);
        return false;
    }
    if ((session.flags & flow::kTrackWindow) == 0 || meta.session_index == kNoIndex ||
        meta.kind != PacketKind::kTcp) {
        return true;
    }
    const uint8_t* const tcp = ref.data + meta.l4_offset;
    const uint32_t data = tcp_data_of(ref, meta);
    if (tables.nat->admits_segment({meta.session_index}, meta.direction, tcp, data, now)) {
        return true;
    }
    batch.drop(i, DropReason::kTcpOutOfWindow);
    return false;
}

// What the tests of RFC 5382 REQ-2 and 2a and of RFC 7857 2.2 must not pass with.
bool is_taken_away(const PacketMeta& meta, const flow::Session& session) {
    using enum flow::SessionState;
    [[maybe_unused]] const bool is_half_closed =
        session.state == kTcpFinOutbound || session.state == kTcpFinInbound;
    [[maybe_unused]] const bool is_second_syn =
        session.state == kTcpOpenOutbound && meta.direction == Direction::kInbound &&
        (meta.tcp_flags & (packet::kSyn | packet::kAck)) == packet::kSyn;
    return meta.kind == PacketKind::kTcp &&
           ((is_mutated(Mutation::kRfc5382Req2) && is_half_closed) ||
            (is_mutated(Mutation::kRfc5382Req2a) && is_second_syn) ||
            (is_mutated(Mutation::kRfc7857S2_2) && (meta.tcp_flags & packet::kRst) != 0));
}

// The same of RFC 4787 REQ-12, RFC 5382 REQ-10 and RFC 5508 REQ-6: an ICMP error ends or refreshes.
void let_error_change(const PacketMeta& meta, const StageTables& tables, Tick now) {
    if (meta.kind != PacketKind::kIcmpError || meta.session_index == kNoIndex) {
        return;
    }
    const SessionIndex index{meta.session_index};
    [[maybe_unused]] const auto protocol =
        static_cast<Protocol>(tables.nat->session(index).protocol);
    if ((is_mutated(Mutation::kRfc4787Req12) && protocol == Protocol::kUdp) ||
        (is_mutated(Mutation::kRfc5382Req10) && protocol == Protocol::kTcp)) {
        tables.nat->clear_session(index, now);
    }
    if (is_mutated(Mutation::kRfc5508Req6) && protocol == Protocol::kIcmp) {
        tables.nat->session(index).last_activity = now.ms;
    }
}

}  // namespace

// A packet from a link whose source is a pool's would hit the session of a hairpin: only our own second halves may.
void track(Burst& burst, const StageTables& tables, Tick now) {
    Batch& batch = burst.batch;
    nat::NatShard& nat = *tables.nat;
    for (uint32_t i = 0; i < batch.count; ++i) {
        PacketMeta& meta = batch.meta[i];
        if (meta.verdict != Verdict::kPending) {
            continue;
        }
        const auto& session = *static_cast<const flow::Session*>(meta.session);
        constexpr uint16_t kMarks = flow::kSessionHairpin | flow::kTrackWindow | flow::kRedirected;
        if ((session.flags & kMarks) != 0 && !may_pass(batch, i, tables, now)) [[unlikely]] {
            continue;
        }
        tables.hops->prefetch(NeighbourId{session.next_hop[static_cast<size_t>(meta.direction)]});
        if (is_taken_away(meta, session)) {
            batch.drop(i, DropReason::kNoSession);
            continue;
        }
        // Without a session of its own, or without a header of its flow.
        if (meta.session_index == kNoIndex || meta.kind >= PacketKind::kIcmpError) [[unlikely]] {
            let_error_change(meta, tables, now);
            track_little(batch, i, tables);
            continue;
        }
        const uint8_t* tcp =
            meta.kind == PacketKind::kTcp ? batch.ref[i].data + meta.l4_offset : nullptr;
        nat.track(SessionIndex{meta.session_index}, meta.direction, tcp, now);
    }
}

}  // namespace sekisho::dataplane
