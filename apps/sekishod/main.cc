// sekishod: reads a configuration, runs the appliance in the foreground, ends cleanly on SIGINT and
// SIGTERM.
//
//   Exit      0: ended by a signal, or the checked file is right; 1: mistakes in the file, or
//             something is missing; 2: the log does not tell who it was (tell_past.h).
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>

#include "config/config.h"
#include "config/who.h"
#include "control/methods.h"
#include "control/server.h"
#include "control/socket_claim.h"
#include "sekishod/appliance.h"
#include "sekishod/device_claim.h"
#include "sekishod/leftovers.h"
#include "sekishod/legacy_tools.h"
#include "sekishod/log.h"
#include "sekishod/payload_search.h"
#include "sekishod/reloader.h"
#include "sekishod/rules_control.h"
#include "sekishod/tell_past.h"

namespace sekisho::daemon {
namespace {

void print_mistakes(const config::Checked& checked) {
    for (const auto& mistake : checked.mistakes) {
        std::fputs((mistake.text() + "\n").c_str(), stderr);
    }
    for (const auto& warning : checked.warnings) {
        std::fputs(("warning: " + warning.text() + "\n").c_str(), stderr);
    }
}

// The signals that end the daemon; blocked in every thread, taken by run_until_signal(). A closed terminal is one of them,
// unless a log is kept: then SIGHUP says that its file was renamed.
sigset_t ending_signals() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    return set;
}

void run_until_signal(Appliance& appliance) {
    const sigset_t set = ending_signals();
    const timespec a_while{0, 200'000'000};
    for (;;) {
        const int number = sigtimedwait(&set, nullptr, &a_while);
        if (number == SIGHUP && appliance.reopen_log()) {
            continue;
        }
        if (number > 0) {
            log("SIG{} received, ending", sigabbrev_np(number));
            return;
        }
        appliance.watch();
    }
}

// The status of a start that has failed; whoever had sent a signal meanwhile wanted no more than its end.
int failed_start() {
    const sigset_t set = ending_signals();
    const timespec now{0, 0};
    return sigtimedwait(&set, nullptr, &now) > 0 ? 0 : 1;
}

// Has other limits, timeouts and forwards in force, while the configuration's file stays as it is.
std::function<Result<void>(const nat::NatSettings&)> put_settings(
    config::Config& running, Appliance& appliance
) {
    return [&running, &appliance](const nat::NatSettings& settings) {
        config::Config next = running;
        next.nat.limits = settings.limits;
        next.nat.timeouts = settings.timeouts;
        next.nat.static_mappings = settings.static_mappings;
        next.nat.destination_nat = settings.destination_nat;
        next.nat.trigger_forwards = settings.trigger_forwards;
        const auto adopt = [&] {
            running.nat.limits = next.nat.limits;
            running.nat.timeouts = next.nat.timeouts;
            std::swap(running.nat.static_mappings, next.nat.static_mappings);
            std::swap(running.nat.destination_nat, next.nat.destination_nat);
            std::swap(running.nat.trigger_forwards, next.nat.trigger_forwards);
        };
        return appliance.change(next, adopt).map([](auto /*rested*/) {});
    };
}

// The socket and the devices are claimed first: a second start by mistake must not touch the devices of the first.
int run(const std::string& file, const config::MachineFacts& machine, config::Config& config) {
    log("version {}, {}", SEKISHO_VERSION, config.system.name);
    auto claim = control::SocketClaim::take(config.control.socket);
    if (!claim) {
        log("{}", claim.error().message);
        return 1;
    }
    const auto devices = DeviceClaim::take(config);
    if (!devices) {
        log("{}", devices.error().message);
        return 1;
    }
    if (const unsigned removed = remove_leftovers(arena_folders(), "/var/run/dpdk"); removed > 0) {
        log("removed {} file{} and folders of processes that were killed",
            removed,
            removed == 1 ? "" : "s");
    }
    auto appliance = Appliance::create(config);
    if (!appliance) {
        log("{}", appliance.error().message);
        return failed_start();
    }
    RulesControl rules(config, **appliance);
    LegacyTools tools({config, rules, (*appliance)->inspector(), put_settings(config, **appliance)}
    );
    Reloader reloader(file, machine, config, **appliance, [&](config::Config& wanted) {
        return tools.add_to(wanted);
    });
    const auto reload = [&](control::ReloadKind kind) {
        auto reloaded = reloader.reload(kind);
        if (reloaded && kind == control::ReloadKind::kCommit) {
            tools.settle();
        }
        return reloaded;
    };
    control::Methods methods((*appliance)->inspector(), config, reload, &rules);
    methods.set_tools([&](const control::LegacyCall& call) { return tools.call(call); });
    auto server = control::Server::create(std::move(*claim), {config.control.socket}, methods);
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
    run_until_signal(**appliance);
    (*server)->stop();
    (*appliance)->stop();
    return 0;
}

// Whose an external endpoint is, or what a subscriber has, by the configuration alone, of whatever machine.
int tell_who(const std::string& file, const std::string& whom) {
    const config::Checked checked = config::load(file, config::MachineFacts::of_any_machine());
    if (!checked.config) {
        print_mistakes(checked);
        return 1;
    }
    const auto answer = config::who(*checked.config, whom);
    std::fputs(
        answer ? answer->c_str() : (answer.error().message + "\n").c_str(), answer ? stdout : stderr
    );
    return answer ? 0 : 1;
}

int main_with(const std::string& file, bool check_only) {
    const config::MachineFacts machine = config::MachineFacts::of_this_machine();
    config::Checked checked = config::load(file, machine);
    refuse_patterns(checked, file);
    print_mistakes(checked);
    if (!checked.config) {
        return 1;
    }
    if (check_only) {
        std::fputs((file + ": no mistakes\n").c_str(), stdout);
        return 0;
    }
    return run(file, machine, *checked.config);
}

}  // namespace
}  // namespace sekisho::daemon

