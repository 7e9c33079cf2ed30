#include "dataplane/fragment_ids.h"

#include <algorithm>
#include <bit>

namespace sekisho::dataplane {
namespace {

constexpr uint32_t kAllIds = 1U << 16;

}  // namespace

FragmentIds::FragmentIds(const HashSecret& secret, ShardId shard, unsigned shards)
    : secret_(secret),
      part_(kAllIds / shards),
      first_(part_ * shard.value),
      bits_(static_cast<uint32_t>(std::bit_width(part_ - 1))),
      counters_(kCounters) {}

// Each step can be undone, so it is a permutation of the numbers of `bits_` bits.
uint32_t FragmentIds::permute(uint32_t number, uint64_t key) const {
    const uint32_t mask = (1U << bits_) - 1;
    const uint32_t half = std::max(bits_ / 2, 1U);
    for (unsigned round = 0; round < 4; ++round) {
        const auto part = static_cast<uint32_t>(key >> (16 * round));
        number = (number + part) & mask;
        number = number * (part << 1 | 1) & mask;
        number ^= number >> half;
    }
    return number;
}

Be16 FragmentIds::next(Ipv4Addr external, Ipv4Addr remote, uint8_t protocol) {
    const uint64_t key =
        keyed_hash(secret_, uint64_t{external.raw} | uint64_t{remote.raw} << 32, protocol);
    uint16_t& counter = counters_[key % kCounters];
    uint32_t number = counter;
    counter = static_cast<uint16_t>((number + 1) % part_);
    // What falls outside the part goes round once more: a permutation of the part's own numbers.
    do {
        number = permute(number, key);
    } while (number >= part_);
    return Be16::from_host(static_cast<uint16_t>(first_ + number));
}

}  // namespace sekisho::dataplane
