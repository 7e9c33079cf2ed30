// Boxes: what a rule says of fields that are fixed in a flow, as ranges and bits that are compared without a branch.
//
//   Key       of a packet: addresses and ports in host order, and one word of everything that is a name or a flag. What
//             shows an ICMP header has its type and code in place of ports.
//   Box       a range of each address and port, and bits of the word. A rule is one box or several; together they hold
//             every packet that agrees with its fixed conditions, and where `is_exact` no other.
//   Cost      Box::has: a dozen operations. boxes_of: control code, allocates. Thread: pure.
#pragma once

#include <cstdint>
#include <vector>

#include <immintrin.h>

#include "rules/packet.h"
#include "rules/rule_set.h"

namespace sekisho::rules {

// The word, from its low bits: protocol 8, arriving link 8, departing link 8, later fragment 1, state 3, realm 4 (15: that or a
// higher one).
inline constexpr uint32_t kProtocolBits = 0xff;
inline constexpr unsigned kInLinkShift = 8;
inline constexpr uint32_t kInLinkBits = 0xffU << kInLinkShift;
inline constexpr unsigned kOutLinkShift = 16;
inline constexpr uint32_t kOutLinkBits = 0xffU << kOutLinkShift;
inline constexpr uint32_t kLaterBit = 1U << 24;
inline constexpr unsigned kStateShift = 25;
inline constexpr uint32_t kStateBits = 7U << kStateShift;
inline constexpr unsigned kRealmShift = 28;
inline constexpr uint32_t kRealmBits = 0xfU << kRealmShift;
inline constexpr uint32_t kHighRealm = 15;

// As a number of three bits: sets of states that people name together differ in one bit.
constexpr uint32_t code_of(ConnectionState state) {
    switch (state) {
        case ConnectionState::kNew:
            return 0;
        case ConnectionState::kInvalid:
            return 1;
        case ConnectionState::kEstablished:
            return 2;
        case ConnectionState::kRelated:
            return 3;
        case ConnectionState::kUntracked:
            break;
    }
    return 4;
}

struct alignas(16) Key {
    uint32_t source = 0;
    uint32_t destination = 0;
    uint32_t ports = 0;  // source in the low half, destination in the high half
    uint32_t word = 0;
    friend bool operator==(const Key&, const Key&) = default;
};
inline Key key_of(const RulePacket& packet) {
    uint32_t ports = 0;
    if (packet.has_ports()) {
        ports = packet.source_port.host() | uint32_t{packet.destination_port.host()} << 16;
    } else if (packet.has_icmp()) {
        ports = packet.icmp_type | uint32_t{packet.icmp_code} << 16;
    }
    const uint32_t realm = packet.realm.value < kHighRealm ? packet.realm.value : kHighRealm;
    return {
        packet.source.host(),
        packet.destination.host(),
        ports,
        packet.protocol | uint32_t{packet.in_link.value} << kInLinkShift |
            uint32_t{packet.out_link.value} << kOutLinkShift |
            (packet.is_later_fragment() ? kLaterBit : 0) | code_of(packet.state) << kStateShift |
            realm << kRealmShift};
}

struct alignas(32) Box {
    // Lanes as those of Key; `span` is how far the last of a range is from the first, of the word the bits that count.
    Key first;
    Key span{~0U, ~0U, ~0U, 0};

    bool has(const Key& key) const {
        typedef uint32_t Lanes __attribute__((vector_size(16)));
        typedef uint16_t Halves __attribute__((vector_size(16)));
        const auto lanes_of = [](const Key& k) {
            return reinterpret_cast<Lanes>(_mm_load_si128(reinterpret_cast<const __m128i*>(&k)));
        };
        const Lanes k = lanes_of(key);
        const Lanes f = lanes_of(first);
        const Lanes s = lanes_of(span);
        const auto addresses = reinterpret_cast<Lanes>(k - f <= s);
        const Halves far = reinterpret_cast<Halves>(k) - reinterpret_cast<Halves>(f);
        const auto ports = reinterpret_cast<Lanes>(far <= reinterpret_cast<Halves>(s));
        const auto words = reinterpret_cast<Lanes>(((k ^ f) & s) == 0);
        const Lanes all = __builtin_shufflevector(
            __builtin_shufflevector(addresses, ports, 0, 1, 6, 3), words, 0, 1, 2, 7
        );
        return _mm_movemask_epi8(reinterpret_cast<__m128i>(all)) == 0xffff;
    }
};
static_assert(sizeof(Box) == 32);

struct RuleBox {
    Box box;
    bool is_exact = true;
};

// A rule is at most so many; what would be more says less, and is not exact.
inline constexpr size_t kMostBoxes = 64;
std::vector<RuleBox> boxes_of(const Rule& rule);

}  // namespace sekisho::rules
