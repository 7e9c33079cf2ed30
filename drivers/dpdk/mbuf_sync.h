// Between a PacketRef and the mbuf behind it; inline, as it is done for every packet twice.
//
//   Law       only for drivers/dpdk's own sources: it includes DPDK's headers.
//   Thread    the packet's owner.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>

#include <rte_mbuf.h>

#include "packet/packet.h"

namespace sekisho::dpdk {

inline uint8_t checksum_flags(uint64_t offload_flags) {
    constexpr uint64_t kTold = RTE_MBUF_F_RX_IP_CKSUM_MASK | RTE_MBUF_F_RX_L4_CKSUM_MASK;
    if ((offload_flags & kTold) == 0) [[likely]] {
        return 0;
    }
    uint8_t flags = 0;
    const uint64_t ip = offload_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK;
    if (ip == RTE_MBUF_F_RX_IP_CKSUM_GOOD) {
        flags |= packet::kIpChecksumGood;
    } else if (ip == RTE_MBUF_F_RX_IP_CKSUM_BAD) {
        flags |= packet::kIpChecksumBad;
    }
    if ((offload_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_BAD) {
        flags |= packet::kL4ChecksumBad;
    }
    return flags;
}

// Describes a received packet in four whole words, straight into place: narrow stores, or a copy of
// the whole, would be waited for by those who read it next.
inline void describe(rte_mbuf* mbuf, LinkId link, PacketRef& packet) {
    static_assert(
        sizeof(PacketRef) == 32 && offsetof(PacketRef, data) == 0 &&
        offsetof(PacketRef, handle) == 8 && offsetof(PacketRef, length) == 16 &&
        offsetof(PacketRef, frame_length) == 18 && offsetof(PacketRef, headroom) == 20 &&
        offsetof(PacketRef, in_link) == 22 && offsetof(PacketRef, flags) == 24
    );
    const uint64_t data_off = mbuf->data_off;
    const uint64_t frame = std::min<uint32_t>(mbuf->pkt_len, UINT16_MAX);
    const uint64_t lengths =
        mbuf->data_len | frame << 16 | data_off << 32 | uint64_t{link.value} << 48;
    const uint64_t flags = checksum_flags(mbuf->ol_flags);
    packet.data = static_cast<uint8_t*>(mbuf->buf_addr) + data_off;
    packet.handle = mbuf;
    auto* bytes = reinterpret_cast<uint8_t*>(&packet);
    std::memcpy(bytes + offsetof(PacketRef, length), &lengths, sizeof lengths);
    std::memcpy(bytes + offsetof(PacketRef, flags), &flags, sizeof flags);
}

// The rest of sync_mbuf() for a packet of several segments.
void sync_chain(const PacketRef& packet, rte_mbuf* mbuf);

// Writes the ref's idea of the packet back into its mbuf.
inline rte_mbuf* sync_mbuf(const PacketRef& packet) {
    auto* mbuf = static_cast<rte_mbuf*>(packet.handle);
    mbuf->data_off = static_cast<uint16_t>(packet.data - static_cast<uint8_t*>(mbuf->buf_addr));
    mbuf->ol_flags = 0;
    mbuf->pkt_len = packet.frame_length;
    if (mbuf->nb_segs != 1) [[unlikely]] {
        sync_chain(packet, mbuf);
    } else {
        mbuf->data_len = packet.frame_length;
    }
    return mbuf;
}

}  // namespace sekisho::dpdk
