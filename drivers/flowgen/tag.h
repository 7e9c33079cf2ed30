// Tag: the first ten bytes of every payload, by which the far end knows the frame again.
//
//   Shape     session (4 bytes), pass and direction (4), check (2): the complement of the other words' sum. So all five
//             words add up to nothing in one's complement, the transport checksum does not depend on the tag, and a changed
//             byte of it is found even if the checksum was made to fit.
//   Order     little-endian numbers; the sum does not care.
//   Cost      a few additions. Thread: pure.
#pragma once

#include <cstdint>

#include "base/types.h"
#include "packet/checksum.h"
#include "packet/views.h"

namespace sekisho::flowgen {

inline constexpr size_t kTagLength = 10;

struct Tag {
    uint32_t session = 0;
    uint32_t pass = 0;  // 31 bits
    Direction direction = Direction::kOutbound;

    uint64_t words() const {
        return session | uint64_t{pass << 1 | static_cast<uint32_t>(direction)} << 32;
    }
    static uint16_t check_of(uint64_t words) {
        return static_cast<uint16_t>(~packet::fold((words & 0xffffffff) + (words >> 32)));
    }
};

// Whether the bytes are a tag at all.
inline bool read_tag(const uint8_t* bytes, Tag& tag) {
    const auto words = packet::load<uint64_t>(bytes);
    const auto above = static_cast<uint32_t>(words >> 32);
    tag = {static_cast<uint32_t>(words), above >> 1, static_cast<Direction>(above & 1)};
    return packet::load<uint16_t>(bytes + 8) == Tag::check_of(words);
}

}  // namespace sekisho::flowgen
