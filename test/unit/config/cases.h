// Tables of mistakes: the base file with one line replaced, and what is said about it.
#pragma once

#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "base_file.h"

namespace sekisho::config {

struct Case {
    const char* sentence;
    int line;
    std::string replacement;
    std::string expected;
};

inline void check(const std::vector<Case>& cases) {
    for (const Case& c : cases) {
        DYNAMIC_SECTION(c.sentence) {
            CHECK(mistakes_of(base_with(c.line, c.replacement)) == c.expected);
        }
    }
}

}  // namespace sekisho::config
