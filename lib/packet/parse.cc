#include "packet/parse.h"

#include <algorithm>
#include <optional>

#include "packet/checksum.h"

namespace sekisho::packet {
namespace {

constexpr uint32_t kPrefetchAhead = 4;
constexpr uint64_t kMacMask = 0x0000ffffffffffff;
constexpr uint8_t kGroupBit = 0x01;  // of the first byte of a station address

// Ethernet types as they lie in memory.
constexpr uint16_t kRawIpv4 = base::swap16(kEtherIpv4);
constexpr uint16_t kRawArp = base::swap16(kEtherArp);
constexpr uint16_t kRawVlan = base::swap16(kEtherVlan);
constexpr uint16_t kRawQinq = base::swap16(kEtherQinq);
constexpr uint16_t kRawFragmentBits = base::swap16(kMoreFragments | kFragmentOffsetMask);

// One bit for each combination of the six classic TCP flags that no stack sends: none, SYN+FIN,
// SYN+RST.
constexpr uint64_t impossible_flags() {
    uint64_t bits = 0;
    for (unsigned flags = 0; flags < 64; ++flags) {
        const bool syn_and_end = (flags & kSyn) != 0 && (flags & (kFin | kRst)) != 0;
        bits |= uint64_t{flags == 0 || syn_and_end} << flags;
    }
    return bits;
}
constexpr uint64_t kImpossibleFlags = impossible_flags();

void drop(PacketMeta& meta, DropReason reason) {
    meta.verdict = Verdict::kDrop;
    meta.reason = reason;
}

// The bytes up to `end` are not in the first segment: either elsewhere in the buffer chain, or
// nowhere.
[[gnu::noinline, gnu::cold]] void drop_short(
    const PacketRef& ref, PacketMeta& meta, size_t end, DropReason reason
) {
    drop(meta, end <= ref.frame_length ? DropReason::kSegmentedHeader : reason);
}

// The first byte of an address in network order: neither 0, 127 nor 224 and above.
bool is_unicast(uint8_t first) {
    return static_cast<uint8_t>(first - 1) < 223 && first != 127;
}

[[gnu::noinline, gnu::cold]] void drop_martian(PacketMeta& meta, uint64_t addresses) {
    const auto source = static_cast<uint8_t>(addresses);
    const auto destination = static_cast<uint8_t>(addresses >> 32);
    if (!is_unicast(source)) {
        drop(meta, DropReason::kMartianSource);
    } else if (destination >= 224 && destination < 240) {
        drop(meta, DropReason::kMulticast);
    } else {
        drop(meta, DropReason::kMartianDestination);
    }
}

// What the stages below need while a packet is parsed.
struct Cursor {
    PacketRef& ref;
    PacketMeta& meta;
    size_t l3;           // offset of the IPv4 header
    size_t l4;           // offset of the transport header
    size_t payload;      // bytes of transport header and payload
    uint64_t addresses;  // as they lie in the packet
    RealmId realm;       // for the key
};

void set_key(Cursor& c, uint32_t ports, uint8_t protocol) {
    c.meta.key = FlowKey{
        c.addresses, uint64_t{ports} | uint64_t{protocol} << 32 | uint64_t{c.realm.value} << 40};
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

// RFC 5508 REQ-3: the error's checksum, the quoted header's checksum, options walked, the quoted
// transport left alone.
void parse_icmp_error(Cursor& c) {
    const Bytes datagram(c.ref.data + c.l4, c.payload);
    if (!verifies(datagram)) {
        return drop(c.meta, DropReason::kBadIcmpChecksum);
    }
    const Bytes quote = datagram.subspan(kIcmpHeader);
    const auto inner = Ipv4View::at(quote);
    if (!inner || inner->header_length() + 8 > quote.size() ||
        inner->total_length() < inner->header_length() + 8 || inner->fragment_offset() != 0 ||
        !verifies(inner->header())) {
        return drop(c.meta, DropReason::kBadIcmpQuote);
    }
    const auto ports = quoted_ports(inner->protocol(), quote.data() + inner->header_length());
    if (!ports) {
        return drop(c.meta, DropReason::kBadIcmpQuote);
    }
    const auto addresses = load<uint64_t>(quote.data() + offset::kIpSource);
    c.addresses = addresses << 32 | addresses >> 32;
    set_key(c, *ports, inner->protocol());
    c.meta.kind = PacketKind::kIcmpError;
    c.meta.quote_offset = static_cast<uint16_t>(c.l4 + kIcmpHeader);
}

[[gnu::noinline]] void parse_icmp(Cursor& c) {
    if (c.payload < kIcmpHeader) {
        return drop(c.meta, DropReason::kTruncatedTransport);
    }
    if (c.l4 + kIcmpHeader > c.ref.length) {
        return drop(c.meta, DropReason::kSegmentedHeader);
    }
    const uint8_t* icmp = c.ref.data + c.l4;
    const uint32_t identifier = load<uint16_t>(icmp + offset::kIcmpIdentifier);
    switch (icmp[offset::kIcmpType]) {
        case kIcmpEchoRequest:
            c.meta.kind = PacketKind::kIcmpQuery;
            return set_key(c, identifier, static_cast<uint8_t>(Protocol::kIcmp));
        case kIcmpEchoReply:
            c.meta.kind = PacketKind::kIcmpQuery;
            return set_key(c, identifier << 16, static_cast<uint8_t>(Protocol::kIcmp));
        case kIcmpUnreachable:
        case kIcmpTimeExceeded:
        case kIcmpParameterProblem:
            if (c.l4 + c.payload > c.ref.length) {
                return drop(c.meta, DropReason::kSegmentedHeader);
            }
            return parse_icmp_error(c);
        default:
            return drop(c.meta, DropReason::kIcmpUnsupported);
    }
}

// TCP and UDP. All that is asked of a header beyond its room is one branch, its reason found
// afterwards.
[[gnu::noinline, gnu::cold]] void drop_ports_or_flags(PacketMeta& meta, uint32_t ports) {
    const bool zero = (ports & 0xffff) == 0 || ports >> 16 == 0;
    drop(meta, zero ? DropReason::kPortZero : DropReason::kBadTcpFlags);
}

[[gnu::always_inline]] inline bool has_header(Cursor& c, size_t needed) {
    if (c.payload < needed) [[unlikely]] {
        drop(c.meta, DropReason::kTruncatedTransport);
        return false;
    }
    if (c.l4 + needed > c.ref.length) [[unlikely]] {
        drop(c.meta, DropReason::kSegmentedHeader);
        return false;
    }
    return true;
}

[[gnu::always_inline]] inline void parse_tcp(Cursor& c) {
    if (!has_header(c, kTcpHeader)) {
        return;
    }
    const uint8_t* tcp = c.ref.data + c.l4;
    const size_t header = size_t{4} * (tcp[offset::kTcpOffset] >> 4);
    if (header < kTcpHeader || header > c.payload) [[unlikely]] {
        return drop(c.meta, DropReason::kBadTransportLength);
    }
    const auto ports = load<uint32_t>(tcp);
    const uint8_t flags = tcp[offset::kTcpFlags];
    const bool impossible = (kImpossibleFlags >> (flags & 63) & 1) != 0;
    if ((ports & 0xffff) == 0 || ports >> 16 == 0 || impossible) [[unlikely]] {
        return drop_ports_or_flags(c.meta, ports);
    }
    c.meta.kind = PacketKind::kTcp;
    c.meta.tcp_flags = flags;
    set_key(c, ports, static_cast<uint8_t>(Protocol::kTcp));
}

[[gnu::always_inline]] inline void parse_udp(Cursor& c) {
    if (!has_header(c, kUdpHeader)) {
        return;
    }
    const auto header = load<uint64_t>(c.ref.data + c.l4);
    const size_t length = base::swap16(static_cast<uint16_t>(header >> 32));
    if (length < kUdpHeader || length > c.payload) [[unlikely]] {
        return drop(c.meta, DropReason::kBadTransportLength);
    }
    const auto ports = static_cast<uint32_t>(header);
    if ((ports & 0xffff) == 0 || ports >> 16 == 0) [[unlikely]] {
        return drop(c.meta, DropReason::kPortZero);
    }
    c.meta.kind = PacketKind::kUdp;
    set_key(c, ports, static_cast<uint8_t>(Protocol::kUdp));
}

// Everything behind the IPv4 header; `word0` and `word8` are its first 12 bytes.
[[gnu::always_inline]] inline void parse_l3_payload(Cursor& c, uint64_t word0, uint32_t word8) {
    const auto source = static_cast<uint8_t>(c.addresses);
    const auto destination = static_cast<uint8_t>(c.addresses >> 32);
    if (!is_unicast(source) || !is_unicast(destination)) [[unlikely]] {
        return drop_martian(c.meta, c.addresses);
    }
    const auto ttl = static_cast<uint8_t>(word8);
    const auto protocol = static_cast<uint8_t>(word8 >> 8);
    c.meta.ttl = ttl;
    if (ttl == 0) [[unlikely]] {
        return drop(c.meta, DropReason::kTtlExceeded);
    }
    if ((static_cast<uint16_t>(word0 >> 48) & kRawFragmentBits) != 0) [[unlikely]] {
        return drop(c.meta, DropReason::kFragment);
    }
    if ((c.ref.flags & kL4ChecksumBad) != 0) [[unlikely]] {
        return drop(c.meta, DropReason::kBadTransportChecksum);
    }
    c.meta.l4_offset = static_cast<uint16_t>(c.l4);
    if (protocol == static_cast<uint8_t>(Protocol::kTcp)) {
        parse_tcp(c);
    } else if (protocol == static_cast<uint8_t>(Protocol::kUdp)) {
        parse_udp(c);
    } else if (protocol == static_cast<uint8_t>(Protocol::kIcmp)) {
        parse_icmp(c);
    } else {
        drop(c.meta, DropReason::kUnknownProtocol);
    }
}

// Total length against header and frame; cuts the frame's padding. False: dropped.
[[gnu::always_inline]] inline bool take_length(Cursor& c, size_t header, uint64_t word0) {
    const size_t total = base::swap16(static_cast<uint16_t>(word0 >> 16));
    const size_t end = c.l3 + total;
    if (total < header || end > c.ref.frame_length) [[unlikely]] {
        drop(c.meta, DropReason::kBadIpLength);
        return false;
    }
    c.ref.frame_length = static_cast<uint16_t>(end);
    c.ref.length = static_cast<uint16_t>(std::min<size_t>(c.ref.length, end));
    c.meta.l3_offset = static_cast<uint16_t>(c.l3);
    c.meta.l3_length = static_cast<uint16_t>(total);
    c.l4 = c.l3 + header;
    c.payload = total - header;
    return true;
}

// Wrong version, wrong header length, or options.
[[gnu::noinline]] void parse_unusual_ipv4(Cursor& c, uint64_t word0, uint32_t word8) {
    const auto version = static_cast<uint8_t>(word0 >> 4 & 0xf);
    const size_t header = size_t{4} * (word0 & 0xf);
    if (version != 4 || header < kIpv4Header) {
        return drop(c.meta, DropReason::kBadIpHeader);
    }
    if (c.l3 + header > c.ref.length) {
        return drop_short(c.ref, c.meta, c.l3 + header, DropReason::kTruncatedIp);
    }
    if (!take_length(c, header, word0)) {
        return;
    }
    const Bytes bytes(c.ref.data + c.l3, header);
    if ((c.ref.flags & kIpChecksumGood) == 0 && !verifies(bytes)) {
        return drop(c.meta, DropReason::kBadIpChecksum);
    }
    if (const auto reason = check_options(bytes.subspan(kIpv4Header))) {
        return drop(c.meta, *reason);
    }
    parse_l3_payload(c, word0, word8);
}

[[gnu::always_inline]] inline void parse_ipv4(Cursor& c) {
    if (c.l3 + kIpv4Header > c.ref.length) [[unlikely]] {
        return drop_short(c.ref, c.meta, c.l3 + kIpv4Header, DropReason::kTruncatedIp);
    }
    if ((c.ref.flags & kIpChecksumBad) != 0) [[unlikely]] {
        return drop(c.meta, DropReason::kBadIpChecksum);
    }
    const uint8_t* ip = c.ref.data + c.l3;
    const auto word0 = load<uint64_t>(ip);
    const auto word8 = load<uint32_t>(ip + 8);
    c.addresses = load<uint64_t>(ip + offset::kIpSource);
    if ((word0 & 0xff) != 0x45) [[unlikely]] {
        return parse_unusual_ipv4(c, word0, word8);
    }
    if (!take_length(c, kIpv4Header, word0)) {
        return;
    }
    const uint64_t sum = (word0 & 0xffffffff) + (word0 >> 32) + word8 + (c.addresses & 0xffffffff) +
                         (c.addresses >> 32);
    if ((c.ref.flags & kIpChecksumGood) == 0 && fold(sum) != 0xffff) [[unlikely]] {
        return drop(c.meta, DropReason::kBadIpChecksum);
    }
    parse_l3_payload(c, word0, word8);
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
[[gnu::always_inline]] inline bool walk_tags(const PacketRef& ref, Tags& tags) {
    unsigned shift = 0;
    for (size_t n = 0; n < kMaxVlanTags && is_tag(tags.type); ++n) {
        if (tags.end + kVlanTag > ref.length) {
            return false;
        }
        const uint32_t id = Be16{load<uint16_t>(ref.data + tags.end)}.host() & 0x0fff;
        tags.ids |= id << shift;
        shift += id != 0 ? 16 : 0;
        tags.type = load<uint16_t>(ref.data + tags.end + 2);
        tags.end += kVlanTag;
    }
    return true;
}

uint32_t tag_ids(const LinkView& link) {
    return uint32_t{link.vlans[0]} | uint32_t{link.vlans[1]} << 16;
}

// The link with these tags on the device of `link`; nullptr if there is none.
[[gnu::noinline]] const LinkView* find_link(
    const LinkView& link, uint32_t ids, std::span<const LinkView> links
) {
    const auto found = std::find_if(links.begin(), links.end(), [&](const LinkView& l) {
        return l.device == link.device && tag_ids(l) == ids;
    });
    return found == links.end() ? nullptr : &*found;
}

// A frame that is not for this station, or not IPv4.
[[gnu::noinline]] void parse_unusual_frame(Cursor& c, const LinkView& link, const Tags& tags) {
    const MacAddr destination = load_mac(c.ref.data);
    const bool group = (destination.bytes[0] & kGroupBit) != 0;
    const bool checked = (c.ref.flags & (kHairpin | kCounted)) != 0;
    if (!group && destination != link.mac && !checked) {
        return drop(c.meta, DropReason::kForeignMac);
    }
    if (tags.type == kRawIpv4) {
        return drop(c.meta, DropReason::kLinkBroadcast);
    }
    if (tags.type != kRawArp) {
        return drop(c.meta, DropReason::kNotIpv4);
    }
    if (group && destination != kBroadcastMac) {
        return drop(c.meta, DropReason::kForeignMac);
    }
    if (tags.end + kArpLength > c.ref.length) {
        return drop_short(c.ref, c.meta, tags.end + kArpLength, DropReason::kMalformedArp);
    }
    const auto arp = ArpView::at(Bytes(c.ref.data + tags.end, kArpLength));
    if (!arp || (arp->operation() != ArpView::kRequest && arp->operation() != ArpView::kReply)) {
        return drop(c.meta, DropReason::kMalformedArp);
    }
    c.meta.l3_offset = static_cast<uint16_t>(tags.end);
    c.meta.kind = PacketKind::kArp;
    c.meta.verdict = Verdict::kPuntNeighbour;
}

// A frame that the appliance has made or finished itself: only its offsets are asked for.
[[gnu::noinline]] void parse_own(PacketRef& ref, PacketMeta& meta) {
    if (ref.length < kEthernetHeader) {
        return drop(meta, DropReason::kBug);
    }
    Tags tags{load<uint16_t>(ref.data + 12), kEthernetHeader};
    if (!walk_tags(ref, tags)) {
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

[[gnu::always_inline]] inline void parse_one(
    PacketRef& ref, PacketMeta& meta, std::span<const LinkView> links
) {
    meta = PacketMeta{};
    if ((ref.flags & (kGenerated | kRouteOnly)) != 0) [[unlikely]] {
        return parse_own(ref, meta);
    }
    if (ref.in_link.value >= links.size()) [[unlikely]] {
        return drop(meta, DropReason::kBug);
    }
    if (ref.length < kEthernetHeader) [[unlikely]] {
        return drop_short(ref, meta, kEthernetHeader, DropReason::kTruncatedFrame);
    }
    Tags tags{load<uint16_t>(ref.data + 12), kEthernetHeader};
    if (is_tag(tags.type) && !walk_tags(ref, tags)) [[unlikely]] {
        return drop_short(ref, meta, tags.end + kVlanTag, DropReason::kTruncatedFrame);
    }
    const LinkView* link = &links[ref.in_link.value];
    if (tag_ids(*link) != tags.ids) [[unlikely]] {
        link = find_link(*link, tags.ids, links);
        if (link == nullptr) {
            return drop(meta, DropReason::kUnknownVlan);
        }
        ref.in_link = LinkId{static_cast<uint8_t>(link - links.data())};
    }
    const bool outbound = link->internal && (ref.flags & kHairpin) == 0;
    meta.direction = outbound ? Direction::kOutbound : Direction::kInbound;
    Cursor c{ref, meta, tags.end, 0, 0, 0, outbound ? link->realm : kExternalRealm};

    const uint64_t strange =
        (load<uint64_t>(ref.data) ^ load<uint64_t>(reinterpret_cast<const uint8_t*>(link))) &
        kMacMask;
    const bool for_us = strange == 0 || (ref.flags & (kHairpin | kCounted)) != 0;
    if (!for_us || tags.type != kRawIpv4) [[unlikely]] {
        return parse_unusual_frame(c, *link, tags);
    }
    parse_ipv4(c);
}

}  // namespace

void parse_packet(PacketRef& ref, PacketMeta& meta, std::span<const LinkView> links) {
    parse_one(ref, meta, links);
}

void parse(Batch& batch, std::span<const LinkView> links) {
    const uint32_t count = batch.count;
    for (uint32_t i = 0; i < std::min(count, kPrefetchAhead); ++i) {
        __builtin_prefetch(batch.ref[i].data);
    }
    for (uint32_t i = 0; i < count; ++i) {
        if (i + kPrefetchAhead < count) {
            __builtin_prefetch(batch.ref[i + kPrefetchAhead].data);
        }
        parse_one(batch.ref[i], batch.meta[i], links);
    }
}

}  // namespace sekisho::packet
