#include "rules_traffic.h"

#include <algorithm>

namespace sekisho::test {

using namespace rules;

namespace {

constexpr uint8_t kProtocols[] = {1, 6, 6, 6, 17, 17, 47, 132};
constexpr uint32_t kHosts = 0x0a000000;  // 10.0.0.0 and on

}  // namespace

RulesTraffic::RulesTraffic(uint64_t seed) : random_(seed) {}

Ipv4Addr RulesTraffic::address() {
    if (!addresses_.empty() && chance(70)) {
        return one_of(addresses_);
    }
    return Ipv4Addr::from_host(kHosts | static_cast<uint32_t>(draw(0, 0xffff)) << draw(0, 8));
}

AddressRange RulesTraffic::range() {
    AddressRange made;
    if (chance(80)) {
        const auto length = static_cast<uint8_t>(chance(5) ? draw(0, 8) : draw(12, 32));
        made = range_of(Ipv4Prefix{address(), length});
    } else {
        const Ipv4Addr a = address();
        const Ipv4Addr b = address();
        made = {std::min(a, b), std::max(a, b)};
    }
    for (const Ipv4Addr end : {made.first, made.last}) {
        for (const uint32_t by : {0U, 1U, ~0U}) {
            addresses_.push_back(Ipv4Addr::from_host(end.host() + by));
        }
    }
    return made;
}

uint16_t RulesTraffic::port() {
    return !ports_.empty() && chance(80) ? one_of(ports_) : static_cast<uint16_t>(draw(0, 65535));
}

Range<uint16_t> RulesTraffic::ports() {
    const uint16_t a = port();
    const uint16_t b = chance(60) ? a : port();
    for (const uint16_t end : {a, b}) {
        for (const int by : {0, 1, -1}) {
            ports_.push_back(static_cast<uint16_t>(end + by));
        }
    }
    return {std::min(a, b), std::max(a, b)};
}

Side RulesTraffic::side() {
    return chance(8) ? Side::kEither : chance(50) ? Side::kSource : Side::kDestination;
}

ByteSet RulesTraffic::bytes(unsigned bound) {
    ByteSet set;
    for (uint64_t n = draw(0, 3); n > 0; --n) {
        set.add(static_cast<uint8_t>(draw(0, bound)));
    }
    return set;
}

AddressTest RulesTraffic::address_test() {
    AddressTest made;
    made.side = side();
    for (uint64_t n = chance(85) ? 1 : draw(0, 6); n > 0; --n) {
        made.ranges.push_back(range());
    }
    if (chance(5)) {
        const auto mask = static_cast<uint32_t>(chance(50) ? 0xffffff00 << draw(0, 8) : random_());
        made.masked.push_back({address(), Ipv4Addr::from_host(mask)});
    }
    if (chance(5)) {
        made.sets.push_back(SetId{static_cast<uint16_t>(draw(0, tables_.size() - 1))});
    }
    return made;
}

PortTest RulesTraffic::port_test() {
    PortTest made;
    made.side = side();
    for (uint64_t n = chance(85) ? 1 : draw(0, 4); n > 0; --n) {
        made.ranges.push_back(ports());
    }
    made.takes_later_fragments = chance(10);
    return made;
}

IcmpTest RulesTraffic::icmp_test() {
    IcmpTest made;
    for (uint64_t n = draw(0, 3); n > 0; --n) {
        const auto type = static_cast<uint8_t>(draw(0, 12));
        const auto code = static_cast<uint8_t>(draw(0, 3));
        made.kinds.push_back(
            {{type, static_cast<uint8_t>(type + draw(0, 3))},
             chance(50) ? Range<uint8_t>{0, 255} : Range<uint8_t>{code, code}}
        );
    }
    made.takes_later_fragments = chance(10);
    return made;
}

Test RulesTraffic::varying_test() {
    switch (draw(0, 8)) {
        case 0: {
            const auto mask = static_cast<uint8_t>(random_());
            return TcpFlagsTest{mask, static_cast<uint8_t>(mask & random_()), chance(30)};
        }
        case 1:
            return FragmentTest{chance(50), chance(50), chance(50)};
        case 2: {
            const auto mask = static_cast<uint8_t>(chance(50) ? 0x10 : 0x1c);
            return TosTest{mask, static_cast<uint8_t>(mask & random_())};
        }
        case 3:
            return LengthTest{{{0, 100}, {1000, static_cast<uint16_t>(draw(1000, 1500))}}};
        case 4:
            return TtlTest{{0, static_cast<uint8_t>(draw(0, 64))}};
        case 5:
            return PayloadTest{PatternId{static_cast<uint16_t>(draw(0, 4))}};
        case 6:
            return TimeTest{
                static_cast<uint8_t>(draw(1, 127)),
                {static_cast<uint32_t>(draw(0, 86399)), static_cast<uint32_t>(draw(0, 86399))}};
        case 7:
            return RateTest{
                static_cast<uint32_t>(draw(1, 50)), Seconds{1}, static_cast<uint32_t>(draw(1, 20))};
        default:
            return MarkTest{3, static_cast<uint32_t>(draw(0, 3))};
    }
}

Test RulesTraffic::test() {
    switch (draw(0, 5)) {
        case 0:
            return LinkTest{static_cast<Way>(draw(0, 2)), bytes(chance(90) ? 4 : 255)};
        case 1:
            return StateTest{bytes(4)};
        case 2:
            return RealmTest{bytes(chance(80) ? 3 : 20)};
        case 3:
            return GroupTest{{GroupId{static_cast<uint16_t>(draw(0, 3))}}};
        case 4:
            return icmp_test();
        default:
            return varying_test();
    }
}

Action RulesTraffic::effect() {
    switch (draw(0, 5)) {
        case 0:
            return Log{};
        case 1:
            return SetTos{static_cast<uint8_t>(random_()), static_cast<uint8_t>(random_())};
        case 2:
            return SetDscp{static_cast<uint8_t>(draw(0, 63))};
        case 3:
            return Police{draw(100, 100'000), static_cast<uint32_t>(draw(1000, 5000))};
        default:
            return SetMark{3, static_cast<uint32_t>(draw(0, 3))};
    }
}

Action RulesTraffic::deciding(size_t chain) {
    if (chain + 1 < chains_.size() && chance(25)) {
        const ChainId to = chains_[draw(chain + 1, chains_.size() - 1)];
        return chance(70) ? Action{Jump{to}} : Action{Goto{to}};
    }
    switch (draw(0, 4)) {
        case 0:
            return Return{};
        case 1:
            return Reject{chance(50), 3};
        case 2:
            return Deny{};
        case 3:
            return Masquerade{};
        default:
            return Accept{};
    }
}

Rule RulesTraffic::rule(size_t chain) {
    Rule made;
    const auto add = [&](Test test) { made.conditions.push_back({std::move(test), chance(10)}); };
    if (chance(70 - wide_share_ / 2)) {
        add(ProtocolTest{ByteSet::of(kProtocols[draw(0, std::size(kProtocols) - 1)])});
    }
    for (uint64_t n = chance(wide_share_) ? 0 : draw(1, chance(20) ? 3 : 1); n > 0; --n) {
        add(address_test());
    }
    if (chance(60 - wide_share_ / 2)) {
        add(port_test());
    }
    for (unsigned n = 0; n < 2; ++n) {
        if (chance(condition_share_)) {
            add(test());
        }
    }
    std::ranges::shuffle(made.conditions, random_);
    made.either_way = chance(5);
    if (chance(15)) {
        made.actions.push_back(effect());
    }
    if (chance(deciding_share_)) {
        made.actions.push_back(deciding(chain));
    }
    return made;
}

void RulesTraffic::add_rule() {
    const size_t chain = draw(0, chains_.size() - 1);
    const size_t position = draw(0, set_.chain(chains_[chain])->rules.size());
    [[maybe_unused]] const auto added = set_.insert(chains_[chain], position, rule(chain));
}

void RulesTraffic::change_set() {
    const auto length = static_cast<uint8_t>(draw(20, 32));
    const Ipv4Prefix prefix{address(), length};
    auto& table = tables_[draw(0, tables_.size() - 1)];
    if (chance(70)) {
        table->insert(prefix);
    } else {
        table->erase(prefix);
    }
}

void RulesTraffic::make(size_t rules) {
    condition_share_ = static_cast<unsigned>(draw(0, 40));
    const bool is_accounting = chance(15);
    wide_share_ = is_accounting ? 60 : 8;
    deciding_share_ = is_accounting ? 2 : static_cast<unsigned>(draw(30, 95));
    const auto policy = chance(50) ? Action{Accept{}} : Action{Masquerade{}};
    chains_ = {set_.add_built_in("main", Hook::kForward, 0, policy).value()};
    for (uint64_t n = draw(0, 5); n > 0; --n) {
        chains_.push_back(set_.add_chain("user" + std::to_string(n)).value());
    }
    for (unsigned n = 0; n < 2; ++n) {
        const SetId id = set_.add_set("set" + std::to_string(n)).value();
        tables_.push_back(std::make_shared<AddressSet>(HashSecret{{n, 2, 3, 4}}));
        sets_.put(id, tables_.back());
        for (unsigned i = 0; i < 20; ++i) {
            change_set();
        }
    }
    for (size_t i = 0; i < rules; ++i) {
        add_rule();
    }
}

void RulesTraffic::change() {
    const size_t chain = draw(0, chains_.size() - 1);
    const ChainId id = chains_[chain];
    const size_t count = set_.chain(id)->rules.size();
    if (count == 0 || chance(30)) {
        add_rule();
    } else if (chance(30)) {
        [[maybe_unused]] const auto removed = set_.remove(id, draw(0, count - 1));
    } else if (chance(40)) {
        [[maybe_unused]] const auto moved = set_.move(id, draw(0, count - 1), draw(0, count - 1));
    } else if (chance(80)) {
        [[maybe_unused]] const auto fresh = set_.replace(id, draw(0, count - 1), rule(chain));
    } else {
        change_set();
    }
}

RulePacket RulesTraffic::any_packet() {
    RulePacket packet;
    packet.source = address();
    packet.destination = address();
    packet.source_port = Port::from_host(port());
    packet.destination_port = Port::from_host(port());
    packet.protocol = kProtocols[draw(0, std::size(kProtocols) - 1)];
    packet.fragment = chance(85) ? FragmentKind::kWhole : static_cast<FragmentKind>(draw(1, 2));
    packet.in_link = chance(90) ? LinkId{static_cast<uint8_t>(draw(0, 4))} : kNoLink;
    packet.out_link = chance(80) ? LinkId{static_cast<uint8_t>(draw(0, 4))} : kNoLink;
    packet.icmp_type = static_cast<uint8_t>(draw(0, 15));
    packet.icmp_code = static_cast<uint8_t>(draw(0, 4));
    packet.tcp_flags = static_cast<uint8_t>(random_());
    packet.tos = static_cast<uint8_t>(random_());
    packet.ttl = static_cast<uint8_t>(draw(1, 64));
    packet.state = static_cast<ConnectionState>(draw(0, 4));
    packet.length = static_cast<uint16_t>(draw(40, 1500));
    packet.realm = RealmId{static_cast<uint8_t>(draw(0, chance(80) ? 3 : 20))};
    packet.group = GroupId{static_cast<uint16_t>(draw(0, 3))};
    packet.mark = static_cast<uint32_t>(draw(0, 3));
    packet.time.second = static_cast<uint32_t>(draw(0, 7 * TimeOfWeek::kDay - 1));
    packet.now = Tick{now_ += static_cast<uint32_t>(draw(0, 3))};
    static const std::vector<PatternId> kSeen = {PatternId{1}, PatternId{3}};
    packet.patterns = chance(30) ? std::span(kSeen) : std::span<const PatternId>();
    return packet;
}

Ipv4Addr RulesTraffic::near(const AddressTest& test) {
    if (test.ranges.empty()) {
        return address();
    }
    const AddressRange& range = one_of(test.ranges);
    const uint32_t first = range.first.host();
    const uint32_t last = range.last.host();
    switch (draw(0, 9)) {
        case 0:
            return Ipv4Addr::from_host(first - 1);
        case 1:
            return Ipv4Addr::from_host(last + 1);
        case 2:
            return range.first;
        case 3:
            return range.last;
        default:
            return Ipv4Addr::from_host(static_cast<uint32_t>(draw(first, last)));
    }
}

// Makes it likely that the packet agrees.
void RulesTraffic::follow(const Condition& condition, RulePacket& packet) {
    if (const auto* at = std::get_if<AddressTest>(&condition.test)) {
        (at->side == Side::kDestination ? packet.destination : packet.source) = near(*at);
    } else if (const auto* ports = std::get_if<PortTest>(&condition.test)) {
        if (!ports->ranges.empty()) {
            const Range<uint16_t>& range = one_of(ports->ranges);
            const auto by = static_cast<uint64_t>(chance(90) ? 0 : 1);
            const auto at_port = static_cast<uint16_t>(draw(range.first, range.last) + by);
            (ports->side == Side::kSource ? packet.source_port : packet.destination_port) =
                Port::from_host(at_port);
        }
    } else if (const auto* protocol = std::get_if<ProtocolTest>(&condition.test)) {
        for (const uint8_t p : kProtocols) {
            packet.protocol = protocol->protocols.has(p) ? p : packet.protocol;
        }
    } else if (const auto* icmp = std::get_if<IcmpTest>(&condition.test)) {
        if (!icmp->kinds.empty()) {
            packet.icmp_type = one_of(icmp->kinds).type.last;
            packet.icmp_code = one_of(icmp->kinds).code.first;
        }
    } else if (const auto* link = std::get_if<LinkTest>(&condition.test)) {
        for (uint8_t id = 0; id < 5; ++id) {
            if (link->links.has(id)) {
                (link->way == Way::kOut ? packet.out_link : packet.in_link) = LinkId{id};
            }
        }
    } else if (const auto* state = std::get_if<StateTest>(&condition.test)) {
        for (uint8_t code = 0; code < 5; ++code) {
            packet.state =
                state->states.has(code) ? static_cast<ConnectionState>(code) : packet.state;
        }
    } else if (const auto* group = std::get_if<GroupTest>(&condition.test)) {
        packet.group = group->groups.front();
    }
}

RulePacket RulesTraffic::next_of(RulePacket packet) {
    const RulePacket other = any_packet();
    packet.tcp_flags = other.tcp_flags;
    packet.tos = other.tos;
    packet.ttl = other.ttl;
    packet.length = other.length;
    packet.mark = other.mark;
    packet.time = other.time;
    packet.now = other.now;
    packet.patterns = other.patterns;
    if (!packet.is_later_fragment()) {
        packet.fragment = chance(80) ? FragmentKind::kWhole : FragmentKind::kFirst;
    }
    return packet;
}

RulePacket RulesTraffic::packet() {
    RulePacket packet = any_packet();
    const auto& rules = set_.chain(chance(60) ? chains_.front() : one_of(chains_))->rules;
    if (!rules.empty() && chance(95)) {
        for (const Condition& condition : one_of(rules)->conditions) {
            follow(condition, packet);
        }
    }
    return packet;
}

}  // namespace sekisho::test
