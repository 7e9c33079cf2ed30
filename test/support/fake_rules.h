// FakeRules: rules that change a configuration and count what a test says, for tests of what asks them.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "control/rules_access.h"

namespace sekisho::test {

class FakeRules : public control::RulesAccess {
  public:
    explicit FakeRules(config::Config& config) : config_(config) {}

    // What it answers; tests fill it.
    std::map<uint32_t, rules::RuleTotal> totals;  // by RuleId, since the start
    std::string trouble;                          // every change is this error, if it is not empty
    Named names;

    // What was asked of it.
    std::vector<std::string> changes;
    unsigned times_counted = 0;

    Result<std::chrono::nanoseconds> change(const std::string& what, const control::MakeRules& make)
        override {
        auto made = make(config_);
        if (!made || !trouble.empty()) {
            return failure(made ? trouble : made.error().message);
        }
        if (*made == config_.rules) {
            return std::chrono::nanoseconds{0};
        }
        config_.rules = std::move(*made);
        changes.push_back(what);
        return std::chrono::nanoseconds{2500};
    }
    std::vector<rules::RuleTotal> counted() override {
        ++times_counted;
        std::vector<rules::RuleTotal> all;
        for (const auto& [id, total] : totals) {
            all.resize(std::max<size_t>(all.size(), size_t{id} + 1));
            all[id] = total;
        }
        return all;
    }
    std::vector<rules::RuleTotal> since_zero(
        std::span<const rules::RuleId> rules, std::span<const rules::RuleTotal> counted, bool zeroes
    ) override {
        std::vector<rules::RuleTotal> out;
        for (const rules::RuleId id : rules) {
            const auto now = id.value < counted.size() ? counted[id.value] : rules::RuleTotal{};
            rules::RuleTotal& zero = zero_[id.value];
            out.push_back({now.packets - zero.packets, now.bytes - zero.bytes});
            zero = zeroes ? now : zero;
        }
        return out;
    }
    Named named() override { return names; }

  private:
    config::Config& config_;
    std::map<uint32_t, rules::RuleTotal> zero_;
};

}  // namespace sekisho::test
