// The benchmarks: what each is told and what it finds out.
//
//   Units     cycles of the TSC a packet or a session; mpps: millions of packets a second.
//   Thread    what takes one rig runs on its worker's thread; nothing else should run on its CPU.
#pragma once

#include <atomic>
#include <barrier>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "config/flowgen_profile.h"
#include "sekisho-bench/measure.h"
#include "sekisho-bench/rig.h"
#include "sekisho-bench/rule_maker.h"

namespace sekisho::bench {

// Opens every session of the rig: out, back, and out again (TCP: a handshake), every frame checked.
void open_sessions(Rig& rig);

// Runs that several workers begin together, and in which each goes on until the last has finished: none is measured while
// another rests. Each worker goes through the same runs in the same order.
class Together {
  public:
    explicit Together(unsigned workers) : workers_(workers), start_(workers) {}
    void start() { start_.arrive_and_wait(); }
    template <class Turn>
    void finish(Turn&& turn) {
        const uint64_t runs_before = finished_.fetch_add(1, std::memory_order_relaxed) / workers_;
        while (finished_.load(std::memory_order_relaxed) < (runs_before + 1) * workers_) {
            turn();
        }
    }

  private:
    uint64_t workers_;
    std::barrier<> start_;
    std::atomic<uint64_t> finished_{0};
};

struct Sample {
    double cycles = 0;  // a packet
    double mpps = 0;
};
// One timed run of the harness alone, and of the pipeline; the far ends are sending.
Sample run_io(Rig& rig, uint64_t packets, Together& together);
Sample run_pipeline(Rig& rig, uint64_t packets, Together& together);
// `wanted`, or if that is 0 as many as the sessions ask for.
uint64_t packets_of_run(uint64_t wanted, uint32_t sessions);

// What is left of several runs without the harness's usual share.
std::vector<double> without(std::vector<double> whole, double harness);

struct ForwardPlan {
    uint32_t sessions = 0;
    config::FlowgenDirection direction = config::FlowgenDirection::kBoth;
    unsigned runs = 15;
    uint64_t packets = 0;  // of one run; 0: by the number of sessions
};

// Of several workers: the samples of all of them; mpps: of all together.
struct ForwardResult {
    Summary cycles;      // with the harness's share
    Summary io_cycles;   // of the harness alone
    Summary net_cycles;  // the difference
    Summary mpps;        // with the harness's share
    Summary fixed_loop;
    std::vector<Summary> by_worker;  // net_cycles of each
    uint64_t lost = 0;               // in the timed runs
    uint64_t faults = 0;             // in all, losses included
};

// A rig for each worker of the machine, at the same time. Sessions stand open already.
ForwardResult measure_forward(Machine& machine, const Rigs& rigs, const ForwardPlan& plan);

struct SetupResult {
    double cycles = 0;  // a session, over all
    double first = 0;   // a session of the first million, or third; and so on
    double middle = 0;
    double last = 0;
    double seconds = 0;  // in all
    uint64_t standing = 0;
    uint64_t checked = 0;  // frames sent afterwards, out and back, and looked at
    uint64_t faults = 0;   // with those that do not stand
};

// The rig is new: each frame makes a session.
SetupResult measure_setup(Rig& rig, uint32_t sessions);

struct MemoryResult {        // resident bytes
    double per_session = 0;  // entry, index, timer
    double per_mapping = 0;  // entry, index
    double per_subscriber = 0;
    double of_blocks = 0;    // a subscriber: its port blocks
    uint64_t in_tables = 0;  // of the arena: all these, and what else lies there
    int64_t growth =
        0;  // of the process, for the rig; its fixed parts and the far ends' tables apart
    uint64_t process_bytes = 0;
    uint64_t standing = 0;
    uint64_t faults = 0;
};

// What a rig takes beside its tables, whatever their size. `before`: resident_bytes_of_process() before it was made.
Result<uint64_t> resident_bytes_beside_tables(const Rig& rig, uint64_t before);

// The rig is new; `before`: resident_bytes_of_process() before it was made, and what it takes beside its tables.
//   Fails     where the kernel does not show which pages are present, or shows more of them than the process has grown by.
Result<MemoryResult> measure_memory(Rig& rig, uint32_t sessions, uint64_t before);

// All that the process has in memory: of its own, shared, and huge pages; nothing is kept that has been freed.
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
    uint64_t wanted = 0;   // sessions that the churn is to create
    uint64_t created = 0;  // as the shard has counted them
    uint64_t refused = 0;  // packets dropped during the churn
    double simulated_seconds = 0;
    uint64_t faults = 0;  // with sessions that were not created
};

