#include "nat/icmp_error.h"

#include "base/mutation.h"
#include "nat/rewrite_fragment.h"
#include "packet/checksum.h"
#include "packet/views.h"

namespace sekisho::nat {
namespace {

using packet::load;
using packet::store;
namespace offset = packet::offset;

constexpr size_t kQuotedTransport = 8;  // RFC 792: what every error quotes at least
constexpr size_t kTcpThroughChecksum = offset::kTcpChecksum + 2;

// One end of the quoted packet, as it is to become.
struct QuotedEnd {
    size_t address_offset;  // in the IPv4 header
    size_t port_offset;     // in the TCP or UDP header
    uint32_t address;
    uint16_t port;
    uint16_t ip_delta;
    uint16_t l4_delta;
};

// Writes a 16-bit field that lies at an even offset and returns what it adds to the error's sum.
uint16_t change(uint8_t* field, uint16_t value) {
    const uint16_t delta = packet::checksum_delta16(load<uint16_t>(field), value);
    store(field, value);
    return delta;
}

// The quoted transport header: port or identifier, and the checksum where it is quoted.
uint16_t rewrite_quoted_transport(std::span<uint8_t> l4, Protocol protocol, const QuotedEnd& end) {
    if (protocol == Protocol::kIcmp) {
        uint8_t* sum = &l4[offset::kIcmpChecksum];
        const uint16_t checksum = packet::apply_delta_icmp(load<uint16_t>(sum), end.l4_delta);
        return packet::add_deltas(
            change(&l4[offset::kIcmpIdentifier], end.port), change(sum, checksum)
        );
    }
    if (is_address_only(protocol)) {
        const size_t at = address_checksum_at(protocol);
        const uint16_t before = load<uint16_t>(&l4[at]);
        return at == 0 ? uint16_t{0}
                       : change(&l4[at], apply_address_delta(before, end.l4_delta, protocol));
    }
    const uint16_t port_delta = change(&l4[end.port_offset], end.port);
    if (protocol == Protocol::kUdp) {
        uint8_t* sum = &l4[offset::kUdpChecksum];
        const uint16_t checksum = packet::apply_delta_udp(load<uint16_t>(sum), end.l4_delta);
        return packet::add_deltas(port_delta, change(sum, checksum));
    }
    if (l4.size() < kTcpThroughChecksum) {
        return port_delta;
    }
    uint8_t* sum = &l4[offset::kTcpChecksum];
    const uint16_t checksum = packet::apply_delta(load<uint16_t>(sum), end.l4_delta);
    return packet::add_deltas(port_delta, change(sum, checksum));
}

// Writes one end of the quoted packet and corrects the error's checksum.
bool rewrite_quote(const IcmpErrorPacket& error, const Session& session, const QuotedEnd& end) {
    if (error.quote + packet::kIpv4Header > error.datagram.size()) {
        return false;
    }
    const std::span<uint8_t> quote = error.datagram.subspan(error.quote);
    const size_t header =
        is_mutated(Mutation::kRfc5508Req3b) ? packet::kIpv4Header : size_t{4} * (quote[0] & 0x0f);
    if (header < packet::kIpv4Header || header + kQuotedTransport > quote.size()) {
        return false;
    }
    uint8_t* address = &quote[end.address_offset];
    uint16_t delta = packet::checksum_delta(load<uint32_t>(address), end.address);
    store(address, end.address);
    uint8_t* ip_sum = &quote[offset::kIpChecksum];
    const uint16_t ip_checksum = packet::apply_delta(load<uint16_t>(ip_sum), end.ip_delta);
    delta = packet::add_deltas(delta, change(ip_sum, ip_checksum));
    const uint16_t transport = rewrite_quoted_transport(
        quote.subspan(header), static_cast<Protocol>(session.protocol), end
    );
    delta = packet::add_deltas(delta, transport);
    uint8_t* sum = &error.datagram[error.l4 + offset::kIcmpChecksum];
    store(sum, packet::apply_delta_icmp(load<uint16_t>(sum), delta));
    return true;
}

void rewrite_outer(const IcmpErrorPacket& error, size_t address_offset, uint32_t address) {
    uint8_t* ip = error.datagram.data();
    const uint16_t delta = packet::checksum_delta(load<uint32_t>(ip + address_offset), address);
    store(ip + address_offset, address);
    detail::rewrite_header(ip, delta, error.ttl_step);
}

}  // namespace

bool rewrite_icmp_error_inbound(const IcmpErrorPacket& error, const Session& session) {
    const QuotedEnd source{
        offset::kIpSource,
        offset::kSourcePort,
        session.internal_address,
        session.internal_port,
        packet::inverse_delta(session.ip_delta),
        packet::inverse_delta(session.l4_delta)};
    if (!is_mutated(Mutation::kRfc5508Req4a) && !rewrite_quote(error, session, source)) {
        return false;
    }
    error.datagram[error.l4 + 1U] ^= uint8_t{is_mutated(Mutation::kRfc5508Req4b)};
    const bool is_hairpin = error.ttl_step == 0;
    if (is_mutated(is_hairpin ? Mutation::kRfc5508Req7a : Mutation::kRfc5508Req4c)) {
        return true;
    }
    rewrite_outer(error, offset::kIpDestination, session.internal_address);
    return true;
}

bool rewrite_icmp_error_outbound(
    const IcmpErrorPacket& error, const Session& session, Ipv4Addr own_external
) {
    const QuotedEnd destination{
        offset::kIpDestination,
        offset::kDestinationPort,
        session.external_address,
        session.external_port,
        session.ip_delta,
        session.l4_delta};
    if (!is_mutated(Mutation::kRfc5508Req5a) && !rewrite_quote(error, session, destination)) {
        return false;
    }
    error.datagram[error.l4 + 1U] ^= uint8_t{is_mutated(Mutation::kRfc5508Req5b)};
    if (is_mutated(Mutation::kRfc5508Req5c)) {
        return true;
    }
    const bool is_subscriber =
        load<uint32_t>(&error.datagram[offset::kIpSource]) == session.internal_address;
    rewrite_outer(
        error, offset::kIpSource, is_subscriber ? session.external_address : own_external.raw
    );
    return true;
}

void rewrite_icmp_error_remote(
    const IcmpErrorPacket& error,
    const Session& session,
    const RemoteEndpoint& original,
    Direction direction
) {
    const RemoteEndpoint target{{session.remote_address}, {session.remote_port}};
    const bool inbound = direction == Direction::kInbound;
    const RemoteEndpoint from = inbound ? target : original;
    const RemoteEndpoint to = inbound ? original : target;
    const bool is_query = static_cast<Protocol>(session.protocol) == Protocol::kIcmp;
    const uint16_t ip_delta = packet::checksum_delta(from.address, to.address);
    const uint16_t l4_delta =
        packet::add_deltas(ip_delta, packet::checksum_delta(from.port, to.port));
    const uint16_t identifier = inbound ? session.internal_port : session.external_port;
    const QuotedEnd end{
        inbound ? offset::kIpDestination : offset::kIpSource,
        inbound ? offset::kDestinationPort : offset::kSourcePort,
        to.address.raw,
        is_query ? identifier : to.port.raw,
        ip_delta,
        is_query ? uint16_t{0} : l4_delta};
    (void)rewrite_quote(error, session, end);  // the first one has seen that the quote is there
    const size_t outer = inbound ? offset::kIpSource : offset::kIpDestination;
    if (load<uint32_t>(&error.datagram[outer]) == from.address.raw) {
        IcmpErrorPacket same_hop = error;
        same_hop.ttl_step = 0;
        rewrite_outer(same_hop, outer, to.address.raw);
    }
}

}  // namespace sekisho::nat
