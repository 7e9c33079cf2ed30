// Matches: which rules of a chain a packet agrees with, as far as a walk can need them.
//
//   Shape     positions in the chain, ascending, each once, up to and with the first that surely ends the walk of this
//             chain. At most kRoom: then is_cut, and what is behind the last is asked for again.
//   Cost      add: a move of what is behind. Thread: its owner's.
#pragma once

#include <cstdint>

namespace sekisho::rules {

inline constexpr uint32_t kNoPosition = 0xffffffff;

struct Matches {
    static constexpr uint32_t kRoom = 30;

    uint32_t count = 0;
    uint32_t limit = kNoPosition;  // nothing behind it is wanted
    bool is_cut = false;
    uint32_t positions[kRoom];

    void clear() {
        count = 0;
        limit = kNoPosition;
        is_cut = false;
    }
    void add(uint32_t position, bool ends) {
        if (position > limit) {
            return;
        }
        uint32_t at = count;
        while (at > 0 && positions[at - 1] >= position) {
            --at;
        }
        if (ends) {  // nothing that was found behind it matters
            is_cut = false;
            limit = position;
            positions[at] = position;
            count = at + 1;
            return;
        }
        if (at < count && positions[at] == position) {
            return;  // another box of the same rule
        }
        count += count < kRoom ? 1 : 0;
        for (uint32_t i = count - 1; i > at; --i) {
            positions[i] = positions[i - 1];
        }
        positions[at] = position;
        if (count == kRoom) {
            limit = positions[kRoom - 1];
            is_cut = true;
        }
    }
};

}  // namespace sekisho::rules
