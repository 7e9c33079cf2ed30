#include "eventlog/log_file.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sekisho::eventlog {

using dataplane::LogState;

namespace {

constexpr mode_t kMode = 0640;  // who had which port is not everybody's business

// Without a reader a FIFO cannot be opened to write; what O_NONBLOCK does to a file is nothing.
int open_to_append(const std::string& path) {
    return ::open(
        path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, kMode
    );
}

// A file has one writer: lines of two processes could not be told apart. False: another one has it.
bool claim(int file) {
    struct stat facts {};
    const bool is_regular = ::fstat(file, &facts) == 0 && S_ISREG(facts.st_mode);
    return !is_regular || ::flock(file, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
}

// One that was killed in the middle of a line has left half of it.
void end_last_line(const std::string& path, int file) {
    struct stat facts {};
    if (::fstat(file, &facts) != 0 || !S_ISREG(facts.st_mode) || facts.st_size == 0) {
        return;
    }
    const int read = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    char last = '\n';
    if (read >= 0) {
        (void)::pread(read, &last, 1, facts.st_size - 1);
        ::close(read);
    }
    if (last != '\n' && ::write(file, "\n", 1) != 1) {
        return;  // the next write says what is wrong
    }
}

}  // namespace

LogFile::~LogFile() {
    close_now();
}

void LogFile::close_now() {
    if (file_ >= 0) {
        ::close(file_);
        file_ = -1;
    }
}

Result<void> LogFile::open() {
    if (!try_open({})) {
        return failure(trouble_);
    }
    return {};
}

bool LogFile::may_try(Tick now) const {
    const int32_t ago = elapsed_ms(failed_, now);
    return state_ != LogState::kFailing || ago < 0 || ago >= static_cast<int32_t>(kRetryMs);
}

void LogFile::fail(std::string_view doing, int number, Tick now) {
    const char* reason = number == ENXIO         ? "nobody reads it"
                         : number == EWOULDBLOCK ? "another process writes it"
                                                 : std::strerror(number);
    trouble_ = fmt::format("cannot {} {}: {}", doing, path_, reason);
    state_ = LogState::kFailing;
    failed_ = now;
    ++failures_;
}

bool LogFile::try_open(Tick now) {
    const int opened = open_to_append(path_);
    if (opened < 0) {
        fail("open", errno, now);
        return false;
    }
    if (!claim(opened)) {
        ::close(opened);
        fail("open", EWOULDBLOCK, now);
        return false;
    }
    close_now();
    file_ = opened;
    ++generation_;
    looked_ = now;
    wants_reopen_ = false;
    is_renamed_ = false;
    state_ = LogState::kOpen;
    trouble_.clear();
    end_last_line(path_, file_);
    return true;
}

void LogFile::tend(Tick now) {
    const int32_t since_look = elapsed_ms(looked_, now);
    const bool is_due = since_look < 0 || since_look >= static_cast<int32_t>(kLookMs);
    if (!may_try(now) || (!wants_reopen_ && !is_due && file_ >= 0)) {
        return;
    }
    looked_ = now;
    struct stat mine {};
    struct stat named {};
    const bool is_there = file_ >= 0 && ::fstat(file_, &mine) == 0 && mine.st_nlink > 0;
    const bool is_named = is_there && ::stat(path_.c_str(), &named) == 0 &&
                          mine.st_dev == named.st_dev && mine.st_ino == named.st_ino;
    if (is_named) {
        wants_reopen_ = false;
        return;
    }
    if (try_open(now)) {
        return;
    }
    is_renamed_ = is_there;
    if (is_there) {
        state_ = LogState::kOpen;
    } else {
        close_now();
    }
}

bool LogFile::is_ready(Tick now) {
    return may_try(now) && (file_ >= 0 || try_open(now));
}

size_t LogFile::write(std::string_view text, Tick now) {
    const ssize_t written = ::write(file_, text.data(), text.size());
    if (written >= 0) {
        state_ = LogState::kOpen;
        if (!is_renamed_) {
            trouble_.clear();
        }
        return static_cast<size_t>(written);
    }
    if (errno == EINTR) {
        return 0;
    }
    if (errno == EAGAIN) {
        state_ = LogState::kStalled;
        trouble_ = fmt::format("cannot write {}: its reader does not keep up", path_);
        return 0;
    }
    const int number = errno;
    fail("write", number, now);
    if (number == EPIPE) {
        close_now();
    }
    return 0;
}

}  // namespace sekisho::eventlog
