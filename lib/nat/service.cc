// Services: an external endpoint behind which stand several subscribers, each with its share (destination-nat from outside).
//
//   Choice    a function of the endpoint and of who asks (StaticTable), so every shard knows whose a packet is, and outsiders
//             fill nothing: UDP passes without state until it is answered, TCP opens a session as at any static mapping.
//   Mapping   X:x <-> X':x' like a static one, one a member that is in use. X':x' is that of others too, so neither of its
//             keys is found by an endpoint alone: what X:x begins itself has another mapping.
#include "nat/nat_shard.h"

namespace sekisho::nat {
namespace {

constexpr uint8_t kServiceRealm = 0x80;  // no realm's number has it

}  // namespace

bool NatShard::is_of_service(const Mapping& m) const {
    return is_forwarded(m) ||
           (has_static_entry(m) &&
            (has_trigger_entry(m) ||
             directory_->statics().entries()[m.block & ~kStaticBlock].is_member()));
}

FlowKey NatShard::member_key(const StaticEntry& entry, Port internal_port) const {
    return FlowKey::of(
        entry.internal,
        entry.external,
        internal_port,
        entry.external_of(internal_port),
        entry.protocol,
        {static_cast<uint8_t>(entry.realm.value | kServiceRealm)}
    );
}

FlowKey NatShard::service_key(const Mapping& m) {
    return FlowKey::of(
        {m.internal_address},
        {m.external_address},
        {m.internal_port},
        {m.external_port},
        static_cast<Protocol>(m.protocol),
        {static_cast<uint8_t>(m.realm | kServiceRealm)}
    );
}

uint32_t NatShard::find_member(const StaticEntry& entry, Port internal_port) const {
    const FlowKey key = member_key(entry, internal_port);
    return find_mapping(hash_of(key), key, kInternalSide);
}

NatShard::Sought NatShard::seek_member(
    const StaticEntry& entry, const FlowKey& key, const Newcomer& newcomer, Tick now
) {
    Sought sought;
    sought.mapping = find_member(entry, key.source_port());
    sought.subscriber =
        sought.mapping != kNoIndex
            ? Outcome::made(mappings_[sought.mapping].subscriber)
            : find_or_make_subscriber(
                  newcomer.subscriber_hash, subscriber_key(key.source(), key.realm()), now
              );
    return sought;
}

}  // namespace sekisho::nat
