// sekishod: reads a configuration, runs the appliance in the foreground, ends cleanly on SIGINT and
// SIGTERM.
//
//   Exit      0: ended by a signal, or the checked file is right; 1: mistakes in the file, or
//   something is missing.
#include <cstdio>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>

#include "config/config.h"
#include "control/methods.h"
#include "control/server.h"
#include "sekishod/appliance.h"
#include "sekishod/log.h"

namespace sekisho::daemon {
namespace {

void print_mistakes(const config::Checked& checked) {
    for (const auto& mistake : checked.mistakes) {
        fmt::print(stderr, "{}\n", mistake.text());
    }
}

// The signals that end the daemon; blocked in every thread, taken by wait_for_end().
sigset_t ending_signals() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    return set;
}

void wait_for_end() {
    const sigset_t set = ending_signals();
    int number = 0;
    sigwait(&set, &number);
    log("{} received, ending", number == SIGINT ? "SIGINT" : "SIGTERM");
}

int run(const config::Config& config) {
    const sigset_t set = ending_signals();
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    signal(SIGPIPE, SIG_IGN);
    log("version {}, {}", SEKISHO_VERSION, config.system.name);
    auto appliance = Appliance::create(config);
    if (!appliance) {
        log("{}", appliance.error().message);
        return 1;
    }
    control::Methods methods((*appliance)->inspector(), config);
    auto server = control::Server::create({config.control.socket}, methods);
    if (!server) {
        log("{}", server.error().message);
        return 1;
    }
    if (auto started = (*appliance)->start(); !started) {
        log("{}", started.error().message);
        return 1;
    }
    (*server)->start();
    log("ready, control on {}", config.control.socket);
    wait_for_end();
    (*server)->stop();
    (*appliance)->stop();
    return 0;
}

int main_with(const std::string& file, bool check_only) {
    const config::Checked checked = config::load(file, config::MachineFacts::of_this_machine());
    if (!checked.config) {
        print_mistakes(checked);
        return 1;
    }
    if (check_only) {
        fmt::print("{}: no mistakes\n", file);
        return 0;
    }
    return run(*checked.config);
}

}  // namespace
}  // namespace sekisho::daemon

int main(int argc, char** argv) {
    CLI::App app("sekishod: a carrier-grade NAT appliance");
    std::string config_file;
    std::string check_file;
    auto* config_option =
        app.add_option("--config", config_file, "run with this configuration, in the foreground");
    auto* check_option =
        app.add_option("--check", check_file, "check this configuration and print every mistake");
    config_option->excludes(check_option);
    app.set_version_flag("--version", SEKISHO_VERSION);
    CLI11_PARSE(app, argc, argv);
    if (config_file.empty() && check_file.empty()) {
        config_file = "/etc/sekisho/sekisho.yaml";
    }
    const bool check_only = !check_file.empty();
    return sekisho::daemon::main_with(check_only ? check_file : config_file, check_only);
}
