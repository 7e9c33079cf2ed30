// What an operator sets of the NAT, checked and compiled; made by lib/config, read by shards.
// Immutable once published.
//
//   Units     Seconds; ports as host-order numbers in PortRange; sizes are counts.
//   Source    RFC 4787, 5382, 5508, 6888; key names follow RFC 8512.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "base/types.h"

namespace sekisho::nat {

enum class MappingBehaviour : uint8_t {
    kEndpointIndependent,
    kAddressDependent,
    kAddressAndPortDependent
};
enum class FilteringBehaviour : uint8_t {
    kEndpointIndependent,
    kAddressDependent,
    kAddressAndPortDependent
};
// A setting that each transport has of its own (RFC 7857 5 and 6).
template <class T>
struct PerProtocol {
    T tcp{};
    T udp{};
    T icmp{};

    constexpr PerProtocol() = default;
    // NOLINTNEXTLINE(google-explicit-constructor): one value is the same for all
    constexpr PerProtocol(T all) : tcp(all), udp(all), icmp(all) {}
    constexpr PerProtocol(T of_tcp, T of_udp, T of_icmp)
        : tcp(of_tcp), udp(of_udp), icmp(of_icmp) {}
    constexpr T operator[](Protocol p) const {
        return p == Protocol::kTcp ? tcp : p == Protocol::kUdp ? udp : icmp;
    }
    constexpr bool has(T value) const { return tcp == value || udp == value || icmp == value; }
    friend constexpr bool operator==(const PerProtocol&, const PerProtocol&) = default;
};

enum class PortSelection : uint8_t { kRandom, kSequential, kPreserve, kDeterministic };
// What becomes of a SYN to an external endpoint that nothing inside has, or that the filtering refuses (RFC 5382 REQ-4).
enum class UnsolicitedSyn : uint8_t { kPortUnreachable, kSilent };
// Whether a well-known internal port gets a well-known external one, and others another (RFC 4787
// REQ-3 a).
enum class PortRanges : uint8_t { kAny, kPreserve };
enum class Pairing : uint8_t { kHard, kSoft, kNone };

struct AddressRange {  // both ends included
    Ipv4Addr first;
    Ipv4Addr last;
    constexpr uint64_t size() const { return uint64_t{last.host()} - first.host() + 1; }
    constexpr bool contains(Ipv4Addr a) const { return first <= a && a <= last; }
    friend bool operator==(const AddressRange&, const AddressRange&) = default;
};

struct PortRange {  // both ends included, host order
    uint16_t first = 1024;
    uint16_t last = 65535;
    friend bool operator==(const PortRange&, const PortRange&) = default;
};

inline constexpr PoolId kNoPool{0xffff};

struct PoolSettings {
    std::string name;
    std::vector<AddressRange> addresses;  // disjoint, over all pools
    // Masquerade: behind the own addresses of these links, which are the last of `addresses`.
    std::vector<LinkId> links;
    PortRange ports;
    uint32_t port_block_size = 256;  // a power of two, 64 to 32768
    uint32_t blocks_per_subscriber = 8;
    PortSelection port_selection = PortSelection::kRandom;
    PortRanges port_ranges = PortRanges::kAny;
    PoolId overflow = kNoPool;  // of a deterministic pool: where further blocks come from
    Pairing pairing = Pairing::kHard;
    bool port_parity = false;            // RFC 4787 REQ-4: even to even, odd to odd, or none at all
    bool port_contiguity = false;        // of x and x + 1, x even, where the neighbour is free
    Seconds port_quarantine{120};        // RFC 6888 REQ-8
    uint32_t port_quarantine_ports = 0;  // that rest at a time, at most; 0: no limit
    std::vector<PortRange> reserved_ports{};  // of no dynamic mapping
    Seconds block_max_age{0};                 // then no new mapping gets a port of it; 0: no limit
    bool keeps_first_block = false;           // while its subscriber has a mapping
    Seconds block_release_delay{60};  // how long an empty, rested block stays with its subscriber
    UnsolicitedSyn unsolicited_syn = UnsolicitedSyn::kPortUnreachable;
    bool answers_pings = false;  // to an address of it, where no host inside gets them
    uint64_t address_count() const {
        uint64_t count = 0;
        for (const AddressRange& range : addresses) {
            count += range.size();
        }
        return count;
    }
    bool has(Ipv4Addr external) const {
        return std::ranges::any_of(addresses, [external](const AddressRange& range) {
            return range.contains(external);
        });
    }
    friend bool operator==(const PoolSettings&, const PoolSettings&) = default;
};

// Of one protocol, within what all of them together may have.
struct ProtocolLimits {
    uint32_t sessions = 0;  // at most; 0: as many as all together
    uint32_t ports = 0;     // the same
    uint32_t reserve = 0;   // sessions, and ports, that the other protocols leave to this one
    friend bool operator==(const ProtocolLimits&, const ProtocolLimits&) = default;
};

struct SubscriberLimits {
    uint32_t sessions = 4096;
    uint32_t ports = 2048;             // over all protocols together
    uint32_t sessions_per_second = 0;  // 0: no limit
    uint32_t inbound_openings = 16;    // unanswered TCP openings from outside, a mapping
    uint32_t mappings = 0;             // 0: no limit but that of ports
    uint32_t half_open = 0;            // TCP sessions without a handshake; 0: no limit
    ProtocolLimits tcp{};
    ProtocolLimits udp{};
    ProtocolLimits icmp{};
    friend bool operator==(const SubscriberLimits&, const SubscriberLimits&) = default;
};

// What the sender of a refused first packet is told, beside the count (RFC 6888 REQ-11, RFC 5508
// REQ-8). The value is the code of an ICMP destination unreachable.
enum class Refusal : uint8_t { kSilent = 0, kHostUnreachable = 1, kProhibited = 13 };

// What a policy's subscribers are not translated to (RFC 6888 REQ-6): a prefix, whatever the
// protocol, or of TCP and UDP just these remote ports there.
struct Exemption {
    Ipv4Prefix destination;
    PortRange ports{0, 65535};
    bool is_by_port() const { return ports.first != 0; }
    friend bool operator==(const Exemption&, const Exemption&) = default;
};

// What becomes of a TCP segment outside of its connection's window (RFC 9293 3.10.7.4).
enum class WindowPolicy : uint8_t { kOff, kLog, kDrop };

// Protocols of which only the address is translated: which of them pass.
struct AddressOnly {
    bool sctp = true;
    bool dccp = true;
    bool udp_lite = true;
    bool gre = true;
    bool esp = true;
    constexpr bool operator[](Protocol p) const {
        return (p == Protocol::kSctp && sctp) || (p == Protocol::kDccp && dccp) ||
               (p == Protocol::kUdpLite && udp_lite) || (p == Protocol::kGre && gre) ||
               (p == Protocol::kEsp && esp);
    }
    friend constexpr bool operator==(const AddressOnly&, const AddressOnly&) = default;
};

inline constexpr uint16_t kMssOfPath = 0xffff;  // what fits on both links of a packet's way

struct PolicySettings {
    std::string name;
    RealmId realm = kInternalRealm;
    std::vector<Ipv4Prefix> source;
    std::vector<Exemption> exempt;
    PoolId pool;
    PerProtocol<MappingBehaviour> mapping = MappingBehaviour::kEndpointIndependent;
    PerProtocol<FilteringBehaviour> filtering = FilteringBehaviour::kEndpointIndependent;
    // A subscriber without a free port shares one of its own between different remote endpoints
    // (RFC 7857 3). Only where mapping and filtering are address-and-port-dependent.
    bool port_overloading = false;
    Refusal refusal = Refusal::kHostUnreachable;
    WindowPolicy tcp_window = WindowPolicy::kOff;
    AddressOnly address_only;
    bool tcp_pickup = false;  // a connection whose opening was not seen goes on
    uint16_t mss_clamp = 0;   // the most that a SYN may announce, or kMssOfPath; 0: anything
    SubscriberLimits limits;
    friend bool operator==(const PolicySettings&, const PolicySettings&) = default;
};

// A mapping that exists from the start and never ends (RFC 8512: of type static): of some ports, or
// of a whole address (RFC 3022 2.1).
struct StaticMappingSettings {
    RealmId realm = kInternalRealm;
    Ipv4Addr internal;
    Ipv4Addr external;  // of a pool
    bool tcp = true;    // of ports: which protocols; a whole address has all
    bool udp = true;
    PortRange internal_ports{0, 65535};  // of a whole address just these
    PortRange external_ports{0, 65535};  // as many
    std::vector<Ipv4Prefix> access;      // who may begin from outside; empty: everybody
    bool is_whole() const { return internal_ports.first == 0; }
    std::vector<Protocol> protocols() const {
        if (is_whole()) {
            return {
                Protocol::kTcp,
                Protocol::kUdp,
                Protocol::kIcmp,
                Protocol::kSctp,
                Protocol::kDccp,
                Protocol::kUdpLite,
                Protocol::kGre,
                Protocol::kEsp};
        }
        if (tcp && udp) {
            return {Protocol::kTcp, Protocol::kUdp};
        }
        return {tcp ? Protocol::kTcp : Protocol::kUdp};
    }
    friend bool operator==(const StaticMappingSettings&, const StaticMappingSettings&) = default;
};

// A host to which packets go instead of their destination.
struct TargetSettings {
    Ipv4Addr address;
    PortRange ports{0, 0};  // as many as the rule's, or one for all of them; 0: the packet's own
    uint32_t weight = 1;    // its share of what is new; 0: nothing
    friend bool operator==(const TargetSettings&, const TargetSettings&) = default;
};
inline constexpr size_t kMaxTargets = 64;  // of a rule

// What is new goes to the same target as whatever came from its source, or is spread by itself.
enum class Affinity : uint8_t { kSource, kNone };

// Packets from a realm whose destination is translated; the first rule that covers them decides.
struct DestinationNatSettings {
    std::string name;
    RealmId realm = kInternalRealm;  // of those who send
    std::vector<Ipv4Prefix> source;  // empty: everybody
    std::vector<Ipv4Prefix> destination;
    bool tcp = true;
    bool udp = true;
    PortRange ports{0, 65535};  // of TCP and UDP; all of them: ICMP queries too
    std::vector<TargetSettings> targets;
    Affinity affinity = Affinity::kSource;
    // From outside: the destinations are addresses of pools, and the targets subscribers of this realm.
    bool is_inbound = false;
    RealmId target_realm = kInternalRealm;
    bool is_by_port() const { return ports.first != 0; }
    friend bool operator==(const DestinationNatSettings&, const DestinationNatSettings&) = default;
};

// Who may use the ports of a trigger forward from outside: whom its holder has called, or everybody.
enum class TriggerAccess : uint8_t { kContacted, kAnyone };

// External ports that are the subscriber's who has last sent to a control port (ipautofw).
struct TriggerForwardSettings {
    std::string name;
    RealmId realm = kInternalRealm;
    std::vector<Ipv4Prefix> source;  // empty: everybody
    Ipv4Addr external;               // of a pool
    bool tcp = true;
    bool udp = true;
    PortRange ports;
    Protocol trigger_protocol = Protocol::kUdp;
    uint16_t trigger_port = 0;
    Seconds idle{300};
    TriggerAccess access = TriggerAccess::kContacted;
    friend bool operator==(const TriggerForwardSettings&, const TriggerForwardSettings&) = default;
};

// Another timeout of a UDP session, or of an established TCP session, by its remote port.
struct PortTimeout {
    Protocol protocol = Protocol::kUdp;
    PortRange ports;
    Seconds timeout;
    friend bool operator==(const PortTimeout&, const PortTimeout&) = default;
};
inline constexpr size_t kMaxPortTimeouts = 15;  // a session names its own in four bits

// Of a session of SCTP, DCCP, GRE or ESP that nobody outside has answered: twice what RFC 5382 asks for TCP, for DCCP needs it.
inline constexpr Seconds kUnansweredFor{480};

struct TimeoutSettings {
    Seconds tcp_established{7440};  // RFC 5382 REQ-5
    Seconds tcp_transitory{240};    // RFC 5382 REQ-5
    Seconds tcp_closing{240};       // RFC 7857 2.1
    Seconds udp{300};               // RFC 4787 REQ-5c
    Seconds icmp{60};               // RFC 5508 REQ-2
    Seconds association{7440};      // SCTP and DCCP: as TCP's (RFC 5597)
    Seconds tunnel{600};            // GRE and ESP
    Seconds fragment{2};            // RFC 6146 3.4: how late a datagram's first fragment may come
    std::vector<PortTimeout> by_remote_port{};  // at most kMaxPortTimeouts, disjoint
    friend bool operator==(const TimeoutSettings&, const TimeoutSettings&) = default;
};

struct TableLimits {  // of the whole appliance
    uint32_t sessions = 1048576;
    uint32_t mappings = 1048576;
    uint32_t subscribers = 65536;
    uint32_t fragments = 4096;  // datagrams that come in fragments, at a time
    uint32_t address_only_sessions =
        65536;  // of all protocols of which only the address is translated
    // In a full session table one that nobody has answered makes room for a new one. RFC 6888 REQ-11
    // forbids it, so it is off.
    bool unreplied_make_room = false;
    friend bool operator==(const TableLimits&, const TableLimits&) = default;
};

enum EventClass : uint8_t {  // what is logged
    kLogMappings = 1 << 0,
    kLogBlocks = 1 << 1,
    kLogLimits = 1 << 2,
    kLogSessions =
        1 << 3,  // tells where subscribers go: only where it is required (RFC 6888 REQ-12)
    kLogInvalid = 1 << 4,  // the same; TCP segments out of their window, or without a connection
};
enum class OnLogLoss : uint8_t {
    kRefuse,  // what cannot be logged is not made
    kCount,   // it is made; what is lost is counted
};

struct EventSettings {
    uint8_t logged = 0;         // EventClass; 0: no log
    uint32_t ring = 64 * 1024;  // events of each shard's ring, a power of two
    OnLogLoss on_loss = OnLogLoss::kRefuse;
    friend bool operator==(const EventSettings&, const EventSettings&) = default;
};

// What subscribers may ask of their mappings themselves (RFC 6888 REQ-9): by PCP, and NAT-PMP.
struct PcpSettings {
    bool enabled = true;
    Seconds min_lifetime{120};  // RFC 6887 15
    Seconds max_lifetime{86400};
    uint32_t mappings_per_subscriber = 64;
    uint32_t mappings = 65536;  // of the whole appliance
    friend bool operator==(const PcpSettings&, const PcpSettings&) = default;
};

struct NatSettings {
    std::vector<PoolSettings> pools;       // by PoolId
    std::vector<PolicySettings> policies;  // by PolicyId; first match wins
    std::vector<StaticMappingSettings> static_mappings;
    std::vector<DestinationNatSettings> destination_nat;
    std::vector<TriggerForwardSettings> trigger_forwards;
    Ipv4Addr
        local_host{};  // has the appliance's local services: whom the action redirect means; 0.0.0.0: nobody
    // Rules may translate destinations too (dataplane/translate.cc): room for that is taken at start.
    bool has_destination_rules = false;
    TimeoutSettings timeouts;
    TableLimits limits;
    PcpSettings pcp;
    EventSettings events;
    friend bool operator==(const NatSettings&, const NatSettings&) = default;
};

}  // namespace sekisho::nat
