// Rules and policies as text by themselves.
#include "config/rule_text.h"

#include "config/rules_to_yaml.h"
#include "rules_support.h"

using namespace sekisho;
using namespace sekisho::config;

namespace {

Config beside() {
    return must_parse(
        kBaseFile + kNamed +
        "rules:\n  - {name: main, hook: forward}\n  - {name: there}\n"
        "  - {name: deep, rules: [{action: {jump: there}}]}\n"
    );
}

rules::ChainId chain_of(const Config& config, const char* name) {
    return config.rules.set.find_chain(name).value();
}

template <class Parsed>
std::string said(const Parsed& parsed) {
    REQUIRE_FALSE(parsed);
    std::string text;
    for (const Mistake& mistake : parsed.error()) {
        text += (text.empty() ? "" : "\n") + mistake.text();
    }
    return text;
}

}  // namespace

TEST_CASE("a rule by itself says what it would say in the file", "[config][rules]") {
    const Config config = beside();
    const char* const text = GENERATE(
        "{protocol: udp, source: \"@bogons\", action: deny}",
        "{in-link: int0, group: [gold, lead], ttl: 1-5, action: [{set-mark: 3}, {jump: there}]}",
        "{realm: internal, not-source: 100.64.0.1, action: accept, comment: \"one, two\"}",
        "{in-link: 100.64.0.1, rate: {packets: 5, per: minute}, action: {reject: tcp-reset}}",
        "{payload: get}",
        "{}"
    );
    const auto rule = parse_rule(text, config, chain_of(config, "main"));
    INFO(text);
    REQUIRE(rule);
    const rules::Rule in_file = [&] {
        const Config whole = must_parse(
            kBaseFile + kNamed + "rules:\n  - {name: main, hook: forward, rules: [" + text +
            "]}\n  - {name: there}\n"
        );
        return *whole.rules.set.chain(chain_of(whole, "main"))->rules[0];
    }();
    CHECK(rule->says_the_same(in_file));
    const auto again = parse_rule(rule_to_yaml(config, *rule), config, chain_of(config, "main"));
    REQUIRE(again);
    CHECK(again->says_the_same(*rule));
}

TEST_CASE("mistakes of a rule by itself have a place in its text", "[config][rules]") {
    const Config config = beside();
    struct Case {
        const char* chain;
        const char* text;
        const char* expected;
    };
    const auto wrong = GENERATE(values<Case>({
        {"main",
         "{protocol: tpc, action: deny}",
         "rule:1:12: found \"tpc\", wanted a protocol: tcp, udp, icmp ..., or a number from 0 to "
         "255"},
        {"main",
         "{ttl: 300,\n source: \"@bogus\"}",
         "rule:1:7: found \"300\", wanted a number from 0 to 255, or two with a dash between\n"
         "rule:2:10: found \"@bogus\", wanted the name of a set: bogons"},
        {"main",
         "{action: {jump: nowhere}}",
         "rule:1:17: found \"nowhere\", wanted the name of a chain: main, there or deep"},
        {"there",
         "{action: {jump: deep}}",
         "rule:1:1: found a rule that cannot stand here (chain deep leads back to chain there: a "
         "packet would go in a circle), wanted one that can"},
        {"main",
         "{action: {jump: main}}",
         "rule:1:1: found a rule that cannot stand here (no rule leads to a built-in chain, as "
         "main "
         "is one), wanted one that can"},
        {"main", "", "rule:1:1: found nothing, wanted a rule"},
        {"main", " \n\t", "rule:1:1: found nothing, wanted a rule"},
        {"main", "deny", "rule:1:1: found \"deny\", wanted a map with "},
        {"main", "{protocol: tcp", "rule:1:1: found broken YAML"},
        {"main",
         "{a: 1}\n---\n{}",
         "rule:2:1: found a second document, wanted one document in a file"},
    }));
    INFO(wrong.text);
    const std::string text = said(parse_rule(wrong.text, config, chain_of(config, wrong.chain)));
    CHECK(text.substr(0, std::string_view(wrong.expected).size()) == wrong.expected);
}

TEST_CASE("a policy by itself is one that its chain can have", "[config][rules]") {
    const Config config = beside();
    const auto deny = parse_policy("deny", config, rules::Hook::kForward);
    REQUIRE(deny);
    CHECK(*deny == rules::Action(rules::Deny{}));
    CHECK(parse_policy("{reject: tcp-reset}", config, rules::Hook::kForward));
    CHECK(
        said(parse_policy("return", config, rules::Hook::kForward)) ==
        "policy:1:1: found a policy that cannot be (return is no policy at forward), wanted "
        "accept, "
        "or one that can"
    );
    CHECK(
        said(parse_policy("deny", config, std::nullopt)) ==
        "policy:1:1: found a policy that cannot be (a chain without a hook has none), wanted "
        "accept, "
        "or one that can"
    );
}
