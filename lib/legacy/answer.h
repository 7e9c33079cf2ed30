// Answer: what a tool would have printed, and its exit status. Nothing in lib/legacy prints or exits.
//
//   Status    of the tool: 0, or what the original ends with (LEGACY S31, C14).
//   Thread    a value.
#pragma once

#include <string>
#include <vector>

#include <tl/expected.hpp>

namespace sekisho::legacy {

// A command line without the tool's name.
using Words = std::vector<std::string>;

struct Answer {
    std::string out;  // standard output
    std::string err;  // standard error
    int status = 0;
    friend bool operator==(const Answer&, const Answer&) = default;
};

// A command as a value, or what the tool says instead.
template <class T>
using Parsed = tl::expected<T, Answer>;

}  // namespace sekisho::legacy
