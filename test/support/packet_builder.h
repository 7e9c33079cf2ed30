// A fluent builder of frames, and a decoder that says what a frame is.
//
//   frame().mac(kHost, kRouter).vlan(100).ipv4("100.64.0.5", "192.0.2.1").ttl(9)
//       .udp(1000, 53).payload("x").bytes()
//
//   Defaults  locally administered station addresses, TTL 64, correct lengths and checksums. A
//             setter that names a length, a checksum or a version writes just that, right or wrong;
//             the checksums around it are then made to fit, unless they were set too.
//   Order     ports, lengths, checksums and numbers as people write them: host order.
//   Errors    a text that is no address throws std::invalid_argument: a mistake in the test.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/types.h"
#include "packet/views.h"

namespace sekisho::test {

using packet::Bytes;
using ByteVector = std::vector<uint8_t>;

// Addresses from text, for tests.
Ipv4Addr ip(std::string_view text);
MacAddr mac(std::string_view text);

inline constexpr MacAddr kHostMac{{0x02, 0, 0, 0, 0, 0x01}};    // default source
inline constexpr MacAddr kRouterMac{{0x02, 0, 0, 0, 0, 0x02}};  // default destination

class PacketBuilder {
  public:
    PacketBuilder& mac(MacAddr from, MacAddr to);
    PacketBuilder& vlan(uint16_t id, uint16_t ether_type = packet::kEtherVlan);  // outermost first
    PacketBuilder& ether_type(uint16_t type);

    PacketBuilder& ipv4(std::string_view source, std::string_view destination);
    PacketBuilder& ipv4(Ipv4Addr source, Ipv4Addr destination);
    PacketBuilder& ttl(uint8_t value);
    PacketBuilder& tos(uint8_t value);
    PacketBuilder& ip_id(uint16_t value);
    PacketBuilder& fragment(uint16_t offset_units, bool more);  // in units of 8 bytes
    PacketBuilder& dont_fragment();
    PacketBuilder& ip_options(ByteVector options);  // padded with end-of-options to 4 bytes
    PacketBuilder& version(uint8_t value);
    PacketBuilder& header_words(uint8_t value);  // IHL
    PacketBuilder& total_length(uint16_t value);
    PacketBuilder& ip_checksum(uint16_t value);
    PacketBuilder& protocol(uint8_t value);

    PacketBuilder& udp(uint16_t source, uint16_t destination);
    PacketBuilder& udp_length(uint16_t value);
    PacketBuilder& tcp(uint16_t source, uint16_t destination, uint8_t flags);
    PacketBuilder& sequence(uint32_t value);
    PacketBuilder& acknowledgement(uint32_t value);
    PacketBuilder& window(uint16_t value);
    PacketBuilder& tcp_options(ByteVector options);  // padded with zeros to 4 bytes
    PacketBuilder& data_offset(uint8_t words);
    PacketBuilder& echo_request(uint16_t id, uint16_t sequence_number = 1);
    PacketBuilder& echo_reply(uint16_t id, uint16_t sequence_number = 1);
    PacketBuilder& icmp(uint8_t type, uint8_t code, uint32_t rest = 0);
    // An ICMP error that quotes `quote` (from an IPv4 header on: l3() of another builder, cut or
    // not).
    PacketBuilder& icmp_error(uint8_t type, uint8_t code, Bytes quote, uint32_t rest = 0);
    PacketBuilder& l4_checksum(uint16_t value);  // 0 with udp(): none

    PacketBuilder& arp(
        uint16_t operation, MacAddr sender_mac, Ipv4Addr sender, MacAddr target_mac, Ipv4Addr target
    );
    PacketBuilder& arp_request(
        MacAddr sender_mac, std::string_view sender, std::string_view target
    );

    PacketBuilder& payload(std::string_view text);
    PacketBuilder& payload(Bytes bytes);
    PacketBuilder& payload_size(size_t size);  // bytes that differ
    PacketBuilder& padding(size_t size);       // behind the packet, as Ethernet pads

