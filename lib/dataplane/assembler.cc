#include "dataplane/assembler.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "packet/checksum.h"
#include "packet/views.h"

namespace sekisho::dataplane {
namespace {

namespace offset = packet::offset;
using packet::load;
using packet::store;

packet::Ipv4View view_of(const PacketRef& packet, uint16_t l3_offset) {
    return *packet::Ipv4View::at(packet::Bytes(packet.data, packet.length).subspan(l3_offset));
}

size_t header_of(const Assembler::Piece& piece) {
    return size_t{piece.packet.data[piece.l3_offset]} % 16 * 4;
}

// Whether one buffer takes the datagram, whichever piece comes to be its first: each may have come with VLAN tags of its own.
bool has_room(std::span<const Assembler::Piece> pieces, const Assembler::Piece& another) {
    size_t front = another.l3_offset;
    size_t end = another.extent.end;
    for (const Assembler::Piece& piece : pieces) {
        front = std::max<size_t>(front, piece.l3_offset);
        end = std::max<size_t>(end, piece.extent.end);
    }
    return front + packet::kLongestIpv4Header + end <= packet::kBufferRoom;
}

}  // namespace

// Those of a burst may come and go at once.
Assembler::Assembler() : datagrams_(kDatagrams), ended_(kMostHeld + packet::kBurst) {}

// A hairpin is seen twice, by other addresses.
Assembler::Key Assembler::key_of(const PacketRef& fragment, uint16_t l3_offset) {
    const uint8_t* const ip = fragment.data + l3_offset;
    return {
        load<uint64_t>(ip + offset::kIpSource),
        load<uint16_t>(ip + offset::kIpId),
        ip[offset::kIpProtocol],
        fragment.in_link};
}

uint32_t Assembler::find(const Key& key) const {
    for (uint32_t i = 0; i < datagrams_.size(); ++i) {
        const Datagram& datagram = datagrams_[i];
        if (datagram.count > 0 && !datagram.is_complete && datagram.key == key) {
            return i;
        }
    }
    return kNoIndex;
}

bool Assembler::expects(const PacketRef& fragment, uint16_t l3_offset) const {
    return used_ > 0 && find(key_of(fragment, l3_offset)) != kNoIndex;
}

size_t Assembler::count_of(uint32_t source) const {
    return static_cast<size_t>(std::ranges::count_if(datagrams_, [source](const Datagram& each) {
        return each.count > 0 && each.key.source() == source;
    }));
}

uint32_t Assembler::place_for(uint32_t source) {
    if (count_of(source) >= kMostOfSource) {
        return kNoIndex;
    }
    const auto free = std::ranges::find(datagrams_, 0U, &Datagram::count);
    if (free != datagrams_.end()) {
        return static_cast<uint32_t>(free - datagrams_.begin());
    }
    Datagram* victim = nullptr;
    size_t most = 1;  // whose only one it is keeps it
    for (Datagram& datagram : datagrams_) {
        const size_t count = datagram.is_complete ? 0 : count_of(datagram.key.source());
        const bool is_older = victim != nullptr && elapsed_ms(datagram.since, victim->since) > 0;
        if (count > most || (count == most && is_older)) {
            victim = &datagram;
            most = count;
        }
    }
    if (victim == nullptr) {
        return kNoIndex;
    }
    end(*victim, DropReason::kFragmentOverflow);
    return static_cast<uint32_t>(victim - datagrams_.data());
}

std::optional<DropReason> Assembler::hold(PacketRef& fragment, uint16_t l3_offset, Tick now) {
    const Key key = key_of(fragment, l3_offset);
    uint32_t index = find(key);
    if (index == kNoIndex) {
        index = place_for(key.source());
        if (index == kNoIndex) {
            return DropReason::kFragmentOverflow;
        }
        datagrams_[index].key = key;
        datagrams_[index].since = now;
        datagrams_[index].is_complete = false;
        ++used_;
    }
    Datagram& datagram = datagrams_[index];
    const Piece piece{fragment, l3_offset, packet::extent_of(view_of(fragment, l3_offset))};
    const bool fits = fragment.length == fragment.frame_length && datagram.count < kPieces &&
                      has_room(std::span(datagram.pieces).first(datagram.count), piece);
    if (!fits) {
        end(datagram, DropReason::kScanOverload);
        return DropReason::kScanOverload;
    }
    fragment.flags |= packet::kCounted;
    add(datagram, piece);
    if (is_whole(datagram)) {
        datagram.is_complete = true;
        datagram.next = complete_;
        complete_ = index;
    }
    return std::nullopt;
}

void Assembler::add(Datagram& datagram, const Piece& piece) {
    const auto begin = datagram.pieces.begin();
    const auto end = begin + datagram.count;
    const auto at = std::upper_bound(begin, end, piece, [](const Piece& a, const Piece& b) {
        return a.extent.begin < b.extent.begin;
    });
    std::move_backward(at, end, end + 1);
    *at = piece;
    at->packet.flags |= packet::kCounted;
    ++datagram.count;
    held_.add(1);
}

bool Assembler::is_whole(const Datagram& datagram) {
    uint16_t edge = 0;
    for (uint32_t i = 0; i < datagram.count; ++i) {
        const packet::Extent& extent = datagram.pieces[i].extent;
        if (extent.begin != edge) {
            return false;
        }
        edge = extent.end;
    }
    return datagram.count > 0 && !datagram.pieces[datagram.count - 1].extent.more;
}

void Assembler::end(Datagram& datagram, DropReason reason) {
    for (uint32_t i = 0; i < datagram.count; ++i) {
        ended_[ended_count_++] = {datagram.pieces[i].packet, reason};
    }
    datagram.count = 0;
    --used_;
}

std::span<const Assembler::Piece> Assembler::take_complete() {
    Datagram& datagram = datagrams_[complete_];
    complete_ = datagram.next;
    const auto pieces = std::span<const Piece>(datagram.pieces).first(datagram.count);
    held_.set(held_.read() - datagram.count);
    datagram.count = 0;
    datagram.is_complete = false;
    --used_;
    return pieces;
}

Assembler::Ended Assembler::take_ended() {
    held_.set(held_.read() - 1);
    return ended_[--ended_count_];
}

unsigned Assembler::advance(Tick now) {
    unsigned ended = 0;
    for (uint32_t i = 0; used_ > 0 && i < datagrams_.size(); ++i) {
        Datagram& datagram = datagrams_[i];
        const bool is_over =
            datagram.count > 0 && !datagram.is_complete &&
            elapsed_ms(datagram.since, now) >= static_cast<int32_t>(kLifetime.ms());
        if (is_over) {
            ended += datagram.count;
            end(datagram, DropReason::kFragmentTimeout);
        }
    }
    return ended;
}

void Assembler::end_all(DropReason reason) {
    complete_ = kNoIndex;
    for (Datagram& datagram : datagrams_) {
        if (datagram.count > 0) {
            datagram.is_complete = false;
            end(datagram, reason);
        }
    }
}

void join(std::span<const Assembler::Piece> pieces, PacketRef& buffer) {
    const Assembler::Piece& first = pieces.front();
    const size_t header = header_of(first);
    const size_t front = first.l3_offset + header;
    const auto total = static_cast<uint16_t>(header + pieces.back().extent.end);
    assert(front + pieces.back().extent.end <= packet::kBufferRoom);
    std::memcpy(buffer.data, first.packet.data, front);
    for (const Assembler::Piece& piece : pieces) {
        std::memcpy(
            buffer.data + front + piece.extent.begin,
            piece.packet.data + piece.l3_offset + header_of(piece),
            size_t{piece.extent.end} - piece.extent.begin
        );
    }
    uint8_t* const ip = buffer.data + first.l3_offset;
    store(ip + offset::kIpLength, Be16::from_host(total).raw);
    store<uint16_t>(ip + offset::kIpFragment, 0);
    store<uint16_t>(ip + offset::kIpChecksum, 0);
    store(ip + offset::kIpChecksum, packet::full_checksum({ip, header}, 0));
    buffer.length = buffer.frame_length = static_cast<uint16_t>(first.l3_offset + total);
    buffer.in_link = first.packet.in_link;
    buffer.hops = first.packet.hops;
    constexpr uint8_t kKept = packet::kHairpin;
    buffer.flags = static_cast<uint8_t>((first.packet.flags & kKept) | packet::kCounted);
}

}  // namespace sekisho::dataplane
