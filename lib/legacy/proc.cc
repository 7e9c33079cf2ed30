#include "legacy/proc.h"

#include <fmt/format.h>

#include "base/text.h"

namespace sekisho::legacy {
namespace {

constexpr size_t kLineWidth = 127;
constexpr uint64_t kTicksPerSecond = 100;  // of those kernels

// Of a rule of ipchains, by the numbers of its kernel.
enum Flag : unsigned {
    kLogs = 0x01,
    kSyn = 0x02,
    kFragment = 0x04,
    kSetsMark = 0x08,
    kViaBegins = 0x10  // with the name, and may go on
};
enum Inverted : unsigned {
    kInvertedSource = 0x01,
    kInvertedDestination = 0x02,
    kInvertedProtocol = 0x04,
    kInvertedSourcePorts = 0x08,
    kInvertedDestinationPorts = 0x10,
    kInvertedVia = 0x20,
    kInvertedSyn = 0x40,
    kInvertedFragment = 0x80
};

unsigned flags_of(const ChainRule& rule) {
    unsigned flags = rule.log ? unsigned{kLogs} : 0U;
    flags |= rule.via.value.ends_with('+') ? unsigned{kViaBegins} : 0U;
    flags |= rule.syn ? unsigned{kSyn} : 0U;
    flags |= rule.fragment ? unsigned{kFragment} : 0U;
    return flags | (rule.mark ? unsigned{kSetsMark} : 0U);
}

unsigned inverted_flags_of(const ChainRule& rule) {
    unsigned flags = rule.via.inverted ? unsigned{kInvertedVia} : 0U;
    flags |= rule.source.inverted ? unsigned{kInvertedSource} : 0U;
    flags |= rule.destination.inverted ? unsigned{kInvertedDestination} : 0U;
    flags |= rule.protocol.inverted ? unsigned{kInvertedProtocol} : 0U;
    flags |= rule.source_ports.inverted ? unsigned{kInvertedSourcePorts} : 0U;
    flags |= rule.destination_ports.inverted ? unsigned{kInvertedDestinationPorts} : 0U;
    flags |= rule.fragment == false ? unsigned{kInvertedFragment} : 0U;
    return flags | (rule.syn == false ? unsigned{kInvertedSyn} : 0U);
}

// A counter in two halves, as numbers of at least so many places.
std::string halves(uint64_t count, int width) {
    return fmt::format("{:<{}} {:<{}}", count >> 32, width, count & 0xffffffff, width);
}

// The name itself, without the sign that it may go on.
std::string via_of(const ChainRule& rule) {
    const std::string& name = rule.via.value;
    const std::string shown = name.substr(0, name.find('+'));
    return shown.empty() ? "-" : shown;
}

const char* name_of(Protocol protocol) {
    switch (protocol) {
        case Protocol::kTcp:
            return "tcp";
        case Protocol::kUdp:
            return "udp";
        case Protocol::kIcmp:
            return "icmp";
        default:
            return "unknown";
    }
}

const char* masquerade_name_of(Protocol protocol) {
    switch (protocol) {
        case Protocol::kTcp:
            return "TCP";
        case Protocol::kUdp:
            return "UDP";
        case Protocol::kIcmp:
            return "ICMP";
        default:
            return "IP";
    }
}

struct Ends {
    Ipv4Addr source;
    Ipv4Addr destination;
    Port source_port;
    Port destination_port;
};

std::string tuple(Protocol protocol, const Ends& ends) {
    std::string text = fmt::format("src={} dst={} ", ends.source, ends.destination);
    if (protocol == Protocol::kTcp || protocol == Protocol::kUdp) {
        text += fmt::format("sport={} dport={} ", ends.source_port, ends.destination_port);
    }
    return text;
}

// An ICMP query has its identifier where others have ports.
std::string query(bool is_reply, Port id) {
    return fmt::format("type={} code=0 id={} ", is_reply ? 0 : 8, id);
}

}  // namespace

std::string ip_masquerade_header() {
    return fmt::format(
        "{:<{}}\n",
        "Prc FromIP   FPrt ToIP     TPrt Masq Init-seq  Delta PDelta Expires (free=0,0,0)",
        kLineWidth
    );
}

std::string ip_masquerade_line(const MasqueradedSession& session) {
    const std::string text = fmt::format(
        "{} {:08X}:{:04X} {:08X}:{:04X} {:04X} {:08X} {:6} {:6} {:7}",
        masquerade_name_of(session.protocol),
        session.source.host(),
        session.source_port.host(),
        session.destination.host(),
        session.destination_port.host(),
        session.mapped_port.host(),
        session.first_sequence,
        session.delta,
        session.previous_delta,
        session.expires_ms * kTicksPerSecond / 1000
    );
    return fmt::format("{:<{}}\n", text, kLineWidth);
}

std::string ip_conntrack_line(const TrackedSession& tracked) {
    const MasqueradedSession& one = tracked.session;
    const bool is_query = one.protocol == Protocol::kIcmp;
    const Ends original{one.source, one.destination, one.source_port, one.destination_port};
    const Ends reply{one.destination, tracked.external, one.destination_port, one.mapped_port};
    return fmt::format(
        "{:<8} {} {} {}{}{}{}{}{}{}{}use=1 \n",
        name_of(one.protocol),
        static_cast<unsigned>(one.protocol),
        one.expires_ms / 1000,
        tracked.state,
        tracked.state.empty() ? "" : " ",
        tuple(one.protocol, original),
        is_query ? query(false, one.source_port) : "",
        tracked.is_answered ? "" : "[UNREPLIED] ",
        tuple(one.protocol, reply),
        is_query ? query(true, one.mapped_port) : "",
        tracked.is_assured ? "[ASSURED] " : ""
    );
}

std::string ip_fwchains(const Chains& chains, const Counts& counts) {
    std::string text;
    for (const Chains::Chain& chain : chains.all()) {
        for (const Chains::Entry& entry : chain.entries) {
            const ChainRule& rule = entry.rule;
            const rules::RuleTotal count = Chains::count_of(entry, counts);
            text += fmt::format(
                "{:>9} {:08X}/{:08X}->{:08X}/{:08X} {} {:X} {:X} {} ",
                chain.name,
                rule.source.value.address.host(),
                rule.source.value.mask.host(),
                rule.destination.value.address.host(),
                rule.destination.value.mask.host(),
                via_of(rule),
                flags_of(rule),
                inverted_flags_of(rule),
                rule.protocol.value
            );
            constexpr int kWidth = 9;
            text += halves(count.packets, kWidth) + " " + halves(count.bytes, kWidth);
            text += fmt::format(
                " {}-{} {}-{} A{:02X} X{:02X} {:08X} {} {} {:>9}\n",
                rule.source_ports.value.first,
                rule.source_ports.value.last,
                rule.destination_ports.value.first,
                rule.destination_ports.value.last,
                rule.tos_and,
                rule.tos_xor,
                rule.redirect,
                rule.mark.value_or(0),
                rule.copy_size.value_or(0),
                rule.target.empty() ? "-" : rule.target
            );
        }
    }
    return text;
}

std::string ip_fwnames(const Chains& chains, const Counts& counts) {
    std::string text;
    for (const Chains::Chain& chain : chains.all()) {
        const rules::RuleTotal met = chains.policy_count_of(chain, counts);
        text += fmt::format(
            "{} {} {} {} {}\n",
            chain.name,
            chain.point ? chain.policy : "-",
            chains.references_to(chain.name),
            halves(met.packets, 1),
            halves(met.bytes, 1)
        );
    }
    return text;
}

}  // namespace sekisho::legacy
