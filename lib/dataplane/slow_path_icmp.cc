#include "dataplane/slow_path_icmp.h"

#include <algorithm>
#include <cstring>

#include "dataplane/own_header.h"
#include "packet/checksum.h"

namespace sekisho::dataplane {

namespace {

using packet::load;
using packet::store;
namespace offset = packet::offset;

constexpr size_t kErrorMost = 576;                // RFC 1812 4.3.2.3
constexpr uint8_t kInternetworkControl = 6 << 5;  // RFC 1812 4.3.2.5
constexpr size_t kErrorHeaders = packet::kIpv4Header + packet::kIcmpHeader;

bool is_unicast_source(Ipv4Addr address) {
    const uint32_t first = address.host() >> 24;
    return first != 0 && first != 127 && first < 224;
}

// RFC 1122 3.2.2: never about an error; so only about what is known to be a query.
bool is_icmp_query(uint8_t type) {
    return type == packet::kIcmpEchoRequest || type == packet::kIcmpEchoReply || type == 13 ||
           type == 14;
}

packet::Bytes l3_of(const PacketRef& packet, uint16_t l3_offset) {
    if (packet.data == nullptr || l3_offset < packet::kEthernetHeader ||
        l3_offset > packet.length) {
        return {};
    }
    return packet::Bytes(packet.data, packet.length).subspan(l3_offset);
}

void change_byte(uint8_t* header, size_t at, uint8_t value, uint16_t& delta) {
    uint8_t* const word = header + (at & ~size_t{1});
    const uint16_t before = load<uint16_t>(word);
    header[at] = value;
    delta = packet::add_deltas(delta, packet::checksum_delta16(before, load<uint16_t>(word)));
}

}  // namespace

std::optional<IcmpErrorKind> error_of(DropReason reason, uint16_t detail) {
    switch (reason) {
        case DropReason::kTtlExceeded:
            return IcmpErrorKind{packet::kIcmpTimeExceeded, 0};
        case DropReason::kTooBig:
            return IcmpErrorKind{
                packet::kIcmpUnreachable, packet::kCodeFragmentationNeeded, detail};
        case DropReason::kNoRoute:
            return IcmpErrorKind{packet::kIcmpUnreachable, packet::kCodeNetUnreachable};
        case DropReason::kNoPolicy:
        case DropReason::kPoolExhausted:
        case DropReason::kSubscriberPortLimit:
        case DropReason::kSubscriberSessionLimit:
        case DropReason::kSubscriberMappingLimit:
        case DropReason::kSubscriberHalfOpen:
        case DropReason::kRemoteTaken:
        case DropReason::kSubscriberRate:
        case DropReason::kTargetInUse:
        case DropReason::kSessionTableFull:
        case DropReason::kMappingTableFull:
        case DropReason::kSubscriberTableFull:
        case DropReason::kAddressOnlyFull:
        case DropReason::kDeniedByRule:
            return IcmpErrorKind{packet::kIcmpUnreachable, static_cast<uint8_t>(detail)};
        case DropReason::kNoMapping:  // of an unsolicited SYN, when its time has passed
            return IcmpErrorKind{packet::kIcmpUnreachable, packet::kCodePortUnreachable};
        default:
            return std::nullopt;
    }
}

bool may_be_answered(
    const packet::Ipv4View& ip, const Network& network, RealmId realm, bool is_hairpin
) {
    const uint32_t destination = ip.destination().host();
    if (ip.fragment_offset() != 0 || destination >= 0xe0000000 || destination == 0 ||
        network.is_link_broadcast(realm, ip.destination())) {
        return false;
    }
    if (!is_unicast_source(ip.source()) || (network.is_own(realm, ip.source()) && !is_hairpin) ||
        network.is_link_broadcast(realm, ip.source())) {
        return false;
    }
    if (ip.protocol() == static_cast<uint8_t>(Protocol::kIcmp)) {
        return !ip.payload().empty() && is_icmp_query(ip.payload()[0]);
    }
    return true;
}

bool make_echo_reply(PacketRef& packet, uint16_t l3_offset) {
    const auto ip = packet::Ipv4View::at(l3_of(packet, l3_offset));
    if (!ip || ip->payload().size() < packet::kIcmpHeader) {
        return false;
    }
    uint8_t* const header = packet.data + l3_offset;
    uint8_t* const icmp = header + ip->header_length();
    const Ipv4Addr asker = ip->source();
    store(header + offset::kIpSource, ip->destination().raw);
    store(header + offset::kIpDestination, asker.raw);
    uint16_t delta = 0;
    change_byte(header, offset::kIpTtl, kOwnTtl, delta);
    const uint16_t ip_checksum = load<uint16_t>(header + offset::kIpChecksum);
    store(header + offset::kIpChecksum, packet::apply_delta(ip_checksum, delta));
    delta = 0;
    change_byte(icmp, offset::kIcmpType, packet::kIcmpEchoReply, delta);
    const uint16_t icmp_checksum = load<uint16_t>(icmp + offset::kIcmpChecksum);
    store(icmp + offset::kIcmpChecksum, packet::apply_delta_icmp(icmp_checksum, delta));
    return true;
}

bool make_icmp_error(
    PacketRef& packet, uint16_t l3_offset, const IcmpErrorKind& kind, Ipv4Addr source
) {
    const auto ip = packet::Ipv4View::at(l3_of(packet, l3_offset));
    if (!ip || packet.headroom < kErrorHeaders) {
        return false;
    }
    const size_t there = std::min<size_t>(ip->total_length(), packet.length - l3_offset);
    const size_t quoted = std::min(there, kErrorMost - kErrorHeaders);
    if (quoted < ip->header_length()) {
        return false;
    }
    const Ipv4Addr asker = ip->source();
    const uint16_t length = static_cast<uint16_t>(kErrorHeaders + quoted);
    std::memmove(packet.data - kErrorHeaders, packet.data, l3_offset);
    packet.data -= kErrorHeaders;
    packet.headroom = static_cast<uint16_t>(packet.headroom - kErrorHeaders);
    packet.length = packet.frame_length = static_cast<uint16_t>(l3_offset + length);

    uint8_t* const header = packet.data + l3_offset;
    write_own_header(header, {source, asker, Protocol::kIcmp, length, kInternetworkControl});
    uint8_t* const icmp = header + packet::kIpv4Header;
    std::memset(icmp, 0, packet::kIcmpHeader);
    icmp[offset::kIcmpType] = kind.type;
    icmp[offset::kIcmpCode] = kind.code;
    store(icmp + offset::kIcmpMtu, Be16::from_host(kind.mtu).raw);
    store(
        icmp + offset::kIcmpChecksum, packet::full_checksum({icmp, packet::kIcmpHeader + quoted})
    );
    return true;
}

}  // namespace sekisho::dataplane
