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
static_assert(offsetof(PacketMeta, error_detail) == 54);
static_assert(static_cast<uint8_t>(Verdict::kPending) == 0);

// By the first byte of an address: neither 0, 127 nor 224 and above.
struct UnicastTable {
    uint8_t yes[256] = {};
    constexpr UnicastTable() {
        for (unsigned first = 1; first < 224; ++first) {
            yes[first] = first != 127 ? 1 : 0;
        }
    }
    // Both of a flow key's addresses.
    [[gnu::always_inline]] bool has(uint64_t addresses) const {
        return (yes[static_cast<uint8_t>(addresses)] & yes[static_cast<uint8_t>(addresses >> 32)]
               ) != 0;
    }
};
constexpr UnicastTable kUnicast;

[[gnu::always_inline]] inline bool is_for(const LinkView& link, const uint8_t* data) {
    const auto station = load<uint64_t>(reinterpret_cast<const uint8_t*>(&link));
    return ((load<uint64_t>(data) ^ station) & kMacMask) == 0;
}

// The sum of the 20 bytes of an IPv4 header verifies.
[[gnu::always_inline]] inline bool has_good_sum(uint64_t word0, uint64_t word8, uint32_t word16) {
    uint64_t sum = word0 + word8;
    sum += sum < word8 ? 1 : 0;
    sum += word16;
    sum += sum < word16 ? 1 : 0;
    return fold(sum) == 0xffff;
}

// Kind and TCP flags as they stand in the second half of PacketMeta, for a transport header that is whole within `payload`
// bytes and possible; 0 otherwise. No kind of such a packet is 0.
[[gnu::always_inline]] inline uint64_t check_transport(
    uint8_t protocol, const uint8_t* l4, uint32_t payload
) {
    constexpr uint32_t kUdp = kUdpHeader;
    constexpr uint32_t kTcp = kTcpHeader;
    if (protocol == static_cast<uint8_t>(Protocol::kUdp)) {
        const uint32_t length = Be16{load<uint16_t>(l4 + offset::kUdpLength)}.host();
        return length - kUdp <= payload - kUdp
                   ? uint64_t{static_cast<uint8_t>(PacketKind::kUdp)} << 16
                   : 0;
    }
    if (protocol != static_cast<uint8_t>(Protocol::kTcp) || payload < kTcp) {
        return 0;
    }
    const uint32_t header = uint32_t{l4[offset::kTcpOffset]} >> 4 << 2;
    const uint8_t flags = l4[offset::kTcpFlags];
    if (header - kTcp > payload - kTcp || (impossible_flags() >> (flags & 63) & 1) != 0) {
        return 0;
    }
    return uint64_t{static_cast<uint8_t>(PacketKind::kTcp)} << 16 | uint64_t{flags} << 32;
}

// An IPv4 packet at kL3, which came on `link`. Few wide stores: later stages read narrow out of them, which the store buffer
// serves; the other way it does not. No branch on the direction, which may be a coin's toss in what other shards hand over.
template <uint32_t kL3>
[[gnu::always_inline]] inline bool parse_ipv4(
    PacketRef& ref, PacketMeta& meta, const LinkView& link
) {
    constexpr uint32_t kHeader = kIpv4Header;
    constexpr uint32_t kLeast = kHeader + uint32_t{kUdpHeader};
    const uint32_t flags = ref.flags;
    const uint8_t* const ip = ref.data + kL3;
    if (ref.length < kL3 + kLeast) {
        return false;
    }
    const uint32_t total = Be16{load<uint16_t>(ip + offset::kIpLength)}.host();
    const bool is_ours = is_for(link, ref.data) || (flags & (kHairpin | kCounted)) != 0;
    if (total - kLeast > ref.length - (kL3 + kLeast) || !is_ours) {
        return false;
    }
    const auto word0 = load<uint64_t>(ip);
    const auto word8 = load<uint64_t>(ip + 8);
    const auto addresses = load<uint64_t>(ip + offset::kIpSource);
    if ((word0 & kPlainMask) != kPlain ||
        ((flags & kIpChecksumGood) == 0 &&
         !has_good_sum(word0, word8, static_cast<uint32_t>(addresses >> 32)))) {
        return false;
    }
    const uint64_t ttl = static_cast<uint8_t>(word8);
    const auto ports = load<uint32_t>(ip + kHeader);
    if (ttl <= 1 || !kUnicast.has(addresses) || (ports & 0xffff) == 0 || ports <= 0xffff) {
        return false;
    }
    const uint64_t protocol = static_cast<uint8_t>(word8 >> 8);
    const uint64_t kind =
        check_transport(static_cast<uint8_t>(protocol), ip + kHeader, total - kHeader);
    if (kind == 0) {
        return false;
    }
    static_assert(kHairpin == 1 << 3 && kExternalRealm.value == 0);
    const uint64_t inbound = (flags >> 3 & 1) | (link.internal ? 0U : 1U);
    const uint64_t realm = link.realm.value & (inbound - 1);
    auto* const line = reinterpret_cast<uint8_t*>(&meta);
    meta.key.addresses = addresses;
    meta.key.rest = ports | protocol << 32 | realm << 40;
    constexpr uint64_t kOffsets = kL3 | uint64_t{kL3 + kHeader} << 16;
    store<uint64_t>(line + offsetof(PacketMeta, l3_offset), kOffsets | uint64_t{total} << 32);
    store<uint64_t>(line + offsetof(PacketMeta, verdict), kind | inbound << 24 | ttl << 40);
    store<uint64_t>(line + offsetof(PacketMeta, session_index), kNoIndex);
    const uint32_t end = kL3 + total;
    store<uint32_t>(
        reinterpret_cast<uint8_t*>(&ref) + offsetof(PacketRef, length), end | end << 16
    );
    return true;
}

