// PatternNames: what the rules in force call the patterns that a scanner looks for.
//
//   Why       a scanner's set of patterns grows from rules to rules (patterns.h), so that what was found of a stream keeps its
//             name there; rules call a pattern by its place in their own list, and two places may say the same.
//   Thread    a value.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "rules/packet.h"

namespace sekisho::rules {

struct PatternNames {
    std::vector<std::vector<PatternId>> of;  // by the scanner's PatternId: those of the rules
    uint32_t first_bytes =
        0;  // no pattern reaches beyond so many bytes of a direction; 0: some may

    // The patterns that are called as they are found.
    static PatternNames same(size_t count) {
        PatternNames names;
        for (size_t i = 0; i < count; ++i) {
            names.of.push_back({PatternId{static_cast<uint16_t>(i)}});
        }
        return names;
    }
    std::span<const PatternId> operator()(PatternId found) const {
        return found.value < of.size() ? std::span<const PatternId>(of[found.value])
                                       : std::span<const PatternId>();
    }
};

}  // namespace sekisho::rules
