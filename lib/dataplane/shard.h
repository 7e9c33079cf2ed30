// Shard: one worker's whole world, and the one way of a burst through it (pipeline.cc is one page).
//
//   rx - parse - steer - find - (judge - make) - track - write - route - tx
//
//   Owner     the worker that carries it; counters may be read by anyone. N shards on one thread behave as N workers.
//   Buffers   every packet given to it ends in exactly one place: transmitted, handed to another shard, held (bounded),
//             punted to the slow path, or freed with a counted reason.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/counters.h"
#include "base/toeplitz.h"
#include "dataplane/device.h"
#include "dataplane/fabric.h"
#include "dataplane/neighbour.h"
#include "dataplane/network.h"
#include "nat/nat_shard.h"
#include "packet/batch.h"

namespace sekisho::dataplane {

// Where routed packets go: collects by device, sends what it has in bursts. One a worker.
class Transmitter {
  public:
    virtual ~Transmitter() = default;
    // Takes the packet; the frame is complete. What the device refuses comes back through the counters of `shard`.
    virtual void transmit(unsigned device, const PacketRef& packet, PacketCounters& counters) = 0;
};

struct ShardPlan {
    ShardId id;
    const Network* network = nullptr;
    const nat::NatSettings* settings = nullptr;
    nat::ExternalDirectory* directory = nullptr;
    const base::ShardTable* table = nullptr;   // subscriber -> shard
    Fabric* fabric = nullptr;
    PacketStore* store = nullptr;
    Transmitter* transmitter = nullptr;
    size_t held_packets = 512;                 // bound of the list of packets that wait for a port block
};

class Shard final : public nat::MessageSink, public nat::WaitListener {
  public:
    Shard(const ShardPlan& plan, std::unique_ptr<nat::NatShard> nat);
    ~Shard() override;

    // A burst fresh from a device's queue (at most kBurst). `steered`: the device has put each on its shard.
    void receive(std::span<PacketRef> burst, bool steered, Tick now);
    // What other threads sent: hand-offs, messages, answers of the slow path, control requests (one slice); then timers.
    // Returns the number of packets and entries dealt with: 0 when idle.
    unsigned poll(Tick now);
    // At the end: frees what is held or queued, counted as kShutdown.
    void shut_down();

    nat::NatShard& nat() { return *nat_; }
    const PacketCounters& counters() const { return counters_; }
    size_t held() const;

    bool send(ShardId to, const nat::ShardMessage& message) override;   // MessageSink
    void wait_is_over(SubscriberIndex subscriber) override;             // WaitListener

  private:
    std::unique_ptr<nat::NatShard> nat_;
    PacketCounters counters_;
    // the dataplane module completes this
};

}  // namespace sekisho::dataplane
