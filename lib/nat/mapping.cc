// Mappings: an internal endpoint and its external one; of the remote endpoint nothing counts, its
// address, or its address and port (RFC 4787 4.1, REQ-1).
#include <atomic>
#include <cassert>

#include "base/mutation.h"
#include "nat/nat_shard.h"

namespace sekisho::nat {
namespace {

constexpr unsigned kInternal = NatShard::kInternalSide;
constexpr unsigned kExternal = NatShard::kExternalSide;
constexpr uint16_t kMappingLive = 1;

// Under which the mapping of an outbound packet is found.
FlowKey internal_key_of(const FlowKey& outbound, MappingBehaviour behaviour) {
    const bool by_address = behaviour != MappingBehaviour::kEndpointIndependent;
    const bool by_port = behaviour == MappingBehaviour::kAddressAndPortDependent;
    return FlowKey::of(
        outbound.source(),
        by_address ? outbound.destination() : Ipv4Addr{},
        outbound.source_port(),
        by_port ? outbound.destination_port() : Port{},
        outbound.protocol(),
        outbound.realm()
    );
}
FlowKey endpoint_key(const FlowKey& outbound) {
    return internal_key_of(outbound, MappingBehaviour::kEndpointIndependent);
}
FlowKey external_key(Ipv4Addr address, Port port, Protocol protocol) {
    return FlowKey::of({}, address, {}, port, protocol, kExternalRealm);
}
// Of a flow that keeps its source: X:x stands before several targets, so the flow is part of the key. Of one
// that shares its port: thousands of the same key would fill the index's overflow area, which is everybody's.
FlowKey own_external_key(const Mapping& m, const MappingRemote& remote) {
    return FlowKey::of(
        {remote.address},
        {m.external_address},
        {remote.port},
        {m.external_port},
        static_cast<Protocol>(m.protocol),
        kExternalRealm
    );
}
// Whether a mapping made for `wanted` translates what comes from this remote endpoint.
bool agrees(const MappingRemote& wanted, const FlowKey& inbound) {
    return wanted.address == 0 || (wanted.address == inbound.source().raw &&
                                   (wanted.port == 0 || wanted.port == inbound.source_port().raw));
}

// Whether what comes for its external endpoint, from whomever, is led to somebody else by now.
bool is_of_another(const Mapping& m, const ExternalDirectory& directory, ShardId self) {
    const auto protocol = static_cast<Protocol>(m.protocol);
    const FlowKey inbound = external_key({m.external_address}, {m.external_port}, protocol);
    const ExternalIndex index = directory.find({m.external_address});
    const RemoteEndpoint external{{m.external_address}, {m.external_port}};
    return index.value == kNoIndex || directory.owner_of(index, inbound) != self ||
           directory.statics().find_external(external, protocol, {}) != nullptr ||
           directory.triggers().find_forwarded(inbound).has_value();
}

}  // namespace

FlowKey NatShard::mapping_key(uint32_t mapping, unsigned side) const {
    const Mapping& m = mappings_[mapping];
    const auto protocol = static_cast<Protocol>(m.protocol);
    if (is_of_service(m)) [[unlikely]] {
        FlowKey key = service_key(m);
        key.rest = side == kInternal ? key.rest : key.rest & 0xffffffffff;  // in the external realm
        return key;
    }
    const MappingRemote remote = remote_of({mapping});
    const bool is_by_flow = m.block == kKeepsSource || (remote.exclusive & kSharesPort) != 0;
    if (side == kExternal && is_by_flow) [[unlikely]] {
        return own_external_key(m, remote);
    }
    if (side == kExternal) {
        return external_key({m.external_address}, {m.external_port}, protocol);
    }
    const FlowKey key = FlowKey::of(
        {m.internal_address},
        {remote.address},
        {m.internal_port},
        {remote.port},
        protocol,
        {m.realm}
    );
    return tagged(key, numbers_.tag_of(m.policy));
}

// By the internal endpoint no mapping of a former entry whose external one is another's by now: what is new would get no answer.
uint32_t NatShard::find_mapping(uint64_t hash, const FlowKey& key, unsigned side) const {
    const uint32_t value = mapping_index_.find(hash, [&](uint32_t v) {
        const Mapping& m = mappings_[v >> 1];
        return (v & 1) == side && mapping_key(v >> 1, side) == key &&
               (side == kExternal || !has_static_entry(m) || is_in_force(m) ||
                !is_of_another(m, *directory_, shard_));
    });
    return value == kNoIndex ? kNoIndex : value >> 1;
}

MappingIndex NatShard::find_mapping_by_external(Ipv4Addr address, Port port, Protocol protocol)
    const {
    const FlowKey key = external_key(address, port, protocol);
    return {find_mapping(hash_of(key), key, kExternal)};
}

MappingIndex NatShard::find_mapping_of_inbound(const FlowKey& key) const {
    const FlowKey wanted = external_key(key.destination(), key.destination_port(), key.protocol());
    const uint32_t value = mapping_index_.find(hash_of(wanted), [&](uint32_t v) {
        return (v & 1) == kExternal && mapping_key(v >> 1, kExternal) == wanted &&
               agrees(remote_of({v >> 1}), key);
    });
    if (value == kNoIndex && !port_uses_.is_empty()) [[unlikely]] {
        const FlowKey own = FlowKey::of(
            key.source(),
            key.destination(),
            key.source_port(),
            key.destination_port(),
            key.protocol(),
            kExternalRealm
        );
        return {find_mapping(hash_of(own), own, kExternal)};
    }
    return {value == kNoIndex ? kNoIndex : value >> 1};
}

MappingIndex NatShard::find_mapping_of(const FlowKey& outbound, PoolTag tag) const {
    auto behaviour = MappingBehaviour::kEndpointIndependent;
    if (!remotes_.empty() && find_static(outbound, Direction::kOutbound) == nullptr) {
        const FlowKey of_whom = subscriber_key(outbound.source(), outbound.realm(), tag);
        const uint32_t subscriber = find_subscriber(hash_of(of_whom), of_whom);
        if (subscriber == kNoIndex) {
            return {kNoIndex};
        }
        behaviour = behaviour_of(subscriber, outbound.protocol());
    }
    const FlowKey wanted = tagged(internal_key_of(outbound, behaviour), tag);
    return {find_mapping(hash_of(wanted), wanted, kInternal)};
}

// That in its policy's pool, or else in one that rules have chosen.
MappingIndex NatShard::find_mapping_of_outbound(const FlowKey& key) const {
    MappingIndex found = find_mapping_of(key, kOwnPool);
    for (const PoolTag tag : numbers_.tags()) {
        found = found.value == kNoIndex ? find_mapping_of(key, tag) : found;
    }
    return found;
}

// A static internal endpoint keeps its mapping, whatever rules have chosen.
NatShard::Newcomer NatShard::for_chosen(const FlowKey& key, const Newcomer& newcomer) const {
    Newcomer chosen = newcomer;
    const PolicyId policy = policy_of(key.source(), key.realm());
    const bool may_choose = policy.value < settings_->policies.size() &&
                            find_static(key, Direction::kOutbound) == nullptr;
    const auto tag = may_choose ? numbers_.tag_of(policy, newcomer.pool) : std::nullopt;
    if (tag.value_or(kOwnPool) != kOwnPool) {
        chosen.tag = *tag;
        chosen.mapping_hash = hash_of(tagged(endpoint_key(key), *tag));
        chosen.subscriber_hash = hash_of(subscriber_key(key.source(), key.realm(), *tag));
    }
    return chosen;
}

NatShard::Newcomer NatShard::foresee(const FlowKey& key, uint64_t session_hash) const {
    Newcomer newcomer;
    newcomer.session_hash = session_hash;
    session_index_.prefetch_spare(session_hash);
    newcomer.mapping_hash = hash_of(endpoint_key(key));
    newcomer.subscriber_hash = hash_of(subscriber_key(key.source(), key.realm()));
    mapping_index_.prefetch_first(newcomer.mapping_hash);
    subscriber_index_.prefetch_first(newcomer.subscriber_hash);
    return newcomer;
}

void NatShard::foresee_subscriber(Newcomer& newcomer) const {
    mapping_index_.prefetch_spare(newcomer.mapping_hash);
    newcomer.subscriber =
        subscriber_index_.find(newcomer.subscriber_hash, [](uint32_t) { return true; });
    if (newcomer.subscriber != kNoIndex) {
        subscribers_.prefetch(newcomer.subscriber);
    }
}

// To know its address the block's header is waited for, here where those of the burst arrive together.
void NatShard::foresee_port(const Newcomer& newcomer, Protocol protocol) const {
    const uint32_t block =
        newcomer.subscriber != kNoIndex ? subscribers_[newcomer.subscriber].first_block : kNoIndex;
    if (block != kNoIndex) {
        blocks_.prefetch(block, protocol_slot(protocol));
        __builtin_prefetch(&(*directory_)[{blocks_[block].external}]);
    }
}

void NatShard::foresee_inbound(const FlowKey& key) const {
    mapping_index_.prefetch_first(
        hash_of(external_key(key.destination(), key.destination_port(), key.protocol()))
    );
}

// What tests of RFC 4787 REQ-1, RFC 5382 REQ-1 and RFC 7857 5 must not pass with.
void NatShard::take_away_mapping(const FlowKey& key, Sought& sought) const {
    [[maybe_unused]] const bool is_tcp = key.protocol() == Protocol::kTcp;
    if ((is_mutated(Mutation::kRfc4787Req1) && key.protocol() == Protocol::kUdp) ||
        (is_mutated(Mutation::kRfc5382Req1) && is_tcp)) {
        sought.mapping = kNoIndex;
    }
    if (is_mutated(Mutation::kRfc7857S5) && is_tcp && sought.mapping == kNoIndex) {
        const FlowKey of_udp =
            FlowKey::of(key.source(), {}, key.source_port(), {}, Protocol::kUdp, key.realm());
        sought.mapping = find_mapping(hash_of(of_udp), of_udp, kInternal);
    }
}

// The mapping of an outbound packet, its subscriber, and the hash under which a new one is to be
// found. Where all are endpoint-independent, one that has a mapping need not be looked up itself.
NatShard::Sought NatShard::seek_mapping(const FlowKey& key, const Newcomer& newcomer, Tick now) {
    if (directory_->statics().has_members() || directory_->triggers().are_any()) [[unlikely]] {
        const StaticEntry* const entry = find_static(key, Direction::kOutbound);
        if (entry != nullptr && entry->is_member()) {
            return seek_member(*entry, key, newcomer, now);
        }
    }
    Sought sought;
    sought.hash = newcomer.mapping_hash;
    const bool may_be_former = directory_->statics().has_followed();
    const StaticEntry* const entry =
        remotes_.empty() && !may_be_former ? nullptr : find_static(key, Direction::kOutbound);
    const bool by_endpoint = remotes_.empty() || entry != nullptr;
    if (by_endpoint) {
        const FlowKey wanted = tagged(endpoint_key(key), newcomer.tag);
        sought.mapping = entry != nullptr ? find_static_mapping(*entry, wanted, kInternal)
                                          : find_mapping(sought.hash, wanted, kInternal);
        take_away_mapping(key, sought);
        if (sought.mapping != kNoIndex) {
            sought.subscriber = Outcome::made(mappings_[sought.mapping].subscriber);
            return sought;
        }
    }
    const FlowKey of_whom = subscriber_key(key.source(), key.realm(), newcomer.tag);
    const uint32_t known = find_subscriber(newcomer.subscriber_hash, of_whom);
    if (known != kNoIndex) {
        sought.subscriber = Outcome::made(known);
    } else if (const auto reason = why_no_newcomer(key, newcomer.tag, now)) [[unlikely]] {
        sought.subscriber = Outcome::refused(*reason);
    } else {
        sought.subscriber = make_subscriber(newcomer.subscriber_hash, of_whom, now);
    }
    if (!by_endpoint && sought.subscriber.is_made()) {
        const MappingBehaviour behaviour = behaviour_of(sought.subscriber.index(), key.protocol());
        const FlowKey wanted = tagged(internal_key_of(key, behaviour), newcomer.tag);
        sought.hash = hash_of(wanted);
        sought.mapping = find_mapping(sought.hash, wanted, kInternal);
    }
    return sought;
}

// Found out before anything is made that would have to be undone.
std::optional<DropReason> NatShard::why_no_mapping(const FlowKey& key, uint32_t subscriber) {
    if (!log_.may_start(kLogMappings, waits_)) {
        return DropReason::kLogFull;
    }
    if (!mappings_.has_room() || !mapping_index_.has_room(LateInserts::kMost)) {
        return DropReason::kMappingTableFull;
    }
    const RemoteClaims& claims = directory_->claims();
    if (is_address_only(key.protocol()) && claims.size() >= claims.capacity()) [[unlikely]] {
        return DropReason::kAddressOnlyFull;
    }
    const uint32_t most = limits_of(subscribers_[subscriber]).mappings;
    const bool is_at_limit = most != 0 && subscribers_[subscriber].mappings >= most;
    return is_at_limit ? std::optional(DropReason::kSubscriberMappingLimit) : std::nullopt;
}

// The subscriber is there and within its session limits; only the mapping is missing.
NatShard::Outcome NatShard::allocate_mapping(
    const Way& way, uint64_t internal_hash, uint32_t subscriber, Tick now
) {
    const FlowKey& key = way.onward;
    if (const StaticEntry* entry = find_static(key, Direction::kOutbound)) {
        return make_static(*entry, key.source_port(), subscriber);
    }
    if (const auto reason = why_no_mapping(key, subscriber)) {
        return Outcome::refused(*reason);
    }
    Outcome port = allocate_port(subscriber, key, now);
    if (port.kind() == MakeResult::kRefused && !way.redirected &&
        (overloads(subscriber, key.protocol()) || is_mutated(Mutation::kRfc4787Req11))) {
        const Outcome shared = share_port(subscriber, key, now);
        port = shared.is_made() ? shared : port;
    }
    return port.is_made() ? enter_mapping(way, internal_hash, {subscriber, port}, now) : port;
}

// A mapping whose port has been taken, as it can be found from either side.
NatShard::Outcome NatShard::enter_mapping(
    const Way& way, uint64_t internal_hash, const Taken& taken, Tick now
) {
    const FlowKey& key = way.onward;
    const auto& [subscriber, port] = taken;
    // From what is at hand: the record that is written next would have to be read back for it.
    const Ipv4Addr address = (*directory_)[external_of(port)].address;
    uint64_t external =
        hash_of(external_key(address, Port::from_host(port.port()), key.protocol()));
    const uint32_t mapping = make_mapping(key, subscriber, address, port);
    if (way.redirected) [[unlikely]] {
        remotes_[mapping] = {way.key.destination().raw, way.key.destination_port().raw, kExclusive};
    }
    ++subscribers_[subscriber].mappings;
    if (port.is_shared()) {
        count_use(mappings_[mapping]);
        external = hash_of(mapping_key(mapping, kExternal));
    } else {
        ++subscribers_[subscriber].ports;
        count_single(mapping, 1);
        ++in_use_of(external_of(port));
    }
    late_.insert_now(mapping_index_, internal_hash, mapping << 1 | kInternal);
    late_.add(mapping_index_, external, mapping << 1 | kExternal);
    log_mapping(mapping, now);
    return Outcome::made(mapping);
}

uint32_t NatShard::make_mapping(
    const FlowKey& key, uint32_t subscriber, Ipv4Addr external, const Outcome& port
) {
    const uint32_t mapping = mappings_.allocate();
    const Subscriber& s = subscribers_[subscriber];
    Mapping& m = mappings_[mapping];
    m = Mapping{
        .internal_address = key.source().raw,
        .external_address = external.raw,
        .internal_port = key.source_port().raw,
        .external_port = Port::from_host(port.port()).raw,
        .protocol = static_cast<uint8_t>(key.protocol()),
        .realm = key.realm().value,
        .policy = s.policy,
        .subscriber = subscriber,
        .block = port.index(),
        .sessions = 0,
        .inbound_openings = 0,
        .state = 0};
    if (!remotes_.empty()) {
        const auto behaviour = is_static(m) ? MappingBehaviour::kEndpointIndependent
                                            : behaviour_of(subscriber, key.protocol());
        const FlowKey wanted = internal_key_of(key, behaviour);
        const uint16_t mark = port.is_shared() ? kSharesPort : uint16_t{0};
        remotes_[mapping] = {wanted.destination().raw, wanted.destination_port().raw, mark};
    }
    std::atomic_signal_fence(std::memory_order_release);
    m.state = kMappingLive;
    return mapping;
}

// With its last session a mapping ends; its port rests, unless the connection was seen to close.
void NatShard::release_mapping(uint32_t mapping, bool rests, EndCause cause, Tick now) {
    settle();
    [[maybe_unused]] const Mapping& m = mappings_[mapping];
    assert(m.sessions == 0 && m.state == kMappingLive);
    mapping_index_.erase(hash_of(mapping_key(mapping, kInternal)), mapping << 1 | kInternal);
    mapping_index_.erase(hash_of(mapping_key(mapping, kExternal)), mapping << 1 | kExternal);
    end_mapping(mapping, rests, cause, now);
}

// Its end is logged: port and record may serve another.
void NatShard::free_mapping(uint32_t mapping, bool rests, Tick now) {
    Mapping& m = mappings_[mapping];
    const uint32_t subscriber = m.subscriber;
    --subscribers_[subscriber].mappings;
    if (!is_static(m) && !end_use(m)) {
        --subscribers_[subscriber].ports;
        count_single(mapping, -1);
        --in_use_of(external_of(Outcome::made(m.block)));
        release_port(m, rests, now);
    }
    if (subscribers_[subscriber].mappings == 0 && keeps_any_first_) {
        end_parking(subscriber, now);
    }
    m.state = 0;
    mappings_.release(mapping);
    release_subscriber_if_idle(subscriber);
}

}  // namespace sekisho::nat
