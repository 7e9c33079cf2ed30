// Assembler: fragments whose payload is to be searched, until their datagram is whole.
//
//   Why       what a rule looks for may lie across fragments. All other fragments follow their first one without waiting
//             (fragment_table.h), which has seen to it that none comes twice or overlaps another, and that the first comes first.
//   Whole     the datagram as one packet, which goes through the pipeline from the start; its fragments are done with.
//   Fair      one source has kMostOfSource datagrams here at most; where there is no place left, the oldest of a source that has the most goes.
//   Bounds    kDatagrams, kPieces of each, as many bytes as a buffer has room for; `lifetime`. What goes beyond ends, with its datagram.
//   Owner     the shard's worker; held() may be read by anyone. It owns the fragments until take_complete() or take_ended() gives
//             them back: both must be empty again after every burst.
//   Cost      a walk over at most kDatagrams keys, only for fragments while some are there. Never allocates after it is made.
//   Source    RFC 791 3.2; ARCHITECTURE 3.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/counters.h"
#include "base/drop_reason.h"
#include "base/types.h"
#include "packet/fragment.h"
#include "packet/packet.h"

namespace sekisho::dataplane {

class Assembler {
  public:
    static constexpr uint32_t kDatagrams = 64;
    static constexpr uint32_t kPieces = 16;
    static constexpr uint32_t kMostOfSource = 8;
    static constexpr uint32_t kMostHeld = kDatagrams * kPieces;
    static constexpr Seconds kLifetime{2};  // RFC 6146 3.4: FRAGMENT_MIN

    Assembler();

    // `l3_offset` of the fragment's IPv4 header. Whether the datagram's first fragment is here.
    bool expects(const PacketRef& fragment, uint16_t l3_offset) const;
    // A first one, or one that is expected. nullopt: it is held, and marked kCounted. Else why not; its datagram has ended.
    std::optional<DropReason> hold(PacketRef& fragment, uint16_t l3_offset, Tick now);

    struct Piece {
        PacketRef packet;
        uint16_t l3_offset = 0;
        packet::Extent extent;
    };
    bool has_complete() const { return complete_ != kNoIndex; }
    // In order, without a gap; valid until the next call of anything here. They are the caller's.
    std::span<const Piece> take_complete();
    struct Ended {
        PacketRef packet;
        DropReason reason{};
    };
    bool has_ended() const { return ended_count_ > 0; }
    Ended take_ended();
    // Ends what waits too long.
    unsigned advance(Tick now);
    void end_all(DropReason reason);

    size_t held() const { return held_.read(); }

  private:
    struct Key {
        uint64_t addresses = 0;
        uint16_t id = 0;
        uint8_t protocol = 0;
        LinkId link;
        uint32_t source() const { return static_cast<uint32_t>(addresses); }
        friend bool operator==(const Key&, const Key&) = default;
    };
    struct Datagram {
        Key key;
        Tick since;
        uint32_t count = 0;        // 0: free
        uint32_t next = kNoIndex;  // of those that are complete
        bool is_complete = false;
        std::array<Piece, kPieces> pieces;  // by offset
    };

    static Key key_of(const PacketRef& fragment, uint16_t l3_offset);
    uint32_t find(const Key& key) const;
    size_t count_of(uint32_t source) const;
    // A free one; kNoIndex: there is none for the source.
    uint32_t place_for(uint32_t source);
    void add(Datagram& datagram, const Piece& piece);
    static bool is_whole(const Datagram& datagram);
    void end(Datagram& datagram, DropReason reason);

    std::vector<Datagram> datagrams_;
    uint32_t complete_ = kNoIndex;  // the first
    uint32_t used_ = 0;
    std::vector<Ended> ended_;
    size_t ended_count_ = 0;
    Counter held_;
};

// The whole datagram in `buffer`, which is empty. Its pieces are as take_complete() gives them.
void join(std::span<const Assembler::Piece> pieces, PacketRef& buffer);

}  // namespace sekisho::dataplane
