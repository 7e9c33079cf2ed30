// Rotation: the buffers that flowgen's queues of one worker pass round, first in, first out.
//
//   Why       a pool gives back first what came last, so that a few hundred buffers would serve for ever and always lie in
//             the nearest cache. Here at least kBuffersPerLink a link go round, as a NIC's rings and its driver's would.
//   Shape     buffers from a PacketStore, empty, zero behind the first 64 bytes: what fill() takes is cleared, and who puts
//             one back has seen that it is one of these still.
//   Owner     one worker; its queues share it. Buffers that the pipeline drops go back to the store; take() fetches others.
//   Cost      16 bytes moved a buffer. Allocates only when made.
#pragma once

#include <algorithm>
#include <bit>
#include <cstring>
#include <span>
#include <vector>

#include "config/flowgen_profile.h"
#include "packet/packet.h"

namespace sekisho::flowgen {

inline constexpr unsigned kBuffersPerLink = 4096;
inline constexpr unsigned kSlack = 512;  // for what is on its way through the pipeline

struct Buffer {
    uint8_t* data = nullptr;  // where a frame begins
    void* handle = nullptr;
};

class Rotation {
  public:
    Rotation(PacketStore& store, unsigned links, unsigned per_link = kBuffersPerLink)
        : store_(store),
          least_(links * per_link),
          mask_(std::bit_ceil(size_t{least_} * 2) - 1),
          ring_(mask_ + 1) {
        fill(least_ + kSlack);
    }
    ~Rotation() {
        while (size() > 0) {
            const PacketRef packet = ref_of(ring_[head_++ & mask_]);
            store_.free({&packet, 1});
        }
    }
    Rotation(const Rotation&) = delete;
    Rotation& operator=(const Rotation&) = delete;

    size_t size() const { return tail_ - head_; }

    // Takes up to out.size() buffers, the longest rested first; their first lines are asked for.
    unsigned take(std::span<Buffer> out) {
        if (size() < least_) [[unlikely]] {
            fill(static_cast<unsigned>(out.size()));
        }
        const auto count = static_cast<unsigned>(std::min(out.size(), size()));
        for (unsigned i = 0; i < count; ++i) {
            out[i] = ring_[head_++ & mask_];
            __builtin_prefetch(out[i].data, 1);
        }
        return count;
    }
    void put(const Buffer& buffer) {
        if (size() > mask_) [[unlikely]] {
            const PacketRef packet = ref_of(buffer);
            store_.free({&packet, 1});
            return;
        }
        ring_[tail_++ & mask_] = buffer;
    }
    // A packet that ends here; it must be one of flowgen's frames, in one piece.
    void put(const PacketRef& packet) {
        put(Buffer{packet.data - packet.headroom + packet::kBufferHeadroom, packet.handle});
    }

    static PacketRef ref_of(const Buffer& buffer) {
        PacketRef packet;
        packet.data = buffer.data;
        packet.handle = buffer.handle;
        packet.headroom = packet::kBufferHeadroom;
        return packet;
    }
    PacketStore& store() { return store_; }

  private:
    void fill(unsigned most) {
        for (unsigned i = 0; i < most; ++i) {
            const PacketRef packet = store_.allocate();
            if (packet.handle == nullptr) {
                return;
            }
            std::memset(packet.data, 0, config::kFlowgenMostSize);
            put(packet);
        }
    }

    PacketStore& store_;
    unsigned least_;
    size_t mask_;
    std::vector<Buffer> ring_;
    size_t head_ = 0;
    size_t tail_ = 0;
};

}  // namespace sekisho::flowgen
