// Rig: the real pipeline between two flowgen links, one worker, in this process and on this thread.
//
//   Machine   DPDK's environment and the packet buffers; one a process.
//   Rig       devices, network, NAT shard, shard, worker and slow path, as sekishod puts them together; the slow path runs
//             only when resolve() calls it, before anything is timed. Several rigs may stand side by side.
//   Errors    create() fails with one sentence. Thread: one.
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "base/toeplitz.h"
#include "config/config.h"
#include "config/flowgen_profile.h"
#include "dataplane/fabric.h"
#include "dataplane/network.h"
#include "dataplane/shard.h"
#include "dataplane/slow_path.h"
#include "dataplane/worker.h"
#include "dpdk/eal.h"
#include "dpdk/mbuf_store.h"
#include "flowgen/flowgen_device.h"
#include "nat/external_directory.h"

namespace sekisho::bench {

class Machine {
  public:
    // `rigs`: how many will stand at a time.
    static Result<std::unique_ptr<Machine>> create(unsigned cpu, unsigned rigs);
    dpdk::MbufStore& store() { return *store_; }
    const std::string& huge_directory() const { return huge_directory_; }  // empty: no huge pages

  private:
    Machine() = default;
    std::unique_ptr<dpdk::Eal> eal_;
    std::unique_ptr<dpdk::MbufStore> store_;
    std::string huge_directory_;
};

struct RigPlan {
    config::FlowgenProfile profile;  // of both ends; the role is set here
    uint32_t sessions = 0;           // entries of the tables
    uint32_t mappings = 0;
    uint32_t subscribers = 0;
};

class Rig {
  public:
    static Result<std::unique_ptr<Rig>> create(const RigPlan& plan, Machine& machine);
    ~Rig();
    Rig(const Rig&) = delete;
    Rig& operator=(const Rig&) = delete;

    // What sekishod's worker does in a turn of its loop.
    void turn() { worker_->run_once(now()); }
    // The harness alone: bursts go from one link to the other with their link addresses swapped.
    void io_turn();
    // A pass of each given direction with every frame checked; returns the frames sent.
    uint64_t checked_pass(bool outbound, bool inbound);
    void set_checks(flowgen::FlowgenQueue::Checks checks);
    void send(config::FlowgenDirection direction);  // endlessly
    void send_nothing();
    // Whether what comes back has been translated, or only passed on.
    void set_translated(bool translated);

    Tick now() const { return clock_.now() + skipped_ms_; }
    void skip(uint32_t ms) { skipped_ms_ += ms; }

    flowgen::FlowgenQueue& subscribers() { return subscribers_->queue(0); }
    flowgen::FlowgenQueue& internet() { return internet_->queue(0); }
    nat::NatShard& nat() { return shard_->nat(); }
    const PacketCounters& counters() const { return shard_->counters(); }
    uint64_t sent() const;      // by both far ends
    uint64_t received() const;  // by both far ends
    uint64_t faults() const;    // found so far
    uint64_t dropped() const;   // by the pipeline, for whatever reason
    // What was found, and why packets were dropped: for people.
    std::string describe_faults() const;

  private:
    Rig() : table_(ShardTable::even(1)) {}
    Result<void> make_devices(const RigPlan& plan, Machine& machine);
    Result<void> make_shard(const RigPlan& plan, Machine& machine);
    Result<void> resolve();

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
    std::unique_ptr<dataplane::Shard> shard_;
};

}  // namespace sekisho::bench
