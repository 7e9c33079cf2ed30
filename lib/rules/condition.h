// Conditions: what a rule asks of a packet. A rule's conditions must all agree; one may stand several times.
//
//   Empty     a list that names nothing agrees with nothing (a link name that does not exist yet,
//             LEGACY S6); a condition that is not there agrees with everything.
//   Fixed     fields that are one for all packets of a flow in one direction, state, links and class of
//             fragments; all others vary from packet to packet, and their rules leave a residue
//             (ARCHITECTURE 5, residue.h).
//   Thread    values.
#pragma once

#include <array>
#include <cstdint>
#include <variant>
#include <vector>

#include "base/types.h"
#include "rules/packet.h"

namespace sekisho::rules {

using SetId = base::Id<struct SetTag, uint16_t>;

// Any of the 256 values of a byte: protocols, links, realms.
class ByteSet {
  public:
    constexpr ByteSet() = default;
    template <class... Values>
    static constexpr ByteSet of(Values... values) {
        ByteSet set;
        (set.add(static_cast<uint8_t>(values)), ...);
        return set;
    }
    constexpr void add(uint8_t value) { words_[value / 64] |= uint64_t{1} << value % 64; }
    constexpr bool has(uint8_t value) const { return (words_[value / 64] >> value % 64 & 1) != 0; }
    constexpr bool is_empty() const { return *this == ByteSet{}; }
    friend constexpr bool operator==(const ByteSet&, const ByteSet&) = default;

  private:
    std::array<uint64_t, 4> words_{};
};

// Both ends included, host order.
template <class T>
struct Range {
    T first{};
    T last{};
    constexpr bool has(T value) const { return first <= value && value <= last; }
    friend constexpr bool operator==(const Range&, const Range&) = default;
};

using AddressRange = Range<Ipv4Addr>;
constexpr AddressRange range_of(Ipv4Prefix prefix) {
    const uint32_t first = prefix.address.host() & prefix.mask_host();
    return {Ipv4Addr::from_host(first), Ipv4Addr::from_host(first | ~prefix.mask_host())};
}

// An address under a mask that need not be contiguous (LEGACY S29).
struct MaskedAddress {
    Ipv4Addr address;
    Ipv4Addr mask;
    constexpr bool has(Ipv4Addr a) const { return ((a.raw ^ address.raw) & mask.raw) == 0; }
    friend constexpr bool operator==(const MaskedAddress&, const MaskedAddress&) = default;
};

// Of a packet's two ends; kEither: at least one.
enum class Side : uint8_t { kSource, kDestination, kEither };
enum class Way : uint8_t { kIn, kOut, kEither };

struct ProtocolTest {
    ByteSet protocols;
    friend bool operator==(const ProtocolTest&, const ProtocolTest&) = default;
};
struct AddressTest {  // in any of these
    Side side = Side::kSource;
    std::vector<AddressRange> ranges;
    std::vector<MaskedAddress> masked;
    std::vector<SetId> sets;
    friend bool operator==(const AddressTest&, const AddressTest&) = default;
};
struct PortTest {
    Side side = Side::kDestination;
    std::vector<Range<uint16_t>> ranges;
    bool takes_later_fragments = false;  // they agree, though they show no ports (LEGACY S11)
    friend bool operator==(const PortTest&, const PortTest&) = default;
};
struct IcmpKind {
    Range<uint8_t> type{0, 255};
    Range<uint8_t> code{0, 255};
    friend bool operator==(const IcmpKind&, const IcmpKind&) = default;
};
struct IcmpTest {
    std::vector<IcmpKind> kinds;
    bool takes_later_fragments = false;
    friend bool operator==(const IcmpTest&, const IcmpTest&) = default;
};
struct LinkTest {
    Way way = Way::kIn;
    ByteSet links;
    friend bool operator==(const LinkTest&, const LinkTest&) = default;
};
struct TcpFlagsTest {  // of these flags just those are set
    uint8_t mask = 0;
    uint8_t set = 0;
    bool takes_others = false;  // what shows no TCP header agrees (LEGACY S7)
    friend bool operator==(const TcpFlagsTest&, const TcpFlagsTest&) = default;
};
struct FragmentTest {
    bool whole = false;
    bool first = false;
    bool later = false;
    friend bool operator==(const FragmentTest&, const FragmentTest&) = default;
};
struct TosTest {  // of the whole byte; DSCP: mask 0xfc
    uint8_t mask = 0xff;
    uint8_t value = 0;
    friend bool operator==(const TosTest&, const TosTest&) = default;
};
struct LengthTest {  // IPv4 total length
    std::vector<Range<uint16_t>> ranges;
    friend bool operator==(const LengthTest&, const LengthTest&) = default;
};
struct TtlTest {
    Range<uint8_t> range{0, 255};
    friend bool operator==(const TtlTest&, const TtlTest&) = default;
};
struct StateTest {
    ByteSet states;  // of ConnectionState
    friend bool operator==(const StateTest&, const StateTest&) = default;
};
struct RealmTest {
    ByteSet realms;
    friend bool operator==(const RealmTest&, const RealmTest&) = default;
};
struct GroupTest {
    std::vector<GroupId> groups;
    friend bool operator==(const GroupTest&, const GroupTest&) = default;
};
struct PayloadTest {  // found in what was seen of this direction
    PatternId pattern;
    friend bool operator==(const PayloadTest&, const PayloadTest&) = default;
};
struct TimeTest {         // the day is that of the moment, also where the hours go past midnight
    uint8_t days = 0x7f;  // bit 0: Monday
    Range<uint32_t> seconds{0, TimeOfWeek::kDay - 1};  // of the day; last < first: past midnight
    friend bool operator==(const TimeTest&, const TimeTest&) = default;
};
// A token bucket: `packets` each `period`, at most `burst` at once. Asked last of a rule's conditions, so
// that only what agrees with all others takes a token. Negated: what finds none.
struct RateTest {
    uint32_t packets = 1;
    Seconds period{1};
    uint32_t burst = 5;
    uint32_t bucket = 0;  // given by the rule set
    // A bucket is where a rule stands, not what it says.
    friend bool operator==(const RateTest& a, const RateTest& b) {
        return a.packets == b.packets && a.period == b.period && a.burst == b.burst;
    }
};
struct MarkTest {
    uint32_t mask = 0xffffffff;
    uint32_t value = 0;
    friend bool operator==(const MarkTest&, const MarkTest&) = default;
};

using Test = std::variant<
    ProtocolTest,
    AddressTest,
    PortTest,
    IcmpTest,
    LinkTest,
    TcpFlagsTest,
    FragmentTest,
    TosTest,
    LengthTest,
    TtlTest,
    StateTest,
    RealmTest,
    GroupTest,
    PayloadTest,
    TimeTest,
    RateTest,
    MarkTest>;

struct Condition {
    Test test;
    bool negated = false;
    friend bool operator==(const Condition&, const Condition&) = default;
};

// Whether it reads a field that can differ between packets of one flow.
bool is_varying(const Condition& condition);

}  // namespace sekisho::rules
