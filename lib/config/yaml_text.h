// Pieces of YAML text as the configuration is written.
//
//   Cost      control code; allocates. Thread: pure.
#pragma once

#include <string>
#include <string_view>

namespace sekisho::config {

// Text as a scalar, in quotes where it needs them.
std::string scalar(std::string_view text);

// A flow list; `one` gives the text of an item.
template <class Range, class Format>
std::string list(const Range& range, Format&& one) {
    std::string out = "[";
    for (const auto& item : range) {
        out += (out.size() > 1 ? ", " : "") + one(item);
    }
    return out + "]";
}

}  // namespace sekisho::config