// Two rigs of one plan, whose profile has churn_flows() of the sessions; `worn` is worn here.
ChurnResult measure_churn(Rig& fresh, Rig& worn, const ChurnPlan& plan);
constexpr uint32_t churn_flows(uint32_t sessions) {
    return 2 * sessions;
}

// Something that all new sessions want, and of which nothing is left.
struct Exhaustion {
    std::string_view key;
    std::string_view label;
    std::optional<DropReason>
        reason;                   // why they are refused; none: nothing lacks, and they are made
    bool is_subscribers = false;  // a limit of each subscriber, which one session reaches
    void (*arrange)(RigPlan& plan, uint32_t sessions) = nullptr;
};
std::span<const Exhaustion> exhaustions();

struct RefusalResult {
    double cycles = 0;     // a packet that asks for a new session, without the harness
    double io_cycles = 0;  // the harness, where as much gets through
    uint64_t asked = 0;
    uint64_t refused = 0;  // for the expected reason
    uint64_t faults = 0;   // packets that neither passed nor were refused for it, as is expected
};
// The rig is new; its profile has twice `sessions`. The first half stand (of those that a limit of each subscriber is for: one
// a subscriber) before the others are asked for.
RefusalResult measure_refusals(Rig& rig, const Exhaustion& exhaustion, uint32_t sessions);

struct PortsResult {
    std::vector<double> parts;  // cycles a mapping in each of kPortParts parts of them, in turn
    double last = 0;            // of the last kLastPorts
    uint64_t reached = 0;       // external ports, each counted once
    uint64_t faults = 0;
};
inline constexpr unsigned kPortParts = 16;
inline constexpr uint32_t kLastPorts = 512;
inline constexpr uint32_t kPortsOfAddress = 64512;
// The rig is new; its one subscriber takes all ports of the pool's one address.
PortsResult measure_ports(Rig& rig);

struct RulesPlan {
    RuleKind kind{};
    uint32_t rules = 0;
    unsigned runs = 15;
};
struct RulesResult {  // cycles a first packet, drawn from the rules
    Summary cycles;   // to find the rules that it agrees with, 32 packets together
    Summary alone;    // the same, each by itself
    Summary walked;   // together, and the walk with its path
    Summary fixed_loop;
    double build_seconds = 0;
    double change_seconds = 0;  // until one changed rule is followed
    uint64_t bytes = 0;
    uint64_t tables = 0;  // of the index
    uint64_t list = 0;    // boxes in none of them
    uint64_t faults = 0;  // packets that fare otherwise than the linear matcher says
};
RulesResult measure_rules(const RulesPlan& plan);

struct EstablishedResult {  // cycles a packet of a session that stands, both directions
    Summary without;        // where there are no rules, with the harness's share
    Summary extra;          // what rules add that say the same of all packets of a flow
    Summary residue_extra;  // and where four more ask for header fields that vary
    uint64_t faults = 0;
};
// The rig's sessions stand open. `packets`: of one run.
EstablishedResult measure_established(
    Rig& rig, const MadeRules& made, uint64_t packets, unsigned runs
);

struct PayloadPlan {
    unsigned literals = 1000;
    unsigned regexes = 100;
    uint32_t streams = 1024;
    unsigned runs = 15;
};
struct PayloadResult {
    Summary
        gbps;  // of payload, in order, in segments of 1460 bytes, a second that the thread has a CPU
    Summary cycles;         // a segment, all that is done to it
    Summary stream_cycles;  // the stream table alone
    Summary scan_cycles;    // the scanner alone
    Summary fixed_loop;
    double build_seconds = 0;
    double bytes_per_stream = 0;  // all of it
    uint64_t state_bytes = 0;     // of it what the patterns need
    uint64_t database_bytes = 0;
    uint64_t found = 0;
    uint64_t faults =
        0;  // segments that did not pass, literals that were found wrongly or not at all
};
// Fails     the patterns are refused, or need too much state.
Result<PayloadResult> measure_payload(const PayloadPlan& plan);

}  // namespace sekisho::bench
