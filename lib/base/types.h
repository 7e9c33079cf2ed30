// Strong types that every module shares: byte order, unit and side live in the type.
//
//   Units     Tick is 1 ms of the worker's clock, 32 bits, wraps after 49.7 days; Seconds is a length of time.
//   Order     Be16, Be32, Ipv4Addr and Port hold their bytes in network order, as they stand in a packet;
//             host() and from_host() are the only ways across.
//   Cost      all trivial, all constexpr. Thread: values.
#pragma once

#include <bit>
#include <compare>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace sekisho::base {

static_assert(std::endian::native == std::endian::little, "Sekisho runs on little-endian machines");

constexpr uint16_t swap16(uint16_t v) {
    return __builtin_bswap16(v);
}
constexpr uint32_t swap32(uint32_t v) {
    return __builtin_bswap32(v);
}

// A 16-bit number in network order.
struct Be16 {
    uint16_t raw = 0;
    static constexpr Be16 from_host(uint16_t v) { return Be16{swap16(v)}; }
    constexpr uint16_t host() const { return swap16(raw); }
    friend constexpr bool operator==(Be16, Be16) = default;
};

// A 32-bit number in network order.
struct Be32 {
    uint32_t raw = 0;
    static constexpr Be32 from_host(uint32_t v) { return Be32{swap32(v)}; }
    constexpr uint32_t host() const { return swap32(raw); }
    friend constexpr bool operator==(Be32, Be32) = default;
};

// An IPv4 address, network order; ordered as people order addresses.
struct Ipv4Addr {
    uint32_t raw = 0;
    static constexpr Ipv4Addr from_host(uint32_t v) { return Ipv4Addr{swap32(v)}; }
    static constexpr Ipv4Addr of(uint8_t a, uint8_t b, uint8_t c, uint8_t d) {
        return from_host(uint32_t{a} << 24 | uint32_t{b} << 16 | uint32_t{c} << 8 | d);
    }
    constexpr uint32_t host() const { return swap32(raw); }
    friend constexpr bool operator==(Ipv4Addr, Ipv4Addr) = default;
    friend constexpr auto operator<=>(Ipv4Addr a, Ipv4Addr b) { return a.host() <=> b.host(); }
};

// A TCP or UDP port, or an ICMP query identifier; network order.
struct Port {
    uint16_t raw = 0;
    static constexpr Port from_host(uint16_t v) { return Port{swap16(v)}; }
    constexpr uint16_t host() const { return swap16(raw); }
    friend constexpr bool operator==(Port, Port) = default;
    friend constexpr auto operator<=>(Port a, Port b) { return a.host() <=> b.host(); }
};

// An IPv4 prefix; bits beyond `length` are zero.
struct Ipv4Prefix {
    Ipv4Addr address;
    uint8_t length = 0;
    constexpr uint32_t mask_host() const { return length == 0 ? 0 : ~uint32_t{0} << (32 - length); }
    constexpr bool contains(Ipv4Addr a) const {
        return (a.host() & mask_host()) == (address.host() & mask_host());
    }
    friend constexpr bool operator==(Ipv4Prefix, Ipv4Prefix) = default;
};

// Six bytes of an Ethernet address.
struct MacAddr {
    uint8_t bytes[6] = {};
    friend constexpr bool operator==(const MacAddr&, const MacAddr&) = default;
};

// A length of time, whole seconds.
struct Seconds {
    uint32_t value = 0;
    constexpr uint32_t ms() const { return value * 1000; }
    friend constexpr auto operator<=>(Seconds, Seconds) = default;
};

// A point on the worker's clock: 1 ms, wraps. Compare only through elapsed_ms() and is_before().
struct Tick {
    uint32_t ms = 0;
    friend constexpr bool operator==(Tick, Tick) = default;
    friend constexpr Tick operator+(Tick t, uint32_t by_ms) { return Tick{t.ms + by_ms}; }
};
// Milliseconds from `from` to `to`; right while they are less than 24.8 days apart, negative if `to` is earlier.
constexpr int32_t elapsed_ms(Tick from, Tick to) {
    return static_cast<int32_t>(to.ms - from.ms);
}
constexpr bool is_before(Tick a, Tick b) {
    return elapsed_ms(a, b) > 0;
}

// A small integer that names one thing of one kind; two kinds never mix.
template <class Tag, std::unsigned_integral Rep>
struct Id {
    using rep = Rep;
    Rep value = 0;
    friend constexpr bool operator==(Id, Id) = default;
    friend constexpr auto operator<=>(Id, Id) = default;
};

using ShardId = Id<struct ShardTag, uint8_t>;
using WorkerId = Id<struct WorkerTag, uint8_t>;
using LinkId = Id<struct LinkTag, uint8_t>;
using RealmId = Id<struct RealmTag, uint8_t>;  // 0 is the external realm, 1 the internal one
using PoolId = Id<struct PoolTag, uint16_t>;
using PolicyId = Id<struct PolicyTag, uint16_t>;
using NeighbourId = Id<struct NeighbourTag, uint16_t>;  // 0: none known yet
using SessionIndex = Id<struct SessionTag, uint32_t>;
using MappingIndex = Id<struct MappingTag, uint32_t>;
using SubscriberIndex = Id<struct SubscriberTag, uint32_t>;
using BlockIndex = Id<struct BlockTag, uint32_t>;        // of a block record in its holder's arena
using ExternalIndex = Id<struct ExternalTag, uint32_t>;  // of an external address, over all pools

inline constexpr RealmId kExternalRealm{0};
inline constexpr RealmId kInternalRealm{1};
inline constexpr uint32_t kNoIndex = 0xffffffff;

// IP protocol numbers that Sekisho knows.
enum class Protocol : uint8_t {
    kIcmp = 1,
    kTcp = 6,
    kUdp = 17,
    // Of these only the address is translated:
    kDccp = 33,
    kGre = 47,
    kEsp = 50,
    kSctp = 132,
    kUdpLite = 136,
};
// Whether a NAT leaves its ports alone, if it has any: then one inside host has a remote address of an external one.
constexpr bool is_address_only(Protocol p) {
    return p == Protocol::kDccp || p == Protocol::kGre || p == Protocol::kEsp ||
           p == Protocol::kSctp || p == Protocol::kUdpLite;
}

enum class Direction : uint8_t { kOutbound = 0, kInbound = 1 };
constexpr Direction opposite(Direction d) {
    return d == Direction::kOutbound ? Direction::kInbound : Direction::kOutbound;
}

}  // namespace sekisho::base

namespace sekisho {
using base::Be16;
using base::Be32;
using base::BlockIndex;
using base::Direction;
using base::elapsed_ms;
using base::ExternalIndex;
using base::Ipv4Addr;
using base::Ipv4Prefix;
using base::is_before;
using base::kExternalRealm;
using base::kInternalRealm;
using base::kNoIndex;
using base::LinkId;
using base::MacAddr;
using base::MappingIndex;
using base::NeighbourId;
using base::PolicyId;
using base::PoolId;
using base::Port;
using base::Protocol;
using base::RealmId;
using base::Seconds;
using base::SessionIndex;
using base::ShardId;
using base::SubscriberIndex;
using base::Tick;
using base::WorkerId;
}  // namespace sekisho
