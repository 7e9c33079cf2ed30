// Fragments: what part of its datagram a fragment is, and cutting a datagram into pieces that fit.
//
//   Units     bytes of the datagram's payload, from 0; offsets in the header are in units of 8.
//   Shape     a Cutter gives the pieces in order; every piece but the last is a multiple of 8 bytes long. What is cut may be
//             a fragment itself. The first piece keeps all IPv4 options, the others those that say so (RFC 791 3.1, the
//             copied flag).
//   Errors    Cutter::of() gives nothing for what is no IPv4 header, or where not even 8 bytes would fit beside it.
//   Cost      a handful of operations a piece, and a full header checksum; nothing is allocated. Thread: pure.
//   Source    RFC 791 2.3, 3.1, 3.2.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/types.h"
#include "packet/views.h"

namespace sekisho::packet {

inline constexpr size_t kLongestIpv4Header = 60;
inline constexpr size_t kFragmentUnit = 8;

// The bytes [begin, end) of the payload that a fragment brings.
struct Extent {
    uint16_t begin = 0;
    uint16_t end = 0;
    bool more = false;  // others follow behind it
    friend bool operator==(const Extent&, const Extent&) = default;
};

// Of a header whose lengths parse has checked.
inline Extent extent_of(const Ipv4View& ip) {
    const auto begin = static_cast<uint16_t>(kFragmentUnit * ip.fragment_offset());
    const size_t length = ip.total_length() - ip.header_length();
    return {
        begin, static_cast<uint16_t>(begin + length), (ip.fragment_word() & kMoreFragments) != 0};
}

class Cutter {
  public:
    struct Piece {
        uint16_t begin = 0;  // of the payload that is cut
        uint16_t length = 0;
        bool first = false;
        bool last = false;
    };

    // `header`: at least the whole IPv4 header of what is to be cut.
    static std::optional<Cutter> of(Bytes header, uint16_t mtu);

    const Ipv4View& original() const { return original_; }
    // The next piece; nothing behind the last one.
    std::optional<Piece> next();
    unsigned pieces() const;
    size_t header_length(const Piece& piece) const {
        return piece.first ? original_.header_length() : later_length_;
    }
    // Writes header_length() bytes.
    void write_header(const Piece& piece, Be16 id, uint8_t* to) const;

  private:
    Cutter(const Ipv4View& original, uint16_t mtu);
    size_t room_of(size_t header) const { return (mtu_ - header) / kFragmentUnit * kFragmentUnit; }

    Ipv4View original_;
    size_t mtu_;
    size_t payload_;
    size_t done_ = 0;
    std::array<uint8_t, kLongestIpv4Header - kIpv4Header> copied_{};  // options of the later pieces
    size_t later_length_ = kIpv4Header;
};

// Writes another identification into an IPv4 header, and its checksum.
void rewrite_id(uint8_t* ip, Be16 id);

}  // namespace sekisho::packet
