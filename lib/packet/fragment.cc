#include "packet/fragment.h"

#include <algorithm>

#include "packet/checksum.h"

namespace sekisho::packet {
namespace {

constexpr uint8_t kCopied = 0x80;  // of an option's type

// The options that every fragment carries; returns their length, padded to whole words with zeros.
size_t copy_options(Bytes options, std::span<uint8_t> to) {
    size_t length = 0;
    for (size_t i = 0; i < options.size() && options[i] != kOptionEnd;) {
        const size_t size =
            options[i] == kOptionNop || i + 1 == options.size() ? 1 : options[i + 1];
        if (size == 0 || size > options.size() - i) {
            break;
        }
        if ((options[i] & kCopied) != 0) {
            std::copy_n(options.begin() + static_cast<std::ptrdiff_t>(i), size, &to[length]);
            length += size;
        }
        i += size;
    }
    return (length + 3) / 4 * 4;
}

}  // namespace

Cutter::Cutter(const Ipv4View& original, uint16_t mtu)
    : original_(original),
      mtu_(mtu),
      payload_(size_t{original.total_length()} - original.header_length()) {
    later_length_ += copy_options(original.options(), copied_);
}

std::optional<Cutter> Cutter::of(Bytes header, uint16_t mtu) {
    const auto ip = Ipv4View::at(header);
    const bool possible = ip && ip->total_length() >= ip->header_length() &&
                          mtu >= ip->header_length() + kFragmentUnit;
    return possible ? std::optional(Cutter(*ip, mtu)) : std::nullopt;
}

std::optional<Cutter::Piece> Cutter::next() {
    if (done_ >= payload_) {
        return std::nullopt;
    }
    Piece piece;
    piece.first = done_ == 0;
    const size_t header = header_length(piece);
    const size_t left = payload_ - done_;
    piece.last = left <= mtu_ - header;
    const size_t length = piece.last ? left : room_of(header);
    piece.begin = static_cast<uint16_t>(done_);
    piece.length = static_cast<uint16_t>(length);
    done_ += length;
    return piece;
}

unsigned Cutter::pieces() const {
    Cutter all = *this;
    all.done_ = 0;
    unsigned count = 0;
    while (all.next()) {
        ++count;
    }
    return count;
}

void Cutter::write_header(const Piece& piece, Be16 id, uint8_t* to) const {
    const size_t length = header_length(piece);
    const Bytes header = original_.header();
    std::copy_n(header.begin(), kIpv4Header, to);
    const uint8_t* options = piece.first ? header.data() + kIpv4Header : copied_.data();
    std::copy_n(options, length - kIpv4Header, to + kIpv4Header);
    const uint16_t word = original_.fragment_word();
    const bool more = !piece.last || (word & kMoreFragments) != 0;
    const auto offset =
        static_cast<uint16_t>((word & kFragmentOffsetMask) + piece.begin / kFragmentUnit);
    to[0] = static_cast<uint8_t>(0x40 | length / 4);
    store(
        to + offset::kIpLength, Be16::from_host(static_cast<uint16_t>(length + piece.length)).raw
    );
    store(to + offset::kIpId, id.raw);
    store(
        to + offset::kIpFragment,
        Be16::from_host(static_cast<uint16_t>(offset | (more ? kMoreFragments : 0))).raw
    );
    store<uint16_t>(to + offset::kIpChecksum, 0);
    store(to + offset::kIpChecksum, full_checksum({to, length}));
}

void rewrite_id(uint8_t* ip, Be16 id) {
    const uint16_t delta = checksum_delta16(load<uint16_t>(ip + offset::kIpId), id.raw);
    store(ip + offset::kIpId, id.raw);
    const auto checksum = load<uint16_t>(ip + offset::kIpChecksum);
    store(ip + offset::kIpChecksum, apply_delta(checksum, delta));
}

}  // namespace sekisho::packet
