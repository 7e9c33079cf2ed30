// Who has an external endpoint, and what external ports a subscriber has, from a configuration alone: for
// pools whose blocks follow from a formula (RFC 7422), whether or not an appliance runs.
//
//   Errors    a sentence: the text is no endpoint, nobody has it, or only the log of bindings knows.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "config/config.h"

namespace sekisho::config {

// `text`: an external endpoint, A:PORT, or an internal address, A. The answer is one line for each realm
// that has the address.
Result<std::string> who(const Config& config, std::string_view text);

}  // namespace sekisho::config
