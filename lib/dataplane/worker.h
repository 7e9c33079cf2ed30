// Worker: one thread's loop over its device queues and shards.
//
//   Loop      receive from each of its queues, run the shards, drain the rings, send what was collected.
//   Owner     one thread; heartbeat and the other counters may be read by anyone.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/counters.h"
#include "dataplane/device.h"
#include "dataplane/shard.h"

namespace sekisho::dataplane {

struct WorkerPlan {
    WorkerId id;
    std::vector<Device*> devices;                          // all of them, by device index
    std::vector<std::pair<unsigned, unsigned>> queues;     // (device, queue) pairs that this worker owns; may be empty
    std::vector<Shard*> shards;                            // that it carries, at least one
    // Per device: the queue on which this worker sends, or, if it owns none there, the worker that sends for it.
    struct SendPath {
        bool own = true;
        unsigned queue = 0;
        base::SpscRing<PacketRef>* ring = nullptr;         // to the owner, when !own
    };
    std::vector<SendPath> send_paths;                      // by device index
    struct SendFor {                                       // packets of others that this worker sends
        unsigned device = 0;
        base::SpscRing<PacketRef>* ring = nullptr;
        PacketCounters* counters = nullptr;                // of this worker's first shard: sent or refused is counted there
    };
    std::vector<SendFor> sends_for;
    PacketStore* store = nullptr;
};

struct WorkerCounters {
    Counter heartbeat;      // turns of the loop
    Counter busy;           // turns with work
    Counter packets;        // received
    Counter pauses;         // times it slept because nothing came
    Counter tx_handed;      // packets given to another worker to send
};

class Worker final : public Transmitter {
  public:
    explicit Worker(const WorkerPlan& plan);
    ~Worker() override;
    // Two-step because shards name their transmitter.
    void carry(std::vector<Shard*> shards);
    // One turn; returns the amount of work done (0: idle).
    unsigned run_once(Tick now);
    void transmit(unsigned device, const PacketRef& packet, PacketCounters& counters) override;
    WorkerCounters& counters() { return counters_; }

  private:
    WorkerCounters counters_;
    // the dataplane module completes this
};

}  // namespace sekisho::dataplane
