// What the benchmarks print: a line of text or one JSON object each. The keys stay as they are.
#pragma once

#include <string>

#include "sekisho-bench/benchmarks.h"

namespace sekisho::bench {

// What was asked for, as it is to be named.
struct Asked {
    uint32_t sessions = 0;
    std::string size;
    std::string protocol;
    std::string direction;
    bool json = false;
};

std::string report_forward(const Asked& asked, const ForwardResult& result);

struct SetupSummary {  // over several runs; a session
    Summary cycles;
    Summary first, middle, last;
    Summary rate;  // sessions a second
    Summary fixed_loop;
    uint64_t checked = 0;  // frames of one run
    uint64_t faults = 0;
};
struct RefusalSummary {  // over several runs
    const Exhaustion* exhaustion = nullptr;
    Summary cycles;  // a packet, without the harness
    Summary io_cycles;
    uint64_t asked = 0;
    uint64_t refused = 0;
    uint64_t faults = 0;
};
// The first one lacks nothing: the others are held against it.
std::string report_exhaust(const Asked& asked, const std::vector<RefusalSummary>& summaries);

struct PortsSummary {  // over several runs; a mapping
    std::string selection;
    uint32_t block = 0;
    std::vector<Summary> parts;
    Summary last;
    uint64_t reached = 0;
    uint64_t faults = 0;
};
std::string report_ports(const PortsSummary& summary, bool json);

std::string report_rules(
    uint32_t rules,
    std::string_view kind,
    const RulesResult& result,
    const EstablishedResult& established,
    bool json
);

std::string report_payload(const PayloadPlan& plan, const PayloadResult& result, bool json);

std::string report_setup(const Asked& asked, const SetupSummary& summary);

std::string report_memory(
    const Asked& asked, unsigned sessions_per_mapping, const MemoryResult& result
);

std::string report_churn(const Asked& asked, const ChurnResult& result);

}  // namespace sekisho::bench
