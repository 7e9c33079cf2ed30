// sekishod --who A:PORT --at TIME --log FILE: who had an external port then, by the log of bindings alone.
//
//   Exit      0: the log tells; 1: a mistake in the question, or a file that cannot be read; 2: the log does not tell for certain.
#pragma once

#include <string>
#include <vector>

namespace sekisho::daemon {

int tell_past(const std::string& whom, const std::string& at, const std::vector<std::string>& logs);

}  // namespace sekisho::daemon
