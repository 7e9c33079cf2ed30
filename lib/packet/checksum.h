// Internet checksums: in full (RFC 1071) and incrementally (RFC 1624, equation 3).
//
//   Order     everything is computed on words as they lie in memory: one's complement sums do not
//             care (RFC 1071 2 B), so values go to and from the packet with no byte swap. Never mix
//             with host-order numbers.
//   Words     sum       the one's complement sum S of the 16-bit words, folded to 16 bits
//             checksum  what stands in the header: C = ~S
//             delta     what a change adds to S: ~old + new, folded. Deltas add; ~delta
//                       undoes delta.
//   Session   Session::ip_delta is the delta of outbound translation on the IPv4 header (X becomes
//             X'), l4_delta that on the transport sum (X becomes X' by the pseudo-header, x becomes
//             x'; for ICMP x becomes x' alone). Outbound: apply_delta(c, d). Inbound:
//             apply_delta(c, inverse_delta(d)). A TTL decrement is a delta too:
//             add_deltas(ip_delta, kTtlDecrement).
//   Zeros     0 and 0xffff are the same number in one's complement; they differ only on the wire.
//             IPv4 header and TCP: the sum of the covered words is never 0 (version, protocol), so
//             apply_delta gives the very value that a full recomputation gives, if the old one was
//             such a value; if it was the other zero (0xffff, which no stack writes there), the
//             result verifies all the same. UDP: checksum 0 means none and stays 0; a result 0 is
//             written 0xffff (RFC 768): apply_delta_udp. ICMP: the covered words may all be 0 (an
//             echo reply 0/0), where 0 does not verify but 0xffff does; where they are not all 0
//             both verify. So a result 0 is written 0xffff: apply_delta_icmp.
//   Cost      a delta: three or four instructions, no branch. Thread: pure.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "base/types.h"

namespace sekisho::packet {

// Folds a sum of 16-bit words, or of 32- or 64-bit groups of them, to 16 bits with end-around carry. A number plus its
// own halves swapped has the halves' sum, carry included, in its upper half. 0 only if `sum` is 0.
constexpr uint16_t fold(uint64_t sum) {
    sum += std::rotl(sum, 32);
    auto half = static_cast<uint32_t>(sum >> 32);
    half += std::rotl(half, 16);
    return static_cast<uint16_t>(half >> 16);
}

constexpr uint16_t inverse_delta(uint16_t delta) {
    return static_cast<uint16_t>(~delta);
}

constexpr uint16_t add_deltas(uint16_t a, uint16_t b) {
    const uint32_t sum = uint32_t{a} + b;
    return static_cast<uint16_t>((sum & 0xffff) + (sum >> 16));
}

// The delta of a 16-bit field that lies at an even offset; values as they lie in memory.
constexpr uint16_t checksum_delta16(uint16_t old_value, uint16_t new_value) {
    return add_deltas(static_cast<uint16_t>(~old_value), new_value);
}

// The delta of a 32-bit field that lies at an even offset.
constexpr uint16_t checksum_delta(uint32_t old_value, uint32_t new_value) {
    return fold(uint64_t{~old_value} + new_value);
}

constexpr uint16_t checksum_delta(Ipv4Addr old_value, Ipv4Addr new_value) {
    return checksum_delta(old_value.raw, new_value.raw);
}
constexpr uint16_t checksum_delta(Port old_value, Port new_value) {
    return checksum_delta16(old_value.raw, new_value.raw);
}

// One TTL less: the TTL is the first byte of its word in memory, the low one here.
inline constexpr uint16_t kTtlDecrement = static_cast<uint16_t>(~uint16_t{0x0001});

// IPv4 header and TCP.
constexpr uint16_t apply_delta(uint16_t checksum, uint16_t delta) {
    return static_cast<uint16_t>(~add_deltas(static_cast<uint16_t>(~checksum), delta));
}

// ICMP.
constexpr uint16_t apply_delta_icmp(uint16_t checksum, uint16_t delta) {
    const uint16_t changed = apply_delta(checksum, delta);
    return changed == 0 ? uint16_t{0xffff} : changed;
}

// UDP.
constexpr uint16_t apply_delta_udp(uint16_t checksum, uint16_t delta) {
    const uint16_t changed = apply_delta_icmp(checksum, delta);
    return checksum == 0 ? uint16_t{0} : changed;
}

// The unfolded sum of bytes, an odd last one padded with zero, on top of `initial` (another such
// sum, over an even number of bytes before). Cost: about a cycle for 8 bytes.
inline uint64_t sum_of(std::span<const uint8_t> bytes, uint64_t initial = 0) {
    uint64_t sum = fold(initial);
    const uint8_t* p = bytes.data();
    size_t left = bytes.size();
    for (; left >= 8; left -= 8, p += 8) {
        uint64_t word;
        std::memcpy(&word, p, 8);
        sum += (word & 0xffffffff) + (word >> 32);  // 2^31 words until this could overflow
    }
    if (left > 0) {
        uint64_t word = 0;
        std::memcpy(&word, p, left);
        sum += (word & 0xffffffff) + (word >> 32);
    }
    return sum;
}

// What stands, or is to stand with its field zero, in a header that covers `bytes` and `initial`.
inline uint16_t full_checksum(std::span<const uint8_t> bytes, uint64_t initial = 0) {
    return static_cast<uint16_t>(~fold(sum_of(bytes, initial)));
}

// Whether bytes that contain their checksum verify.
inline bool verifies(std::span<const uint8_t> bytes, uint64_t initial = 0) {
    return fold(sum_of(bytes, initial)) == 0xffff;
}

// The unfolded sum of the IPv4 pseudo-header of TCP and UDP; `length` of header and payload, host
// order.
constexpr uint64_t pseudo_header_sum(Ipv4Addr a, Ipv4Addr b, Protocol protocol, uint16_t length) {
    return uint64_t{a.raw} + b.raw + base::swap16(static_cast<uint8_t>(protocol)) +
           base::swap16(length);
}

}  // namespace sekisho::packet
