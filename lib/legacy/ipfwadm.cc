// What the commands of ipfwadm do.
#include "legacy/ipfwadm.h"

#include <algorithm>

#include <fmt/format.h>

#include "legacy/ipfwadm_list.h"
#include "rules/linear.h"

namespace sekisho::legacy {
namespace {

using Category = Ipfwadm::Category;
using Command = Ipfwadm::Command;

constexpr int kRefused = 255;

Point point_of(Category category) {
    switch (category) {
        case Category::kInput:
            return Point::kInput;
        case Category::kOutput:
            return Point::kOutput;
        case Category::kForward:
            return Point::kForward;
        case Category::kAccounting:
        case Category::kMasquerading:
            break;
    }
    return Point::kAccounting;
}

// Whether the kernel would know the device by this name and address (LEGACY S22).
const Link* find_device(const Links& links, const FirewallRule& rule) {
    for (const Link& link : links) {
        if (link.name == rule.via_name &&
            std::ranges::find(link.addresses, rule.via) != link.addresses.end()) {
            return &link;
        }
    }
    return nullptr;
}

rules::RulePacket packet_of(Point point, const FirewallRule& rule, const Link& device) {
    rules::RulePacket packet;
    packet.source = rule.source.address;
    packet.destination = rule.destination.address;
    packet.length = 40;
    (point == Point::kInput ? packet.in_link : packet.out_link) = device.id;
    const uint16_t first = rule.source_ports.ports.front();
    if (rule.protocol == FirewallProtocol::kIcmp) {
        packet.protocol = static_cast<uint8_t>(Protocol::kIcmp);
        packet.icmp_type = static_cast<uint8_t>(first);
        return packet;
    }
    const bool is_tcp = rule.protocol == FirewallProtocol::kTcp;
    packet.protocol = static_cast<uint8_t>(is_tcp ? Protocol::kTcp : Protocol::kUdp);
    packet.tcp_flags = is_tcp && rule.syn ? rules::kSyn : uint8_t{0};
    packet.source_port = Port::from_host(first);
    packet.destination_port = Port::from_host(rule.destination_ports.ports.front());
    return packet;
}

const char* answer_of(rules::Disposition disposition) {
    switch (disposition) {
        case rules::Disposition::kMasquerade:
            return "packet masqueraded\n";
        case rules::Disposition::kRedirect:
            return "packet redirected\n";
        case rules::Disposition::kReject:
            return "packet rejected\n";
        case rules::Disposition::kDeny:
            return "packet denied\n";
        default:
            return "packet accepted\n";
    }
}

class Runner {
  public:
    Runner(
        const Ipfwadm& command,
        Firewall& firewall,
        const Appliance& appliance,
        const Names& names,
        const std::string& program
    )
        : command_(command),
          firewall_(firewall),
          appliance_(appliance),
          listing_(names, {command.extended, command.numeric, command.exact}),
          numeric_(names, {false, true, false}),
          program_(program),
          point_(point_of(command.category)) {}

    Answer run() {
        switch (command_.command) {
            case Command::kAppend:
            case Command::kInsert:
            case Command::kDelete:
            case Command::kCheck:
                for_each_rule();
                break;
            case Command::kList:
            case Command::kListAndZero:
            case Command::kZero:
                list_and_zero();
                break;
            case Command::kFlush:
                firewall_.flush(point_);
                break;
            case Command::kPolicy:
                check(firewall_.set_policy(point_, command_.rule.policy));
                break;
            case Command::kTimeouts:
                set_timeouts();
                break;
        }
        return std::move(answer_);
    }

  private:
    void refuse(const std::string& reason) {
        answer_.err += fmt::format("{}: {}\n", program_, reason);
        answer_.status = kRefused;
    }
    void check(const Result<void>& result) {
        if (!result) {
            refuse(result.error().message);
        }
    }

    void for_each_rule() {
        for (const HostMask& source : command_.sources) {
            for (const HostMask& destination : command_.destinations) {
                FirewallRule rule = command_.rule;
                rule.source = source;
                rule.destination = destination;
                apply(rule);
            }
        }
    }

    void apply(const FirewallRule& rule) {
        const bool is_packet = command_.command == Command::kCheck;
        if (command_.verbose) {
            answer_.out +=
                is_packet ? numeric_.packet_line(rule) : numeric_.rule_line(point_, rule);
        }
        if (is_packet) {
            return check_packet(rule);
        }
        if (command_.command == Command::kDelete) {
            if (!firewall_.remove(point_, rule)) {
                refuse("Invalid argument: there is no such rule");
            }
            return;
        }
        const bool is_first = command_.command == Command::kInsert;
        check(firewall_.add(
            point_,
            is_first ? Firewall::End::kFirst : Firewall::End::kLast,
            rule,
            appliance_.links()
        ));
    }

    void check_packet(const FirewallRule& rule) {
        const Links links = appliance_.links();
        const Link* device = find_device(links, rule);
        if (device == nullptr) {
            return refuse("Invalid argument: no interface has this name and address");
        }
        const rules::AddressSets no_sets;
        rules::Rates rates(firewall_.rules());
        const rules::Walked walked = rules::walk_linear(
            firewall_.rules(),
            firewall_.chain(point_),
            packet_of(point_, rule, *device),
            no_sets,
            rates
        );
        answer_.out += answer_of(walked.outcome.disposition);
    }

    // What is shown and what is taken away is one reading (LEGACY S23).
    void list_and_zero() {
        if (command_.category == Category::kMasquerading) {
            answer_.out = listing_.sessions(appliance_.masqueraded());
            return;
        }
        const Counts counts = appliance_.counts();
        if (command_.command != Command::kZero) {
            answer_.out = listing_.chain(firewall_, point_, counts);
        }
        if (command_.command != Command::kList) {
            firewall_.zero(point_, counts);
        }
    }

    void set_timeouts() {
        const auto set = [](Seconds& timeout, Seconds wanted) {
            timeout = wanted == Seconds{} ? timeout : wanted;
        };
        set(firewall_.timeouts.tcp, command_.timeouts.tcp);
        set(firewall_.timeouts.tcp_fin, command_.timeouts.tcp_fin);
        set(firewall_.timeouts.udp, command_.timeouts.udp);
    }

    const Ipfwadm& command_;
    Firewall& firewall_;
    const Appliance& appliance_;
    FirewallListing listing_;
    FirewallListing numeric_;
    const std::string& program_;
    Point point_;
    Answer answer_;
};

}  // namespace

Answer run(
    const Ipfwadm& command,
    Firewall& firewall,
    const Appliance& appliance,
    const Names& names,
    const std::string& program
) {
    return Runner(command, firewall, appliance, names, program).run();
}

Answer run_ipfwadm(
    const Words& words,
    Firewall& firewall,
    const Appliance& appliance,
    const Names& names,
    const std::string& program
) {
    const auto command = parse_ipfwadm(words, names, program);
    return command ? run(*command, firewall, appliance, names, program) : command.error();
}

}  // namespace sekisho::legacy
