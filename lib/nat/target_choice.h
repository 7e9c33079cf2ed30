// TargetChoice: which of several targets a flow gets, by weight.
//
//   Shape     a table of kSlots slots, each of which belongs to the target that wins it (weighted rendezvous hashing), so
//             that a target's share is its weight's within a few in a hundred, and when one is added, taken away or
//             weighed anew no slot moves between two others.
//   Cost      made at start; of(): one load. Thread: immutable.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "nat/settings.h"

namespace sekisho::nat {

class TargetChoice {
  public:
    static constexpr unsigned kSlotBits = 12;
    static constexpr size_t kSlots = size_t{1} << kSlotBits;

    // At least one target has a weight.
    explicit TargetChoice(std::span<const TargetSettings> targets);
    // The index of the target of a flow with this (well mixed) hash.
    size_t of(uint64_t hash) const { return slots_[hash >> (64 - kSlotBits)]; }

  private:
    std::vector<uint8_t> slots_;
};

}  // namespace sekisho::nat
