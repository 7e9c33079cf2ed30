#include "sekishod/rules_changer.h"

#include <catch2/catch.hpp>

namespace sekisho::daemon {
namespace {

using config::RulesSettings;
using namespace std::chrono_literals;

rules::Rule rule_of(rules::Action action) {
    rules::Rule rule;
    rule.actions = {std::move(action)};
    return rule;
}

// What is put in force, by an appliance that may refuse.
struct Changed {
    config::Config running;
    std::vector<RulesSettings> put;
    bool refuses = false;
    rules::ChainId chain = running.rules.set.add_chain("main").value();
    RulesChanger changer{
        running,
        [this](
            const config::Config& next, const std::function<void()>& adopt
        ) -> Result<std::chrono::nanoseconds> {
            if (refuses) {
                return failure("nobody rests");
            }
            put.push_back(next.rules);
            adopt();
            return 7us;
        }};

    Result<std::chrono::nanoseconds> add(rules::Action action) {
        return changer.change([&](const config::Config& now) -> Result<RulesSettings> {
            RulesSettings next = now.rules;
            const auto added = next.set.append(chain, rule_of(std::move(action)));
            return added ? Result<RulesSettings>(std::move(next)) : failure(added.error().message);
        });
    }
    size_t size() const { return running.rules.set.chain(chain)->rules.size(); }
};

TEST_CASE("changed rules are put, and become those of the running configuration", "[rules]") {
    Changed t;
    REQUIRE(t.add(rules::Deny{}) == 7us);
    REQUIRE(t.add(rules::Accept{}) == 7us);
    REQUIRE(t.put.size() == 2);
    CHECK(t.put[0].set.rule_count() == 1);
    CHECK(t.put[1] == t.running.rules);
    const auto& rules = t.running.rules.set.chain(t.chain)->rules;
    REQUIRE(rules.size() == 2);
    CHECK(rules[0]->id != rules[1]->id);
    CHECK(rules[0] == t.put[0].set.chain(t.chain)->rules[0]);
}

TEST_CASE("a change that fails, for whatever reason, leaves the running rules", "[rules]") {
    Changed t;
    REQUIRE(t.add(rules::Deny{}));
    SECTION("the rules themselves") {
        CHECK(
            t.add(rules::Jump{rules::ChainId{9}}).error().message.find("no chain") !=
            std::string::npos
        );
    }
    SECTION("what the configuration has no room for") {
        const auto refused = t.changer.change([&](const config::Config& now) {
            RulesSettings next = now.rules;
            const auto nat =
                next.set.add_built_in("nat", rules::Hook::kNatDestination, 0, rules::Accept{});
            REQUIRE(next.set.append(nat.value(), rule_of(rules::Redirect{80})));
            return Result<RulesSettings>(std::move(next));
        });
        REQUIRE_FALSE(refused);
        CHECK(
            refused.error().message.find("rules that translate destinations, for which room is") ==
            0
        );
    }
    SECTION("a worker that does not rest") {
        t.refuses = true;
        CHECK(t.add(rules::Deny{}).error().message == "nobody rests");
    }
    CHECK(t.put.size() == 1);
    CHECK(t.size() == 1);
}

TEST_CASE("rules that say the same are not put, and keep their ids", "[rules]") {
    Changed t;
    REQUIRE(t.add(rules::Deny{}));
    const rules::RuleId id = t.running.rules.set.chain(t.chain)->rules[0]->id;
    const auto done = t.changer.change([&](const config::Config& now) {
        RulesSettings next = now.rules;
        REQUIRE(next.set.replace(t.chain, 0, rule_of(rules::Deny{})));
        return Result<RulesSettings>(std::move(next));
    });
    CHECK(done == 0ns);
    CHECK(t.put.size() == 1);
    CHECK(t.running.rules.set.chain(t.chain)->rules[0]->id == id);
}

}  // namespace
}  // namespace sekisho::daemon
