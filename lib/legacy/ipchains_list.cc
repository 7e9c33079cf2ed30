#include "legacy/ipchains_list.h"

#include <fmt/format.h>

#include "base/text.h"
#include "legacy/icmp_names.h"

namespace sekisho::legacy {
namespace {

constexpr uint16_t kIcmp = static_cast<uint16_t>(Protocol::kIcmp);
constexpr uint16_t kTcp = static_cast<uint16_t>(Protocol::kTcp);
constexpr uint16_t kUdp = static_cast<uint16_t>(Protocol::kUdp);

constexpr char sign_of(bool inverted) {
    return inverted ? '!' : ' ';
}

const char* target_of(const ChainRule& rule) {
    return rule.target.empty() ? "-" : rule.target.c_str();
}

std::string options_of(const ChainRule& rule) {
    const auto flag = [](bool is_set, char letter) { return is_set ? letter : '-'; };
    return {
        flag(rule.syn == false, '!'),
        flag(rule.syn.has_value(), 'y'),
        flag(rule.fragment == false, '!'),
        flag(rule.fragment.has_value(), 'f'),
        flag(rule.log, 'l'),
        flag(rule.copy_size.has_value(), 'o')};
}

std::string count_text(uint64_t count, bool exact, int width) {
    if (exact) {
        return fmt::format("{:>{}} ", count, width);
    }
    return fmt::format("{:>5} ", rounded_to_billions(count));
}

}  // namespace

std::string ChainListing::any() const {
    return style_.numeric ? "*" : "any";
}

std::string ChainListing::protocol(uint16_t number) const {
    const auto name = number > 0 && number < 256
                          ? names_.protocol_name(static_cast<uint8_t>(number))
                          : std::nullopt;
    if (name) {
        return *name;
    }
    switch (number) {
        case 0:
            return "all";
        case kTcp:
            return "tcp";
        case kUdp:
            return "udp";
        case kIcmp:
            return "icmp";
        default:
            return fmt::format("{}", number);
    }
}

std::string ChainListing::host(const HostMask& host) const {
    return host.is_any() && !style_.numeric ? "anywhere" : to_text(host);
}

std::string ChainListing::port(uint16_t port, uint16_t protocol) const {
    if (!style_.numeric && protocol != kIcmp) {
        const auto name =
            names_.service_at(port, protocol == kTcp ? Protocol::kTcp : Protocol::kUdp);
        if (name) {
            return *name;
        }
    }
    return fmt::format("{}", port);
}

std::string ChainListing::port_range(const PortRange& ports, uint16_t protocol) const {
    if (ports == kAnyPort) {
        return any();
    }
    if (ports.first == ports.last) {
        return port(ports.first, protocol);
    }
    return port(ports.first, protocol) + ":" + port(ports.last, protocol);
}

std::string ChainListing::ports(const ChainRule& rule) const {
    const uint16_t protocol = rule.protocol.value;
    const auto& [source, destination] = std::tie(rule.source_ports, rule.destination_ports);
    if (protocol != kTcp && protocol != kUdp && protocol != kIcmp) {
        return "  n/a\n";
    }
    if (protocol == kIcmp && !style_.numeric && !source.inverted && !destination.inverted) {
        if (const IcmpName* name = icmp_name_of(source.value, destination.value)) {
            return fmt::format("  {}\n", name->name);
        }
    }
    std::string text = fmt::format(
        " {}{} ->  {}{}",
        sign_of(source.inverted),
        port_range(source.value, protocol),
        sign_of(destination.inverted),
        port_range(destination.value, protocol)
    );
    if (rule.target == "REDIRECT") {
        text += " => " + (rule.redirect == 0 ? any() : port(rule.redirect, protocol));
    }
    return text + "\n";
}

std::string ChainListing::header() const {
    std::string text = style_.line_numbers ? "num  " : "";
    if (style_.verbose) {
        text += style_.exact ? fmt::format("{:>8} {:>10} ", "pkts", "bytes")
                             : fmt::format("{:>5} {:>5} ", "pkts", "bytes");
    }
    text += fmt::format("{:<9}  prot opt    ", "target");
    if (style_.verbose) {
        text += fmt::format("tosa tosx  {:<10} {:<10} {:<7} ", "ifname", "mark", "outsize");
    }
    return text + fmt::format(" {:<20}  {:<20}  ports\n", "source", "destination");
}

std::string ChainListing::verbose_columns(const ChainRule& rule) const {
    return fmt::format(
        "0x{:02X} 0x{:02X} {}{:<10} {:<11}{:<7} ",
        rule.tos_and,
        rule.tos_xor,
        sign_of(rule.via.inverted),
        rule.via.value.empty() ? any() : rule.via.value,
        rule.mark ? fmt::format("0x{:<10x} ", *rule.mark) : "",
        rule.copy_size && *rule.copy_size != 65535 ? fmt::format("{}", *rule.copy_size) : ""
    );
}

std::string ChainListing::line(const ChainRule& rule, size_t number, const rules::RuleTotal& count)
    const {
    std::string text = style_.line_numbers ? fmt::format("{:<4} ", number) : "";
    if (style_.verbose) {
        text += count_text(count.packets, style_.exact, 8);
        text += count_text(count.bytes, style_.exact, 10);
    }
    text += fmt::format(
        "{:<9} {}{:<5}{} ",
        target_of(rule),
        sign_of(rule.protocol.inverted),
        protocol(rule.protocol.value),
        options_of(rule)
    );
    text += style_.verbose ? verbose_columns(rule) : "";
    text += fmt::format(
        "{}{:<20} {}{:<20}",
        sign_of(rule.source.inverted),
        host(rule.source.value),
        rule.destination.inverted ? "!" : "",
        host(rule.destination.value)
    );
    return text + ports(rule);
}

std::string ChainListing::chain(
    const Chains& chains, const Chains::Chain& chain, const Counts& counts
) const {
    std::string text;
    if (!chain.point) {
        text = fmt::format(
            "Chain {} ({} references):\n", chain.name, chains.references_to(chain.name)
        );
    } else if (style_.verbose) {
        const rules::RuleTotal met = chains.policy_count_of(chain, counts);
        text = fmt::format(
            "Chain {} (policy {}: {} packets, {} bytes):\n",
            chain.name,
            chain.policy,
            met.packets,
            met.bytes
        );
    } else {
        text = fmt::format("Chain {} (policy {}):\n", chain.name, chain.policy);
    }
    text += chain.entries.empty() ? "" : header();
    size_t number = 0;
    for (const Chains::Entry& entry : chain.entries) {
        text += line(entry.rule, ++number, Chains::count_of(entry, counts));
    }
    return text;
}

std::string ChainListing::rule_line(const ChainRule& rule) const {
    return fmt::format(
        "{} {}{} opt    {} tos 0x{:02X} 0x{:02X} {}via {} {}{}  {}{} -> {}{}  {}",
        target_of(rule),
        sign_of(rule.protocol.inverted),
        protocol(rule.protocol.value),
        options_of(rule),
        rule.tos_and,
        rule.tos_xor,
        sign_of(rule.via.inverted),
        rule.via.value.empty() ? any() : rule.via.value,
        rule.mark ? fmt::format("mark 0x{:x} ", *rule.mark) : "",
        rule.copy_size && *rule.copy_size != 65535 ? fmt::format("outsize {} ", *rule.copy_size)
                                                   : "",
        sign_of(rule.source.inverted),
        to_text(rule.source.value),
        rule.destination.inverted ? "!" : "",
        to_text(rule.destination.value),
        ports(rule)
    );
}

std::string ChainListing::session(const MasqueradedSession& session) const {
    const auto number = static_cast<uint16_t>(session.protocol);
    const bool has_services = number == kTcp || number == kUdp;
    const auto shown = [&](Port port_of) {
        return has_services ? port(port_of.host(), number) : base::to_text(port_of);
    };
    const uint64_t hundredths = session.expires_ms / 10;
    std::string text = fmt::format(
        "{:<5}{:02}:{:02}.{:02} ",
        number == kTcp    ? "TCP"
        : number == kUdp  ? "UDP"
        : number == kIcmp ? "ICMP"
                          : "IP",
        hundredths / 6000,
        hundredths / 100 % 60,
        hundredths % 100
    );
    if (style_.verbose) {
        text += fmt::format(
            "{:>10} {:>5} {:>5} ", session.first_sequence, session.delta, session.previous_delta
        );
    }
    return text + fmt::format(
                      "{:<20} {:<20} {} ({}) -> {}\n",
                      session.source,
                      session.destination,
                      shown(session.source_port),
                      session.mapped_port,
                      shown(session.destination_port)
                  );
}

std::string ChainListing::sessions(std::span<const MasqueradedSession> sessions) const {
    std::string text = "IP masquerading entries\n";
    if (!sessions.empty()) {
        text += "prot expire   ";
        text += style_.verbose ? fmt::format("{:>10} delta prevd ", "initseq") : "";
        text += fmt::format("{:<20} {:<20} ports\n", "source", "destination");
    }
    for (const MasqueradedSession& one : sessions) {
        text += session(one);
    }
    return text;
}

}  // namespace sekisho::legacy
