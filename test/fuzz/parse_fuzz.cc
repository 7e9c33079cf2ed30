// Any bytes as a burst: parse must give each packet a verdict, and offsets that lie within what it
// left of the packet.
//
// The input is one settings byte (link, flags, where the first segment ends), then a frame. The
// frame lies in a heap block of exactly its first segment's size, so that the sanitizer sees every
// read beyond it. A second packet, well-formed, makes sure that a bad one does not harm its
// neighbour.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "packet/checksum.h"
#include "packet/parse.h"

namespace {

using namespace sekisho;          // NOLINT: a test
using namespace sekisho::packet;  // NOLINT

constexpr MacAddr kMac{{0x02, 0, 0, 0, 0, 0x02}};

const uint8_t kGood[] = {0x02, 0,    0,    0,  0,    2,    0x02, 0,   0,  0, 0,    1,
                         0x08, 0,    0x45, 0,  0,    31,   0,    1,   0,  0, 64,   17,
                         0x66, 0xcb, 10,   0,  0,    1,    10,   0,   0,  2, 0x04, 0xd2,
                         0,    53,   0,    11, 0x22, 0x6c, 'a',  'b', 'c'};

std::vector<LinkView> links() {
    std::vector<LinkView> all(4);
    for (auto& link : all) {
        link.mac = kMac;
        link.realm = kInternalRealm;
    }
    all[1].internal = false;
    all[1].device = 1;
    all[2].vlans[0] = 100;
    all[3].vlans[0] = 300;
    all[3].vlans[1] = 100;
    return all;
}

void require(bool holds, const char* what) {
    if (!holds) {
        std::fprintf(stderr, "broken: %s\n", what);
        std::abort();
    }
}

// Whether of a later fragment or not, its flow is told by its addresses alone.
void check_address_only(const PacketRef& ref, const PacketMeta& meta) {
    const auto protocol = meta.key.protocol();
    require(is_address_only(protocol), "the protocol is one of those without ports to translate");
    require(meta.key.ports() == 0, "the key has no ports");
    require(
        load<uint64_t>(ref.data + meta.l3_offset + 12) == meta.key.addresses, "the key's addresses"
    );
    require(ref.data[meta.l3_offset + 9] == static_cast<uint8_t>(protocol), "the key's protocol");
    if ((ref.fragment & kLaterFragment) != 0) {
        return;
    }
    const bool has_twelve = protocol == Protocol::kSctp || protocol == Protocol::kDccp;
    const size_t least = has_twelve ? 12 : protocol == Protocol::kGre ? 4 : 8;
    const size_t end = size_t{meta.l3_offset} + meta.l3_length;
    require(meta.l4_offset + least <= std::min<size_t>(ref.length, end), "the header is there");
}

void check_passed(const PacketRef& ref, const PacketMeta& meta) {
    const size_t end = size_t{meta.l3_offset} + meta.l3_length;
    require(end == ref.frame_length, "the frame ends with the IPv4 packet");
    require(
        meta.l3_offset >= 14 && meta.l3_offset <= 22,
        "l3_offset behind Ethernet and at most two tags"
    );
    require(
        meta.l4_offset >= meta.l3_offset + 20 && meta.l4_offset <= meta.l3_offset + 60,
        "l4_offset behind IPv4"
    );
    require(meta.ttl > 0, "TTL above 0");
    const bool is_tcp = meta.kind == PacketKind::kTcp && meta.l4_offset + 20U <= ref.length;
    const size_t options_end = is_tcp ? size_t{ref.data[meta.l4_offset + 12]} >> 4 << 2 : 0;
    const size_t least = meta.kind == PacketKind::kLaterFragment ? 1
                         : meta.kind == PacketKind::kTcp         ? std::max<size_t>(options_end, 20)
                                                                 : 8;
    const auto ip = *Ipv4View::at(Bytes(ref.data, ref.length).subspan(meta.l3_offset));
    require(ip.is_fragment() == ((ref.fragment & kFragment) != 0), "fragments are marked");
    require(
        (ip.fragment_offset() != 0) == ((ref.fragment & kLaterFragment) != 0),
        "later fragments are marked"
    );
    require(
        meta.l4_offset - meta.l3_offset + 8U * ip.fragment_offset() + ip.payload().size() <= 65535,
        "no datagram is longer than one can be"
    );
    if (meta.kind == PacketKind::kAddressOnly) {
        return check_address_only(ref, meta);
    }
    if (meta.kind == PacketKind::kLaterFragment) {
        require(ip.fragment_offset() != 0, "a later fragment begins behind the first");
        require(meta.key.ports() == 0, "the ports of a later fragment are unknown");
        require(least <= meta.l3_length, "a fragment is not empty");
        return;
    }
    require(meta.l4_offset + least <= ref.length, "the transport header is in the first segment");
    require(meta.l4_offset + least <= end, "the transport header is in the packet");
    switch (meta.kind) {
        case PacketKind::kTcp:
        case PacketKind::kUdp: {
            require(
                load<uint64_t>(ref.data + meta.l3_offset + 12) == meta.key.addresses,
                "the key's addresses"
            );
            require(
                load<uint32_t>(ref.data + meta.l4_offset) == meta.key.ports(), "the key's ports"
            );
            require(
                meta.key.source_port().raw != 0 && meta.key.destination_port().raw != 0,
                "no port zero"
            );
            return;
        }
        case PacketKind::kIcmpQuery:
            require(meta.quote_offset == 0, "a query quotes nothing");
            return;
        case PacketKind::kIcmpError:
            require(
                meta.quote_offset == meta.l4_offset + 8, "the quote stands behind the ICMP header"
            );
            require(meta.quote_offset + 28U <= ref.length, "the quote is in the first segment");
            require(
                load<uint32_t>(ref.data + meta.l3_offset + 16) == meta.key.destination().raw,
                "the quoted packet's sender is told"
            );
            return;
        default:
            require(false, "what passes has a kind");
    }
}

void check(const PacketRef& ref, const PacketMeta& meta, uint16_t first, uint16_t whole) {
    require(ref.length <= first && ref.frame_length <= whole, "parse never lengthens a packet");
    require(ref.length <= ref.frame_length, "the first segment is part of the frame");
    require(ref.in_link.value < 4, "the link exists");
    if ((ref.flags & (kGenerated | kRouteOnly)) != 0) {
        return;  // the appliance's own frames are not judged
    }
    switch (meta.verdict) {
        case Verdict::kPending:
            return check_passed(ref, meta);
        case Verdict::kPuntNeighbour:
            require(
                meta.kind == PacketKind::kArp && meta.l3_offset + kArpLength <= ref.length,
                "ARP is whole"
            );
            return;
        case Verdict::kDrop:
            require(
                static_cast<size_t>(meta.reason) < base::kDropReasonCount,
                "the reason is in the table"
            );
            require(meta.reason != DropReason::kBug, "no input from outside is a bug");
            return;
        default:
            require(false, "parse gives pending, neighbour or drop");
    }
}

// The short way through parse is only a short way.
void require_equal(
    const PacketRef& a, const PacketMeta& m, const PacketRef& b, const PacketMeta& n
) {
    require(a.length == b.length && a.frame_length == b.frame_length, "same lengths");
    require(a.in_link == b.in_link && a.fragment == b.fragment, "same link and marks");
    require(m.key == n.key && m.ttl == n.ttl && m.tcp_flags == n.tcp_flags, "same key, TTL, flags");
    require(m.verdict == n.verdict && m.reason == n.reason && m.kind == n.kind, "same verdict");
    require(m.direction == n.direction && m.l3_length == n.l3_length, "same direction and length");
    require(m.l3_offset == n.l3_offset && m.l4_offset == n.l4_offset, "same offsets");
    require(m.quote_offset == n.quote_offset && m.session_index == n.session_index, "same rest");
}

void put_checksum(uint8_t* covered, size_t size, size_t at) {
    store<uint16_t>(covered + at, 0);
    store(covered + at, full_checksum({covered, size}));
}

// Makes the checksums of an untagged frame right, so that what stands behind their checks is
// reached too.
void repair(std::vector<uint8_t>& bytes) {
    const auto ip = Ipv4View::at(Bytes(bytes).subspan(bytes.size() < 14 ? bytes.size() : 14));
    if (!ip) {
        return;
    }
    const size_t l4 = 14 + ip->header_length();
    const size_t length = ip->payload().size();
    if (ip->protocol() == 1 && length >= kIcmpHeader) {
        if (const auto inner = Ipv4View::at(ip->payload().subspan(kIcmpHeader))) {
            put_checksum(&bytes[l4 + kIcmpHeader], inner->header_length(), offset::kIpChecksum);
        }
        put_checksum(&bytes[l4], length, offset::kIcmpChecksum);
    }
    put_checksum(&bytes[14], ip->header_length(), offset::kIpChecksum);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    // Most inputs, those of the corpus too, are plain frames: each is tried with every link; the
    // last byte chooses the rest.
    if (size > 65535) {
        return 0;
    }
    static const std::vector<LinkView> all = links();
    const uint8_t choice = size > 0 ? data[size - 1] : 0;
    const std::vector<uint8_t> plain(data, data + size);
    std::vector<uint8_t> repaired = plain;
    repair(repaired);
    const size_t firsts[] = {size, size * choice / 255};
    for (uint8_t round = 0; round < 8; ++round) {
        const size_t first = firsts[round / 4];
        const auto memory = std::make_unique<uint8_t[]>(first);
        const auto& bytes = round % 4 < 2 ? repaired : plain;
        std::copy_n(bytes.begin(), first, memory.get());
        auto good = std::vector<uint8_t>(std::begin(kGood), std::end(kGood));
        Batch batch;
        batch.count = 2;
        PacketRef& ref = batch.ref[0];
        ref.data = memory.get();
        ref.length = static_cast<uint16_t>(first);
        ref.frame_length = static_cast<uint16_t>(size);
        ref.in_link = LinkId{static_cast<uint8_t>(round % 4)};
        ref.flags = round == 2 || round >= 6 ? choice : uint8_t{0};
        batch.ref[1].data = good.data();
        batch.ref[1].length = batch.ref[1].frame_length = static_cast<uint16_t>(good.size());
        PacketRef same = ref;
        PacketMeta expected;
        parse_any(same, expected, all);
        parse(batch, all);
        require_equal(ref, batch.meta[0], same, expected);
        check(ref, batch.meta[0], static_cast<uint16_t>(first), static_cast<uint16_t>(size));
        require(
            batch.meta[1].verdict == Verdict::kPending, "the neighbour in the burst is unharmed"
        );
    }
    return 0;
}
