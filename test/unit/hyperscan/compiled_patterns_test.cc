#include "hyperscan/compiled_patterns.h"

#include <catch2/catch.hpp>

#include "payload_checks.h"

namespace sekisho::hyperscan {
namespace {

using test::literal;
using test::regex;
using test::set_of;

std::string refusal(const rules::PatternSet& set, size_t state_bytes = 1000) {
    const auto compiled = CompiledPatterns::compile(set, state_bytes);
    return compiled ? "" : compiled.error().message;
}

}  // namespace

TEST_CASE("every pattern that is refused is named with the reason", "[hyperscan]") {
    CHECK(refusal(set_of({literal("fine("), regex("fine")})).empty());
    CHECK(
        refusal(set_of({literal("fine"), regex("open("), regex("(a)\\1"), regex("fine too")})) ==
        "the payload pattern \"open(\" is refused: Missing close parenthesis for group started at "
        "index 4.\n"
        "the payload pattern \"(a)\\1\" is refused: Back-references are unsupported."
    );
    CHECK(
        refusal(set_of({regex("x*")})) ==
        "the payload pattern \"x*\" is refused: Pattern matches empty buffer; use "
        "HS_FLAG_ALLOWEMPTY to enable support."
    );
    CHECK(refusal(set_of({regex("a{5}", 4)})).find("\"a{5}\" is refused: ") != std::string::npos);
    std::vector<rules::Pattern> many;
    for (unsigned i = 0; i < 25; ++i) {
        many.push_back(regex("(" + std::to_string(i)));
    }
    const std::string text = refusal(set_of(many));
    CHECK(text.find("\"(9\" is refused") != std::string::npos);
    CHECK(text.find("\"(10\" is refused") == std::string::npos);
    CHECK(text.find("\nand 15 more are refused") != std::string::npos);
}

TEST_CASE("patterns that need too much state are named, most first", "[hyperscan]") {
    const auto set = set_of(
        {literal("small"), regex("a[^b]{3000}c"), regex("d.{200}e"), regex("f.{400}g"), regex("h")}
    );
    const std::string text = refusal(set, 100);
    INFO(text);
    CHECK(text.find("the payload patterns need ") == 0);
    CHECK(text.find(" bytes of state for each stream, and there are 100; ") != std::string::npos);
    const size_t names[] = {
        text.find("\"a[^b]{3000}c\""), text.find("\"f.{400}g\""), text.find("\"d.{200}e\"")};
    CHECK(std::ranges::is_sorted(names));
    CHECK(names[2] != std::string::npos);
    CHECK(text.find("small") == std::string::npos);
}

TEST_CASE("a set without patterns is compiled to nothing", "[hyperscan]") {
    rules::PatternSet set = set_of({literal("gone")});
    set.retire(rules::PatternId{0});
    const auto compiled = CompiledPatterns::compile(set, 0 + sizeof(uint64_t));
    REQUIRE(compiled);
    CHECK((*compiled)->database() == nullptr);
    CHECK((*compiled)->state_bytes() == sizeof(uint64_t));
    CHECK((*CompiledPatterns::compile({}, 0))->state_bytes() == 0);
}

}  // namespace sekisho::hyperscan
