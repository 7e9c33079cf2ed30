#include "dataplane/slow_path_reset.h"

#include <cstring>

#include "dataplane/own_header.h"
#include "packet/checksum.h"
#include "packet/views.h"

namespace sekisho::dataplane {
namespace {

using packet::kAck;
using packet::kFin;
using packet::kRst;
using packet::kSyn;
using packet::store;
namespace offset = packet::offset;

constexpr uint16_t kLength = packet::kIpv4Header + packet::kTcpHeader;

// What the segment takes of the sequence space, also where its end lies in another buffer.
uint32_t sequence_length(const packet::Ipv4View& ip, const packet::TcpView& tcp) {
    const size_t headers = ip.header_length() + tcp.header_length();
    const size_t data = ip.total_length() > headers ? ip.total_length() - headers : 0;
    const uint32_t marks = ((tcp.flags() & kSyn) != 0 ? 1U : 0U) + ((tcp.flags() & kFin) != 0);
    return static_cast<uint32_t>(data) + marks;
}

}  // namespace

bool make_tcp_reset(PacketRef& packet, uint16_t l3_offset) {
    if (packet.data == nullptr || l3_offset > packet.length) {
        return false;
    }
    const auto bytes = packet::Bytes(packet.data, packet.length).subspan(l3_offset);
    const auto ip = packet::Ipv4View::at(bytes);
    if (!ip || ip->is_fragment() || ip->protocol() != static_cast<uint8_t>(Protocol::kTcp)) {
        return false;
    }
    const auto tcp = packet::TcpView::at(ip->payload());
    if (!tcp || (tcp->flags() & kRst) != 0) {
        return false;
    }
    const Ipv4Addr asker = ip->source();
    const Ipv4Addr asked = ip->destination();
    const Port from = tcp->destination_port();
    const Port to = tcp->source_port();
    const bool is_acknowledged = (tcp->flags() & kAck) != 0;
    const uint32_t sequence = is_acknowledged ? tcp->acknowledgement() : 0;
    const uint32_t acknowledged =
        is_acknowledged ? 0 : tcp->sequence() + sequence_length(*ip, *tcp);

    uint8_t* const header = packet.data + l3_offset;
    write_own_header(header, {asked, asker, Protocol::kTcp, kLength});
    uint8_t* const reset = header + packet::kIpv4Header;
    std::memset(reset, 0, packet::kTcpHeader);
    store(reset, from.raw);
    store(reset + 2, to.raw);
    store(reset + offset::kTcpSequence, Be32::from_host(sequence).raw);
    store(reset + offset::kTcpAck, Be32::from_host(acknowledged).raw);
    reset[offset::kTcpOffset] = packet::kTcpHeader / 4 << 4;
    reset[offset::kTcpFlags] = static_cast<uint8_t>(kRst | (is_acknowledged ? 0 : kAck));
    store(
        reset + offset::kTcpChecksum,
        packet::full_checksum(
            {reset, packet::kTcpHeader},
            packet::pseudo_header_sum(asked, asker, Protocol::kTcp, packet::kTcpHeader)
        )
    );
    packet.length = packet.frame_length = static_cast<uint16_t>(l3_offset + kLength);
    return true;
}

}  // namespace sekisho::dataplane
