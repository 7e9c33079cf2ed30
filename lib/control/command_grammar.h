// The commands of the CLI: one table that parsing, completion, '?' and help all read.
//
//   Words     any unique beginning of a word stands for it: `sh ma` is `show mappings`. Values
//             (addresses) are taken whole.
//   Shape     COMMAND [ARGUMENT]... [WORD [VALUE]]... [all] [--json]; what may follow depends only on what
//             has been said. `rules` alone, or with words, is `rules list`.
//   Errors    one sentence that names the word and what was wanted in its place.
//   Thread    pure; constant data.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control/command_table.h"
#include "control/rpc_error.h"

namespace sekisho::control {

// A command as typed, ready to be sent.
struct ParsedCommand {
    const Command* command = nullptr;
    Json params = Json::object();
    bool json = false;
    bool exact = false;  // numbers are not to be rounded
};

// What may stand at a place.
struct Expected {
    std::string word;  // a keyword, or in angle brackets what kind of value
    std::string help;
    bool is_value = false;
    bool is_end = false;  // the command may be given as it stands
};

// The words of a line, split at blanks. One that begins with a brace goes on to the brace that ends it, blanks included.
std::vector<std::string> split_words(std::string_view line);
// The same of an unfinished line: the words before the one that it ends with, which may be empty.
struct Unfinished {
    std::vector<std::string> words;
    std::string beginning;
};
Unfinished split_unfinished(std::string_view line);

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
