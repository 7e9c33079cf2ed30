// The links on the external side, as rules name links. They stay as long as a process.
#pragma once

#include "config/config.h"

namespace sekisho::config {

rules::ByteSet external_links(const Config& config);

}  // namespace sekisho::config