// A frame behind a tag, or on a link that wants one.
[[gnu::noinline]] bool parse_tagged(
    PacketRef& ref, PacketMeta& meta, std::span<const LinkView> links
) {
    const uint8_t* const data = ref.data;
    const LinkView& first = links[ref.in_link.value];
    const auto type = load<uint16_t>(data + 12);
    const bool is_tagged = (type == kRawVlan || type == kRawQinq) &&
                           ref.length > kEthernetHeader + kVlanTag &&
                           load<uint16_t>(data + 16) == kRawIpv4;
    if (type != kRawIpv4 && !is_tagged) {
        return false;
    }
    const uint32_t tag = is_tagged ? Be16{load<uint16_t>(data + 14)}.host() & 0x0fff : 0;
    const LinkView* link = first.tag_ids() == tag ? &first : find_link(first, tag, links);
    if (link == nullptr) {
        return false;
    }
    const bool parsed = is_tagged ? parse_ipv4<kEthernetHeader + kVlanTag>(ref, meta, *link)
                                  : parse_ipv4<kEthernetHeader>(ref, meta, *link);
    if (parsed) {
        ref.in_link = LinkId{static_cast<uint8_t>(link - links.data())};
    }
    return parsed;
}

[[gnu::always_inline]] inline bool parse_usual(
    PacketRef& ref, PacketMeta& meta, std::span<const LinkView> links
) {
    if ((ref.flags & kUnusualFlags) != 0 || ref.in_link.value >= links.size() ||
        ref.length < kEthernetHeader) {
        return false;
    }
    const LinkView& link = links[ref.in_link.value];
    if (load<uint16_t>(ref.data + 12) != kRawIpv4 || link.tag_ids() != 0) [[unlikely]] {
        return parse_tagged(ref, meta, links);
    }
    return parse_ipv4<kEthernetHeader>(ref, meta, link);
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
    uint32_t longest = 0;
    uint32_t lowest_ttl = 0xff;
    uint32_t fragments = 0;
    for (uint32_t i = 0; i < count; ++i) {
        // Beyond the last packet of the burst this touches an old one, or nothing: harmless.
        __builtin_prefetch(batch.ref[(i + kPrefetchAhead) % kBurst].data);
        PacketMeta& meta = batch.meta[i];
        if (!parse_usual(batch.ref[i], meta, links)) [[unlikely]] {
            parse_any(batch.ref[i], meta, links);
            lowest_ttl = std::min<uint32_t>(lowest_ttl, meta.ttl);
            fragments |= batch.ref[i].fragment;
        }
        longest = std::max<uint32_t>(longest, meta.l3_length);
    }
    batch.longest = static_cast<uint16_t>(longest);
    batch.lowest_ttl = static_cast<uint8_t>(lowest_ttl);
    batch.fragments = static_cast<uint8_t>(fragments);
}

}  // namespace sekisho::packet
