#include <algorithm>

#include "base/mutation.h"
#include "dataplane/stages.h"
#include "nat/icmp_error.h"
#include "nat/rewrite.h"
#include "nat/rewrite_fragment.h"
#include "nat/rewrite_remote.h"

namespace sekisho::dataplane {
namespace {

using flow::Session;

// Where the appliance speaks for a router inside that has no mapping (RFC 5508 REQ-5 c); to a subscriber, with the mapping's
// own address.
Ipv4Addr speaker(const Session& session, Ipv4Addr destination, const StageTables& tables) {
    const auto hop = tables.network->route(flow::realm_of(session), destination);
    return !hop || tables.is_pool(destination)
               ? Ipv4Addr{session.external_address}
               : tables.network->own_address(hop->link, destination);
}

void write_icmp_error(PacketRef& ref, PacketMeta& meta, const StageTables& tables) {
    const auto& session = *static_cast<const Session*>(meta.session);
    const bool outbound = meta.direction == Direction::kOutbound;
    const size_t room = std::min<size_t>(meta.l3_length, size_t{ref.length} - meta.l3_offset);
    nat::IcmpErrorPacket error;
    error.datagram = std::span<uint8_t>(ref.data + meta.l3_offset, room);
    error.l4 = static_cast<uint16_t>(meta.l4_offset - meta.l3_offset);
    error.quote = static_cast<uint16_t>(meta.quote_offset - meta.l3_offset);
    error.ttl_step = (ref.flags & packet::kHairpin) == 0 ? 1 : 0;
    const bool is_redirected = (session.flags & flow::kRedirected) != 0;
    const Ipv4Addr destination =
        is_redirected && outbound ? Ipv4Addr{session.remote_address} : destination_of(ref, meta);
    const bool done = outbound ? nat::rewrite_icmp_error_outbound(
                                     error, session, speaker(session, destination, tables)
                                 )
                               : nat::rewrite_icmp_error_inbound(error, session);
    if (!done) {
        meta.verdict = Verdict::kDrop;
        meta.reason = DropReason::kBadIcmpQuote;
        return;
    }
    if (is_redirected) {
        nat::rewrite_icmp_error_remote(
            error, session, tables.nat->original_of(meta.session_index), meta.direction
        );
    }
    if (outbound && tables.is_pool(destination) && !is_mutated(Mutation::kRfc5508Req7)) {
        meta.verdict = Verdict::kHairpin;
    }
}

// Asked in this order, because a direction cannot be guessed.
[[gnu::always_inline]] inline bool begins_hairpin(const Session& session, const PacketMeta& meta) {
    return (session.flags & flow::kSessionHairpin) != 0 && meta.direction == Direction::kOutbound;
}

// Hairpins that are none, and hairpins that show the internal source: what the tests of RFC 4787
// REQ-9 and 9a, of RFC 5382 REQ-8 and 8a and of RFC 5508 REQ-7 must not pass with.
bool is_taken_away(const PacketMeta& meta) {
    return (is_mutated(Mutation::kRfc4787Req9) && meta.kind == PacketKind::kUdp) ||
           (is_mutated(Mutation::kRfc5508Req7Query) && meta.kind == PacketKind::kIcmpQuery) ||
           (is_mutated(Mutation::kRfc5382Req8) && meta.kind == PacketKind::kTcp);
}
bool shows_internal_source(const PacketMeta& meta) {
    return (is_mutated(Mutation::kRfc4787Req9a) && meta.kind == PacketKind::kUdp) ||
           (is_mutated(Mutation::kRfc5382Req8a) && meta.kind == PacketKind::kTcp);
}
Session without_translation(Session session) {
    session.external_address = session.internal_address;
    session.external_port = session.internal_port;
    session.ip_delta = session.l4_delta = 0;
    return session;
}

// What is translated by its address alone: later fragments, and protocols without ports to translate.
void write_address(PacketRef& ref, PacketMeta& meta, const StageTables& tables) {
    const auto& session = *static_cast<const Session*>(meta.session);
    if (meta.kind == PacketKind::kAddressOnly) {
        nat::rewrite_address_only(ref, meta, session);
    } else {
        nat::rewrite_later_fragment(ref, meta, session);
    }
    if ((session.flags & flow::kRedirected) != 0) {
        nat::rewrite_remote(ref, meta, session, tables.nat->original_of(meta.session_index));
    }
    if (begins_hairpin(session, meta)) {
        ref.fragment_ports = nat::hairpin_ports(session);
        meta.verdict = Verdict::kHairpin;
    }
}

// Of sessions with a mark: the other end too, and the way of a hairpin.
[[gnu::noinline]] void write_marked(
    PacketRef& ref, PacketMeta& meta, const Session& session, const StageTables& tables
) {
    if ((session.flags & flow::kRedirected) != 0) {
        nat::rewrite_remote(ref, meta, session, tables.nat->original_of(meta.session_index));
    }
    if (begins_hairpin(session, meta) && !is_taken_away(meta)) {
        meta.verdict = Verdict::kHairpin;
    }
}

// What has no transport header of its own flow, or none with ports.
[[gnu::noinline]] void write_unusual(PacketRef& ref, PacketMeta& meta, const StageTables& tables) {
    if (meta.kind == PacketKind::kUntranslated) {
        nat::step_ttl(ref, meta);
    } else if (meta.kind == PacketKind::kIcmpError) {
        write_icmp_error(ref, meta, tables);
    } else {
        write_address(ref, meta, tables);
    }
}

}  // namespace

void write(Burst& burst, const StageTables& tables) {
    Batch& batch = burst.batch;
    for (uint32_t i = 0; i < batch.count; ++i) {
        PacketMeta& meta = batch.meta[i];
        if (meta.verdict != Verdict::kPending) {
            continue;
        }
        if (!packet::is_usual(meta.kind)) [[unlikely]] {
            write_unusual(batch.ref[i], meta, tables);
            continue;
        }
        const auto& session = *static_cast<const Session*>(meta.session);
        if (shows_internal_source(meta) && begins_hairpin(session, meta)) {
            nat::rewrite(batch.ref[i], meta, without_translation(session));
        } else {
            nat::rewrite(batch.ref[i], meta, session);
        }
        if ((session.flags & (flow::kSessionHairpin | flow::kRedirected)) != 0) [[unlikely]] {
            write_marked(batch.ref[i], meta, session, tables);
        }
    }
}

}  // namespace sekisho::dataplane
