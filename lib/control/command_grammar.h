// The commands of the CLI: one table that parsing, completion, '?' and help all read.
//
//   Words     any unique beginning of a word stands for it: `sh ma` is `show mappings`. Values
//             (addresses) are taken whole.
//   Shape     COMMAND [FILTER VALUE]... [all] [--json]; what may follow depends only on what has
//             been said.
//   Errors    one sentence that names the word and what was wanted in its place.
//   Thread    pure; constant data.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control/rpc_error.h"

namespace sekisho::control {

struct Command {
    std::string_view verb;    // show, clear, compare, reload, help, exit, quit
    std::string_view object;  // mappings, ...; empty if the verb stands alone
    std::string_view method;  // of the RPC; empty: the CLI's own
    std::string_view help;
    bool has_filters = false;
    bool has_json = false;
    bool has_all = false;     // wants a filter or the word `all`
    bool is_listing = false;  // answered in pages
};

// A command as typed, ready to be sent.
struct ParsedCommand {
    const Command* command = nullptr;
    Json params = Json::object();
    bool json = false;
};

// What may stand at a place.
struct Expected {
    std::string word;  // a keyword, or in angle brackets what kind of value
    std::string help;
    bool is_value = false;
    bool is_end = false;  // the command may be given as it stands
};

const std::vector<Command>& commands();

// The words of a line, split at blanks.
std::vector<std::string> split_words(std::string_view line);

tl::expected<ParsedCommand, std::string> parse_command(const std::vector<std::string>& words);

// What may follow `words`, all of them complete; nothing if they are wrong.
std::vector<Expected> expected_after(const std::vector<std::string>& words);
// The same, of these only the keywords that begin with `beginning`; of values all.
std::vector<Expected> expected_after(
    const std::vector<std::string>& words, std::string_view beginning
);
// What Tab adds to `beginning`: the rest that all possible keywords share, and a blank if there is
// but one.
std::string completion(const std::vector<std::string>& words, std::string_view beginning);

// Every command with its sentence, aligned; and how to filter.
std::string help_text();

}  // namespace sekisho::control
