// What the commands of ipchains do.
#include "legacy/ipchains.h"

#include <algorithm>
#include <functional>

#include <fmt/format.h>

#include "legacy/ipchains_list.h"
#include "legacy/usage.h"
#include "rules/linear.h"

namespace sekisho::legacy {
namespace {

using Command = Ipchains::Command;

constexpr int kRefused = 1;

rules::RulePacket packet_of(const ChainRule& rule) {
    rules::RulePacket packet;
    packet.source = rule.source.value.address;
    packet.destination = rule.destination.value.address;
    packet.protocol = static_cast<uint8_t>(rule.protocol.value);
    packet.length = 40;
    if (rule.fragment == true) {
        packet.fragment = rules::FragmentKind::kLater;
    }
    const uint16_t first = rule.source_ports.value.first;
    const uint16_t second = rule.destination_ports.value.first;
    if (packet.has_icmp()) {
        packet.icmp_type = static_cast<uint8_t>(first);
        packet.icmp_code = static_cast<uint8_t>(second);
    } else if (packet.has_ports()) {
        packet.source_port = Port::from_host(first);
        packet.destination_port = Port::from_host(second);
        packet.tcp_flags = rule.syn == true ? rules::kSyn : uint8_t{0};
    }
    return packet;
}

const char* answer_of(rules::Disposition disposition) {
    switch (disposition) {
        case rules::Disposition::kDeny:
            return "denied\n";
        case rules::Disposition::kReject:
            return "rejected\n";
        case rules::Disposition::kMasquerade:
            return "masqueraded\n";
        case rules::Disposition::kRedirect:
            return "redirected\n";
        case rules::Disposition::kPassed:
            return "passed through chain\n";
        default:
            return "accepted\n";
    }
}

class Runner {
  public:
    Runner(
        const Ipchains& command,
        Chains& chains,
        const Appliance& appliance,
        const Names& names,
        const std::string& program
    )
        : command_(command),
          chains_(chains),
          appliance_(appliance),
          listing_(names, {command.verbose, command.numeric, command.exact, command.line_numbers}),
          numeric_(names, {false, true, false, false}),
          program_(program) {}

    Answer run() {
        answer_.out = command_.warnings;
        switch (command_.command) {
            case Command::kAppend:
            case Command::kInsert:
            case Command::kReplace:
            case Command::kDelete:
                change_rules();
                break;
            case Command::kCheck:
                for_each_rule([this](const ChainRule& rule) { return check_packet(rule); });
                break;
            case Command::kList:
            case Command::kZero:
            case Command::kListAndZero:
                list_and_zero();
                break;
            case Command::kListMasquerading:
                answer_.out += listing_.sessions(appliance_.masqueraded());
                break;
            case Command::kTimeouts:
                set_timeouts();
                break;
            default:
                change_chains();
        }
        return std::move(answer_);
    }

  private:
    void check(const Result<void>& result) {
        if (!result) {
            answer_.err += fmt::format("{}: {}\n", program_, result.error().message);
            answer_.status = kRefused;
        }
    }
    const std::string& chain() const { return *command_.chain; }

    // Every combination, then with -b what is exchanged.
    void for_each_rule(const std::function<Result<void>(const ChainRule&)>& use) {
        std::vector<ChainRule> rules;
        for (const HostMask& source : command_.sources) {
            for (const HostMask& destination : command_.destinations) {
                rules.push_back(command_.rule);
                rules.back().source.value = source;
                rules.back().destination.value = destination;
            }
        }
        if (command_.both_ways) {
            rules.push_back(rules.front().exchanged());
        }
        for (const ChainRule& rule : rules) {
            answer_.out += command_.verbose ? numeric_.rule_line(rule) : "";
            const auto used = use(rule);
            check(used);
            if (!used) {
                return;
            }
        }
    }

    // One rule comes or goes whole by itself. A text that is restored has thousands of them: no copy is made for each.
    void change_rules() {
        if (command_.sources.size() * command_.destinations.size() == 1 && !command_.both_ways) {
            return change_rules(chains_);
        }
        Chains changed = chains_;
        change_rules(changed);
        if (answer_.status == 0) {
            chains_ = std::move(changed);
        }
    }

