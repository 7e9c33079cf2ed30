#include "base/mutation.h"
#include "dataplane/stages.h"

namespace sekisho::dataplane {
namespace {

// Where the translated packet goes; an outbound ICMP error keeps its outer destination.
Ipv4Addr translated_destination(const PacketRef& ref, const PacketMeta& meta) {
    const auto& session = *static_cast<const flow::Session*>(meta.session);
    if (meta.direction == Direction::kInbound) {
        return {session.internal_address};
    }
    const bool is_redirected = (session.flags & flow::kRedirected) != 0;
    return meta.kind == PacketKind::kIcmpError && !is_redirected ? destination_of(ref, meta)
                                                                 : Ipv4Addr{session.remote_address};
}

void judge_size(const PacketRef& ref, PacketMeta& meta, const StageTables& tables) {
    const Ipv4Addr destination = translated_destination(ref, meta);
    if (tables.is_pool(destination)) {
        return;  // the second half of the hairpin will tell
    }
    const HopResult hop = find_hop(
        tables,
        flow::realm_of(*static_cast<const flow::Session*>(meta.session)),
        destination,
        meta.direction
    );
    if (!hop.is_found() || meta.l3_length <= tables.network->link(hop.link()).mtu) {
        return;
    }
    const auto fragment_word =
        Be16{packet::load<uint16_t>(ref.data + meta.l3_offset + packet::offset::kIpFragment)}.host(
        );
    if ((fragment_word & packet::kDontFragment) == 0 && !is_mutated(Mutation::kRfc4787Req13a)) {
        return;  // divide will tell
    }
    // Of those that are exempt, the slow path knows about which no error is owed.
    const bool owed =
        !is_mutated(Mutation::kRfc4787Req13) &&
        (meta.kind < PacketKind::kIcmpError || meta.kind == PacketKind::kUntranslated);
    meta.verdict = owed ? Verdict::kPuntError : Verdict::kDrop;
    meta.reason = DropReason::kTooBig;
    meta.error_detail = tables.network->link(hop.link()).mtu;
}

}  // namespace

void fit(Burst& burst, const StageTables& tables) {
    Batch& batch = burst.batch;
    for (uint32_t i = 0; i < batch.count; ++i) {
        if (batch.meta[i].verdict == Verdict::kPending &&
            batch.meta[i].l3_length > tables.smallest_mtu) {
            judge_size(batch.ref[i], batch.meta[i], tables);
        }
    }
}

}  // namespace sekisho::dataplane
