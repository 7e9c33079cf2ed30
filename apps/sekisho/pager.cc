#include "sekisho/pager.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>

#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

namespace sekisho::cli {

namespace {

volatile std::sig_atomic_t g_interrupted = 0;

size_t screen_lines() {
    winsize size{};
    const bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 1;
    return known ? size.ws_row : 24;
}

bool is_installed(std::string_view program) {
    const char* path = std::getenv("PATH");
    std::string_view rest = path == nullptr ? "/usr/bin:/bin" : path;
    while (!rest.empty()) {
        const size_t end = std::min(rest.find(':'), rest.size());
        const std::filesystem::path file = std::filesystem::path(rest.substr(0, end)) / program;
        if (access(file.c_str(), X_OK) == 0) {
            return true;
        }
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return false;
}

// Keys come at once and without echo as long as it lives.
class RawInput {
  public:
    RawInput() {
        tcgetattr(STDIN_FILENO, &before_);
        termios raw = before_;
        raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
        tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    }
    ~RawInput() { tcsetattr(STDIN_FILENO, TCSANOW, &before_); }
    RawInput(const RawInput&) = delete;
    RawInput& operator=(const RawInput&) = delete;

    static char key() {
        char key = 'q';
        return read(STDIN_FILENO, &key, 1) == 1 ? key : 'q';
    }

  private:
    termios before_{};
};

}  // namespace

bool interrupted() {
    return g_interrupted != 0;
}
void forget_interrupt() {
    g_interrupted = 0;
}

void watch_interrupts() {
    struct sigaction action {};
    action.sa_handler = [](int) { g_interrupted = 1; };
    sigaction(SIGINT, &action, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
}

Output::Output(bool paged)
    : paged_(paged && isatty(STDIN_FILENO) != 0 && isatty(STDOUT_FILENO) != 0),
      screen_(screen_lines()) {}

Output::~Output() {
    finish();
}

int Output::finish() {
    put(held_);
    held_.clear();
    if (pager_ != nullptr) {
        pclose(pager_);
        pager_ = nullptr;
        stopped_ = true;
    }
    return error_;
}

// To standard output, at once; false and the reason kept if it cannot be written.
bool Output::put(std::string_view text) {
    if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() &&
        std::fflush(stdout) == 0) {
        return true;
    }
    if (errno != EPIPE) {
        error_ = errno;
    }
    std::clearerr(stdout);  // the next command of an interactive session tries again
    return false;
}

bool Output::write(std::string_view text) {
    if (stopped_ || (interrupted() && pager_ == nullptr)) {
        return false;
    }
    if (!paged_) {
        stopped_ = !put(text);
        return !stopped_;
    }
    if (pager_ == nullptr && !built_in_) {
        held_ += text;
        lines_ += static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
        return lines_ < screen_ || begin_paging();
    }
    stopped_ = !write_paged(text);
    return !stopped_;
}

bool Output::begin_paging() {
    watch_interrupts();  // Ctrl-C is the pager's, and leaving it must not end this program
    const char* wanted = std::getenv("PAGER");
    std::string program = wanted == nullptr ? "" : wanted;
    if (program.empty() && is_installed("less")) {
        program = "less -S";
    }
    pager_ = program.empty() ? nullptr : popen(program.c_str(), "w");
    built_in_ = pager_ == nullptr;
    lines_ = 0;
    const std::string text = std::move(held_);
    held_.clear();
    stopped_ = !write_paged(text);
    return !stopped_;
}

bool Output::write_paged(std::string_view text) {
    if (pager_ != nullptr) {
        return std::fwrite(text.data(), 1, text.size(), pager_) == text.size() &&
               std::fflush(pager_) == 0;
    }
    while (!text.empty()) {
        // Asked before a line that does not fit, not after one that does: there may be no more.
        if (lines_ + 1 >= screen_ && !ask_for_more()) {
            return false;
        }
        const size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
        if (!put(text.substr(0, end))) {
            return false;
        }
        text.remove_prefix(end);
        ++lines_;
    }
    return true;
}

bool Output::ask_for_more() {
    constexpr std::string_view kPrompt = "-- more: space, enter for a line, q to stop --";
    const RawInput input;  // before the prompt, so that no answer to it is echoed
    put(kPrompt);
    const char key = RawInput::key();
    put("\r" + std::string(kPrompt.size(), ' ') + "\r");
    lines_ = key == '\n' || key == '\r' ? lines_ - 1 : 0;
    return key != 'q' && key != 'Q' && !interrupted();
}

}  // namespace sekisho::cli
