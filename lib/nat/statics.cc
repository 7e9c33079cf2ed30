// Static mappings that change while the shard runs: what becomes of the sessions that stand, on their ports and on former ones.
//
//   Former    the sessions of an entry that was taken away go on, as those of a dynamic mapping do: what its internal endpoint begins
//             meanwhile uses it too (RFC 4787 REQ-1), and nobody new comes in. With the last of them it is over.
//   Displaced what had the external port that is a static mapping's now ends within moments (Sweeps). Sessions of an entry, former
//             or not, whose packets the directory leads to another shard by now, or may lead there as soon as somebody holds a
//             forward, are claimed (remote_claims.h), where there is room for that; where there is none they end.
#include "nat/nat_shard.h"

namespace sekisho::nat {

void NatShard::follow_statics(Tick now) {
    return_unclaimed(now);
    static_sessions_.resize(directory_->statics().entries().size());
    build_triggers();
    singles_.follow_statics(*directory_);
    if (redirects_) {
        redirects_.emplace(*settings_, directory_->statics(), secret_);
    }
    for (uint32_t block = 0; directory_->are_any_shared() && block < blocks_.high_water();
         ++block) {
        const PortBlock& b = blocks_[block];
        if (b.state != 0 && directory_->is_fixed_block({b.external}, b.number)) {
            withhold_fixed_of(block);
        }
    }
}

// Of a block that is shared, those that were fixed now.
void NatShard::withhold_fixed_of(uint32_t block) {
    const PortBlock& b = blocks_[block];
    const uint8_t shift = (*directory_)[{b.external}].block_shift;
    const uint32_t begin = uint32_t{b.number} << shift;
    const uint32_t end = begin + (1U << shift) - 1;
    for (const auto& [external, entry] : directory_->static_change().added) {
        const auto [first, last] = entry.external_ports();
        const bool is_there = external.value == b.external && !is_address_only(entry.protocol);
        for (uint32_t port = std::max<uint32_t>(first, begin);
             is_there && port <= std::min<uint32_t>(last, end);
             ++port) {
            blocks_.withhold(block, protocol_slot(entry.protocol), port - begin);
        }
    }
}

// A port that somebody had when a static mapping came to have it.
void NatShard::withhold_fixed(const Mapping& m) {
    const PortBlock& b = blocks_[m.block];
    const auto protocol = static_cast<Protocol>(m.protocol);
    const Port port{m.external_port};
    if (directory_->is_fixed_block({b.external}, b.number) &&
        directory_->is_fixed({m.external_address}, port, protocol)) {
        const uint32_t mask = (1U << (*directory_)[{b.external}].block_shift) - 1;
        blocks_.withhold(m.block, protocol_slot(protocol), port.host() & mask);
    }
}

bool NatShard::is_fixed_single(const SingleGrant& port) const {
    constexpr Protocol kOfSlot[] = {Protocol::kTcp, Protocol::kUdp, Protocol::kIcmp};
    const StaticTable& statics = directory_->statics();
    return statics.has_followed() &&
           directory_->is_fixed(
               (*directory_)[port.external].address, Port::from_host(port.port), kOfSlot[port.slot]
           );
}

// Whether it is of an entry in force.
bool NatShard::is_in_force(const Mapping& m) const {
    if (has_trigger_entry(m)) {
        return directory_->triggers().state(m.block & ~kTriggerBlock) == EntryState::kInForce;
    }
    return has_static_entry(m) &&
           directory_->statics().entries()[m.block & ~kStaticBlock].is_in_force();
}

// Whether packets of a session with this remote endpoint are led to somebody else by now.
bool NatShard::is_displaced(const Mapping& m, const RemoteEndpoint& remote) const {
    if (m.block == kKeepsSource) {
        return false;
    }
    const auto protocol = static_cast<Protocol>(m.protocol);
    const RemoteEndpoint external{{m.external_address}, {m.external_port}};
    const FlowKey inbound = FlowKey::of(
        remote.address, external.address, remote.port, external.port, protocol, kExternalRealm
    );
    const bool is_forward = directory_->triggers().find_forwarded(inbound).has_value();
    if (!has_static_entry(m)) {
        return is_forward ||
               directory_->statics().find_external(external, protocol, remote) != nullptr;
    }
    if (directory_->shards() == 1 || (has_trigger_entry(m) && is_in_force(m))) {
        return false;  // the session is found, or it is its forward's holder who has changed
    }
    const ExternalIndex index = directory_->find(external.address);
    const bool is_elsewhere =
        index.value != kNoIndex && directory_->owner_of(index, inbound) != shard_;
    return is_elsewhere || (is_forward && !is_in_force(m));  // whoever comes to hold that
}

uint32_t NatShard::find_static_mapping(const StaticEntry& entry, const FlowKey& key, unsigned side)
    const {
    const uint32_t block = block_of(entry);
    const uint32_t value = mapping_index_.find(hash_of(key), [&](uint32_t v) {
        return (v & 1) == side && mappings_[v >> 1].block == block &&
               mapping_key(v >> 1, side) == key;
    });
    return value == kNoIndex ? kNoIndex : value >> 1;
}

// Of a packet from outside whose destination `found` has: that mapping, unless its port is another entry's by now.
uint32_t NatShard::mapping_in_force(const FlowKey& inbound, uint32_t found) const {
    const StaticEntry* const entry = find_static(inbound, Direction::kInbound);
    if (entry == nullptr || mappings_[found].block == block_of(*entry)) {
        return found;
    }
    return entry->is_member()
               ? kNoIndex
               : find_static_mapping(*entry, mapping_key(found, kExternalSide), kExternalSide);
}

uint32_t NatShard::sessions_of_static(uint32_t block) const {
    return static_cast<uint32_t>(sessions_of(block).read());
}

void NatShard::give_originals(std::vector<OriginalDestination> originals) {
    late_originals_ = std::move(originals);
    originals_ = late_originals_;
}

}  // namespace sekisho::nat