    ByteVector bytes() const;  // the frame
    ByteVector l3() const;     // from the IPv4 header on, without padding

  private:
    enum class L4 : uint8_t { kNone, kUdp, kTcp, kIcmp };
    ByteVector l4() const;
    void fill_l4_checksum(ByteVector& l4) const;
    ByteVector arp_bytes() const;

    MacAddr from_ = kHostMac;
    MacAddr to_ = kRouterMac;
    std::vector<std::pair<uint16_t, uint16_t>> tags_;  // id, Ethernet type
    std::optional<uint16_t> ether_type_;
    bool ipv4_ = false;
    Ipv4Addr source_;
    Ipv4Addr destination_;
    uint8_t ttl_ = 64;
    uint8_t tos_ = 0;
    uint16_t id_ = 0;
    uint16_t fragment_word_ = 0;
    ByteVector ip_options_;
    uint8_t version_ = 4;
    std::optional<uint8_t> header_words_;
    std::optional<uint16_t> total_length_;
    std::optional<uint16_t> ip_checksum_;
    std::optional<uint8_t> protocol_;
    L4 kind_ = L4::kNone;
    uint16_t source_port_ = 0;
    uint16_t destination_port_ = 0;
    std::optional<uint16_t> udp_length_;
    uint8_t tcp_flags_ = 0;
    uint32_t sequence_ = 1000;
    uint32_t acknowledgement_ = 0;
    uint16_t window_ = 65535;
    ByteVector tcp_options_;
    std::optional<uint8_t> data_offset_;
    uint8_t icmp_type_ = 0;
    uint8_t icmp_code_ = 0;
    uint32_t icmp_rest_ = 0;
    std::optional<uint16_t> l4_checksum_;
    ByteVector arp_;
    ByteVector payload_;
    size_t padding_ = 0;
};

inline PacketBuilder frame() {
    return {};
}

// What a frame says, field by field; what it does not have is empty or zero.
struct Decoded {
    MacAddr from;
    MacAddr to;
    std::vector<uint16_t> vlans;
    uint16_t ether_type = 0;
    bool is_arp = false;
    uint16_t arp_operation = 0;
    MacAddr arp_sender_mac;
    Ipv4Addr arp_sender;
    Ipv4Addr arp_target;
    bool is_ipv4 = false;
    Ipv4Addr source;
    Ipv4Addr destination;
    uint8_t protocol = 0;
    uint8_t tos = 0;
    uint8_t ttl = 0;
    uint16_t ip_id = 0;
    uint16_t fragment_word = 0;
    uint16_t total_length = 0;
    uint16_t source_port = 0;
    uint16_t destination_port = 0;
    uint8_t tcp_flags = 0;
    uint32_t sequence = 0;
    uint32_t acknowledgement = 0;
    uint16_t window = 0;
    uint8_t icmp_type = 0;
    uint8_t icmp_code = 0;
    uint16_t icmp_id = 0;
    uint16_t icmp_sequence = 0;  // of an error: the next-hop MTU
    ByteVector payload;          // behind the transport header
    std::vector<Decoded> quote;  // of an ICMP error: one, or none if it cannot be read
};
Decoded decode(Bytes frame);
Decoded decode_l3(Bytes from_ip_header);

// One line, for assertions: "100.64.0.5:1000 > 192.0.2.1:53 udp ttl 64 1 bytes", with the VLAN tags
// before it, and for an ICMP error the quoted packet in brackets.
std::string describe(Bytes frame);

// Whether every checksum of the frame is what a full computation gives: IPv4 header, TCP, UDP (0
// counts), ICMP, and the IPv4 header that an ICMP error quotes; of a fragment the IPv4 header alone.
// False too for a frame that is not whole.
bool checksums_ok(Bytes frame);

}  // namespace sekisho::test
