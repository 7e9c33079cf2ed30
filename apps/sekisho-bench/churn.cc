// Whether the cost of a packet depends on how long the appliance has run: two rigs, one of which has created and lost its
// tables' size many times over on a simulated clock, measured by turns.
#include <cmath>

#include "sekisho-bench/benchmarks.h"

namespace sekisho::bench {
namespace {

using Checks = flowgen::FlowgenQueue::Checks;

// A session expires after 300 s (UDP), its port rests for 120 s more; each comes again only after this.
constexpr double kPeriodMs = 900'000;

void limit_flows(Rig& rig, uint32_t count) {
    rig.subscribers().limit_flows(count);
    rig.internet().limit_flows(count);
    rig.subscribers().forget();
    rig.internet().forget();
}

// Every packet comes so late that its session has gone, and makes it anew. The clock goes with the packets.
void wear(Rig& rig, const ChurnPlan& plan, ChurnResult& result) {
    const uint64_t dropped = rig.dropped();
    const uint64_t first = rig.sent();
    const uint64_t wanted = uint64_t{plan.sessions} * plan.times;
    const double ms_a_packet = kPeriodMs / churn_flows(plan.sessions);
    double passed = 0;
    double told = 0;
    rig.set_checks(Checks::kNone);
    limit_flows(rig, churn_flows(plan.sessions));
    rig.send(config::FlowgenDirection::kOutbound);
    while (rig.sent() - first < wanted) {
        rig.turn();
        passed = static_cast<double>(rig.sent() - first) * ms_a_packet;
        const double step = std::floor(passed - told);
        rig.skip(static_cast<uint32_t>(step));
        told += step;
    }
    rig.send_nothing();
    result.refused = rig.dropped() - dropped;
    result.created = rig.sent() - first - result.refused;
    result.simulated_seconds = passed / 1000;
}

// Until nothing is left, and every port has rested.
void let_all_expire(Rig& rig) {
    constexpr unsigned kMostTurns = 10'000'000;
    for (unsigned i = 0; i < kMostTurns && rig.nat().session_count() > 0; ++i) {
        rig.skip(i % 8 == 0 ? 100 : 0);
        rig.turn();
    }
    for (unsigned i = 0; i < 4096; ++i) {
        rig.skip(100);
        rig.turn();
    }
}

void open(Rig& rig, uint32_t sessions) {
    limit_flows(rig, sessions);
    open_sessions(rig);
    rig.set_checks(Checks::kSample);
    rig.send(config::FlowgenDirection::kBoth);
}

}  // namespace

ChurnResult measure_churn(Rig& fresh, Rig& worn, const ChurnPlan& plan) {
    ChurnResult result;
    wear(worn, plan, result);
    let_all_expire(worn);
    open(worn, plan.sessions);
    open(fresh, plan.sessions);
    const uint64_t packets = packets_of_run(plan.packets, plan.sessions);
    std::vector<double> io, before, after;
    for (unsigned i = 0; i < plan.runs; ++i) {
        io.push_back(run_io(fresh, packets).cycles);
        before.push_back(run_pipeline(fresh, packets).cycles);
        after.push_back(run_pipeline(worn, packets).cycles);
    }
    for (Rig* rig : {&fresh, &worn}) {
        rig->send_nothing();
        rig->checked_pass(true, true);
        result.faults += rig->faults();
    }
    result.io_cycles = Summary::of(io);
    result.fresh_cycles = difference(before, result.io_cycles.median);
    result.worn_cycles = difference(after, result.io_cycles.median);
    result.ratio = result.worn_cycles.median / result.fresh_cycles.median;
    return result;
}

}  // namespace sekisho::bench
