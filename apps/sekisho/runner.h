// Runner: carries one command out: asks the appliance, prints what it answers.
//
//   Status    0 done; 1 the appliance refused, or the output could not be written; 2 the command is wrong or the
//             appliance cannot be reached. The sentence goes to standard error.
//   Bounds    a listing is fetched and printed page by page; a connection is opened for each command and closed after it.
#pragma once

#include <string>
#include <vector>

#include "control/command_grammar.h"

namespace sekisho::cli {

enum Status : int { kDone = 0, kRefused = 1, kUnusable = 2 };

// A sentence to standard error, or some, each on its line, made printable. If that cannot be written, nobody is there to be told.
void complain(const std::string& sentence);
// Complains if `error`, an errno of standard output's, is not 0: the status to end with.
int status_of_output(int error);

class Runner {
  public:
    explicit Runner(std::string socket) : socket_(std::move(socket)) {}
    // The words of a command. `paged`: for a person at a terminal.
    int run(const std::vector<std::string>& words, bool paged) const;

  private:
    int ask(const control::ParsedCommand& command, bool paged) const;
    std::string socket_;
};

}  // namespace sekisho::cli
