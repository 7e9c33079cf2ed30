// JSON as bytes: bounded parsing and printing that cannot fail.
//
//   Bounds    nesting and number of values are counted before anything is built, so that a line of
//             1 MiB cannot become hundreds of megabytes or exhaust the stack.
//   Errors    no exceptions: an RpcError, or text with U+FFFD in the place of what is not UTF-8.
//   Cost      linear. Thread: pure.
#pragma once

#include <string>
#include <string_view>

#include "control/rpc_error.h"

namespace sekisho::control {

inline constexpr unsigned kMaxNesting = 16;
inline constexpr unsigned kMaxValues = 20000;

tl::expected<Json, RpcError> parse_json(std::string_view text);

// On one line. `ascii`: everything beyond printable ASCII is escaped, so that it is safe on a
// terminal.
std::string to_line(const Document& document, bool ascii = false);
// On many lines, indented, safe on a terminal.
std::string to_lines(const Document& document);

// A value as it is quoted in an error message: printable ASCII, cut after 60 characters.
std::string quoted(const Json& value);

// `text` with everything that could move a cursor or change a colour written as \xNN; newlines too
// unless kept.
std::string printable(std::string_view text, bool keep_newlines = false);
// The same of its first `most_bytes` at most, with "..." behind if there are more; cut between two characters.
std::string printable_start(std::string_view text, size_t most_bytes);
// So much of what a client has sent is written to the log.
inline constexpr size_t kMostLogged = 400;

}  // namespace sekisho::control
