#include "eventlog/rule_lines.h"

#include <algorithm>
#include <array>
#include <iterator>

#include <fmt/format.h>

#include "base/protocol_name.h"
#include "base/text.h"
#include "eventlog/syslog.h"

namespace sekisho::eventlog {
namespace {

using dataplane::RuleLogRecord;
using rules::Hook;
using Out = std::back_insert_iterator<std::string>;

constexpr uint16_t kMoreFragments = 0x2000;
constexpr uint16_t kDontFragment = 0x4000;
constexpr uint16_t kReserved = 0x8000;
constexpr uint8_t kTcp = 6, kUdp = 17, kIcmp = 1;
constexpr uint16_t kNoPorts = 65535;

std::string_view name_of(LinkId link, const std::vector<std::string>& names) {
    return link.value < names.size() ? std::string_view(names[link.value]) : std::string_view();
}

// The link by which the old kernels told the packet: where it came in, at output where it goes.
std::string_view old_link(const RuleLogRecord& r, const LogNames& names) {
    const bool departs = r.hook == Hook::kEgress || r.hook == Hook::kForward ||
                         r.hook == Hook::kLocalOut || r.in_link == rules::kNoLink;
    const std::string_view name = name_of(departs ? r.out_link : r.in_link, names.links);
    return name.empty() ? "-" : name;
}

std::string_view state_name(rules::ConnectionState state) {
    constexpr std::string_view kNames[] = {"new", "established", "related", "invalid", "untracked"};
    return kNames[static_cast<size_t>(state)];
}

bool is_opening(const RuleLogRecord& r) {
    return r.protocol == kTcp && !r.is_later_fragment() &&
           (r.tcp_flags & (rules::kSyn | rules::kAck)) == rules::kSyn;
}

bool has_ports(const RuleLogRecord& r) {
    rules::RulePacket packet;
    packet.protocol = r.protocol;
    packet.fragment =
        r.is_later_fragment() ? rules::FragmentKind::kLater : rules::FragmentKind::kWhole;
    return packet.has_ports();
}

std::string_view ipfwadm_point(const RuleLogRecord& r) {
    switch (r.hook) {
        case Hook::kAccounting:
            return r.in_link == rules::kNoLink ? "acct out" : "acct in";
        case Hook::kEgress:
            return "fw-out";
        case Hook::kForward:
            return "fw-fwd";
        default:
            return "fw-in";
    }
}

struct Spelling {
    std::string_view verdict, ipfwadm, ipchains;
};
constexpr Spelling kSpellings[] = {
    {"accept", "acc", "ACCEPT"},
    {"deny", "deny", "DENY"},
    {"reject", "rej", "REJECT"},
    {"masquerade", "acc/masq", "MASQ"},
    {"return", "acc", "RETURN"},
    {"", "deny", "-"}};

const Spelling* spelling_of(std::string_view verdict) {
    const auto* const found = std::ranges::find(kSpellings, verdict, &Spelling::verdict);
    return found == std::end(kSpellings) ? nullptr : found;
}

std::string ipfwadm_action(const RuleSite& site) {
    if (site.verdict == "redirect") {
        return fmt::format("acc/r{}", site.redirect);
    }
    const Spelling* const spelling = spelling_of(site.verdict);
    return spelling == nullptr ? site.verdict : std::string(spelling->ipfwadm);
}

std::string ipfwadm_protocol(const RuleLogRecord& r) {
    switch (r.protocol) {
        case kTcp:
            return "TCP";
        case kUdp:
            return "UDP";
        case kIcmp:
            return fmt::format("ICMP/{}", r.icmp_type);
        default:
            return fmt::format("PROTO={}", r.protocol);
    }
}

// IP fw-in deny eth0 TCP 10.0.0.1:1024 10.0.0.2:25 L=40 S=0x00 I=1 F=0x0000 T=64 (S20)
std::string ipfwadm_line(const RuleLogRecord& r, const RuleSite& site, const LogNames& names) {
    const bool shows_ports = (r.protocol == kTcp || r.protocol == kUdp) && !r.is_later_fragment();
    const auto end = [&](Ipv4Addr address, uint16_t port) {
        return base::to_text(address) + (shows_ports ? fmt::format(":{}", port) : "");
    };
    return fmt::format(
        "IP {} {}{} {} {} {} L={} S=0x{:02X} I={} F=0x{:04X} T={}",
        ipfwadm_point(r),
        r.hook == Hook::kAccounting ? "" : ipfwadm_action(site) + " ",
        old_link(r, names),
        ipfwadm_protocol(r),
        end(r.source, r.source_port),
        end(r.destination, r.destination_port),
        r.length,
        r.tos,
        r.ip_id,
        r.fragment,
        r.ttl
    );
}

std::string ipchains_target(const RuleSite& site) {
    if (site.verdict == "redirect") {
        return fmt::format("REDIRECT {}", site.redirect);
    }
    const Spelling* const spelling = spelling_of(site.verdict);
    return spelling == nullptr ? site.verdict : std::string(spelling->ipchains);
}

// Packet log: input DENY eth0 PROTO=17 10.0.0.1:53 10.0.0.2:1025 L=34 S=0x00 I=18 F=0x0000 T=254 (#5) (C11)
std::string ipchains_line(const RuleLogRecord& r, const RuleSite& site, const LogNames& names) {
    uint16_t from = kNoPorts;
    uint16_t to = kNoPorts;
    if (r.protocol == kIcmp && !r.is_later_fragment()) {
        from = r.icmp_type;
        to = r.icmp_code;
    } else if ((r.protocol == kTcp || r.protocol == kUdp) && !r.is_later_fragment()) {
        from = r.source_port;
        to = r.destination_port;
    }
    return fmt::format(
        "Packet log: {} {} {} PROTO={} {}:{} {}:{} L={} S=0x{:02X} I={} F=0x{:04X} T={} {}(#{})",
        site.chain,
        ipchains_target(site),
        old_link(r, names),
        r.protocol,
        base::to_text(r.source),
        from,
        base::to_text(r.destination),
        to,
        r.length,
        r.tos,
        r.ip_id,
        r.fragment,
        r.ttl,
        is_opening(r) ? "SYN " : "",
        site.position
    );
}

void add_transport(std::string& text, const RuleLogRecord& r) {
    const auto out = std::back_inserter(text);
    if (r.protocol == kTcp) {
        text += "PROTO=TCP ";
    } else if (r.protocol == kUdp) {
        text += "PROTO=UDP ";
    } else if (r.protocol == kIcmp) {
        text += "PROTO=ICMP ";
    } else {
        fmt::format_to(out, "PROTO={} ", r.protocol);
    }
    if (r.is_later_fragment()) {
        return;
    }
    if (has_ports(r)) {
        fmt::format_to(out, "SPT={} DPT={} ", r.source_port, r.destination_port);
    }
    if (r.protocol == kTcp) {
        fmt::format_to(out, "WINDOW={} RES=0x{:02x} ", r.tcp_window, r.tcp_reserved);
        constexpr std::pair<uint8_t, std::string_view> kFlags[] = {
            {0x80, "CWR "},
            {0x40, "ECE "},
            {0x20, "URG "},
            {0x10, "ACK "},
            {0x08, "PSH "},
            {0x04, "RST "},
            {0x02, "SYN "},
            {0x01, "FIN "}};
        for (const auto& [bit, word] : kFlags) {
            text += (r.tcp_flags & bit) != 0 ? word : "";
        }
        fmt::format_to(out, "URGP={} ", r.tcp_urgent);
    } else if (r.protocol == kUdp) {
        fmt::format_to(out, "LEN={} ", r.udp_length);
    } else if (r.protocol == kIcmp) {
        fmt::format_to(out, "TYPE={} CODE={} ", r.icmp_type, r.icmp_code);
        if (r.icmp_type == 8 || r.icmp_type == 0) {
            fmt::format_to(out, "ID={} SEQ={} ", r.echo_id, r.echo_sequence);
        }
    }
}

// PREFIXIN=eth0 OUT= MAC=... SRC=10.0.0.1 DST=10.0.0.2 LEN=40 TOS=0x00 PREC=0x00 TTL=64 ID=1 DF PROTO=TCP SPT=1024 ...
std::string iptables_line(const RuleLogRecord& r, const RuleSite& site, const LogNames& names) {
    std::string text = site.log.prefix;
    const auto out = std::back_inserter(text);
    fmt::format_to(
        out, "IN={} OUT={} ", name_of(r.in_link, names.links), name_of(r.out_link, names.links)
    );
    if (r.in_link != rules::kNoLink) {
        text += r.has_ethernet ? "MAC=" : "MAC= ";
        for (size_t i = 0; r.has_ethernet && i < r.ethernet.size(); ++i) {
            fmt::format_to(out, "{:02x}{}", r.ethernet[i], i + 1 < r.ethernet.size() ? ":" : " ");
        }
    }
    fmt::format_to(
        out,
        "SRC={} DST={} LEN={} TOS=0x{:02X} PREC=0x{:02X} TTL={} ID={} {}{}{}",
        base::to_text(r.source),
        base::to_text(r.destination),
        r.length,
        r.tos & 0x1e,
        r.tos & 0xe0,
        r.ttl,
        r.ip_id,
        (r.fragment & kReserved) != 0 ? "CE " : "",
        (r.fragment & kDontFragment) != 0 ? "DF " : "",
        (r.fragment & kMoreFragments) != 0 ? "MF " : ""
    );
    if (r.is_later_fragment()) {
        fmt::format_to(out, "FRAG:{} ", r.fragment & 0x1fff);
    }
    add_transport(text, r);
    if (r.mark != 0) {
        fmt::format_to(out, "MARK=0x{:x} ", r.mark);
    }
    return text;
}

class Data {
  public:
    explicit Data(std::string_view id) : text_(fmt::format("[{}", id)) {}
    Data& add(std::string_view name, std::string_view value) {
        text_ += fmt::format(" {}=\"{}\"", name, escape_value(value));
        return *this;
    }
    Data& add(std::string_view name, uint64_t value) { return add(name, std::to_string(value)); }
    std::string text() && { return std::move(text_) + "]"; }

