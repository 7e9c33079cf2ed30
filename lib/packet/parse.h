// The parse stage: from bytes to offsets and a flow key, with every check that needs no table.
//
//   Reads     the frame up to the transport header; for an ICMP error the whole datagram (its
//             checksum, RFC 5508 REQ-3).
//   Writes    PacketMeta from `key` to `ttl`, and puts all later fields to their defaults, but not
//             `hash` and `session`, which mean nothing before their stage; of the batch `longest`,
//             `lowest_ttl` and `fragments`; PacketRef::in_link (see below) and the first two FragmentMarks; PacketRef::length and frame_length are cut to the end
//             of the IPv4 packet, so padding is not forwarded.
//   Verdicts  kPending: IPv4 TCP, UDP, ICMP echo or ICMP error, well-formed. kPuntNeighbour: ARP.
//             kDrop with its reason: everything else (of kMulticast with l3_offset, l3_length and direction). TTL 0 is dropped here; TTL 1 is left to the
//             later stages (own addresses still get it).
//   Fragments the first must hold its whole transport header (RFC 1858, 3128); lengths and offsets must be possible. What
//             they are to each other is the table's to judge (dataplane/fragment_table.h).
//   Cost      the usual packet (IPv4 TCP or UDP, no options): three loads of the IP header, one or
//             two of the transport header, no call. Never allocates. Thread: the worker's.
//   Source    RFC 1812 5.2.2, 5.3; RFC 791, 768, 793, 792, 826; RFC 5508; RFC 7126; IEEE 802.1Q.
//
// Links. Several links may share one device and differ by their VLAN tags. rx marks each frame with
// any link of the device (its first); parse looks for the link of that device whose tags are the
// frame's and writes it to in_link. So a packet that comes a second time, from a ring or a held
// list, keeps its link. A tag with VLAN id 0 only carries a priority and counts as none (IEEE
// 802.1Q).
//
// Flags. kHairpin: inbound, whatever the link; kCounted, kHairpin: the station address was checked
// before. kGenerated and kRouteOnly: the appliance's own frame; only l3_offset, l4_offset,
// l3_length, ttl and kind (kArp or kOther) are filled.
#pragma once

#include <cstdint>
#include <span>

#include "base/types.h"
#include "packet/batch.h"
#include "packet/views.h"

namespace sekisho::packet {

// What parse must know of a link; lies in a table by LinkId. 16 bytes.
struct alignas(16) LinkView {
    MacAddr mac;             // the link's own station address
    uint16_t vlans[2] = {};  // host order, outermost first; 0: no tag
    RealmId realm;
    bool internal = true;  // the side
    uint8_t device = 0;    // number of the device; links with the same number share it

    uint32_t tag_ids() const { return uint32_t{vlans[0]} | uint32_t{vlans[1]} << 16; }
    uint8_t vlan_count() const { return static_cast<uint8_t>((vlans[0] != 0) + (vlans[1] != 0)); }
};
static_assert(sizeof(LinkView) == 16);

// The link on the device of `link` that has these tags (as tag_ids() gives them); nullptr: none. Walks the links.
const LinkView* find_link(const LinkView& link, uint32_t tag_ids, std::span<const LinkView> links);

// Parses every packet of the batch. `links` by LinkId.
void parse(Batch& batch, std::span<const LinkView> links);

// One packet; `meta` is overwritten.
void parse_packet(PacketRef& ref, PacketMeta& meta, std::span<const LinkView> links);

// One packet of any kind, with no short way for the usual ones: the specification of the other two.
void parse_any(PacketRef& ref, PacketMeta& meta, std::span<const LinkView> links);

}  // namespace sekisho::packet

namespace sekisho {
using packet::LinkView;
}
