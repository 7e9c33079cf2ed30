// MbufStore: PacketStore over DPDK's mbufs, one a worker.
//
//   Owner     one worker allocates and frees through it; buffers of any worker may come in, each
//             goes back to its pool.
//   Cost      bulk calls; per-lcore caches keep the pool's ring off the usual route.
//   Errors    create() fails with the number of bytes that were wanted and how to get them.
#pragma once

#include <memory>

#include "base/result.h"
#include "packet/packet.h"

struct rte_mempool;
struct rte_mbuf;

namespace sekisho::dpdk {

class MbufStore final : public PacketStore {
  public:
    static Result<std::unique_ptr<MbufStore>> create(
        unsigned worker, unsigned buffers, bool huge_pages, int numa_node
    );
    ~MbufStore() override;

    PacketRef allocate() override;
    void free(std::span<const PacketRef> packets) override;
    void sync(PacketRef& packet) override;
    bool copy(const PacketRef& packet, size_t from, std::span<uint8_t> to) const override;
    size_t in_use() const override;  // of this worker's own pool
    size_t capacity() const { return capacity_; }
    rte_mempool* pool() { return pool_; }

    // Memory that `buffers` take, with all overhead, in bytes. Without huge pages DPDK lays no buffer
    // over two pages, so each takes one of its own.
    static size_t bytes_for(unsigned buffers, bool huge_pages);

  private:
    MbufStore() = default;
    rte_mempool* pool_ = nullptr;
    size_t capacity_ = 0;
};

}  // namespace sekisho::dpdk
