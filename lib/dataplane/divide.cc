// Packets that are longer than their link takes, and may be cut (RFC 4787 REQ-13 a, RFC 1812 5.2.6).
#include <algorithm>
#include <array>
#include <cstring>

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

// A frame that is to be cut: its IPv4 header lies at `l3`.
struct Whole {
    const PacketRef& frame;
    size_t l3;
    Be16 id;  // of the pieces
};

// Fills a buffer with a part of the frame and its own headers.
bool fill_piece(
    PacketRef& piece,
    const Whole& whole,
    const Cutter& cutter,
    const Cutter::Piece& part,
    const PacketStore& store
) {
    const size_t header = cutter.header_length(part);
    const size_t payload = whole.l3 + cutter.original().header_length();
    std::memcpy(piece.data, whole.frame.data, whole.l3);
    cutter.write_header(part, whole.id, piece.data + whole.l3);
    piece.length = piece.frame_length = static_cast<uint16_t>(whole.l3 + header + part.length);
    piece.in_link = whole.frame.in_link;
    piece.flags = packet::kCounted;
    return store.copy(
        whole.frame, payload + part.begin, {piece.data + whole.l3 + header, part.length}
    );
}

}  // namespace

// All pieces first: a datagram of which one is missing is of no use to anybody.
void Shard::cut(Burst& burst, uint32_t i) {
    const PacketRef& frame = burst.batch.ref[i];
    const Link& link = plan_.network->link(burst.batch.meta[i].out_link);
    const size_t l3 = packet::l2_length(link.vlans.size());
    const size_t room = std::min<size_t>(link.mtu, packet::kBufferRoom - l3);
    auto cutter = Cutter::of(
        packet::Bytes(frame.data, frame.length).subspan(l3), static_cast<uint16_t>(room)
    );
    const unsigned count = cutter ? cutter->pieces() : 0;
    std::array<PacketRef, kBurst> buffers;
    const auto pieces = std::span(buffers).first(std::min<size_t>(count, buffers.size()));
    if (count == 0 || count > pieces.size()) {
        return end_cut(frame, DropReason::kTooBig);
    }
    if (!allocate_all(pieces)) {
        return end_cut(frame, DropReason::kNoBuffer);
    }
    const Whole whole{frame, l3, id_of_pieces(cutter->original())};
    bool good = true;
    for (PacketRef& piece : pieces) {
        good = fill_piece(piece, whole, *cutter, *cutter->next(), *plan_.store) && good;
    }
    if (!good) {  // parse has seen that all bytes are there
        plan_.store->free(pieces);
        return end_cut(frame, DropReason::kBug);
    }
    for (const PacketRef& piece : pieces) {
        plan_.transmitter->transmit(static_cast<unsigned>(link.device), piece);
    }
    counters_.consumed.add(1);
    counters_.generated.add(count);
    free_later(frame);
}

void Shard::end_cut(const PacketRef& frame, DropReason reason) {
    counters_.drop(reason);
    free_later(frame);
}

bool Shard::allocate_all(std::span<PacketRef> buffers) {
    for (size_t n = 0; n < buffers.size(); ++n) {
        buffers[n] = plan_.store->allocate();
        if (buffers[n].handle == nullptr) {
            plan_.store->free(buffers.first(n));
            return false;
        }
    }
    return true;
}

// A datagram that many senders' address stands in gets an identification that none of them chose; what was a fragment before
// has the others' one.
Be16 Shard::id_of_pieces(const packet::Ipv4View& ip) {
    return tables_.is_pool(ip.source()) && !ip.is_fragment()
               ? fragment_ids_.next(ip.source(), ip.destination(), ip.protocol())
               : Be16::from_host(ip.id());
}

}  // namespace sekisho::dataplane
