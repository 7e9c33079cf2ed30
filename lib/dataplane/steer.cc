#include "dataplane/stages.h"

namespace sekisho::dataplane {
namespace {

// An ICMP error's source may be any router inside, so the device's spreading says nothing about it; nor is it known how a
// device spreads protocols without ports.
ShardId shard_of_outbound(const Burst& burst, const PacketMeta& meta, const StageTables& tables) {
    const bool believed = burst.steered && packet::is_usual(meta.kind);
    if (burst.origin != Origin::kFresh || believed) {
        return tables.self;
    }
    return tables.shard_of(meta.key.source());
}

// Its flow was led here by rules, wherever its external endpoint has its home.
bool belongs_to_led(const PacketMeta& meta, const StageTables& tables) {
    return tables.forwarded != nullptr && tables.forwarded->size() != 0 &&
           tables.forwarded->find_flow(meta.key) == tables.self;
}

// What another shard has found out of it goes with the burst from here on.
void take_mark(Burst& burst, uint32_t i, const StageTables& tables) {
    PacketRef& ref = burst.batch.ref[i];
    nat::Forward& to = burst.led_to[i];
    to.to = {Ipv4Addr{ref.fragment_ports}, Port{ref.next_hop.value}};
    to.realm = realm_inside(to.to.address, tables);
    ref.flags = static_cast<uint8_t>(ref.flags & ~packet::kLedInside);
    ref.fragment_ports = 0;
    ref.next_hop = {};
    burst.was_led |= uint32_t{1} << i;
}

// The owner byte is a hint that may change while the packet is on its way. A home shard passes on; any other shard that was
// handed the packet keeps it, so that no packet runs after a block for ever.
ShardId shard_of_inbound(const Burst& burst, const PacketMeta& meta, const StageTables& tables) {
    const Ipv4Addr destination = meta.key.destination();
    const ExternalIndex index = tables.directory->find(destination);
    if (index.value != kNoIndex) {
        const bool arrived =
            burst.origin == Origin::kHandedOff &&
            ((*tables.directory)[index].home != tables.self || belongs_to_led(meta, tables));
        return arrived ? tables.self : tables.directory->owner_of(index, meta.key);
    }
    if (burst.origin != Origin::kFresh || tables.network->is_own(kExternalRealm, destination)) {
        return tables.self;
    }
    return tables.shard_of(destination);
}

}  // namespace

void hand_off(PacketRef& ref, PacketMeta& meta, ShardId target) {
    if (ref.hops >= packet::kMaxHops) {
        meta.verdict = Verdict::kDrop;
        meta.reason = DropReason::kTooManyHops;
        return;
    }
    ++ref.hops;
    meta.verdict = Verdict::kHandOff;
    meta.target = target;
}

void steer(Burst& burst, const StageTables& tables) {
    Batch& batch = burst.batch;
    const bool may_be_led = burst.origin != Origin::kFresh && tables.forwarded != nullptr;
    for (uint32_t i = 0; i < batch.count; ++i) {
        PacketMeta& meta = batch.meta[i];
        if (meta.verdict != Verdict::kPending) {
            continue;
        }
        if (may_be_led && (batch.ref[i].flags & packet::kLedInside) != 0) [[unlikely]] {
            take_mark(burst, i, tables);
            continue;
        }
        const ShardId target = meta.direction == Direction::kOutbound
                                   ? shard_of_outbound(burst, meta, tables)
                                   : shard_of_inbound(burst, meta, tables);
        if (target != tables.self) {
            hand_off(batch.ref[i], meta, target);
        }
    }
}

}  // namespace sekisho::dataplane
