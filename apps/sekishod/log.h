// The daemon's log: one line a fact on standard error. Never called on a packet's route.
#pragma once

#include <cstdio>
#include <string>
#include <utility>

#include <fmt/format.h>

namespace sekisho::daemon {

template <class... Args>
void log(fmt::format_string<Args...> text, Args&&... args) {
    const std::string line = "sekishod: " + fmt::format(text, std::forward<Args>(args)...) + "\n";
    std::fwrite(line.data(), 1, line.size(), stderr);
}

}  // namespace sekisho::daemon
