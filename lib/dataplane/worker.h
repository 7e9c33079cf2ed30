// Worker: one thread's loop over its device queues and shards.
//
//   Loop      receive from each of its queues, run the shards, drain the rings, send what was collected.
//   Owner     one thread; heartbeat and the other counters may be read by anyone.
//   Counting  what the devices accept or refuse is counted in the counters of the worker's first shard.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/counters.h"
#include "dataplane/device.h"
#include "dataplane/shard.h"
#include "dataplane/transmitter.h"

namespace sekisho::dataplane {

struct WorkerPlan {
    WorkerId id;
    std::vector<Device*> devices;  // all of them, by device index
    std::vector<std::pair<unsigned, unsigned>>
        queues;  // (device, queue) pairs that this worker owns; may be empty
    // Per device: the queue on which this worker sends, or, if it owns none there, the ring to the worker that sends for it.
    struct SendPath {
        bool own = true;
        unsigned queue = 0;
        base::SpscRing<PacketRef>* ring = nullptr;  // to the owner, when !own
    };
    std::vector<SendPath> send_paths;  // by device index
    struct SendFor {                   // packets of another worker that this one sends
        unsigned device = 0;
        base::SpscRing<PacketRef>* ring = nullptr;
    };
    std::vector<SendFor> sends_for;
    PacketStore* store = nullptr;
};

struct WorkerCounters {
    Counter heartbeat;  // turns of the loop
    Counter busy;       // turns with work
    Counter packets;    // received
    Counter pauses;     // times it slept because nothing came: whoever runs the loop counts them
    Counter tx_handed;  // packets given to another worker to send
};

class Worker final : public Transmitter {
  public:
    explicit Worker(const WorkerPlan& plan);
    ~Worker() override;
    // Two-step because shards name their transmitter. At least one; fresh packets go to the first.
    void carry(std::vector<Shard*> shards);
    // One turn; returns the amount of work done (0: idle).
    unsigned run_once(Tick now);
    // At the end, after the last turn of every worker and on one thread for all: what it has collected is sent, its shards'
    // packets and those in its rings to other workers are freed. May be called again; see shut_down.h for the order.
    void shut_down();

    WorkerId id() const { return plan_.id; }
    const WorkerPlan& plan() const { return plan_; }
    const std::vector<Shard*>& shards() const { return shards_; }
    WorkerCounters& counters() { return counters_; }
    const WorkerCounters& counters() const { return counters_; }

  private:
    struct Receiving {
        DeviceQueue* queue = nullptr;
        bool steers = false;
    };

    void send(unsigned device, std::span<PacketRef> packets) override;
    void send_on_own_queue(unsigned device, std::span<PacketRef> packets);
    unsigned receive_all(Tick now);
    unsigned send_for_others();

    WorkerPlan plan_;
    std::vector<Shard*> shards_;
    std::vector<Receiving> receiving_;
    WorkerCounters counters_;
};

}  // namespace sekisho::dataplane
