// A batch: the packets of one burst and what the stages have found out about each.
//
//   Owner     the worker that runs the burst. The batch owns its packets; after the last stage each has left it by
//             exactly one verdict.
//   Shape     at most kBurst packets; one 64-byte line of metadata each.
//   Writes    parse fills `key` to `tcp_flags`; later stages write only what is named beside them.
#pragma once

#include <array>
#include <cstdint>

#include "base/drop_reason.h"
#include "base/types.h"
#include "packet/packet.h"

namespace sekisho::packet {

// Where a packet stands. Every packet ends in exactly one place.
enum class Verdict : uint8_t {
    kPending,        // goes on through the stages
    kMiss,           // find: no session; judge and make decide
    kDrop,           // with `reason`
    kHandOff,        // to shard `target`
    kHairpin,        // translated outbound, its second half begins
    kPuntNeighbour,  // to the slow path: ARP, packets to the appliance
    kPuntError,      // to the slow path: an ICMP error is owed (`reason` is counted)
    kHold,           // waits for a port block
    kTransmit,       // routed; out on the link of its next hop
    kCut,            // the same, in pieces that fit
    kKept,           // a fragment, or a segment of a scanned stream, that a table owns now
};

// kAddressOnly: what has no ports that a NAT translates, all of its fragments too; ports and identifier of its key are 0.
// From kIcmpError on: no transport header of the packet's own flow, or none that is translated. A first fragment is what its
// header says.
enum class PacketKind : uint8_t {
    kAddressOnly,
    kTcp,
    kUdp,
    kIcmpQuery,
    kIcmpError,
    kArp,
    kLaterFragment,
    kUntranslated  // make: whatever it is, it is exempt
};
// TCP, UDP or an ICMP query, with its header. One comparison, on every packet's way.
constexpr bool is_usual(PacketKind kind) {
    return static_cast<unsigned>(kind) - 1U < static_cast<unsigned>(PacketKind::kIcmpQuery);
}

// The flow as the packet shows it, in two words of network-order bytes, as they stand in the packet:
//   addresses  source in the low 4 bytes, destination in the high 4 bytes
//   rest       source port (bytes 0-1), destination port (2-3), protocol (4), realm (5), two zero bytes
// For an ICMP query the identifier is the port of the querying side, the other port is 0. For an ICMP error it is the
// flow of the quoted packet with its ends swapped: the flow to which the error belongs, in the error's direction. The ports
// of a later fragment are those that PacketRef brings with it, or 0.
struct FlowKey {
    uint64_t addresses = 0;
    uint64_t rest = 0;

    // NOLINTNEXTLINE(readability-function-size): a five-tuple and its realm are six
    static constexpr FlowKey of(
        Ipv4Addr src, Ipv4Addr dst, Port sport, Port dport, Protocol protocol, RealmId realm
    ) {
        return FlowKey{
            uint64_t{src.raw} | uint64_t{dst.raw} << 32,
            uint64_t{sport.raw} | uint64_t{dport.raw} << 16 |
                uint64_t{static_cast<uint8_t>(protocol)} << 32 | uint64_t{realm.value} << 40};
    }
    constexpr Ipv4Addr source() const { return {static_cast<uint32_t>(addresses)}; }
    constexpr Ipv4Addr destination() const { return {static_cast<uint32_t>(addresses >> 32)}; }
    constexpr Port source_port() const { return {static_cast<uint16_t>(rest)}; }
    constexpr Port destination_port() const { return {static_cast<uint16_t>(rest >> 16)}; }
    constexpr uint32_t ports() const { return static_cast<uint32_t>(rest); }
    constexpr Protocol protocol() const {
        return static_cast<Protocol>(static_cast<uint8_t>(rest >> 32));
    }
    constexpr RealmId realm() const { return {static_cast<uint8_t>(rest >> 40)}; }
    friend constexpr bool operator==(const FlowKey&, const FlowKey&) = default;
};

// In tcp_flags of an ICMP query: it answers one.
inline constexpr uint8_t kIcmpReply = 1;

struct alignas(64) PacketMeta {
    FlowKey key;        // parse; realm: the link's for outbound, kExternalRealm for inbound
    uint64_t hash = 0;  // find
    void* session =
        nullptr;  // find, make: flow::Session* of this packet, or a scratch one for mapping-only packets
    uint16_t l3_offset = 0;     // parse: of the IPv4 header in the frame
    uint16_t l4_offset = 0;     // parse: of the TCP, UDP or ICMP header in the frame
    uint16_t l3_length = 0;     // parse: IPv4 total length
    uint16_t quote_offset = 0;  // parse: of the quoted IPv4 header (ICMP errors), else 0
    Verdict verdict = Verdict::kPending;
    DropReason reason{};                         // with kDrop and kPuntError
    PacketKind kind = PacketKind::kAddressOnly;  // parse
    Direction direction = Direction::kOutbound;  // parse
    uint8_t tcp_flags = 0;                       // parse; of an ICMP query kIcmpReply or 0
    uint8_t ttl = 0;                             // parse
    ShardId target;                              // steer, write: with kHandOff and kHairpin
    LinkId out_link;                             // route
    uint32_t session_index = kNoIndex;           // find, make
    NeighbourId next_hop;                        // route
    uint16_t error_detail =
        0;  // with kPuntError: of kTooBig the MTU to report, of a refusal the ICMP code
};
// In error_detail: TCP is refused by a reset.
inline constexpr uint16_t kRefuseByReset = 0x100;
static_assert(sizeof(PacketMeta) == 64);

struct Batch {
    uint32_t count = 0;
    uint16_t longest = 0;    // parse: the largest l3_length of the burst
    uint8_t lowest_ttl = 0;  // parse: the least TTL of the burst if it is 0 or 1, else at least 2
    uint8_t fragments = 0;   // parse: all marks that its fragments have
    std::array<PacketRef, kBurst> ref;
    std::array<PacketMeta, kBurst> meta;

    // Ends packet `i` as a drop.
    void drop(uint32_t i, DropReason reason) {
        meta[i].verdict = Verdict::kDrop;
        meta[i].reason = reason;
    }
};

}  // namespace sekisho::packet

namespace sekisho {
using packet::Batch;
using packet::FlowKey;
using packet::PacketKind;
using packet::PacketMeta;
using packet::Verdict;
}  // namespace sekisho
