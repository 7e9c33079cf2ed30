#include "dpdk/eth_queue.h"

#include <algorithm>
#include <array>

#include <rte_ethdev.h>
#include <rte_prefetch.h>

#include "dpdk/mbuf_sync.h"

namespace sekisho::dpdk {

unsigned EthQueue::receive(std::span<PacketRef> out) {
    std::array<rte_mbuf*, packet::kBurst> mbufs;
    const auto room = static_cast<uint16_t>(std::min(out.size(), mbufs.size()));
    if (!door_.enter()) {
        return 0;
    }
    const unsigned n = rte_eth_rx_burst(port_, queue_, mbufs.data(), room);
    door_.leave();
    for (unsigned i = 0; i < n; ++i) {
        describe(mbufs[i], first_link_, out[i]);
        rte_prefetch0(out[i].data);
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
            mbufs[i] = sync_mbuf(packets[sent + i]);
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
