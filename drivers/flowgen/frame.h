// FrameWriter: frames of 64 bytes and more from templates, by eight wide stores.
//
//   Shape     Ethernet, IPv4 without options, UDP | TCP | ICMP echo, tag, zeros. Only the first 64 bytes are written: what
//             lies behind them in the buffer must be zero already (Rotation sees to that), so a long frame costs no more.
//   Order     what is written is put together in registers and stored wide, as a NIC would leave it: nothing in the frame
//             was stored narrower than it will be loaded (store forwarding).
//   Cost      about 20 instructions. Thread: pure once made.
//   Source    RFC 791, 768, 793, 792.
#pragma once

#include <array>
#include <cstdint>

#include "base/types.h"
#include "flowgen/tag.h"
#include "packet/checksum.h"
#include "packet/views.h"

namespace sekisho::flowgen {

inline constexpr uint8_t kFirstTtl = 64;
inline constexpr size_t kL3 = packet::kEthernetHeader;
inline constexpr size_t kL4 = kL3 + packet::kIpv4Header;
inline constexpr uint16_t kWindow = 0x8000;

// Where the payload begins, and with it the tag.
constexpr size_t payload_offset(Protocol protocol) {
    return kL4 + (protocol == Protocol::kTcp ? packet::kTcpHeader : packet::kUdpHeader);
}

struct FrameAddresses {  // network order, as they are to stand in the packet
    Ipv4Addr source, destination;
    Port source_port, destination_port;  // ICMP: only one of them counts, see Template
};

// The words of a frame that are the same for all sessions.
struct FrameTemplate {
    Protocol protocol = Protocol::kUdp;
    uint16_t length = 64;
    std::array<uint64_t, 3> words{};  // bytes 0 to 23
    uint32_t ip_sum = 0;              // of the IPv4 header, without addresses
    uint32_t l4_sum = 0;  // of what the transport checksum covers, without addresses, ports and tag
    uint32_t sequence = 0;  // TCP, network order
    uint32_t acknowledgement = 0;
    uint16_t offset_and_flags = 0;  // TCP; ICMP: type and code
};

inline FrameTemplate make_template(
    Protocol protocol, uint16_t length, const MacAddr& to, const MacAddr& from, uint8_t kind
) {
    FrameTemplate t;
    t.protocol = protocol;
    t.length = length;
    std::array<uint8_t, 24> bytes{};
    std::memcpy(bytes.data(), to.bytes, 6);
    std::memcpy(bytes.data() + 6, from.bytes, 6);
    packet::store(&bytes[12], base::swap16(packet::kEtherIpv4));
    const auto total = static_cast<uint16_t>(length - kL3);
    const auto l4_length = static_cast<uint16_t>(length - kL4);
    bytes[kL3] = 0x45;
    packet::store(&bytes[kL3 + packet::offset::kIpLength], base::swap16(total));
    packet::store(&bytes[kL3 + packet::offset::kIpFragment], base::swap16(packet::kDontFragment));
    bytes[kL3 + packet::offset::kIpTtl] = kFirstTtl;
    bytes[kL3 + packet::offset::kIpProtocol] = static_cast<uint8_t>(protocol);
    std::memcpy(t.words.data(), bytes.data(), bytes.size());
    t.ip_sum = packet::fold(packet::sum_of({&bytes[kL3], 10}));
    switch (protocol) {
        case Protocol::kUdp:
            t.offset_and_flags = base::swap16(l4_length);
            t.l4_sum = packet::fold(
                packet::pseudo_header_sum({}, {}, protocol, l4_length) + base::swap16(l4_length)
            );
            break;
        case Protocol::kTcp:
            t.offset_and_flags = static_cast<uint16_t>(0x50 | kind << 8);
            t.l4_sum = packet::fold(
                packet::pseudo_header_sum({}, {}, protocol, l4_length) + t.offset_and_flags +
                base::swap16(kWindow)
            );
            break;
        case Protocol::kIcmp:
            t.offset_and_flags = kind;
            t.l4_sum = kind;
            break;
        default:  // a profile has no other
            break;
    }
    return t;
}

// Sequence numbers of a TCP template; what does not fit another protocol is ignored there.
inline void set_sequence(FrameTemplate& t, uint32_t sequence, uint32_t acknowledgement) {
    const uint64_t before = packet::fold(uint64_t{t.sequence} + t.acknowledgement);
    t.sequence = base::swap32(sequence);
    t.acknowledgement = base::swap32(acknowledgement);
    const uint64_t after = packet::fold(uint64_t{t.sequence} + t.acknowledgement);
    t.l4_sum = packet::fold(
        uint64_t{t.l4_sum} + packet::inverse_delta(static_cast<uint16_t>(before)) + after
    );
}

// Writes 64 bytes.
[[gnu::always_inline]] inline void write_frame(
    uint8_t* at, const FrameTemplate& t, const FrameAddresses& a, const Tag& tag
) {
    const uint64_t addresses = uint64_t{a.source.raw} + a.destination.raw;
    const uint16_t ip_checksum = static_cast<uint16_t>(~packet::fold(addresses + t.ip_sum));
    const uint64_t ports = a.source_port.raw | uint32_t{a.destination_port.raw} << 16;
    const uint64_t source = a.source.raw;
    const uint64_t destination = a.destination.raw;
    const uint64_t words = tag.words();
    const uint64_t check = Tag::check_of(words);
    uint64_t out[8];
    out[0] = t.words[0];
    out[1] = t.words[1];
    out[2] = t.words[2];
    out[3] = ip_checksum | source << 16 | destination << 48;
    out[4] = destination >> 16;
    if (t.protocol == Protocol::kUdp) {
        const uint16_t sum = packet::fold(addresses + ports + t.l4_sum);
        const uint64_t checksum = sum == 0xffff ? 0xffff : static_cast<uint16_t>(~sum);
        out[4] |= ports << 16 | uint64_t{t.offset_and_flags} << 48;
        out[5] = checksum | words << 16;
        out[6] = words >> 48 | check << 16;
        out[7] = 0;
    } else if (t.protocol == Protocol::kTcp) {
        const uint64_t checksum =
            static_cast<uint16_t>(~packet::fold(addresses + ports + t.l4_sum));
        out[4] |= ports << 16 | uint64_t{t.sequence} << 48;
        out[5] = t.sequence >> 16 | uint64_t{t.acknowledgement} << 16 |
                 uint64_t{t.offset_and_flags} << 48;
        out[6] = uint64_t{base::swap16(kWindow)} | checksum << 16 | words << 48;
        out[7] = words >> 16 | check << 48;
    } else {
        const uint64_t identifier = a.source_port.raw;
        const uint64_t checksum = static_cast<uint16_t>(~packet::fold(identifier + t.l4_sum));
        out[4] |= uint64_t{t.offset_and_flags} << 16 | checksum << 32 | identifier << 48;
        out[5] = words << 16;
        out[6] = words >> 48 | check << 16;
        out[7] = 0;
    }
    for (size_t i = 0; i < 8;
         ++i) {  // word by word: a copy of the array would load it wider than it was stored
        packet::store(at + 8 * i, out[i]);
    }
}

}  // namespace sekisho::flowgen
