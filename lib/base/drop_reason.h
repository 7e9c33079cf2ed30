// Why a packet was dropped: one table holds symbol, operator text, sentence and source of each reason.
//
//   X(symbol, text, sentence, source)   text is the stable name in counters, CLI and JSON.
//   Thread    constant data. Counting is lib/base/counters.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

// clang-format off
#define SEKISHO_DROP_REASONS(X)                                                                                       \
    /* link and Ethernet */                                                                                           \
    X(kTruncatedFrame,     "truncated-frame",      "the frame ends before its Ethernet or VLAN header does", "IEEE 802.3") \
    X(kForeignMac,         "foreign-mac",          "the frame is addressed to another station", "IEEE 802.3")         \
    X(kLinkBroadcast,      "link-broadcast",       "an IPv4 packet came in a broadcast or multicast frame", "RFC 1812 5.3.4") \
    X(kUnknownVlan,        "unknown-vlan",         "no link is configured for the frame's VLAN tags", "IEEE 802.1Q")  \
    X(kNotIpv4,            "not-ipv4",             "the frame carries neither IPv4 nor ARP", "ARCHITECTURE 1")        \
    X(kMalformedArp,       "malformed-arp",        "the ARP packet is truncated or not for Ethernet and IPv4", "RFC 826") \
    X(kSegmentedHeader,    "segmented-header",     "the headers are spread over several buffers", "ARCHITECTURE 1")   \
    /* IPv4 */                                                                                                        \
    X(kTruncatedIp,        "truncated-ip",         "the frame ends before the IPv4 header does", "RFC 791")           \
    X(kBadIpHeader,        "bad-ip-header",        "version or header length of the IPv4 header is wrong", "RFC 791") \
    X(kBadIpLength,        "bad-ip-length",        "the IPv4 total length is below its header or beyond the frame", "RFC 791") \
    X(kBadIpChecksum,      "bad-ip-checksum",      "the IPv4 header checksum is wrong", "RFC 1812 5.2.2")             \
    X(kMartianSource,      "martian-source",       "the source cannot be a unicast host's address", "RFC 1812 5.3.7") \
    X(kMartianDestination, "martian-destination",  "the destination is not a routable unicast address", "RFC 1812 5.3.7") \
    X(kMulticast,          "multicast",            "the destination is a multicast address", "RFC 1112")              \
    X(kSpoofedSource,      "spoofed-source",       "the source is an own or a pool's address, or none of the side from which the packet came", "RFC 2827") \
    X(kSourceRouted,       "source-routed",        "the IPv4 header carries a source route option", "RFC 7126")       \
    X(kTtlExceeded,        "ttl-exceeded",         "the time to live ran out here", "RFC 1812 5.3.1")                 \
    X(kFragment,           "fragment",             "a fragment of an ICMP error or of a packet to the appliance", "RFC 1122 3.3.2") \
    X(kBadFragment,        "bad-fragment",         "a fragment without data, or one in the middle whose length is no multiple of 8", "RFC 791") \
    X(kTinyFragment,       "tiny-fragment",        "a first fragment without its whole transport header, or one that begins within it", "RFC 1858, RFC 3128") \
    X(kOversizedDatagram,  "oversized-datagram",   "the fragment ends behind the last byte that a datagram can have", "RFC 791") \
    X(kOverlappingFragment,"overlapping-fragment", "fragments of the datagram overlap or contradict each other", "RFC 5722, RFC 1858") \
    X(kDuplicateFragment,  "duplicate-fragment",   "what the fragment brings is there already", "RFC 791")            \
    X(kFragmentTimeout,    "fragment-timeout",     "the datagram's first fragment, or one of those that are to be searched together, did not come in time", "RFC 4787 REQ-14a") \
    X(kFragmentOverflow,   "fragment-overflow",    "too many datagrams are incomplete, or too many of one's fragments wait", "RFC 4787 REQ-14a") \
    X(kFragmentOrphan,     "fragment-orphan",      "the session of the datagram's first fragment is gone", "RFC 4787 REQ-14") \
    X(kUnknownProtocol,    "unknown-protocol",     "the IPv4 protocol is none that is translated", "RFC 3022")      \
    /* TCP, UDP, ICMP */                                                                                              \
    X(kTruncatedTransport, "truncated-transport",  "the packet ends before its TCP, UDP or ICMP header does", "RFC 793, 768, 792") \
    X(kBadTransportLength, "bad-transport-length", "the TCP data offset or the UDP length is impossible", "RFC 793, 768") \
    X(kBadTransportChecksum,"bad-transport-checksum","the transport checksum is wrong, as the NIC says or, of TCP, the search of payloads", "RFC 1122")        \
    X(kBadTcpFlags,        "bad-tcp-flags",        "a combination of TCP flags that no stack sends", "RFC 793")       \
    X(kPortZero,           "port-zero",            "source or destination port is zero", "RFC 6335")                  \
    X(kIcmpUnsupported,    "icmp-unsupported",     "an ICMP message that a NAT does not carry", "RFC 5508 REQ-10")    \
    X(kBadIcmpChecksum,    "bad-icmp-checksum",    "the checksum of an ICMP error is wrong", "RFC 5508 REQ-3")        \
    X(kBadIcmpQuote,       "bad-icmp-quote",       "the packet quoted by an ICMP error is truncated or malformed", "RFC 5508 REQ-3") \
    /* NAT */                                                                                                         \
    X(kNoPolicy,           "no-policy",            "no policy covers the subscriber", "ARCHITECTURE 3")               \
    X(kNoMapping,          "no-mapping",           "nothing inside has this external endpoint", "RFC 4787")           \
    X(kFiltered,           "filtered",             "the filtering behaviour admits no such remote endpoint", "RFC 4787 REQ-8") \
    X(kNoSession,          "no-session",           "a TCP segment that opens nothing and belongs to no session", "RFC 5382 REQ-2") \
    X(kIcmpNoSession,      "icmp-no-session",      "an ICMP error or reply that belongs to no mapping", "RFC 5508 REQ-4, 5") \
    X(kRemoteTaken,        "remote-taken",         "another host behind the external address has this remote address, of a protocol without ports to translate", "RFC 3022 4.1") \
    X(kTcpUnsolicited,     "tcp-unsolicited",      "too many openings from outside are unanswered", "ARCHITECTURE 3") \
    X(kTcpOutOfWindow,     "tcp-out-of-window",    "the segment lies outside of its connection's window", "RFC 9293 3.10.7.4") \
    X(kPoolExhausted,      "pool-exhausted",       "no free port block is left for the subscriber", "RFC 6888 REQ-11") \
    X(kSubscriberPortLimit,"subscriber-port-limit","the subscriber's limit of ports or port blocks is reached", "RFC 6888 REQ-4") \
    X(kSubscriberSessionLimit,"subscriber-session-limit","the subscriber's limit of sessions is reached", "RFC 6888 REQ-5") \
    X(kSubscriberMappingLimit,"subscriber-mapping-limit","the subscriber's limit of mappings is reached", "RFC 6888 REQ-5") \
    X(kSubscriberHalfOpen, "subscriber-half-open", "the subscriber's limit of TCP openings without a handshake is reached", "RFC 6888 REQ-5") \
    X(kSubscriberRate,     "subscriber-rate",      "the subscriber opens sessions faster than its limit", "RFC 6888 REQ-4") \
    X(kSessionTableFull,   "session-table-full",   "the session table is full", "RFC 6888 REQ-11")                    \
    X(kMappingTableFull,   "mapping-table-full",   "the mapping table is full", "RFC 6888 REQ-11")                    \
    X(kSubscriberTableFull,"subscriber-table-full","the subscriber table is full", "RFC 6888 REQ-11")                 \
    X(kAddressOnlyFull,    "address-only-full",    "the table of sessions of protocols without ports to translate is full", "RFC 6888 REQ-11") \
    X(kTargetInUse,        "target-in-use",        "to its target the redirected flow would look like another one", "RFC 3022 2.2")  \
    X(kStaleOwner,         "stale-owner",          "the port block changed its owner while the packet was on its way", "ARCHITECTURE 2") \
    X(kAddressWithdrawn,   "address-withdrawn",    "the mapping's external address is the appliance's no more; the mapping ends in a moment", "SEEDS B1") \
    X(kHeldOverflow,       "held-overflow",        "too many packets wait for a port block", "ARCHITECTURE 2")        \
    X(kLogFull,            "log-full",             "what the packet would make could not be logged", "ARCHITECTURE 6")  \
    X(kDeniedByRule,       "denied-by-rule",       "a rule denies or rejects it", "ARCHITECTURE 5")                        \
    /* scanned streams */                                                                                             \
    X(kStreamContradiction,"stream-contradiction", "the segment repeats bytes of a scanned stream, but not as they were", "ARCHITECTURE 5") \
    X(kStreamDuplicate,    "stream-duplicate",     "the same bytes of a scanned stream wait already for those before them", "ARCHITECTURE 5") \
    X(kStreamHeldOverflow, "stream-held-overflow", "too many segments of scanned streams wait for those before them, or it lies too far ahead", "ARCHITECTURE 5") \
    X(kStreamHeldTimeout,  "stream-held-timeout",  "the bytes before those of the segment did not come in time", "ARCHITECTURE 5") \
    X(kStreamInFlight,     "stream-in-flight",     "too much of a scanned stream is under way without being acknowledged", "ARCHITECTURE 5") \
    X(kScanOverload,       "scan-overload",        "rules ask for its payload, and too many flows are scanned already, or it is too large to be searched", "ARCHITECTURE 5") \
    X(kStreamOrphan,       "stream-orphan",        "the session ended while the segment waited for those before it", "ARCHITECTURE 5") \
    /* routing and transmission */                                                                                    \
    X(kNotForwarded,       "not-forwarded",        "neither the appliance nor a pool has this address, and nothing is routed between two links of a side", "RFC 3022") \
    X(kToAppliance,        "to-appliance",         "addressed to the appliance, which offers nothing there", "RFC 1122") \
    X(kNoRoute,            "no-route",             "no route leads to the destination", "RFC 1812")                   \
    X(kWrongSide,          "wrong-side",           "the route leads back to the side that the packet came from", "RFC 3022") \
    X(kTooBig,             "too-big",              "larger than the next link's MTU", "RFC 1191, RFC 4787 REQ-13")    \
    X(kNeighbourUnresolved,"neighbour-unresolved", "the next hop does not answer ARP", "RFC 1122 2.3.2.2")            \
    X(kNeighbourQueueFull, "neighbour-queue-full", "too many packets wait for a next hop's address", "RFC 1122 2.3.2.2") \
    X(kTxRefused,          "tx-refused",           "the link's transmit queue was full", "ARCHITECTURE 1")            \
    X(kRateLimited,        "rate-limited",         "the slow path answers no faster", "RFC 1812 4.3.2.8")             \
    /* inside */                                                                                                      \
    X(kHandOffRingFull,    "hand-off-ring-full",   "the ring to another worker was full", "ARCHITECTURE 2")           \
    X(kSlowPathRingFull,   "slow-path-ring-full",  "the ring to the slow path was full", "ARCHITECTURE 4")            \
    X(kTooManyHops,        "too-many-hops",        "handed from worker to worker more than five times", "ARCHITECTURE 2") \
    X(kNoBuffer,           "no-buffer",            "no packet buffer was left for a generated packet", "ARCHITECTURE 1") \
    X(kShutdown,           "shutdown",             "held or queued when the appliance stopped", "ARCHITECTURE 1")     \
    X(kBug,                "internal-error",       "a bug: please report it", "STYLE 9")
// clang-format on

namespace sekisho::base {

enum class DropReason : uint8_t {
#define SEKISHO_X(symbol, text, sentence, source) symbol,
    SEKISHO_DROP_REASONS(SEKISHO_X)
#undef SEKISHO_X
};

struct DropReasonInfo {
    std::string_view text;      // stable name in counters, CLI and JSON
    std::string_view sentence;  // for people
    std::string_view source;    // where the rule stands
};

inline constexpr DropReasonInfo kDropReasons[] = {
#define SEKISHO_X(symbol, text, sentence, source) {text, sentence, source},
    SEKISHO_DROP_REASONS(SEKISHO_X)
#undef SEKISHO_X
};
inline constexpr size_t kDropReasonCount = sizeof(kDropReasons) / sizeof(kDropReasons[0]);

constexpr const DropReasonInfo& info(DropReason r) {
    return kDropReasons[static_cast<size_t>(r)];
}

}  // namespace sekisho::base

namespace sekisho {
using base::DropReason;
}
