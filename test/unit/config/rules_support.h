// The base file with rules behind it: line 22 is the first of them.
#pragma once

#include <map>
#include <string>

#include <catch2/catch.hpp>

#include "base_file.h"

namespace sekisho::config {

// A machine with files of its own.
inline MachineFacts machine_with(const std::map<std::string, std::string>& files) {
    MachineFacts machine = kTwoCpus;
    machine.read_file = [files](const std::string& path, size_t most) -> Result<std::string> {
        const auto found = files.find(path);
        if (found == files.end()) {
            return failure("no readable file (No such file or directory)");
        }
        return found->second.substr(0, most + 1);
    };
    return machine;
}

inline Config must_parse(const std::string& text, const MachineFacts& machine = kTwoCpus) {
    Checked checked = parse(text, "f", machine);
    for (const Mistake& mistake : checked.mistakes) {
        FAIL_CHECK(mistake.text());
    }
    REQUIRE(checked.config);
    return *checked.config;
}

// What a rule may name.
inline const std::string kNamed =
    "sets: [{name: bogons, addresses: [0.0.0.0/8, 240.0.0.0/4]}]\n"
    "groups: [{name: gold, prefixes: [100.64.0.0/24]}, {name: lead, prefixes: [100.64.1.0/24]}]\n"
    "patterns: [{name: get, literal: GET}]\n";

// One chain with one rule; the rule stands on line 27, from column 9.
inline std::string with_rule(const std::string& rule, const std::string& hook = "forward") {
    return kBaseFile + kNamed + "rules:\n  - {name: there}\n  - {name: main, hook: " + hook +
           ", rules: [\n" + "        " + rule + "]}\n";
}

// The rule that such a file has.
inline rules::Rule rule_of(const std::string& rule, const std::string& hook = "forward") {
    const Config config = must_parse(with_rule(rule, hook));
    const auto chain = config.rules.set.find_chain("main");
    REQUIRE(chain);
    REQUIRE(config.rules.set.chain(*chain)->rules.size() == 1);
    return *config.rules.set.chain(*chain)->rules[0];
}

// What is said about it, without the place of the file.
inline std::string said_of(const std::string& rule, const std::string& hook = "forward") {
    return mistakes_of(with_rule(rule, hook));
}

}  // namespace sekisho::config
