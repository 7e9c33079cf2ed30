#include "dataplane/fates.h"

#include <algorithm>
#include <bit>

namespace sekisho::dataplane {

Fates::Fates(uint32_t room, const HashSecret& secret)
    : secret_(secret),
      fates_(std::clamp<uint32_t>(room, 2 * kFirst, kMost)),
      slots_(std::bit_ceil(fates_.size() * 2)) {
    fates_[kWalkExcused].half[0].is_excused = true;
    fates_[kScannedExcused].half[0].is_excused = true;
}

size_t Fates::slot_of(const FateWays& ways, bool is_excused) const {
    const auto word = [](const FateWay& way) {
        return uint64_t{way.path.value} << 16 | uint64_t{way.tag};
    };
    const uint64_t excused = is_excused ? uint64_t{1} << 63 : 0;
    return keyed_hash(secret_, word(ways[0]) | excused, word(ways[1])) & (slots_.size() - 1);
}

uint32_t Fates::find_or_make(const FateWays& ways, bool is_excused) {
    size_t at = slot_of(ways, is_excused);
    for (; slots_[at] != 0; at = (at + 1) & (slots_.size() - 1)) {
        const Fate& fate = fates_[slots_[at]];
        if (fate.is_excused() == is_excused && fate.ways() == ways) {
            return slots_[at];
        }
    }
    const uint32_t fate = size_.load(std::memory_order_relaxed);
    if (fate == fates_.size()) {
        return is_excused ? kWalkExcused : kWalk;
    }
    fates_[fate].half[0].is_excused = is_excused;
    fates_[fate].half[0].way = ways[0];
    fates_[fate].half[1].way = ways[1];
    slots_[at] = fate;
    size_.store(fate + 1, std::memory_order_release);
    return fate;
}

}  // namespace sekisho::dataplane
