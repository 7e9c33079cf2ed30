// sekisho-bench: what the pipeline costs, measured on links that are played from memory.
#include <cstdio>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "sekisho-bench/benchmarks.h"
#include "sekisho-bench/report.h"

namespace {

using namespace sekisho;
using namespace sekisho::bench;

struct Options {
    std::vector<uint32_t> sessions = {1000000};
    uint32_t per_subscriber = 64;
    uint32_t per_mapping = 1;
    uint32_t flows_per_session = 1;
    std::string size = "64";
    std::string protocol = "udp";
    std::string direction = "both";
    unsigned runs = 0;
    uint64_t packets = 0;
    unsigned times = 10;
    std::vector<std::string> selections = {"random", "sequential", "preserve"};
    uint32_t block = 512;
    std::vector<std::string> only;
    std::vector<uint32_t> rules = {10, 1000, 10000, 100000};
    std::vector<std::string> kinds = {"acl", "fw", "ipc"};
    std::vector<unsigned> cpus;
    unsigned workers = 1;
    PayloadPlan payload;
    bool no_log = false;
    bool json = false;
};

Result<config::FlowgenProfile> profile_of(const Options& options, uint32_t sessions) {
    // A mapping is one subscriber's: each has as many sessions as fill its mappings.
    const uint32_t sharing = std::max(options.per_mapping, 1U);
    const uint32_t whole = (options.per_subscriber + sharing - 1) / sharing * sharing;
    const uint32_t each = std::min(whole, std::max(sessions, 1U));
    const uint64_t flows = uint64_t{sessions} * options.flows_per_session;
    const auto profile = config::parse_flowgen_profile(
        {"role=subscribers",
         fmt::format("subscribers={}", (flows + each - 1) / each),
         fmt::format("sessions={}", each),
         fmt::format("flows={}", flows),
         fmt::format("fan-out={}", options.per_mapping),
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

// One benchmark over the sizes that were asked for, on tables just large enough.
class Session {
  public:
    explicit Session(const Options& options) : options_(options) {}

    // `rigs`: how many will stand at a time on a worker.
    Result<void> open(unsigned rigs) {
        const auto cpus = choose_cpus(options_.cpus, options_.workers);
        if (!cpus) {
            return tl::unexpected(cpus.error());
        }
        const SignalPause pause;
        auto machine = Machine::create(*cpus, rigs);
        if (!machine) {
            return tl::unexpected(machine.error());
        }
        machine_ = std::move(*machine);
        return {};
    }

    Result<uint64_t> forward(const config::FlowgenProfile& profile) {
        auto rigs = make_rigs(plan_of(profile));
        if (!rigs) {
            return tl::unexpected(rigs.error());
        }
        machine_->run_on_workers([&](unsigned worker) { open_sessions(*(*rigs)[worker]); });
        const unsigned runs = options_.runs == 0 ? 15 : options_.runs;
        const ForwardResult result = measure_forward(
            *machine_, *rigs, {profile.flows, profile.direction, runs, options_.packets}
        );
        print(report_forward(asked(profile), result));
        for (const auto& rig : *rigs) {
            complain(*rig, result.faults);
        }
        return result.faults;
    }

    Result<uint64_t> setup(const config::FlowgenProfile& profile) {
        constexpr uint32_t kLeast = 3 * packet::kBurst;  // a burst for each third
        if (profile.flows < kLeast) {
            return failure(fmt::format("setup wants at least {} sessions", kLeast));
        }
        std::vector<double> all, first, middle, last, rate, fixed;
        SetupSummary summary;
        const unsigned runs = options_.runs == 0 ? 11 : options_.runs;
        for (unsigned i = 0; i < runs; ++i) {
            auto rig = make_rig(plan_of(profile));
            if (!rig) {
                return tl::unexpected(rig.error());
            }
            fixed.push_back(calibrate());
            const SetupResult result = measure_setup(**rig, profile.flows);
            all.push_back(result.cycles);
            first.push_back(result.first);
            middle.push_back(result.middle);
            last.push_back(result.last);
            rate.push_back(profile.flows / result.seconds);
            summary.checked = result.checked;
            summary.faults += result.faults;
            complain(**rig, result.faults);
        }
        summary.cycles = Summary::of(all);
        summary.first = Summary::of(first);
        summary.middle = Summary::of(middle);
        summary.last = Summary::of(last);
        summary.rate = Summary::of(rate);
        summary.fixed_loop = Summary::of(fixed);
        print(report_setup(asked(profile), summary));
        return summary.faults;
    }

    Result<uint64_t> memory(const config::FlowgenProfile& profile) {
        const auto least = profile_of(options_, 1);
        if (!least) {
            return tl::unexpected(least.error());
        }
        machine_->touch_buffers();
        uint64_t fixed = 0;
        for (unsigned i = 0; i < 2; ++i) {  // the first one also gets what is kept for the next
            const uint64_t before = resident_bytes_of_process();
            const auto rig = make_rig(without_log(plan_of(*least)));
            if (!rig) {
                return tl::unexpected(rig.error());
            }
            const auto beside = resident_bytes_beside_tables(**rig, before);
            if (!beside) {
                return tl::unexpected(beside.error());
            }
            fixed = *beside;
        }
        const uint64_t before = resident_bytes_of_process() + fixed;
        auto rig = make_rig(without_log(plan_of(profile)));
        if (!rig) {
            return tl::unexpected(rig.error());
        }
        const auto result = measure_memory(**rig, profile.flows, before);
        if (!result) {
            return tl::unexpected(result.error());
        }
        print(report_memory(asked(profile), options_.per_mapping, *result));
        complain(**rig, result->faults);
        return result->faults;
    }

    Result<uint64_t> churn(const config::FlowgenProfile& profile) {
        config::FlowgenProfile wide = profile;
        wide.flows = churn_flows(profile.flows);
        wide.subscribers = (wide.flows + wide.sessions - 1) / wide.sessions;
        RigPlan plan = {wide, profile.flows, profile.flows, wide.subscribers};
        plan.logs = !options_.no_log;
        auto fresh = make_rig(plan);
        auto worn = make_rig(plan);
        if (!fresh || !worn) {
            return tl::unexpected((fresh ? worn : fresh).error());
        }
        const unsigned runs = options_.runs == 0 ? 15 : options_.runs;
        const ChurnResult result =
            measure_churn(**fresh, **worn, {profile.flows, options_.times, runs, options_.packets});
        print(report_churn(asked(profile), result));
        complain(**fresh, result.faults);
        complain(**worn, result.faults);
        if (result.created < result.wanted) {
            fmt::print(stderr, "  {} sessions were to be created anew\n", result.wanted);
        }
        return result.faults;
    }

    Result<uint64_t> exhaust(const config::FlowgenProfile& profile) {
        const uint32_t sessions = profile.flows / options_.flows_per_session;
        constexpr uint32_t kLeast = 65536;  // what subscribers of more than one address have
        if (sessions < kLeast) {
            return failure(fmt::format("exhaust wants at least {} sessions", kLeast));
        }
        std::vector<RefusalSummary> summaries;
        uint64_t faults = 0;
        for (const Exhaustion& exhaustion : exhaustions()) {
            const bool is_wanted = options_.only.empty() || !exhaustion.reason ||
                                   std::ranges::count(options_.only, exhaustion.key) > 0;
            if (!is_wanted) {
                continue;
            }
            auto summary = refusals(profile, exhaustion, sessions);
            if (!summary) {
                return tl::unexpected(summary.error());
            }
            faults += summary->faults;
            summaries.push_back(*summary);
        }
        Asked asked_for = asked(profile);
        asked_for.sessions = sessions;
        print(report_exhaust(asked_for, summaries));
        return faults;
    }

    Result<uint64_t> rules(
        const config::FlowgenProfile& profile, const std::string& kind, uint32_t count
    ) {
        const unsigned runs = options_.runs == 0 ? 15 : options_.runs;
        const RulesPlan plan{*kind_of(kind), count, runs};
        const RulesResult first = measure_rules(plan);
        auto rig = make_rig(plan_of(profile));
        if (!rig) {
            return tl::unexpected(rig.error());
        }
        open_sessions(**rig);
        const EstablishedResult established = measure_established(
            **rig,
            make_rules(plan.kind, count, 1),
            packets_of_run(options_.packets, profile.flows),
            runs
        );
        print(report_rules(count, kind, first, established, options_.json));
        complain(**rig, established.faults);
        return first.faults + established.faults;
    }

    Result<uint64_t> rules(const config::FlowgenProfile& profile, const std::string& kind) {
        uint64_t faults = 0;
        for (const uint32_t count : options_.rules) {
            auto found = rules(profile, kind, count);
            if (!found) {
                return found;
            }
            faults += *found;
        }
        return faults;
    }

    Result<uint64_t> ports(const config::FlowgenProfile& profile) {
        uint64_t faults = 0;
        for (const std::string& selection : options_.selections) {
            auto summary = ports_of(profile, selection);
            if (!summary) {
                return tl::unexpected(summary.error());
            }
            print(report_ports(*summary, options_.json));
            faults += summary->faults;
        }
        return faults;
    }

  private:
    Result<RefusalSummary> refusals(
        const config::FlowgenProfile& profile, const Exhaustion& exhaustion, uint32_t sessions
    ) {
        RigPlan plan = plan_of(profile);
        exhaustion.arrange(plan, sessions);
        RefusalSummary summary;
        summary.exhaustion = &exhaustion;
        std::vector<double> cycles, io;
        const unsigned runs = options_.runs == 0 ? 5 : options_.runs;
        for (unsigned i = 0; i < runs; ++i) {
            auto rig = make_rig(plan);
            if (!rig) {
                return tl::unexpected(rig.error());
            }
            const RefusalResult result = measure_refusals(**rig, exhaustion, sessions);
            cycles.push_back(result.cycles);
            io.push_back(result.io_cycles);
            summary.asked = result.asked;
            summary.refused = result.refused;
            summary.faults += result.faults;
            complain(**rig, result.faults);
        }
        summary.cycles = Summary::of(cycles);
        summary.io_cycles = Summary::of(io);
        return summary;
    }

    Result<PortsSummary> ports_of(
        const config::FlowgenProfile& profile, const std::string& selection
    ) {
        RigPlan plan = plan_of(profile);
        const uint32_t block = options_.block;
        plan.sessions *= 2;  // so that the cost of a nearly full index is no part of it
        plan.mappings *= 2;
        plan.change = [&selection, block](nat::NatSettings& nat) {
            nat::PoolSettings& pool = nat.pools.front();
            pool.addresses.front().last = pool.addresses.front().first;
            pool.port_block_size = block;
            pool.blocks_per_subscriber = kPortsOfAddress / block;
            pool.port_selection = *selection_of(selection);
            nat.policies.front().limits.sessions = kPortsOfAddress;
            nat.policies.front().limits.ports = kPortsOfAddress;
        };
        PortsSummary summary;
        summary.selection = selection;
        summary.block = block;
        std::vector<std::vector<double>> parts(kPortParts);
        std::vector<double> last;
        const unsigned runs = options_.runs == 0 ? 11 : options_.runs;
        for (unsigned i = 0; i < runs; ++i) {
            auto rig = make_rig(plan);
            if (!rig) {
                return tl::unexpected(rig.error());
            }
            const PortsResult result = measure_ports(**rig);
            for (unsigned part = 0; part < kPortParts; ++part) {
                parts[part].push_back(result.parts[part]);
            }
            last.push_back(result.last);
            summary.reached = result.reached;
            summary.faults += result.faults;
            complain(**rig, result.faults);
        }
        for (const std::vector<double>& part : parts) {
            summary.parts.push_back(Summary::of(part));
        }
        summary.last = Summary::of(last);
        return summary;
    }

    static std::optional<nat::PortSelection> selection_of(std::string_view word) {
        using enum nat::PortSelection;
        for (const auto& [name, selection] :
             {std::pair{"random", kRandom}, {"sequential", kSequential}, {"preserve", kPreserve}}) {
            if (word == name) {
                return selection;
            }
        }
        return {};
    }

    // Tables just large enough.
    RigPlan plan_of(const config::FlowgenProfile& profile) const {
        RigPlan plan{
            profile, profile.flows, flowgen::FlowPlan(profile).endpoints(), profile.subscribers};
        plan.logs = !options_.no_log;
        return plan;
    }
    // The ring is no part of what a session or a mapping takes.
    static RigPlan without_log(RigPlan plan) {
        plan.logs = false;
        return plan;
    }
    // One on each worker, made by it.
    Result<Rigs> make_rigs(const RigPlan& plan) {
        const SignalPause pause;
        std::vector<Result<std::unique_ptr<Rig>>> made(machine_->workers());
        machine_->run_on_workers([&](unsigned worker) {
            RigPlan own = plan;
            own.worker = worker;
            made[worker] = Rig::create(own, *machine_);
        });
        Rigs rigs;
        for (auto& rig : made) {
            if (!rig) {
                return tl::unexpected(rig.error());
            }
            rigs.push_back(std::move(*rig));
        }
        return rigs;
    }
    Result<std::unique_ptr<Rig>> make_rig(const RigPlan& plan) {
        return make_rigs(plan).map([](Rigs rigs) { return std::move(rigs.front()); });
    }
    Asked asked(const config::FlowgenProfile& profile) const {
        return {profile.flows, options_.size, options_.protocol, options_.direction, options_.json};
    }
    static void print(const std::string& text) {
        fmt::print("{}\n", text);
        std::fflush(stdout);
    }
    static void complain(const Rig& rig, uint64_t faults) {
        if (faults > 0) {
            fmt::print(stderr, "sekisho-bench: {} faults\n{}", faults, rig.describe_faults());
        }
    }

    const Options& options_;
    std::unique_ptr<Machine> machine_;
};

using Benchmark = Result<uint64_t> (Session::*)(const config::FlowgenProfile&);

Result<uint64_t> run(const Options& options, Benchmark benchmark) {
    std::vector<config::FlowgenProfile> profiles;
    for (const uint32_t sessions : options.sessions) {
        auto profile = profile_of(options, sessions);
        if (!profile) {
            return tl::unexpected(profile.error());
        }
        profiles.push_back(*profile);
    }
    Session session(options);
    if (auto opened = session.open(benchmark == &Session::churn ? 2 : 1); !opened) {
        return tl::unexpected(opened.error());
    }
    uint64_t faults = 0;
    for (const auto& profile : profiles) {
        auto found = (session.*benchmark)(profile);
        if (!found) {
            return found;
        }
        faults += *found;
    }
    return faults;
}

// First packets by the classifier alone; those of sessions that stand through the pipeline.
Result<uint64_t> run_rules(const Options& options) {
    constexpr uint32_t kMostRules = 1'000'000;
    for (const uint32_t rules : options.rules) {
        if (rules < 1 || rules > kMostRules) {
            return failure(fmt::format("rules wants 1 to {} rules", kMostRules));
        }
    }
    const auto profile = profile_of(options, options.sessions.front());
    if (!profile) {
        return tl::unexpected(profile.error());
    }
    Session session(options);
    if (auto opened = session.open(1); !opened) {
        return tl::unexpected(opened.error());
    }
    uint64_t faults = 0;
    for (const std::string& kind : options.kinds) {
        auto found = session.rules(*profile, kind);
        if (!found) {
            return found;
        }
        faults += *found;
    }
    return faults;
}

Result<uint64_t> run_payload(const Options& options) {
    const auto cpus = choose_cpus(options.cpus, 1);
    if (!cpus) {
        return tl::unexpected(cpus.error());
    }
    stay_on(cpus->front());
    return measure_payload(options.payload).map([&](const PayloadResult& result) {
        fmt::print("{}\n", report_payload(options.payload, result, options.json));
        return result.faults;
    });
}

void add_common(CLI::App& command, Options& options) {
    command.add_option("--sessions", options.sessions, "how many sessions stand; several: in turn");
    command.add_option("--cpu", options.cpus, "the CPU to run on; several: one for each worker");
    command.add_flag("--no-log", options.no_log, "no log of bindings is kept");
    command.add_flag("--json", options.json, "one JSON object for each number of sessions");
}

void add_traffic(CLI::App& command, Options& options) {
    command.add_option("--size", options.size, "bytes of a frame (64 to 1514), or imix");
    command.add_option("--protocol", options.protocol, "udp, tcp, icmp or mix");
    command.add_option("--runs", options.runs, "how often it is measured");
}

CLI::App* add_exhaust(CLI::App& app, Options& options) {
    CLI::App* exhaust =
        app.add_subcommand("exhaust", "cycles a refused packet, by what is used up");
    add_common(*exhaust, options);
    add_traffic(*exhaust, options);
    std::vector<std::string> kinds;
    for (const Exhaustion& exhaustion : exhaustions().subspan(1)) {
        kinds.emplace_back(exhaustion.key);
    }
    exhaust->add_option("--only", options.only, "what is used up; all if not given")
        ->check(CLI::IsMember(kinds));
    return exhaust;
}

CLI::App* add_ports(CLI::App& app, Options& options) {
    CLI::App* ports = app.add_subcommand("ports", "cycles a mapping, until an address has no port");
    ports->add_option("--port-selection", options.selections, "random, sequential, preserve")
        ->check(CLI::IsMember({"random", "sequential", "preserve"}));
    ports->add_option("--port-block-size", options.block, "of which 64512 is a multiple")
        ->check(CLI::IsMember({64, 128, 256, 512, 1024}));
    ports->add_option("--runs", options.runs, "how often it is measured");
    ports->add_option("--cpu", options.cpus, "the CPU to run on");
    ports->add_flag("--no-log", options.no_log, "no log of bindings is kept");
    ports->add_flag("--json", options.json, "one JSON object for each port selection");
    return ports;
}

CLI::App* add_payload(CLI::App& app, Options& options) {
    CLI::App* payload =
        app.add_subcommand("payload", "how fast a worker looks for payload patterns in streams");
    payload->add_option("--literals", options.payload.literals, "how many")
        ->check(CLI::Range(0, 10000));
    payload->add_option("--regexes", options.payload.regexes, "how many")
        ->check(CLI::Range(0, 4000));
    payload->add_option("--streams", options.payload.streams, "that send by turns")
        ->check(CLI::Range(1, 1000000));
    payload->add_option("--runs", options.payload.runs, "how often it is measured")
        ->check(CLI::Range(1, 10000));
    payload->add_option("--cpu", options.cpus, "the CPU to run on");
    payload->add_flag("--json", options.json, "a JSON object");
    return payload;
}

CLI::App* add_rules(CLI::App& app, Options& options) {
    CLI::App* rules =
        app.add_subcommand("rules", "cycles that rules cost a flow's first packet, and the others");
    rules->add_option("--rules", options.rules, "how many; several: in turn");
    rules->add_option("--kind", options.kinds, "acl, fw or ipc; several: in turn")
        ->check(CLI::IsMember({"acl", "fw", "ipc"}));
    rules->add_option("--sessions", options.sessions, "that stand: 1000 if not given")->expected(1);
    rules->add_option("--packets", options.packets, "of theirs in one run; 0: by their number");
    rules->add_option("--runs", options.runs, "how often it is measured");
    rules->add_option("--cpu", options.cpus, "the CPU to run on");
    rules->add_flag("--json", options.json, "one JSON object for each number and kind");
    return rules;
}

int main_or_throw(int argc, char** argv) {
    Options options;
    CLI::App app("What Sekisho's pipeline costs, measured on links that are played from memory.");
    app.require_subcommand(1);
    CLI::App* forward = app.add_subcommand("forward", "cycles a packet of sessions that stand");
    add_common(*forward, options);
    add_traffic(*forward, options);
    forward->add_option("--direction", options.direction, "outbound, inbound or both");
    forward->add_option("--packets", options.packets, "of one run; 0: by the number of sessions");
    forward
        ->add_option("--workers", options.workers, "measured together, each with so many sessions")
        ->check(CLI::Range(1, 1024));
    CLI::App* setup = app.add_subcommand("setup", "cycles a new session");
    add_common(*setup, options);
    add_traffic(*setup, options);
    CLI::App* memory = app.add_subcommand("memory", "resident bytes of a session and a mapping");
    add_common(*memory, options);
    memory->add_option("--sessions-per-mapping", options.per_mapping, "that share a mapping");
    memory->add_option("--sessions-per-subscriber", options.per_subscriber, "16 if not given");
    CLI::App* churn = app.add_subcommand("churn", "whether a packet costs more after an hour");
    add_common(*churn, options);
    churn->add_option("--runs", options.runs, "how often it is measured");
    churn->add_option("--packets", options.packets, "of one run; 0: by the number of sessions");
    churn->add_option("--times", options.times, "how many tables full are created and expire");
    CLI::App* exhaust = add_exhaust(app, options);
    CLI::App* ports = add_ports(app, options);
    CLI::App* rules = add_rules(app, options);
    CLI::App* payload = add_payload(app, options);
    CLI11_PARSE(app, argc, argv);
    Benchmark benchmark = &Session::forward;
    if (setup->parsed()) {
        benchmark = &Session::setup;
    } else if (memory->parsed()) {
        benchmark = &Session::memory;
        if (memory->count("--sessions-per-subscriber") == 0) {
            options.per_subscriber = 16;
        }
    } else if (exhaust->parsed()) {
        benchmark = &Session::exhaust;
        options.flows_per_session = 2;
    } else if (ports->parsed()) {
        benchmark = &Session::ports;
        options.sessions = {kPortsOfAddress};
        options.per_subscriber = kPortsOfAddress;
    } else if (churn->parsed()) {
        benchmark = &Session::churn;
    } else if (rules->parsed() && rules->count("--sessions") == 0) {
        options.sessions = {1000};
    }
    const auto faults = rules->parsed()     ? run_rules(options)
                        : payload->parsed() ? run_payload(options)
                                            : run(options, benchmark);
    if (!faults) {
        fmt::print(stderr, "sekisho-bench: {}\n", faults.error().message);
        return 1;
    }
    return *faults == 0 ? 0 : 1;
}

}  // namespace

// CLI11 and the standard library may throw; nothing of ours does.
int main(int argc, char** argv) {
    try {
        return main_or_throw(argc, argv);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "sekisho-bench: %s\n", error.what());
        return 1;
    }
}
