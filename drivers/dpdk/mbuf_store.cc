#include "dpdk/mbuf_store.h"

#include <array>

#include <fmt/format.h>
#include <rte_errno.h>
#include <rte_mbuf.h>

namespace sekisho::dpdk {

namespace {

constexpr unsigned kCache = 256;
constexpr uint16_t kRoom = packet::kBufferRoom + packet::kBufferHeadroom;
static_assert(packet::kBufferHeadroom == RTE_PKTMBUF_HEADROOM);

rte_mbuf* mbuf_of(const PacketRef& packet) {
    return static_cast<rte_mbuf*>(packet.handle);
}

}  // namespace

size_t MbufStore::bytes_for(unsigned buffers) {
    // mbuf header, room, private alignment and the pool's object header.
    return size_t{buffers} * (sizeof(rte_mbuf) + kRoom + 128);
}

Result<std::unique_ptr<MbufStore>> MbufStore::create(
    unsigned worker, unsigned buffers, int numa_node
) {
    std::unique_ptr<MbufStore> store(new MbufStore);
    const std::string name = fmt::format("worker{}", worker);
    store->pool_ = rte_pktmbuf_pool_create(name.c_str(), buffers, kCache, 0, kRoom, numa_node);
    if (store->pool_ == nullptr) {
        return failure(fmt::format(
            "{} packet buffers of worker {} do not fit into memory ({}): {} MiB are wanted; give "
            "more huge pages, or set "
            "system.huge-pages: never",
            buffers,
            worker,
            rte_strerror(rte_errno),
            bytes_for(buffers) >> 20
        ));
    }
    store->capacity_ = buffers;
    return store;
}

MbufStore::~MbufStore() {
    rte_mempool_free(pool_);
}

PacketRef MbufStore::allocate() {
    rte_mbuf* mbuf = rte_pktmbuf_alloc(pool_);
    PacketRef packet;
    if (mbuf != nullptr) {
        packet.data = rte_pktmbuf_mtod(mbuf, uint8_t*);
        packet.handle = mbuf;
        packet.headroom = rte_pktmbuf_headroom(mbuf);
    }
    return packet;
}

void MbufStore::free(std::span<const PacketRef> packets) {
    std::array<rte_mbuf*, packet::kBurst> mbufs;
    while (!packets.empty()) {
        const size_t n = std::min(packets.size(), mbufs.size());
        for (size_t i = 0; i < n; ++i) {
            mbufs[i] = mbuf_of(packets[i]);
        }
        rte_pktmbuf_free_bulk(mbufs.data(), static_cast<unsigned>(n));
        packets = packets.subspan(n);
    }
}

void sync_mbuf(const PacketRef& packet) {
    rte_mbuf* mbuf = mbuf_of(packet);
    mbuf->data_off = static_cast<uint16_t>(packet.data - static_cast<uint8_t*>(mbuf->buf_addr));
    mbuf->ol_flags = 0;
    if (mbuf->nb_segs == 1) {
        mbuf->data_len = packet.frame_length;
        mbuf->pkt_len = packet.frame_length;
        return;
    }
    mbuf->data_len = packet.length;
    if (mbuf->pkt_len > packet.frame_length) {
        rte_pktmbuf_trim(mbuf, static_cast<uint16_t>(mbuf->pkt_len - packet.frame_length));
    }
    mbuf->pkt_len = packet.frame_length;
}

void MbufStore::sync(PacketRef& packet) {
    sync_mbuf(packet);
}

size_t MbufStore::in_use() const {
    return rte_mempool_in_use_count(pool_);
}

}  // namespace sekisho::dpdk
