// HeapStore: a PacketStore over heap buffers, which finds what a test must not do.
//
//   Shape     `capacity` buffers of kBufferHeadroom + kBufferRoom bytes, one heap block each, so
//             that the address sanitizer sees both ends.
//   Errors    a double free, a foreign handle or a ref that left its buffer throws
//             std::logic_error: a bug of the code under test. allocate() of an empty store gives a
//             null handle, as the contract says.
//   Cost      a free buffer is filled with 0xdd (and poisoned under the sanitizer) unless kFast is
//             asked for.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "packet/packet.h"

namespace sekisho::test {

class HeapStore final : public PacketStore {
  public:
    enum class Checking : uint8_t { kFull, kFast };

    explicit HeapStore(size_t capacity, Checking checking = Checking::kFull);
    ~HeapStore() override;
    HeapStore(const HeapStore&) = delete;
    HeapStore& operator=(const HeapStore&) = delete;

    PacketRef allocate() override;
    void free(std::span<const PacketRef> packets) override;
    void sync(PacketRef& packet) override;
    bool copy(const PacketRef& packet, size_t from, std::span<uint8_t> to) const override;
    size_t in_use() const override { return buffers_.size() - free_.size(); }

    // A buffer filled with `frame`, as if link `in_link` had received it; what is more than kBufferRoom is its second segment.
    PacketRef make(std::span<const uint8_t> frame, LinkId in_link = {}, uint8_t flags = 0);
    void free_one(const PacketRef& packet) { free({&packet, 1}); }

    // From now on at most `n` buffers are out at a time (at most the capacity): to test exhaustion.
    void limit(size_t n) { limit_ = n; }

    // How often allocate() found nothing.
    size_t refusals() const { return refusals_; }

  private:
    struct Buffer;
    Buffer& buffer_of(const PacketRef& packet) const;
    void poison(Buffer& buffer) const;
    static void unpoison(Buffer& buffer);

    std::vector<std::unique_ptr<Buffer>> buffers_;
    std::vector<Buffer*> free_;
    size_t limit_;
    size_t refusals_ = 0;
    Checking checking_;
};

// A copy of the first segment of a packet.
std::vector<uint8_t> bytes_of(const PacketRef& packet);

}  // namespace sekisho::test
