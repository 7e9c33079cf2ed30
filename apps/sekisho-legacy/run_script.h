// A script of an earlier kernel, run as it is: in a private view (private_view.h), where it finds the tools and settings.
//
//   Settings  that it writes are told to sekishod before each call of a tool and at the end, by whoever was called then.
//   Status    the script's; 128 and more: the signal that ended it; 126, 127: it cannot be run; 2: there is no view for it.
//   Signals   Ctrl-C is the script's affair; SIGTERM and SIGHUP are handed on to it.
//   Thread    the main thread.
#pragma once

#include <string>
#include <vector>

#include "sekisho-legacy/dry_kernel.h"
#include "sekisho-legacy/tool_caller.h"

namespace sekisho::old {

// `words`: the script, and its arguments.
int run_script(const std::vector<std::string>& words, ToolCaller& caller);

// The same without a sekishod: `dry` answers. What the script prints goes to standard error. A shell's script is run by bash, which
// tells where it stands: place_in_script().
int run_dry(const std::vector<std::string>& words, DryKernel& dry);
// Of a tool that a dry script calls: "rc.firewall:12"; empty: nobody knows.
std::string place_in_script();

// Of a tool that a script calls: tells what was written meanwhile; and afterwards, shows what is so now. What cannot be done is a
// line on standard error.
void tell_settings(ToolCaller& caller);
void show_listings(ToolCaller& caller);

}  // namespace sekisho::old
