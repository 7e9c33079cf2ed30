// Frames that the appliance makes: the Ethernet header with its tags, and ARP.
//
//   Order     VLAN ids, operation and Ethernet type in host order; the caller's room is named with
//             each function.
//   Cost      stores only. Thread: the buffer's owner.
//   Source    IEEE 802.3, 802.1Q, 802.1ad (two tags: the outer one is 0x88a8); RFC 826, 5227.
#pragma once

#include <cstdint>
#include <span>

#include "base/types.h"
#include "packet/packet.h"
#include "packet/views.h"

namespace sekisho::packet {

constexpr size_t l2_length(size_t vlan_count) {
    return kEthernetHeader + kVlanTag * vlan_count;
}

// Writes l2_length(vlans.size()) bytes from `at`; at most kMaxVlanTags tags, outermost first.
// Returns what it wrote.
size_t write_l2_header(
    uint8_t* at,
    const MacAddr& to,
    const MacAddr& from,
    std::span<const uint16_t> vlans,
    uint16_t ether_type
);

struct ArpMessage {
    uint16_t operation = ArpView::kRequest;
    MacAddr sender_mac;
    Ipv4Addr sender;
    MacAddr target_mac;  // of a request: zero
    Ipv4Addr target;
};

// Writes kArpLength bytes.
void write_arp(uint8_t* at, const ArpMessage& message);

// Makes a whole ARP frame from packet.data on, from message.sender_mac to `to`, and sets length and
// frame_length. The buffer is a whole one of a store: kBufferRoom bytes from data.
void build_arp(
    PacketRef& packet, const MacAddr& to, std::span<const uint16_t> vlans, const ArpMessage& message
);

}  // namespace sekisho::packet
