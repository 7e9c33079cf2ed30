#include "rules/mirror.h"

#include "rules_support.h"

namespace sekisho::rules::test {
namespace {

// A set of its own, and one that has other chains besides.
struct Bed {
    RuleSet own;
    RuleSet there;
    Mirror mirror{"old:"};
    ChainId input = own.add_built_in("input", Hook::kIngress, 0, Accept{}).value();
    ChainId main = there.add_built_in("main", Hook::kIngress, 0, Accept{}).value();

    void follow() {
        const auto followed = mirror.follow(own, there);
        INFO((followed ? "" : followed.error().message));
        REQUIRE(followed);
    }
    RuleId add(ChainId chain, Rule made) { return own.append(chain, std::move(made)).value(); }
    const Chain& chain(const std::string& name) const {
        return *there.chain(there.find_chain(name).value());
    }
    // What the chain of that name is there, by the ids that its rules have in the own set.
    bool is_followed(const std::string& name) const {
        const Chain& mine = *own.chain(own.find_chain(name).value());
        const auto& rules = chain("old:" + name).rules;
        return std::ranges::equal(mine.rules, rules, [&](const auto& a, const auto& b) {
            return mirror.id_of(a->id) == b->id && a->conditions == b->conditions;
        });
    }
};

}  // namespace

TEST_CASE("a mirror has its set's chains under its prefix, and leaves the others", "[rules]") {
    Bed bed;
    REQUIRE(bed.there.append(bed.main, rule({to_port(80)}, {Deny{}})));
    bed.add(bed.input, rule({from("10.0.0.1")}, {Deny{}}));
    REQUIRE(bed.own.set_policy(bed.input, Deny{}));
    bed.follow();
    const Chain& followed = bed.chain("old:input");
    CHECK(followed.hook == Hook::kIngress);
    CHECK(followed.policy == Action{Deny{}});
    CHECK(bed.is_followed("input"));
    CHECK(bed.mirror.id_of(bed.own.chain(bed.input)->policy_id) == followed.policy_id);
    CHECK(bed.chain("main").rules.size() == 1);
}

TEST_CASE("a rule keeps its number there for as long as it has its own", "[rules]") {
    Bed bed;
    const RuleId first = bed.add(bed.input, rule({from("10.0.0.1")}, {Deny{}}));
    const RuleId second = bed.add(bed.input, rule({from("10.0.0.2")}, {Deny{}}));
    bed.follow();
    const RuleId first_there = bed.mirror.id_of(first);
    const RuleId second_there = bed.mirror.id_of(second);
    CHECK(first_there != second_there);

    REQUIRE(bed.own.insert(bed.input, 0, rule({from("10.0.0.3")}, {Accept{}})));
    REQUIRE(bed.own.remove(bed.input, 1));
    bed.follow();
    CHECK(bed.is_followed("input"));
    CHECK(bed.chain("old:input").rules.size() == 2);
    CHECK(bed.mirror.id_of(second) == second_there);

    // What comes again is another rule, whatever it says.
    const RuleId again = bed.add(bed.input, rule({from("10.0.0.1")}, {Deny{}}));
    bed.follow();
    CHECK(bed.is_followed("input"));
    CHECK(bed.mirror.id_of(again) != first_there);
}

TEST_CASE("jumps lead to the chains of the mirror, whatever their numbers", "[rules]") {
    Bed bed;
    REQUIRE(bed.there.add_chain("another"));
    const ChainId user = bed.own.add_chain("user").value();
    bed.add(user, rule({}, {Deny{}}));
    bed.add(bed.input, rule({from("10.0.0.1")}, {Jump{user}}));
    bed.add(bed.input, rule({from("10.0.0.2")}, {Goto{user}}));
    bed.follow();
    const ChainId there = bed.there.find_chain("old:user").value();
    CHECK(there != user);
    const auto& rules = bed.chain("old:input").rules;
    REQUIRE(rules.size() == 2);
    CHECK(rules[0]->actions.back() == Action{Jump{there}});
    CHECK(rules[1]->actions.back() == Action{Goto{there}});
}

TEST_CASE("what is searched for in payloads has the pattern that a mirror is told", "[rules]") {
    Bed bed;
    const Condition payload{PayloadTest{{1}}, true};
    bed.add(bed.input, rule({payload}, {Deny{}}));
    REQUIRE(bed.mirror.follow(bed.own, bed.there, {{7}, {5}}));
    const auto& rules = bed.chain("old:input").rules;
    REQUIRE(rules.size() == 1);
    CHECK(rules[0]->conditions == std::vector{Condition{PayloadTest{{5}}, true}});
    bed.add(bed.input, rule({Condition{PayloadTest{{2}}, false}}, {Deny{}}));
    CHECK_FALSE(bed.mirror.follow(bed.own, bed.there, {{7}, {5}}));
}

TEST_CASE("chains go with their rules, and a circle may turn round", "[rules]") {
    Bed bed;
    const ChainId a = bed.own.add_chain("a").value();
    const ChainId b = bed.own.add_chain("b").value();
    bed.add(bed.input, rule({}, {Jump{a}}));
    bed.add(a, rule({}, {Jump{b}}));
    bed.follow();
    REQUIRE(bed.own.flush(a));
    bed.add(b, rule({}, {Jump{a}}));
    bed.follow();
    CHECK(bed.chain("old:a").rules.empty());
    CHECK(bed.is_followed("b"));

    REQUIRE(bed.own.flush(bed.input));
    REQUIRE(bed.own.flush(b));
    REQUIRE(bed.own.remove_chain(a));
    REQUIRE(bed.own.remove_chain(b));
    bed.follow();
    CHECK_FALSE(bed.there.find_chain("old:a"));
    CHECK_FALSE(bed.there.find_chain("old:b"));
    CHECK(bed.there.find_chain("main"));
}

TEST_CASE("a chain that is renamed keeps its rules' numbers", "[rules]") {
    Bed bed;
    const ChainId user = bed.own.add_chain("user").value();
    const RuleId denied = bed.add(user, rule({}, {Deny{}}));
    bed.add(bed.input, rule({}, {Jump{user}}));
    bed.follow();
    const RuleId there = bed.mirror.id_of(denied);
    REQUIRE(bed.own.rename_chain(user, "other"));
    bed.follow();
    CHECK_FALSE(bed.there.find_chain("old:user"));
    CHECK(bed.is_followed("other"));
    CHECK(bed.mirror.id_of(denied) == there);

    // Two that change their names at once are made anew.
    const ChainId second = bed.own.add_chain("second").value();
    bed.add(second, rule({to_port(80)}, {Deny{}}));
    bed.follow();
    REQUIRE(bed.own.rename_chain(user, "between"));
    REQUIRE(bed.own.rename_chain(second, "other"));
    REQUIRE(bed.own.rename_chain(user, "second"));
    bed.follow();
    CHECK(bed.is_followed("other"));
    CHECK(bed.is_followed("second"));
}

TEST_CASE("rules that stand in another order are in that order there", "[rules]") {
    Bed bed;
    for (const char* address : {"10.0.0.1", "10.0.0.2", "10.0.0.3"}) {
        bed.add(bed.input, rule({from(address)}, {Deny{}}));
    }
    bed.follow();
    REQUIRE(bed.own.move(bed.input, 2, 0));
    bed.follow();
    CHECK(bed.is_followed("input"));
    CHECK(bed.chain("old:input").rules.size() == 3);
}

TEST_CASE("after the other set was made anew the mirror finds its rules again", "[rules]") {
    Bed bed;
    const RuleId own = bed.add(bed.input, rule({from("10.0.0.1")}, {Deny{}}));
    bed.follow();
    RuleSet anew;
    REQUIRE(anew.add_chain("more"));
    Mirror copy = bed.mirror;
    REQUIRE(copy.follow(bed.own, anew));
    anew.take_over(bed.there);
    bed.mirror.find_again(bed.own, anew);
    const ChainId there = anew.find_chain("old:input").value();
    CHECK(bed.mirror.id_of(own) == anew.chain(there)->rules.at(0)->id);
    bed.add(bed.input, rule({from("10.0.0.2")}, {Deny{}}));
    REQUIRE(bed.mirror.follow(bed.own, anew));
    CHECK(anew.chain(there)->rules.size() == 2);
    CHECK(anew.chain(there)->rules[0]->id == bed.mirror.id_of(own));
}

TEST_CASE("a mirror leaves out chains that say nothing, as it is told", "[rules]") {
    RuleSet own;
    RuleSet there;
    MirrorChanges changes;
    changes.without = mask_of(Hook::kNatSource);
    Mirror mirror("t:", changes);
    const ChainId nat = own.add_built_in("nat", Hook::kNatSource, 0, Accept{}).value();
    REQUIRE(mirror.follow(own, there));
    CHECK_FALSE(there.find_chain("t:nat"));
    REQUIRE(own.append(nat, rule({}, {Masquerade{}})));
    REQUIRE(mirror.follow(own, there));
    CHECK(there.find_chain("t:nat"));
}

TEST_CASE("what a mirror has stand before a chain's rules is none of them", "[rules]") {
    RuleSet own;
    RuleSet there;
    std::vector<Rule> wanted = {rule({from("10.0.0.9")}, {Accept{}})};
    MirrorChanges changes;
    changes.before = [&wanted](const Chain& chain) {
        return chain.name == "input" ? wanted : std::vector<Rule>{};
    };
    Mirror mirror("t:", changes);
    const ChainId input = own.add_built_in("input", Hook::kIngress, 0, Accept{}).value();
    const ChainId output = own.add_built_in("output", Hook::kEgress, 0, Accept{}).value();
    const RuleId denied = own.append(input, rule({from("10.0.0.1")}, {Deny{}})).value();
    REQUIRE(own.append(output, rule({}, {Deny{}})));
    const auto placed = [&]() -> const std::vector<RulePtr>& {
        return there.chain(there.find_chain("t:input").value())->rules;
    };
    REQUIRE(mirror.follow(own, there));
    REQUIRE(placed().size() == 2);
    CHECK(placed()[0]->says_the_same(wanted[0]));
    CHECK(placed()[1]->id == mirror.id_of(denied));
    CHECK(there.chain(there.find_chain("t:output").value())->rules.size() == 1);

    // Both keep their numbers when others come before the own one, and when the own one goes.
    const RuleId first = placed()[0]->id;
    const RuleId second = placed()[1]->id;
    REQUIRE(own.insert(input, 0, rule({from("10.0.0.2")}, {Deny{}})));
    REQUIRE(mirror.follow(own, there));
    REQUIRE(placed().size() == 3);
    CHECK(placed()[0]->id == first);
    CHECK(placed()[2]->id == second);
    REQUIRE(own.flush(input));
    REQUIRE(mirror.follow(own, there));
    REQUIRE(placed().size() == 1);
    CHECK(placed()[0]->id == first);

    // Found again where all have other numbers; what was taken away comes back; others come in its place.
    REQUIRE(own.append(input, rule({from("10.0.0.3")}, {Deny{}})));
    REQUIRE(mirror.follow(own, there));
    RuleSet anew;
    Mirror copy = mirror;
    REQUIRE(copy.follow(own, anew));
    anew.take_over(there);
    mirror.find_again(own, anew);
    there = anew;
    REQUIRE(mirror.follow(own, there));
    const RuleId third = placed()[1]->id;
    REQUIRE(there.remove(there.find_chain("t:input").value(), 0));
    REQUIRE(mirror.follow(own, there));
    REQUIRE(placed().size() == 2);
    wanted = {rule({from("10.0.0.8")}, {Accept{}}), rule({from("10.0.0.7")}, {Accept{}})};
    REQUIRE(mirror.follow(own, there));
    REQUIRE(placed().size() == 3);
    CHECK(placed()[0]->says_the_same(wanted[0]));
    CHECK(placed()[1]->says_the_same(wanted[1]));
    CHECK(placed()[2]->id == third);
    wanted.clear();
    REQUIRE(mirror.follow(own, there));
    REQUIRE(placed().size() == 1);
    CHECK(placed()[0]->id == third);
}

TEST_CASE(
    "what has the prefix is the mirror's; a rule that names a set of addresses is refused",
    "[rules]"
) {
    Bed bed;
    REQUIRE(bed.there.add_chain("old:user"));
    const ChainId user = bed.own.add_chain("user").value();
    bed.add(user, rule({}, {Deny{}}));
    bed.follow();
    CHECK(bed.is_followed("user"));
    const SetId set = bed.own.add_set("known").value();
    bed.add(bed.input, rule({{AddressTest{Side::kSource, {}, {}, {set}}}}, {Deny{}}));
    CHECK_FALSE(bed.mirror.follow(bed.own, bed.there));
}

}  // namespace sekisho::rules::test
