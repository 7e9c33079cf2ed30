// Chains, sets and groups as the file has them.
#include "config/yaml_tree.h"
#include "rules_support.h"
#include "unit/config/source_paths.h"

using namespace sekisho;
using namespace sekisho::config;

namespace {

constexpr const char* kChains =
    "sets:\n"
    "  - {name: bogons, addresses: [0.0.0.0/8, 192.0.2.4-192.0.2.9, 198.51.100.1]}\n"
    "rules:\n"
    "  - name: main\n"
    "    hook: forward\n"
    "    priority: -10\n"
    "    policy: deny\n"
    "    rules:\n"
    "      - {source: \"@bogons\", action: deny}\n"
    "      - {protocol: tcp, destination-port: [80, 443, 8000-8999], action: {jump: web}}\n"
    "      - {source: 10.0.0.0/8, not-destination: [10.0.0.0/8], action: accept}\n"
    "  - name: web\n"
    "    rules:\n"
    "      - {comment: \"counts only\"}\n";

const rules::Chain& chain(const Config& config, const char* name) {
    const auto id = config.rules.set.find_chain(name);
    REQUIRE(id);
    return *config.rules.set.chain(*id);
}

}  // namespace

TEST_CASE("chains and their rules stand as the file has them", "[config][rules]") {
    const Config config = must_parse(std::string(kBaseFile) + kChains);
    const rules::RuleSet& set = config.rules.set;
    REQUIRE(set.chains().size() == 2);
    const rules::Chain& main = chain(config, "main");
    CHECK(main.hook == rules::Hook::kForward);
    CHECK(main.priority == -10);
    CHECK(main.policy == rules::Action(rules::Deny{}));
    REQUIRE(main.rules.size() == 3);
    CHECK(main.rules[0]->actions == std::vector<rules::Action>{rules::Deny{}});
    const auto web = set.find_chain("web");
    REQUIRE(web);
    CHECK(main.rules[1]->actions == std::vector<rules::Action>{rules::Jump{*web}});
    const std::vector<rules::Condition> asked = {
        {rules::ProtocolTest{rules::ByteSet::of(6)}},
        {rules::PortTest{rules::Side::kDestination, {{80, 80}, {443, 443}, {8000, 8999}}}}};
    CHECK(main.rules[1]->conditions == asked);
    REQUIRE(main.rules[2]->conditions.size() == 2);
    CHECK_FALSE(main.rules[2]->conditions[0].negated);
    CHECK(main.rules[2]->conditions[1].negated);
    CHECK_FALSE(chain(config, "web").hook);
    CHECK(chain(config, "web").rules[0]->comment == "counts only");
}

TEST_CASE(
    "a set has the addresses of its list and of its file, each prefix once", "[config][rules]"
) {
    const MachineFacts machine = machine_with(
        {{"/etc/sekisho/more",
          "# from outside\n203.0.113.0/24\n\n  192.0.2.4   # again\n100.64.0.1-100.64.0.2\r\n"}}
    );
    const std::string text =
        "sets:\n"
        "  - {name: empty}\n"
        "  - name: both\n"
        "    addresses: [192.0.2.4-192.0.2.7, 192.0.2.4/30]\n"
        "    file: /etc/sekisho/more\n"
        "rules:\n"
        "  - {name: main, hook: ingress, rules: [{source: \"@both\", action: deny}]}\n";
    const Config config = must_parse(kBaseFile + text, machine);
    REQUIRE(config.rules.sets.size() == 2);
    CHECK(config.rules.sets[0].prefixes().empty());
    const SetSettings& both = config.rules.sets[1];
    CHECK(both.file_addresses.size() == 3);
    const std::vector<Ipv4Prefix> prefixes = {
        {Ipv4Addr::of(100, 64, 0, 1), 32},
        {Ipv4Addr::of(100, 64, 0, 2), 32},
        {Ipv4Addr::of(192, 0, 2, 4), 30},
        {Ipv4Addr::of(192, 0, 2, 4), 32},
        {Ipv4Addr::of(203, 0, 113, 0), 24}};
    CHECK(both.prefixes() == prefixes);
    const auto* test =
        std::get_if<rules::AddressTest>(&chain(config, "main").rules[0]->conditions[0].test);
    REQUIRE(test != nullptr);
    CHECK(test->sets == std::vector{rules::SetId{1}});
    CHECK(*config.rules.set.set_name(rules::SetId{1}) == "both");
}

