#include "stream/trim.h"

#include <cassert>
#include <cstring>

#include "packet/checksum.h"
#include "packet/views.h"

namespace sekisho::stream {
namespace {

namespace offset = packet::offset;
using packet::load;
using packet::store;

size_t header_length_of(const uint8_t* tcp) {
    return size_t{tcp[offset::kTcpOffset]} >> 4 << 2;
}

size_t l4_offset_of(const PacketRef& packet, uint16_t l3_offset) {
    return l3_offset + size_t{packet.data[l3_offset]} % 16 * 4;
}

void write_flags(uint8_t* tcp, const Judgement& judgement) {
    const unsigned cleared = packet::kUrg | (judgement.without_fin ? unsigned{packet::kFin} : 0U);
    tcp[offset::kTcpFlags] = static_cast<uint8_t>(tcp[offset::kTcpFlags] & ~cleared);
    store<uint16_t>(tcp + offset::kTcpUrgent, 0);
}

// `length` of TCP header and payload.
uint64_t pseudo_header_of(const uint8_t* ip, uint16_t length) {
    const Ipv4Addr source{load<uint32_t>(ip + offset::kIpSource)};
    const Ipv4Addr destination{load<uint32_t>(ip + offset::kIpDestination)};
    return packet::pseudo_header_sum(source, destination, Protocol::kTcp, length);
}

void write_tcp_checksum(const uint8_t* ip, uint8_t* tcp, uint16_t length) {
    const uint64_t pseudo = pseudo_header_of(ip, length);
    store<uint16_t>(tcp + offset::kTcpChecksum, 0);
    store(tcp + offset::kTcpChecksum, packet::full_checksum({tcp, length}, pseudo));
}

void write_ip_length(uint8_t* ip, uint16_t total) {
    const auto before = load<uint16_t>(ip + offset::kIpLength);
    const uint16_t after = Be16::from_host(total).raw;
    const auto checksum = load<uint16_t>(ip + offset::kIpChecksum);
    store(ip + offset::kIpLength, after);
    store(
        ip + offset::kIpChecksum,
        packet::apply_delta(checksum, packet::checksum_delta16(before, after))
    );
}

}  // namespace

std::optional<Segment> segment_of(const PacketRef& packet, uint16_t l3_offset) {
    const size_t l4 = l4_offset_of(packet, l3_offset);
    const uint8_t* const tcp = packet.data + l4;
    const size_t header = header_length_of(tcp);
    if (packet.length != packet.frame_length || l4 + header > packet.length) {
        return std::nullopt;
    }
    Segment segment;
    segment.sequence = Be32{load<uint32_t>(tcp + offset::kTcpSequence)}.host();
    segment.flags = tcp[offset::kTcpFlags];
    segment.payload = {tcp + header, packet.length - l4 - header};
    return segment;
}

bool has_right_checksum(const PacketRef& packet, uint16_t l3_offset) {
    const size_t l4 = l4_offset_of(packet, l3_offset);
    const auto length = static_cast<uint16_t>(packet.length - l4);
    return packet::verifies(
        {packet.data + l4, length}, pseudo_header_of(packet.data + l3_offset, length)
    );
}

void trim_segment(PacketRef& packet, uint16_t l3_offset, const Judgement& judgement) {
    assert(packet.length == packet.frame_length);
    uint8_t* const ip = packet.data + l3_offset;
    const size_t ip_header = size_t{ip[0]} % 16 * 4;
    uint8_t* const tcp = ip + ip_header;
    const size_t tcp_header = header_length_of(tcp);
    uint8_t* const payload = tcp + tcp_header;
    std::memmove(payload, payload + judgement.skip, judgement.length);
    const uint32_t sequence = Be32{load<uint32_t>(tcp + offset::kTcpSequence)}.host();
    store(tcp + offset::kTcpSequence, Be32::from_host(sequence + judgement.skip).raw);
    write_flags(tcp, judgement);
    const auto length = static_cast<uint16_t>(tcp_header + judgement.length);
    write_tcp_checksum(ip, tcp, length);
    write_ip_length(ip, static_cast<uint16_t>(ip_header + length));
    packet.length = static_cast<uint16_t>(l3_offset + ip_header + length);
    packet.frame_length = packet.length;
}

}  // namespace sekisho::stream
