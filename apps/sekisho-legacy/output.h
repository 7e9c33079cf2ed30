// What a tool prints.
#pragma once

#include <string>
#include <string_view>

namespace sekisho::old {

inline constexpr int kUnusable = 2;  // a wrong command of ours, or an output that cannot be written
inline constexpr const char* kDefaultSocket = "/run/sekisho/sekisho.sock";

// To standard output, whole; false: it cannot be written.
bool print(std::string_view text);
// To standard error; if that cannot be written, nobody is there to be told.
void print_error(std::string_view text);
// "WHO: SENTENCE", made printable.
void complain(std::string_view who, const std::string& sentence);

}  // namespace sekisho::old
