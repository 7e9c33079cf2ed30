// Rules and packets as tests write them.
#pragma once

#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "base/text.h"
#include "rules/linear.h"

namespace sekisho::rules::test {

inline Ipv4Addr address(const std::string& text) {
    return base::parse_ipv4(text).value();
}
// "10.0.0.0/8", "10.0.0.1-10.0.0.9" or one address.
inline AddressRange addresses(const std::string& text) {
    if (const auto dash = text.find('-'); dash != std::string::npos) {
        return {address(text.substr(0, dash)), address(text.substr(dash + 1))};
    }
    return text.find('/') == std::string::npos ? AddressRange{address(text), address(text)}
                                               : range_of(base::parse_ipv4_prefix(text).value());
}
inline Condition from(const std::string& text) {
    return {AddressTest{Side::kSource, {addresses(text)}, {}, {}}};
}
inline Condition to(const std::string& text) {
    return {AddressTest{Side::kDestination, {addresses(text)}, {}, {}}};
}
inline Condition to_port(uint16_t first, uint16_t last) {
    return {PortTest{Side::kDestination, {{first, last}}, false}};
}
inline Condition to_port(uint16_t port) {
    return to_port(port, port);
}
inline Condition protocol(Protocol p) {
    return {ProtocolTest{ByteSet::of(p)}};
}
inline Condition unless(Condition condition) {
    condition.negated = !condition.negated;
    return condition;
}
inline Rule rule(std::vector<Condition> conditions, std::vector<Action> actions) {
    Rule r;
    r.conditions = std::move(conditions);
    r.actions = std::move(actions);
    return r;
}
inline RulePacket tcp(const std::string& source, const std::string& destination, uint16_t port) {
    RulePacket packet;
    packet.source = address(source);
    packet.destination = address(destination);
    packet.source_port = Port::from_host(40000);
    packet.destination_port = Port::from_host(port);
    packet.protocol = static_cast<uint8_t>(Protocol::kTcp);
    packet.tcp_flags = kSyn;
    packet.length = 60;
    packet.in_link = LinkId{0};
    packet.out_link = LinkId{1};
    return packet;
}
inline RulePacket udp(const std::string& source, const std::string& destination, uint16_t port) {
    RulePacket packet = tcp(source, destination, port);
    packet.protocol = static_cast<uint8_t>(Protocol::kUdp);
    packet.tcp_flags = 0;
    return packet;
}
inline RulePacket icmp(uint8_t type, uint8_t code) {
    RulePacket packet = udp("10.0.0.1", "192.0.2.1", 0);
    packet.protocol = static_cast<uint8_t>(Protocol::kIcmp);
    packet.icmp_type = type;
    packet.icmp_code = code;
    return packet;
}
inline RulePacket later_fragment(RulePacket packet) {
    packet.fragment = FragmentKind::kLater;
    packet.source_port = packet.destination_port = Port{};
    packet.tcp_flags = 0;
    return packet;
}

// A sound rule set with one built-in chain; `id` is of it.
struct OneChain {
    RuleSet set;
    ChainId id;
    AddressSets sets;
    explicit OneChain(Hook hook = Hook::kForward, Action policy = Deny{})
        : id(set.add_built_in("main", hook, 0, policy).value()) {}
    RuleId add(const Rule& r) { return set.append(id, r).value(); }
    RuleId add(ChainId chain, const Rule& r) { return set.append(chain, r).value(); }
    Walked walk(const RulePacket& packet) const {
        Rates rates(set);
        return walk_linear(set, id, packet, sets, rates);
    }
};

}  // namespace sekisho::rules::test
