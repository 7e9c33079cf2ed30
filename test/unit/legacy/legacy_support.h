// The old tools on an appliance that tests describe.
#pragma once

#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "base/text.h"
#include "legacy/answer.h"
#include "legacy/appliance.h"
#include "legacy/names.h"
#include "rules/linear.h"

namespace sekisho::legacy::test {

inline Ipv4Addr address(const std::string& text) {
    return base::parse_ipv4(text).value();
}

// A line of a script: words between spaces.
inline Words words(const std::string& line) {
    Words found;
    for (size_t at = line.find_first_not_of(' '); at != std::string::npos;) {
        const size_t end = line.find(' ', at);
        found.push_back(line.substr(at, end - at));
        at = line.find_first_not_of(' ', end);
    }
    return found;
}

// eth0 towards the subscribers, ppp0 towards the Internet, as in seed 000.
struct FakeAppliance : Appliance {
    Links all = {
        {"eth0", LinkId{0}, {address("192.168.255.1")}},
        {"ppp0", LinkId{1}, {address("203.0.113.7")}},
        {"eth1", LinkId{2}, {address("10.0.0.1"), address("10.0.0.2")}}};
    Counts counted;
    std::vector<MasqueradedSession> sessions;

    Links links() const override { return all; }
    Counts counts() const override { return counted; }
    std::vector<MasqueradedSession> masqueraded() const override { return sessions; }

    void count(rules::RuleId id, uint64_t packets, uint64_t bytes) {
        counted.resize(std::max<size_t>(counted.size(), id.value + size_t{1}));
        counted[id.value].packets += packets;
        counted[id.value].bytes += bytes;
    }
};

inline NameTables tables() {
    NameTables names;
    names.read_services(
        "ftp 21/tcp\nssh 22/tcp\ntelnet 23/tcp\nsmtp 25/tcp mail\n"
        "domain 53/tcp nameserver # DNS\ndomain 53/udp\nhttp 80/tcp www\nntp 123/udp\n"
    );
    names.read_protocols("icmp 1 ICMP\ntcp 6 TCP\nudp 17 UDP\ngre 47 GRE\n");
    names.read_networks("inside 192.168\n");
    names.read_hosts(
        "203.0.113.7 your.static.PPP.address\n192.0.2.80 www.example\n"
        "192.0.2.1 pair.example\n192.0.2.2 pair.example\n"
    );
    return names;
}

inline rules::RulePacket packet(
    Protocol protocol, const std::string& source, const std::string& destination
) {
    rules::RulePacket made;
    made.protocol = static_cast<uint8_t>(protocol);
    made.source = address(source);
    made.destination = address(destination);
    made.length = 60;
    return made;
}
inline rules::RulePacket tcp(
    const std::string& source, uint16_t from, const std::string& destination, uint16_t to
) {
    rules::RulePacket made = packet(Protocol::kTcp, source, destination);
    made.source_port = Port::from_host(from);
    made.destination_port = Port::from_host(to);
    made.tcp_flags = rules::kSyn;
    return made;
}
inline rules::RulePacket udp(
    const std::string& source, uint16_t from, const std::string& destination, uint16_t to
) {
    rules::RulePacket made = tcp(source, from, destination, to);
    made.protocol = static_cast<uint8_t>(Protocol::kUdp);
    made.tcp_flags = 0;
    return made;
}
inline rules::RulePacket icmp(
    const std::string& source, const std::string& destination, uint8_t type, uint8_t code = 0
) {
    rules::RulePacket made = packet(Protocol::kIcmp, source, destination);
    made.icmp_type = type;
    made.icmp_code = code;
    return made;
}
inline rules::RulePacket with_flags(rules::RulePacket made, uint8_t flags) {
    made.tcp_flags = flags;
    return made;
}
inline rules::RulePacket arriving(rules::RulePacket made, uint8_t link) {
    made.in_link = LinkId{link};
    made.out_link = rules::kNoLink;
    return made;
}
inline rules::RulePacket departing(rules::RulePacket made, uint8_t link) {
    made.in_link = rules::kNoLink;
    made.out_link = LinkId{link};
    return made;
}
inline rules::RulePacket later_fragment(rules::RulePacket made) {
    made.fragment = rules::FragmentKind::kLater;
    made.source_port = made.destination_port = Port{};
    made.tcp_flags = made.icmp_type = 0;
    return made;
}

inline rules::Walked walk(
    const rules::RuleSet& set, rules::ChainId chain, const rules::RulePacket& asked
) {
    const rules::AddressSets no_sets;
    rules::Rates rates(set);
    return rules::walk_linear(set, chain, asked, no_sets, rates);
}

}  // namespace sekisho::legacy::test
