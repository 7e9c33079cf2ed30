// Packet: a packet as the specification sees it, in plain numbers.
//
//   Order     addresses, ports and numbers as people write them: host order.
//   Ports     of an ICMP query the identifier is the port of the side that asks; the other one is 0.
//   Source    RFC 791, 792, 768, 793.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace sekisho::spec {

// Of somebody inside, the number of the realm stands above the 32 bits: two realms may have the same address. 0 is the first
// realm, and the outside.
using Address = uint64_t;
constexpr Address bare(Address a) {
    return a & 0xffffffff;
}
constexpr unsigned realm_of(Address a) {
    return static_cast<unsigned>(a >> 32);
}
// `a` in the realm of `other`.
constexpr Address beside(Address other, Address a) {
    return (other ^ bare(other)) | bare(a);
}
using Time = int64_t;  // ms; never wraps

enum class Proto : uint8_t { kTcp, kUdp, kIcmp };
inline constexpr Proto kProtos[] = {Proto::kTcp, Proto::kUdp, Proto::kIcmp};

enum class Side : uint8_t { kInside, kOutside };

struct Endpoint {
    Address address = 0;
    uint16_t port = 0;
    friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
};

inline constexpr uint8_t kFin = 1, kSyn = 2, kRst = 4, kPsh = 8, kAck = 16;
inline constexpr uint8_t kEchoReply = 0, kUnreachable = 3, kEchoRequest = 8, kTimeExceeded = 11;

struct Packet {
    Proto protocol = Proto::kUdp;
    Endpoint from;
    Endpoint to;
    uint8_t ttl = 64;
    unsigned payload = 0;      // bytes behind the transport header
    bool no_checksum = false;  // of UDP
    uint8_t tcp_flags = 0;
    uint32_t sequence = 0;
    uint32_t acknowledgement = 0;
    uint16_t window = 0;
    int scale = -1;  // of a SYN's window scale option; -1: none
    uint8_t icmp_type = 0;
    uint8_t icmp_code = 0;
    uint16_t icmp_sequence = 0;     // of an echo
    uint32_t icmp_rest = 0;         // of an error: the second word of its header
    std::vector<Packet> quote;      // of an error: one
    size_t quoted_bytes = 0;        // so many of them, from the quoted IPv4 header on
    bool wrong_checksum = false;    // of an error
    bool quote_is_damaged = false;  // the quoted IPv4 header's checksum is wrong

    bool is_error() const { return !quote.empty(); }
};

// The NAT's two changes of a packet: one end of it, and of an error also of what it quotes.
inline Packet with_source(Packet packet, const Endpoint& from) {
    packet.from = from;
    return packet;
}
inline Packet with_destination(Packet packet, const Endpoint& to) {
    packet.to = to;
    return packet;
}

}  // namespace sekisho::spec
