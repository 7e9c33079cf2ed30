// The records of mappings.
//
//   Order     addresses and ports in network order; counts in host order.
//   Owner     the shard's worker (nat_shard.h).
#pragma once

#include <cstdint>

#include "base/types.h"

namespace sekisho::nat {

// Mapping (RFC 4787 REQ-1): X:x <-> X':x' of one protocol, shared by its sessions. Lives while it
// has sessions, or its subscriber has asked for it.
struct Mapping {
    uint32_t internal_address;  // network order, like Session's
    uint32_t external_address;
    uint16_t internal_port;
    uint16_t external_port;
    uint8_t protocol;
    uint8_t realm;
    uint16_t policy;      // that it was made under, as a number (policy_numbers.h)
    uint32_t subscriber;  // SubscriberIndex
    uint32_t block;       // BlockIndex that holds the external port, or one of the marks below
    uint32_t sessions;    // live sessions, and one more if it is leased (lease.h)
    uint16_t inbound_openings;  // of them, TCP openings from outside without a handshake yet
    uint16_t state;             // written last: 0 free, 1 live, else ended (events.cc)
};
static_assert(sizeof(Mapping) == 32);

// As packets, listings and the log show it: the port that an address-only mapping has taken keeps its block, no more.
inline uint16_t shown_external_port(const Mapping& m) {
    return is_address_only(static_cast<Protocol>(m.protocol)) ? uint16_t{0} : m.external_port;
}

// Of a static mapping (static.cc): the rest of `block` is the entry of the static table.
inline constexpr uint32_t kStaticBlock = 0x80000000;
inline bool is_static(const Mapping& m) {
    return (m.block & kStaticBlock) != 0;
}
// Of a redirected flow that keeps its source (redirect.cc): like a static one it has no port, but no entry either.
inline constexpr uint32_t kKeepsSource = 0xffffffff;
// Of what rules let in from outside (forward.cc): the same, and it is indexed as a member of a service is.
inline constexpr uint32_t kForwarded = 0xfffffffe;
inline bool has_static_entry(const Mapping& m) {
    return is_static(m) && m.block < kForwarded;
}
// Of a trigger forward: the rest is the rule.
inline constexpr uint32_t kTriggerBlock = kStaticBlock | 0x40000000;
inline bool has_trigger_entry(const Mapping& m) {
    return has_static_entry(m) && m.block >= kTriggerBlock;
}
inline bool is_forwarded(const Mapping& m) {
    return m.block == kForwarded;
}

// Of a mapping whose port lies in no block (single_ports.h): the rest is its ExternalIndex.
inline constexpr uint32_t kSinglePort = 0x40000000;
inline bool has_single_port(const Mapping& m) {
    return (m.block & (kStaticBlock | kSinglePort)) == kSinglePort;
}

// Marks of a MappingRemote: of one redirected flow, whose original destination it is, and nobody else is admitted;
// or of a mapping whose external port others had before, so that it is indexed by its remote endpoint too.
inline constexpr uint16_t kExclusive = 1;
inline constexpr uint16_t kSharesPort = 2;

// Beside a mapping, where a policy maps by the remote endpoint too (RFC 4787 4.1): to whom it was
// made. Zero what does not count: of an address-dependent one the port, of others both.
struct MappingRemote {
    uint32_t address;  // network order
    uint16_t port;
    uint16_t exclusive;  // kExclusive, kSharesPort
};
static_assert(sizeof(MappingRemote) == 8);

}  // namespace sekisho::nat
