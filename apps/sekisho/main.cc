// sekisho: asks a running sekishod, one command at a time or interactively (doc/cli.md).
#include <cerrno>
#include <clocale>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "control/command_grammar.h"
#include "control/descriptors.h"
#include "sekisho/interactive.h"
#include "sekisho/runner.h"

namespace {

constexpr const char* kDefaultSocket = "/run/sekisho/sekisho.sock";

}  // namespace

int main(int count, char** arguments) {
    if (!sekisho::control::fill_closed_descriptors()) {
        std::_Exit(sekisho::cli::kUnusable);
    }
    std::setlocale(LC_CTYPE, "");
    CLI::App app{"Asks a running sekishod. Without a command: interactive."};
    std::string socket = kDefaultSocket;
    app.add_option("--socket", socket, "the control socket (or SEKISHO_SOCKET)")
        ->envname("SEKISHO_SOCKET")
        ->capture_default_str();
    app.set_version_flag("--version", "sekisho " SEKISHO_VERSION);
    app.allow_extras();  // the command: its grammar is the control module's
    app.footer("Commands:\n" + sekisho::control::help_text());
    try {
        app.parse(count, arguments);
    } catch (const CLI::ParseError& error) {
        if (app.exit(error) != 0) {
            return sekisho::cli::kUnusable;
        }
        return sekisho::cli::status_of_output(std::cout.flush() ? 0 : (errno != 0 ? errno : EIO));
    }
    const sekisho::cli::Runner runner(socket);
    const std::vector<std::string> words = app.remaining();
    if (words.empty()) {
        return sekisho::cli::run_interactive(runner);
    }
    return runner.run(words, true);
}
