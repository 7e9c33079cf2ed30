// What a packet of a session that stands costs: the real pipeline beside the harness alone, in turns.
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
Sample run(Rig& rig, uint64_t packets, Turn&& turn) {
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
    return {cycles / sent, sent / seconds / 1e6};
}

class Samples {
  public:
    void add(const Sample& whole, const Sample& io) {
        whole_.push_back(whole.cycles);
        io_.push_back(io.cycles);
        mpps_.push_back(whole.mpps);
        fixed_.push_back(calibrate());
    }
    void finish(ForwardResult& result) const {
        result.cycles = Summary::of(whole_);
        result.io_cycles = Summary::of(io_);
        result.net_cycles = difference(whole_, result.io_cycles.median);
        result.mpps = Summary::of(mpps_);
        result.fixed_loop = Summary::of(fixed_);
    }

  private:
    std::vector<double> whole_, io_, mpps_, fixed_;
};

}  // namespace

Sample run_io(Rig& rig, uint64_t packets) {
    rig.set_translated(false);
    const Sample io = run(rig, packets, [&] { rig.io_turn(); });
    rig.set_translated(true);
    return io;
}

Sample run_pipeline(Rig& rig, uint64_t packets) {
    return run(rig, packets, [&] { rig.turn(); });
}

uint64_t packets_of_run(uint64_t wanted, uint32_t sessions) {
    const uint64_t usual = std::clamp(2 * uint64_t{sessions}, kLeastPackets, kMostPackets);
    return wanted != 0 ? wanted : usual;
}

// The harness is taken off as it usually is: run by run, its own disturbances would make the smallest difference too small.
Summary difference(std::vector<double> whole, double harness) {
    for (double& cycles : whole) {
        cycles -= harness;
    }
    return Summary::of(std::move(whole));
}

void open_sessions(Rig& rig) {
    rig.checked_pass(true, false);
    rig.checked_pass(false, true);
    rig.checked_pass(true, false);
}

ForwardResult measure_forward(Rig& rig, const ForwardPlan& plan) {
    ForwardResult result;
    const uint64_t packets = packets_of_run(plan.packets, plan.sessions);
    Samples samples;
    rig.set_checks(Checks::kSample);
    rig.send(plan.direction);
    const uint64_t missing = rig.sent() - rig.received();
    for (unsigned i = 0; i < plan.runs; ++i) {
        const Sample io = run_io(rig, packets);
        const Sample whole = run_pipeline(rig, packets);
        samples.add(whole, io);
    }
    result.lost = rig.sent() - rig.received() - missing;
    rig.send_nothing();
    const bool outbound = plan.direction != config::FlowgenDirection::kInbound;
    const bool inbound = plan.direction != config::FlowgenDirection::kOutbound;
    rig.checked_pass(outbound, inbound);
    result.faults = rig.faults() + result.lost;
    samples.finish(result);
    return result;
}

}  // namespace sekisho::bench
