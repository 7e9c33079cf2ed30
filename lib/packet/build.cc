#include "packet/build.h"

#include <algorithm>
#include <cstring>

namespace sekisho::packet {

size_t write_l2_header(
    uint8_t* at,
    const MacAddr& to,
    const MacAddr& from,
    std::span<const uint16_t> vlans,
    uint16_t ether_type
) {
    const size_t count = std::min(vlans.size(), kMaxVlanTags);
    std::memcpy(at, to.bytes, 6);
    std::memcpy(at + 6, from.bytes, 6);
    uint8_t* p = at + 12;
    for (size_t i = 0; i < count; ++i, p += kVlanTag) {
        store(p, base::swap16(i + 1 < count ? kEtherQinq : kEtherVlan));
        store(p + 2, base::swap16(vlans[i]));
    }
    store(p, base::swap16(ether_type));
    return l2_length(count);
}

void write_arp(uint8_t* at, const ArpMessage& message) {
    static constexpr uint8_t kEthernetAndIpv4[] = {0, 1, 0x08, 0x00, 6, 4};
    std::memcpy(at, kEthernetAndIpv4, 6);
    store(at + 6, base::swap16(message.operation));
    std::memcpy(at + 8, message.sender_mac.bytes, 6);
    store(at + 14, message.sender.raw);
    std::memcpy(at + 18, message.target_mac.bytes, 6);
    store(at + 24, message.target.raw);
}

void build_arp(
    PacketRef& packet, const MacAddr& to, std::span<const uint16_t> vlans, const ArpMessage& message
) {
    const size_t l2 = write_l2_header(packet.data, to, message.sender_mac, vlans, kEtherArp);
    write_arp(packet.data + l2, message);
    packet.length = packet.frame_length = static_cast<uint16_t>(l2 + kArpLength);
}

}  // namespace sekisho::packet
