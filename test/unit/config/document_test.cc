#include <fstream>
#include <sstream>

#include <catch2/catch.hpp>

#include "base_file.h"
#include "config/config.h"
#include "config/schema.h"
#include "unit/config/source_paths.h"

using namespace sekisho::config;

namespace {

std::string read_file(const char* path) {
    std::ifstream in(path);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

// The part of the reference that describes one map: from its heading to the next.
std::string chapter(const std::string& document, const std::string& heading) {
    const size_t start = document.find("\n## " + heading + "\n");
    if (start == std::string::npos) {
        return {};
    }
    return document.substr(start, document.find("\n## ", start + 1) - start);
}

bool is_rule(const Section& section) {
    return &section == &kRule || &section == &kRuleConditions;
}

}  // namespace

TEST_CASE("the reference describes every key of every map", "[config][documentation]") {
    const std::string document = read_file(SEKISHO_CONFIGURATION_DOC);
    REQUIRE_FALSE(document.empty());
    const std::pair<const Section*, const char*> chapters[] = {
        {&kTop, "The file"},
        {&kSystem, "system"},
        {&kRealm, "realms"},
        {&kLink, "links"},
        {&kRoute, "routes"},
        {&kNeighbour, "neighbours"},
        {&kMulticast, "multicast"},
        {&kPool, "pools"},
        {&kPolicy, "policies"},
        {&kExemption, "policies: exempt"},
        {&kStaticMapping, "static-mappings"},
        {&kDestinationNat, "destination-nat"},
        {&kTarget, "destination-nat: targets"},
        {&kTriggerForward, "trigger-forwards"},
        {&kProtocols, "a setting by protocol"},
        {&kSubscriberLimits, "policies: limits"},
        {&kProtocolLimits, "policies: limits: a protocol"},
        {&kTimeouts, "timeouts"},
        {&kPortTimeout, "timeouts: by-remote-port"},
        {&kTableLimits, "limits"},
        {&kPcp, "pcp"},
        {&kSet, "sets"},
        {&kGroup, "groups"},
        {&kPattern, "patterns"},
        {&kPayloadSearch, "payload-search"},
        {&kChain, "rules"},
        {&kRule, "rules: rules"},
        {&kRuleConditions, "rules: rules"},
        {&kRulePorts, "rules: ports"},
        {&kRuleIcmp, "rules: icmp"},
        {&kTcpFlags, "rules: tcp-flags"},
        {&kRuleTime, "rules: time"},
        {&kRuleRate, "rules: rate"},
        {&kAction, "rules: action"},
        {&kReject, "rules: reject"},
        {&kRuleLog, "rules: log"},
        {&kMasquerade, "rules: masquerade"},
        {&kDnat, "rules: dnat"},
        {&kDnatTarget, "rules: dnat: targets"},
        {&kSetTos, "rules: set-tos"},
        {&kPolice, "rules: police"},
        {&kLog, "log"},
        {&kSyslog, "syslog"},
        {&kControl, "control"},
    };
    REQUIRE(std::size(chapters) == std::size(kSections));
    for (const auto& [section, heading] : chapters) {
        const std::string text = chapter(document, heading);
        for (const Key& key : section->keys) {
            INFO(heading << ": " << key.name);
            // A negation is described with what it denies.
            const bool is_negation = is_rule(*section) && key.name.starts_with("not-");
            const std::string name(key.name.substr(is_negation ? 4 : 0));
            CHECK(text.find("\n| `" + name + "` |") != std::string::npos);
        }
    }
}

TEST_CASE("the configurations in the reference are without a mistake", "[config][documentation]") {
    const std::string document = read_file(SEKISHO_CONFIGURATION_DOC);
    const MachineFacts machine{{0, 1, 2, 3}};
    int examples = 0;
    for (size_t at = document.find("```yaml\n"); at != std::string::npos;
         at = document.find("```yaml\n", at + 1)) {
        const size_t start = at + 8;
        const std::string text = document.substr(start, document.find("```", start) - start);
        for (const Mistake& mistake : parse(text, "doc", machine).mistakes) {
            FAIL_CHECK(mistake.text());
        }
        ++examples;
    }
    CHECK(examples >= 1);
}

TEST_CASE(
    "the mistakes shown in the reference are those that are printed", "[config][documentation]"
) {
    const std::string document = read_file(SEKISHO_CONFIGURATION_DOC);
    const std::string text = base_with(11, "    adresses: [198.51.100.2/24]\n    mtu: 9000");
    const auto mistakes = parse(text, "sekisho.yaml", kTwoCpus).mistakes;
    REQUIRE(mistakes.size() == 3);
    for (const Mistake& mistake : mistakes) {
        INFO(mistake.text());
        CHECK(document.find("\n" + mistake.text() + "\n") != std::string::npos);
    }
}
