// The parse stage for any packet: every check in its order, each with its named drop.
#include <algorithm>
#include <cstddef>
#include <optional>

#include "base/mutation.h"
#include "packet/checksum.h"
#include "packet/parse.h"

namespace sekisho::packet {
namespace {

constexpr uint8_t kGroupBit = 0x01;  // of the first byte of a station address

// Ethernet types as they lie in memory.
constexpr uint16_t kRawIpv4 = base::swap16(kEtherIpv4);
constexpr uint16_t kRawArp = base::swap16(kEtherArp);
constexpr uint16_t kRawVlan = base::swap16(kEtherVlan);
constexpr uint16_t kRawQinq = base::swap16(kEtherQinq);

// A combination of flags that no stack sends: none of the six classic ones, or SYN with FIN or RST.
bool is_impossible(uint8_t flags) {
    const bool syn_and_end = (flags & kSyn) != 0 && (flags & (kFin | kRst)) != 0;
    return (flags & (kFin | kSyn | kRst | kPsh | kAck | kUrg)) == 0 || syn_and_end;
}

void drop(PacketMeta& meta, DropReason reason) {
    meta = PacketMeta{};
    meta.verdict = Verdict::kDrop;
    meta.reason = reason;
}

// The bytes up to `end` are not in the first segment: either elsewhere in the buffer chain, or
// nowhere.
void drop_short(const PacketRef& ref, PacketMeta& meta, size_t end, DropReason reason) {
    drop(meta, end <= ref.frame_length ? DropReason::kSegmentedHeader : reason);
}

// The first byte of an address in network order: neither 0, 127 nor 224 and above.
bool is_unicast(uint8_t first) {
    return static_cast<uint8_t>(first - 1) < 223 && first != 127;
}

constexpr bool is_group(uint8_t first) {
    return first >= 224 && first < 240;
}

// What is known of a packet while it is parsed.
struct Cursor {
    PacketRef* ref;
    PacketMeta* meta;
    const uint8_t* data;  // ref's
    size_t length;        // ref's: bytes that may be read
    uint64_t addresses;   // as they lie in the packet
    uint32_t l3;          // offset of the IPv4 header
    uint32_t l4;          // offset of the transport header
    uint32_t payload;     // bytes of transport header and payload
    uint8_t flags;        // ref's
    uint8_t ttl;
    RealmId realm;  // for the key
    Direction direction;
};

// What the transport header says.
struct Transport {
    PacketKind kind;
    uint8_t protocol;
    uint8_t tcp_flags = 0;
    uint32_t ports;
    uint32_t quote_offset = 0;
};

// A packet to a group is dropped, too, unless the configuration has a way for it: it may, as its header is whole.
void drop_martian(const Cursor& c) {
    if (!is_unicast(static_cast<uint8_t>(c.addresses))) {
        return drop(*c.meta, DropReason::kMartianSource);
    }
    if (!is_group(static_cast<uint8_t>(c.addresses >> 32))) {
        return drop(*c.meta, DropReason::kMartianDestination);
    }
    drop(*c.meta, DropReason::kMulticast);
    c.meta->l3_offset = static_cast<uint16_t>(c.l3);
    c.meta->l3_length = static_cast<uint16_t>(c.l4 - c.l3 + c.payload);
    c.meta->direction = c.direction;
}

void pass(const Cursor& c, const Transport& t) {
    PacketMeta& meta = *c.meta;
    meta = PacketMeta{};
    meta.key = FlowKey{
        c.addresses,
        uint64_t{t.ports} | uint64_t{t.protocol} << 32 | uint64_t{c.realm.value} << 40};
    meta.l3_offset = static_cast<uint16_t>(c.l3);
    meta.l4_offset = static_cast<uint16_t>(c.l4);
    meta.l3_length = static_cast<uint16_t>(c.l4 - c.l3 + c.payload);
    meta.quote_offset = static_cast<uint16_t>(t.quote_offset);
    meta.kind = t.kind;
    meta.direction = c.direction;
    meta.tcp_flags = t.tcp_flags;
    meta.ttl = c.ttl;
}

// Whether the options can be walked to their end and none is a source route.
std::optional<DropReason> check_options(Bytes options) {
    size_t i = 0;
    while (i < options.size() && options[i] != kOptionEnd) {
        if (options[i] == kOptionNop) {
            ++i;
            continue;
        }
        if (i + 1 >= options.size() || options[i + 1] < 2 || options[i + 1] > options.size() - i) {
            return DropReason::kBadIpHeader;
        }
        if (options[i] == kOptionLooseSourceRoute || options[i] == kOptionStrictSourceRoute) {
            return DropReason::kSourceRouted;
        }
        i += options[i + 1];
    }
    return std::nullopt;
}

// The ports of the flow that the quoted packet belongs to, with its ends swapped; empty if it is
// none that a NAT knows.
std::optional<uint32_t> quoted_ports(uint8_t protocol, const uint8_t* l4) {
    if (is_address_only(static_cast<Protocol>(protocol))) {
        return 0;
    }
    if (protocol == static_cast<uint8_t>(Protocol::kIcmp)) {
        const uint32_t id = load<uint16_t>(l4 + offset::kIcmpIdentifier);
        if (l4[0] == kIcmpEchoRequest) {
            return id << 16;
        }
        return l4[0] == kIcmpEchoReply ? std::optional(id) : std::nullopt;
    }
    if (protocol != static_cast<uint8_t>(Protocol::kTcp) &&
        protocol != static_cast<uint8_t>(Protocol::kUdp)) {
        return std::nullopt;
    }
    const auto ports = load<uint32_t>(l4);
    if ((ports & 0xffff) == 0 || ports >> 16 == 0) {
        return std::nullopt;
    }
    return ports << 16 | ports >> 16;
}

bool has_header(const Cursor& c, size_t needed) {
    return c.payload >= needed && c.l4 + needed <= c.length;
}

// RFC 1858: of a fragment it is no accident.
DropReason truncated(const Cursor& c) {
    return c.ref->fragment != 0 ? DropReason::kTinyFragment : DropReason::kTruncatedTransport;
}

void drop_short_transport(const Cursor& c, size_t needed) {
    drop(*c.meta, c.payload < needed ? truncated(c) : DropReason::kSegmentedHeader);
}

// What is known of a fragment's datagram stays with it; anything else has no marks.
void take_marks(PacketRef& ref, uint8_t marks) {
    constexpr uint8_t kKnown = kFragmentNoted | kFragmentBound;
    ref.fragment = marks == 0 ? uint8_t{0} : static_cast<uint8_t>(marks | (ref.fragment & kKnown));
}

// The marks of a header whose first 8 bytes are `word0`.
uint8_t marks_of(uint64_t word0) {
    const uint16_t word = Be16{static_cast<uint16_t>(word0 >> 48)}.host();
    if ((word & (kMoreFragments | kFragmentOffsetMask)) == 0) {
        return 0;
    }
    return (word & kFragmentOffsetMask) == 0 ? kFragment : kFragment | kLaterFragment;
}

// RFC 5508 REQ-3: the error's checksum, the quoted header's checksum, options walked, the quoted
// transport left alone.
void parse_icmp_error(Cursor& c) {
    const Bytes datagram(c.data + c.l4, c.payload);
    if (!verifies(datagram)) {
        return drop(*c.meta, DropReason::kBadIcmpChecksum);
    }
    constexpr size_t kExtensionLength = 5;  // RFC 4884 5
    if (is_mutated(Mutation::kRfc5508Req3d) && datagram[kExtensionLength] != 0) {
        return drop(*c.meta, DropReason::kBadIcmpQuote);
    }
    const Bytes quote = datagram.subspan(kIcmpHeader);
    const auto inner = Ipv4View::at(quote);
    if (!inner || inner->header_length() + 8 > quote.size() ||
        inner->total_length() < inner->header_length() + 8 || inner->fragment_offset() != 0 ||
        !verifies(inner->header())) {
        return drop(*c.meta, DropReason::kBadIcmpQuote);
    }
    const auto ports = quoted_ports(inner->protocol(), quote.data() + inner->header_length());
    if (!ports) {
        return drop(*c.meta, DropReason::kBadIcmpQuote);
    }
    const auto addresses = load<uint64_t>(quote.data() + offset::kIpSource);
    // Who is told must be who sent the quoted packet: an error does not go to anybody else.
    if (static_cast<uint32_t>(addresses) != c.addresses >> 32) {
        return drop(*c.meta, DropReason::kBadIcmpQuote);
    }
    c.addresses = addresses << 32 | addresses >> 32;
    const auto quote_offset = static_cast<uint32_t>(c.l4 + kIcmpHeader);
    pass(c, {PacketKind::kIcmpError, inner->protocol(), 0, *ports, quote_offset});
}

void parse_icmp(Cursor& c) {
    if (!has_header(c, kIcmpHeader)) {
        return drop_short_transport(c, kIcmpHeader);
    }
    constexpr auto kProtocol = static_cast<uint8_t>(Protocol::kIcmp);
    const uint8_t* icmp = c.data + c.l4;
    const uint32_t identifier = load<uint16_t>(icmp + offset::kIcmpIdentifier);
    const uint8_t type = icmp[offset::kIcmpType];
    if ((is_mutated(Mutation::kRfc5508Req1) && type == kIcmpEchoReply) ||
        (is_mutated(Mutation::kRfc5508Req10aUnreachable) && type == kIcmpUnreachable) ||
        (is_mutated(Mutation::kRfc5508Req10aTimeExceeded) && type == kIcmpTimeExceeded)) {
        return drop(*c.meta, DropReason::kIcmpUnsupported);
    }
    switch (type) {
        case kIcmpEchoRequest:
            return pass(c, {PacketKind::kIcmpQuery, kProtocol, 0, identifier});
        case kIcmpEchoReply:
            return pass(c, {PacketKind::kIcmpQuery, kProtocol, kIcmpReply, identifier << 16});
        case kIcmpUnreachable:
        case kIcmpTimeExceeded:
        case kIcmpParameterProblem:
            if (c.ref->fragment != 0) {
                return drop(*c.meta, DropReason::kFragment);
            }
            if (c.l4 + c.payload > c.length) {
                return drop(*c.meta, DropReason::kSegmentedHeader);
            }
            return parse_icmp_error(c);
        default:
            return drop(*c.meta, DropReason::kIcmpUnsupported);
    }
}

bool has_port_zero(uint32_t ports) {
    return (ports & 0xffff) == 0 || ports <= 0xffff;
}

void parse_tcp(const Cursor& c) {
    if (!has_header(c, kTcpHeader)) {
        return drop_short_transport(c, kTcpHeader);
    }
    const uint8_t* tcp = c.data + c.l4;
    const size_t header = size_t{4} * (tcp[offset::kTcpOffset] >> 4);
    if (header < kTcpHeader || (header > c.payload && c.ref->fragment == 0)) {
        return drop(*c.meta, DropReason::kBadTransportLength);
    }
    if (!has_header(c, header)) {
        return drop_short_transport(c, header);
    }
    const auto ports = load<uint32_t>(tcp);
    const uint8_t flags = tcp[offset::kTcpFlags];
    if (has_port_zero(ports)) {
        return drop(*c.meta, DropReason::kPortZero);
    }
    if (is_impossible(flags)) {
        return drop(*c.meta, DropReason::kBadTcpFlags);
    }
    pass(c, {PacketKind::kTcp, static_cast<uint8_t>(Protocol::kTcp), flags, ports});
}

void parse_udp(const Cursor& c) {
    if (!has_header(c, kUdpHeader)) {
        return drop_short_transport(c, kUdpHeader);
    }
    const auto header = load<uint64_t>(c.data + c.l4);
    const size_t length = base::swap16(static_cast<uint16_t>(header >> 32));
    const bool too_long = length > c.payload && c.ref->fragment == 0;  // else it names the whole
    if (length < kUdpHeader || too_long) {
        return drop(*c.meta, DropReason::kBadTransportLength);
    }
    const auto ports = static_cast<uint32_t>(header);
    if (has_port_zero(ports)) {
        return drop(*c.meta, DropReason::kPortZero);
    }
    pass(c, {PacketKind::kUdp, static_cast<uint8_t>(Protocol::kUdp), 0, ports});
}

bool is_translated(uint8_t protocol) {
    return protocol == static_cast<uint8_t>(Protocol::kTcp) ||
           protocol == static_cast<uint8_t>(Protocol::kUdp) ||
           protocol == static_cast<uint8_t>(Protocol::kIcmp);
}

// Up to the checksum, where that covers the addresses.
size_t needed_of_address_only(Protocol protocol) {
    switch (protocol) {
        case Protocol::kSctp:
            return kSctpHeader;
        case Protocol::kDccp:
            return kDccpHeader;
        case Protocol::kGre:
            return kGreHeader;
        default:
            return kUdpHeader;  // UDP-Lite's, and ESP's
    }
}

// Its fragments need not wait for each other: all have the same flow.
void parse_address_only(const Cursor& c, uint8_t protocol) {
    const size_t needed = needed_of_address_only(static_cast<Protocol>(protocol));
    const bool is_later = (c.ref->fragment & kLaterFragment) != 0;
    if (!is_later && !has_header(c, needed)) {
        return drop_short_transport(c, needed);
    }
    pass(c, {PacketKind::kAddressOnly, protocol, 0, 0});
}

// What a fragment says of itself that cannot be. A later one must not reach back into what must be in the first (RFC 3128).
std::optional<DropReason> check_fragment(const Cursor& c, uint64_t word0, uint8_t protocol) {
    constexpr size_t kLongestDatagram = 65535;
    const uint16_t word = Be16{static_cast<uint16_t>(word0 >> 48)}.host();
    const size_t begin = size_t{8} * (word & kFragmentOffsetMask);
    const bool more = (word & kMoreFragments) != 0;
    if (c.payload == 0 || (more && c.payload % 8 != 0)) {
        return DropReason::kBadFragment;
    }
    if (c.l4 - c.l3 + begin + c.payload > kLongestDatagram) {
        return DropReason::kOversizedDatagram;
    }
    const bool reaches_back =
        protocol == static_cast<uint8_t>(Protocol::kTcp) && begin > 0 && begin < kTcpHeader;
    return reaches_back ? std::optional(DropReason::kTinyFragment) : std::nullopt;
}

void pass_later_fragment(const Cursor& c, uint8_t protocol) {
    if (!is_translated(protocol)) {
        return drop(*c.meta, DropReason::kUnknownProtocol);
    }
    const bool known = (c.ref->fragment & kFragmentBound) != 0;
    pass(c, {PacketKind::kLaterFragment, protocol, 0, known ? c.ref->fragment_ports : 0});
}

// Everything behind the IPv4 header; `word0` and `word8` are its first 12 bytes.
void parse_l3_payload(Cursor& c, uint64_t word0, uint32_t word8) {
    const auto source = static_cast<uint8_t>(c.addresses);
    const auto destination = static_cast<uint8_t>(c.addresses >> 32);
    if (!is_unicast(source) || !is_unicast(destination)) {
        return drop_martian(c);
    }
    const auto protocol = static_cast<uint8_t>(word8 >> 8);
    c.ttl = static_cast<uint8_t>(word8);
    if (c.ttl == 0) {
        return drop(*c.meta, DropReason::kTtlExceeded);
    }
    if (c.ref->fragment != 0) {
        if (const auto reason = check_fragment(c, word0, protocol)) {
            return drop(*c.meta, *reason);
        }
        if ((c.ref->fragment & kLaterFragment) != 0 &&
            !is_address_only(static_cast<Protocol>(protocol))) {
            return pass_later_fragment(c, protocol);
        }
    } else if ((c.flags & kL4ChecksumBad) != 0) {  // a NIC cannot verify a fragment's
        return drop(*c.meta, DropReason::kBadTransportChecksum);
    }
    if (protocol == static_cast<uint8_t>(Protocol::kTcp)) {
        parse_tcp(c);
    } else if (protocol == static_cast<uint8_t>(Protocol::kUdp)) {
        parse_udp(c);
    } else if (protocol == static_cast<uint8_t>(Protocol::kIcmp)) {
        parse_icmp(c);
    } else if (is_address_only(static_cast<Protocol>(protocol))) {
        parse_address_only(c, protocol);
    } else {
        drop(*c.meta, DropReason::kUnknownProtocol);
    }
}

// Total length against header and frame; cuts the frame's padding. False: to be dropped.
bool take_length(Cursor& c, uint32_t header, uint64_t word0) {
    const uint32_t total = base::swap16(static_cast<uint16_t>(word0 >> 16));
    const uint32_t end = c.l3 + total;
    if (total < header || end > c.ref->frame_length) {
        return false;
    }
    c.length = std::min<size_t>(c.length, end);
    c.ref->frame_length = static_cast<uint16_t>(end);
    c.ref->length = static_cast<uint16_t>(c.length);
    c.l4 = c.l3 + header;
    c.payload = total - header;
    return true;
}

void parse_ipv4(Cursor& c) {
    if (c.l3 + kIpv4Header > c.length) {
        return drop_short(*c.ref, *c.meta, c.l3 + kIpv4Header, DropReason::kTruncatedIp);
    }
    if ((c.flags & kIpChecksumBad) != 0) {
        return drop(*c.meta, DropReason::kBadIpChecksum);
    }
    const uint8_t* ip = c.data + c.l3;
    const auto header = static_cast<uint32_t>(4 * (ip[0] & 0xf));
    if (ip[0] >> 4 != 4 || header < kIpv4Header) {
        return drop(*c.meta, DropReason::kBadIpHeader);
    }
    if (c.l3 + header > c.length) {
        return drop_short(*c.ref, *c.meta, c.l3 + header, DropReason::kTruncatedIp);
    }
    const auto word0 = load<uint64_t>(ip);
    if (!take_length(c, header, word0)) {
        return drop(*c.meta, DropReason::kBadIpLength);
    }
    const Bytes bytes(ip, header);
    if ((c.flags & kIpChecksumGood) == 0 && !verifies(bytes)) {
        return drop(*c.meta, DropReason::kBadIpChecksum);
    }
    if (const auto reason = check_options(bytes.subspan(kIpv4Header))) {
        return drop(*c.meta, *reason);
    }
    c.addresses = load<uint64_t>(ip + offset::kIpSource);
    take_marks(*c.ref, marks_of(word0));
    parse_l3_payload(c, word0, load<uint32_t>(ip + 8));
}

// The Ethernet type behind the tags, and what they say.
struct Tags {
    uint16_t type;     // as it lies in memory
    size_t end;        // offset of what follows
    uint32_t ids = 0;  // as LinkView::vlans lies in memory
};

bool is_tag(uint16_t raw_type) {
    return raw_type == kRawVlan || raw_type == kRawQinq;
}

// Walks up to two tags; false: the frame ends within them.
bool walk_tags(const uint8_t* data, size_t length, Tags& tags) {
    unsigned shift = 0;
    for (size_t n = 0; n < kMaxVlanTags && is_tag(tags.type); ++n) {
        if (tags.end + kVlanTag > length) {
            return false;
        }
        const uint32_t id = Be16{load<uint16_t>(data + tags.end)}.host() & 0x0fff;
        tags.ids |= id << shift;
        shift += id != 0 ? 16 : 0;
        tags.type = load<uint16_t>(data + tags.end + 2);
        tags.end += kVlanTag;
    }
    return true;
}

// A group's frame with a packet to a group.
bool is_multicast(const Cursor& c, uint16_t type) {
    const size_t destination = c.l3 + offset::kIpDestination;
    return type == kRawIpv4 && (c.data[0] & kGroupBit) != 0 && destination < c.length &&
           is_group(c.data[destination]);
}

// A frame that is not for this station, or not IPv4.
void parse_unusual_frame(const Cursor& c, const LinkView& link, uint16_t type) {
    const MacAddr destination = load_mac(c.data);
    const bool group = (destination.bytes[0] & kGroupBit) != 0;
    const bool checked = (c.flags & (kHairpin | kCounted)) != 0;
    if (!group && destination != link.mac && !checked) {
        return drop(*c.meta, DropReason::kForeignMac);
    }
    if (type == kRawIpv4) {
        return drop(*c.meta, DropReason::kLinkBroadcast);
    }
    if (type != kRawArp) {
        return drop(*c.meta, DropReason::kNotIpv4);
    }
    if (group && destination != kBroadcastMac) {
        return drop(*c.meta, DropReason::kForeignMac);
    }
    if (c.l3 + kArpLength > c.length) {
        return drop_short(*c.ref, *c.meta, c.l3 + kArpLength, DropReason::kMalformedArp);
    }
    const auto arp = ArpView::at(Bytes(c.data + c.l3, kArpLength));
    if (!arp || (arp->operation() != ArpView::kRequest && arp->operation() != ArpView::kReply)) {
        return drop(*c.meta, DropReason::kMalformedArp);
    }
    *c.meta = PacketMeta{};
    c.meta->l3_offset = static_cast<uint16_t>(c.l3);
    c.meta->kind = PacketKind::kArp;
    c.meta->direction = c.direction;
    c.meta->verdict = Verdict::kPuntNeighbour;
}

// A frame that the appliance has made or finished itself: only its offsets are asked for.
void parse_own(PacketRef& ref, PacketMeta& meta) {
    meta = PacketMeta{};
    ref.fragment = 0;
    if (ref.length < kEthernetHeader) {
        return drop(meta, DropReason::kBug);
    }
    Tags tags{load<uint16_t>(ref.data + 12), kEthernetHeader};
    if (!walk_tags(ref.data, ref.length, tags)) {
        return drop(meta, DropReason::kBug);
    }
    meta.l3_offset = static_cast<uint16_t>(tags.end);
    if (tags.type == kRawArp) {
        meta.kind = PacketKind::kArp;
        return;
    }
    const auto ip = Ipv4View::at(Bytes(ref.data, ref.length).subspan(tags.end));
    if (tags.type != kRawIpv4 || !ip) {
        return drop(meta, DropReason::kBug);
    }
    meta.l3_length = ip->total_length();
    meta.l4_offset = static_cast<uint16_t>(tags.end + ip->header_length());
    meta.ttl = ip->ttl();
}

}  // namespace

const LinkView* find_link(const LinkView& link, uint32_t tag_ids, std::span<const LinkView> links) {
    const auto found = std::find_if(links.begin(), links.end(), [&](const LinkView& l) {
        return l.device == link.device && l.tag_ids() == tag_ids;
    });
    return found == links.end() ? nullptr : &*found;
}

void parse_any(PacketRef& ref, PacketMeta& meta, std::span<const LinkView> links) {
    const uint8_t flags = ref.flags;
    const uint8_t* const data = ref.data;
    const size_t length = ref.length;
    if ((flags & (kGenerated | kRouteOnly)) != 0) {
        return parse_own(ref, meta);
    }
    if (ref.in_link.value >= links.size()) {
        return drop(meta, DropReason::kBug);
    }
    if (length < kEthernetHeader) {
        return drop_short(ref, meta, kEthernetHeader, DropReason::kTruncatedFrame);
    }
    Tags tags{load<uint16_t>(data + 12), kEthernetHeader};
    if (is_tag(tags.type) && !walk_tags(data, length, tags)) {
        return drop_short(ref, meta, tags.end + kVlanTag, DropReason::kTruncatedFrame);
    }
    const LinkView* link = &links[ref.in_link.value];
    if (link->tag_ids() != tags.ids) {
        link = find_link(*link, tags.ids, links);
        if (link == nullptr) {
            return drop(meta, DropReason::kUnknownVlan);
        }
        ref.in_link = LinkId{static_cast<uint8_t>(link - links.data())};
    }
    const bool outbound = link->internal && (flags & kHairpin) == 0;
    Cursor c{};
    c.ref = &ref;
    c.meta = &meta;
    c.data = data;
    c.length = length;
    c.l3 = static_cast<uint32_t>(tags.end);
    c.flags = flags;
    c.realm = outbound ? link->realm : kExternalRealm;
    c.direction = outbound ? Direction::kOutbound : Direction::kInbound;

    const bool checked = (flags & (kHairpin | kCounted)) != 0;
    const bool for_us = checked || load_mac(data) == link->mac;
    if ((!for_us || tags.type != kRawIpv4) && !is_multicast(c, tags.type)) {
        return parse_unusual_frame(c, *link, tags.type);
    }
    parse_ipv4(c);
}

}  // namespace sekisho::packet
