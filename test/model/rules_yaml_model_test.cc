// Random rule sets, written as a configuration and read again: the rules are the same.
#include <string>

#include <catch2/catch.hpp>

#include "config/config.h"
#include "config/rules_to_yaml.h"
#include "rules_traffic.h"

namespace sekisho::test {
namespace {

using namespace rules;

constexpr unsigned kSets = 300;
constexpr unsigned kLinks = 6;
constexpr unsigned kRealms = 5;

// What the rules of RulesTraffic may name.
const std::string kNamed =
    "system: {local-host: 198.51.100.9}\n"
    "realms:\n"
    "  - {name: a, side: internal}\n"
    "  - {name: b, side: internal}\n"
    "  - {name: c, side: external}\n"
    "links:\n"
    "  - {name: int0, device: tap:i0, realm: internal, addresses: [100.64.0.1/10]}\n"
    "  - {name: ext0, device: tap:e0, realm: external, addresses: [198.51.100.2/24]}\n"
    "  - {name: int1, device: tap:i1, realm: a, addresses: [100.64.0.1/10]}\n"
    "  - {name: int2, device: tap:i2, realm: b, addresses: [100.64.0.1/10]}\n"
    "  - {name: ext1, device: tap:e1, realm: c, addresses: [192.0.2.2/24]}\n"
    "  - {name: int3, device: tap:i3, realm: a, addresses: [172.16.0.1/24]}\n"
    "pools:\n"
    "  - {name: main, addresses: [203.0.113.0/28]}\n"
    "  - {name: own0, addresses: [link: ext0]}\n"
    "  - {name: own1, addresses: [link: ext1]}\n"
    "policies: [{name: all, source: [100.64.0.0/10], pool: main}]\n"
    "sets: [{name: set0}, {name: set1, addresses: [10.0.0.0/8]}]\n"
    "groups:\n"
    "  - {name: g0, prefixes: [100.64.0.0/24]}\n"
    "  - {name: g1, prefixes: [100.64.1.0/24]}\n"
    "  - {name: g2, prefixes: [100.64.2.0/24]}\n"
    "  - {name: g3, realm: a, prefixes: [100.64.2.0/24]}\n"
    "patterns:\n"
    "  - {name: p0, literal: a}\n"
    "  - {name: p1, literal: b}\n"
    "  - {name: p2, literal: c}\n"
    "  - {name: p3, literal: d}\n"
    "  - {name: p4, regex: e}\n";

ByteSet below(const ByteSet& set, unsigned bound) {
    ByteSet some;
    for (unsigned value = 0; value < 256; ++value) {
        if (set.has(static_cast<uint8_t>(value))) {
            some.add(static_cast<uint8_t>(value % bound));
        }
    }
    return some;
}

// With links and realms that there are.
Rule named(Rule rule) {
    for (Condition& condition : rule.conditions) {
        if (auto* link = std::get_if<LinkTest>(&condition.test)) {
            link->links = below(link->links, kLinks);
        }
        if (auto* realm = std::get_if<RealmTest>(&condition.test)) {
            realm->realms = below(realm->realms, kRealms);
        }
    }
    return rule;
}

bool rename(RuleSet& set) {
    bool all = true;
    for (const ChainId id : set.chains()) {
        for (size_t i = 0; i < set.chain(id)->rules.size(); ++i) {
            all = set.replace(id, i, named(*set.chain(id)->rules[i])).has_value() && all;
        }
    }
    return all;
}

}  // namespace

TEST_CASE("any rules written as a configuration are read as they were", "[rules][config][model]") {
    const config::MachineFacts machine{{0}, {}};
    const config::Checked base = config::parse(kNamed, "base", machine);
    REQUIRE(base.config);
    size_t rules = 0;
    for (uint64_t seed = 0; seed < kSets; ++seed) {
        INFO("seed " << seed);
        RulesTraffic traffic(seed);
        traffic.make(seed % 20 == 0 ? 500 : 1 + seed % 60);
        config::Config config = *base.config;
        config.rules.set = traffic.set();
        REQUIRE(rename(config.rules.set));
        const std::string text = config::to_yaml(config);
        const config::Checked again = config::parse(text, "again", machine);
        for (const config::Mistake& mistake : again.mistakes) {
            FAIL_CHECK(mistake.text());
        }
        REQUIRE(again.config);
        REQUIRE(again.config->rules == config.rules);
        REQUIRE(config::rules_to_yaml(*again.config) == config::rules_to_yaml(config));
        rules += config.rules.set.rule_count();
    }
    CHECK(rules > kSets * 20);
}

}  // namespace sekisho::test
