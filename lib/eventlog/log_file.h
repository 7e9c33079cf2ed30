// LogFile: where the lines go: a regular file, appended to, or a FIFO. Never waits for a reader.
//
//   Rotation  a file that was renamed is noticed within a second, or at once by reopen(): then one of
//             the configured name is opened. One that cannot be opened leaves the renamed file in
//             use; one that was removed is used no more, since what is written there is gone.
//   Claim     a regular file has one writer: it is locked (flock), and one that another process has
//             locked cannot be opened.
//   Errors    state(), trouble() and failures() say what is wrong; write() takes nothing then, and the
//             next attempts are made by themselves. A line that was begun when the file changed is
//             the caller's to begin again: generation() counts the files.
//   Thread    the logger's.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/types.h"
#include "dataplane/log_view.h"

namespace sekisho::eventlog {

class LogFile {
  public:
    static constexpr uint32_t kLookMs =
        1000;  // between looks whether the name is still this file's
    static constexpr uint32_t kRetryMs = 200;  // between attempts when something is wrong

    explicit LogFile(std::string path) : path_(std::move(path)) {}
    ~LogFile();
    LogFile(const LogFile&) = delete;
    LogFile& operator=(const LogFile&) = delete;

    // The first time: fails with a sentence, so that a wrong path is found at the start.
    Result<void> open();
    // Whether it is open; tries to open it if it is time to.
    bool is_ready(Tick now);
    // It is ready. How much of `text` was taken: all, less, or nothing.
    size_t write(std::string_view text, Tick now);
    void reopen() { wants_reopen_ = true; }
    // Rotation and removal; between writes.
    void tend(Tick now);

    dataplane::LogState state() const { return state_; }
    const std::string& path() const { return path_; }
    // What is wrong now; empty: nothing.
    const std::string& trouble() const { return trouble_; }
    uint64_t failures() const { return failures_; }
    uint64_t generation() const { return generation_; }

  private:
    bool try_open(Tick now);
    void fail(std::string_view doing, int number, Tick now);
    void close_now();
    bool may_try(Tick now) const;

    std::string path_;
    int file_ = -1;
    dataplane::LogState state_ = dataplane::LogState::kFailing;
    std::string trouble_;
    bool is_renamed_ = false;  // and no file of its name can be opened: the old one serves
    uint64_t failures_ = 0;
    uint64_t generation_ = 0;
    bool wants_reopen_ = false;
    Tick looked_;
    Tick failed_;
};

}  // namespace sekisho::eventlog
