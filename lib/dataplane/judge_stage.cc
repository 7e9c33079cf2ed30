// Where the rules are asked: about misses before anything is made of them, about all others behind make. How, is in judge_ask.cc; the nat
// hooks are asked in translate.cc.
#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>

#include "dataplane/judge_ask.h"
#include "nat/tcp_state.h"
#include "packet/checksum.h"

namespace sekisho::dataplane {
namespace {

using rules::ConnectionState;
using rules::FragmentKind;
using rules::Hook;
using rules::RulePacket;

// What is to be asked of its payload is asked of this packet. False: its verdict is there, as its stream wants it.
bool take_up(
    Burst& burst, uint32_t i, const flow::Session* session, const StageTables& tables, Tick now
) {
    if (tables.scanned == nullptr) [[likely]] {
        return true;
    }
    PacketRef& ref = burst.batch.ref[i];
    PacketMeta& meta = burst.batch.meta[i];
    if ((ref.fragment & packet::kLaterFragment) != 0 &&
        tables.scanned->take_fragment(ref, meta, now)) {
        return false;
    }
    const bool is_miss = meta.verdict == Verdict::kMiss && packet::is_usual(meta.kind);
    tables.scanned->take_up({&ref, &meta, session, is_miss, now});
    return tables.scanned->scan_known();
}

// Whether a packet has a session that can keep what the rules say of it: all its packets show the same ports, and none a kind
// of message.
bool is_kept(const PacketRef& ref, const PacketMeta& meta) {
    if (meta.kind == PacketKind::kTcp || meta.kind == PacketKind::kUdp) [[likely]] {
        return meta.session_index != kNoIndex;
    }
    const Protocol protocol = meta.key.protocol();
    const bool is_tunnel = protocol == Protocol::kGre || protocol == Protocol::kEsp;
    return meta.session_index != kNoIndex && meta.kind == PacketKind::kAddressOnly && is_tunnel &&
           ref.fragment == 0;
}

flow::Session& session_of(const PacketMeta& meta) {
    return *static_cast<flow::Session*>(meta.session);
}

rules::VaryingFields fields_of(const PacketRef& ref, const PacketMeta& meta) {
    const bool is_tcp = meta.kind == PacketKind::kTcp;
    return rules::VaryingFields(rules::VaryingFields::Parts{
        .tcp_flags = is_tcp ? meta.tcp_flags : uint8_t{0},
        .tos = ref.data[meta.l3_offset + packet::offset::kIpTos],
        .ttl = meta.ttl,
        .fragment = fragment_of(ref),
        .length = meta.l3_length,
        .has_tcp = is_tcp});
}

// No packet of it has passed yet.
bool is_unused(const flow::Session& session) {
    return (session.flags & (flow::kSeenInbound | flow::kSeenOutbound)) == 0;
}

FateTag tag_of(const PacketRef& ref, const PacketMeta& meta) {
    return fate_tag(ref.in_link, session_of(meta).flags, meta.direction);
}

// Whether all packets of the session are to be looked at, once the rules were asked about one.
bool is_still_scanned(const PacketMeta& meta, bool has_passed, const StageTables& tables) {
    if (tables.scanned == nullptr) {
        return false;
    }
    const bool has_met_payload = tables.judge->has_met_payload();
    if (has_passed || has_met_payload) {  // else nobody knows what chains behind would ask
        tables.scanned->note_asked(has_met_payload);
    }
    return tables.scanned->needs_all({meta.session_index});
}

[[gnu::noinline]] void judge_anew(Burst& burst, uint32_t i, const StageTables& tables, Tick now) {
    PacketMeta& meta = burst.batch.meta[i];
    const PacketRef& ref = burst.batch.ref[i];
    Judge& judge = *tables.judge;
    flow::Session& session = session_of(meta);
    const bool is_for_session = is_kept(ref, meta);
    const bool is_part = meta.kind == PacketKind::kLaterFragment && meta.session_index != kNoIndex;
    if (!take_up(burst, i, is_for_session || is_part ? &session : nullptr, tables, now)) {
        return;
    }
    const bool has_passed = ask_all(burst, i, state_of(meta), tables, now);
    if (judge.is_stopped()) [[unlikely]] {
        return judge.drop_question();
    }
    // An ICMP error is no packet of the session that goes on.
    const bool is_excused = meta.kind != PacketKind::kIcmpError && meta.session_index != kNoIndex &&
                            judge.is_excused(session);
    const bool is_denied = judge.ruling().answer != Ruling::kPass && judge.is_fixed();
    if (is_excused && is_denied) {
        judge.excuse();
    }
    if (!is_for_session) {
        judge.end(meta.l3_length);
        return obey(burst, i, judge.ruling());
    }
    // Only the subscriber's own packets end it: anybody outside may send what the rules forbid.
    const bool is_forbidden =
        is_denied && !is_excused && !judge.knows(session) && meta.direction == Direction::kOutbound;
    const bool is_scanned = is_still_scanned(meta, has_passed, tables);
    const Judge::Of of{
        meta.direction, tag_of(ref, meta), fields_of(ref, meta), is_excused, is_scanned};
    judge.keep(session, of, meta.l3_length);
    obey(burst, i, judge.ruling());
    burst.forbidden |= is_forbidden ? uint32_t{1} << i : 0;
}

// What is kept of its flow, but for counting it, or nothing.
[[gnu::noinline]] void judge_slowly(
    Burst& burst, uint32_t i, const Judge::Known& packet, const StageTables& tables, Tick now
) {
    const PacketMeta& meta = burst.batch.meta[i];
    const Ruling* known = tables.judge->find(session_of(meta), meta.direction, packet);
    if (known == nullptr) {
        return judge_anew(burst, i, tables, now);
    }
    obey(burst, i, *known);
}

// Whether what lies outside of its connection's window ends here, unless a rule ends it before.
bool drops_out_of_window(const PacketMeta& meta, const StageTables& tables) {
    const auto& policies = tables.nat->settings().policies;
    const uint32_t number = tables.nat->mapping({session_of(meta).mapping}).policy;
    return policies[number % policies.size()].tcp_window == nat::WindowPolicy::kDrop;
}

// What is dropped is no part of its stream, nor does it stop anything that waits for it.
bool take_up_out_of_window(Burst& burst, uint32_t i, const StageTables& tables, Tick now) {
    if (tables.scanned == nullptr || drops_out_of_window(burst.batch.meta[i], tables)) {
        return true;
    }
    PacketRef& ref = burst.batch.ref[i];
    PacketMeta& meta = burst.batch.meta[i];
    tables.scanned->take_up({&ref, &meta, &session_of(meta), false, now, true});
    return tables.scanned->scan_known();
}

// Outside of its connection's window: what is said of it is no word about its flow, and no session goes on with it.
[[gnu::cold]] [[gnu::noinline]] void judge_out_of_window(
    Burst& burst, uint32_t i, const StageTables& tables, Tick now
) {
    const PacketMeta& meta = burst.batch.meta[i];
    Judge& judge = *tables.judge;
    if (!take_up_out_of_window(burst, i, tables, now)) {
        return;
    }
    ask_all(burst, i, ConnectionState::kInvalid, tables, now);
    if (judge.is_stopped()) [[unlikely]] {
        return judge.drop_question();
    }
    judge.end(meta.l3_length);
    obey(burst, i, judge.ruling());
}

// A connection begins anew where one has ended: what is kept of that one's packets is no word about it, nor the other way round.
[[gnu::cold]] [[gnu::noinline]] void judge_reopening(
    Burst& burst, uint32_t i, const StageTables& tables, Tick now
) {
    Judge& judge = *tables.judge;
    if (!take_up(burst, i, &session_of(burst.batch.meta[i]), tables, now)) {
        return;
    }
    ask_all(burst, i, ConnectionState::kNew, tables, now);
    if (judge.is_stopped()) [[unlikely]] {
        return judge.drop_question();
    }
    judge.end(burst.batch.meta[i].l3_length);
    obey(burst, i, judge.ruling());
}

bool reopens(const PacketMeta& meta) {
    return meta.kind == PacketKind::kTcp && (meta.tcp_flags & nat::kOpeningFlags) == packet::kSyn &&
           meta.session_index != kNoIndex && nat::is_tcp_closed(session_of(meta).state);
}

bool is_out_of_window(const Burst& burst, uint32_t i, const StageTables& tables) {
    const PacketMeta& meta = burst.batch.meta[i];
    const PacketRef& ref = burst.batch.ref[i];
    return !tables.nat->is_in_window(
        {meta.session_index}, meta.direction, ref.data + meta.l4_offset, tcp_data_of(ref, meta)
    );
}

// To the appliance itself.
[[gnu::noinline]] void judge_to_us(Burst& burst, uint32_t i, const StageTables& tables, Tick now) {
    const PacketMeta& meta = burst.batch.meta[i];
    const PacketRef& ref = burst.batch.ref[i];
    Judge& judge = *tables.judge;
    if (!judge.has(kArrival | mask_of(Hook::kLocalIn))) {
        return;
    }
    if (!take_up(burst, i, nullptr, tables, now)) {
        return;
    }
    begin_question(burst, i, tables, now);
    if ((is_second_half(ref) || ask_arrival(judge)) && judge.ask(Hook::kLocalIn)) {
        judge.end(meta.l3_length);
        return;
    }
    if (judge.is_stopped()) [[unlikely]] {
        return judge.drop_question();
    }
    judge.end(meta.l3_length);
    obey(burst, i, judge.ruling());
}

// What is for us, what has no session to keep anything, and what was judged or has ended already.
[[gnu::noinline]] void judge_unusual(
    Burst& burst, uint32_t i, const StageTables& tables, Tick now
) {
    const PacketMeta& meta = burst.batch.meta[i];
    if (meta.verdict == Verdict::kPuntNeighbour && meta.kind != PacketKind::kArp) {
        judge_to_us(burst, i, tables, now);
    } else if (meta.verdict == Verdict::kPending && (burst.judged >> i & 1) == 0) {
        judge_anew(burst, i, tables, now);
    }
}

// As whose an inbound packet would pass, if it does: so that nothing is made of what the rules forbid.
std::optional<flow::Session> likely_session(
    const Burst& burst, uint32_t i, const StageTables& tables
) {
    const PacketMeta& meta = burst.batch.meta[i];
    if ((burst.is_led >> i & 1) != 0) {
        return tables.nat->scratch_forwarded(meta.key, burst.led_to[i]);
    }
    if (tables.nat->has_static(meta.key, Direction::kInbound)) {
        return tables.nat->scratch_static(meta.key, Direction::kInbound, meta.kind);
    }
    const MappingIndex mapping = tables.nat->find_mapping_of_inbound(meta.key);
    return mapping.value == kNoIndex ? std::nullopt
                                     : std::optional(tables.nat->scratch_session(
                                           mapping, meta.key.source(), meta.key.source_port()
                                       ));
}

bool ask_of_likely(Burst& burst, uint32_t i, const StageTables& tables) {
    PacketMeta& meta = burst.batch.meta[i];
    std::optional<flow::Session> session = likely_session(burst, i, tables);
    if (!session) {
        return true;
    }
    meta.session = &*session;
    meta.session_index = kNoIndex;
    const bool passes =
        ask_forward(burst.batch.ref[i], meta, tables) && ask_departure(meta, tables);
    tables.judge->note_all_asked();
    meta.session = nullptr;
    return passes;
}

// The packet ends here.
bool forbid(Burst& burst, uint32_t i, const StageTables& tables) {
    if (tables.judge->is_stopped()) [[unlikely]] {
        tables.judge->drop_question();
        return false;
    }
    tables.judge->end(burst.batch.meta[i].l3_length);
    obey(burst, i, tables.judge->ruling());
    return false;
}

// A query from outside and its reply have no session: of a static mapping either passes, and inbound what is for any mapping.
bool may_be_answer(const PacketMeta& meta, const StageTables& tables) {
    return meta.kind == PacketKind::kIcmpQuery &&
           (tables.nat->has_static(meta.key, meta.direction) ||
            (meta.direction == Direction::kInbound &&
             tables.nat->find_mapping_of_inbound(meta.key).value != kNoIndex));
}

// Of what has no session, nor gets one that an earlier packet of the burst has made.
ConnectionState state_of_miss(const PacketMeta& meta, const StageTables& tables, Tick now) {
    const bool may_be_new = !packet::is_usual(meta.kind) ||
                            tables.nat->may_open(meta.key, meta.kind, meta.tcp_flags) ||
                            may_be_answer(meta, tables) ||
                            tables.nat->find_made(meta.key, meta.direction, now).value != kNoIndex;
    return may_be_new ? ConnectionState::kNew : ConnectionState::kInvalid;
}

}  // namespace

bool begin_asking(Burst& burst, uint32_t i, const StageTables& tables, Tick now) {
    Judge& judge = *tables.judge;
    if (judge.is_asking()) {
        return true;
    }
    const PacketRef& ref = burst.batch.ref[i];
    const ConnectionState state = state_of_miss(burst.batch.meta[i], tables, now);
    if (!take_up(burst, i, nullptr, tables, now)) {
        return false;
    }
    begin_question(burst, i, tables, now);
    // While it may still become untracked, nobody knows.
    judge.packet().state = judge.may_untrack() ? ConnectionState::kNew : state;
    const bool may_pass = is_second_half(ref) || ask_arrival(judge);
    judge.packet().state = state;
    return may_pass || forbid(burst, i, tables);
}

bool ask_of_outbound(
    Burst& burst, uint32_t i, const Ahead& ahead, const StageTables& tables, Tick now
) {
    const PacketMeta& meta = burst.batch.meta[i];
    Judge& judge = *tables.judge;
    if (!begin_asking(burst, i, tables, now)) {
        return false;
    }
    RulePacket& packet = judge.packet();
    packet.out_link = ahead.out_link;
    packet.destination = ahead.destination.address;
    if (packet.has_ports() && packet::is_usual(meta.kind)) {
        packet.destination_port = ahead.destination.port;
    }
    return judge.ask(Hook::kForward) || forbid(burst, i, tables);
}

bool ask_of_inbound(Burst& burst, uint32_t i, const StageTables& tables, Tick now) {
    return begin_asking(burst, i, tables, now) &&
           (ask_of_likely(burst, i, tables) || forbid(burst, i, tables));
}

bool ask_of_untracked(Burst& burst, uint32_t i, const StageTables& tables) {
    const PacketRef& ref = burst.batch.ref[i];
    const PacketMeta& meta = burst.batch.meta[i];
    tables.judge->packet().state = ConnectionState::kUntracked;
    const bool passes = ask_forward(ref, meta, tables) && ask_departure(meta, tables);
    tables.judge->note_all_asked();
    return passes || forbid(burst, i, tables);
}

void finish_asking(Burst& burst, uint32_t i, const StageTables& tables) {
    const PacketMeta& meta = burst.batch.meta[i];
    const PacketRef& ref = burst.batch.ref[i];
    Judge& judge = *tables.judge;
    const bool is_forged =
        meta.verdict == Verdict::kDrop && meta.reason == DropReason::kSpoofedSource;
    if (meta.verdict == Verdict::kHold || meta.verdict == Verdict::kPuntNeighbour || is_forged) {
        return judge.drop_question();  // it is asked about again: when it goes on, or as one for us
    }
    if (meta.verdict != Verdict::kPending) {
        return judge.end(meta.l3_length);
    }
    const bool has_session = is_kept(ref, meta);
    if (tables.scanned != nullptr && has_session &&
        tables.scanned->is_scanned({meta.session_index})) {
        return judge.drop_question();  // its turn comes among the packets of its session
    }
    burst.judged |= uint32_t{1} << i;
    const bool is_forwarded = judge.are_all_asked() || meta.direction == Direction::kOutbound ||
                              ask_forward(ref, meta, tables);
    if (is_forwarded && !judge.are_all_asked()) {
        ask_departure(meta, tables);
    }
    if (judge.is_stopped()) [[unlikely]] {
        burst.made_in_vain |= has_session && is_unused(session_of(meta)) ? uint32_t{1} << i : 0;
        return judge.drop_question();
    }
    if (!has_session) {
        judge.end(meta.l3_length);
        return obey(burst, i, judge.ruling());
    }
    flow::Session& session = session_of(meta);
    bool is_scanned = false;
    if (tables.scanned != nullptr) {
        tables.scanned->keep_for({meta.session_index});
        is_scanned = tables.scanned->needs_all({meta.session_index});
    }
    const bool is_new = is_unused(session);
    const Judge::Of of{meta.direction, tag_of(ref, meta), fields_of(ref, meta), false, is_scanned};
    judge.keep(session, of, meta.l3_length);
    obey(burst, i, judge.ruling());
    const bool is_in_vain = is_new && judge.ruling().answer != Ruling::kPass;
    burst.made_in_vain |= is_in_vain ? uint32_t{1} << i : 0;
}

namespace {

// Whether something may be kept of its session. (Of a scratch one nothing is: it has no verdict.)
bool may_be_known(const PacketRef& ref, const PacketMeta& meta) {
    return meta.verdict == Verdict::kPending &&
           (meta.kind == PacketKind::kTcp || meta.kind == PacketKind::kUdp || is_kept(ref, meta));
}

// Of TCP or UDP, no SYN, and pending: a word of the packet's, and no branch for each of it.
bool is_of_flow(const PacketMeta& meta) {
    static_assert(static_cast<unsigned>(Verdict::kPending) == 0);
    static_assert(
        static_cast<unsigned>(PacketKind::kUdp) == static_cast<unsigned>(PacketKind::kTcp) + 1
    );
    constexpr size_t kWord = offsetof(PacketMeta, verdict);
    constexpr size_t kKind = 8 * (offsetof(PacketMeta, kind) - kWord);
    constexpr size_t kFlags = 8 * (offsetof(PacketMeta, tcp_flags) - kWord);
    static_assert(std::endian::native == std::endian::little && kFlags < 64 && kWord % 8 == 0);
    uint64_t word;
    std::memcpy(&word, reinterpret_cast<const uint8_t*>(&meta) + kWord, sizeof(word));
    word -= static_cast<uint64_t>(PacketKind::kTcp) << kKind;
    return (word & (uint64_t{0xff} | uint64_t{0xfe} << kKind | uint64_t{packet::kSyn} << kFlags)) ==
           0;
}

// Counts the packets that fare as their flow's others did, which is nearly all; returns the others.
template <bool some_are_judged>
[[gnu::always_inline]] inline uint32_t pass_known(const Burst& burst, Judge& judge) {
    const Batch& batch = burst.batch;
    const PacketMeta* meta = batch.meta.data();
    const PacketMeta* const end = meta + batch.count;
    const PacketRef* ref = batch.ref.data();
    Judge::Passing passing(judge);
    uint32_t others = 0;
    for (uint32_t bit = 1; meta != end; ++meta, ++ref, bit <<= 1) {
        const bool may_pass = is_of_flow(*meta) && !(some_are_judged && (burst.judged & bit) != 0);
        if (!may_pass || !passing.pass(*meta, session_of(*meta), ref->in_link)) [[unlikely]] {
            others |= bit;
        }
    }
    return others;
}

// Another packet may have been the first of its flow just now.
[[gnu::always_inline]] inline void judge_other(
    Burst& burst, uint32_t i, Judge::Passing& passing, const StageTables& tables, Tick now
) {
    const PacketMeta& meta = burst.batch.meta[i];
    const PacketRef& ref = burst.batch.ref[i];
    if ((burst.judged >> i & 1) != 0 || !may_be_known(ref, meta)) [[unlikely]] {
        return judge_unusual(burst, i, tables, now);
    }
    const flow::Session& session = session_of(meta);
    const bool has_window = (session.flags & flow::kTrackWindow) != 0;
    if (has_window && is_out_of_window(burst, i, tables)) [[unlikely]] {
        return judge_out_of_window(burst, i, tables, now);
    }
    if ((meta.tcp_flags & packet::kSyn) != 0 && reopens(meta)) [[unlikely]] {
        return judge_reopening(burst, i, tables, now);
    }
    const Judge::Known packet{tag_of(ref, meta), meta.l3_length, fields_of(ref, meta)};
    rules::PacketCount* const at = tables.judge->passes(session, meta.direction, packet);
    if (at == nullptr) [[unlikely]] {
        return judge_slowly(burst, i, packet, tables, now);
    }
    passing.count(*at, packet.bytes);
}

// Those that pass_known() has left.
[[gnu::noinline]] void judge_others(
    Burst& burst, uint32_t others, const StageTables& tables, Tick now
) {
    Judge::Passing passing(*tables.judge);
    for (; others != 0; others &= others - 1) {
        judge_other(burst, static_cast<uint32_t>(std::countr_zero(others)), passing, tables, now);
    }
}

}  // namespace

void judge(Burst& burst, const StageTables& tables, Tick now) {
    const uint32_t others = burst.judged == 0 ? pass_known<false>(burst, *tables.judge)
                                              : pass_known<true>(burst, *tables.judge);
    if (others != 0) {
        judge_others(burst, others, tables, now);
    }
    if ((burst.forbidden | burst.made_in_vain) != 0) [[unlikely]] {
        end_forbidden(burst, tables, now);
    }
}

// What waited for a neighbour was asked about before it was translated.
void judge_own(Burst& burst, const StageTables& tables, Tick now) {
    Batch& batch = burst.batch;
    Judge& judge = *tables.judge;
    for (uint32_t i = 0; i < batch.count; ++i) {
        const PacketMeta& meta = batch.meta[i];
        if (meta.verdict != Verdict::kTransmit || (batch.ref[i].flags & packet::kGenerated) == 0) {
            continue;
        }
        begin_question(burst, i, tables, now);
        judge.packet().in_link = rules::kNoLink;
        judge.packet().out_link = meta.out_link;
        const bool passes = judge.ask(Hook::kLocalOut) && judge.ask(Hook::kEgress);
        judge.ask(Hook::kAccounting);
        judge.end(meta.l3_length);
        if (!passes) {
            batch.drop(i, DropReason::kDeniedByRule);
        } else {
            obey(burst, i, judge.ruling());
        }
    }
}

}  // namespace sekisho::dataplane
