#include "nat/mss.h"

#include "packet/checksum.h"
#include "packet/views.h"

namespace sekisho::nat {
namespace {

namespace offset = packet::offset;

constexpr uint8_t kEnd = 0;  // RFC 9293 3.2
constexpr uint8_t kNop = 1;
constexpr uint8_t kMss = 2;
constexpr uint8_t kMssLength = 4;

// Calls visit(place, length) for each option that has a length. False: the list is malformed.
template <class Visit>
bool walk_options(std::span<const uint8_t> tcp, Visit&& visit) {
    for (size_t at = packet::kTcpHeader; at < tcp.size() && tcp[at] != kEnd;) {
        if (tcp[at] == kNop) {
            ++at;
            continue;
        }
        if (at + 1 == tcp.size() || tcp[at + 1] < 2 || at + tcp[at + 1] > tcp.size()) {
            return false;
        }
        visit(at, tcp[at + 1]);
        at += tcp[at + 1];
    }
    return true;
}

// An option may begin at an odd place: its number then lies in two words of the sum.
void put_number(std::span<uint8_t> tcp, size_t at, uint16_t value) {
    uint8_t* const words = tcp.data() + (at & ~size_t{1});
    const bool is_odd = (at & 1) != 0;
    const auto first = packet::load<uint16_t>(words);
    const auto second = is_odd ? packet::load<uint16_t>(words + 2) : uint16_t{0};
    packet::store(tcp.data() + at, Be16::from_host(value).raw);
    uint16_t delta = packet::checksum_delta16(first, packet::load<uint16_t>(words));
    if (is_odd) {
        delta = packet::add_deltas(
            delta, packet::checksum_delta16(second, packet::load<uint16_t>(words + 2))
        );
    }
    uint8_t* const checksum = tcp.data() + offset::kTcpChecksum;
    packet::store(checksum, packet::apply_delta(packet::load<uint16_t>(checksum), delta));
}

}  // namespace

bool clamp_mss(std::span<uint8_t> tcp, uint16_t most) {
    if (!walk_options(tcp, [](size_t, uint8_t) {})) {
        return false;
    }
    bool changed = false;
    walk_options(tcp, [&](size_t at, uint8_t length) {
        const bool is_mss = tcp[at] == kMss && length == kMssLength;
        if (is_mss && Be16{packet::load<uint16_t>(&tcp[at + 2])}.host() > most) {
            put_number(tcp, at + 2, most);
            changed = true;
        }
    });
    return changed;
}

}  // namespace sekisho::nat
