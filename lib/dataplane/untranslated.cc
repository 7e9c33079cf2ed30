// Packets that pass as they are, since their subscriber's policy exempts the remote endpoint (RFC 6888 REQ-6): routed like
// any other, without a session, whichever side began. They stay on the subscriber's shard, to which steer brings what goes
// to an internal address, too.
#include "base/mutation.h"
#include "dataplane/stages.h"

namespace sekisho::dataplane {

namespace {

// As the subscriber in `realm` sends it whom an inbound packet may be for. Who sends from outside must be reached over a link on
// the external side, or the source is forged.
std::optional<FlowKey> flow_as_sent(const FlowKey& key, RealmId realm, const StageTables& tables) {
    const bool is_possible =
        find_hop(tables, realm, key.destination(), Direction::kInbound).is_found() &&
        find_hop(tables, realm, key.source(), Direction::kOutbound).is_found();
    if (!is_possible) {
        return std::nullopt;
    }
    return FlowKey::of(
        key.destination(),
        key.source(),
        key.destination_port(),
        key.source_port(),
        key.protocol(),
        realm
    );
}

bool is_exempt(const FlowKey& flow, bool by_port, const StageTables& tables) {
    return by_port ? tables.exemptions->covers_by_port(flow)
                   : tables.exemptions->covers(flow) || is_mutated(Mutation::kRfc6888Req11a);
}

// Neither end is ours, nor is the router that sent an ICMP error. (That the error goes to the end that sent what it quotes,
// parse has seen.)
bool is_of_others(const PacketRef& ref, const PacketMeta& meta, const StageTables& tables) {
    const RealmId realm = realm_of(meta);
    return !tables.is_ours(realm, source_of(ref, meta)) &&
           !tables.is_ours(realm, meta.key.source()) &&
           !tables.is_ours(realm, meta.key.destination());
}

}  // namespace

std::optional<FlowKey> exempt_flow(
    const PacketMeta& meta, const StageTables& tables, bool by_port
) {
    if (meta.direction == Direction::kOutbound) {
        return is_exempt(meta.key, by_port, tables) ? std::optional(meta.key) : std::nullopt;
    }
    for (const RealmId realm : tables.network->internal_realms()) {
        const auto flow = flow_as_sent(meta.key, realm, tables);
        if (flow && is_exempt(*flow, by_port, tables)) {
            return flow;
        }
    }
    return std::nullopt;
}

namespace {

// As a packet of this flow, as its subscriber sends it; false: it may not, and nothing has changed.
bool pass_as_is(
    Burst& burst, uint32_t i, const std::optional<FlowKey>& flow, const StageTables& tables
) {
    PacketMeta& meta = burst.batch.meta[i];
    if (flow && meta.direction == Direction::kOutbound &&
        is_forged(flow->realm(), flow->source(), Direction::kOutbound, tables)) {
        return false;
    }
    const bool speaks_as_us = flow && meta.direction == Direction::kInbound &&
                              tables.is_ours(flow->realm(), source_of(burst.batch.ref[i], meta));
    if (!flow || speaks_as_us ||
        !find_hop(tables, flow->realm(), meta.key.destination(), meta.direction).is_found()) {
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

// Whom rules let pass untracked: a subscriber towards whoever is outside, or the other way round.
std::optional<FlowKey> untracked_flow(const PacketMeta& meta, const StageTables& tables) {
    if (meta.direction == Direction::kOutbound) {
        return meta.key;
    }
    for (const RealmId realm : tables.network->internal_realms()) {
        if (const auto flow = flow_as_sent(meta.key, realm, tables)) {
            return flow;
        }
    }
    return std::nullopt;
}

}  // namespace

bool pass_untranslated(Burst& burst, uint32_t i, const StageTables& tables) {
    const PacketMeta& meta = burst.batch.meta[i];
    return is_of_others(burst.batch.ref[i], meta, tables) &&
           pass_as_is(burst, i, exempt_flow(meta, tables), tables);
}

bool pass_untracked(Burst& burst, uint32_t i, const StageTables& tables, Tick now) {
    const PacketRef& ref = burst.batch.ref[i];
    const PacketMeta& meta = burst.batch.meta[i];
    Judge& judge = *tables.judge;
    if (!is_of_others(ref, meta, tables) || (ref.flags & packet::kHairpin) != 0) {
        return false;
    }
    const auto flow = untracked_flow(meta, tables);
    if (!flow) {
        return false;
    }
    if (!begin_asking(burst, i, tables, now)) {
        return true;
    }
    if (judge.ruling().no_track && pass_as_is(burst, i, flow, tables)) {
        (void)ask_of_untracked(burst, i, tables);
        return true;
    }
    const bool is_newcomer =
        meta.direction == Direction::kOutbound && meta.kind < PacketKind::kIcmpError;
    if (!is_newcomer) {
        judge.drop_question();  // what it is else asked, it is asked later
    }
    return false;
}

}  // namespace sekisho::dataplane
