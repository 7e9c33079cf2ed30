// Packets that are longer than their link takes, and may be cut (RFC 4787 REQ-13 a, RFC 1812 5.2.6).
#include <array>

#include "dataplane/shard.h"
#include "packet/build.h"
#include "packet/fragment.h"

namespace sekisho::dataplane {

void divide(Burst& burst, const StageTables& tables) {
    Batch& batch = burst.batch;
    for (uint32_t i = 0; i < batch.count; ++i) {
        PacketMeta& meta = batch.meta[i];
        if (meta.verdict == Verdict::kTransmit &&
            meta.l3_length > tables.network->link(meta.out_link).mtu) {
            meta.verdict = Verdict::kCut;
        }
    }
}

namespace {

using packet::Cutter;

// Copies a piece of `whole`, whose IPv4 header lies at `l3`, into a buffer of its own.
void fill_piece(
    PacketRef& piece,
    const PacketRef& whole,
    size_t l3,
    const Cutter& cutter,
    const Cutter::Piece& part
) {
    const size_t header = cutter.header_length(part);
    const size_t payload = l3 + size_t{4} * (whole.data[l3] & 0x0f);
    std::memcpy(piece.data, whole.data, l3);
    std::memcpy(piece.data + l3 + header, whole.data + payload + part.begin, part.length);
    piece.length = piece.frame_length = static_cast<uint16_t>(l3 + header + part.length);
    piece.in_link = whole.in_link;
    piece.flags = packet::kCounted;
}

}  // namespace

// All buffers first: a datagram of which a piece is missing is of no use to anybody.
void Shard::cut(Burst& burst, uint32_t i) {
    const PacketRef& whole = burst.batch.ref[i];
    const PacketMeta& meta = burst.batch.meta[i];
    const Link& link = plan_.network->link(meta.out_link);
    const size_t l3 = packet::l2_length(link.vlans.size());
    auto cutter = Cutter::of(packet::Bytes(whole.data, whole.length).subspan(l3), link.mtu);
    const unsigned count = cutter ? cutter->pieces() : 0;
    std::array<PacketRef, kBurst> pieces;
    if (count == 0 || count > pieces.size() || whole.length != whole.frame_length) {
        counters_.drop(DropReason::kTooBig);
        return free_later(whole);
    }
    for (unsigned n = 0; n < count; ++n) {
        pieces[n] = plan_.store->allocate();
        if (pieces[n].handle == nullptr) {
            plan_.store->free(std::span<const PacketRef>(pieces).first(n));
            counters_.drop(DropReason::kNoBuffer);
            return free_later(whole);
        }
    }
    const Be16 id = id_of_pieces(cutter->original());
    for (unsigned n = 0; n < count; ++n) {
        const auto part = *cutter->next();
        fill_piece(pieces[n], whole, l3, *cutter, part);
        cutter->write_header(part, id, pieces[n].data + l3);
        plan_.transmitter->transmit(static_cast<unsigned>(link.device), pieces[n]);
    }
    counters_.consumed.add(1);
    counters_.generated.add(count);
    free_later(whole);
}

// A datagram that many senders' address stands in gets an identification that none of them chose; what was a fragment before
// has the others' one.
Be16 Shard::id_of_pieces(const packet::Ipv4View& ip) {
    return tables_.is_pool(ip.source()) && !ip.is_fragment()
               ? fragment_ids_.next(ip.source(), ip.destination(), ip.protocol())
               : Be16::from_host(ip.id());
}

}  // namespace sekisho::dataplane
