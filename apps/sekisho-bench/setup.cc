// What a new session costs: every packet comes from an internal endpoint that the NAT has never seen.
#include "sekisho-bench/benchmarks.h"

namespace sekisho::bench {
namespace {

using Checks = flowgen::FlowgenQueue::Checks;

constexpr uint32_t kMostOfAStretch = 1'000'000;

// Sends until `sessions` have been asked for in all; returns the cycles each of them took.
double run_stretch(Rig& rig, uint64_t until) {
    const uint64_t first = rig.sent();
    const Stopwatch watch;
    while (rig.sent() < until && !rig.subscribers().is_pass_over()) {
        rig.turn();
    }
    return static_cast<double>(watch.cycles()) / static_cast<double>(rig.sent() - first);
}

}  // namespace

SetupResult measure_setup(Rig& rig, uint32_t sessions) {
    const uint32_t stretch = std::min(kMostOfAStretch, (sessions + 2) / 3);
    std::vector<double> stretches;
    rig.set_checks(Checks::kSample);
    rig.subscribers().send_pass();
    const uint64_t before = rig.sent();
    const Stopwatch watch;
    for (uint64_t done = 0; done < sessions; done += stretch) {
        stretches.push_back(run_stretch(rig, before + std::min<uint64_t>(done + stretch, sessions))
        );
    }
    SetupResult result;
    result.cycles = static_cast<double>(watch.cycles()) / sessions;
    result.seconds = watch.seconds();
    result.first = stretches.front();
    result.middle = stretches[stretches.size() / 2];
    result.last = stretches.back();
    // Each of them out and back, with every frame looked at: what does not stand now is a fault.
    result.standing = rig.nat().session_count();
    result.checked = rig.checked_pass(true, false);
    result.checked += rig.checked_pass(false, true);
    result.faults = rig.faults() + (sessions - result.standing);
    if (rig.nat().log().ring().is_made()) {  // each of them a mapping, and each of those an event
        result.faults += sessions - rig.mappings_logged();
    }
    return result;
}

}  // namespace sekisho::bench