TEST_CASE("groups have their subscribers' prefixes, realm by realm", "[config][rules]") {
    const std::string text =
        "realms: [{name: corporate, side: internal}]\n"
        "groups:\n"
        "  - {name: gold, prefixes: [100.64.0.0/24, 100.64.9.0/24]}\n"
        "  - {name: staff, realm: corporate, prefixes: [100.64.0.0/24]}\n";
    const Config config = must_parse(kBaseFile + text);
    REQUIRE(config.rules.groups.size() == 2);
    CHECK(config.rules.groups[0].realm == kInternalRealm);
    CHECK(config.rules.groups[0].prefixes.size() == 2);
    CHECK(config.rules.groups[1].realm == RealmId{2});
}

TEST_CASE(
    "patterns are literals or expressions, anywhere or near the beginning", "[config][rules]"
) {
    const std::string text =
        "patterns:\n"
        "  - {name: get, literal: \"GET /\\r\\n\"}\n"
        "  - {name: host, regex: \"^Host: .*[.]example\", first-bytes: 2k}\n";
    const Config config = must_parse(kBaseFile + text);
    REQUIRE(config.rules.patterns.size() == 2);
    CHECK(config.rules.patterns[0] == PatternSettings{"get", "GET /\r\n", false, 0});
    CHECK(config.rules.patterns[1] == PatternSettings{"host", "^Host: .*[.]example", true, 2000});
    CHECK(must_parse(to_yaml(config)).rules == config.rules);
}

TEST_CASE("what becomes of sessions when rules change is a setting", "[config][rules]") {
    CHECK(must_parse(kBaseFile).rules.change == RulesChange::kRevalidate);
    const auto change_of = [](const char* text) {
        return must_parse(std::string(kBaseFile) + "rules-change: " + text + "\n").rules.change;
    };
    CHECK(change_of("keep") == RulesChange::kKeep);
    CHECK(change_of("revalidate") == RulesChange::kRevalidate);
    CHECK(
        mistakes_of(base_with(22, "rules-change: cut")) ==
        "f:22:15: found \"cut\", wanted revalidate or keep"
    );
}

TEST_CASE("how payloads are searched is a setting", "[config][rules]") {
    CHECK(must_parse(kBaseFile).payload_search == PayloadSearchSettings{4096, true});
    const Config config =
        must_parse(std::string(kBaseFile) + "payload-search: {streams: 64, when-full: pass}\n");
    CHECK(config.payload_search == PayloadSearchSettings{64, false});
    CHECK(must_parse(to_yaml(config)).payload_search == config.payload_search);
    CHECK(
        mistakes_of(base_with(22, "payload-search: {streams: 63, when-full: wait}")) ==
        "f:22:27: found \"63\", wanted a count from 64 to 1048576, with k, M, Ki or Mi if need be\n"
        "f:22:42: found \"wait\", wanted drop or pass"
    );
}

TEST_CASE("a rule that no packet reaches is allowed, with a warning", "[config][rules]") {
    const auto warnings_of = [](const std::string& rules) {
        const std::string text = std::string(kBaseFile) +
                                 "rules:\n  - {name: there}\n  - name: main\n    hook: forward\n"
                                 "    rules:\n" +
                                 rules;
        const Checked checked = parse(text, "f", kTwoCpus);
        REQUIRE(checked.config);
        std::string all;
        for (const Mistake& warning : checked.warnings) {
            all += warning.text() + "\n";
        }
        return all;
    };
    CHECK(
        warnings_of("      - action: accept\n      - action: deny\n      - action: deny\n") ==
        "f:28:9: found a rule behind one that ends every walk, on line 27, wanted rules that a "
        "packet can reach\n"
    );
    CHECK(warnings_of("      - action: {goto: there}\n      - action: deny\n") != "");
    CHECK(warnings_of("      - action: deny\n").empty());
    CHECK(warnings_of("      - action: {jump: there}\n      - action: deny\n").empty());
    CHECK(warnings_of("      - action: log\n      - action: deny\n").empty());
    CHECK(warnings_of("      - {ttl: 1, action: accept}\n      - action: deny\n").empty());
}

TEST_CASE("the example with rules is without a mistake or a warning", "[config][rules]") {
    const Checked checked = load(SEKISHO_RULES_EXAMPLE_FILE, kTwoCpus);
    for (const Mistake& mistake : checked.mistakes) {
        FAIL_CHECK(mistake.text());
    }
    CHECK(checked.warnings.empty());
    REQUIRE(checked.config);
    CHECK(checked.config->rules.set.rule_count() == 18);
    CHECK(must_parse(to_yaml(*checked.config)).rules == checked.config->rules);
}
