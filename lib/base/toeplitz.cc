#include "base/toeplitz.h"

namespace sekisho::base {
namespace {

// The 32 bits of the key from bit `at` on.
uint32_t key_window(const ToeplitzKey& key, size_t at) {
    uint64_t bits = 0;
    for (size_t i = 0; i < 5; ++i) {
        const size_t byte = at / 8 + i;
        bits = bits << 8 | (byte < key.size() ? key[byte] : 0);
    }
    return static_cast<uint32_t>(bits >> (8 - at % 8));
}

uint32_t hash_byte(const ToeplitzKey& key, size_t position, uint8_t value) {
    uint32_t hash = 0;
    for (size_t bit = 0; bit < 8; ++bit) {
        if ((value >> (7 - bit) & 1) != 0) {
            hash ^= key_window(key, 8 * position + bit);
        }
    }
    return hash;
}

}  // namespace

uint32_t toeplitz_hash(const ToeplitzKey& key, std::span<const uint8_t> input) {
    uint32_t hash = 0;
    for (size_t i = 0; i < input.size(); ++i) {
        hash ^= hash_byte(key, i, input[i]);
    }
    return hash;
}

Toeplitz::Toeplitz(const ToeplitzKey& key) : key_(key) {
    for (size_t position = 0; position < tables_.size(); ++position) {
        for (size_t value = 0; value < 256; ++value) {
            tables_[position][value] = hash_byte(key, position, static_cast<uint8_t>(value));
        }
    }
}

ShardTable ShardTable::even(unsigned shards) {
    ShardTable table;
    for (size_t i = 0; i < kEntries; ++i) {
        table.entries[i] = ShardId{static_cast<uint8_t>(i % shards)};
    }
    return table;
}

}  // namespace sekisho::base
