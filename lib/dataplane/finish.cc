#include "dataplane/shard.h"

namespace sekisho::dataplane {

void Shard::finish(Burst& burst) {
    Batch& batch = burst.batch;
    bool any_hand_off = false;
    for (uint32_t i = 0; i < batch.count; ++i) {
        const PacketMeta& meta = batch.meta[i];
        if (meta.verdict == Verdict::kTransmit) [[likely]] {
            plan_.transmitter->transmit(links_[meta.out_link.value].device, batch.ref[i]);
        } else if (meta.verdict == Verdict::kHandOff) {
            any_hand_off = true;
        } else {
            finish_unusual(burst, i);
        }
    }
    if (any_hand_off) {
        hand_off_all(batch);
    }
    free_ended();
    free_now();
}

void Shard::finish_unusual(Burst& burst, uint32_t i) {
    PacketRef& ref = burst.batch.ref[i];
    const PacketMeta& meta = burst.batch.meta[i];
    switch (meta.verdict) {
        case Verdict::kDrop:
            if (meta.reason == DropReason::kMulticast && pass_multicast(ref, meta)) {
                return;
            }
            counters_.drop(meta.reason);
            free_later(ref);
            return;
        case Verdict::kPuntNeighbour:
            if (is_port_control(ref, meta)) {
                const bool was_held = burst.origin == Origin::kResumed;
                port_control_.requests[port_control_.count++] = {ref, meta.l3_offset, was_held};
                return;
            }
            punt_neighbour(burst, i);
            return;
        case Verdict::kPuntError:
            punt_error(burst, i);
            return;
        case Verdict::kHold:
            hold(burst, i);
            return;
        case Verdict::kHairpin:
            ref.flags = static_cast<uint8_t>(
                (ref.flags | packet::kHairpin | packet::kCounted) & ~packet::kGenerated
            );
            again_[again_count_++] = ref;
            return;
        case Verdict::kKept:
            return;
        case Verdict::kCut:
            cut(burst, i);
            return;
        case Verdict::kPending:
        case Verdict::kMiss:
        case Verdict::kHandOff:
        case Verdict::kTransmit:
            counters_.drop(DropReason::kBug);
            free_later(ref);
            return;
    }
}

namespace {

// Takes the packets for `target` out of the batch; what is left there of them is done with. `places`: where they were.
uint32_t take_for(
    ShardId target,
    Batch& batch,
    uint32_t first,
    std::array<PacketRef, kBurst>& group,
    std::array<uint8_t, kBurst>& places
) {
    uint32_t count = 0;
    for (uint32_t i = first; i < batch.count; ++i) {
        if (batch.meta[i].verdict == Verdict::kHandOff && batch.meta[i].target == target) {
            batch.meta[i].verdict = Verdict::kDrop;
            group[count] = batch.ref[i];
            places[count] = static_cast<uint8_t>(i);
            group[count].flags = static_cast<uint8_t>(group[count].flags | packet::kCounted);
            ++count;
        }
    }
    return count;
}

void give_up_claim(const PacketRef& ref, const PacketMeta& meta, const StageTables& tables) {
    if ((ref.flags & packet::kLedInside) != 0) {
        tables.forwarded->release_flow(meta.key, meta.target);
    }
}

}  // namespace

// In bulk: all packets for one shard in one push, in order. What was claimed for one that does not get there is nobody's again.
void Shard::hand_off_all(Batch& batch) {
    std::array<PacketRef, kBurst> group;
    std::array<uint8_t, kBurst> places;
    for (uint32_t first = 0; first < batch.count; ++first) {
        if (batch.meta[first].verdict != Verdict::kHandOff) {
            continue;
        }
        const ShardId target = batch.meta[first].target;
        const uint32_t count = take_for(target, batch, first, group, places);
        const size_t taken =
            plan_.fabric->hand_off(tables_.self, target).push(std::span(group).first(count));
        counters_.handed_off.add(taken);
        for (size_t i = taken; i < count; ++i) {
            counters_.drop(DropReason::kHandOffRingFull);
            give_up_claim(group[i], batch.meta[places[i]], tables_);
            free_later(group[i]);
        }
    }
}

void Shard::hold(Burst& burst, uint32_t i) {
    PacketRef& ref = burst.batch.ref[i];
    ref.flags = static_cast<uint8_t>(ref.flags | packet::kCounted);
    if (!held_.hold(burst.waiting[i], ref)) {
        counters_.drop(DropReason::kHeldOverflow);
        free_later(ref);
    }
}

// ARP, packets for the appliance itself, and translated packets whose next hop has no address yet.
void Shard::punt_neighbour(Burst& burst, uint32_t i) {
    PacketRef& ref = burst.batch.ref[i];
    const PacketMeta& meta = burst.batch.meta[i];
    ref.flags = static_cast<uint8_t>(ref.flags | packet::kCounted);
    Punt punt;
    const bool is_arp = meta.kind == PacketKind::kArp;
    PuntClass punt_class = is_arp ? PuntClass::kArp : PuntClass::kOwn;
    punt.kind = is_arp ? Punt::kArp : Punt::kToAppliance;
    punt.link = ref.in_link;
    punt.l3_offset = meta.l3_offset;
    if ((ref.flags & packet::kRouteOnly) != 0) {
        const Hop& hop = burst.hop[i];
        punt_class = PuntClass::kNeighbour;
        punt.kind = Punt::kUnresolved;
        punt.link = hop.link;
        punt.gateway = hop.on_link ? 0 : 1;
        punt.address = hop.next_hop;
    }
    punt.packet = ref;
    if (plan_.fabric->punt(tables_.self, punt_class).push(punt)) {
        counters_.punted.add(1);
        return;
    }
    counters_.drop(DropReason::kSlowPathRingFull);
    free_later(ref);
}

// The packet ends here, counted; its buffer goes on, to carry the error. If the slow path is busy no error is sent.
void Shard::punt_error(Burst& burst, uint32_t i) {
    const PacketRef& ref = burst.batch.ref[i];
    const PacketMeta& meta = burst.batch.meta[i];
    counters_.drop(meta.reason);
    Punt punt;
    punt.packet = ref;
    punt.kind = Punt::kIcmpError;
    punt.link = ref.in_link;
    punt.reason = static_cast<uint8_t>(meta.reason);
    punt.detail = meta.error_detail;
    punt.l3_offset = meta.l3_offset;
    if (plan_.fabric->punt(tables_.self, PuntClass::kError).push(punt)) {
        counters_.punted.add(1);
        return;
    }
    free_later(ref);
}

void Shard::free_ended() {
    while (fragments_.has_ended()) {
        const FragmentTable::Ended ended = fragments_.take_ended();
        counters_.drop(ended.reason);
        free_later(ended.packet);
    }
    while (scanned_ != nullptr && scanned_->has_ended()) {
        const auto ended = scanned_->take_ended();
        counters_.drop(ended.reason);
        free_later(ended.packet);
    }
}

void Shard::free_later(const PacketRef& packet) {
    if (freed_count_ == kBurst) {
        free_now();
    }
    freed_[freed_count_++] = packet;
}

void Shard::free_now() {
    if (freed_count_ > 0) {
        plan_.store->free(std::span<const PacketRef>(freed_).first(freed_count_));
        freed_count_ = 0;
    }
}

}  // namespace sekisho::dataplane
