// Mappings: an internal endpoint and its external one, endpoint-independent (RFC 4787 REQ-1).
#include <atomic>
#include <cassert>

#include "nat/nat_shard.h"

namespace sekisho::nat {
namespace {

constexpr unsigned kInternal = 0;
constexpr unsigned kExternal = 1;
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

uint32_t NatShard::find_mapping(const FlowKey& key, unsigned side) const {
    const uint32_t value = mapping_index_.find(hash_of(key), [&](uint32_t v) {
        return (v & 1) == side && key_of(mappings_[v >> 1], side) == key;
    });
    return value == kNoIndex ? kNoIndex : value >> 1;
}

MappingIndex NatShard::find_mapping_by_external(Ipv4Addr address, Port port, Protocol protocol)
    const {
    return {find_mapping(external_key(address, port, protocol), kExternal)};
}

MappingIndex NatShard::find_mapping_by_internal(
    RealmId realm, Ipv4Addr address, Port port, Protocol protocol
) const {
    return {find_mapping(internal_key(realm, address, port, protocol), kInternal)};
}

void NatShard::prefetch_owner(const FlowKey& key) const {
    const FlowKey internal =
        internal_key(key.realm(), key.source(), key.source_port(), key.protocol());
    mapping_index_.prefetch_first(hash_of(internal));
    subscriber_index_.prefetch_first(hash_of(subscriber_key(key.source(), key.realm())));
}

// Where the mapping and the session will stand under their external endpoint.
void NatShard::prefetch_inbound(const FlowKey& key, uint32_t subscriber, const Outcome& port)
    const {
    const Ipv4Addr address = (*directory_)[{subscribers_[subscriber].external}].address;
    const Port external = Port::from_host(port.port);
    const FlowKey inbound = FlowKey::of(
        key.destination(), address, key.destination_port(), external, key.protocol(), kExternalRealm
    );
    mapping_index_.prefetch_first(hash_of(external_key(address, external, key.protocol())));
    session_index_.prefetch_first(hash_of(inbound));
}

// The subscriber is there and within its session limits; only the mapping is missing.
NatShard::Outcome NatShard::allocate_mapping(const FlowKey& key, uint32_t subscriber, Tick now) {
    if (!mappings_.has_room()) {
        return Outcome::refused(DropReason::kMappingTableFull);
    }
    const Outcome port = allocate_port(subscriber, key.protocol(), now);
    if (port.kind != MakeResult::kMade) {
        return port;
    }
    prefetch_inbound(key, subscriber, port);
    const uint32_t mapping = make_mapping(key, subscriber, port);
    ++subscribers_[subscriber].ports;
    ++pools_[pool_of(subscribers_[subscriber]).value].in_use;
    const uint64_t internal = hash_of(key_of(mappings_[mapping], kInternal));
    const uint64_t external = hash_of(key_of(mappings_[mapping], kExternal));
    const bool has_internal = mapping_index_.insert(internal, mapping << 1 | kInternal);
    if (has_internal && mapping_index_.insert(external, mapping << 1 | kExternal)) {
        return Outcome::made(mapping);
    }
    release_mapping(mapping, false, now);
    return Outcome::refused(DropReason::kMappingTableFull);
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
