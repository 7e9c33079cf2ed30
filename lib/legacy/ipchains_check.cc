// The grammar of ipchains: what the options come to together.
#include <bit>

#include <fmt/format.h>

#include "legacy/hosts.h"
#include "legacy/icmp_names.h"
#include "legacy/ipchains_parser.h"

namespace sekisho::legacy {
namespace {

using Command = Ipchains::Command;

constexpr uint8_t kIcmp = static_cast<uint8_t>(Protocol::kIcmp);
constexpr uint8_t kTcp = static_cast<uint8_t>(Protocol::kTcp);
constexpr uint8_t kUdp = static_cast<uint8_t>(Protocol::kUdp);

// By the command: the options that it takes, '1' and '2' being ports. What it must have stands in kCheckWants.
constexpr std::string_view kOfRules = "sdpjybvltifm12o";
constexpr std::string_view allowed_with(Command command) {
    switch (command) {
        case Command::kAppend:
        case Command::kInsert:
        case Command::kDelete:
            return kOfRules;
        case Command::kReplace:
            return "sdpjyvltifm12o";
        case Command::kCheck:
            return "sdpybvif12";
        case Command::kList:
        case Command::kListAndZero:
        case Command::kListMasquerading:
            return "nvx3";
        default:
            return "v";
    }
}
constexpr std::string_view kCheckWants = "sdpi";
}  // namespace

void IpchainsParser::finish() {
    finish_rule();
    check_addresses();
    check_protocol();
    check_packet();
    check_target();
    check_options();
    check_tos();
    if (made_.chain && made_.chain->size() > kLongestChainName) {
        complain(fmt::format(
            "chain name `{}' too long (must be under {} chars)", *made_.chain, kLongestChainName
        ));
    }
    if (made_.rule.target.size() > kLongestChainName) {
        complain(fmt::format(
            "Invalid target name `{}' ({} chars max)", made_.rule.target, kLongestChainName
        ));
    }
    if (!reason_ && made_.rule.target == "REDIRECT") {
        made_.rule.redirect = read_port(redirect_);
    }
}

void IpchainsParser::finish_rule() {
    if (is_rule()) {
        source_ = source_.value_or("0.0.0.0/0");
        destination_ = destination_.value_or("0.0.0.0/0");
    }
    if (source_) {
        made_.sources = read_hosts(*source_);
    }
    if (destination_) {
        made_.destinations = read_hosts(*destination_);
    }
    made_.rule.source.inverted = is_inverted('s');
    made_.rule.destination.inverted = is_inverted('d');
    made_.rule.source_ports.inverted = is_inverted('1');
    made_.rule.destination_ports.inverted = is_inverted('2');
    if (made_.rule.protocol.value == kIcmp) {
        finish_icmp();
    } else {
        finish_ports();
    }
}

void IpchainsParser::finish_ports() {
    made_.rule.source_ports.value = read_ports(source_ports_);
    made_.rule.destination_ports.value = read_ports(destination_ports_);
}

// The type stands for ports of the source, the code for those of the destination; a name for both (LEGACY C8).
void IpchainsParser::finish_icmp() {
    const auto names = icmp_names_like(source_ports_.value_or(""));
    if (names.empty()) {
        return finish_ports();
    }
    const IcmpName& name = *names.front();
    if (names.size() > 1) {
        return complain(fmt::format(
            "Ambiguous ICMP `{}' : `{}' or `{}'?", *source_ports_, name.name, names[1]->name
        ));
    }
    want(!destination_ports_, "Can't use ICMP name and destination port together");
    want(!is_inverted('1') && !is_inverted('2'), "Can't invert named ICMP types");
    const bool checks = made_.command == Command::kCheck;
    want(!checks || !name.has_codes, "Must specify exact ICMP type for testing");
    given_ += '2';
    made_.rule.source_ports.value = {name.type, name.type};
    if (name.codes.last != 255) {
        made_.rule.destination_ports.value = {name.codes.first, name.codes.last};
    } else {
        made_.rule.destination_ports.value = checks ? PortRange{0, 0} : kAnyPort;
    }
}

std::vector<HostMask> IpchainsParser::read_hosts(const std::string& text) {
    auto hosts = legacy::read_hosts(text, names_, '`');
    if (!hosts) {
        complain(hosts.error().message);
        return {};
    }
    return *std::move(hosts);
}

PortRange IpchainsParser::read_ports(const std::optional<std::string>& text) {
    if (!text) {
        return kAnyPort;
    }
    const std::string_view whole = *text;
    const size_t colon = whole.find(':');
    if (colon == std::string_view::npos) {
        const uint16_t port = read_port(whole);
        return {port, port};
    }
    const std::string_view first = whole.substr(0, colon);
    const std::string_view last = whole.substr(colon + 1);
    const PortRange range{
        first.empty() ? kAnyPort.first : read_port(first),
        last.empty() ? kAnyPort.last : read_port(last)};
    if (range.first > range.last) {
        complain(fmt::format("invalid range of ports `{}' specified", whole));
    }
    return range;
}

uint16_t IpchainsParser::read_port(std::string_view text) {
    const uint16_t protocol = made_.rule.protocol.value;
    if (protocol != kIcmp && protocol != kTcp && protocol != kUdp) {
        complain("can only specify ports for icmp, tcp or udp");
        return 0;
    }
    if (const auto number = read_number(text, 65535)) {
        return static_cast<uint16_t>(*number);
    }
    if (protocol == kIcmp) {
        complain(fmt::format("invalid ICMP type `{}' specified", text));
        return 0;
    }
    const auto port = names_.port_of(text, protocol == kTcp ? Protocol::kTcp : Protocol::kUdp);
    if (!port) {
        complain(fmt::format("invalid port/service `{}' specified", text));
    }
    return port.value_or(0);
}

void IpchainsParser::check_addresses() {
    const bool is_many = made_.sources.size() > 1 || made_.destinations.size() > 1;
    want(
        !is_many || (!is_inverted('s') && !is_inverted('d')),
        "! not allowed with multiple source or destination IP addresses"
    );
    want(
        !is_many || !made_.both_ways,
        "-b not allowed with multiple source or destination IP addresses"
    );
    want(
        made_.command != Command::kReplace || !is_many,
        "Replacement rule does not specify a unique address"
    );
}

void IpchainsParser::check_protocol() {
    const bool has_ports = has('1') || has('2');
    const bool is_any = made_.rule.protocol.value == 0 || is_inverted('p');
    want(!is_any || !has_ports, "no ports allowed without specific protocol");
    want(is_of(kTcp) || !has('y'), "-y only allowed with TCP protocol");
    const bool is_fragment = has('f') && !is_inverted('f');
    want(!is_fragment || !has_ports, "no ports allowed with -f");
    want(!is_fragment || !has('y'), "-y not allowed with -f");
    want(
        is_of(kTcp) || is_of(kUdp) || made_.rule.target != "REDIRECT",
        "redirecting only allowed with TCP or UDP"
    );
}

void IpchainsParser::check_packet() {
    if (made_.command != Command::kCheck) {
        return;
    }
    const auto is_one = [](const Maybe<PortRange>& ports) {
        return ports.value.first == ports.value.last;
    };
    const bool has_ports = is_of(kTcp) || is_of(kUdp) || is_of(kIcmp);
    const bool are_given = has('1') && has('2') && is_one(made_.rule.source_ports) &&
                           is_one(made_.rule.destination_ports);
    want(
        !has_ports || has('f') || are_given,
        "one port required with source/destination address for -C"
    );
    want(inverted_.empty(), "! not allowed with -C");
}

void IpchainsParser::check_target() {
    const std::string& target = made_.rule.target;
    want(
        target != "MASQ" || !(is_on("input") || is_on("output")),
        "masquerading not allowed for input and output chains"
    );
    want(
        target != "REDIRECT" || !(is_on("output") || is_on("forward")),
        "redirect not allowed for output and forward chains"
    );
}

void IpchainsParser::check_options() {
    const std::string_view allowed = allowed_with(made_.command);
    for (const char option : given_) {
        if (allowed.find(option) == std::string_view::npos) {
            const char shown = option == '1' ? 's' : option == '2' ? 'd' : option;
            complain(fmt::format("Illegal option `-{}' with this command", shown));
        }
    }
    for (const char option : kCheckWants) {
        if (made_.command == Command::kCheck && !has(option)) {
            complain(fmt::format("You need to supply the `-{}' option for this command", option));
        }
    }
}

// RFC 1349: bit 0 stays, and of the others one at most is set.
void IpchainsParser::check_tos() {
    constexpr std::pair<uint8_t, const char*> kServices[] = {
        {0x10, "Minimize Delay"},
        {0x08, "Maximize Throughput"},
        {0x04, "Maximize Reliability"},
        {0x02, "Minimize Cost"},
        {0x00, "Normal Service"}};
    const uint8_t keep = made_.rule.tos_and;
    const uint8_t flip = made_.rule.tos_xor;
    const auto bits = [](int value) { return std::popcount(static_cast<unsigned>(value) & 0x1e); };
    want((keep & 1) != 0 && (flip & 1) == 0, "TOS manipulation cannot alter bit 0 (RFC1349)");
    want(bits(~keep & flip) <= 1, "TOS manipulation cannot set multiple TOS bits (RFC1349)");
    for (const auto& [tos, name] : kServices) {
        if (warns_ && bits((tos & keep) ^ flip) > 1) {
            made_.warnings += fmt::format(
                "Warning: TOS manipulation may set multiple TOS bits for {} TOS (0x{:02x})\n",
                name,
                tos
            );
        }
    }
}

}  // namespace sekisho::legacy
