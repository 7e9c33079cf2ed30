// A packet as rules see it: header fields and what the appliance knows of its flow, in a plain struct.
//
//   Order     addresses and ports in network order, as their types say; the rest in host order.
//   Absent    what a packet does not have agrees with no test of it, negated or not: ports of a later
//             fragment (LEGACY C4), TCP flags of UDP, the departing link at arrival. Tests say where
//             one of them is to hold all the same.
//   Thread    a value.
#pragma once

#include <cstdint>
#include <span>

#include "base/types.h"

namespace sekisho::rules {

using GroupId = base::Id<struct GroupTag, uint16_t>;      // of subscribers
using PatternId = base::Id<struct PatternTag, uint16_t>;  // of payload

inline constexpr LinkId kNoLink{0xff};
inline constexpr GroupId kNoGroup{0xffff};

enum class FragmentKind : uint8_t { kWhole, kFirst, kLater };
enum class ConnectionState : uint8_t { kNew, kEstablished, kRelated, kInvalid, kUntracked };

// Seconds since Monday, 00:00, on the clock by which the operator's rules go.
struct TimeOfWeek {
    static constexpr uint32_t kDay = 86400;
    uint32_t second = 0;
    constexpr unsigned day() const { return second / kDay; }  // 0: Monday
    constexpr uint32_t second_of_day() const { return second % kDay; }
    friend constexpr bool operator==(TimeOfWeek, TimeOfWeek) = default;
};

// In RulePacket::tcp_flags, as in the header.
inline constexpr uint8_t kFin = 0x01, kSyn = 0x02, kRst = 0x04, kPsh = 0x08, kAck = 0x10,
                         kUrg = 0x20;

struct RulePacket {
    Ipv4Addr source;
    Ipv4Addr destination;
    Port source_port;  // where has_ports()
    Port destination_port;
    uint8_t protocol = 0;
    FragmentKind fragment = FragmentKind::kWhole;
    LinkId in_link = kNoLink;
    LinkId out_link = kNoLink;
    uint8_t icmp_type = 0;  // where has_icmp()
    uint8_t icmp_code = 0;
    uint8_t tcp_flags = 0;  // where has_tcp()
    uint8_t tos = 0;
    uint8_t ttl = 64;
    ConnectionState state = ConnectionState::kNew;
    uint16_t length = 0;  // IPv4 total length
    RealmId realm;
    GroupId group = kNoGroup;
    uint32_t mark = 0;
    TimeOfWeek time;
    Tick now;
    std::span<const PatternId> patterns;  // found in this direction so far, ascending

    constexpr bool is_later_fragment() const { return fragment == FragmentKind::kLater; }
    constexpr bool has_ports() const {
        switch (static_cast<Protocol>(protocol)) {
            case Protocol::kTcp:
            case Protocol::kUdp:
            case Protocol::kDccp:
            case Protocol::kSctp:
            case Protocol::kUdpLite:
                return !is_later_fragment();
            default:
                return false;
        }
    }
    constexpr bool has_icmp() const {
        return protocol == static_cast<uint8_t>(Protocol::kIcmp) && !is_later_fragment();
    }
    constexpr bool has_tcp() const {
        return protocol == static_cast<uint8_t>(Protocol::kTcp) && !is_later_fragment();
    }
};

}  // namespace sekisho::rules
