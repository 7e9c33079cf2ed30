#include "legacy/ipfwadm_list.h"

#include <fmt/format.h>

#include "base/text.h"

namespace sekisho::legacy {
namespace {

const char* type_of(const FirewallRule& rule) {
    if (rule.redirect) {
        return "acc/r";
    }
    switch (rule.policy) {
        case FirewallPolicy::kAccept:
            return "acc";
        case FirewallPolicy::kMasquerade:
            return "acc/m";
        case FirewallPolicy::kDeny:
            return "deny";
        case FirewallPolicy::kReject:
            break;
    }
    return "rej";
}

const char* kind_of(Point point, const FirewallRule& rule) {
    if (point != Point::kAccounting) {
        return type_of(rule);
    }
    return rule.side == AccountingSide::kBoth ? "i/o" : name_of(rule.side);
}

std::string options_of(const FirewallRule& rule) {
    const auto flag = [](bool is_set, char letter) { return is_set ? letter : '-'; };
    return {
        flag(rule.either_way, 'b'), flag(rule.ack, 'k'), flag(rule.syn, 'y'), flag(rule.log, 'o')};
}

std::string tos_of(const FirewallRule& rule) {
    return fmt::format("0x{:02X} 0x{:02X} ", rule.tos_and, rule.tos_xor);
}

std::string count_text(uint64_t count, bool exact, int width) {
    if (exact) {
        return fmt::format("{:>{}} ", count, width);
    }
    return fmt::format("{:>5} ", rounded_to_millions(count));
}

}  // namespace

std::string FirewallListing::port(uint16_t port, FirewallProtocol protocol) const {
    if (!style_.numeric && protocol != FirewallProtocol::kIcmp) {
        const bool is_tcp = protocol == FirewallProtocol::kTcp;
        if (auto name = names_.service_at(port, is_tcp ? Protocol::kTcp : Protocol::kUdp)) {
            return *std::move(name);
        }
    }
    return fmt::format("{}", port);
}

std::string FirewallListing::any() const {
    return style_.numeric ? "*" : "any";
}

std::string FirewallListing::port_list(const PortList& list, FirewallProtocol protocol) const {
    if (list.is_any()) {
        return any();
    }
    std::string text;
    if (list.range) {
        text = port(list.range->first, protocol) + ":" + port(list.range->last, protocol);
    }
    for (const uint16_t single : list.ports) {
        text += (text.empty() ? "" : ",") + port(single, protocol);
    }
    return text;
}

std::string FirewallListing::ports(const FirewallRule& rule) const {
    const FirewallProtocol protocol = rule.protocol;
    if (protocol == FirewallProtocol::kAll) {
        return "n/a";
    }
    std::string text = port_list(rule.source_ports, protocol);
    if (protocol == FirewallProtocol::kIcmp) {
        return text;
    }
    text += " -> " + port_list(rule.destination_ports, protocol);
    if (rule.redirect) {
        text += " => " + (*rule.redirect == 0 ? any() : port(*rule.redirect, protocol));
    }
    return text;
}

std::string FirewallListing::host(const HostMask& host) const {
    return host.is_any() && !style_.numeric ? "anywhere" : to_text(host);
}

std::string FirewallListing::header(Point point) const {
    const bool is_accounting = point == Point::kAccounting;
    std::string text;
    if (shows_counts(point)) {
        text += style_.exact ? fmt::format("{:>8} {:>10} ", "pkts", "bytes")
                             : fmt::format("{:>5} {:>5} ", "pkts", "bytes");
    }
    text += is_accounting ? "dir " : "type  ";
    text += "prot ";
    if (style_.extended) {
        text += "opt  ";
        text += is_accounting ? "" : "tosa tosx ";
        text += fmt::format("{:<7} {:<15} ", "ifname", "ifaddress");
    }
    return text + fmt::format("{:<20} {:<20} ports\n", "source", "destination");
}

std::string FirewallListing::line(
    Point point, const FirewallRule& rule, const rules::RuleTotal& count
) const {
    const bool is_accounting = point == Point::kAccounting;
    std::string text;
    if (shows_counts(point)) {
        text += count_text(count.packets, style_.exact, 8);
        text += count_text(count.bytes, style_.exact, 10);
    }
    text += fmt::format("{:<{}} ", kind_of(point, rule), is_accounting ? 3 : 5);
    text += fmt::format("{:<5}", name_of(rule.protocol));
    if (style_.extended) {
        text += options_of(rule) + " ";
        text += is_accounting ? "" : tos_of(rule);
        text += fmt::format(
            "{:<7} {:<15} ",
            rule.via_name.empty() ? any() : rule.via_name,
            rule.via == Ipv4Addr{} && !style_.numeric ? "any" : base::to_text(rule.via)
        );
    }
    return text + fmt::format(
                      "{:<20} {:<20} {}\n", host(rule.source), host(rule.destination), ports(rule)
                  );
}

std::string FirewallListing::chain(const Firewall& firewall, Point point, const Counts& counts)
    const {
    std::string text = point == Point::kAccounting
                           ? "IP accounting rules\n"
                           : fmt::format(
                                 "IP firewall {} rules, default policy: {}\n",
                                 name_of(point),
                                 name_of(firewall.policy(point))
                             );
    const auto& entries = firewall.entries(point);
    text += entries.empty() ? "" : header(point);
    for (const Firewall::Entry& entry : entries) {
        text += line(point, entry.rule, count_since(counts, entry.id, entry.zero));
    }
    return text;
}

std::string FirewallListing::rule_line(Point point, const FirewallRule& rule) const {
    return fmt::format(
        "{} {} opt {} tos {}{}",
        kind_of(point, rule),
        name_of(rule.protocol),
        options_of(rule),
        tos_of(rule),
        way_of(rule)
    );
}

std::string FirewallListing::packet_line(const FirewallRule& packet) const {
    return fmt::format("{} {}", name_of(packet.protocol), way_of(packet));
}

std::string FirewallListing::way_of(const FirewallRule& rule) const {
    return fmt::format(
        "via {} {}   {} -> {}   {}\n",
        rule.via_name.empty() ? any() : rule.via_name,
        rule.via,
        to_text(rule.source),
        to_text(rule.destination),
        ports(rule)
    );
}

std::string FirewallListing::session(const MasqueradedSession& session) const {
    const FirewallProtocol protocol =
        session.protocol == Protocol::kTcp ? FirewallProtocol::kTcp : FirewallProtocol::kUdp;
    const uint64_t hundredths = session.expires_ms / 10;
    std::string text = fmt::format(
        "{:<5}{:02}:{:02}.{:02} ",
        name_of(protocol),
        hundredths / 6000,
        hundredths / 100 % 60,
        hundredths % 100
    );
    if (style_.extended) {
        text += fmt::format(
            "{:>10} {:>5} {:>5} ", session.first_sequence, session.delta, session.previous_delta
        );
    }
    return text + fmt::format(
                      "{:<20} {:<20} {} ({}) -> {}\n",
                      session.source,
                      session.destination,
                      port(session.source_port.host(), protocol),
                      session.mapped_port,
                      port(session.destination_port.host(), protocol)
                  );
}

std::string FirewallListing::sessions(std::span<const MasqueradedSession> sessions) const {
    std::string text = "IP masquerading entries\n";
    if (!sessions.empty()) {
        text += "prot expire   ";
        text += style_.extended ? fmt::format("{:>10} delta prevd ", "initseq") : "";
        text += fmt::format("{:<20} {:<20} ports\n", "source", "destination");
    }
    for (const MasqueradedSession& one : sessions) {
        if (one.protocol == Protocol::kTcp || one.protocol == Protocol::kUdp) {
            text += session(one);
        }
    }
    return text;
}

}  // namespace sekisho::legacy
