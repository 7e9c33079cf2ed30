// Cutting frames into fragments and putting fragments together again, as the ends do; knows nothing of lib's own cutting.
//
//   Errors    join() gives nothing where a byte is missing, comes twice, or the fragments are not of one datagram.
#pragma once

#include <optional>
#include <vector>

#include "packet_builder.h"

namespace sekisho::test {

// The fragments of an untagged frame with at most `size` bytes of payload each (a multiple of 8), in order.
std::vector<ByteVector> split(const ByteVector& frame, size_t size);

// The frame whose fragments these are, in any order: one datagram.
std::optional<ByteVector> join(const std::vector<ByteVector>& fragments);

// One fragment of a datagram that need not exist: `payload` is what lies there.
ByteVector fragment_of(PacketBuilder header, size_t begin, bool more, const ByteVector& payload);

}  // namespace sekisho::test
