#include "dpdk/mbuf_store.h"

#include <algorithm>
#include <array>
#include <cstring>

#include <fmt/format.h>
#include <rte_errno.h>
#include <rte_mbuf.h>

#include "dpdk/mbuf_sync.h"

namespace sekisho::dpdk {

namespace {

constexpr unsigned kCache = 256;
constexpr uint16_t kRoom = packet::kBufferRoom + packet::kBufferHeadroom;
static_assert(packet::kBufferHeadroom == RTE_PKTMBUF_HEADROOM);

rte_mbuf* mbuf_of(const PacketRef& packet) {
    return static_cast<rte_mbuf*>(packet.handle);
}

}  // namespace

size_t MbufStore::bytes_for(unsigned buffers, bool huge_pages) {
    // mbuf header, room, alignment and the pool's object header.
    constexpr size_t kObject = sizeof(rte_mbuf) + kRoom + 128;
    constexpr size_t kPage = 4096;
    static_assert(kObject <= kPage);
    return size_t{buffers} * (huge_pages ? kObject : kPage);
}

Result<std::unique_ptr<MbufStore>> MbufStore::create(
    unsigned worker, unsigned buffers, bool huge_pages, int numa_node
) {
    std::unique_ptr<MbufStore> store(new MbufStore);
    const std::string name = fmt::format("worker{}", worker);
    store->pool_ = rte_pktmbuf_pool_create(name.c_str(), buffers, kCache, 0, kRoom, numa_node);
    if (store->pool_ == nullptr) {
        return failure(fmt::format(
            "{} packet buffers of worker {} do not fit into memory ({}): {} MiB are wanted; {}",
            buffers,
            worker,
            rte_strerror(rte_errno),
            bytes_for(buffers, huge_pages) >> 20,
            huge_pages ? "give more huge pages, or set system.huge-pages: never"
                       : "free some memory, or configure fewer shards or links"
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

namespace {

// Cuts a chain to `bytes` behind its first segment; segments that are left empty go back to their pool.
void cut_chain(rte_mbuf* first, uint32_t bytes) {
    rte_mbuf* last = first;
    uint16_t kept = 1;
    while (bytes > 0 && last->next != nullptr) {
        last = last->next;
        last->data_len = static_cast<uint16_t>(std::min<uint32_t>(last->data_len, bytes));
        bytes -= last->data_len;
        ++kept;
    }
    if (last->next != nullptr) {
        rte_pktmbuf_free(last->next);
        last->next = nullptr;
    }
    first->nb_segs = kept;
}

}  // namespace

void sync_chain(const PacketRef& packet, rte_mbuf* mbuf) {
    mbuf->data_len = packet.length;
    cut_chain(mbuf, static_cast<uint32_t>(packet.frame_length - packet.length));
}

void MbufStore::sync(PacketRef& packet) {
    sync_mbuf(packet);
}

bool MbufStore::copy(const PacketRef& packet, size_t from, std::span<uint8_t> to) const {
    const auto offset = static_cast<uint32_t>(from);
    const auto length = static_cast<uint32_t>(to.size());
    const void* bytes = rte_pktmbuf_read(sync_mbuf(packet), offset, length, to.data());
    if (bytes != nullptr && bytes != to.data()) {  // it lay in one piece, and was not copied
        std::memcpy(to.data(), bytes, to.size());
    }
    return bytes != nullptr;
}

size_t MbufStore::in_use() const {
    return rte_mempool_in_use_count(pool_);
}

}  // namespace sekisho::dpdk
