#include "control/rules_text.h"

#include <fmt/format.h>

#include "control/document_text.h"

namespace sekisho::control {

namespace {

// A rule, or the end of a chain.
std::string rule_text(const Document& row) {
    const Document rule = value_of(row, "rule");
    if (!rule.is_null()) {
        return text_of(rule);
    }
    const Document references = value_of(row, "references");
    if (references.is_null()) {
        return text_of(value_of(row, "policy"));
    }
    return references == 1 ? "(1 leads here)" : fmt::format("({} lead here)", text_of(references));
}

std::string place_text(const Document& row) {
    const Document position = value_of(row, "position");
    if (!position.is_null()) {
        return text_of(position);
    }
    return value_of(row, "id").is_null() ? "end" : "policy";
}

// "rule 3 of passing", "the policy of passing"
std::string name_of_rule(const Document& row) {
    const std::string chain = text_of(value_of(row, "chain"));
    const Document position = value_of(row, "position");
    return position.is_null() ? fmt::format("the policy of {}", chain)
                              : fmt::format("rule {} of {}", text_of(position), chain);
}

std::string end_text(const Document& packet, const char* address, const char* port) {
    const Document number = value_of(packet, port);
    return text_of(value_of(packet, address)) + (number.is_null() ? "" : ":" + text_of(number));
}

std::string packet_text(const Document& packet) {
    return fmt::format(
        "{} {} -> {}, in {}, out {}, {}",
        text_of(value_of(packet, "protocol")),
        end_text(packet, "source", "source-port"),
        end_text(packet, "destination", "destination-port"),
        text_of(value_of(packet, "in-link")),
        text_of(value_of(packet, "out-link")),
        text_of(value_of(packet, "state"))
    );
}

std::string step_text(const Document& step) {
    std::string out = fmt::format(
        "{} {}: {}\n",
        text_of(value_of(step, "hook")),
        text_of(value_of(step, "chain")),
        packet_text(value_of(step, "packet"))
    );
    const Document path = value_of(step, "path");
    for (const Document& row : path) {
        out += fmt::format("  {:<24} {}\n", name_of_rule(row), rule_text(row));
    }
    if (const uint64_t length = number_of(step, "path-length"); length > path.size()) {
        out += fmt::format("  and {} more\n", length - path.size());
    }
    return out + fmt::format(
                     "  {}{}\n",
                     text_of(value_of(step, "verdict")),
                     value_of(step, "for-flow") == true ? "" : ", asked of every packet of the flow"
                 );
}

uint64_t in_units(uint64_t count, uint64_t unit) {
    return count / unit + (count % unit >= unit / 2 ? 1 : 0);
}

}  // namespace

std::string rounded(uint64_t count) {
    struct Unit {
        uint64_t size;
        char name;
    };
    constexpr Unit kUnits[] = {{1000, 'K'}, {1000000, 'M'}};
    constexpr uint64_t kMostAlone = 99999;
    constexpr uint64_t kMostOfUnit = 9999;
    if (count <= kMostAlone) {
        return std::to_string(count);
    }
    for (const Unit& unit : kUnits) {
        const uint64_t units = in_units(count, unit.size);
        if (units <= kMostOfUnit) {
            return fmt::format("{}{}", units, unit.name);
        }
    }
    return fmt::format("{}G", in_units(count, 1000000000));
}

std::vector<TableColumn> rules_columns() {
    return {
        {"CHAIN"},
        {"HOOK"},
        {"RULE", true, 6},
        {"ID", true},
        {"PACKETS", true},
        {"BYTES", true},
        {"RESIDUE"},
        {"SAYS"}};
}

std::vector<std::string> rules_cells(const Document& row, bool exact) {
    const auto counter = [&](const char* key) {
        const Document value = value_of(row, key);
        return value.is_null() || exact ? text_of(value) : rounded(count_of(value));
    };
    const std::string residue = text_of(value_of(row, "residue"));
    return {
        text_of(value_of(row, "chain")),
        text_of(value_of(row, "hook")),
        place_text(row),
        text_of(value_of(row, "id")),
        counter("packets"),
        counter("bytes"),
        residue.empty() ? kNoValue : residue,
        rule_text(row)};
}

std::string edited_text(const Document& result) {
    if (value_of(result, "changed") != true) {
        return "nothing has changed\n";
    }
    std::string out;
    const Document gone = value_of(result, "gone");
    const bool has_come = !value_of(result, "rule").is_null();
    if (!gone.is_null()) {
        out += fmt::format(
            "{} is gone: {} ({} packets, {} bytes)\n",
            name_of_rule(result),
            text_of(value_of(gone, "rule")),
            text_of(value_of(gone, "packets")),
            text_of(value_of(gone, "bytes"))
        );
    }
    if (has_come) {
        out += fmt::format("{}: {}\n", name_of_rule(result), text_of(value_of(result, "rule")));
    }
    if (const uint64_t flushed = number_of(result, "flushed"); flushed > 0) {
        out += flushed == 1 ? "1 rule is gone\n" : fmt::format("{} rules are gone\n", flushed);
    }
    const uint64_t us = number_of(result, "rested-ns") / 1000;
    out += fmt::format("no worker stood still for more than {} us\n", us);
    return out + "the configuration's file is as it was: a reload or a restart goes back to it\n";
}

std::string check_text(const Document& result) {
    std::string out;
    for (const Document& step : value_of(result, "steps")) {
        out += step_text(step);
    }
    const Document by = value_of(result, "by");
    return out + fmt::format(
                     "{}{}: {}\n",
                     out.empty() ? "" : "\n",
                     text_of(value_of(result, "way")),
                     by.is_null() ? text_of(value_of(result, "verdict"))
                                  : text_of(value_of(result, "verdict")) + " by " + name_of_rule(by)
                 );
}

}  // namespace sekisho::control
