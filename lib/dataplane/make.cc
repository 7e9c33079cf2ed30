#include <cassert>

#include "base/mutation.h"
#include "dataplane/stages.h"

namespace sekisho::dataplane {

void pass_by_session(PacketMeta& meta, SessionIndex index, const StageTables& tables) {
    assert(meta.verdict != Verdict::kKept);  // its buffer has another owner
    meta.verdict = Verdict::kPending;
    meta.session = &tables.nat->session(index);
    meta.session_index = index.value;
}

// Translates packet `i` from a mapping alone; it has no session index, so track leaves it alone.
void pass_by_mapping(Burst& burst, uint32_t i, MappingIndex mapping, const StageTables& tables) {
    PacketMeta& meta = burst.batch.meta[i];
    const FlowKey& key = meta.key;
    burst.scratch[i] =
        meta.direction == Direction::kOutbound
            ? tables.nat->scratch_session(mapping, key.destination(), key.destination_port())
            : tables.nat->scratch_session(mapping, key.source(), key.source_port());
    meta.verdict = Verdict::kPending;
    meta.session = &burst.scratch[i];
    meta.session_index = kNoIndex;
}

void pass_by_static(Burst& burst, uint32_t i, const StageTables& tables) {
    PacketMeta& meta = burst.batch.meta[i];
    const auto scratch = tables.nat->scratch_static(meta.key, meta.direction, meta.kind);
    if (!scratch) {
        return burst.batch.drop(i, DropReason::kStaleOwner);
    }
    burst.scratch[i] = *scratch;
    meta.verdict = Verdict::kPending;
    meta.session = &burst.scratch[i];
    meta.session_index = kNoIndex;
}

namespace {

void drop(PacketMeta& meta, DropReason reason) {
    assert(meta.verdict != Verdict::kKept);
    meta.verdict = Verdict::kDrop;
    meta.reason = reason;
}

// RFC 6888 REQ-11: dropped, and where the policy says so its sender is told.
void refuse(PacketMeta& meta, const nat::MakeResult& refused) {
    drop(meta, refused.reason);
    if (refused.answer != nat::Refusal::kSilent) {
        meta.verdict = Verdict::kPuntError;
        meta.error_detail = static_cast<uint8_t>(refused.answer);
    }
}

// A new session remembers its next hop if that is known: then the route stage need not look again.
void remember_hop(SessionIndex index, const Hop& hop, const StageTables& tables) {
    flow::Session& session = tables.nat->session(index);
    session.next_hop[static_cast<size_t>(Direction::kOutbound)] =
        known_neighbour(tables, hop, Ipv4Addr{session.remote_address}).value;
}

// Nothing inside has the external endpoint that an ICMP error is about; if its block is another shard's now, say so.
DropReason missing(const PacketMeta& meta, const StageTables& tables) {
    const ExternalIndex index = tables.directory->find(meta.key.destination());
    const bool ours =
        index.value == kNoIndex || !tables.directory->is_elsewhere(index, meta.key, tables.self);
    return ours ? DropReason::kIcmpNoSession : DropReason::kStaleOwner;
}

// RFC 5508 REQ-4 and 5: the session of the quoted packet is gone or was never made; its mapping is enough.
void judge_icmp_error(Burst& burst, uint32_t i, const StageTables& tables) {
    PacketMeta& meta = burst.batch.meta[i];
    const FlowKey& key = meta.key;
    const Ipv4Addr outer_destination = destination_of(burst.batch.ref[i], meta);
    const bool is_to_us = tables.network->is_own(realm_of(meta), outer_destination);
    if (is_to_us && !tables.is_pool(outer_destination)) {
        meta.verdict = Verdict::kPuntNeighbour;
        return;
    }
    const bool outbound = meta.direction == Direction::kOutbound;
    if (tables.nat->has_static(key, meta.direction)) {
        return pass_by_static(burst, i, tables);
    }
    const MappingIndex mapping = outbound ? tables.nat->find_mapping_of_outbound(key)
                                          : tables.nat->find_mapping_of_inbound(key);
    if (mapping.value == kNoIndex && is_to_us) {
        meta.verdict = Verdict::kPuntNeighbour;
        return;
    }
    if (mapping.value == kNoIndex) {
        return drop(meta, outbound ? DropReason::kIcmpNoSession : missing(meta, tables));
    }
    pass_by_mapping(burst, i, mapping, tables);
}

// Where a subscriber's new flow goes if destination-nat redirects it. Who asks the appliance itself is answered by it.
std::optional<nat::RemoteEndpoint> target_of(const PacketMeta& meta, const StageTables& tables) {
    const nat::Redirects* const redirects = tables.nat->redirects();
    const bool is_to_us = meta.kind == PacketKind::kIcmpQuery &&
                          tables.network->is_own(realm_of(meta), meta.key.destination());
    return redirects == nullptr || is_to_us ? std::nullopt : redirects->target_of(meta.key);
}

using Newcomer = nat::NatShard::Newcomer;

// Where it goes on to: what rules have said goes before destination-nat.
nat::RemoteEndpoint onward_of(
    const PacketMeta& meta, const Newcomer& newcomer, const StageTables& tables
) {
    const nat::RemoteEndpoint sent_to{meta.key.destination(), meta.key.destination_port()};
    if (tables.nat->redirects() == nullptr) [[likely]] {
        return sent_to;
    }
    return newcomer.target ? *newcomer.target : target_of(meta, tables).value_or(sent_to);
}

// Of a subscriber who is known the answer is known, too. Who has no policy is told so.
bool is_forged_outbound(
    const PacketMeta& meta, const Newcomer& newcomer, const StageTables& tables
) {
    const Ipv4Addr source = meta.key.source();
    const RealmId realm = realm_of(meta);
    const SubscriberIndex found{newcomer.subscriber};
    const bool is_known = newcomer.subscriber != kNoIndex &&
                          tables.nat->subscriber_address(found) == source &&
                          tables.nat->subscriber_realm(found) == realm;
    return !is_known && is_forged(realm, source, Direction::kOutbound, tables) &&
           (tables.is_ours(realm, source) ||
            nat::find_policy(tables.nat->settings(), source, realm) != nat::kNoPolicy);
}

// The rules have been asked where an earlier packet of the burst made its session.
bool pass_by_made(PacketMeta& meta, const StageTables& tables, Tick now) {
    const SessionIndex made = tables.nat->find_made(meta.key, Direction::kOutbound, now);
    if (made.value == kNoIndex) {
        return false;
    }
    tables.judge->drop_question();
    pass_by_session(meta, made, tables);
    return true;
}

// Where a newcomer's way out leads; false: it has none here, and its verdict says so. A pool's address has no hop.
bool find_way_out(
    PacketMeta& meta,
    const Newcomer& newcomer,
    Ipv4Addr destination,
    const StageTables& tables,
    HopResult& hop
) {
    const RealmId realm = realm_of(meta);
    const bool is_pool = tables.is_pool(destination);
    const bool may_be_us = !is_pool || meta.kind == PacketKind::kIcmpQuery;
    if (may_be_us && tables.network->is_own(realm, destination)) {
        drop(meta, DropReason::kToAppliance);
        meta.verdict = newcomer.target ? Verdict::kDrop : Verdict::kPuntNeighbour;
        return false;
    }
    if (is_pool) {
        return true;
    }
    hop = find_hop(tables, realm, destination, Direction::kOutbound);
    if (!hop.is_found()) {
        drop(meta, hop.reason());
        meta.verdict = hop.reason() == DropReason::kNoRoute ? Verdict::kPuntError : Verdict::kDrop;
    }
    return hop.is_found();
}

// NOLINTNEXTLINE(readability-function-size): what was foreseen goes with the packet
void judge_outbound(
    Burst& burst, uint32_t i, Newcomer& newcomer, const StageTables& tables, Tick now
) {
    PacketMeta& meta = burst.batch.meta[i];
    if (is_forged_outbound(meta, newcomer, tables)) {
        return drop(meta, DropReason::kSpoofedSource);
    }
    const bool is_led = tables.judge != nullptr && tables.judge->may_translate();
    if (is_led &&
        (pass_by_made(meta, tables, now) || !lead_destination(burst, i, newcomer, tables, now))) {
        return;
    }
    const nat::RemoteEndpoint onward = onward_of(meta, newcomer, tables);
    HopResult hop = HopResult::none(DropReason::kNoRoute);
    if (!find_way_out(meta, newcomer, onward.address, tables, hop)) {
        return;
    }
    const Ahead ahead{hop.is_found() ? hop.link() : rules::kNoLink, onward};
    if (tables.judge != nullptr && !ask_of_outbound(burst, i, ahead, tables, now)) {
        return;
    }
    if (is_led && !lead_source(meta, newcomer, tables)) {
        return;
    }
    const nat::MakeResult made =
        tables.nat->open_outbound(meta.key, newcomer, meta.kind, meta.tcp_flags, now);
    switch (made.kind) {
        case nat::MakeResult::kMade:
            if (hop.is_found()) {
                remember_hop(made.session, hop.hop(), tables);
            }
            return pass_by_session(meta, made.session, tables);
        case nat::MakeResult::kHold:
            meta.verdict = Verdict::kHold;
            burst.waiting[i] = made.waiting;
            return;
        case nat::MakeResult::kStaticOnly:
            return pass_by_static(burst, i, tables);
        case nat::MakeResult::kRefused:
            if (is_mutated(Mutation::kRfc6888Req11a) &&
                (made.reason == DropReason::kSubscriberPortLimit ||
                 made.reason == DropReason::kPoolExhausted) &&
                pass_untranslated(burst, i, tables)) {
                return;
            }
            return refuse(meta, made);
    }
}

// RFC 5382 REQ-4: nobody inside has asked for it yet.
[[gnu::noinline]] void note_unsolicited_syn(
    const Burst& burst, uint32_t i, DropReason reason, const StageTables& tables, Tick now
) {
    constexpr uint8_t kAll = packet::kSyn | packet::kAck | packet::kRst | packet::kFin;
    const PacketMeta& meta = burst.batch.meta[i];
    const PacketRef& ref = burst.batch.ref[i];
    const bool is_unsolicited = reason == DropReason::kNoMapping || reason == DropReason::kFiltered;
    if (!is_unsolicited || meta.kind != PacketKind::kTcp || ref.fragment != 0 ||
        (meta.tcp_flags & kAll) != packet::kSyn || (ref.flags & packet::kHairpin) != 0) {
        return;
    }
    const ExternalIndex external = tables.directory->find(meta.key.destination());
    if (tables.nat->answers_unsolicited_syns((*tables.directory)[external].pool)) {
        tables.unsolicited_syns->note(ref, meta, now);
    }
}

// A ping that nobody inside gets, from wherever, to an address of a pool that answers. It comes whole, as at own addresses.
bool is_ping_to_pool(const PacketRef& ref, const PacketMeta& meta, const StageTables& tables) {
    const ExternalIndex external = tables.directory->find(meta.key.destination());
    const PoolId pool = (*tables.directory)[external].pool;
    return ref.fragment == 0 && tables.nat->settings().pools[pool.value].answers_pings;
}

// Of an own address that is a pool's too, what no subscriber has is the appliance's to answer: pings, and UDP, so that a
// traceroute ends. TCP waits for its subscriber as at any pool address (RFC 5382 REQ-4).
bool is_for_us(
    const PacketRef& ref, const PacketMeta& meta, DropReason reason, const StageTables& tables
) {
    if (reason != DropReason::kNoMapping && reason != DropReason::kIcmpNoSession) {
        return false;
    }
    const bool is_ping =
        meta.kind == PacketKind::kIcmpQuery && (meta.tcp_flags & packet::kIcmpReply) == 0;
    if (tables.network->is_own(kExternalRealm, meta.key.destination())) {
        const bool is_asked = is_ping || meta.kind == PacketKind::kUdp;
        return is_asked && (ref.flags & packet::kHairpin) == 0;
    }
    return is_ping && is_ping_to_pool(ref, meta, tables);
}

void admit_led(Burst& burst, uint32_t i, const StageTables& tables, Tick now) {
    PacketMeta& meta = burst.batch.meta[i];
    const nat::AdmitResult admitted =
        tables.nat->forward_inbound(meta.key, burst.led_to[i], meta.kind, meta.tcp_flags, now);
    if (admitted.kind == nat::AdmitResult::kRefused) {
        return drop(meta, admitted.reason);
    }
    pass_by_session(meta, admitted.session, tables);
}

void judge_inbound(Burst& burst, uint32_t i, const StageTables& tables, Tick now) {
    PacketMeta& meta = burst.batch.meta[i];
    const bool hairpin = (burst.batch.ref[i].flags & packet::kHairpin) != 0;
    if (!hairpin && is_forged_inbound(meta, tables)) {
        return drop(meta, DropReason::kSpoofedSource);
    }
    if (!tables.is_pool(meta.key.destination())) {
        if (tables.network->is_own(kExternalRealm, meta.key.destination())) {
            meta.verdict = Verdict::kPuntNeighbour;
            return;
        }
        return drop(meta, DropReason::kNotForwarded);
    }
    const bool may_be_led = tables.judge != nullptr || burst.was_led != 0;
    if (may_be_led && !lead_inside(burst, i, tables, now)) {
        return;
    }
    if (tables.judge != nullptr && !ask_of_inbound(burst, i, tables, now)) {
        return;
    }
    if ((burst.is_led >> i & 1) != 0) {
        return admit_led(burst, i, tables, now);
    }
    const nat::AdmitResult admitted =
        tables.nat->admit_inbound(meta.key, meta.kind, meta.tcp_flags, now);
    switch (admitted.kind) {
        case nat::AdmitResult::kSession:
            return pass_by_session(meta, admitted.session, tables);
        case nat::AdmitResult::kMappingOnly:
            return pass_by_mapping(burst, i, admitted.mapping, tables);
        case nat::AdmitResult::kStaticOnly:
            return pass_by_static(burst, i, tables);
        case nat::AdmitResult::kRefused:
            if (is_for_us(burst.batch.ref[i], meta, admitted.reason, tables)) {
                meta.verdict = Verdict::kPuntNeighbour;
                return;
            }
            note_unsolicited_syn(burst, i, admitted.reason, tables, now);
            return drop(meta, admitted.reason);
    }
}

void judge_other(Burst& burst, uint32_t i, const StageTables& tables, Tick now) {
    const PacketKind kind = burst.batch.meta[i].kind;
    if (kind == PacketKind::kIcmpError) {
        judge_icmp_error(burst, i, tables);
    } else if (kind == PacketKind::kLaterFragment) {
        judge_later_fragment(burst, i, tables, now);
    } else {
        judge_inbound(burst, i, tables, now);
    }
}

using Newcomers = std::array<Newcomer, kBurst>;

bool is_newcomer(const PacketMeta& meta) {
    return meta.verdict == Verdict::kMiss && meta.direction == Direction::kOutbound &&
           meta.kind < PacketKind::kIcmpError;
}

// Passes over the misses before any is judged: a new flow needs half a dozen lines that are not in the cache, each known only
// from the last.
void foresee(const Batch& batch, const StageTables& tables, Newcomers& newcomers) {
    const nat::NatShard& nat = *tables.nat;
    for (uint32_t i = 0; i < batch.count; ++i) {
        const PacketMeta& meta = batch.meta[i];
        if (is_newcomer(meta)) {
            newcomers[i] = nat.foresee(meta.key, meta.hash);
        } else if (meta.verdict == Verdict::kMiss) {
            nat.foresee_inbound(meta.key);
        }
    }
    for (uint32_t i = 0; i < batch.count; ++i) {
        if (is_newcomer(batch.meta[i])) {
            nat.foresee_subscriber(newcomers[i]);
        }
    }
    for (uint32_t i = 0; i < batch.count; ++i) {
        if (is_newcomer(batch.meta[i])) {
            nat.foresee_port(newcomers[i], batch.meta[i].key.protocol());
        }
    }
}

// STYLE 9: a session that an index has not taken is a bug. Its packets are dropped, and it ends.
[[gnu::cold]] [[gnu::noinline]] void end_unindexed(
    Batch& batch, const StageTables& tables, Tick now
) {
    std::array<bool, kBurst> lost{};
    for (uint32_t i = 0; i < batch.count; ++i) {
        const PacketMeta& meta = batch.meta[i];
        lost[i] = meta.verdict == Verdict::kPending && meta.session_index != kNoIndex &&
                  !tables.nat->is_indexed({meta.session_index});
    }
    for (uint32_t i = 0; i < batch.count; ++i) {
        if (lost[i]) {
            drop(batch.meta[i], DropReason::kBug);
            tables.nat->clear_session({batch.meta[i].session_index}, now);
        }
    }
}

}  // namespace

namespace {

// A fragment whose datagram is put together, as its payload is to be searched.
bool is_searched_whole(Burst& burst, uint32_t i, const StageTables& tables, Tick now) {
    PacketRef& ref = burst.batch.ref[i];
    return (ref.fragment & packet::kLaterFragment) != 0 && tables.scanned != nullptr &&
           tables.scanned->take_fragment(ref, burst.batch.meta[i], now);
}

// What passes without a session of its own, or goes elsewhere. True: there is no more to do.
bool is_done_with(Burst& burst, uint32_t i, const StageTables& tables, Tick now) {
    const PacketMeta& meta = burst.batch.meta[i];
    if (follow_inside(burst, i, tables)) {
        return true;
    }
    const bool may_be_exempt =
        tables.exemptions->are_any() && (!is_newcomer(meta) || !target_of(meta, tables));
    if (may_be_exempt && pass_untranslated(burst, i, tables)) {
        ++burst.untranslated;
        return true;
    }
    const bool may_be_untracked = tables.judge != nullptr && tables.judge->may_untrack();
    if (!may_be_untracked || !pass_untracked(burst, i, tables, now)) {
        return false;
    }
    burst.untranslated += meta.verdict == Verdict::kPending ? 1 : 0;
    return true;
}

}  // namespace

void make(Burst& burst, const StageTables& tables, Tick now) {
    Batch& batch = burst.batch;
    const uint64_t failed = tables.nat->failed_inserts();
    burst.untranslated = 0;
    Newcomers newcomers;
    foresee(batch, tables, newcomers);
    for (uint32_t i = 0; i < batch.count; ++i) {
        const PacketMeta& meta = batch.meta[i];
        if (meta.verdict != Verdict::kMiss) {
            continue;
        }
        const bool is_done =
            is_searched_whole(burst, i, tables, now) || is_done_with(burst, i, tables, now);
        if (is_done) {
            // Its verdict is there.
        } else if (is_newcomer(meta)) {
            judge_outbound(burst, i, newcomers[i], tables, now);
        } else {
            tables.nat->settle();
            judge_other(burst, i, tables, now);
        }
        if (tables.judge != nullptr && tables.judge->is_asking()) {
            finish_asking(burst, i, tables);
        }
    }
    if (burst.was_led != 0) [[unlikely]] {
        give_up_led(burst, tables);
    }
    tables.nat->settle();
    if (tables.nat->failed_inserts() != failed) [[unlikely]] {
        end_unindexed(batch, tables, now);
    }
}

}  // namespace sekisho::dataplane
