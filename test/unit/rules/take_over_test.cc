// A rule set that is made anew takes over what was there before.
#include "rules/compiled_rules.h"
#include "support/rules_support.h"

namespace sekisho::rules::test {
namespace {

Rule web(uint16_t port) {
    return rule({from("10.0.0.0/8"), protocol(Protocol::kTcp), to_port(port)}, {Accept{}});
}

std::vector<RuleId> ids_of(const OneChain& bed) {
    std::vector<RuleId> ids;
    for (const RulePtr& r : bed.set.chain(bed.id)->rules) {
        ids.push_back(r->id);
    }
    return ids;
}

}  // namespace

TEST_CASE("rules that say the same keep their ids, and so does the policy", "[rules][take-over]") {
    OneChain before;
    before.add(rule({}, {Log{}}));
    const RuleId a = before.add(web(80));
    const RuleId b = before.add(web(81));
    const RuleId again = before.add(web(80));
    const uint32_t bound = before.set.id_bound();
    OneChain fresh;
    fresh.add(web(81));
    fresh.add(web(80));
    fresh.add(web(82));
    fresh.add(web(80));
    fresh.add(web(80));
    fresh.set.take_over(before.set);
    const std::vector<RuleId> ids = ids_of(fresh);
    REQUIRE(ids.size() == 5);
    CHECK(ids[0] == b);
    CHECK(ids[1] == a);
    CHECK(ids[2].value >= bound);
    CHECK(ids[3] == again);
    CHECK(ids[4].value >= bound);
    CHECK(ids[4] != ids[2]);
    CHECK(fresh.set.id_bound() == bound + 2);
    CHECK(fresh.set.chain(fresh.id)->policy_id == before.set.chain(before.id)->policy_id);
    CHECK(fresh.set.find_rule(ids[2]) == Place{fresh.id, 2});
}

TEST_CASE("what was read again and is the same is not compiled again", "[rules][take-over]") {
    OneChain before;
    OneChain fresh;
    for (uint16_t port = 0; port < 400; ++port) {
        before.add(web(port));
        fresh.add(web(port == 200 ? 7777 : port));
    }
    const auto compiled = CompiledRules::build(before.set);
    RuleSet same = before.set;
    same.take_over(before.set);
    CHECK(&compiled->follow(same)->chain(before.id) == &compiled->chain(before.id));
    fresh.set.take_over(before.set);
    const auto followed = compiled->follow(fresh.set);
    CHECK_FALSE(followed->is_settled());
    CHECK(fresh.set.id_bound() == before.set.id_bound() + 1);
}

TEST_CASE("a rate goes on with the credit that it has", "[rules][take-over][rate]") {
    const Rule limited = rule({{RateTest{1, Seconds{10}, 2}}}, {Accept{}});
    OneChain before;
    before.add(rule({{RateTest{5, Seconds{1}, 5}}}, {}));
    before.add(limited);
    OneChain fresh;
    fresh.add(limited);
    Rates rates(before.set);
    const auto bucket_of = [](const OneChain& bed, size_t at) {
        const Condition& condition = bed.set.chain(bed.id)->rules[at]->conditions[0];
        return std::get<RateTest>(condition.test).bucket;
    };
    const uint32_t bucket = bucket_of(before, 1);
    CHECK(rates.take_packet(bucket, Tick{1}));
    CHECK(rates.take_packet(bucket, Tick{1}));
    fresh.set.take_over(before.set);
    rates.follow(fresh.set);
    CHECK(bucket_of(fresh, 0) == bucket);
    CHECK_FALSE(rates.take_packet(bucket, Tick{1}));
}

TEST_CASE("chains and sets are told by name, not by number", "[rules][take-over]") {
    OneChain before;
    const ChainId blue = before.set.add_chain("blue").value();
    const SetId friends = before.set.add_set("friends").value();
    before.add(rule({}, {Jump{blue}}));
    before.add(rule({{AddressTest{Side::kSource, {}, {}, {friends}}}}, {Accept{}}));
    const uint32_t bound = before.set.id_bound();
    OneChain fresh;
    const ChainId red = fresh.set.add_chain("red").value();
    const SetId foes = fresh.set.add_set("foes").value();
    REQUIRE(red == blue);
    REQUIRE(foes == friends);
    fresh.add(rule({}, {Jump{red}}));
    fresh.add(rule({{AddressTest{Side::kSource, {}, {}, {foes}}}}, {Accept{}}));
    fresh.set.take_over(before.set);
    for (const RuleId id : ids_of(fresh)) {
        CHECK(id.value >= bound);
    }
    CHECK(fresh.set.references_to(red) == 1);
}

TEST_CASE("the same rule in another chain is another rule", "[rules][take-over]") {
    OneChain before;
    const ChainId user = before.set.add_chain("user").value();
    before.add(user, web(80));
    OneChain fresh;
    fresh.add(web(80));
    fresh.set.take_over(before.set);
    CHECK(ids_of(fresh)[0].value >= before.set.id_bound());
}

}  // namespace sekisho::rules::test
