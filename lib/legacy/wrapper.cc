#include "legacy/wrapper.h"

#include <algorithm>
#include <optional>
#include <vector>

#include <fmt/format.h>

#include "base/text.h"
#include "legacy/ipchains.h"
#include "legacy/ipfwadm.h"
#include "legacy/usage.h"

namespace sekisho::legacy {
namespace {

constexpr const char* kProgram = "ipfwadm-wrapper";

using Category = Ipfwadm::Category;

struct Way {
    Category category;
    const char* point;  // of ipchains
    const char* chain;  // of ours
};
constexpr Way kWays[] = {
    {Category::kInput, "input", "inp"},
    {Category::kOutput, "output", "out"},
    {Category::kForward, "forward", "fwd"}};

const Way* way_of(Category category) {
    const auto found = std::ranges::find(kWays, category, &Way::category);
    return found == std::end(kWays) ? nullptr : &*found;
}

const char* accounting_chain(AccountingSide side) {
    switch (side) {
        case AccountingSide::kIn:
            return "acctin";
        case AccountingSide::kOut:
            return "acctout";
        case AccountingSide::kBoth:
            break;
    }
    return "acctboth";
}

std::string target_of(const Ipfwadm& command) {
    if (command.category == Category::kAccounting) {
        return "";
    }
    if (command.rule.redirect) {
        return "REDIRECT";
    }
    switch (command.rule.policy) {
        case FirewallPolicy::kAccept:
            return "ACCEPT";
        case FirewallPolicy::kMasquerade:
            return "MASQ";
        case FirewallPolicy::kDeny:
            return "DENY";
        case FirewallPolicy::kReject:
            break;
    }
    return "REJECT";
}

uint16_t number_of(FirewallProtocol protocol) {
    constexpr uint16_t kNumbers[] = {0, 6, 17, 1};
    return kNumbers[static_cast<size_t>(protocol)];
}

std::vector<PortRange> ranges_of(const PortList& list) {
    std::vector<PortRange> ranges;
    if (list.range) {
        ranges.push_back(*list.range);
    }
    for (const uint16_t port : list.ports) {
        ranges.push_back({port, port});
    }
    if (ranges.empty()) {
        ranges.push_back(kAnyPort);
    }
    return ranges;
}

class Wrapper {
  public:
    Wrapper(const Ipfwadm& command, Chains& chains, const Appliance& appliance, const Names& names)
        : command_(command), chains_(chains), appliance_(appliance), names_(names) {}

    Answer run() {
        if (auto made = make_chains(); !made) {
            return refusal(kProgram, made.error().message, 1);
        }
        switch (command_.command) {
            case Ipfwadm::Command::kAppend:
                change_rules(Ipchains::Command::kAppend);
                break;
            case Ipfwadm::Command::kInsert:
                change_rules(Ipchains::Command::kInsert);
                break;
            case Ipfwadm::Command::kDelete:
                change_rules(Ipchains::Command::kDelete);
                break;
            case Ipfwadm::Command::kCheck:
                check();
                break;
            case Ipfwadm::Command::kPolicy:
                set_policy();
                break;
            case Ipfwadm::Command::kTimeouts:
                set_timeouts();
                break;
            default:
                list_and_clear();
        }
        return std::move(answer_);
    }

  private:
    bool is_masquerading() const { return command_.category == Category::kMasquerading; }

    // Whether it went well so far.
    bool take(const Ipchains& command) {
        const Answer answer = legacy::run(command, chains_, appliance_, names_, kProgram);
        answer_.out += answer.out;
        answer_.err += answer.err;
        answer_.status = answer.status;
        return answer.status == 0;
    }

    Result<void> lead(const char* from, const char* to) {
        ChainRule rule;
        rule.target = to;
        return chains_.insert(from, Chains::kEnd, rule, {});
    }

    Result<void> make_chains() {
        if (chains_.find(kWays[0].chain) != nullptr || is_masquerading()) {
            return {};
        }
        for (const char* name : {"acctin", "acctout", "acctboth", "inp", "out", "fwd"}) {
            if (auto made = chains_.create(name); !made) {
                return made;
            }
        }
        const std::pair<const char*, const char*> jumps[] = {
            {"input", "acctin"},
            {"input", "acctboth"},
            {"input", "inp"},
            {"output", "acctout"},
            {"output", "acctboth"},
            {"output", "out"},
            {"forward", "fwd"}};
        for (const auto& [from, to] : jumps) {
            if (auto made = lead(from, to); !made) {
                return made;
            }
        }
        return {};
    }

    const char* chain() const {
        const Way* const way = way_of(command_.category);
        return way != nullptr ? way->chain : accounting_chain(command_.rule.side);
    }

