// Redirected flows: what subscribers send to one endpoint goes to another, and what comes back seems to come from the first.
//
//   Session   X:x <-> X':x' with the remote endpoint Y:y that is the target, as the target sees it; flow::kRedirected, and
//             beside it the original destination D:d. It is indexed as X:x -> D:d and as Y:y -> X':x'.
//   Mapping   one of its own for each flow, since two flows of X:x to different destinations must not look alike to their
//             common target. Nobody else is admitted to it. A static internal endpoint keeps its mapping, and what is exempt
//             its source: of these, a flow that would look like another one is refused (kTargetInUse).
//   Route     find takes it for another flow at first and looks exactly (is_flow_of); write rewrites both ends. All of it
//             is paid by redirected flows alone.
//   Source    RFC 3022 2.2, RFC 2663 4.4 (twice NAT).
#include "nat/nat_shard.h"

namespace sekisho::nat {
namespace {

bool is_redirected(const Session& s) {
    return (s.flags & flow::kRedirected) != 0;
}

FlowKey towards(const FlowKey& key, const RemoteEndpoint& remote) {
    return FlowKey::of(
        key.source(), remote.address, key.source_port(), remote.port, key.protocol(), key.realm()
    );
}

}  // namespace

FlowKey NatShard::key_of(uint32_t session, Direction direction) const {
    const Session& s = sessions_[session];
    if (direction == Direction::kInbound || !is_redirected(s)) [[likely]] {
        return flow::key_of(s, direction);
    }
    const RemoteEndpoint original = original_of(session);
    return FlowKey::of(
        {s.internal_address},
        original.address,
        {s.internal_port},
        original.port,
        static_cast<Protocol>(s.protocol),
        realm_of(s)
    );
}

bool NatShard::is_flow_of(uint32_t value, const FlowKey& key) const {
    const Session& s = sessions_[value >> 1];
    const auto direction = static_cast<Direction>(value & 1);
    return flow::is_flow(s, key, direction) ||
           (direction == Direction::kOutbound && is_redirected(s) && (s.flags & flow::kLive) != 0 &&
            key_of(value >> 1, direction) == key);
}

void NatShard::note_original(uint32_t session, const RemoteEndpoint& original) {
    Session& s = sessions_[session];
    s.flags = static_cast<uint16_t>(s.flags | flow::kRedirected);
    s.realm = static_cast<uint8_t>(s.realm | flow::kRedirectedRealm);
    originals_[session] = {original.address.raw, original.port.raw, 0};
}

// To a neighbour the source is always translated: the answer would not come this way.
NatShard::Way NatShard::redirected_way(const Way& direct, const RemoteEndpoint& target) const {
    const FlowKey& key = direct.key;
    const bool is_hairpin = directory_->find(target.address).value != kNoIndex;
    const bool keeps_source = !is_hairpin && redirects_->keeps_source(key, target);
    const PoolTag tag = keeps_source ? kOwnPool : direct.tag;
    return {key, towards(key, target), direct.hash, tag, true, keeps_source};
}

// There is none yet, or there would be the session.
NatShard::Sought NatShard::seek_redirected(const Way& way, const Newcomer& newcomer, Tick now) {
    const FlowKey& key = way.key;
    if (!way.keeps_source && find_static(key, Direction::kOutbound) != nullptr) {
        return seek_mapping(key, newcomer, now);
    }
    Sought sought;
    sought.hash = hash_of(tagged(key, way.tag));
    const FlowKey of_whom = subscriber_key(key.source(), key.realm(), way.tag);
    const uint64_t hash = way.tag == newcomer.tag ? newcomer.subscriber_hash : hash_of(of_whom);
    sought.subscriber = find_or_make_subscriber(hash, of_whom, now);
    return sought;
}

// A mapping to itself: what counts and ends the flow as any other.
NatShard::Outcome NatShard::make_untranslated(const Way& way, uint64_t hash, uint32_t subscriber) {
    if (!mappings_.has_room() || !mapping_index_.has_room(LateInserts::kMost)) {
        return Outcome::refused(DropReason::kMappingTableFull);
    }
    const FlowKey& key = way.key;
    const uint32_t mapping = make_mapping(
        key, subscriber, key.source(), Outcome::of_port(kKeepsSource, key.source_port().host())
    );
    remotes_[mapping] = {key.destination().raw, key.destination_port().raw, kExclusive};
    ++subscribers_[subscriber].mappings;
    late_.insert_now(mapping_index_, hash, mapping << 1 | kInternalSide);
    const uint64_t external = hash_of(mapping_key(mapping, kExternalSide));
    late_.add(mapping_index_, external, mapping << 1 | kExternalSide);
    return Outcome::made(mapping);
}

// Whether another flow has the key under which this one would be known from outside. One whose timeout has passed counts
// until its timer fires: ending it here could end the mapping.
bool NatShard::is_taken(uint32_t mapping, const Way& way) {
    settle();
    const Mapping& m = mappings_[mapping];
    const FlowKey key = FlowKey::of(
        way.onward.destination(),
        {m.external_address},
        way.onward.destination_port(),
        {m.external_port},
        way.key.protocol(),
        kExternalRealm
    );
    return find_session(key, hash_of(key), Direction::kInbound) != kNoIndex;
}

}  // namespace sekisho::nat
