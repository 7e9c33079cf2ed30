#include "support/heap_store.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace sekisho::test {

struct HeapStore::Buffer {
    static constexpr size_t kBytes = packet::kBufferHeadroom + packet::kBufferRoom;

    const HeapStore* store = nullptr;
    bool out = false;
    uint16_t offset = 0;  // what sync() was told
    uint16_t length = 0;
    std::unique_ptr<uint8_t[]> memory;
    std::vector<uint8_t> tail;  // a second segment
};

HeapStore::HeapStore(size_t capacity, Checking checking) : limit_(capacity), checking_(checking) {
    buffers_.reserve(capacity);
    free_.reserve(capacity);
    for (size_t i = 0; i < capacity; ++i) {
        auto buffer = std::make_unique<Buffer>();
        buffer->store = this;
        buffer->memory = std::make_unique<uint8_t[]>(Buffer::kBytes);
        poison(*buffer);
        free_.push_back(buffer.get());
        buffers_.push_back(std::move(buffer));
    }
}

HeapStore::~HeapStore() {
    for (const auto& buffer : buffers_) {
        unpoison(*buffer);
    }
}

void HeapStore::poison(Buffer& buffer) const {
    if (checking_ == Checking::kFast) {
        return;
    }
    std::memset(buffer.memory.get(), 0xdd, Buffer::kBytes);
#if defined(__SANITIZE_ADDRESS__)
    __asan_poison_memory_region(buffer.memory.get(), Buffer::kBytes);
#endif
}

void HeapStore::unpoison([[maybe_unused]] Buffer& buffer) {
#if defined(__SANITIZE_ADDRESS__)
    __asan_unpoison_memory_region(buffer.memory.get(), Buffer::kBytes);
#endif
}

HeapStore::Buffer& HeapStore::buffer_of(const PacketRef& packet) const {
    auto* buffer = static_cast<Buffer*>(packet.handle);
    if (buffer == nullptr || buffer->store != this) {
        throw std::logic_error("HeapStore: a packet that is not of this store");
    }
    if (!buffer->out) {
        throw std::logic_error("HeapStore: a packet that was freed already");
    }
    return *buffer;
}

PacketRef HeapStore::allocate() {
    PacketRef ref;
    if (free_.empty() || in_use() >= limit_) {
        ++refusals_;
        return ref;
    }
    Buffer* buffer = free_.back();
    free_.pop_back();
    unpoison(*buffer);
    buffer->out = true;
    buffer->offset = packet::kBufferHeadroom;
    buffer->length = 0;
    ref.handle = buffer;
    ref.data = buffer->memory.get() + packet::kBufferHeadroom;
    ref.headroom = packet::kBufferHeadroom;
    return ref;
}

void HeapStore::free(std::span<const PacketRef> packets) {
    for (const PacketRef& packet : packets) {
        Buffer& buffer = buffer_of(packet);
        buffer.out = false;
        buffer.tail.clear();
        poison(buffer);
        free_.push_back(&buffer);
    }
}

void HeapStore::sync(PacketRef& packet) {
    Buffer& buffer = buffer_of(packet);
    const uint8_t* start = buffer.memory.get();
    const bool inside =
        packet.data >= start && packet.data + packet.length <= start + Buffer::kBytes;
    if (!inside || packet.data != start + packet.headroom || packet.length != packet.frame_length) {
        throw std::logic_error(
            "HeapStore: data, headroom and length of a packet disagree with its buffer"
        );
    }
    buffer.offset = packet.headroom;
    buffer.length = packet.length;
}

bool HeapStore::copy(const PacketRef& packet, size_t from, std::span<uint8_t> to) const {
    const std::vector<uint8_t>& tail = buffer_of(packet).tail;
    if (from + to.size() > packet.frame_length) {
        return false;
    }
    for (size_t i = 0; i < to.size(); ++i) {
        const size_t at = from + i;
        to[i] = at < packet.length ? packet.data[at] : tail.at(at - packet.length);
    }
    return true;
}

PacketRef HeapStore::make(std::span<const uint8_t> frame, LinkId in_link, uint8_t flags) {
    PacketRef ref = allocate();
    if (ref.handle == nullptr) {
        throw std::logic_error("HeapStore: no buffer left for a test's own packet");
    }
    const auto first = frame.first(std::min(frame.size(), packet::kBufferRoom));
    const auto rest = frame.subspan(first.size());
    std::copy(first.begin(), first.end(), ref.data);
    if (!rest.empty()) {
        buffer_of(ref).tail.assign(rest.begin(), rest.end());
    }
    ref.length = static_cast<uint16_t>(first.size());
    ref.frame_length = static_cast<uint16_t>(frame.size());
    ref.in_link = in_link;
    ref.flags = flags;
    return ref;
}

std::vector<uint8_t> bytes_of(const PacketRef& packet) {
    return {packet.data, packet.data + packet.length};
}

}  // namespace sekisho::test
