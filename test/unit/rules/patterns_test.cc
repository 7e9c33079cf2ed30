#include "rules/patterns.h"

#include <catch2/catch.hpp>

namespace sekisho::rules {
namespace {

Pattern literal(std::string text) {
    return {Pattern::Kind::kLiteral, std::move(text), false, false, 0};
}
Pattern regex(std::string text) {
    return {Pattern::Kind::kRegex, std::move(text), false, false, 0};
}

std::string refusal(const Pattern& pattern) {
    PatternSet set;
    const auto added = set.add(pattern);
    return added ? "" : added.error().message;
}

}  // namespace

TEST_CASE("patterns that say the same are one, and ids stay", "[rules]") {
    PatternSet set;
    const PatternId first = *set.add(literal("one"));
    const PatternId second = *set.add(regex("one"));
    CHECK(*set.add(literal("one")) == first);
    Pattern other = literal("one");
    other.ignores_case = true;
    CHECK(set.add(other)->value == 2);
    CHECK(set.size() == 3);
    PatternSet copy = set;
    copy.retire(first);
    CHECK(copy.find(first) == nullptr);
    CHECK(copy.find(second)->text == "one");
    CHECK(copy.size() == 2);
    CHECK(copy.add(literal("one"))->value == 3);  // not the old id
    CHECK(set.find(first)->text == "one");
    copy.retire(PatternId{999});
    CHECK(copy.find(PatternId{999}) == nullptr);
}

TEST_CASE("what is no pattern is refused with a sentence that names it", "[rules]") {
    CHECK(refusal(literal("")) == "a payload pattern is empty");
    CHECK(
        refusal(regex(std::string("a\0b", 3))) ==
        "the expression \"a\\x00b\" has a zero byte at 1: it is written \\x00"
    );
    CHECK(refusal(literal(std::string("a\0b", 3))).empty());
    const std::string of_long = refusal(literal(std::string(4097, 'x')));
    CHECK(
        of_long ==
        "the payload pattern \"" + std::string(60, 'x') + "...\" has 4097 bytes, more than 4096"
    );
    Pattern lines = literal("x");
    lines.is_multiline = true;
    CHECK(refusal(lines) == "the literal \"x\" has no lines");
    Pattern within = literal("needle");
    within.within = 5;
    CHECK(
        refusal(within) == "the literal \"needle\" has 6 bytes and cannot lie within the first 5"
    );
    within.within = 6;
    CHECK(refusal(within).empty());
    CHECK(quoted(literal("a\"\n")) == "\"a\\x22\\x0a\"");
}

TEST_CASE("no more patterns are given ids than there are", "[rules]") {
    PatternSet set;
    for (size_t i = 0; i < PatternSet::kMost; ++i) {
        REQUIRE(set.add(literal("pattern" + std::to_string(i))));
    }
    CHECK(set.add(literal("pattern0")));
    CHECK(
        set.add(literal("more")).error().message ==
        "no room for the payload pattern \"more\": there have been 16384"
    );
}

TEST_CASE("an expression is tied to the first byte by ^ and \\A", "[rules]") {
    for (const char* const text :
         {"^a", "(^|b)a", "\\Aa", "a|^b", "[^a]^", "\\\\^", "\\Qa\\E^", "(?i)^a", "[]^]^"}) {
        INFO(text);
        CHECK(has_start_anchor(regex(text)));
    }
    for (const char* const text :
         {"a",
          "[^a]",
          "\\^a",
          "a[b^]",
          "\\Q^\\E",
          "\\Q^",
          "[]^]",
          "(?m)^a",
          "(?im:^a)",
          "[\\]^]",
          "a\\",
          "[",
          "\\\\A"}) {
        INFO(text);
        CHECK(!has_start_anchor(regex(text)));
    }
    CHECK(has_start_anchor(regex("(?-m)^a")));
    CHECK(has_start_anchor(regex("(?m)\\Aa")));
    Pattern lines = regex("^a");
    lines.is_multiline = true;
    CHECK(!has_start_anchor(lines));
    CHECK(!has_start_anchor(literal("^a")));
}

}  // namespace sekisho::rules
