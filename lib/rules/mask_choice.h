// Which masks the tables of a BoxIndex get, and which boxes go to each.
//
//   Law       greedy: the mask next chosen is that with which most of the boxes that are left come into small buckets. A box is
//             eligible for a mask if it fixes all of its bits; those whose bucket would be too large are left for another.
//   Cost      boxes × masks tried × tables; control code.
#pragma once

#include <vector>

#include "rules/box_index.h"

namespace sekisho::rules {

// The bits of the key that are the same for all that a box holds.
Key fixed_bits_of(const Box& box);

struct Chosen {
    Key mask;
    std::vector<OwnedBox> boxes;
};
// Takes what goes to tables out of `boxes`; what stays fixes too little.
std::vector<Chosen> choose_masks(std::vector<OwnedBox>& boxes, size_t most_tables);

}  // namespace sekisho::rules
