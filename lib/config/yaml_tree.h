// A YAML text as a tree of values with their places; what the language does not use is refused
// here.
//
//   Shape     maps, lists and scalars, at most kMaxDepth deep and kMaxNodes in number. Aliases,
//             tags and further documents are no part of the language; so nothing can unfold (a
//             "YAML bomb") and no value is written twice.
//   Places    lines and columns count from 1; columns count bytes.
//   Errors    one Mistake: the first thing that is not well-formed. Nothing throws out of here.
//   Cost      start-up; linear in the text. Thread: any.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

#include "config/mistakes.h"

namespace sekisho::config {

inline constexpr size_t kMaxTextBytes = size_t{64} << 20;
inline constexpr size_t kMaxDepth = 16;
inline constexpr size_t kMaxNodes = size_t{4} << 20;

struct Node {
    enum class Kind { kNothing, kScalar, kList, kMap };

    Kind kind = Kind::kNothing;
    Place place;
    std::string text;         // of a scalar; of nothing, "null" if it is there in so many letters
    bool quoted = false;      // a scalar in quotes or a block: text, never a number
    std::vector<Node> keys;   // of a map, in step with items
    std::vector<Node> items;  // of a list or map
};

// What a value is, for the "found" of a mistake: `"text"`, a list, a map, nothing.
std::string describe(const Node& node);

tl::expected<Node, Mistake> read_tree(const std::string& text, const std::string& file_name);

}  // namespace sekisho::config
