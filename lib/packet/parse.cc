// The parse stage over a burst. The usual packet - IPv4 TCP or UDP, no options, at most one VLAN tag, nothing wrong with it -
// goes through parse_usual(), which knows only yes and no and so keeps everything in registers; what it declines is parsed
// from the start by parse_any(), which knows the reasons. parse_usual() takes no packet that parse_any() would judge
// otherwise: a test and the fuzz target compare them.
#include "packet/parse.h"

#include <algorithm>
#include <cstddef>

#include "packet/checksum.h"

namespace sekisho::packet {
namespace {

constexpr uint32_t kPrefetchAhead = 4;
constexpr uint64_t kMacMask = 0x0000ffffffffffff;
constexpr uint16_t kRawIpv4 = base::swap16(kEtherIpv4);
constexpr uint16_t kRawVlan = base::swap16(kEtherVlan);
constexpr uint16_t kRawQinq = base::swap16(kEtherQinq);
constexpr uint8_t kUnusualFlags = kIpChecksumBad | kL4ChecksumBad | kGenerated | kRouteOnly;

// In the first 8 bytes of an IPv4 header: version, header length, more-fragments and the fragment offset.
constexpr uint64_t kPlainMask = 0xff | uint64_t{base::swap16(kMoreFragments | kFragmentOffsetMask)}
                                           << 48;
constexpr uint64_t kPlain = 0x45;

// One bit for each combination of the six classic TCP flags that no stack sends: none, SYN+FIN, SYN+RST.
constexpr uint64_t impossible_flags() {
    uint64_t bits = 0;
    for (unsigned flags = 0; flags < 64; ++flags) {
        const bool syn_and_end = (flags & kSyn) != 0 && (flags & (kFin | kRst)) != 0;
        bits |= uint64_t{flags == 0 || syn_and_end} << flags;
    }
    return bits;
}

static_assert(offsetof(PacketRef, length) == 16 && offsetof(PacketRef, frame_length) == 18);
static_assert(offsetof(PacketMeta, l3_offset) == 32 && offsetof(PacketMeta, l4_offset) == 34);
static_assert(offsetof(PacketMeta, l3_length) == 36 && offsetof(PacketMeta, quote_offset) == 38);
static_assert(offsetof(PacketMeta, verdict) == 40 && offsetof(PacketMeta, reason) == 41);
static_assert(offsetof(PacketMeta, kind) == 42 && offsetof(PacketMeta, direction) == 43);
static_assert(offsetof(PacketMeta, tcp_flags) == 44 && offsetof(PacketMeta, ttl) == 45);
static_assert(offsetof(PacketMeta, target) == 46 && offsetof(PacketMeta, session_index) == 48);
static_assert(offsetof(PacketMeta, error_mtu) == 54);
static_assert(static_cast<uint8_t>(Verdict::kPending) == 0);

// The first byte of an address in network order: neither 0, 127 nor 224 and above.
bool is_unicast(uint8_t first) {
    return static_cast<uint8_t>(first - 1) < 223 && first != 127;
}

// Offset of the IPv4 header behind no tag or one, and that tag's id; false: anything else.
[[gnu::always_inline]] inline bool find_ipv4(const uint8_t* data, uint32_t& l3, uint32_t& tag) {
    const auto type = load<uint16_t>(data + 12);
    if (type == kRawIpv4) {
        return true;
    }
    if ((type != kRawVlan && type != kRawQinq) || load<uint16_t>(data + 16) != kRawIpv4) {
        return false;
    }
    tag = Be16{load<uint16_t>(data + 14)}.host() & 0x0fff;
    l3 += kVlanTag;
    return true;
}

// Transport header within the packet and possible, ports not zero; `kind` and `tcp_flags` are set.
[[gnu::always_inline]] inline bool check_transport(
    uint8_t protocol,
    const uint8_t* l4,
    uint32_t payload,
    uint32_t readable,
    uint64_t& kind_and_flags
) {
    const auto first = load<uint64_t>(l4);
    const auto ports = static_cast<uint32_t>(first);
    if ((ports & 0xffff) == 0 || ports <= 0xffff) {
        return false;
    }
    if (protocol == static_cast<uint8_t>(Protocol::kTcp)) {
        const uint32_t present = std::min(payload, readable);
        if (present < kTcpHeader) {
            return false;
        }
        const uint32_t header = uint32_t{l4[offset::kTcpOffset]} >> 4 << 2;
        const uint8_t flags = l4[offset::kTcpFlags];
        kind_and_flags = uint64_t{static_cast<uint8_t>(PacketKind::kTcp)} << 16 | uint64_t{flags}
                                                                                      << 32;
        return header >= kTcpHeader && header <= present &&
               (impossible_flags() >> (flags & 63) & 1) == 0;
    }
    const uint32_t length = __builtin_bswap32(static_cast<uint32_t>(first >> 32)) >> 16;
    kind_and_flags = uint64_t{static_cast<uint8_t>(PacketKind::kUdp)} << 16;
    return protocol == static_cast<uint8_t>(Protocol::kUdp) && length >= kUdpHeader &&
           length <= payload;
}

// What parse_usual has found out.
struct Usual {
    const uint8_t* data;  // ref's
    uint32_t readable;    // ref's length
    uint64_t addresses = 0;
    uint64_t kind_and_flags = 0;  // as they stand in the second half of PacketMeta
    uint32_t l3 = kEthernetHeader;
    uint32_t l4 = 0;
    uint32_t total = 0;
    uint32_t ports = 0;
    uint8_t protocol = 0;
    uint8_t ttl = 0;
};

// The IPv4 header at u.l3 and what stands behind it; the first 28 bytes from there may be read.
[[gnu::always_inline]] inline bool check_ipv4(const PacketRef& ref, uint8_t flags, Usual& u) {
    const uint8_t* const ip = u.data + u.l3;
    const auto word0 = load<uint64_t>(ip);
    const auto word8 = load<uint32_t>(ip + 8);
    u.addresses = load<uint64_t>(ip + offset::kIpSource);
    u.total = __builtin_bswap32(static_cast<uint32_t>(word0)) & 0xffff;
    u.ttl = static_cast<uint8_t>(word8);
    if ((word0 & kPlainMask) != kPlain || u.l3 + u.total > ref.frame_length ||
        u.total < kIpv4Header + kUdpHeader || u.ttl == 0) {
        return false;
    }
    const uint64_t sum = (word0 & 0xffffffff) + (word0 >> 32) + word8 + (u.addresses & 0xffffffff) +
                         (u.addresses >> 32);
    if ((flags & kIpChecksumGood) == 0 && fold(sum) != 0xffff) {
        return false;
    }
    if (!is_unicast(static_cast<uint8_t>(u.addresses)) ||
        !is_unicast(static_cast<uint8_t>(u.addresses >> 32))) {
        return false;
    }
    constexpr uint32_t kHeader = kIpv4Header;
    u.protocol = static_cast<uint8_t>(word8 >> 8);
    u.l4 = u.l3 + kHeader;
    u.ports = load<uint32_t>(ip + kHeader);
    const uint32_t readable = u.readable - u.l4;
    return check_transport(u.protocol, ip + kHeader, u.total - kHeader, readable, u.kind_and_flags);
}

// Few wide stores: later stages read narrow out of them, which the store buffer serves; the other way it does not.
[[gnu::always_inline]] inline void write_meta(
    PacketRef& ref, PacketMeta& meta, bool outbound, RealmId realm, const Usual& u
) {
    auto* const line = reinterpret_cast<uint8_t*>(&meta);
    meta.key =
        FlowKey{u.addresses, u.ports | uint64_t{u.protocol} << 32 | uint64_t{realm.value} << 40};
    meta.hash = 0;
    meta.session = nullptr;
    store<uint64_t>(
        line + offsetof(PacketMeta, l3_offset),
        u.l3 | uint64_t{u.l4} << 16 | uint64_t{u.total} << 32
    );
    store<uint64_t>(
        line + offsetof(PacketMeta, verdict),
        u.kind_and_flags | uint64_t{!outbound} << 24 | uint64_t{u.ttl} << 40
    );
    store<uint64_t>(line + offsetof(PacketMeta, session_index), kNoIndex);
    const uint32_t end = u.l3 + u.total;
    store<uint32_t>(
        reinterpret_cast<uint8_t*>(&ref) + offsetof(PacketRef, length),
        std::min(u.readable, end) | end << 16
    );
}

[[gnu::always_inline]] inline bool parse_usual(
    PacketRef& ref, PacketMeta& meta, std::span<const LinkView> links
) {
    const uint8_t flags = ref.flags;
    // Room for Ethernet, one tag, IPv4 and the first 8 bytes behind it: no read below is beyond.
    constexpr uint32_t kLeast = kEthernetHeader + kVlanTag + kIpv4Header + kUdpHeader;
    if ((flags & kUnusualFlags) != 0 || ref.in_link.value >= links.size() || ref.length < kLeast) {
        return false;
    }
    const LinkView* link = &links[ref.in_link.value];
    Usual u{ref.data, ref.length};
    uint32_t tag = 0;
    if (!find_ipv4(u.data, u.l3, tag)) {
        return false;
    }
    if (link->tag_ids() != tag) {
        link = find_link(*link, tag, links);
        if (link == nullptr) {
            return false;
        }
        ref.in_link = LinkId{static_cast<uint8_t>(link - links.data())};
    }
    const auto station = load<uint64_t>(reinterpret_cast<const uint8_t*>(link));
    const bool for_us = ((load<uint64_t>(u.data) ^ station) & kMacMask) == 0;
    if ((!for_us && (flags & (kHairpin | kCounted)) == 0) || !check_ipv4(ref, flags, u)) {
        return false;
    }
    const bool outbound = link->internal && (flags & kHairpin) == 0;
    write_meta(ref, meta, outbound, outbound ? link->realm : kExternalRealm, u);
    return true;
}

}  // namespace

void parse_packet(PacketRef& ref, PacketMeta& meta, std::span<const LinkView> links) {
    if (!parse_usual(ref, meta, links)) {
        parse_any(ref, meta, links);
    }
}

void parse(Batch& batch, std::span<const LinkView> links) {
    const uint32_t count = batch.count;
    for (uint32_t i = 0; i < std::min(count, kPrefetchAhead); ++i) {
        __builtin_prefetch(batch.ref[i].data);
    }
    for (uint32_t i = 0; i < count; ++i) {
        // Beyond the last packet of the burst this touches an old one, or nothing: harmless.
        __builtin_prefetch(batch.ref[std::min(i + kPrefetchAhead, kBurst - 1)].data);
        if (!parse_usual(batch.ref[i], batch.meta[i], links)) [[unlikely]] {
            parse_any(batch.ref[i], batch.meta[i], links);
        }
    }
}

}  // namespace sekisho::packet
