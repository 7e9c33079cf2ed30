// What a tool says of a wrong command line.
#pragma once

#include <string>

#include "legacy/answer.h"

namespace sekisho::legacy {

// `reason`, and how to get help: "ipfwadm: no command specified" (LEGACY S31, C14).
Answer wrong_usage(const std::string& program, const std::string& reason);
// A sentence of a tool that could not do what it was asked.
Answer refusal(const std::string& program, const std::string& reason, int status);

}  // namespace sekisho::legacy