    void change_rules(Chains& changed) {
        const Links links = appliance_.links();
        for_each_rule([&](const ChainRule& rule) {
            switch (command_.command) {
                case Command::kAppend:
                    return changed.insert(chain(), Chains::kEnd, rule, links);
                case Command::kInsert:
                    return changed.insert(chain(), command_.number, rule, links);
                case Command::kReplace:
                    return changed.replace(chain(), command_.number, rule, links);
                default:
                    return changed.remove_equal(chain(), rule);
            }
        });
    }

    Result<void> check_packet(const ChainRule& rule) {
        const Chains::Chain* found = chains_.find(chain());
        if (found == nullptr) {
            return failure("No chain by that name");
        }
        const Links links = appliance_.links();
        const auto link = std::ranges::find(links, rule.via.value, &Link::name);
        rules::RulePacket packet = packet_of(rule);
        // A user-defined chain by itself is walked as from input.
        const ChainPoint point = found->point.value_or(ChainPoint::kInput);
        if (link != links.end()) {
            (point == ChainPoint::kInput ? packet.in_link : packet.out_link) = link->id;
        }
        const rules::AddressSets no_sets;
        rules::Rates rates(chains_.rules());
        const rules::Walked walked = rules::walk_linear(
            chains_.rules(), found->at[static_cast<size_t>(point)], packet, no_sets, rates
        );
        answer_.out += answer_of(walked.outcome.disposition);
        return {};
    }

    std::vector<std::string> named_chains(bool are_built_in_meant) const {
        if (command_.chain) {
            return {chain()};
        }
        std::vector<std::string> names;
        for (const Chains::Chain& one : chains_.all()) {
            if (are_built_in_meant || !one.point) {
                names.push_back(one.name);
            }
        }
        return names;
    }

    // What is shown and what is taken away is one reading.
    void list_and_zero() {
        const Counts counts = appliance_.counts();
        for (const std::string& name : named_chains(true)) {
            const Chains::Chain* found = chains_.find(name);
            if (found == nullptr) {
                return check(failure("No chain by that name"));
            }
            if (command_.command != Command::kZero) {
                answer_.out += listing_.chain(chains_, *found, counts);
            } else if (command_.verbose) {
                answer_.out += fmt::format("Zeroing chain `{}'\n", name);
            }
            if (command_.command != Command::kList) {
                check(chains_.zero(name, counts));
            }
        }
    }

    void change_chains() {
        if (command_.command == Command::kNewChain) {
            return check(chains_.create(chain()));
        }
        if (command_.command == Command::kPolicy) {
            return check(chains_.set_policy(chain(), command_.policy));
        }
        if (command_.command == Command::kDeleteNumber) {
            return check(chains_.remove(chain(), command_.number));
        }
        const bool flushes = command_.command == Command::kFlush;
        Chains changed = chains_;
        for (const std::string& name : named_chains(flushes)) {
            if (command_.verbose) {
                answer_.out +=
                    fmt::format("{} chain `{}'\n", flushes ? "Flushing" : "Deleting", name);
            }
            check(flushes ? changed.flush(name) : changed.remove_chain(name));
        }
        if (answer_.status == 0) {
            chains_ = std::move(changed);
        }
    }

    void set_timeouts() {
        const auto set = [](Seconds& timeout, Seconds wanted) {
            timeout = wanted == Seconds{} ? timeout : wanted;
        };
        set(chains_.timeouts.tcp, command_.timeouts.tcp);
        set(chains_.timeouts.tcp_fin, command_.timeouts.tcp_fin);
        set(chains_.timeouts.udp, command_.timeouts.udp);
    }

    const Ipchains& command_;
    Chains& chains_;
    const Appliance& appliance_;
    ChainListing listing_;
    ChainListing numeric_;
    const std::string& program_;
    Answer answer_;
};

}  // namespace

Answer run(
    const Ipchains& command,
    Chains& chains,
    const Appliance& appliance,
    const Names& names,
    const std::string& program
) {
    return Runner(command, chains, appliance, names, program).run();
}

Answer run_ipchains(
    const Words& words,
    Chains& chains,
    const Appliance& appliance,
    const Names& names,
    const std::string& program
) {
    const auto command = parse_ipchains(words, names, program);
    return command ? run(*command, chains, appliance, names, program) : command.error();
}

}  // namespace sekisho::legacy
