// Tcp: a TCP connection as a NAT in the middle sees it.
//
//   Opening     until the SYNs of both sides and then an ACK (or FIN) of the one that opened it
//               (RFC 7857 2, RFC 6146 3.5.2; simultaneous open: RFC 5382 REQ-2 a).
//   Closing     a FIN of both sides.
//   Reset       by a RST in the window only; data after it shows that it was a fake (RFC 6146 3.5.2.2).
//   Again       a SYN after closing or reset begins a new connection of the same endpoints.
//   Window      what each side has acknowledged, and how far it said that the other may send.
#pragma once

#include "packet.h"

namespace sekisho::spec {

class Tcp {
  public:
    enum Phase : uint8_t { kOpening, kEstablished, kClosing, kReset };

    Tcp() = default;
    explicit Tcp(Side opener) : opener_(opener) { sides_[static_cast<size_t>(opener)].syn = true; }

    Phase phase() const;
    bool was_opened_from_outside() const { return opener_ == Side::kOutside; }
    // Takes a segment; says whether it keeps the connection alive. What a stranger repeats does not,
    // nor a reset that answers a stranger (RFC 7857 7, 7.1).
    bool take(Side from, const Packet& segment);

    // The first sequence number that `to` would take from the other side, and how far its window
    // goes from there.
    uint32_t left_edge(Side to) const { return sides_[static_cast<size_t>(to)].acknowledged; }
    uint32_t window(Side to) const;
    int shift_of(Side s) const;

  private:
    struct OneSide {
        bool syn = false;
        bool fin = false;
        bool has_acknowledged = false;
        uint32_t acknowledged = 0;  // before the first ACK: what follows the other side's SYN
        uint16_t window = 0;
        int scale = -1;
        friend bool operator==(const OneSide&, const OneSide&) = default;
    };
    struct Stage {  // what tells one state from another
        bool syn[2], fin[2], established, reset;
        friend bool operator==(const Stage&, const Stage&) = default;
    };
    OneSide& side(Side s) { return sides_[static_cast<size_t>(s)]; }
    const OneSide& side(Side s) const { return sides_[static_cast<size_t>(s)]; }
    Stage stage() const;
    bool is_in_window(Side from, const Packet& rst) const;
    void change(Side from, const Packet& segment);
    void establish();
    void note_window(Side from, const Packet& segment);

    OneSide sides_[2];
    Side opener_ = Side::kInside;
    bool established_ = false;
    bool was_established_ = false;
    bool reset_ = false;
};

}  // namespace sekisho::spec
