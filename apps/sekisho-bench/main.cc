// sekisho-bench: what the pipeline costs, measured on links that are played from memory.
#include <cstdio>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "sekisho-bench/benchmarks.h"

namespace {

using namespace sekisho;
using namespace sekisho::bench;

struct Options {
    std::vector<uint32_t> sessions = {1000000};
    uint32_t per_subscriber = 64;
    std::string size = "64";
    std::string protocol = "udp";
    std::string direction = "both";
    unsigned runs = 15;
    uint64_t packets = 0;
    unsigned cpu = 0;
    bool json = false;
};

int fail(const std::string& why) {
    fmt::print(stderr, "sekisho-bench: {}\n", why);
    return 1;
}

Result<config::FlowgenProfile> profile_of(const Options& options, uint32_t sessions) {
    const uint32_t each = std::min(options.per_subscriber, sessions);
    const auto profile = config::parse_flowgen_profile(
        {"role=subscribers",
         fmt::format("subscribers={}", (sessions + each - 1) / each),
         fmt::format("sessions={}", each),
         fmt::format("flows={}", sessions),
         "size=" + options.size,
         "protocol=" + options.protocol,
         "direction=" + options.direction}
    );
    if (!profile) {
        return failure(
            fmt::format("found {}, wanted {}", profile.error().found, profile.error().wanted)
        );
    }
    return *profile;
}

RigPlan plan_of(const config::FlowgenProfile& profile) {
    return {profile, profile.flows, profile.flows, profile.subscribers};
}

std::string json(const Summary& s) {
    return fmt::format(
        R"({{"min": {:.1f}, "median": {:.1f}, "max": {:.1f}}})", s.min, s.median, s.max
    );
}

std::string text(const Summary& s) {
    return fmt::format("{:6.1f} / {:6.1f} / {:6.1f}", s.min, s.median, s.max);
}

int forward(const Options& options) {
    auto machine = Machine::create(options.cpu, 1);
    if (!machine) {
        return fail(machine.error().message);
    }
    uint64_t faults = 0;
    for (const uint32_t sessions : options.sessions) {
        const auto profile = profile_of(options, sessions);
        if (!profile) {
            return fail(profile.error().message);
        }
        auto rig = Rig::create(plan_of(*profile), **machine);
        if (!rig) {
            return fail(rig.error().message);
        }
        open_sessions(**rig);
        const ForwardResult r =
            measure_forward(**rig, {sessions, profile->direction, options.runs, options.packets});
        faults += r.faults;
        if (options.json) {
            fmt::print(
                "{{\"benchmark\": \"forward\", \"sessions\": {}, \"size\": {}, \"direction\": "
                "\"{}\", "
                "\"workers\": 1, \"cycles_per_packet\": {}, \"io_cycles_per_packet\": {}, "
                "\"net_cycles_per_packet\": {}, \"mpps\": {}, \"fixed_loop_cycles\": {}, "
                "\"faults\": {}}}\n",
                sessions,
                options.size == "imix" ? "\"imix\"" : options.size,
                options.direction,
                json(r.cycles),
                json(r.io_cycles),
                json(r.net_cycles),
                json(r.mpps),
                json(r.fixed_loop),
                r.faults
            );
        } else {
            fmt::print(
                "{:>9} sessions, {} bytes, {}, {}: cycles {}  io {}  without io {}  Mpps {}  fixed "
                "loop {}  faults {}\n",
                sessions,
                options.size,
                options.protocol,
                options.direction,
                text(r.cycles),
                text(r.io_cycles),
                text(r.net_cycles),
                text(r.mpps),
                text(r.fixed_loop),
                r.faults
            );
        }
        std::fflush(stdout);
        if (r.faults > 0) {
            fmt::print(stderr, "{} faults\n{}", r.faults, (*rig)->describe_faults());
        }
    }
    return faults == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    Options options;
    CLI::App app("What Sekisho's pipeline costs, measured on links played from memory.");
    app.require_subcommand(1);
    CLI::App* command = app.add_subcommand("forward", "cycles a packet of standing sessions");
    command->add_option("--sessions", options.sessions, "how many sessions stand");
    command->add_option("--sessions-per-subscriber", options.per_subscriber, "of each subscriber");
    command->add_option("--size", options.size, "bytes of a frame, or imix");
    command->add_option("--protocol", options.protocol, "udp, tcp, icmp or mix");
    command->add_option("--direction", options.direction, "outbound, inbound or both");
    command->add_option("--runs", options.runs, "timed runs");
    command->add_option("--packets", options.packets, "of one run; 0: by the number of sessions");
    command->add_option("--cpu", options.cpu, "the CPU to run on");
    command->add_flag("--json", options.json, "one JSON object a measurement");
    CLI11_PARSE(app, argc, argv);
    return forward(options);
}
