#include "sekishod/payload_search.h"

#include <catch2/catch.hpp>
#include <fmt/format.h>

namespace sekisho::daemon {
namespace {

// Rules that ask for so many patterns that no other change has had.
config::RulesSettings asking_for(size_t first, size_t count) {
    config::RulesSettings settings;
    const auto chain =
        settings.set.add_built_in("main", rules::Hook::kForward, 0, rules::Accept{}).value();
    for (size_t i = 0; i < count; ++i) {
        config::PatternSettings pattern;
        pattern.text = fmt::format("pattern {}", first + i);
        settings.patterns.push_back(pattern);
        rules::Rule rule;
        rule.conditions = {{rules::PayloadTest{rules::PatternId{static_cast<uint16_t>(i)}}}};
        rule.actions = {rules::Deny{}};
        REQUIRE(settings.set.append(chain, rule));
    }
    return settings;
}

}  // namespace

TEST_CASE("patterns may change as often as they like", "[rules]") {
    config::PayloadSearchSettings sizes;
    sizes.streams = 64;
    PayloadSearch search(1, sizes);
    constexpr size_t kCount = 3000;
    unsigned begun_anew = 0;
    for (size_t change = 0; change < 7; ++change) {
        auto next = search.prepare(asking_for(change * kCount, kCount));
        INFO("change " << change << ": " << (next ? "" : next.error().message));
        REQUIRE(next);
        CHECK(next->compiled != nullptr);
        // What was found keeps its name as long as there is room for it.
        CHECK(next->begins_anew == (next->patterns.id_bound() == kCount && change > 0));
        begun_anew += next->begins_anew ? 1 : 0;
        next->scanners.clear();  // no shard takes them
        search.put(*next, {});
    }
    CHECK(begun_anew >= 1);
    CHECK(begun_anew <= 3);
}

TEST_CASE("patterns that the next rules ask for, too, keep their place", "[rules]") {
    config::PayloadSearchSettings sizes;
    sizes.streams = 64;
    PayloadSearch search(1, sizes);
    auto first = search.prepare(asking_for(0, 2));
    REQUIRE(first);
    first->scanners.clear();
    search.put(*first, {});
    auto second = search.prepare(asking_for(1, 2));
    REQUIRE(second);
    CHECK_FALSE(second->begins_anew);
    REQUIRE(second->names->of.size() == 3);
    CHECK(second->names->of[0].empty());
    CHECK(second->names->of[1] == std::vector<rules::PatternId>{{0}});
    CHECK(second->names->of[2] == std::vector<rules::PatternId>{{1}});
    CHECK(second->patterns.find({0}) == nullptr);
    const auto none = search.prepare(asking_for(0, 0));
    REQUIRE(none);
    CHECK(none->names == nullptr);
}

}  // namespace sekisho::daemon
