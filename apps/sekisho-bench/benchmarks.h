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

struct ForwardPlan {
    uint32_t sessions = 0;
    config::FlowgenDirection direction = config::FlowgenDirection::kBoth;
    unsigned runs = 15;
    uint64_t packets = 0;  // of one run; 0: by the number of sessions
};

struct ForwardResult {
    Summary cycles;      // with the harness's share
    Summary io_cycles;   // of the harness alone
    Summary net_cycles;  // the difference, run by run
    Summary mpps;        // with the harness's share
    Summary fixed_loop;
    uint64_t lost = 0;    // in the timed runs
    uint64_t faults = 0;  // in all, losses included
};

// Sessions stand open already.
ForwardResult measure_forward(Rig& rig, const ForwardPlan& plan);

}  // namespace sekisho::bench
