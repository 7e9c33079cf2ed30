// Logger: takes the events of all shards out of their rings and writes them to a file, line by line.
//
//   Order     the events of a shard in the order of their numbers; those of different shards as they
//             come. What a ring holds is taken from it only once it is written whole, so that a file
//             which cannot be written loses nothing: the rings fill up, and then the shards do what
//             on-log-loss says.
//   Times     anchors.h. Each start, minute and step of the clock, and each new file, begins with a
//             line of its own that says so.
//   Errors    said once, by `say`, when writing stops being possible, and once when it is again.
//   Cost      never waited for by anyone. Allocates as lines need it.
//   Thread    turn() and the rest by one thread at a time; view() and reopen() by anyone.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "base/counters.h"
#include "base/result.h"
#include "base/types.h"
#include "dataplane/log_view.h"
#include "eventlog/anchors.h"
#include "eventlog/json_lines.h"
#include "eventlog/log_file.h"
#include "nat/nat_shard.h"

namespace sekisho::eventlog {

struct LoggerClocks {
    std::function<Tick()> ticks;            // the workers'
    std::function<int64_t()> utc_ms;        // time of day
    std::function<bool()> is_synchronised;  // whether something keeps it right

    static LoggerClocks of_this_machine(std::function<Tick()> ticks);
};

struct LoggerPlan {
    std::string file;
    std::string name;  // the appliance's
    std::string version;
    std::vector<std::string> realms;  // by RealmId
    std::vector<std::string> pools;   // by PoolId
    std::vector<const nat::NatShard*> shards;
    LoggerClocks clocks;
    std::function<void(const std::string&)> say;  // to the operator, a line
};

class Logger {
  public:
    // Opens the file.
    static Result<std::unique_ptr<Logger>> create(const LoggerPlan& plan);

    // Writes what is there, at most kBatch events of each shard. Returns how many were written.
    unsigned turn();
    // The appliance has stopped: writes what is left, and that it has; gives up when nothing could be
    // written for `patience_ms`. Returns how many events it leaves behind.
    // `between` lets the shards put into their rings what still waits for room there.
    uint64_t finish(uint32_t patience_ms, const std::function<void()>& between);
    // As after a rotation.
    void reopen() { wants_reopen_.store(true); }
    dataplane::LogView view() const;

  private:
    static constexpr size_t kBatch = 512;

    explicit Logger(const LoggerPlan& plan);
    void look_at_clocks();
    void note(std::string_view event, std::string_view cause);
    std::string numbers() const;
    std::string kinds() const;
    bool fill();
    bool flush();
    void restart_line();
    uint64_t waiting() const;
    void report();

    LoggerPlan plan_;
    LogFile file_;
    Anchors anchors_;
    JsonLines lines_;
    int64_t epoch_ = 0;  // UTC of the start: event numbers begin anew with it
    std::vector<nat::EventReader> readers_;
    size_t next_ = 0;          // the reader whose turn it is
    std::string notes_;        // lines of our own that go before the next events
    std::string text_;         // being written
    size_t written_ = 0;       // of it
    size_t from_ = 0;          // the reader whose events it holds
    size_t events_ = 0;        // so many
    uint64_t generation_ = 0;  // of the file that has the beginning of text_
    std::string said_;         // the trouble that the operator knows of
    std::atomic<bool> wants_reopen_{false};

    Counter events_written_;
    Counter bytes_written_;
    mutable std::mutex view_mutex_;
    dataplane::LogView view_;  // state, error, failures, opened, clock
};

}  // namespace sekisho::eventlog