  private:
    std::string text_;
};

RuleLine structured(const RuleLogRecord& r, const RuleSite& site, const LogNames& names) {
    Data data("rule@32473");
    data.add("id", r.rule.value);
    if (site.position != 0) {
        data.add("chain", site.chain).add("position", site.position);
    }
    data.add("hook", rules::name_of(r.hook));
    if (!site.verdict.empty()) {
        data.add("action", site.verdict);
    }
    if (r.in_link != rules::kNoLink) {
        data.add("in", name_of(r.in_link, names.links));
    }
    if (r.out_link != rules::kNoLink) {
        data.add("out", name_of(r.out_link, names.links));
    }
    if (r.realm.value < names.realms.size()) {
        data.add("realm", names.realms[r.realm.value]);
    }
    data.add("src", base::to_text(r.source))
        .add("dst", base::to_text(r.destination))
        .add("proto", r.protocol);
    if (has_ports(r)) {
        data.add("sport", r.source_port).add("dport", r.destination_port);
    } else if (r.protocol == kIcmp && !r.is_later_fragment()) {
        data.add("icmp-type", r.icmp_type).add("icmp-code", r.icmp_code);
    }
    if (r.protocol == kTcp && !r.is_later_fragment()) {
        data.add("tcp-flags", fmt::format("0x{:02x}", r.tcp_flags));
    }
    data.add("len", r.length).add("tos", fmt::format("0x{:02x}", r.tos)).add("ttl", r.ttl);
    data.add("ip-id", r.ip_id).add("frag", fmt::format("0x{:04x}", r.fragment));
    data.add("state", state_name(r.state));
    if (r.mark != 0) {
        data.add("mark", fmt::format("0x{:x}", r.mark));
    }
    const auto end = [&](Ipv4Addr address, uint16_t port) {
        return has_ports(r) ? fmt::format("{}:{}", base::to_text(address), port)
                            : base::to_text(address);
    };
    return {
        site.log.level,
        std::move(data).text(),
        fmt::format(
            "{}{} {} {} > {}",
            site.log.prefix,
            site.verdict.empty() ? "seen" : site.verdict,
            base::protocol_name(r.protocol),
            end(r.source, r.source_port),
            end(r.destination, r.destination_port)
        )};
}

// What people see: "input" of "ipchains:input".
std::string own_name(const std::string& chain) {
    const size_t colon = chain.rfind(':');
    return colon == std::string::npos ? chain : chain.substr(colon + 1);
}

RuleSite site_of(const rules::Chain& chain, size_t position, const rules::Log& log) {
    const rules::Rule& rule = *chain.rules[position];
    RuleSite site{
        .chain = own_name(chain.name), .position = static_cast<unsigned>(position + 1), .log = log};
    const rules::Action* const deciding = rule.deciding();
    if (deciding == nullptr) {
        return site;
    }
    site.verdict = rules::name_of(*deciding);
    if (const auto* const redirect = std::get_if<rules::Redirect>(deciding)) {
        site.redirect = redirect->port;
    }
    return site;
}

void add_site(const rules::Chain& chain, size_t position, RuleSites& sites) {
    const rules::Rule& rule = *chain.rules[position];
    if (const rules::Log* const log = dataplane::log_of(rule)) {
        sites.emplace(rule.id.value, site_of(chain, position, *log));
    }
}

}  // namespace

RuleSites sites_of(const rules::RuleSet& set) {
    RuleSites sites;
    for (const rules::ChainId id : set.chains()) {
        const rules::Chain& chain = *set.chain(id);
        for (size_t i = 0; i < chain.rules.size(); ++i) {
            add_site(chain, i, sites);
        }
    }
    return sites;
}

RuleLine line_of(const RuleLogRecord& record, const RuleSite* site, const LogNames& names) {
    static const RuleSite forgotten;
    const RuleSite& at = site != nullptr ? *site : forgotten;
    switch (at.log.style) {
        case rules::LogStyle::kIpfwadm:
            return {at.log.level, "", ipfwadm_line(record, at, names)};
        case rules::LogStyle::kIpchains:
            return {at.log.level, "", ipchains_line(record, at, names)};
        case rules::LogStyle::kIptables:
            return {at.log.level, "", iptables_line(record, at, names)};
        case rules::LogStyle::kStructured:
            break;
    }
    return structured(record, at, names);
}

}  // namespace sekisho::eventlog
