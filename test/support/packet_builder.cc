#include "support/packet_builder.h"

#include <stdexcept>

#include "base/text.h"
#include "packet/checksum.h"

namespace sekisho::test {
namespace {

void put16(ByteVector& out, uint16_t v) {
    out.push_back(static_cast<uint8_t>(v >> 8));
    out.push_back(static_cast<uint8_t>(v));
}
void put32(ByteVector& out, uint32_t v) {
    put16(out, static_cast<uint16_t>(v >> 16));
    put16(out, static_cast<uint16_t>(v));
}
void put(ByteVector& out, Bytes bytes) {
    out.insert(out.end(), bytes.begin(), bytes.end());
}
void set16(ByteVector& out, size_t at, uint16_t v) {
    out[at] = static_cast<uint8_t>(v >> 8);
    out[at + 1] = static_cast<uint8_t>(v);
}
ByteVector padded(ByteVector bytes) {
    bytes.resize((bytes.size() + 3) / 4 * 4);
    return bytes;
}

}  // namespace

Ipv4Addr ip(std::string_view text) {
    const auto address = base::parse_ipv4(text);
    if (!address) {
        throw std::invalid_argument("not an IPv4 address: " + std::string(text));
    }
    return *address;
}

MacAddr mac(std::string_view text) {
    const auto address = base::parse_mac(text);
    if (!address) {
        throw std::invalid_argument("not a station address: " + std::string(text));
    }
    return *address;
}

PacketBuilder& PacketBuilder::mac(MacAddr from, MacAddr to) {
    from_ = from;
    to_ = to;
    return *this;
}
PacketBuilder& PacketBuilder::vlan(uint16_t id, uint16_t type) {
    tags_.emplace_back(id, type);
    return *this;
}
PacketBuilder& PacketBuilder::ether_type(uint16_t type) {
    ether_type_ = type;
    return *this;
}
PacketBuilder& PacketBuilder::ipv4(std::string_view source, std::string_view destination) {
    return ipv4(ip(source), ip(destination));
}
PacketBuilder& PacketBuilder::ipv4(Ipv4Addr source, Ipv4Addr destination) {
    ipv4_ = true;
    source_ = source;
    destination_ = destination;
    return *this;
}
PacketBuilder& PacketBuilder::ttl(uint8_t value) {
    ttl_ = value;
    return *this;
}
PacketBuilder& PacketBuilder::tos(uint8_t value) {
    tos_ = value;
    return *this;
}
PacketBuilder& PacketBuilder::ip_id(uint16_t value) {
    id_ = value;
    return *this;
}
PacketBuilder& PacketBuilder::fragment(uint16_t offset_units, bool more) {
    fragment_word_ = static_cast<uint16_t>(offset_units | (more ? packet::kMoreFragments : 0));
    return *this;
}
PacketBuilder& PacketBuilder::dont_fragment() {
    fragment_word_ |= packet::kDontFragment;
    return *this;
}
PacketBuilder& PacketBuilder::ip_options(ByteVector options) {
    ip_options_ = padded(std::move(options));
    return *this;
}
PacketBuilder& PacketBuilder::version(uint8_t value) {
    version_ = value;
    return *this;
}
PacketBuilder& PacketBuilder::header_words(uint8_t value) {
    header_words_ = value;
    return *this;
}
PacketBuilder& PacketBuilder::total_length(uint16_t value) {
    total_length_ = value;
    return *this;
}
PacketBuilder& PacketBuilder::ip_checksum(uint16_t value) {
    ip_checksum_ = value;
    return *this;
}
PacketBuilder& PacketBuilder::protocol(uint8_t value) {
    protocol_ = value;
    return *this;
}
PacketBuilder& PacketBuilder::udp(uint16_t source, uint16_t destination) {
    kind_ = L4::kUdp;
    source_port_ = source;
    destination_port_ = destination;
    return *this;
}
PacketBuilder& PacketBuilder::udp_length(uint16_t value) {
    udp_length_ = value;
    return *this;
}
PacketBuilder& PacketBuilder::tcp(uint16_t source, uint16_t destination, uint8_t flags) {
    kind_ = L4::kTcp;
    source_port_ = source;
    destination_port_ = destination;
    tcp_flags_ = flags;
    return *this;
}
PacketBuilder& PacketBuilder::sequence(uint32_t value) {
    sequence_ = value;
    return *this;
}
PacketBuilder& PacketBuilder::acknowledgement(uint32_t value) {
    acknowledgement_ = value;
    return *this;
}
PacketBuilder& PacketBuilder::window(uint16_t value) {
    window_ = value;
    return *this;
}
PacketBuilder& PacketBuilder::tcp_options(ByteVector options) {
    tcp_options_ = padded(std::move(options));
    return *this;
}
PacketBuilder& PacketBuilder::data_offset(uint8_t words) {
    data_offset_ = words;
    return *this;
}
PacketBuilder& PacketBuilder::echo_request(uint16_t id, uint16_t sequence_number) {
    return icmp(packet::kIcmpEchoRequest, 0, uint32_t{id} << 16 | sequence_number);
}
PacketBuilder& PacketBuilder::echo_reply(uint16_t id, uint16_t sequence_number) {
    return icmp(packet::kIcmpEchoReply, 0, uint32_t{id} << 16 | sequence_number);
}
PacketBuilder& PacketBuilder::icmp(uint8_t type, uint8_t code, uint32_t rest) {
    kind_ = L4::kIcmp;
    icmp_type_ = type;
    icmp_code_ = code;
    icmp_rest_ = rest;
    return *this;
}
PacketBuilder& PacketBuilder::icmp_error(uint8_t type, uint8_t code, Bytes quote, uint32_t rest) {
    return icmp(type, code, rest).payload(quote);
}
PacketBuilder& PacketBuilder::l4_checksum(uint16_t value) {
    l4_checksum_ = value;
    return *this;
}

PacketBuilder& PacketBuilder::arp(
    uint16_t operation, MacAddr sender_mac, Ipv4Addr sender, MacAddr target_mac, Ipv4Addr target
) {
    arp_.clear();
    put16(arp_, 1);
    put16(arp_, packet::kEtherIpv4);
    put16(arp_, 0x0604);
    put16(arp_, operation);
    put(arp_, sender_mac.bytes);
    put32(arp_, sender.host());
    put(arp_, target_mac.bytes);
    put32(arp_, target.host());
    return *this;
}
PacketBuilder& PacketBuilder::arp_request(
    MacAddr sender_mac, std::string_view sender, std::string_view target
) {
    mac(sender_mac, packet::kBroadcastMac);
    return arp(packet::ArpView::kRequest, sender_mac, ip(sender), MacAddr{}, ip(target));
}

PacketBuilder& PacketBuilder::payload(std::string_view text) {
    payload_.assign(text.begin(), text.end());
    return *this;
}
PacketBuilder& PacketBuilder::payload(Bytes bytes) {
    payload_.assign(bytes.begin(), bytes.end());
    return *this;
}
PacketBuilder& PacketBuilder::payload_size(size_t size) {
    payload_.resize(size);
    for (size_t i = 0; i < size; ++i) {
        payload_[i] = static_cast<uint8_t>(i * 7 + 1);
    }
    return *this;
}
PacketBuilder& PacketBuilder::padding(size_t size) {
    padding_ = size;
    return *this;
}

ByteVector PacketBuilder::l4() const {
    ByteVector out;
    if (kind_ == L4::kUdp) {
        put16(out, source_port_);
        put16(out, destination_port_);
        put16(
            out, udp_length_.value_or(static_cast<uint16_t>(packet::kUdpHeader + payload_.size()))
        );
        put16(out, 0);
    } else if (kind_ == L4::kTcp) {
        const auto words = static_cast<uint8_t>((packet::kTcpHeader + tcp_options_.size()) / 4);
        put16(out, source_port_);
        put16(out, destination_port_);
        put32(out, sequence_);
        put32(out, acknowledgement_);
        out.push_back(static_cast<uint8_t>(data_offset_.value_or(words) << 4));
        out.push_back(tcp_flags_);
        put16(out, window_);
        put32(out, 0);
        put(out, tcp_options_);
    } else if (kind_ == L4::kIcmp) {
        out.push_back(icmp_type_);
        out.push_back(icmp_code_);
        put16(out, 0);
        put32(out, icmp_rest_);
    }
    put(out, payload_);
    fill_l4_checksum(out);
    return out;
}

void PacketBuilder::fill_l4_checksum(ByteVector& l4) const {
    if (kind_ == L4::kNone) {
        return;
    }
    const size_t at = kind_ == L4::kUdp   ? packet::offset::kUdpChecksum
                      : kind_ == L4::kTcp ? packet::offset::kTcpChecksum
                                          : packet::offset::kIcmpChecksum;
    if (l4_checksum_) {
        return set16(l4, at, *l4_checksum_);
    }
    uint64_t pseudo = 0;
    if (kind_ != L4::kIcmp) {
        const Protocol number = kind_ == L4::kUdp ? Protocol::kUdp : Protocol::kTcp;
        const auto length = static_cast<uint16_t>(l4.size());
        pseudo = packet::pseudo_header_sum(source_, destination_, number, length);
    }
    const uint16_t raw = packet::full_checksum(l4, pseudo);
    packet::store<uint16_t>(&l4[at], kind_ == L4::kUdp && raw == 0 ? uint16_t{0xffff} : raw);
}

ByteVector PacketBuilder::l3() const {
    static constexpr uint8_t kNumbers[] = {253, 17, 6, 1};  // by L4; 253 is for experiments
    const ByteVector body = l4();
    const size_t header = packet::kIpv4Header + ip_options_.size();
    ByteVector out;
    const auto words = header_words_.value_or(static_cast<uint8_t>(header / 4));
    out.push_back(static_cast<uint8_t>(version_ << 4 | words));
    out.push_back(tos_);
    put16(out, total_length_.value_or(static_cast<uint16_t>(header + body.size())));
    put16(out, id_);
    put16(out, fragment_word_);
    out.push_back(ttl_);
    out.push_back(protocol_.value_or(kNumbers[static_cast<size_t>(kind_)]));
    put16(out, 0);
    put32(out, source_.host());
    put32(out, destination_.host());
    put(out, ip_options_);
    if (ip_checksum_) {
        set16(out, packet::offset::kIpChecksum, *ip_checksum_);
    } else {
        packet::store<uint16_t>(&out[packet::offset::kIpChecksum], packet::full_checksum(out));
    }
    put(out, body);
    return out;
}

ByteVector PacketBuilder::bytes() const {
    ByteVector out;
    put(out, to_.bytes);
    put(out, from_.bytes);
    for (const auto& [id, type] : tags_) {
        put16(out, type);
        put16(out, id);
    }
    const uint16_t natural = arp_.empty() ? packet::kEtherIpv4 : packet::kEtherArp;
    put16(out, ether_type_.value_or(natural));
    if (!arp_.empty()) {
        put(out, arp_);
    } else if (ipv4_) {
        put(out, l3());
    } else {
        put(out, payload_);
    }
    out.resize(out.size() + padding_);
    return out;
}

}  // namespace sekisho::test
