// A file as one text.
//
//   Errors    what hinders reading it, as the "found" of a mistake.
//   Cost      reads it whole. Never waits, whatever the name stands for. Thread: any.
#pragma once

#include <cstddef>
#include <string>

#include "base/result.h"

namespace sekisho::config {

// The first `most` + 1 bytes at most: one more than is wanted shows that the file is too long.
Result<std::string> read_regular_file(const std::string& path, size_t most);

}  // namespace sekisho::config
