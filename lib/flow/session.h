// The session entry: mapping + remote endpoint + state, one 64-byte line that serves both directions' fast route.
//
//   Shape     one cache line; addresses X, Y, X' lie side by side so that either direction's pair is one 8-byte load
//             (outbound X,Y at 0; inbound Y,X' at 4), ports x, y, x' likewise (outbound at 12, inbound at 14).
//   Order     addresses and ports in network order; counts and ticks in host order.
//   Owner     the shard's worker writes; nobody else reads but by message. `flags` holds the live mark, written last.
//   Source    ARCHITECTURE 3; RFC 4787 (mapping and session), RFC 7857 2 (states).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/types.h"
#include "packet/batch.h"

namespace sekisho::flow {

// RFC 7857 2.1 and RFC 6146 3.5.2 for TCP; each state has one timeout.
enum class SessionState : uint8_t {
    kFree = 0,
    kIcmp,             // a query; RFC 5508 REQ-2
    kUdp,              // UDP-Lite too; RFC 4787 REQ-5
    kTcpOpenOutbound,  // SYN from the subscriber seen; transitory
    kTcpOpenInbound,   // SYN from outside seen; transitory
    kTcpHalfOpen,      // both SYNs seen, the opener's ACK is missing; transitory
    kTcpEstablished,
    kTcpFinOutbound,  // one FIN seen; still the established timer for the other half
    kTcpFinInbound,
    kTcpClosing,   // both FINs seen
    kTcpReset,     // an in-window RST seen; four minutes more (RFC 7857 2.2)
    kTcpPickedUp,  // its opening was not seen, and nobody outside has answered yet; transitory
    kUnanswered,   // an address-only protocol but UDP-Lite, and nobody outside has answered yet
    kAssociation,  // SCTP and DCCP
    kTunnel,       // GRE and ESP
    kCount
};

enum SessionFlag : uint16_t {
    kLive = 1 << 0,            // written last when made, cleared first when freed
    kSessionHairpin = 1 << 1,  // the remote endpoint lies in a pool
    kInboundOpened =
        1
        << 2,  // opened from outside: counts against the mapping's inbound openings until answered
    kSeenOutbound = 1 << 3,  // at least one packet has gone this way
    kSeenInbound = 1 << 4,
    kPermission = 1 << 5,      // holds a reference to an address-dependent filter permission
    kHasAckOutbound = 1 << 6,  // tcp_ack[0] and tcp_window[0] are valid
    kHasAckInbound = 1 << 7,
    kWasEstablished = 1 << 8,  // TCP: a handshake has been completed
    kClampMss = 1 << 9,        // TCP: its SYNs are to be looked at
    kTrackWindow = 1 << 10,    // TCP: segments are judged by their window
    kRedirected = 1 << 11,     // the subscriber sees another remote endpoint (nat/original.h)
    // From kTimeoutShift on: which of the timeouts by remote port it has, from 1 on; 0: none
    // (nat/session_timeouts.h).
};
inline constexpr unsigned kTimeoutShift = 12;
inline constexpr size_t kTimeoutClasses = 16;
// In `realm` of a session with kRedirected, so that is_flow() never takes it for the flow from X:x to Y:y.
inline constexpr uint8_t kRedirectedRealm = 0x80;

struct alignas(64) Session {
    uint32_t internal_address;  // X
    uint32_t remote_address;    // Y
    uint32_t external_address;  // X'
    uint16_t internal_port;     // x
    uint16_t remote_port;       // y
    uint16_t external_port;     // x'
    uint8_t protocol;
    uint8_t realm;     // of the subscriber, and kRedirectedRealm; see realm_of()
    uint32_t mapping;  // MappingIndex in this shard
    uint16_t
        ip_delta;  // RFC 1624: what outbound translation adds to the IPv4 header sum; inbound: its complement
    uint16_t l4_delta;       // the same for the transport sum (ICMP: of the identifier alone)
    uint32_t last_activity;  // Tick
    uint32_t packets[2];     // by Direction
    uint32_t verdict;        // rule generation and verdict set; a later issue's
    uint16_t next_hop[2];    // by Direction of the packet: NeighbourId, 0 = look up
    uint32_t tcp_ack
        [2];  // by Direction of the segment that carried it: last acknowledgement, host order
    uint16_t tcp_window[2];  // the window beside it, unscaled
    SessionState state;
    uint8_t
        window_scales;  // outbound SYN's scale in the low nibble, inbound SYN's in the high one; 15: not given
    uint16_t flags;  // SessionFlag
};
static_assert(sizeof(Session) == 64);
static_assert(offsetof(Session, remote_address) == 4 && offsetof(Session, external_address) == 8);
static_assert(offsetof(Session, internal_port) == 12 && offsetof(Session, external_port) == 16);
static_assert(offsetof(Session, flags) == 62);

// What comes after kUnanswered.
constexpr SessionState answered_state(Protocol protocol) {
    return protocol == Protocol::kSctp || protocol == Protocol::kDccp ? SessionState::kAssociation
                                                                      : SessionState::kTunnel;
}

// The subscriber's realm.
inline RealmId realm_of(const Session& s) {
    return {static_cast<uint8_t>(s.realm & ~kRedirectedRealm)};
}

// Whether a live session is the flow `key` seen in `direction`. Three loads of one line, and no branch: directions mix in
// a burst at random, and a mispredicted one costs more than the whole comparison.
inline bool is_flow(const Session& s, const FlowKey& key, Direction direction) {
    const auto* bytes = reinterpret_cast<const uint8_t*>(&s);
    const size_t d = static_cast<size_t>(direction);
    uint64_t addresses;
    uint32_t ports;
    std::memcpy(&addresses, bytes + 4 * d, 8);
    std::memcpy(&ports, bytes + 12 + 2 * d, 4);
    const uint64_t realm = uint64_t{s.realm} * (1 - d);  // inbound: kExternalRealm, 0
    const uint64_t rest = ports | uint64_t{s.protocol} << 32 | realm << 40;
    const uint64_t live = s.flags & kLive;
    return ((addresses ^ key.addresses) | (rest ^ key.rest) | (live ^ kLive)) == 0;
}

// The key under which a session is indexed for a direction: what parse makes of such a packet. Not of the outbound
// direction of a session with kRedirected (NatShard::key_of).
inline FlowKey key_of(const Session& s, Direction direction) {
    const auto protocol = static_cast<Protocol>(s.protocol);
    if (direction == Direction::kOutbound) {
        return FlowKey::of(
            {s.internal_address},
            {s.remote_address},
            {s.internal_port},
            {s.remote_port},
            protocol,
            {s.realm}
        );
    }
    return FlowKey::of(
        {s.remote_address},
        {s.external_address},
        {s.remote_port},
        {s.external_port},
        protocol,
        kExternalRealm
    );
}

}  // namespace sekisho::flow

namespace sekisho {
using flow::answered_state;
using flow::Session;
using flow::SessionState;
}  // namespace sekisho
