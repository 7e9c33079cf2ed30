// ipchains as tests use it.
#pragma once

#include <string>

#include "legacy/ipchains.h"
#include "legacy_support.h"

namespace sekisho::legacy::test {

struct OldChains {
    FakeAppliance appliance;
    NameTables names = tables();
    Chains chains;

    Answer run(const std::string& line) {
        return run_ipchains(words(line), chains, appliance, names);
    }
    // A line that must do what it says.
    void set(const std::string& line) {
        const Answer answer = run(line);
        INFO(line << ": " << answer.err);
        REQUIRE(answer.status == 0);
        CHECK(answer.out.empty());
    }
    std::string say(const std::string& line) {
        const Answer answer = run(line);
        INFO(line << ": " << answer.err);
        CHECK(answer.status == 0);
        return answer.out;
    }
    Answer restore(const std::string& text, const std::string& options = "") {
        return restore_chains(words(options), text, chains, appliance, names);
    }
    std::string saved() const { return save_chains({}, chains).out; }
    const ChainRule& rule(const std::string& chain, size_t index = 0) const {
        return chains.find(chain)->entries.at(index).rule;
    }
    rules::Walked walk(const std::string& chain, const rules::RulePacket& packet) const {
        const Chains::Chain& found = *chains.find(chain);
        const auto point = static_cast<size_t>(found.point.value());
        return test::walk(chains.rules(), found.at[point], packet);
    }
    rules::Disposition fate(const std::string& chain, const rules::RulePacket& packet) const {
        return walk(chain, packet).outcome.disposition;
    }
    // The rules that a packet agrees with, as "chain 1".
    Words agreeing(const std::string& chain, const rules::RulePacket& packet) const {
        Words found;
        for (const rules::RuleId id : walk(chain, packet).path) {
            for (const Chains::Chain& one : chains.all()) {
                for (size_t i = 0; i < one.entries.size(); ++i) {
                    const auto& ids = one.entries[i].ids;
                    if (std::ranges::find(ids, id) != ids.end()) {
                        found.push_back(one.name + " " + std::to_string(i + 1));
                    }
                }
            }
        }
        return found;
    }
};

}  // namespace sekisho::legacy::test
