// Zeroed memory aligned to a cache line, as a shard's arena gives it.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace sekisho::support {

class LineMemory {
  public:
    explicit LineMemory(size_t bytes) : lines_((bytes + 63) / 64) {}
    std::span<std::byte> bytes() { return std::as_writable_bytes(std::span(lines_)); }
    template <class T>
    std::span<T> records() {
        return {reinterpret_cast<T*>(lines_.data()), lines_.size() * sizeof(Line) / sizeof(T)};
    }

  private:
    struct alignas(64) Line {
        std::byte bytes[64];
    };
    std::vector<Line> lines_;
};

}  // namespace sekisho::support
