// Packets that pass as they are, since their subscriber's policy exempts the remote endpoint (RFC 6888 REQ-6): routed like
// any other, without a session, whichever side began. They stay on the subscriber's shard, to which steer brings what goes
// to an internal address, too.
#include "base/mutation.h"
#include "dataplane/stages.h"

namespace sekisho::dataplane {

// Who sends from outside must be reached over a link on the external side, or the source is forged.
std::optional<FlowKey> flow_as_sent(const PacketMeta& meta, const StageTables& tables) {
    const FlowKey& key = meta.key;
    if (meta.direction == Direction::kOutbound) {
        return key;
    }
    const HopResult inward = find_hop(tables, key.destination(), Direction::kInbound);
    if (!inward.is_found() || !find_hop(tables, key.source(), Direction::kOutbound).is_found()) {
        return std::nullopt;
    }
    return FlowKey::of(
        key.destination(),
        key.source(),
        key.destination_port(),
        key.source_port(),
        key.protocol(),
        tables.network->link(inward.link()).realm
    );
}

namespace {

// Neither end is ours, nor is the router that sent an ICMP error. (That the error goes to the end that sent what it quotes,
// parse has seen.)
bool is_of_others(const PacketRef& ref, const PacketMeta& meta, const StageTables& tables) {
    return !tables.is_ours(source_of(ref, meta)) && !tables.is_ours(meta.key.source()) &&
           !tables.is_ours(meta.key.destination());
}

}  // namespace

bool pass_untranslated(Burst& burst, uint32_t i, const StageTables& tables) {
    PacketMeta& meta = burst.batch.meta[i];
    if (!is_of_others(burst.batch.ref[i], meta, tables)) {
        return false;
    }
    const auto flow = flow_as_sent(meta, tables);
    if (!flow || (!tables.exemptions->covers(*flow) && !is_mutated(Mutation::kRfc6888Req11a))) {
        return false;
    }
    if (!find_hop(tables, meta.key.destination(), meta.direction).is_found()) {
        return false;
    }
    flow::Session& scratch = burst.scratch[i];
    scratch = {};
    scratch.internal_address = flow->source().raw;
    scratch.external_address = flow->source().raw;
    scratch.remote_address = flow->destination().raw;
    scratch.protocol = static_cast<uint8_t>(flow->protocol());
    scratch.realm = flow->realm().value;
    scratch.mapping = kNoIndex;
    scratch.flags = flow::kLive;
    meta.verdict = Verdict::kPending;
    meta.kind = PacketKind::kUntranslated;
    meta.session = &scratch;
    meta.session_index = kNoIndex;
    return true;
}

}  // namespace sekisho::dataplane
