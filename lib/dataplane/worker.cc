#include "dataplane/worker.h"

#include <array>

namespace sekisho::dataplane {
Worker::Worker(const WorkerPlan& plan) : Transmitter(plan.devices.size()), plan_(plan) {
    for (const auto& [device, queue] : plan_.queues) {
        receiving_.push_back(
            {&plan_.devices[device]->queue(queue), plan_.devices[device]->steers_by_source()}
        );
    }
}

Worker::~Worker() = default;

void Worker::carry(std::vector<Shard*> shards) {
    shards_ = std::move(shards);
}

unsigned Worker::run_once(Tick now) {
    unsigned work = receive_all(now);
    for (Shard* shard : shards_) {
        work += shard->poll(now);
    }
    flush();
    work += send_for_others();
    counters_.heartbeat.add(1);
    counters_.busy.add(work > 0 ? 1 : 0);
    return work;
}

// A device that spreads by source has a queue for each worker, not for each shard: it is believed only where that is one.
unsigned Worker::receive_all(Tick now) {
    std::array<std::array<PacketRef, packet::kBurst>, Shard::kTogether> packets;
    std::array<Shard::Fresh, Shard::kTogether> bursts;
    size_t filled = 0;
    unsigned received = 0;
    const auto take = [&](const Receiving& from) {
        const unsigned count = from.queue->receive(packets[filled]);
        if (count > 0) {
            bursts[filled].packets = std::span(packets[filled]).first(count);
            bursts[filled].steered = from.steers && shards_.size() == 1;
            ++filled;
            received += count;
        }
        if (filled == bursts.size()) {
            shards_.front()->receive(bursts, now);
            filled = 0;
        }
        return count;
    };
    const Receiving* full = nullptr;
    for (const Receiving& from : receiving_) {
        if (take(from) == packet::kBurst) {
            full = &from;
        }
    }
    // A burst that is alone is given company: while one waits for memory, the other is worked on.
    if (filled == 1 && full != nullptr) {
        take(*full);
    }
    if (filled > 0) {
        shards_.front()->receive(std::span(bursts).first(filled), now);
    }
    counters_.packets.add(received);
    return received;
}

unsigned Worker::send_for_others() {
    std::array<PacketRef, packet::kBurst> burst;
    unsigned sent = 0;
    for (const WorkerPlan::SendFor& from : plan_.sends_for) {
        const size_t count = from.ring->pop(burst);
        if (count > 0) {
            send_on_own_queue(from.device, std::span(burst).first(count));
            sent += static_cast<unsigned>(count);
        }
    }
    return sent;
}

void Worker::send(unsigned device, std::span<PacketRef> packets) {
    const WorkerPlan::SendPath& path = plan_.send_paths[device];
    if (path.own) {
        send_on_own_queue(device, packets);
        return;
    }
    const size_t taken = path.ring->push(std::span<const PacketRef>(packets));
    counters_.tx_handed.add(taken);
    const auto refused = packets.subspan(taken);
    if (!refused.empty()) {
        shards_.front()->counters().drop(DropReason::kTxRefused, refused.size());
        plan_.store->free(refused);
    }
}

void Worker::send_on_own_queue(unsigned device, std::span<PacketRef> packets) {
    const unsigned sent =
        plan_.devices[device]->queue(plan_.send_paths[device].queue).send(packets);
    PacketCounters& counters = shards_.front()->counters();
    counters.forwarded.add(sent);
    const auto refused = packets.subspan(sent);
    if (!refused.empty()) {
        counters.drop(DropReason::kTxRefused, refused.size());
        plan_.store->free(refused);
    }
}

// The rings to other workers are emptied by who fills them: after its flush nothing comes into them any more, whoever is
// shut down first.
void Worker::shut_down() {
    flush();
    for (Shard* shard : shards_) {
        shard->shut_down();
    }
    PacketRef packet;
    for (const WorkerPlan::SendPath& path : plan_.send_paths) {
        while (!path.own && path.ring->pop(packet)) {
            shards_.front()->counters().drop(DropReason::kShutdown);
            plan_.store->free({&packet, 1});
        }
    }
}

}  // namespace sekisho::dataplane
