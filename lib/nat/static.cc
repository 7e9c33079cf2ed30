// Static mappings in use: the records behind their sessions, and what passes without one.
//
//   Records   a Mapping whose `block` is kStaticBlock and the number of the entry: no port block, no
//             quarantine, no log (the configuration tells it at any time), none of the subscriber's
//             ports. It is endpoint-independent, and filtered by its access list alone.
//   Inbound   TCP opens a session, within the bounds of any other inbound opening; UDP and ICMP pass
//             without state until the subscriber answers, so that outsiders fill nothing.
//   ICMP      of a whole address keeps its identifiers. A query from outside and its reply have no
//             session: they are translated one by one.
#include "base/mutation.h"
#include "nat/nat_shard.h"
#include "packet/views.h"

namespace sekisho::nat {
namespace {

AdmitResult refused(DropReason reason) {
    return {AdmitResult::kRefused, reason, {kNoIndex}, {kNoIndex}};
}

// An ICMP query's identifier stands on the side that asks.
Port identifier_of(const FlowKey& key) {
    return Port{static_cast<uint16_t>(key.source_port().raw | key.destination_port().raw)};
}

}  // namespace

const StaticEntry* NatShard::find_static(const FlowKey& key, Direction direction) const {
    const StaticTable& statics = directory_->statics();
    const bool has_triggers = directory_->triggers().are_any();
    if (statics.empty() && !has_triggers) [[likely]] {
        return nullptr;
    }
    const RemoteEndpoint source{key.source(), key.source_port()};
    const RemoteEndpoint destination{key.destination(), key.destination_port()};
    if (direction == Direction::kInbound) {
        const StaticEntry* const entry = statics.find_external(destination, key.protocol(), source);
        return entry == nullptr && has_triggers ? find_trigger(key, direction) : entry;
    }
    const StaticEntry* const entry =
        statics.find_internal(key.source(), key.realm(), key.source_port(), key.protocol());
    // A member answers those whom the service sends to it; what else it sends is its own.
    const bool is_of_others =
        entry != nullptr && entry->is_member() &&
        !statics.chooses(*entry, entry->external_of(source.port), destination);
    if (entry == nullptr && has_triggers) {
        return find_trigger(key, direction);
    }
    return is_of_others ? nullptr : entry;
}

// The record of an internal endpoint that is in use; the subscriber is there.
NatShard::Outcome NatShard::make_static(
    const StaticEntry& entry, Port internal_port, uint32_t subscriber
) {
    if (!mappings_.has_room() || !mapping_index_.has_room(LateInserts::kMost)) {
        return Outcome::refused(DropReason::kMappingTableFull);
    }
    const FlowKey key =
        FlowKey::of(entry.internal, {}, internal_port, {}, entry.protocol, entry.realm);
    const Outcome port = Outcome::of_port(block_of(entry), entry.external_of(internal_port).host());
    const uint32_t mapping = make_mapping(key, subscriber, entry.external, port);
    ++subscribers_[subscriber].mappings;
    const uint64_t internal = hash_of(mapping_key(mapping, kInternalSide));
    late_.insert_now(mapping_index_, internal, mapping << 1 | kInternalSide);
    const uint64_t external = hash_of(mapping_key(mapping, kExternalSide));
    late_.add(mapping_index_, external, mapping << 1 | kExternalSide);
    return Outcome::made(mapping);
}

AdmitResult NatShard::admit_to_static(
    const FlowKey& key, PacketKind kind, uint8_t tcp_flags, Tick now
) {
    const StaticEntry* entry = find_static(key, Direction::kInbound);
    if (entry == nullptr || entry->shard != shard_) {
        return refused(no_mapping_reason(key));
    }
    const FlowKey answer =
        FlowKey::of(entry->internal, key.source(), {}, {}, key.protocol(), entry->realm);
    if (is_address_only(key.protocol()) && !passes_protocol(answer)) {
        return refused(DropReason::kUnknownProtocol);
    }
    const bool is_forgotten =
        is_mutated(Mutation::kRfc7857S12) && key.protocol() == Protocol::kIcmp;
    if (!admits_remote(*entry, key.source()) || is_forgotten) {
        return refused(DropReason::kFiltered);
    }
    if (kind != PacketKind::kTcp) {
        return {AdmitResult::kStaticOnly, {}, {kNoIndex}, {kNoIndex}};
    }
    const bool opens =
        (tcp_flags & (packet::kSyn | packet::kAck | packet::kRst | packet::kFin)) == packet::kSyn;
    if (opens) {
        return open_static(*entry, key, now);
    }
    const Inside receiver{
        entry->realm, entry->internal, entry->internal_of(key.destination_port())};
    log_stray(key, Direction::kInbound, receiver, tcp_flags, now);
    return refused(DropReason::kNoSession);
}

// A quarter of the mapping table is kept for outbound ones, as of the session table.
AdmitResult NatShard::open_static(const StaticEntry& entry, const FlowKey& key, Tick now) {
    if (entry.is_member()) {
        const uint32_t found = find_member(entry, entry.internal_of(key.destination_port()));
        if (found != kNoIndex) {
            return admit_opening(key, found, now);
        }
    }
    if (mappings_.size() >= share_for_inbound(mappings_.limit())) {
        return refused(DropReason::kMappingTableFull);
    }
    const FlowKey of_whom = subscriber_key(entry.internal, entry.realm);
    const Outcome subscriber = find_or_make_subscriber(hash_of(of_whom), of_whom, now);
    if (!subscriber.is_made()) {
        return refused(subscriber.reason());
    }
    const Outcome mapping =
        make_static(entry, entry.internal_of(key.destination_port()), subscriber.index());
    if (!mapping.is_made()) {
        release_subscriber_if_idle(subscriber.index());
        return refused(mapping.reason());
    }
    settle();
    const AdmitResult result = admit_opening(key, mapping.index(), now);
    if (result.kind == AdmitResult::kRefused) {
        release_mapping(mapping.index(), false, EndCause::kUndone, now);
    }
    return result;
}

bool NatShard::is_admitted_by_access(const Mapping& m, Ipv4Addr remote) const {
    const StaticTable& statics = directory_->statics();
    return statics.admits(statics.entries()[m.block & ~kStaticBlock], remote);
}

std::optional<Session> NatShard::scratch_static(
    const FlowKey& key, Direction direction, PacketKind kind
) const {
    const StaticEntry* const found = find_static(key, direction);
    if (found == nullptr) {
        return std::nullopt;
    }
    const StaticEntry& entry = *found;
    const bool outbound = direction == Direction::kOutbound;
    const Port own = outbound ? key.source_port() : key.destination_port();
    const bool has_identifier =
        entry.protocol == Protocol::kIcmp && kind != PacketKind::kLaterFragment;
    Mapping m{};
    m.internal_address = entry.internal.raw;
    m.external_address = entry.external.raw;
    m.internal_port = (has_identifier ? identifier_of(key)
                       : outbound     ? own
                                      : entry.internal_of(own))
                          .raw;
    m.external_port = entry.external_of(Port{m.internal_port}).raw;
    m.protocol = static_cast<uint8_t>(entry.protocol);
    m.realm = entry.realm.value;
    return outbound ? scratch_of(m, kNoIndex, key.destination(), key.destination_port())
                    : scratch_of(m, kNoIndex, key.source(), key.source_port());
}

}  // namespace sekisho::nat
