// The segment size in SYNs of sessions whose policy wants it clamped.
#include <algorithm>

#include "dataplane/stages.h"
#include "nat/mss.h"

namespace sekisho::dataplane {
namespace {

constexpr uint16_t kHeaders =
    packet::kIpv4Header + packet::kTcpHeader;  // RFC 6691: without options

// What fits on both links of the packet's way; of a hairpin's first half only where it came from.
uint16_t mss_of_path(
    const PacketRef& ref,
    Direction direction,
    const flow::Session& session,
    const StageTables& tables
) {
    uint16_t mtu = tables.network->link(ref.in_link).mtu;
    const bool outbound = direction == Direction::kOutbound;
    if (!outbound || (session.flags & flow::kSessionHairpin) == 0) {
        const Ipv4Addr to{outbound ? session.remote_address : session.internal_address};
        const HopResult hop = find_hop(tables, flow::realm_of(session), to, direction);
        mtu = hop.is_found() ? std::min(mtu, tables.network->link(hop.link()).mtu) : mtu;
    }
    return static_cast<uint16_t>(mtu - kHeaders);
}

}  // namespace

void clamp(Burst& burst, const StageTables& tables) {
    for (uint32_t i = 0; i < burst.batch.count; ++i) {
        const PacketMeta& meta = burst.batch.meta[i];
        const PacketRef& ref = burst.batch.ref[i];
        if (meta.verdict != Verdict::kPending || meta.kind != PacketKind::kTcp ||
            (meta.tcp_flags & packet::kSyn) == 0 || meta.session_index == kNoIndex) {
            continue;
        }
        const auto& session = *static_cast<const flow::Session*>(meta.session);
        uint8_t* const tcp = ref.data + meta.l4_offset;
        const size_t length = size_t{tcp[packet::offset::kTcpOffset]} >> 4 << 2;
        if ((session.flags & flow::kClampMss) == 0 || meta.l4_offset + length > ref.length) {
            continue;
        }
        const uint16_t set = tables.nat->mss_clamp_of(session);
        const uint16_t most =
            set == nat::kMssOfPath ? mss_of_path(ref, meta.direction, session, tables) : set;
        nat::clamp_mss({tcp, length}, most);
    }
}

}  // namespace sekisho::dataplane
