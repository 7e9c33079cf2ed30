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

// Lines of rules that log, on their way to syslog.
struct RuleLogView {
    std::string to;           // a socket's path, or address and port
    std::string error;        // the last one, also when it has passed; empty: there was none
    uint64_t sent = 0;        // messages
    uint64_t failed = 0;      // that were not taken
    uint64_t suppressed = 0;  // records beyond the rate of their rule
    uint64_t lost = 0;        // records that found no room in their ring
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
    RuleLogView rules;
};

constexpr std::string_view name_of(LogState state) {
    constexpr std::string_view kNames[] = {"off", "open", "stalled", "failing"};
    return kNames[static_cast<size_t>(state)];
}

}  // namespace sekisho::dataplane
