// Where the rules are asked: about misses before anything is made of them, about all others behind make.
//
//   Views     ingress sees a packet as it arrived; forward between the two translations: the subscriber with its internal
//             endpoint, the other end as it is; egress as it departs. The two halves of a hairpin are two packets: the first is asked at ingress and
//             forward, without a departing link, the second at forward and egress.
//   Order     accounting, ingress, (nat-destination), forward, (nat-source), egress, accounting; or accounting, ingress, local-in. The
//             nat hooks are asked in translate.cc.
#include <algorithm>
#include <bit>

#include "dataplane/stages.h"
#include "packet/checksum.h"

namespace sekisho::dataplane {
namespace {

using rules::ConnectionState;
using rules::FragmentKind;
using rules::Hook;
using rules::RulePacket;

constexpr rules::HookMask kArrival = mask_of(Hook::kAccounting) | mask_of(Hook::kIngress);
constexpr rules::HookMask kDeparture = mask_of(Hook::kAccounting) | mask_of(Hook::kEgress);

FragmentKind fragment_of(const PacketRef& ref) {
    if ((ref.fragment & packet::kFragment) == 0) {
        return FragmentKind::kWhole;
    }
    return (ref.fragment & packet::kLaterFragment) != 0 ? FragmentKind::kLater
                                                        : FragmentKind::kFirst;
}

// The first bytes of the transport header, as far as there are any.
void read_transport(RulePacket& packet, const uint8_t* l4, size_t room) {
    if (packet.has_ports() && room >= 4) {
        packet.source_port = {packet::load<uint16_t>(l4)};
        packet.destination_port = {packet::load<uint16_t>(l4 + 2)};
    }
    if (packet.has_icmp() && room >= 2) {
        packet.icmp_type = l4[0];
        packet.icmp_code = l4[1];
    }
    if (packet.has_tcp() && room > packet::offset::kTcpFlags) {
        packet.tcp_flags = l4[packet::offset::kTcpFlags];
    }
}

// As the bytes of the packet show it now.
RulePacket packet_of(const PacketRef& ref, const PacketMeta& meta, const Judge& judge, Tick now) {
    const uint8_t* const ip = ref.data + meta.l3_offset;
    RulePacket packet;
    packet.source = source_of(ref, meta);
    packet.destination = destination_of(ref, meta);
    packet.protocol = ip[packet::offset::kIpProtocol];
    packet.fragment = fragment_of(ref);
    packet.in_link = ref.in_link;
    packet.tos = ip[packet::offset::kIpTos];
    packet.ttl = meta.ttl;
    packet.length = meta.l3_length;
    packet.realm = realm_of(meta);
    if (meta.direction == Direction::kOutbound) {
        packet.group = judge.group_of(packet.realm, packet.source);
    }
    packet.now = now;
    packet.time = judge.clock() != nullptr ? judge.clock()->at(now) : rules::TimeOfWeek{};
    const size_t header = static_cast<size_t>(ip[0] & 0x0f) * 4;
    const size_t length = std::min<size_t>(meta.l3_length, size_t{ref.length} - meta.l3_offset);
    read_transport(packet, ip + header, length > header ? length - header : 0);
    return packet;
}

// What is turned round shows no more how it arrived.
void begin(const Burst& burst, uint32_t i, const StageTables& tables, Tick now) {
    const PacketRef& ref = burst.batch.ref[i];
    const PacketMeta& meta = burst.batch.meta[i];
    Judge& judge = *tables.judge;
    const bool has_arrived = (ref.flags & (packet::kGenerated | packet::kHairpin)) == 0;
    const auto length = std::min<size_t>(meta.l3_length, size_t{ref.length} - meta.l3_offset);
    const PacketBytes bytes{
        .ip = ref.data + meta.l3_offset,
        .length = static_cast<uint16_t>(length),
        .ethernet = has_arrived ? ref.data : nullptr};
    const bool may_search = tables.scanned != nullptr && tables.scanned->is_about(ref);
    PayloadFinder* const finder = may_search ? tables.scanned : nullptr;
    judge.begin(packet_of(ref, meta, judge, now), bytes, finder);
}

bool is_second_half(const PacketRef& ref) {
    return (ref.flags & packet::kHairpin) != 0;
}

bool is_answered(const flow::Session& session, Direction direction) {
    const uint16_t by_the_other =
        direction == Direction::kOutbound ? flow::kSeenInbound : flow::kSeenOutbound;
    return (session.flags & by_the_other) != 0;
}

ConnectionState state_of(const PacketMeta& meta) {
    if (meta.kind == PacketKind::kIcmpError) {
        return ConnectionState::kRelated;
    }
    const auto& session = *static_cast<const flow::Session*>(meta.session);
    const bool is_kept = meta.session_index != kNoIndex;
    return is_kept && is_answered(session, meta.direction) ? ConnectionState::kEstablished
                                                           : ConnectionState::kNew;
}

LinkId out_link_of(const PacketRef& ref, const PacketMeta& meta, const StageTables& tables) {
    const auto& session = *static_cast<const flow::Session*>(meta.session);
    const bool outbound = meta.direction == Direction::kOutbound;
    if (outbound && (session.flags & flow::kSessionHairpin) != 0) {
        return rules::kNoLink;
    }
    Ipv4Addr destination{outbound ? session.remote_address : session.internal_address};
    if (meta.kind == PacketKind::kIcmpError && outbound) {
        destination = destination_of(ref, meta);
    }
    const HopResult hop = find_hop(tables, flow::realm_of(session), destination, meta.direction);
    return hop.is_found() ? hop.link() : rules::kNoLink;
}

// To what it is between the translations. An ICMP error shows the session of what it quotes, and ports only in there.
void show_forward(Judge& judge, const PacketMeta& meta) {
    RulePacket& packet = judge.packet();
    const auto& session = *static_cast<const flow::Session*>(meta.session);
    const bool has_ports = packet.has_ports() && packet::is_usual(meta.kind);
    packet.realm = flow::realm_of(session);
    packet.group = judge.group_of(packet.realm, {session.internal_address});
    if (meta.direction == Direction::kInbound) {
        packet.destination = {session.internal_address};
        packet.destination_port = has_ports ? Port{session.internal_port} : packet.destination_port;
        return;
    }
    if (meta.kind != PacketKind::kIcmpError) {
        packet.destination = {session.remote_address};
        packet.destination_port = has_ports ? Port{session.remote_port} : packet.destination_port;
    }
}

void show_departure(RulePacket& packet, const PacketMeta& meta, const StageTables& tables) {
    const auto& session = *static_cast<const flow::Session*>(meta.session);
    const bool has_ports = packet.has_ports() && packet::is_usual(meta.kind);
    if (meta.direction == Direction::kOutbound) {
        packet.source = {session.external_address};
        packet.source_port = has_ports ? Port{session.external_port} : packet.source_port;
        return;
    }
    if ((session.flags & flow::kRedirected) != 0 && meta.kind != PacketKind::kIcmpError) {
        const auto& original = tables.nat->original_of(meta.session_index);
        packet.source = {original.address};
        packet.source_port = has_ports ? Port{original.port} : packet.source_port;
    }
}

bool ask_forward(const PacketRef& ref, const PacketMeta& meta, const StageTables& tables) {
    Judge& judge = *tables.judge;
    if (!judge.has(mask_of(Hook::kForward) | kDeparture)) {
        return true;
    }
    show_forward(judge, meta);
    judge.packet().out_link = out_link_of(ref, meta, tables);
    return judge.ask(Hook::kForward);
}

bool ask_departure(const PacketMeta& meta, const StageTables& tables) {
    Judge& judge = *tables.judge;
    if (!judge.has(kDeparture) || judge.packet().out_link == rules::kNoLink) {
        return true;
    }
    show_departure(judge.packet(), meta, tables);
    const LinkId in_link = judge.packet().in_link;
    const bool passes = judge.ask(Hook::kEgress);
    judge.packet().in_link = rules::kNoLink;
    judge.ask(Hook::kAccounting);
    judge.packet().in_link = in_link;
    return passes;
}

bool ask_arrival(Judge& judge) {
    if (!judge.has(kArrival)) {
        return true;
    }
    judge.ask(Hook::kAccounting);
    return judge.ask(Hook::kIngress);
}

// All that is asked of a packet whose session is known.
bool ask_all(
    const Burst& burst, uint32_t i, ConnectionState state, const StageTables& tables, Tick now
) {
    const PacketRef& ref = burst.batch.ref[i];
    const PacketMeta& meta = burst.batch.meta[i];
    Judge& judge = *tables.judge;
    begin(burst, i, tables, now);
    judge.packet().state = state;
    return (is_second_half(ref) || ask_arrival(judge)) && ask_forward(ref, meta, tables) &&
           ask_departure(meta, tables);
}

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

// Does what the rules say.
void obey(Burst& burst, uint32_t i, const Ruling& ruling) {
    PacketMeta& meta = burst.batch.meta[i];
    if (ruling.answer == Ruling::kPass) {
        if (ruling.changes_tos()) {
            const PacketRef& ref = burst.batch.ref[i];
            const uint8_t tos = ref.data[meta.l3_offset + packet::offset::kIpTos];
            burst.tos[i] = static_cast<uint8_t>((tos & ruling.tos_keep) ^ ruling.tos_flip);
            burst.changes_tos |= uint32_t{1} << i;
        }
        return;
    }
    burst.batch.drop(i, DropReason::kDeniedByRule);
    if (ruling.answer == Ruling::kReject) {
        meta.verdict = Verdict::kPuntError;
        meta.error_detail = static_cast<uint16_t>(
            ruling.reject.icmp_code | (ruling.reject.by_tcp_reset ? packet::kRefuseByReset : 0U)
        );
    }
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
    return fate_tag(ref.in_link, is_answered(session_of(meta), meta.direction));
}

// Whether all packets of the session are to be looked at, once the rules were asked about one.
bool is_still_scanned(const PacketMeta& meta, const StageTables& tables) {
    if (tables.scanned == nullptr) {
        return false;
    }
    tables.scanned->note_asked(tables.judge->has_met_payload());
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
    ask_all(burst, i, state_of(meta), tables, now);
    if (judge.is_stopped()) [[unlikely]] {
        return judge.drop_question();
    }
    const bool is_excused = meta.session_index != kNoIndex && judge.is_excused(session);
    const bool is_denied = judge.ruling().answer != Ruling::kPass && judge.is_for_flow();
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
    const bool is_scanned = is_still_scanned(meta, tables);
    const Judge::Of of{
        meta.direction, tag_of(ref, meta), fields_of(ref, meta), is_excused, is_scanned};
    judge.keep(session, of, meta.l3_length);
    obey(burst, i, judge.ruling());
    burst.forbidden |= is_forbidden ? uint32_t{1} << i : 0;
}

// What is kept of its flow, but for counting it, or nothing.
[[gnu::noinline]] void judge_slowly(Burst& burst, uint32_t i, const StageTables& tables, Tick now) {
    const PacketMeta& meta = burst.batch.meta[i];
    const PacketRef& ref = burst.batch.ref[i];
    const Judge::Known packet{tag_of(ref, meta), meta.l3_length, fields_of(ref, meta)};
    const Ruling* known = tables.judge->find(session_of(meta), meta.direction, packet);
    if (known == nullptr) {
        return judge_anew(burst, i, tables, now);
    }
    obey(burst, i, *known);
}

// Outside of its connection's window: what is said of it is no word about its flow.
[[gnu::cold]] [[gnu::noinline]] void judge_out_of_window(
    Burst& burst, uint32_t i, const StageTables& tables, Tick now
) {
    const PacketMeta& meta = burst.batch.meta[i];
    Judge& judge = *tables.judge;
    if (!take_up(burst, i, &session_of(meta), tables, now)) {
        return;
    }
    ask_all(burst, i, ConnectionState::kInvalid, tables, now);
    if (judge.is_stopped()) [[unlikely]] {
        return judge.drop_question();
    }
    const bool is_denied = judge.ruling().answer != Ruling::kPass && judge.is_for_flow();
    if (is_denied && judge.is_excused(session_of(meta))) {
        judge.excuse();
    }
    judge.end(meta.l3_length);
    obey(burst, i, judge.ruling());
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
    begin(burst, i, tables, now);
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

// Of what has no session, nor gets one that an earlier packet of the burst has made.
ConnectionState state_of_miss(const PacketMeta& meta, const StageTables& tables, Tick now) {
    const bool may_be_new = !packet::is_usual(meta.kind) ||
                            tables.nat->may_open(meta.key, meta.kind, meta.tcp_flags) ||
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
    begin(burst, i, tables, now);
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

void judge(Burst& burst, const StageTables& tables, Tick now) {
    Batch& batch = burst.batch;
    Judge& judge = *tables.judge;
    for (uint32_t i = 0; i < batch.count; ++i) {
        const PacketMeta& meta = batch.meta[i];
        const bool is_asked = meta.verdict == Verdict::kPending && (burst.judged >> i & 1) == 0;
        if (!is_asked || !is_kept(batch.ref[i], meta)) [[unlikely]] {
            judge_unusual(burst, i, tables, now);
            continue;
        }
        const bool has_window = (session_of(meta).flags & flow::kTrackWindow) != 0;
        if (has_window && is_out_of_window(burst, i, tables)) [[unlikely]] {
            judge_out_of_window(burst, i, tables, now);
            continue;
        }
        const FateTag tag = tag_of(batch.ref[i], meta);
        if (!judge.passes(session_of(meta), meta.direction, tag, meta.l3_length)) [[unlikely]] {
            judge_slowly(burst, i, tables, now);
        }
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
        begin(burst, i, tables, now);
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