    // The link that the rule names, or that has the address which it names.
    Result<std::string> via() const {
        const FirewallRule& rule = command_.rule;
        if (rule.via == Ipv4Addr{}) {
            return rule.via_name;
        }
        std::vector<std::string> found;
        for (const Link& link : appliance_.links()) {
            const bool has = std::ranges::find(link.addresses, rule.via) != link.addresses.end();
            if (has && (rule.via_name.empty() || rule.via_name == link.name)) {
                found.push_back(link.name);
            }
        }
        if (found.size() != 1) {
            return failure(fmt::format("no interface of its own has the address {}", rule.via));
        }
        return found.front();
    }

    // All but addresses and ports.
    Result<Ipchains> begin(Ipchains::Command what, std::string chain) const {
        const FirewallRule& rule = command_.rule;
        const auto link = via();
        if (!link) {
            return tl::unexpected(link.error());
        }
        Ipchains made;
        made.command = what;
        made.chain = std::move(chain);
        made.sources = command_.sources;
        made.destinations = command_.destinations;
        made.both_ways = rule.either_way;
        made.verbose = command_.verbose;
        made.rule.protocol.value = number_of(rule.protocol);
        made.rule.via.value = *link;
        if (rule.syn || rule.ack) {
            made.rule.syn = rule.syn;
        }
        made.rule.log = rule.log;
        made.rule.tos_and = rule.tos_and;
        made.rule.tos_xor = rule.tos_xor;
        made.rule.target = target_of(command_);
        made.rule.redirect = rule.redirect.value_or(0);
        return made;
    }

    void change_rules(Ipchains::Command what) {
        auto made = begin(what, chain());
        if (!made) {
            answer_ = refusal(kProgram, made.error().message, 1);
            return;
        }
        for (const PortRange& from : ranges_of(command_.rule.source_ports)) {
            made->rule.source_ports.value = from;
            if (!take_with_destinations(*made)) {
                return;
            }
        }
    }

    bool take_with_destinations(Ipchains& made) {
        const auto ranges = ranges_of(command_.rule.destination_ports);
        return std::ranges::all_of(ranges, [&](const PortRange& to) {
            made.rule.destination_ports.value = to;
            return take(made);
        });
    }

    void check() {
        const Way* const way = way_of(command_.category);
        auto made = begin(Ipchains::Command::kCheck, way != nullptr ? way->point : "input");
        if (!made) {
            answer_ = refusal(kProgram, made.error().message, 1);
            return;
        }
        made->rule.target.clear();
        made->rule.source_ports.value = ranges_of(command_.rule.source_ports).front();
        made->rule.destination_ports.value = ranges_of(command_.rule.destination_ports).front();
        take(*made);
    }

    void set_policy() {
        Ipchains made;
        made.command = Ipchains::Command::kPolicy;
        made.chain = way_of(command_.category)->point;
        made.policy = target_of(command_);
        take(made);
    }

    void set_timeouts() {
        Ipchains made;
        made.command = Ipchains::Command::kTimeouts;
        made.timeouts = command_.timeouts;
        take(made);
    }

    std::vector<std::string> named_chains() const {
        if (command_.category == Category::kAccounting) {
            return {"acctin", "acctout", "acctboth"};
        }
        return {chain()};
    }

    void list_and_clear() {
        Ipchains made;
        made.numeric = command_.numeric;
        made.verbose = command_.extended || command_.category == Category::kAccounting;
        made.exact = command_.exact;
        if (is_masquerading()) {
            made.command = Ipchains::Command::kListMasquerading;
            take(made);
            return;
        }
        switch (command_.command) {
            case Ipfwadm::Command::kFlush:
                made.command = Ipchains::Command::kFlush;
                made.verbose = false;
                break;
            case Ipfwadm::Command::kZero:
                made.command = Ipchains::Command::kZero;
                made.verbose = false;
                break;
            case Ipfwadm::Command::kListAndZero:
                made.command = Ipchains::Command::kListAndZero;
                break;
            default:
                made.command = Ipchains::Command::kList;
        }
        for (const std::string& name : named_chains()) {
            made.chain = name;
            take(made);
        }
    }

    const Ipfwadm& command_;
    Chains& chains_;
    const Appliance& appliance_;
    const Names& names_;
    Answer answer_;
};

}  // namespace

Answer run_ipfwadm_wrapper(
    const Words& words, Chains& chains, const Appliance& appliance, const Names& names
) {
    const auto command = parse_ipfwadm(words, names, kProgram);
    return command ? Wrapper(*command, chains, appliance, names).run() : command.error();
}

}  // namespace sekisho::legacy
