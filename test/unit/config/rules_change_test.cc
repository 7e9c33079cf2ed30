// Rules and sets are changed while the appliance runs.
#include "config/change.h"
#include "rules_support.h"

using namespace sekisho;
using namespace sekisho::config;

namespace {

Config with(const std::string& behind) {
    return must_parse(kBaseFile + behind);
}

std::string main_chain(const std::string& rules, const std::string& rest = "") {
    return "rules:\n  - {name: main, hook: forward" + rest + ", rules: [" + rules + "]}\n";
}

std::vector<Difference> at_once(const Config& running, const Config& wanted) {
    const Change change = compare(running, wanted, running);
    CHECK(change.after_restart.empty());
    return change.at_once;
}

rules::RuleId id_of(const Config& config, size_t position) {
    return config.rules.set.chain(rules::ChainId{0})->rules.at(position)->id;
}

}  // namespace

TEST_CASE("a change of rules tells what goes and what comes", "[config][rules][change]") {
    const Config running = with(main_chain("{ttl: 1, action: deny}, {ttl: 2, action: deny}"));
    CHECK(at_once(running, running).empty());
    const Config changed = with(
        main_chain("{ttl: 1, action: deny}, {ttl: 3, action: accept}, {ttl: 4}", ", policy: deny")
    );
    const std::vector<Difference> wanted = {
        {"rules.main.policy", "accept", "deny"},
        {"rules.main", "{ttl: 2, action: deny}", "{ttl: 3, action: accept}, {ttl: 4}"}};
    CHECK(at_once(running, changed) == wanted);
    const Config turned = with(main_chain("{ttl: 2, action: deny}, {ttl: 1, action: deny}"));
    CHECK(
        at_once(running, turned) ==
        std::vector<Difference>{{"rules.main", "2 rules", "the same in another order"}}
    );
}

TEST_CASE("a large change of rules is counted", "[config][rules][change]") {
    const std::string some =
        main_chain("{ttl: 1}, {ttl: 2}, {ttl: 3}, {ttl: 4}, {ttl: 5}, {ttl: 9}");
    const Config running = with(some);
    CHECK(
        at_once(running, with(main_chain("{ttl: 9}"))) ==
        std::vector<Difference>{{"rules.main", "5 of 6 rules", "0 of 1 rules"}}
    );
    const std::vector<Difference> gone = {{"rules.main", "6 rules", ""}};
    CHECK(at_once(running, with("")) == gone);
    const std::vector<Difference> come = {{"rules.main", "", "6 rules"}};
    CHECK(at_once(with(""), running) == come);
}

TEST_CASE("the order of chains is part of the rules", "[config][rules][change]") {
    const std::string a = "  - {name: a, hook: forward}\n";
    const std::string b = "  - {name: b, hook: forward}\n";
    const Config running = with("rules:\n" + a + b);
    const Config turned = with("rules:\n" + b + a);
    CHECK(at_once(running, turned) == std::vector<Difference>{{"rules", "a, b", "b, a"}});
    CHECK_FALSE(running.rules == turned.rules);
}

TEST_CASE("a change of a set tells its addresses", "[config][rules][change]") {
    const auto set = [](const std::string& addresses) {
        return with("sets: [{name: s, addresses: [" + addresses + "]}]\n");
    };
    const Config running = set("10.0.0.0/8, 192.0.2.1");
    const std::vector<Difference> wanted = {{"sets.s", "192.0.2.1/32", "192.0.2.2/31"}};
    CHECK(at_once(running, set("192.0.2.2-192.0.2.3, 10.0.0.0/8")) == wanted);
    const std::vector<Difference> many = {
        {"sets.s", "10.0.0.0/8, 192.0.2.1/32", "5 of 5 prefixes"}};
    CHECK(at_once(running, set("1.0.0.1, 1.0.0.3, 1.0.0.5, 1.0.0.7, 1.0.0.9")) == many);
    const std::vector<Difference> come = {{"sets.s", "", "2 prefixes"}};
    CHECK(at_once(with(""), running) == come);
}

TEST_CASE("groups, patterns and rules-change are changed at once", "[config][rules][change]") {
    const Config running = with("groups: [{name: g, prefixes: [10.0.0.0/8]}]\n");
    const Config wanted = with(
        "groups: [{name: g, prefixes: [10.0.0.0/9]}]\npatterns: [{name: p, regex: x}]\n"
        "rules-change: keep\n"
    );
    const std::vector<Difference> all = {
        {"groups.g.prefixes", "[10.0.0.0/8]", "[10.0.0.0/9]"},
        {"rules-change", "revalidate", "keep"},
        {"patterns.p.name", "", "p"},
        {"patterns.p.regex", "", "x"}};
    CHECK(at_once(running, wanted) == all);
    Config next = running;
    adopt(wanted, running, next);
    CHECK(next.rules == wanted.rules);
}

TEST_CASE("rules that stay are the same rules after a change", "[config][rules][change]") {
    Config running = with(main_chain("{ttl: 1, action: deny}, {ttl: 2, action: deny}"));
    const rules::RuleId first = id_of(running, 0);
    const rules::RuleId second = id_of(running, 1);
    const Config wanted =
        with(main_chain("{ttl: 2, action: deny}, {ttl: 3}, {ttl: 1, action: deny}"));
    const Config at_start = running;
    adopt(wanted, at_start, running);
    CHECK(running.rules == wanted.rules);
    CHECK(id_of(running, 0) == second);
    CHECK(id_of(running, 2) == first);
    CHECK(id_of(running, 1).value >= at_start.rules.set.id_bound());
    const Config same = running;
    adopt(wanted, at_start, running);
    CHECK(id_of(running, 1) == id_of(same, 1));
}

TEST_CASE(
    "rules wait for a restart with the links and pools that they name", "[config][rules][change]"
) {
    const Config running = with(main_chain("{in-link: int0, action: deny}"));
    std::string other = kBaseFile + main_chain("{in-link: inner, action: deny}");
    other.replace(other.find("int0"), 4, "inner");
    const Config wanted = must_parse(other);
    Config next = running;
    adopt(wanted, running, next);
    CHECK(next.rules == running.rules);
    const Change change = compare(running, wanted, running);
    CHECK(change.at_once.empty());
    CHECK_FALSE(change.after_restart.empty());
}
