#include "sekisho-legacy/output.h"

#include <cstdio>

#include "control/json_text.h"

namespace sekisho::old {

bool print(std::string_view text) {
    return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() &&
           std::fflush(stdout) == 0;
}

void print_error(std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), stderr);
}

void complain(std::string_view who, const std::string& sentence) {
    print_error(std::string(who) + ": " + control::printable(sentence) + "\n");
}

}  // namespace sekisho::old
