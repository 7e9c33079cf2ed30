#include "sekisho/interactive.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cwchar>
#include <iostream>
#include <string>
#include <string_view>

#include <fmt/format.h>
#include <histedit.h>
#include <poll.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sekisho/pager.h"

namespace sekisho::cli {

namespace {

using control::Expected;

constexpr int kHistoryLines = 1000;

// The words before the cursor, and the beginning of the one that it stands in.
control::Unfinished place_of(EditLine* editor) {
    const LineInfo* line = el_line(editor);
    return control::split_unfinished(
        {line->buffer, static_cast<size_t>(line->cursor - line->buffer)}
    );
}

// Through the C library: fmt::print would throw where the terminal is gone.
void show(const std::string& text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
}

void list(const std::vector<Expected>& expected) {
    size_t width = 0;
    for (const Expected& e : expected) {
        width = std::max(width, e.word.size());
    }
    std::string text = "\n";
    for (const Expected& e : expected) {
        text += fmt::format("  {:<{}}  {}\n", e.word, width, e.help);
    }
    show(expected.empty() ? "\n  nothing can follow here\n" : text);
}

unsigned char complete(EditLine* editor, int /*key*/) {
    const control::Unfinished place = place_of(editor);
    const std::string rest = control::completion(place.words, place.beginning);
    if (!rest.empty()) {
        return el_insertstr(editor, rest.c_str()) == 0 ? CC_REFRESH : CC_ERROR;
    }
    const auto expected = control::expected_after(place.words, place.beginning);
    if (expected.empty()) {
        return CC_ERROR;
    }
    list(expected);
    return CC_REDISPLAY;
}

unsigned char explain(EditLine* editor, int /*key*/) {
    const control::Unfinished place = place_of(editor);
    list(control::expected_after(place.words, place.beginning));
    return CC_REDISPLAY;
}

const char* prompt(EditLine* /*editor*/) {
    return "sekisho> ";
}

// The next key for the editor; -1 after Ctrl-C. That signal is let through only while this waits: one that came a moment
// earlier, while the editor worked, would be noticed at the next key alone.
int read_key(EditLine* /*editor*/, wchar_t* key) {
    sigset_t none;
    sigemptyset(&none);
    for (mbstate_t state{};;) {
        pollfd input{STDIN_FILENO, POLLIN, 0};
        if (ppoll(&input, 1, nullptr, &none) < 0 && !interrupted()) {
            continue;
        }
        char byte = 0;
        const ssize_t count = interrupted() ? -1 : read(STDIN_FILENO, &byte, 1);
        if (count <= 0) {
            return static_cast<int>(count);
        }
        const size_t used = mbrtowc(key, &byte, 1, &state);
        if (used <= 1) {
            return 1;
        }
        if (used == static_cast<size_t>(-1)) {
            state = {};  // no character: as if it had not been typed
        }
    }
}

// Ctrl-C waits meanwhile.
class HeldInterrupt {
  public:
    HeldInterrupt() {
        sigset_t interrupt;
        sigemptyset(&interrupt);
        sigaddset(&interrupt, SIGINT);
        pthread_sigmask(SIG_BLOCK, &interrupt, &before_);
    }
    ~HeldInterrupt() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    HeldInterrupt(const HeldInterrupt&) = delete;
    HeldInterrupt& operator=(const HeldInterrupt&) = delete;

  private:
    sigset_t before_{};
};

std::string history_file() {
    const char* home = std::getenv("HOME");
    return home == nullptr ? "" : std::string(home) + "/.sekisho_history";
}

bool is_leave(const std::vector<std::string>& words) {
    const auto parsed = control::parse_command(words);
    return parsed && (parsed->command->verb == "exit" || parsed->command->verb == "quit");
}

// Line by line, for scripts: no prompt, no editing.
int run_script(const Runner& runner) {
    int worst = kDone;
    for (std::string line; std::getline(std::cin, line);) {
        const auto words = control::split_words(line);
        if (!words.empty() && is_leave(words)) {
            break;
        }
        worst = words.empty() ? worst : std::max(worst, runner.run(words, false));
    }
    return worst;
}

// The editor and its history, set up and torn down.
class Shell {
  public:
    Shell() : editor_(el_init("sekisho", stdin, stdout, stderr)), history_(history_init()) {
        history(history_, &event_, H_SETSIZE, kHistoryLines);
        history(history_, &event_, H_SETUNIQUE, 1);
        if (!history_file().empty()) {
            history(history_, &event_, H_LOAD, history_file().c_str());
        }
        el_set(editor_, EL_PROMPT, prompt);
        el_set(editor_, EL_EDITOR, "emacs");
        el_set(editor_, EL_HIST, history, history_);
        el_set(editor_, EL_GETCFN, read_key);
        el_set(editor_, EL_ADDFN, "sekisho-complete", "what Tab adds", complete);
        el_set(editor_, EL_ADDFN, "sekisho-explain", "what may follow", explain);
        el_source(editor_, nullptr);
        el_set(editor_, EL_BIND, "\t", "sekisho-complete", nullptr);
        el_set(editor_, EL_BIND, "?", "sekisho-explain", nullptr);
        el_set(editor_, EL_BIND, "^R", "em-inc-search-prev", nullptr);
    }
    ~Shell() {
        history_end(history_);
        el_end(editor_);
    }
    Shell(const Shell&) = delete;
    Shell& operator=(const Shell&) = delete;

    // The next line; nothing at the end of file. After Ctrl-C an empty one.
    const char* next() {
        forget_interrupt();
        const HeldInterrupt held;
        el_set(
            editor_, EL_PREP_TERM, 1
        );  // before the prompt: what is typed at once is for the editor too
        int count = 0;
        const char* line = el_gets(editor_, &count);
        if (line != nullptr && count > 0 && !interrupted()) {
            return line;
        }
        if (interrupted()) {
            el_reset(editor_);
            show("\n");
            return "";
        }
        return nullptr;
    }
    // At once in the file too, so that the line outlives a shell that is killed.
    void remember(const char* line) {
        history(history_, &event_, H_ENTER, line);
        if (history_file().empty()) {
            return;
        }
        const mode_t before = umask(S_IRWXG | S_IRWXO);
        history(history_, &event_, H_SAVE, history_file().c_str());
        umask(before);
        chmod(history_file().c_str(), S_IRUSR | S_IWUSR);
    }

  private:
    EditLine* editor_;
    History* history_;
    HistEvent event_{};
};

}  // namespace

int run_interactive(const Runner& runner) {
    if (isatty(STDIN_FILENO) == 0) {
        return run_script(runner);
    }
    watch_interrupts();
    Shell shell;
    show("Tab completes, ? shows what may follow, help lists all commands.\n");
    while (const char* line = shell.next()) {
        const auto words = control::split_words(line);
        if (words.empty()) {
            continue;
        }
        shell.remember(line);
        if (is_leave(words)) {
            return kDone;
        }
        runner.run(words, true);
    }
    show("\n");
    return kDone;
}

}  // namespace sekisho::cli
