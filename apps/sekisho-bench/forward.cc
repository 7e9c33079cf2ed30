// What a packet of a session that stands costs: the real pipeline beside the harness alone, in turns.
#include <functional>

#include "sekisho-bench/benchmarks.h"
#include "sekisho-bench/measure.h"
#include "sekisho-bench/rig.h"

namespace sekisho::bench {
namespace {

using Checks = flowgen::FlowgenQueue::Checks;

constexpr uint64_t kLeastPackets = 1 << 20;  // of one run
constexpr uint64_t kMostPackets = 1 << 22;

// Runs turns until `packets` have been sent; an eighth as many before it that are not counted.
template <class Turn>
Sample run(Rig& rig, uint64_t packets, Together& together, Turn&& turn) {
    together.start();
    for (const uint64_t warm = rig.sent() + packets / 8; rig.sent() < warm;) {
        turn();
    }
    constexpr unsigned kTurns = 64;  // between two looks at the counters
    const uint64_t first = rig.sent();
    const Stopwatch watch;
    while (rig.sent() - first < packets) {
        for (unsigned i = 0; i < kTurns; ++i) {
            turn();
        }
    }
    const auto cycles = static_cast<double>(watch.cycles());
    const double seconds = watch.seconds();
    const auto sent = static_cast<double>(rig.sent() - first);
    together.finish(turn);
    return {cycles / sent, sent / seconds / 1e6};
}

// What one worker has measured, run by run.
struct Samples {
    std::vector<double> whole, io, mpps, fixed;
    uint64_t lost = 0;
    uint64_t faults = 0;

    std::vector<double> net() const { return without(whole, Summary::of(io).median); }
};

Samples measure_one(Rig& rig, const ForwardPlan& plan, Together& together) {
    Samples samples;
    const uint64_t packets = packets_of_run(plan.packets, plan.sessions);
    rig.set_checks(Checks::kSample);
    rig.send(plan.direction);
    const uint64_t missing = rig.sent() - rig.received();
    for (unsigned i = 0; i < plan.runs; ++i) {
        const Sample io = run_io(rig, packets, together);
        const Sample whole = run_pipeline(rig, packets, together);
        samples.whole.push_back(whole.cycles);
        samples.io.push_back(io.cycles);
        samples.mpps.push_back(whole.mpps);
        samples.fixed.push_back(calibrate());
    }
    samples.lost = rig.sent() - rig.received() - missing;
    rig.send_nothing();
    const bool outbound = plan.direction != config::FlowgenDirection::kInbound;
    const bool inbound = plan.direction != config::FlowgenDirection::kOutbound;
    rig.checked_pass(outbound, inbound);
    samples.faults = rig.faults() + samples.lost;
    return samples;
}

ForwardResult sum_up(const std::vector<Samples>& workers) {
    ForwardResult result;
    std::vector<double> whole, io, net, fixed;
    std::vector<double> mpps(workers.front().mpps.size());
    const auto append = [](std::vector<double>& to, const std::vector<double>& from) {
        to.insert(to.end(), from.begin(), from.end());
    };
    for (const Samples& worker : workers) {
        append(whole, worker.whole);
        append(io, worker.io);
        append(net, worker.net());
        append(fixed, worker.fixed);
        std::ranges::transform(mpps, worker.mpps, mpps.begin(), std::plus());
        result.by_worker.push_back(Summary::of(worker.net()));
        result.lost += worker.lost;
        result.faults += worker.faults;
    }
    result.cycles = Summary::of(whole);
    result.io_cycles = Summary::of(io);
    result.net_cycles = Summary::of(net);
    result.mpps = Summary::of(mpps);
    result.fixed_loop = Summary::of(fixed);
    return result;
}

}  // namespace

Sample run_io(Rig& rig, uint64_t packets, Together& together) {
    rig.set_translated(false);
    const Sample io = run(rig, packets, together, [&] { rig.io_turn(); });
    rig.set_translated(true);
    return io;
}

Sample run_pipeline(Rig& rig, uint64_t packets, Together& together) {
    return run(rig, packets, together, [&] { rig.turn(); });
}

uint64_t packets_of_run(uint64_t wanted, uint32_t sessions) {
    const uint64_t usual = std::clamp(2 * uint64_t{sessions}, kLeastPackets, kMostPackets);
    return wanted != 0 ? wanted : usual;
}

// The harness is taken off as it usually is: run by run, its own disturbances would make the smallest difference too small.
std::vector<double> without(std::vector<double> whole, double harness) {
    for (double& cycles : whole) {
        cycles -= harness;
    }
    return whole;
}

void open_sessions(Rig& rig) {
    rig.checked_pass(true, false);
    rig.checked_pass(false, true);
    rig.checked_pass(true, false);
}

ForwardResult measure_forward(Machine& machine, const Rigs& rigs, const ForwardPlan& plan) {
    std::vector<Samples> samples(rigs.size());
    Together together(static_cast<unsigned>(rigs.size()));
    machine.run_on_workers([&](unsigned worker) {
        samples[worker] = measure_one(*rigs[worker], plan, together);
    });
    return sum_up(samples);
}

}  // namespace sekisho::bench
