// Sequence numbers of TCP (RFC 9293 3.4): 32 bits that wrap; host order.
#pragma once

#include <cstdint>

namespace sekisho::stream {

// From `from` to `to`; right while they are less than 2^31 apart, negative if `to` comes earlier.
constexpr int32_t distance(uint32_t from, uint32_t to) {
    return static_cast<int32_t>(to - from);
}

}  // namespace sekisho::stream
