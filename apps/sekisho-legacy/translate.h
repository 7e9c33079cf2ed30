// A script of an earlier kernel, as a part of sekisho.yaml.
//
//   Way       the script runs in a private view (run_script.h) where a DryKernel answers: no appliance hears of it. What it makes
//             is printed at the end, in the language of the file, with a comment for each line that has no effect any more.
//   Status    0; 1: the script could not be run, or a call of a tool failed: each is a comment; 2: wrong usage.
//   Thread    the main thread.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "sekisho-legacy/dry_kernel.h"

namespace sekisho::old {

// "--config FILE" first, where it is not /etc/sekisho/sekisho.yaml; then the script and its arguments.
int translate(std::vector<std::string> words);

// What the kernel has come to, in the configuration whose links and pools it knows: sections of a file.
Result<std::string> sections_of(const legacy::Kernel& kernel, const config::Config& config);
// A comment for each call that said something besides.
std::string comments_of(const std::vector<DryCall>& calls);

}  // namespace sekisho::old
