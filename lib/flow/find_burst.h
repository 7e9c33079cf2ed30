// find_burst: the entries of a burst of hashes, in passes, so that memory is waited for once and
// not once a packet.
//
//   Shape     fetch all first buckets; take each one's first fitting tag as candidate and fetch its
//             record, or the second bucket where there is none; take those packets' candidates;
//             compare.
//   Cost      an index line and a record's line a packet; one packet in sixteen needs a second
//             index line at a full table. Choosing without branches what to fetch was measured
//             slower: what is guessed is mostly right and runs ahead of the memory.
//   Errors    found[i] is kNoIndex when no entry of hash[i] matches.
//   Thread    the shard's worker; changes nothing.
#pragma once

#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/types.h"
#include "flow/flow_index.h"

namespace sekisho::flow {

inline constexpr size_t kMaxFindBurst = 64;

// At most kMaxFindBurst hashes, `found` as long as `hash`.
//   prefetch(value)  touches the record that match() will read
//   match(i, value)  whether the entry is what packet i looks for
template <class Prefetch, class Match>
void find_burst(
    const FlowIndex& index,
    std::span<const uint64_t> hash,
    std::span<uint32_t> found,
    Prefetch&& prefetch,
    Match&& match
) {
    assert(hash.size() <= kMaxFindBurst && found.size() >= hash.size());
    const size_t count = hash.size();
    const auto any = [](uint32_t) { return true; };
    std::array<uint8_t, kMaxFindBurst> late;
    size_t late_count = 0;
    for (size_t i = 0; i < count; ++i) {
        index.prefetch_first(hash[i]);
    }
    for (size_t i = 0; i < count; ++i) {
        bool more = false;
        found[i] = index.find_first(hash[i], any, more);
        if (found[i] != kNoIndex) {
            prefetch(found[i]);
        } else if (more) {
            index.prefetch_second(hash[i]);
            late[late_count++] = static_cast<uint8_t>(i);
        }
    }
    const auto confirm = [&](size_t i) {
        if (found[i] != kNoIndex && !match(i, found[i])) [[unlikely]] {
            found[i] = index.find(hash[i], [&](uint32_t value) { return match(i, value); });
        }
    };
    for (size_t k = 0; k < late_count; ++k) {
        const size_t i = late[k];
        found[i] = index.find_rest(hash[i], any);
        if (found[i] != kNoIndex) {
            prefetch(found[i]);
        }
    }
    for (size_t i = 0; i < count; ++i) {
        confirm(i);
    }
}

}  // namespace sekisho::flow

namespace sekisho {
using flow::find_burst;
}