int main(int argc, char** argv) {
    // Before anything else, so that a signal during the start is taken once there is something to end.
    const sigset_t set = sekisho::daemon::ending_signals();
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    signal(SIGPIPE, SIG_IGN);

    CLI::App app("sekishod: a carrier-grade NAT appliance");
    std::string config_file = "/etc/sekisho/sekisho.yaml";
    std::string check_file;
    auto* config_option =
        app.add_option("--config", config_file, "run with this configuration, in the foreground")
            ->capture_default_str();
    auto* check_option = app.add_option(
        "--check", check_file, "check this configuration, print every mistake, and end"
    );
    config_option->excludes(check_option);
    std::string whom;
    auto* who_option = app.add_option(
        "--who",
        whom,
        "tell from the configuration alone who has this external endpoint, A:PORT, or what "
        "external "
        "ports this internal address has, and end (port-selection: deterministic)"
    );
    who_option->excludes(check_option);
    std::string at;
    auto* at_option = app.add_option(
        "--at",
        at,
        "with --who A:PORT: who had it then, in UTC (2026-01-02T12:04:05Z), by the log of bindings "
        "alone"
    );
    std::vector<std::string> logs;
    auto* log_option = app.add_option(
        "--log", logs, "a file of the log of bindings; each file of the time in question, and later"
    );
    at_option->needs(who_option);
    at_option->needs(log_option);
    log_option->needs(at_option);
    app.set_version_flag("--version", SEKISHO_VERSION);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 1;
    }
    if (at_option->count() > 0) {
        return sekisho::daemon::tell_past(whom, at, logs);
    }
    if (who_option->count() > 0) {
        return sekisho::daemon::tell_who(config_file, whom);
    }
    // By its presence, not by its text: an empty name is a mistake, never a reason to run.
    const bool check_only = check_option->count() > 0;
    return sekisho::daemon::main_with(check_only ? check_file : config_file, check_only);
}
