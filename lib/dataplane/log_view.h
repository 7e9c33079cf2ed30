// LogView: how the log of bindings stands, for those who look at it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sekisho::dataplane {

enum class LogState : uint8_t {
    kOff,      // none is kept
    kOpen,     // lines are written as they come
    kStalled,  // who reads the other end (a FIFO) does not keep up
    kFailing,  // it cannot be written; `error` says why
};

struct LogRingView {
    uint64_t capacity = 0, used = 0;
    uint64_t events = 0;   // that were ever put into it
    uint64_t lost = 0;     // that found no room in it
    uint64_t pending = 0;  // ends that wait for room in it
};

struct LogView {
    LogState state = LogState::kOff;
    std::string file;
    std::string error;     // the last one, also when it has passed; empty: there was none
    uint64_t written = 0;  // events
    uint64_t bytes = 0;
    uint64_t failures = 0;  // attempts to open or write that failed
    uint64_t opened = 0;    // times that the file was opened
    bool clock_synchronised = false;
    std::vector<LogRingView> rings;  // by shard
};

constexpr std::string_view name_of(LogState state) {
    constexpr std::string_view kNames[] = {"off", "open", "stalled", "failing"};
    return kNames[static_cast<size_t>(state)];
}

}  // namespace sekisho::dataplane
