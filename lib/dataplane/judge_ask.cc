// What rules see of a packet at each hook, and the questions that are asked there.
//
//   Views     ingress sees a packet as it arrived; forward between the two translations: the subscriber with its internal
//             endpoint, the other end as it is; egress as it departs. The two halves of a hairpin are two packets: the first is asked at ingress and
//             forward, without a departing link, the second at forward and egress.
//   Order     accounting, ingress, (nat-destination), forward, (nat-source), egress, accounting; or accounting, ingress, local-in. The
//             nat hooks are asked in translate.cc.
#include "dataplane/judge_ask.h"

#include <algorithm>

#include "packet/checksum.h"

namespace sekisho::dataplane {
namespace {

using rules::ConnectionState;
using rules::FragmentKind;
using rules::Hook;
using rules::RulePacket;

constexpr rules::HookMask kDeparture = mask_of(Hook::kAccounting) | mask_of(Hook::kEgress);

}  // namespace

FragmentKind fragment_of(const PacketRef& ref) {
    if ((ref.fragment & packet::kFragment) == 0) {
        return FragmentKind::kWhole;
    }
    return (ref.fragment & packet::kLaterFragment) != 0 ? FragmentKind::kLater
                                                        : FragmentKind::kFirst;
}

namespace {

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

}  // namespace

// What is turned round shows no more how it arrived.
void begin_question(const Burst& burst, uint32_t i, const StageTables& tables, Tick now) {
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

namespace {

bool is_answered(const flow::Session& session, Direction direction) {
    const uint16_t by_the_other =
        direction == Direction::kOutbound ? flow::kSeenInbound : flow::kSeenOutbound;
    return (session.flags & by_the_other) != 0;
}

}  // namespace

ConnectionState state_of(const PacketMeta& meta) {
    if (meta.kind == PacketKind::kIcmpError) {
        return ConnectionState::kRelated;
    }
    const auto& session = *static_cast<const flow::Session*>(meta.session);
    const bool is_kept = meta.session_index != kNoIndex;
    return is_kept && is_answered(session, meta.direction) ? ConnectionState::kEstablished
                                                           : ConnectionState::kNew;
}

namespace {

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

}  // namespace

bool ask_forward(const PacketRef& ref, const PacketMeta& meta, const StageTables& tables) {
    Judge& judge = *tables.judge;
    if (!judge.has(mask_of(Hook::kForward) | kDeparture)) {
        return !judge.is_stopped();
    }
    show_forward(judge, meta);
    judge.packet().out_link = out_link_of(ref, meta, tables);
    return judge.ask(Hook::kForward);
}

bool ask_departure(const PacketMeta& meta, const StageTables& tables) {
    Judge& judge = *tables.judge;
    if (!judge.has(kDeparture) || judge.packet().out_link == rules::kNoLink) {
        return !judge.is_stopped();
    }
    show_departure(judge.packet(), meta, tables);
    const LinkId in_link = judge.packet().in_link;
    const bool passes = judge.ask(Hook::kEgress);
    judge.packet().in_link = rules::kNoLink;
    judge.ask(Hook::kAccounting);
    judge.packet().in_link = in_link;
    return passes && !judge.is_stopped();
}

bool ask_arrival(Judge& judge) {
    if (!judge.has(kArrival)) {
        return true;
    }
    judge.ask(Hook::kAccounting);
    return judge.ask(Hook::kIngress);  // not if accounting has stopped the question
}

// All that is asked of a packet whose session is known.
bool ask_all(
    const Burst& burst, uint32_t i, ConnectionState state, const StageTables& tables, Tick now
) {
    const PacketRef& ref = burst.batch.ref[i];
    const PacketMeta& meta = burst.batch.meta[i];
    Judge& judge = *tables.judge;
    begin_question(burst, i, tables, now);
    judge.packet().state = state;
    return (is_second_half(ref) || ask_arrival(judge)) && ask_forward(ref, meta, tables) &&
           ask_departure(meta, tables);
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

}  // namespace sekisho::dataplane
