// A state as the commands that make it.
#include <fmt/format.h>

#include "base/text.h"
#include "legacy/ipfwadm.h"

namespace sekisho::legacy {
namespace {

constexpr const char* category_of(Point point) {
    constexpr const char* kCategories[] = {"-I", "-O", "-F", "-A"};
    return kCategories[static_cast<size_t>(point)];
}

void add_verdict(Words& words, Point point, const FirewallRule& rule) {
    if (point == Point::kAccounting) {
        words.insert(words.end(), {name_of(rule.side), "-a"});
        return;
    }
    const bool masquerades = rule.policy == FirewallPolicy::kMasquerade;
    words.insert(words.end(), {"-a", masquerades ? "accept" : name_of(rule.policy)});
    if (masquerades) {
        words.emplace_back("-m");
    }
}

void add_side(Words& words, const char* option, const HostMask& host, const PortList& list) {
    if (host.is_any() && list.is_any()) {
        return;
    }
    words.insert(words.end(), {option, to_text(host)});
    if (list.range) {
        words.push_back(fmt::format("{}:{}", list.range->first, list.range->last));
    }
    for (const uint16_t port : list.ports) {
        words.push_back(fmt::format("{}", port));
    }
}

void add_flags(Words& words, const FirewallRule& rule) {
    const std::pair<bool, const char*> flags[] = {
        {rule.either_way, "-b"}, {rule.ack, "-k"}, {rule.syn, "-y"}, {rule.log, "-o"}};
    for (const auto& [is_set, option] : flags) {
        if (is_set) {
            words.emplace_back(option);
        }
    }
    if (rule.redirect) {
        words.insert(words.end(), {"-r", fmt::format("{}", *rule.redirect)});
    }
    if (rule.tos_and != 0xff || rule.tos_xor != 0) {
        words.insert(
            words.end(),
            {"-t", fmt::format("{:02x}", rule.tos_and), fmt::format("{:02x}", rule.tos_xor)}
        );
    }
}

}  // namespace

Words command_of(Point point, const FirewallRule& rule) {
    Words words = {category_of(point)};
    add_verdict(words, point, rule);
    if (rule.protocol != FirewallProtocol::kAll) {
        words.insert(words.end(), {"-P", name_of(rule.protocol)});
    }
    add_side(words, "-S", rule.source, rule.source_ports);
    add_side(words, "-D", rule.destination, rule.destination_ports);
    if (rule.via != Ipv4Addr{}) {
        words.insert(words.end(), {"-V", base::to_text(rule.via)});
    }
    if (!rule.via_name.empty()) {
        words.insert(words.end(), {"-W", rule.via_name});
    }
    add_flags(words, rule);
    return words;
}

std::vector<Words> commands_of(const Firewall& firewall) {
    std::vector<Words> commands;
    for (const Point point : {Point::kInput, Point::kOutput, Point::kForward, Point::kAccounting}) {
        const FirewallPolicy policy = firewall.policy(point);
        if (policy == FirewallPolicy::kMasquerade) {
            commands.push_back({category_of(point), "-p", "accept", "-m"});
        } else if (policy != FirewallPolicy::kAccept) {
            commands.push_back({category_of(point), "-p", name_of(policy)});
        }
        for (const Firewall::Entry& entry : firewall.entries(point)) {
            commands.push_back(command_of(point, entry.rule));
        }
    }
    const MasqueradeTimeouts& timeouts = firewall.timeouts;
    if (timeouts != MasqueradeTimeouts{}) {
        commands.push_back(
            {"-M",
             "-s",
             fmt::format("{}", timeouts.tcp.value),
             fmt::format("{}", timeouts.tcp_fin.value),
             fmt::format("{}", timeouts.udp.value)}
        );
    }
    return commands;
}

}  // namespace sekisho::legacy
