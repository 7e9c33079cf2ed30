// The benchmarks: what each is told and what it finds out.
//
//   Units     cycles of the TSC a packet or a session; mpps: millions of packets a second.
//   Thread    one; nothing else should run on its CPU.
#pragma once

#include <cstdint>

#include "config/flowgen_profile.h"
#include "sekisho-bench/measure.h"
#include "sekisho-bench/rig.h"

namespace sekisho::bench {

// Opens every session of the rig: out, back, and out again (TCP: a handshake), every frame checked.
void open_sessions(Rig& rig);

struct Sample {
    double cycles = 0;  // a packet
    double mpps = 0;
};
// One timed run of the harness alone, and of the pipeline; the far ends are sending.
Sample run_io(Rig& rig, uint64_t packets);
Sample run_pipeline(Rig& rig, uint64_t packets);
// `wanted`, or if that is 0 as many as the sessions ask for.
uint64_t packets_of_run(uint64_t wanted, uint32_t sessions);

// What is left of several runs without the harness's usual share.
Summary difference(std::vector<double> whole, double harness);

struct ForwardPlan {
    uint32_t sessions = 0;
    config::FlowgenDirection direction = config::FlowgenDirection::kBoth;
    unsigned runs = 15;
    uint64_t packets = 0;  // of one run; 0: by the number of sessions
};

struct ForwardResult {
    Summary cycles;      // with the harness's share
    Summary io_cycles;   // of the harness alone
    Summary net_cycles;  // the difference
    Summary mpps;        // with the harness's share
    Summary fixed_loop;
    uint64_t lost = 0;    // in the timed runs
    uint64_t faults = 0;  // in all, losses included
};

// Sessions stand open already.
ForwardResult measure_forward(Rig& rig, const ForwardPlan& plan);

struct SetupResult {
    double cycles = 0;  // a session, over all
    double first = 0;   // a session of the first million, or third; and so on
    double middle = 0;
    double last = 0;
    double seconds = 0;  // in all
    uint64_t standing = 0;
    uint64_t faults = 0;  // with those that do not stand
};

// The rig is new: each frame makes a session.
SetupResult measure_setup(Rig& rig, uint32_t sessions);

struct MemoryResult {        // resident bytes
    double per_session = 0;  // entry, index, timer
    double per_mapping = 0;  // entry, index
    double per_subscriber = 0;
    double of_blocks = 0;  // a subscriber: its port blocks
    uint64_t process_bytes = 0;
    uint64_t standing = 0;
    uint64_t faults = 0;
};

// The rig is new. Fails where the kernel does not show which pages are present.
Result<MemoryResult> measure_memory(Rig& rig, uint32_t sessions);

uint64_t resident_bytes_of_process();

struct ChurnPlan {
    uint32_t sessions = 0;  // that stand while it is measured; the tables' size
    unsigned times = 10;    // how many tables full are created and expire
    unsigned runs = 15;
    uint64_t packets = 0;
};

struct ChurnResult {
    Summary io_cycles;     // a packet: of the harness alone
    Summary fresh_cycles;  // without the harness
    Summary worn_cycles;   // the same after the churn
    double ratio = 0;      // worn to fresh, of the medians
    uint64_t created = 0;
    uint64_t refused = 0;  // packets dropped during the churn
    double simulated_seconds = 0;
    uint64_t faults = 0;
};

// Two rigs of one plan, whose profile has churn_flows() of the sessions; `worn` is worn here.
ChurnResult measure_churn(Rig& fresh, Rig& worn, const ChurnPlan& plan);
constexpr uint32_t churn_flows(uint32_t sessions) {
    return 2 * sessions;
}

}  // namespace sekisho::bench
