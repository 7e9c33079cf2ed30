// The key by-remote-port of timeouts.
#include <algorithm>

#include <fmt/format.h>

#include "config/draft.h"
#include "config/scalars.h"

namespace sekisho::config {
namespace {

constexpr Choice<Protocol> kProtocolsWithPorts[] = {
    {"udp", Protocol::kUdp}, {"tcp", Protocol::kTcp}};

// RFC 4787 REQ-5: a UDP mapping lives two minutes at least, but to well-known ports (REQ-5 a).
// RFC 5382 REQ-5 knows no such exception.
const NumberRule& rule_for(const nat::PortTimeout& entry) {
    if (entry.protocol == Protocol::kTcp) {
        return kTcpEstablished;
    }
    return entry.ports.last <= kLastWellKnownPort ? kWellKnownUdp : kUdp;
}

std::optional<nat::PortTimeout> read_port_timeout(const Node& node, Mistakes& mistakes) {
    const auto map = Map::open(node, kPortTimeout, mistakes);
    const Node* protocol = map ? map->find("protocol") : nullptr;
    const Node* ports = map ? map->find("ports") : nullptr;
    const Node* timeout = map ? map->find("timeout") : nullptr;
    if (protocol == nullptr || ports == nullptr || timeout == nullptr) {
        return std::nullopt;  // said already
    }
    const auto of = read_choice(*protocol, kProtocolsWithPorts, mistakes);
    const auto range = parse_ports(ports->kind == Node::Kind::kScalar ? ports->text : "");
    if (!range) {
        mistakes.add(ports->place, describe(*ports), range.error());
    }
    if (!of || !range) {
        return std::nullopt;
    }
    nat::PortTimeout entry{*of, *range, {}};
    const auto seconds = read_number(*timeout, rule_for(entry), mistakes);
    if (!seconds) {
        return std::nullopt;
    }
    entry.timeout = Seconds{static_cast<uint32_t>(*seconds)};
    return entry;
}

bool overlap(const nat::PortTimeout& a, const nat::PortTimeout& b) {
    return a.protocol == b.protocol && a.ports.first <= b.ports.last &&
           b.ports.first <= a.ports.last;
}

}  // namespace

void read_port_timeouts(
    const Node& node, std::vector<nat::PortTimeout>& timeouts, Mistakes& mistakes
) {
    const auto* items = read_list(
        node,
        nat::kMaxPortTimeouts,
        "a list such as [{protocol: udp, ports: 53, timeout: 10s}]",
        mistakes
    );
    if (items == nullptr) {
        return;
    }
    for (const Node& item : *items) {
        const auto entry = read_port_timeout(item, mistakes);
        if (!entry) {
            continue;
        }
        const bool again = std::ranges::any_of(timeouts, [&](const nat::PortTimeout& other) {
            return overlap(other, *entry);
        });
        if (again) {
            mistakes.add(
                item.place,
                fmt::format(
                    "a second timeout for ports of {}-{}", entry->ports.first, entry->ports.last
                ),
                "each port of a protocol once"
            );
            continue;
        }
        timeouts.push_back(*entry);
    }
}

}  // namespace sekisho::config
