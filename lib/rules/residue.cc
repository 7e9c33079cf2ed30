#include "rules/residue.h"

#include <algorithm>

namespace sekisho::rules {
namespace {

struct NameOf {
    const char* operator()(const TcpFlagsTest& /*test*/) const { return "tcp-flags"; }
    const char* operator()(const FragmentTest& /*test*/) const { return "fragments"; }
    const char* operator()(const TosTest& /*test*/) const { return "tos"; }
    const char* operator()(const LengthTest& /*test*/) const { return "length"; }
    const char* operator()(const TtlTest& /*test*/) const { return "ttl"; }
    const char* operator()(const PayloadTest& /*test*/) const { return "payload"; }
    const char* operator()(const TimeTest& /*test*/) const { return "time"; }
    const char* operator()(const RateTest& /*test*/) const { return "rate"; }
    const char* operator()(const MarkTest& /*test*/) const { return "mark"; }
    template <class Fixed>
    const char* operator()(const Fixed& /*test*/) const {
        return "";
    }
};

void add(std::vector<std::string>& fields, const char* name) {
    if (std::ranges::find(fields, name) == fields.end()) {
        fields.emplace_back(name);
    }
}

}  // namespace

std::vector<std::string> varying_fields(const Rule& rule) {
    std::vector<std::string> fields;
    for (const Condition& condition : rule.conditions) {
        if (is_varying(condition)) {
            add(fields, std::visit(NameOf{}, condition.test));
        }
    }
    for (const Action& action : rule.actions) {
        if (std::holds_alternative<Police>(action)) {
            add(fields, "police");
        }
    }
    return fields;
}

bool asks_for_payload(const Rule& rule) {
    return std::ranges::any_of(rule.conditions, [](const Condition& condition) {
        return std::holds_alternative<PayloadTest>(condition.test);
    });
}

std::vector<bool> patterns_asked_for(const RuleSet& set) {
    std::vector<bool> asked;
    const auto note = [&asked](const Condition& condition) {
        if (const auto* const test = std::get_if<PayloadTest>(&condition.test)) {
            asked.resize(std::max(asked.size(), size_t{test->pattern.value} + 1));
            asked[test->pattern.value] = true;
        }
    };
    for (const ChainId id : set.chains()) {
        for (const RulePtr& rule : set.chain(id)->rules) {
            std::ranges::for_each(rule->conditions, note);
        }
    }
    return asked;
}

// What a chain leads to is known once nothing more follows from what is.
std::vector<bool> chains_that_ask_for_payload(const RuleSet& set) {
    std::vector<bool> asks;
    for (const ChainId id : set.chains()) {
        asks.resize(std::max(asks.size(), size_t{id.value} + 1));
    }
    const auto leads_there = [&](const RulePtr& rule) {
        const Action* const deciding = rule->deciding();
        const ChainId* const to = deciding != nullptr ? chain_of(*deciding) : nullptr;
        return asks_for_payload(*rule) || (to != nullptr && asks[to->value]);
    };
    const auto is_news = [&](ChainId id) {
        return !asks[id.value] && std::ranges::any_of(set.chain(id)->rules, leads_there);
    };
    const auto chains = set.chains();
    for (auto at = chains.begin(); at != chains.end();) {
        const bool has_changed = is_news(*at);
        if (has_changed) {
            asks[at->value] = true;
        }
        at = has_changed ? chains.begin() : at + 1;
    }
    return asks;
}

std::vector<ResidueRule> residue_of(const RuleSet& set) {
    std::vector<ResidueRule> residue;
    for (const ChainId id : set.chains()) {
        size_t position = 0;
        for (const RulePtr& rule : set.chain(id)->rules) {
            residue.push_back({{id, position++}, rule->id, varying_fields(*rule)});
        }
    }
    std::erase_if(residue, [](const ResidueRule& rule) { return rule.fields.empty(); });
    return residue;
}

}  // namespace sekisho::rules
