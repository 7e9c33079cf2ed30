#include "tcp.h"

#include <algorithm>

namespace sekisho::spec {
namespace {

Side other(Side s) {
    return s == Side::kInside ? Side::kOutside : Side::kInside;
}

}  // namespace

Tcp::Phase Tcp::phase() const {
    if (sides_[0].fin && sides_[1].fin) {
        return kClosing;
    }
    return reset_ ? kReset : established_ ? kEstablished : kOpening;
}

Tcp::Stage Tcp::stage() const {
    return {{sides_[0].syn, sides_[1].syn}, {sides_[0].fin, sides_[1].fin}, established_, reset_};
}

uint32_t Tcp::window(Side to) const {
    const OneSide& said = side(to);
    if (!said.has_acknowledged) {
        return 0;
    }
    return uint32_t{said.window} << shift_of(to);
}

int Tcp::shift_of(Side s) const {
    const bool scaled = sides_[0].scale >= 0 && sides_[1].scale >= 0;
    return scaled ? std::min(side(s).scale, 14) : 0;
}

bool Tcp::is_in_window(Side from, const Packet& rst) const {
    const bool answers_a_syn = phase() == kOpening && !side(from).syn;
    if (answers_a_syn) {
        return (rst.tcp_flags & kAck) != 0 && rst.acknowledgement == left_edge(from);
    }
    const Side to = other(from);
    return rst.sequence - left_edge(to) <= window(to);
}

void Tcp::establish() {
    established_ = was_established_ = true;
    reset_ = false;
    opener_ = Side::kInside;  // it counts against nobody any more
    for (OneSide& s : sides_) {
        s.syn = true;
        s.fin = false;
    }
}

void Tcp::change(Side from, const Packet& segment) {
    const Phase now = phase();
    const bool completes = now == kOpening && sides_[0].syn && sides_[1].syn && from == opener_;
    if ((segment.tcp_flags & kRst) != 0) {
        if (now != kClosing && is_in_window(from, segment)) {
            reset_ = true;
            sides_[0].fin = sides_[1].fin = false;
        }
    } else if ((segment.tcp_flags & kSyn) != 0) {
        if (now == kClosing || now == kReset) {
            *this = Tcp(from);
        } else if (now == kOpening) {
            side(from).syn = true;
        }
    } else if ((segment.tcp_flags & kFin) != 0) {
        if (completes) {
            establish();
        }
        if (phase() == kEstablished) {
            side(from).fin = true;
        }
    } else if ((segment.tcp_flags & kAck) != 0) {
        if (completes || (now == kReset && was_established_)) {
            establish();
        }
    }
}

void Tcp::note_window(Side from, const Packet& segment) {
    if ((segment.tcp_flags & kRst) != 0) {
        return;
    }
    OneSide& me = side(from);
    const bool is_syn = (segment.tcp_flags & kSyn) != 0;
    if (is_syn && phase() == kOpening) {
        OneSide& they = side(other(from));
        if (!they.has_acknowledged) {
            they.acknowledged = segment.sequence + 1;
        }
        me.scale = segment.scale;
    }
    if ((segment.tcp_flags & kAck) != 0) {
        me.has_acknowledged = true;
        me.acknowledged = segment.acknowledgement;
        // A SYN's is never scaled (RFC 7323 2.2); it is remembered in the units of those that follow.
        me.window = static_cast<uint16_t>(segment.window >> (is_syn ? shift_of(from) : 0));
    }
}

bool Tcp::take(Side from, const Packet& segment) {
    const Stage before = stage();
    const bool took_part = was_established_ || opener_ == Side::kInside;
    change(from, segment);
    note_window(from, segment);
    if (from == Side::kInside) {
        return (segment.tcp_flags & kRst) == 0 || took_part;
    }
    return phase() == kEstablished || (stage() != before && took_part);
}

}  // namespace sekisho::spec
