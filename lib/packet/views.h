// Header views over bytes: Ethernet, VLAN, ARP, IPv4, UDP, TCP, ICMP.
//
//   Shape     a view is made only by at(), which checks that the whole fixed header is there (IPv4
//             and TCP: with the options that its length field names); after that no getter can read
//             beyond. It owns nothing.
//   Order     what a getter returns carries its order in the type, or is a host-order number.
//   Errors    at() returns an empty optional when there is no room or a length field is impossible.
//   Cost      loads through memcpy; no alignment is assumed. Thread: pure.
//   Source    IEEE 802.3, 802.1Q; RFC 791, 768, 793, 792, 826.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

#include "base/types.h"

namespace sekisho::packet {

using Bytes = std::span<const uint8_t>;

// A value as it lies in memory, network order kept.
template <class T>
inline T load(const uint8_t* p) {
    T value;
    std::memcpy(&value, p, sizeof(T));
    return value;
}
template <class T>
inline void store(uint8_t* p, T value) {
    std::memcpy(p, &value, sizeof(T));
}

// Ethernet types, host order.
inline constexpr uint16_t kEtherIpv4 = 0x0800;
inline constexpr uint16_t kEtherArp = 0x0806;
inline constexpr uint16_t kEtherVlan = 0x8100;  // 802.1Q
inline constexpr uint16_t kEtherQinq = 0x88a8;  // 802.1ad, the outer tag

inline constexpr size_t kEthernetHeader = 14;
inline constexpr size_t kVlanTag = 4;
inline constexpr size_t kMaxVlanTags = 2;
inline constexpr size_t kArpLength = 28;
inline constexpr size_t kIpv4Header = 20;
inline constexpr size_t kUdpHeader = 8;
inline constexpr size_t kTcpHeader = 20;
inline constexpr size_t kSctpHeader = 12;
inline constexpr size_t kDccpHeader = 12;  // with the shorter sequence number
inline constexpr size_t kGreHeader = 4;
inline constexpr size_t kIcmpHeader = 8;

inline constexpr MacAddr kBroadcastMac{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

// Where fields lie in their header, for those who write.
namespace offset {
inline constexpr size_t kIpTos = 1, kIpLength = 2, kIpId = 4, kIpFragment = 6, kIpTtl = 8,
                        kIpProtocol = 9, kIpChecksum = 10, kIpSource = 12, kIpDestination = 16;
inline constexpr size_t kSourcePort = 0, kDestinationPort = 2;
inline constexpr size_t kUdpLength = 4, kUdpChecksum = 6;
inline constexpr size_t kTcpSequence = 4, kTcpAck = 8, kTcpOffset = 12, kTcpFlags = 13,
                        kTcpWindow = 14, kTcpChecksum = 16, kTcpUrgent = 18;
inline constexpr size_t kIcmpType = 0, kIcmpCode = 1, kIcmpChecksum = 2, kIcmpIdentifier = 4,
                        kIcmpSequence = 6, kIcmpMtu = 6;
}  // namespace offset

enum TcpFlag : uint8_t {
    kFin = 0x01,
    kSyn = 0x02,
    kRst = 0x04,
    kPsh = 0x08,
    kAck = 0x10,
    kUrg = 0x20,
};

// ICMP types (RFC 792) and codes.
inline constexpr uint8_t kIcmpEchoReply = 0;
inline constexpr uint8_t kIcmpUnreachable = 3;
inline constexpr uint8_t kIcmpEchoRequest = 8;
inline constexpr uint8_t kIcmpTimeExceeded = 11;
inline constexpr uint8_t kIcmpParameterProblem = 12;
inline constexpr uint8_t kCodeNetUnreachable = 0;
inline constexpr uint8_t kCodeHostUnreachable = 1;
inline constexpr uint8_t kCodePortUnreachable = 3;
inline constexpr uint8_t kCodeFragmentationNeeded = 4;
inline constexpr uint8_t kCodeAdminProhibited = 13;

// IPv4 options that matter here (RFC 791 3.1).
inline constexpr uint8_t kOptionEnd = 0;
inline constexpr uint8_t kOptionNop = 1;
inline constexpr uint8_t kOptionLooseSourceRoute = 131;
inline constexpr uint8_t kOptionStrictSourceRoute = 137;

inline constexpr uint16_t kFragmentOffsetMask = 0x1fff;  // host order, in 8-byte units
inline constexpr uint16_t kMoreFragments = 0x2000;
inline constexpr uint16_t kDontFragment = 0x4000;

inline MacAddr load_mac(const uint8_t* p) {
    MacAddr mac;
    std::memcpy(mac.bytes, p, sizeof mac.bytes);
    return mac;
}

class EthernetView {
  public:
    static std::optional<EthernetView> at(Bytes frame) {
        return frame.size() < kEthernetHeader ? std::nullopt : std::optional(EthernetView(frame));
    }
    MacAddr destination() const { return load_mac(&frame_[0]); }
    MacAddr source() const { return load_mac(&frame_[6]); }
    uint16_t type() const { return Be16{load<uint16_t>(&frame_[12])}.host(); }
    Bytes payload() const { return frame_.subspan(kEthernetHeader); }

  private:
    explicit EthernetView(Bytes frame) : frame_(frame) {}
    Bytes frame_;
};

// What stands behind an Ethernet type 0x8100 or 0x88a8: the tag and the type of what follows.
class VlanView {
  public:
    static std::optional<VlanView> at(Bytes bytes) {
        return bytes.size() < kVlanTag ? std::nullopt : std::optional(VlanView(bytes));
    }
    uint16_t id() const { return Be16{load<uint16_t>(&bytes_[0])}.host() & 0x0fff; }
    uint16_t type() const { return Be16{load<uint16_t>(&bytes_[2])}.host(); }
    Bytes payload() const { return bytes_.subspan(kVlanTag); }

  private:
    explicit VlanView(Bytes bytes) : bytes_(bytes) {}
    Bytes bytes_;
};

// ARP for Ethernet and IPv4; any other kind is no view.
class ArpView {
  public:
    static constexpr uint16_t kRequest = 1;
    static constexpr uint16_t kReply = 2;

    static std::optional<ArpView> at(Bytes bytes) {
        if (bytes.size() < kArpLength) {
            return std::nullopt;
        }
        const ArpView view(bytes);
        const bool known =
            view.half(0) == 1 && view.half(2) == kEtherIpv4 && bytes[4] == 6 && bytes[5] == 4;
        return known ? std::optional(view) : std::nullopt;
    }
    uint16_t operation() const { return half(6); }
    MacAddr sender_mac() const { return load_mac(&bytes_[8]); }
    Ipv4Addr sender() const { return {load<uint32_t>(&bytes_[14])}; }
    MacAddr target_mac() const { return load_mac(&bytes_[18]); }
    Ipv4Addr target() const { return {load<uint32_t>(&bytes_[24])}; }

  private:
    explicit ArpView(Bytes bytes) : bytes_(bytes) {}
    uint16_t half(size_t at) const { return Be16{load<uint16_t>(&bytes_[at])}.host(); }
    Bytes bytes_;
};

class Ipv4View {
  public:
    // The header with its options. Says nothing of total_length(), which may lie: payload() is cut
    // to what is there.
    static std::optional<Ipv4View> at(Bytes bytes) {
        if (bytes.size() < kIpv4Header) {
            return std::nullopt;
        }
        const Ipv4View view(bytes);
        const bool fits = bytes[0] >> 4 == 4 && view.header_length() >= kIpv4Header &&
                          view.header_length() <= bytes.size();
        return fits ? std::optional(view) : std::nullopt;
    }
    size_t header_length() const { return size_t{4} * (bytes_[0] & 0x0f); }
    uint8_t tos() const { return bytes_[offset::kIpTos]; }
    uint16_t total_length() const { return half(offset::kIpLength); }
    uint16_t id() const { return half(offset::kIpId); }
    uint16_t fragment_word() const { return half(offset::kIpFragment); }
    bool dont_fragment() const { return (fragment_word() & kDontFragment) != 0; }
    bool is_fragment() const {
        return (fragment_word() & (kMoreFragments | kFragmentOffsetMask)) != 0;
    }
    uint16_t fragment_offset() const { return fragment_word() & kFragmentOffsetMask; }
    uint8_t ttl() const { return bytes_[offset::kIpTtl]; }
    uint8_t protocol() const { return bytes_[offset::kIpProtocol]; }
    uint16_t checksum_raw() const { return load<uint16_t>(&bytes_[offset::kIpChecksum]); }
    Ipv4Addr source() const { return {load<uint32_t>(&bytes_[offset::kIpSource])}; }
    Ipv4Addr destination() const { return {load<uint32_t>(&bytes_[offset::kIpDestination])}; }
    Bytes header() const { return bytes_.first(header_length()); }
    Bytes options() const { return header().subspan(kIpv4Header); }
    // What follows the header, up to total_length() or the end of the bytes, whichever is nearer.
    Bytes payload() const {
        const size_t end = total_length() < bytes_.size() ? total_length() : bytes_.size();
        return end <= header_length() ? Bytes() : bytes_.first(end).subspan(header_length());
    }

  private:
    explicit Ipv4View(Bytes bytes) : bytes_(bytes) {}
    uint16_t half(size_t at) const { return Be16{load<uint16_t>(&bytes_[at])}.host(); }
    Bytes bytes_;
};

class UdpView {
  public:
    static std::optional<UdpView> at(Bytes bytes) {
        return bytes.size() < kUdpHeader ? std::nullopt : std::optional(UdpView(bytes));
    }
    Port source_port() const { return {load<uint16_t>(&bytes_[0])}; }
    Port destination_port() const { return {load<uint16_t>(&bytes_[2])}; }
    uint16_t length() const { return Be16{load<uint16_t>(&bytes_[offset::kUdpLength])}.host(); }
    uint16_t checksum_raw() const { return load<uint16_t>(&bytes_[offset::kUdpChecksum]); }
    Bytes payload() const { return bytes_.subspan(kUdpHeader); }

  private:
    explicit UdpView(Bytes bytes) : bytes_(bytes) {}
    Bytes bytes_;
};

class TcpView {
  public:
    static std::optional<TcpView> at(Bytes bytes) {
        if (bytes.size() < kTcpHeader) {
            return std::nullopt;
        }
        const TcpView view(bytes);
        const bool fits =
            view.header_length() >= kTcpHeader && view.header_length() <= bytes.size();
        return fits ? std::optional(view) : std::nullopt;
    }
    Port source_port() const { return {load<uint16_t>(&bytes_[0])}; }
    Port destination_port() const { return {load<uint16_t>(&bytes_[2])}; }
    uint32_t sequence() const { return Be32{load<uint32_t>(&bytes_[offset::kTcpSequence])}.host(); }
    uint32_t acknowledgement() const {
        return Be32{load<uint32_t>(&bytes_[offset::kTcpAck])}.host();
    }
    size_t header_length() const { return size_t{4} * (bytes_[offset::kTcpOffset] >> 4); }
    uint8_t flags() const { return bytes_[offset::kTcpFlags]; }
    uint16_t window() const { return Be16{load<uint16_t>(&bytes_[offset::kTcpWindow])}.host(); }
    uint16_t checksum_raw() const { return load<uint16_t>(&bytes_[offset::kTcpChecksum]); }
    Bytes options() const { return bytes_.first(header_length()).subspan(kTcpHeader); }
    Bytes payload() const { return bytes_.subspan(header_length()); }

  private:
    explicit TcpView(Bytes bytes) : bytes_(bytes) {}
    Bytes bytes_;
};

class IcmpView {
  public:
    static std::optional<IcmpView> at(Bytes bytes) {
        return bytes.size() < kIcmpHeader ? std::nullopt : std::optional(IcmpView(bytes));
    }
    uint8_t type() const { return bytes_[offset::kIcmpType]; }
    uint8_t code() const { return bytes_[offset::kIcmpCode]; }
    uint16_t checksum_raw() const { return load<uint16_t>(&bytes_[offset::kIcmpChecksum]); }
    Port identifier() const { return {load<uint16_t>(&bytes_[offset::kIcmpIdentifier])}; }
    uint16_t sequence() const {
        return Be16{load<uint16_t>(&bytes_[offset::kIcmpSequence])}.host();
    }
    uint16_t next_hop_mtu() const { return Be16{load<uint16_t>(&bytes_[offset::kIcmpMtu])}.host(); }
    bool is_query() const { return type() == kIcmpEchoRequest || type() == kIcmpEchoReply; }
    bool is_error() const {
        return type() == kIcmpUnreachable || type() == kIcmpTimeExceeded ||
               type() == kIcmpParameterProblem;
    }
    Bytes payload() const { return bytes_.subspan(kIcmpHeader); }

  private:
    explicit IcmpView(Bytes bytes) : bytes_(bytes) {}
    Bytes bytes_;
};

}  // namespace sekisho::packet
