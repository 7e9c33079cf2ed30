// Whether the last free port of an address is found as fast as the first: one subscriber takes them all.
#include <set>

#include "sekisho-bench/benchmarks.h"

namespace sekisho::bench {

PortsResult measure_ports(Rig& rig) {
    PortsResult result;
    rig.set_checks(flowgen::FlowgenQueue::Checks::kNone);
    rig.subscribers().send_pass();
    const uint64_t first = rig.sent();
    const auto run_until = [&](uint64_t count) {
        const uint64_t begun = rig.sent();
        const Stopwatch watch;
        while (rig.sent() - first < count && !rig.subscribers().is_pass_over()) {
            rig.turn();
        }
        const auto cycles = static_cast<double>(watch.cycles());
        return cycles / static_cast<double>(std::max<uint64_t>(rig.sent() - begun, 1));
    };
    for (unsigned part = 1; part < kPortParts; ++part) {
        result.parts.push_back(run_until(uint64_t{kPortsOfAddress} * part / kPortParts));
    }
    result.parts.push_back(run_until(kPortsOfAddress - kLastPorts));
    result.last = run_until(kPortsOfAddress);
    rig.turn();
    result.faults = kPortsOfAddress - rig.nat().session_count();
    // Out and back, every frame looked at: the far end learns who is where.
    rig.checked_pass(true, false);
    rig.checked_pass(false, true);
    result.faults += rig.faults();
    std::set<uint64_t> reached;
    for (uint32_t session = 0; session < kPortsOfAddress; ++session) {
        const flowgen::Endpoint at = rig.internet().endpoint(session);
        reached.insert(uint64_t{at.address.host()} << 16 | at.port.host());
    }
    result.reached = reached.size();
    result.faults += kPortsOfAddress - result.reached;
    return result;
}

}  // namespace sekisho::bench
