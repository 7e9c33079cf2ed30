// Requests of PCP and NAT-PMP (RFC 6888 REQ-9), answered by the shard of the subscriber that sent them.
//
//   Way       to an own address, so a miss, as all that goes to the slow path; finish keeps it back, and it is answered behind the
//             burst, in its own buffer. One whose port block is being asked for is held, like any first packet, and comes again.
//   Bounds    requests a second, of a source and of the shard; beyond them they are dropped.
//   Cost      of other packets: none.
#include <cstring>

#include "dataplane/own_header.h"
#include "dataplane/shard.h"
#include "packet/checksum.h"

namespace sekisho::dataplane {
namespace {

using packet::load;
using packet::store;
namespace offset = packet::offset;

constexpr size_t kHeaders = packet::kIpv4Header + packet::kUdpHeader;

// The UDP datagram at `l3` of a frame, if all of what matters of it is there and verifies.
struct Datagram {
    Ipv4Addr source, destination;
    Port source_port;
    size_t ip_header = 0;
    size_t length = 0;  // of its payload
};

std::optional<Datagram> read_datagram(const PacketRef& ref, uint16_t l3) {
    const auto ip = packet::Ipv4View::at(packet::Bytes(ref.data, ref.length).subspan(l3));
    const auto udp = ip ? packet::UdpView::at(ip->payload()) : std::nullopt;
    if (!udp || udp->length() < packet::kUdpHeader || udp->length() > ip->payload().size()) {
        return std::nullopt;
    }
    const uint16_t length = udp->length();
    const uint64_t pseudo =
        packet::pseudo_header_sum(ip->source(), ip->destination(), Protocol::kUdp, length);
    if (udp->checksum_raw() != 0 && !packet::verifies(ip->payload().first(length), pseudo)) {
        return std::nullopt;
    }
    return Datagram{
        ip->source(),
        ip->destination(),
        udp->source_port(),
        ip->header_length(),
        length - packet::kUdpHeader};
}

// Headers of an answer with `length` bytes, which stand behind them already.
void write_headers(uint8_t* ip, const Datagram& asked, size_t length) {
    const auto udp_length = static_cast<uint16_t>(packet::kUdpHeader + length);
    const auto ip_length = static_cast<uint16_t>(packet::kIpv4Header + udp_length);
    write_own_header(ip, {asked.destination, asked.source, Protocol::kUdp, ip_length});
    uint8_t* const udp = ip + packet::kIpv4Header;
    store(udp + offset::kUdpChecksum, uint16_t{0});
    store(udp + offset::kSourcePort, Port::from_host(nat::kPcpPort).raw);
    store(udp + offset::kDestinationPort, asked.source_port.raw);
    store(udp + offset::kUdpLength, Be16::from_host(udp_length).raw);
    const uint64_t pseudo =
        packet::pseudo_header_sum(asked.destination, asked.source, Protocol::kUdp, udp_length);
    const uint16_t sum = packet::full_checksum({udp, udp_length}, pseudo);
    store(udp + offset::kUdpChecksum, sum == 0 ? uint16_t{0xffff} : sum);
}

}  // namespace

bool Shard::is_port_control(const PacketRef& ref, const PacketMeta& meta) const {
    constexpr unsigned kOthers = packet::kRouteOnly | packet::kGenerated | packet::kHairpin;
    return meta.kind == PacketKind::kUdp && meta.direction == Direction::kOutbound &&
           meta.key.destination_port() == Port::from_host(nat::kPcpPort) &&
           (ref.flags & kOthers) == 0 && ref.fragment == 0 && plan_.settings->pcp.enabled;
}

void Shard::answer_port_control(Tick now) {
    for (uint32_t i = 0; i < port_control_.count; ++i) {
        answer_port_control(port_control_.requests[i], now);
    }
    port_control_.count = 0;
    run_answers(now);
}

// One that was held is within the bounds already.
void Shard::answer_port_control(const PortControl::Request& request, Tick now) {
    PacketRef packet = request.packet;
    const uint16_t l3 = request.l3_offset;
    const auto asked = read_datagram(packet, l3);
    const RealmId realm = plan_.network->view_of(packet.in_link);
    const auto drop = [&](DropReason reason) {
        counters_.drop(reason);
        free_later(packet);
    };
    if (!asked) {
        return drop(DropReason::kBadTransportLength);
    }
    // The source's own bucket first, so that one source cannot use up what is for all.
    const bool may = request.was_held || (port_control_.by_source.take(realm, asked->source, now) &&
                                          port_control_.all.take(now));
    if (!may) {
        return drop(DropReason::kRateLimited);
    }
    uint8_t* const ip = packet.data + l3;
    uint8_t* const message = ip + asked->ip_header + packet::kUdpHeader;
    const nat::PcpOutcome outcome = nat::answer_pcp(
        *nat_,
        port_control_.counters,
        {message, asked->length + nat::kPcpRoom},
        {realm, asked->source},
        now
    );
    if (outcome.kind == nat::PcpOutcome::kSilent) {
        return drop(DropReason::kToAppliance);
    }
    packet.flags = static_cast<uint8_t>(packet.flags | packet::kCounted);
    if (outcome.kind == nat::PcpOutcome::kHold) {
        if (!held_.hold(outcome.waiting, packet)) {
            drop(DropReason::kHeldOverflow);
        }
        return;
    }
    std::memmove(ip + kHeaders, message, outcome.length);  // IPv4 options go
    write_headers(ip, *asked, outcome.length);
    packet.length = packet.frame_length = static_cast<uint16_t>(l3 + kHeaders + outcome.length);
    packet.next_hop = {};
    packet.hops = 0;
    packet.flags = packet::kGenerated | packet::kCounted;
    counters_.consumed.add(1);
    counters_.generated.add(1);
    own_[own_count_++] = packet;
}

}  // namespace sekisho::dataplane
