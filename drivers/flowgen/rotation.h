// Rotation: the buffers that flowgen's queues of one worker pass round, first in, first out.
//
//   Why       a pool gives back first what came last, so that a few hundred buffers would serve for ever and always lie in
//             the nearest cache. Here at least kBuffersPerLink a link go round, as a NIC's rings and its driver's would.
//   Shape     buffers from a PacketStore, empty, zero behind the first 64 bytes: what fill() takes is cleared, and who puts
//             one back has seen that it is one of these still.
//   Bound     as many as it is made with, kSlack included. Who receives more than is sent does not keep them: the longest
//             rested go back to the store, a burst at a time.
//   Owner     one worker; its queues share it. Buffers that the pipeline drops go back to the store; take() fetches others.
//   Cost      16 bytes moved a buffer. Allocates only when made.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <span>
#include <vector>

#include "config/flowgen_profile.h"
#include "packet/packet.h"

namespace sekisho::flowgen {

inline constexpr unsigned kBuffersPerLink = 4096;
inline constexpr unsigned kSlack = 512;  // for what is on its way through the pipeline

// Where a frame begins in its buffer. Without huge pages every buffer lies at the same place of a page of its own, and frames
// at one place of their buffers would meet in a few sets of the caches; so they are shifted by whole lines.
inline uint16_t headroom_of(const void* handle) {
    constexpr size_t kShifts = 8;
    const size_t shift = reinterpret_cast<uintptr_t>(handle) >> 12 & (kShifts - 1);
    static_assert(config::kFlowgenMostSize + 64 * (kShifts - 1) <= packet::kBufferRoom);
    return static_cast<uint16_t>(packet::kBufferHeadroom + 64 * shift);
}

struct Buffer {
    uint8_t* data = nullptr;  // where a frame begins
    void* handle = nullptr;
};

class Rotation {
  public:
    Rotation(PacketStore& store, unsigned links, unsigned per_link = kBuffersPerLink)
        : store_(store),
          least_(links * per_link),
          most_(least_ + kSlack),
          mask_(std::bit_ceil(most_) - 1),
          ring_(mask_ + 1) {
        fill(most_);
    }
    ~Rotation() {
        while (size() > 0) {
            give_back();
        }
    }
    Rotation(const Rotation&) = delete;
    Rotation& operator=(const Rotation&) = delete;

    size_t size() const { return tail_ - head_; }

    // Takes up to out.size() buffers, the longest rested first.
    unsigned take(std::span<Buffer> out) {
        if (size() < least_) [[unlikely]] {
            fill(out.size());
        }
        const auto count = static_cast<unsigned>(std::min(out.size(), size()));
        for (unsigned i = 0; i < count; ++i) {
            out[i] = ring_[head_++ & mask_];
        }
        return count;
    }
    void put(const Buffer& buffer) {
        if (size() >= most_) [[unlikely]] {
            give_back();
        }
        ring_[tail_++ & mask_] = buffer;
    }
    // A packet that ends here; it must be one of flowgen's frames, in one piece.
    void put(const PacketRef& packet) {
        put(Buffer{packet.data - packet.headroom + headroom_of(packet.handle), packet.handle});
    }

    static PacketRef ref_of(const Buffer& buffer) {
        PacketRef packet;
        packet.data = buffer.data;
        packet.handle = buffer.handle;
        packet.headroom = headroom_of(buffer.handle);
        return packet;
    }
    PacketStore& store() { return store_; }

  private:
    void fill(size_t most) {
        for (size_t i = 0; i < most; ++i) {
            const PacketRef packet = store_.allocate();
            if (packet.handle == nullptr) {
                return;
            }
            std::memset(packet.data, 0, packet::kBufferRoom);
            put(packet);
        }
    }

    void give_back() {
        std::array<PacketRef, packet::kBurst> burst;
        const size_t count = std::min(burst.size(), size());
        for (size_t i = 0; i < count; ++i) {
            burst[i] = ref_of(ring_[head_++ & mask_]);
        }
        store_.free(std::span(burst).first(count));
    }

    PacketStore& store_;
    size_t least_;
    size_t most_;
    size_t mask_;
    std::vector<Buffer> ring_;
    size_t head_ = 0;
    size_t tail_ = 0;
};

}  // namespace sekisho::flowgen
