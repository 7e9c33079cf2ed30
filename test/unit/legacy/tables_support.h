// iptables as tests use it.
#pragma once

#include <string>

#include "legacy/iptables.h"
#include "legacy_support.h"

namespace sekisho::legacy::test {

struct OldTables {
    FakeAppliance appliance;
    NameTables names = test::tables();
    Tables tables;
    // One pool, of 203.0.113.1 to 203.0.113.9, with the ports 1024 to 4999.
    TableContext context{
        appliance.links(), [](const rules::AddressRange& range, const PortRange& ports) {
            const bool is_ours =
                range == rules::AddressRange{address("203.0.113.1"), address("203.0.113.9")} &&
                (ports.first == 0 || ports == PortRange{1024, 4999});
            return is_ours ? std::optional(PoolId{7}) : std::nullopt;
        }};

    // Words between spaces, and in double quotes.
    Answer run(const std::string& line) {
        return run_iptables(split_quoted(line).value(), tables, {appliance, context, names});
    }
    // A line that must do what it says.
    void set(const std::string& line) {
        const Answer answer = run(line);
        INFO(line << ": " << answer.err);
        REQUIRE(answer == Answer{});
    }
    std::string say(const std::string& line) {
        const Answer answer = run(line);
        INFO(line << ": " << answer.err);
        CHECK(answer.status == 0);
        return answer.out;
    }
    Answer restore(const std::string& text, const std::string& options = "") {
        return restore_tables(words(options), text, tables, {appliance, context, names});
    }
    std::string saved(const std::string& options = "") const {
        return save_tables(words(options), tables, appliance).out;
    }
    // "filter.INPUT".
    rules::Walked walk(const std::string& chain, const rules::RulePacket& packet) const {
        return test::walk(tables.rules(), tables.rules().find_chain(chain).value(), packet);
    }
    rules::Disposition fate(const std::string& chain, const rules::RulePacket& packet) const {
        return walk(chain, packet).outcome.disposition;
    }
    const Tables::Entry& entry(Table table, const std::string& chain, size_t index = 0) const {
        return tables.find(table, chain)->entries.at(index);
    }
};

}  // namespace sekisho::legacy::test
