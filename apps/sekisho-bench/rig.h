// Rig: the real pipeline between two flowgen links, one worker, in this process.
//
//   Machine   DPDK's environment, the workers' threads and each one's packet buffers; one a process.
//   Rig       devices, network, NAT shard, shard, worker and slow path, as sekishod puts them together; the slow path runs
//             only when resolve() calls it, before anything is timed. Several rigs may stand side by side, on one worker or
//             on several: they share nothing.
//   Files     none is left, whatever ends the process: what is made under a name loses it at once, and signals wait until
//             then (SignalPause).
//   Errors    create() fails with one sentence.
//   Thread    a machine: the main one. A rig: its worker's, also create(), so that its memory lies near; destroyed by any
//             when its worker rests.
#pragma once

#include <csignal>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/toeplitz.h"
#include "config/config.h"
#include "config/flowgen_profile.h"
#include "dataplane/fabric.h"
#include "dataplane/network.h"
#include "dataplane/rules_in_force.h"
#include "dataplane/shard.h"
#include "dataplane/slow_path.h"
#include "dataplane/worker.h"
#include "dpdk/eal.h"
#include "dpdk/mbuf_store.h"
#include "flowgen/flowgen_device.h"
#include "nat/external_directory.h"

namespace sekisho::bench {

// Ctrl-C and SIGTERM wait while one stands. Threads that are made meanwhile never get them.
class SignalPause {
  public:
    SignalPause();
    ~SignalPause() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    SignalPause(const SignalPause&) = delete;
    SignalPause& operator=(const SignalPause&) = delete;

  private:
    sigset_t before_;
};

// The CPUs of `workers` workers: those of `wished` if that many are named, else from the one that is named (or the first) on.
//   Fails     if one of them is not to be had, or there are fewer than workers.
Result<std::vector<unsigned>> choose_cpus(const std::vector<unsigned>& wished, unsigned workers);
// Where this thread runs from now on.
void stay_on(unsigned cpu);

class Machine {
  public:
    // A worker for each of `cpus`, the first of them the main thread; `rigs`: how many will stand at a time on each.
    static Result<std::unique_ptr<Machine>> create(
        const std::vector<unsigned>& cpus, unsigned rigs
    );
    unsigned workers() const { return static_cast<unsigned>(stores_.size()); }
    // body(worker) on each worker's thread at the same time; returns when all have.
    void run_on_workers(const std::function<void(unsigned)>& body);
    dpdk::MbufStore& store(unsigned worker) { return *stores_[worker]; }
    // Writes to every packet buffer, so that none is new to the process later.
    void touch_buffers();
    const std::string& huge_directory() const { return huge_directory_; }  // empty: no huge pages

  private:
    Machine() = default;
    std::unique_ptr<dpdk::Eal> eal_;
    std::vector<std::unique_ptr<dpdk::MbufStore>> stores_;
    std::string huge_directory_;
};

struct RigPlan {
    config::FlowgenProfile profile;  // of both ends; the role is set here
    uint32_t sessions = 0;           // entries of the tables
    uint32_t mappings = 0;
    uint32_t subscribers = 0;
    unsigned worker = 0;  // of the machine
    bool logs =
        false;  // mappings, blocks and limits, as sekishod does by default where it keeps a log
    bool reads_log = true;
    std::function<void(nat::NatSettings&)> change{};  // of the settings below; may be empty
};

class Rig {
  public:
    static Result<std::unique_ptr<Rig>> create(const RigPlan& plan, Machine& machine);
    ~Rig();
    Rig(const Rig&) = delete;
    Rig& operator=(const Rig&) = delete;

    // What sekishod's worker does in a turn of its loop.
    // The log's reader has its turn then, too.
    void turn() {
        worker_->run_once(now());
        read_log();
    }
    // The harness alone: bursts go from one link to the other with their link addresses swapped.
    void io_turn();
    // The same where nothing gets through: what comes from the subscribers is freed.
    void discard_turn();
    // A pass of each given direction with every frame checked; returns the frames sent.
    uint64_t checked_pass(bool outbound, bool inbound);
    void set_checks(flowgen::FlowgenQueue::Checks checks);
    void send(config::FlowgenDirection direction);  // endlessly
    void send_nothing();
    // Whether what comes back has been translated, or only passed on.
    void set_translated(bool translated);

    // Rules in force from now on; empty: none.
    void put_rules(std::shared_ptr<const rules::CompiledRules> compiled);
    // Packets that a rule has counted.
    uint64_t counted(rules::RuleId rule) const { return rules_->totals().at(rule.value).packets; }

    Tick now() const { return clock_.now() + skipped_ms_; }
    void skip(uint32_t ms) { skipped_ms_ += ms; }

    flowgen::FlowgenQueue& subscribers() { return subscribers_->queue(0); }
    flowgen::FlowgenQueue& internet() { return internet_->queue(0); }
    nat::NatShard& nat() { return shard_->nat(); }
    const nat::NatShard& nat() const { return shard_->nat(); }
    const PacketCounters& counters() const { return shard_->counters(); }
    uint64_t sent() const;                       // by both far ends
    uint64_t received() const;                   // by both far ends
    uint64_t faults() const;                     // found so far
    uint64_t dropped() const;                    // by the pipeline, for whatever reason
    uint64_t refused(DropReason reason) const {  // new sessions, whatever their senders are told
        return counters().dropped[static_cast<size_t>(reason)].read();
    }
    uint64_t mappings_logged() const { return mappings_logged_; }
    // What was found, and why packets were dropped: for people.
    std::string describe_faults() const;

  private:
    Rig() : table_(ShardTable::even(1)) {}
    Result<void> make_devices(const RigPlan& plan, Machine& machine);
    Result<void> make_shard(const RigPlan& plan, Machine& machine);
    Result<void> resolve();
    void read_log();

    TickClock clock_;
    uint32_t skipped_ms_ = 0;
    config::Config config_;
    std::unique_ptr<flowgen::Rotation> rotation_;
    std::unique_ptr<flowgen::FlowgenDevice> subscribers_;
    std::unique_ptr<flowgen::FlowgenDevice> internet_;
    std::unique_ptr<dataplane::Network> network_;
    Toeplitz toeplitz_;
    ShardTable table_;
    std::unique_ptr<nat::ExternalDirectory> directory_;
    std::unique_ptr<dataplane::Fabric> fabric_;
    std::unique_ptr<dataplane::SlowPath> slow_path_;
    std::unique_ptr<dataplane::Worker> worker_;
    dpdk::MbufStore* store_ = nullptr;
    std::unique_ptr<dataplane::Shard> shard_;
    std::unique_ptr<dataplane::RulesInForce> rules_;
    nat::EventReader log_;
    uint64_t mappings_logged_ = 0;
};

using Rigs = std::vector<std::unique_ptr<Rig>>;  // by worker

}  // namespace sekisho::bench
