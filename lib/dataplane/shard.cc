#include "dataplane/shard.h"

#include <algorithm>

namespace sekisho::dataplane {
namespace {

uint16_t smallest_mtu(const Network& network) {
    uint16_t smallest = 0xffff;
    for (const Link& link : network.links()) {
        smallest = std::min(smallest, link.mtu);
    }
    return smallest;
}

}  // namespace

Shard::Shard(const ShardPlan& plan, std::unique_ptr<nat::NatShard> nat)
    : plan_(plan),
      nat_(std::move(nat)),
      hops_(*plan.network, nat_->secret()),
      held_(plan.held_packets),
      fragments_(plan.fragments, nat_->secret()),
      fragment_ids_(nat_->secret(), plan.id, plan.fabric->shards()),
      unsolicited_syns_(nat_->secret()),
      port_control_(nat_->secret()),
      exemptions_(*plan.settings),
      links_(plan.network->link_views()) {
    tables_.self = plan.id;
    tables_.shards = plan.fabric->shards();
    tables_.network = plan.network;
    tables_.directory = plan.directory;
    tables_.toeplitz = plan.toeplitz;
    tables_.table = plan.table;
    tables_.nat = nat_.get();
    tables_.hops = &hops_;
    tables_.fragments = &fragments_;
    tables_.fragment_ids = &fragment_ids_;
    tables_.unsolicited_syns = &unsolicited_syns_;
    tables_.exemptions = &exemptions_;
    tables_.forwarded = plan.directory->forwarded();
    tables_.links = links_;
    tables_.smallest_mtu = smallest_mtu(*plan.network);
    nat_->connect(this, this);
}

Shard::~Shard() = default;

size_t Shard::held() const {
    return held_.size() + fragments_.held() + (scanned_ != nullptr ? scanned_->held() : 0);
}

bool Shard::send(ShardId to, const nat::ShardMessage& message) {
    return plan_.fabric->message(tables_.self, to).push(message);
}

// May come in the middle of a burst, so the packets are only marked; poll() runs them.
void Shard::wait_is_over(SubscriberIndex subscriber) {
    held_.release(subscriber);
}

// The bursts that follow are opened while the first still waits for memory.
void Shard::receive(std::span<const Fresh> bursts, Tick now) {
    for (size_t k = 0; k < bursts.size(); ++k) {
        Burst& burst = fresh_[k];
        counters_.received.add(bursts[k].packets.size());
        load(burst, bursts[k].packets);
        burst.origin = Origin::kFresh;
        burst.steered = bursts[k].steered;
        open(burst);
    }
    for (size_t k = 0; k < bursts.size(); ++k) {
        probe(fresh_[k], tables_);
    }
    for (size_t k = 0; k < bursts.size(); ++k) {
        run(fresh_[k], now);
        run_again(now);
        resume_held(now);
        resume_kept(now);
    }
}

void Shard::load(Burst& burst, std::span<const PacketRef> packets) {
    burst.batch.count = static_cast<uint32_t>(packets.size());
    std::copy(packets.begin(), packets.end(), burst.batch.ref.begin());
}

void Shard::run_loaded(Origin origin, Tick now) {
    other_.origin = origin;
    open(other_);
    probe(other_, tables_);
    run(other_, now);
    run_again(now);
}

// The second halves of the hairpins that a pass has turned round; an inbound half never turns again.
void Shard::run_again(Tick now) {
    if (again_count_ > 0) {
        load(other_, std::span(again_).first(again_count_));
        again_count_ = 0;
        other_.origin = Origin::kResumed;
        open(other_);
        probe(other_, tables_);
        run(other_, now);
    }
}

// Whatever is still on its way to this shard ends here; what other shards still send is theirs to end. Nothing is
// transmitted, since nobody would flush it.
void Shard::shut_down() {
    PacketRef packet;
    held_.release_all();
    while (held_.take_ready({&packet, 1}) == 1) {
        end(packet);
    }
    fragments_.end_all(DropReason::kShutdown);
    if (scanned_ != nullptr) {
        scanned_->end_all(DropReason::kShutdown);
    }
    free_ended();
    for (unsigned from = 0; from < tables_.shards; ++from) {
        auto& ring = plan_.fabric->hand_off(ShardId{static_cast<uint8_t>(from)}, tables_.self);
        while (ring.pop(packet)) {
            end(packet);
        }
    }
    Back back;
    while (plan_.fabric->back(tables_.self).pop(back)) {
        end_back(back);
    }
    free_now();
}

void Shard::end(const PacketRef& packet) {
    counters_.drop(DropReason::kShutdown);
    free_later(packet);
}

void Shard::end_back(const Back& back) {
    count_back(back);
    switch (back.kind) {
        case Back::kNeighbour:
        case Back::kArpRequest:
            return;
        case Back::kSend:
        case Back::kAnswer:
        case Back::kGeneratedSend:
            return end(back.packet);
        case Back::kConsumed:
        case Back::kDropped:
        case Back::kFree:
            return free_later(back.packet);
    }
}

}  // namespace sekisho::dataplane
