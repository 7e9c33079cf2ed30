// TextView: a command's results as text for people.
//
//   Use       one a command; render() for its result, or for each page of a listing in turn.
//   Safety    whatever came over the wire is made printable; a value of an unexpected type is shown
//             as it is, as JSON.
//   Thread    one.
#pragma once

#include <optional>
#include <string>

#include "control/command_grammar.h"
#include "control/text_table.h"

namespace sekisho::control {

class TextView {
  public:
    // `exact`: counters of rules are not rounded.
    explicit TextView(const Command& command, bool exact = false);
    std::string render(const Document& result);
    // What is left to say when the last page is done: how many were cleared, or the titles of an empty listing.
    std::string finish();

  private:
    std::string rows(const Document& result);
    const Command& command_;
    bool exact_;
    bool lists_rules_;
    std::optional<TextTable> table_;
    uint64_t cleared_ = 0;
};

}  // namespace sekisho::control
