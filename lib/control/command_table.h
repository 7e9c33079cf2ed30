// The commands of the CLI as a table: what parsing, completion, '?' and help read.
//
//   Thread    constant data.
#pragma once

#include <span>
#include <string_view>
#include <vector>

namespace sekisho::control {

// A keyword with a value, or alone; or, where a command wants it at a fixed place, the value alone.
struct CommandWord {
    std::string_view word;   // in commands and in the RPC's parameters
    std::string_view value;  // as '?' shows it; empty: the word stands alone
    std::string_view help;
    std::string_view wanted;
    bool (*accepts)(std::string_view) = nullptr;
    // Instead of `accepts`: these, of which a beginning will do.
    const std::vector<std::string_view>* choices = nullptr;
    bool is_number = false;              // in the RPC
    std::string_view or_parameter = {};  // the RPC's name of what is no number
};

struct Command {
    std::string_view verb;    // show, clear, rules, compare, reload, help, exit, quit
    std::string_view object;  // mappings, ...; empty if the verb stands alone
    std::string_view method;  // of the RPC; empty: the CLI's own
    std::string_view help;
    bool has_filters = false;
    bool has_json = false;
    bool has_all = false;                         // wants a filter or the word `all`
    bool is_listing = false;                      // answered in pages
    std::span<const CommandWord> arguments = {};  // wanted, in this order
    std::span<const CommandWord> words = {};      // may follow, in any order, each once
    std::string_view op = {};                     // of a method that has several
    std::string_view rows = {};                   // what the rows are called, if not as `object`

    std::string_view row_name() const { return rows.empty() ? object : rows; }
};

const std::vector<Command>& commands();
// Of which subscribers, mappings and sessions.
std::span<const CommandWord> filter_words();

// Words that are not sent: how the client shows what it gets.
inline constexpr std::string_view kJsonWord = "--json";
inline constexpr std::string_view kExactWord = "exact";

}  // namespace sekisho::control
