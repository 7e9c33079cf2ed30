#include "rules/covers.h"

#include <algorithm>

namespace sekisho::rules {
namespace {

// What a test finds: kAbsent agrees with no condition, negated or not.
enum class Found : uint8_t { kNo, kYes, kAbsent, kYesEitherWay };

constexpr Found found(bool holds) {
    return holds ? Found::kYes : Found::kNo;
}

template <class Ranges, class Value>
bool is_in(const Ranges& ranges, Value value) {
    return std::ranges::any_of(ranges, [value](const auto& range) { return range.has(value); });
}

struct Asked {
    const RulePacket& packet;
    const AddressSets& sets;
    bool exchanged;

    Ipv4Addr source() const { return exchanged ? packet.destination : packet.source; }
    Ipv4Addr destination() const { return exchanged ? packet.source : packet.destination; }
    uint16_t source_port() const {
        return (exchanged ? packet.destination_port : packet.source_port).host();
    }
    uint16_t destination_port() const {
        return (exchanged ? packet.source_port : packet.destination_port).host();
    }

    bool has(const AddressTest& test, Ipv4Addr address) const {
        return is_in(test.ranges, address) || is_in(test.masked, address) ||
               std::ranges::any_of(test.sets, [&](SetId set) { return sets.has(set, address); });
    }
    Found operator()(const ProtocolTest& test) const {
        return found(test.protocols.has(packet.protocol));
    }
    Found operator()(const AddressTest& test) const {
        return found(
            (test.side != Side::kDestination && has(test, source())) ||
            (test.side != Side::kSource && has(test, destination()))
        );
    }
    Found operator()(const PortTest& test) const {
        if (!packet.has_ports()) {
            const bool is_taken = test.takes_later_fragments && packet.is_later_fragment();
            return is_taken ? Found::kYesEitherWay : Found::kAbsent;
        }
        return found(
            (test.side != Side::kDestination && is_in(test.ranges, source_port())) ||
            (test.side != Side::kSource && is_in(test.ranges, destination_port()))
        );
    }
    Found operator()(const IcmpTest& test) const {
        if (!packet.has_icmp()) {
            const bool is_taken = test.takes_later_fragments && packet.is_later_fragment();
            return is_taken ? Found::kYesEitherWay : Found::kAbsent;
        }
        return found(std::ranges::any_of(test.kinds, [this](const IcmpKind& kind) {
            return kind.type.has(packet.icmp_type) && kind.code.has(packet.icmp_code);
        }));
    }
    Found operator()(const LinkTest& test) const {
        const bool has_in = test.way != Way::kOut && packet.in_link != kNoLink;
        const bool has_out = test.way != Way::kIn && packet.out_link != kNoLink;
        if (!has_in && !has_out) {
            return Found::kAbsent;
        }
        return found(
            (has_in && test.links.has(packet.in_link.value)) ||
            (has_out && test.links.has(packet.out_link.value))
        );
    }
    Found operator()(const TcpFlagsTest& test) const {
        if (!packet.has_tcp()) {
            return test.takes_others ? Found::kYesEitherWay : Found::kAbsent;
        }
        return found((packet.tcp_flags & test.mask) == test.set);
    }
    Found operator()(const FragmentTest& test) const {
        switch (packet.fragment) {
            case FragmentKind::kWhole:
                return found(test.whole);
            case FragmentKind::kFirst:
                return found(test.first);
            case FragmentKind::kLater:
                return found(test.later);
        }
        return Found::kNo;
    }
    Found operator()(const TosTest& test) const {
        return found((packet.tos & test.mask) == test.value);
    }
    Found operator()(const LengthTest& test) const {
        return found(is_in(test.ranges, packet.length));
    }
    Found operator()(const TtlTest& test) const { return found(test.range.has(packet.ttl)); }
    Found operator()(const StateTest& test) const {
        return found(test.states.has(static_cast<uint8_t>(packet.state)));
    }
    Found operator()(const RealmTest& test) const {
        return found(test.realms.has(packet.realm.value));
    }
    Found operator()(const GroupTest& test) const {
        return found(std::ranges::find(test.groups, packet.group) != test.groups.end());
    }
    Found operator()(const PayloadTest& test) const {
        return found(std::ranges::binary_search(packet.patterns, test.pattern));
    }
    Found operator()(const TimeTest& test) const {
        const uint32_t second = packet.time.second_of_day();
        const auto& [first, last] = test.seconds;
        const bool is_hour =
            first <= last ? first <= second && second <= last : first <= second || second <= last;
        return found(is_hour && (test.days >> packet.time.day() & 1) != 0);
    }
    Found operator()(const RateTest& /*test*/) const { return Found::kYesEitherWay; }
    Found operator()(const MarkTest& test) const {
        return found((packet.mark & test.mask) == test.value);
    }
};

bool cover(
    const Rule& rule, Part part, const RulePacket& packet, const AddressSets& sets, bool exchanged
) {
    return std::ranges::all_of(rule.conditions, [&](const Condition& condition) {
        return (part != Part::kAll && is_varying(condition) != (part == Part::kVarying)) ||
               covers(condition, packet, sets, exchanged);
    });
}

}  // namespace

bool is_varying(const Condition& condition) {
    const Test& test = condition.test;
    return std::holds_alternative<TcpFlagsTest>(test) ||
           std::holds_alternative<FragmentTest>(test) || std::holds_alternative<TosTest>(test) ||
           std::holds_alternative<LengthTest>(test) || std::holds_alternative<TtlTest>(test) ||
           std::holds_alternative<PayloadTest>(test) || std::holds_alternative<TimeTest>(test) ||
           std::holds_alternative<RateTest>(test) || std::holds_alternative<MarkTest>(test);
}

bool covers(
    const Condition& condition, const RulePacket& packet, const AddressSets& sets, bool exchanged
) {
    switch (std::visit(Asked{packet, sets, exchanged}, condition.test)) {
        case Found::kNo:
            return condition.negated;
        case Found::kYes:
            return !condition.negated;
        case Found::kAbsent:
            return false;
        case Found::kYesEitherWay:
            return true;
    }
    return false;
}

bool covers(const Rule& rule, Part part, const RulePacket& packet, const AddressSets& sets) {
    return cover(rule, part, packet, sets, false) ||
           (rule.either_way && cover(rule, part, packet, sets, true));
}

}  // namespace sekisho::rules
