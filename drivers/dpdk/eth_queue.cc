#include "dpdk/eth_queue.h"

#include <algorithm>
#include <array>

#include <rte_ethdev.h>
#include <rte_prefetch.h>

#include "dpdk/mbuf_store.h"

namespace sekisho::dpdk {

namespace {

uint8_t checksum_flags(uint64_t offload_flags) {
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

}  // namespace

unsigned EthQueue::receive(std::span<PacketRef> out) {
    std::array<rte_mbuf*, packet::kBurst> mbufs;
    const auto room = static_cast<uint16_t>(std::min(out.size(), mbufs.size()));
    if (!door_.enter()) {
        return 0;
    }
    const unsigned n = rte_eth_rx_burst(port_, queue_, mbufs.data(), room);
    door_.leave();
    for (unsigned i = 0; i < n; ++i) {
        rte_prefetch0(rte_pktmbuf_mtod(mbufs[i], void*));
    }
    for (unsigned i = 0; i < n; ++i) {
        rte_mbuf* mbuf = mbufs[i];
        PacketRef& packet = out[i];
        packet = PacketRef{};
        packet.data = rte_pktmbuf_mtod(mbuf, uint8_t*);
        packet.handle = mbuf;
        packet.length = mbuf->data_len;
        packet.frame_length = static_cast<uint16_t>(std::min<uint32_t>(mbuf->pkt_len, UINT16_MAX));
        packet.headroom = mbuf->data_off;
        packet.in_link = first_link_;
        packet.flags = checksum_flags(mbuf->ol_flags);
    }
    return n;
}

unsigned EthQueue::send(std::span<PacketRef> packets) {
    std::array<rte_mbuf*, packet::kBurst> mbufs;
    unsigned sent = 0;
    if (!door_.enter()) {
        return 0;
    }
    while (sent < packets.size()) {
        const unsigned n = static_cast<unsigned>(std::min(packets.size() - sent, mbufs.size()));
        for (unsigned i = 0; i < n; ++i) {
            sync_mbuf(packets[sent + i]);
            mbufs[i] = static_cast<rte_mbuf*>(packets[sent + i].handle);
        }
        const unsigned done =
            rte_eth_tx_burst(port_, queue_, mbufs.data(), static_cast<uint16_t>(n));
        sent += done;
        if (done < n) {
            break;
        }
    }
    door_.leave();
    return sent;
}

}  // namespace sekisho::dpdk
