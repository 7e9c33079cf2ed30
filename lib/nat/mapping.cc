// Mappings: an internal endpoint and its external one, endpoint-independent (RFC 4787 REQ-1).
#include <atomic>
#include <cassert>

#include "nat/nat_shard.h"

namespace sekisho::nat {
namespace {

constexpr unsigned kInternal = NatShard::kInternalSide;
constexpr unsigned kExternal = NatShard::kExternalSide;
constexpr uint16_t kMappingLive = 1;

FlowKey internal_key(RealmId realm, Ipv4Addr address, Port port, Protocol protocol) {
    return FlowKey::of(address, {}, port, {}, protocol, realm);
}
FlowKey external_key(Ipv4Addr address, Port port, Protocol protocol) {
    return FlowKey::of({}, address, {}, port, protocol, kExternalRealm);
}
FlowKey key_of(const Mapping& m, unsigned side) {
    const auto protocol = static_cast<Protocol>(m.protocol);
    return side == kInternal
               ? internal_key({m.realm}, {m.internal_address}, {m.internal_port}, protocol)
               : external_key({m.external_address}, {m.external_port}, protocol);
}

}  // namespace

uint32_t NatShard::find_mapping(uint64_t hash, const FlowKey& key, unsigned side) const {
    const uint32_t value = mapping_index_.find(hash, [&](uint32_t v) {
        return (v & 1) == side && key_of(mappings_[v >> 1], side) == key;
    });
    return value == kNoIndex ? kNoIndex : value >> 1;
}

MappingIndex NatShard::find_mapping_by_external(Ipv4Addr address, Port port, Protocol protocol)
    const {
    const FlowKey key = external_key(address, port, protocol);
    return {find_mapping(hash_of(key), key, kExternal)};
}

MappingIndex NatShard::find_mapping_by_internal(
    RealmId realm, Ipv4Addr address, Port port, Protocol protocol
) const {
    const FlowKey key = internal_key(realm, address, port, protocol);
    return {find_mapping(hash_of(key), key, kInternal)};
}

FlowKey NatShard::mapping_key(const FlowKey& key) {
    return internal_key(key.realm(), key.source(), key.source_port(), key.protocol());
}

NatShard::Newcomer NatShard::foresee(const FlowKey& key) const {
    Newcomer newcomer;
    newcomer.mapping_hash = hash_of(mapping_key(key));
    newcomer.subscriber_hash = hash_of(subscriber_key(key.source(), key.realm()));
    mapping_index_.prefetch_first(newcomer.mapping_hash);
    subscriber_index_.prefetch_first(newcomer.subscriber_hash);
    return newcomer;
}

void NatShard::foresee_subscriber(Newcomer& newcomer) const {
    newcomer.subscriber =
        subscriber_index_.find(newcomer.subscriber_hash, [](uint32_t) { return true; });
    if (newcomer.subscriber != kNoIndex) {
        subscribers_.prefetch(newcomer.subscriber);
    }
}

void NatShard::foresee_port(const Newcomer& newcomer, Protocol protocol) const {
    if (newcomer.subscriber != kNoIndex) {
        blocks_.prefetch(subscribers_[newcomer.subscriber].first_block, protocol_slot(protocol));
    }
}

void NatShard::foresee_inbound(const FlowKey& key) const {
    mapping_index_.prefetch_first(
        hash_of(external_key(key.destination(), key.destination_port(), key.protocol()))
    );
}

// The subscriber is there and within its session limits; only the mapping is missing.
NatShard::Outcome NatShard::allocate_mapping(
    const FlowKey& key, const Newcomer& newcomer, uint32_t subscriber, Tick now
) {
    if (!mappings_.has_room() || !mapping_index_.has_room(LateInserts::kMost)) {
        return Outcome::refused(DropReason::kMappingTableFull);
    }
    const Outcome port = allocate_port(subscriber, key.protocol(), now);
    if (port.kind != MakeResult::kMade) {
        return port;
    }
    const uint32_t mapping = make_mapping(key, subscriber, port);
    ++subscribers_[subscriber].ports;
    ++pools_[pool_of(subscribers_[subscriber]).value].in_use;
    late_.insert_now(mapping_index_, newcomer.mapping_hash, mapping << 1 | kInternal);
    const uint64_t external = hash_of(key_of(mappings_[mapping], kExternal));
    late_.add(mapping_index_, external, mapping << 1 | kExternal);
    return Outcome::made(mapping);
}

uint32_t NatShard::make_mapping(const FlowKey& key, uint32_t subscriber, const Outcome& port) {
    const uint32_t mapping = mappings_.allocate();
    const Subscriber& s = subscribers_[subscriber];
    Mapping& m = mappings_[mapping];
    m = Mapping{
        .internal_address = key.source().raw,
        .external_address = (*directory_)[ExternalIndex{s.external}].address.raw,
        .internal_port = key.source_port().raw,
        .external_port = Port::from_host(port.port).raw,
        .protocol = static_cast<uint8_t>(key.protocol()),
        .realm = key.realm().value,
        .policy = s.policy,
        .subscriber = subscriber,
        .block = port.index,
        .sessions = 0,
        .inbound_openings = 0,
        .state = 0};
    std::atomic_signal_fence(std::memory_order_release);
    m.state = kMappingLive;
    return mapping;
}

// With its last session a mapping ends; its port rests, unless the connection was seen to close.
void NatShard::release_mapping(uint32_t mapping, bool rests, Tick now) {
    settle();
    Mapping& m = mappings_[mapping];
    assert(m.sessions == 0 && m.state == kMappingLive);
    mapping_index_.erase(hash_of(key_of(m, kInternal)), mapping << 1 | kInternal);
    mapping_index_.erase(hash_of(key_of(m, kExternal)), mapping << 1 | kExternal);
    const uint32_t subscriber = m.subscriber;
    --subscribers_[subscriber].ports;
    --pools_[pool_of(subscribers_[subscriber]).value].in_use;
    release_port(m, rests, now);
    m.state = 0;
    mappings_.release(mapping);
    release_subscriber_if_idle(subscriber);
}

}  // namespace sekisho::nat
