// Whether the cost of a packet depends on how long the appliance has run: two rigs, one of which has created and lost its
// tables' size many times over on a simulated clock, measured by turns.
#include <algorithm>
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

// A flow must not come again before its session has gone, so every pass has the order of the first.
void start_pass(Rig& rig, uint32_t flows) {
    rig.subscribers().limit_flows(flows);
    rig.subscribers().send_pass();
}

// Every packet comes so late that its session has gone, and makes it anew. The clock goes with the packets.
void wear(Rig& rig, const ChurnPlan& plan, ChurnResult& result) {
    const uint64_t dropped = rig.dropped();
    const uint64_t made = rig.nat().sessions_made();
    const uint64_t first = rig.sent();
    const double ms_a_packet = kPeriodMs / churn_flows(plan.sessions);
    double passed = 0;
    double told = 0;
    rig.set_checks(Checks::kNone);
    result.wanted = uint64_t{plan.sessions} * plan.times;
    while (rig.sent() - first < result.wanted) {
        if (rig.subscribers().is_pass_over()) {
            start_pass(rig, churn_flows(plan.sessions));
        }
        rig.turn();
        passed = static_cast<double>(rig.sent() - first) * ms_a_packet;
        const double step = std::floor(passed - told);
        rig.skip(static_cast<uint32_t>(step));
        told += step;
    }
    rig.send_nothing();
    result.refused = rig.dropped() - dropped;
    result.created = rig.nat().sessions_made() - made;
    result.faults += result.wanted - std::min(result.wanted, result.created);
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
    Together alone(1);
    for (unsigned i = 0; i < plan.runs; ++i) {
        io.push_back(run_io(fresh, packets, alone).cycles);
        before.push_back(run_pipeline(fresh, packets, alone).cycles);
        after.push_back(run_pipeline(worn, packets, alone).cycles);
    }
    for (Rig* rig : {&fresh, &worn}) {
        rig->send_nothing();
        rig->checked_pass(true, true);
        result.faults += rig->faults();
    }
    result.io_cycles = Summary::of(io);
    result.fresh_cycles = Summary::of(without(before, result.io_cycles.median));
    result.worn_cycles = Summary::of(without(after, result.io_cycles.median));
    result.ratio = result.worn_cycles.median / result.fresh_cycles.median;
    return result;
}

}  // namespace sekisho::bench
