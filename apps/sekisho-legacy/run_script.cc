#include "sekisho-legacy/run_script.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <optional>

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sekisho-legacy/output.h"
#include "sekisho-legacy/private_view.h"

namespace sekisho::old {
namespace {

namespace fs = std::filesystem;

constexpr const char* kProgram = "sekisho-legacy";
constexpr int kCannotRun = 126;
constexpr int kNotFound = 127;
constexpr int kBySignal = 128;

constexpr const char* kTrace = "/run/sekisho/legacy/trace";
constexpr const char* kShellSetting = "/run/sekisho/legacy/shell";
constexpr const char* kDrySocket = "/run/sekisho/legacy/dry.sock";

using Settings = std::map<std::string, std::string>;

// Lines of a path, a tab and a value.
Settings read_lines(std::string_view text) {
    Settings settings;
    while (!text.empty()) {
        const std::string_view line = text.substr(0, text.find('\n'));
        const size_t tab = line.find('\t');
        if (tab != std::string_view::npos) {
            settings.emplace(line.substr(0, tab), line.substr(tab + 1));
        }
        text.remove_prefix(std::min(text.size(), line.size() + 1));
    }
    return settings;
}

Result<Settings> ask_settings(ToolCaller& caller) {
    return caller.ask_own({"settings"}).map([](const legacy::Answer& answer) {
        return read_lines(answer.out);
    });
}

bool show_listing(ToolCaller& caller, std::string_view name) {
    const auto listing = caller.ask_own({"listing", std::string(name)});
    return listing && write_listing(std::string(name), listing->out);
}

volatile sig_atomic_t running_script = 0;

void hand_on(int number) {
    kill(static_cast<pid_t>(running_script), number);
}

void set_handler(int number, void (*handler)(int)) {
    struct sigaction action = {};
    action.sa_handler = handler;
    sigaction(number, &action, nullptr);
}

// In the child: becomes the script, by the program that it names, or by the shell.
[[noreturn]] void become(const std::vector<std::string>& words) {
    for (const int number : {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGPIPE}) {
        signal(number, SIG_DFL);
    }
    std::vector<std::string> all = words;
    const auto run = [&all] {
        std::vector<char*> arguments(all.size() + 1, nullptr);
        std::ranges::transform(all, arguments.begin(), [](std::string& word) {
            return word.data();
        });
        execv(arguments[0], arguments.data());
    };
    run();
    if (errno == ENOEXEC || errno == EACCES) {
        all.insert(all.begin(), "/bin/sh");
        run();
    }
    complain(kProgram, fmt::format("{}: {}", words[0], std::strerror(errno)));
    std::_Exit(errno == ENOENT ? kNotFound : kCannotRun);
}

int status_of(int waited) {
    return WIFSIGNALED(waited) ? kBySignal + WTERMSIG(waited) : WEXITSTATUS(waited);
}

// `begin`: in the child, before it becomes the script; `meanwhile`: again and again; empty: just waits.
int run_and_wait(
    const std::vector<std::string>& words,
    const std::function<void()>& begin,
    const std::function<void()>& meanwhile
) {
    const pid_t child = fork();
    if (child < 0) {
        complain(kProgram, std::strerror(errno));
        return kCannotRun;
    }
    if (child == 0) {
        begin();
        become(words);
    }
    running_script = child;
    signal(SIGINT, SIG_IGN);
    signal(SIGQUIT, SIG_IGN);
    set_handler(SIGTERM, hand_on);
    set_handler(SIGHUP, hand_on);
    int waited = 0;
    for (pid_t ended = 0; ended != child;) {
        ended = waitpid(child, &waited, meanwhile ? WNOHANG : 0);
        if (ended < 0 && errno != EINTR) {
            return kCannotRun;
        }
        if (ended == 0) {
            meanwhile();
        }
    }
    return status_of(waited);
}

// A script that no program but a shell runs.
bool is_of_a_shell(const std::string& path) {
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    return !line.starts_with("#!") || line.find("sh") != std::string::npos;
}

// The whole path of the script, if there is one.
std::optional<std::string> find_script(const std::string& given) {
    std::error_code error;
    const std::string path = fs::absolute(given, error).string();
    if (!fs::is_regular_file(path, error)) {
        complain(kProgram, fmt::format("{}: there is no such file", given));
        return std::nullopt;
    }
    return path;
}

// In the child: what it prints is no part of the translation, and each command that a shell is about to do is written down.
void begin_dry() {
    constexpr int kTraceDescriptor = 199;
    dup2(STDERR_FILENO, STDOUT_FILENO);
    const int trace = open(kTrace, O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(trace, kTraceDescriptor);
    close(trace);
    setenv("BASH_XTRACEFD", std::to_string(kTraceDescriptor).c_str(), 1);
    // As root the shell does not take its prompt from the environment.
    std::ofstream(kShellSetting) << "PS4='@${BASH_SOURCE##*/}:${LINENO} '\n";
    setenv("BASH_ENV", kShellSetting, 1);
}

void set_environment(const std::string& socket) {
    const char* const path = std::getenv("PATH");
    const std::string others = path != nullptr ? path : "/usr/sbin:/usr/bin:/sbin:/bin";
    setenv("PATH", fmt::format("{}:{}", kTools, others).c_str(), 1);
    std::error_code ignored;
    setenv("SEKISHO_SOCKET", fs::absolute(socket, ignored).c_str(), 1);
}

// The view of a script; one that a script runs has its view.
Result<void> prepare(ToolCaller& caller) {
    const auto settings = ask_settings(caller);
    if (!settings) {
        return tl::unexpected(settings.error());
    }
    if (auto made = make_private_view(*settings); !made) {
        return made;
    }
    for (const std::string_view name : legacy::listing_names()) {
        show_listing(caller, name);
    }
    set_environment(caller.socket());
    return {};
}

}  // namespace

void tell_settings(ToolCaller& caller) {
    const auto known = ask_settings(caller);
    if (!known) {
        return;  // the tool itself says why
    }
    bool is_told = false;
    for (const auto& [path, value] : read_settings()) {
        const auto before = known->find(path);
        if (before != known->end() && before->second == value) {
            continue;
        }
        is_told = true;
        const auto told = caller.ask_own({"set", path, value});
        print_error(told ? told->err : told.error().message + "\n");
    }
    // What was refused is as it was, and some have two names.
    const auto now = is_told ? ask_settings(caller) : known;
    for (const auto& [path, value] : is_told&& now ? *now : Settings{}) {
        write_setting(path, value);
    }
}

void show_listings(ToolCaller& caller) {
    for (const std::string_view name : {"ip_fwchains", "ip_fwnames", "ip_tables_names"}) {
        show_listing(caller, name);
    }
}

std::string place_in_script() {
    constexpr std::streamoff kMostBytes = 65536;
    std::ifstream file(kTrace, std::ios::ate);
    if (!file) {
        return "";
    }
    const std::streamoff size = file.tellg();
    file.seekg(std::max<std::streamoff>(0, size - kMostBytes));
    std::string line;
    std::string place;
    while (std::getline(file, line)) {
        const size_t begin = line.find_first_not_of('@');
        if (begin != 0 && begin != std::string::npos) {
            place = line.substr(begin, line.find(' ') - begin);
        }
    }
    return place;
}

int run_dry(const std::vector<std::string>& words, DryKernel& dry) {
    std::vector<std::string> all = words;
    const auto script = find_script(words.front());
    if (!script) {
        return kNotFound;
    }
    all[0] = *script;
    const auto made = make_private_view(read_lines(dry.settings()));
    const auto listens = made ? dry.listen(kDrySocket) : made;
    if (!listens) {
        complain(kProgram, listens.error().message);
        return kUnusable;
    }
    for (const std::string_view name : legacy::listing_names()) {
        write_listing(std::string(name), "");
    }
    set_environment(kDrySocket);
    if (is_of_a_shell(all[0])) {
        all.insert(all.begin(), {"/bin/bash", "-x"});
    }
    const int status = run_and_wait(all, begin_dry, [&dry] { dry.serve_for_a_while(); });
    dry.write_settings(read_settings());
    return status;
}

int run_script(const std::vector<std::string>& words, ToolCaller& caller) {
    if (words.empty()) {
        complain(kProgram, "wanted: run SCRIPT [ARGUMENT...]");
        return kUnusable;
    }
    std::vector<std::string> all = words;
    const auto script = find_script(words.front());
    if (!script) {
        return kNotFound;
    }
    all[0] = *script;
    const auto ready = has_private_view() ? Result<void>{} : prepare(caller);
    if (!ready) {
        complain(kProgram, ready.error().message);
        return kUnusable;
    }
    const int status = run_and_wait(all, [] {}, {});
    tell_settings(caller);
    return status;
}

}  // namespace sekisho::old
