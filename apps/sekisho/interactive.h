// The interactive shell: libedit with history, completion by Tab, and '?' for what may follow.
//
//   Errors    none of its own; a command's sentence is printed and the next one awaited.
//   Files     ~/.sekisho_history, at most 1000 lines, mode 0600.
#pragma once

#include "sekisho/runner.h"

namespace sekisho::cli {

// Until exit, quit or end of file. At a terminal with editing, otherwise line by line without a prompt. Returns the status
// of the worst command, or 0 at a terminal.
int run_interactive(const Runner& runner);

}  // namespace sekisho::cli
