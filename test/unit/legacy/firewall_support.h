// ipfwadm as tests use it.
#pragma once

#include <string>

#include "legacy/ipfwadm.h"
#include "legacy_support.h"

namespace sekisho::legacy::test {

struct OldFirewall {
    FakeAppliance appliance;
    NameTables names = tables();
    Firewall firewall;

    Answer run(const std::string& line) {
        return run_ipfwadm(words(line), firewall, appliance, names);
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
    const FirewallRule& rule(Point point, size_t index = 0) const {
        return firewall.entries(point).at(index).rule;
    }
    rules::Walked walk(Point point, const rules::RulePacket& packet) const {
        return test::walk(firewall.rules(), firewall.chain(point), packet);
    }
    rules::Disposition fate(Point point, const rules::RulePacket& packet) const {
        return walk(point, packet).outcome.disposition;
    }
    // Which rules of the listing, from 1, a packet agrees with.
    std::vector<size_t> agreeing(Point point, const rules::RulePacket& packet) const {
        std::vector<size_t> found;
        const auto& entries = firewall.entries(point);
        for (const rules::RuleId id : walk(point, packet).path) {
            for (size_t i = 0; i < entries.size(); ++i) {
                if (entries[i].id == id) {
                    found.push_back(i + 1);
                }
            }
        }
        return found;
    }
};

}  // namespace sekisho::legacy::test
