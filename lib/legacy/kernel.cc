#include "legacy/kernel.h"

#include <algorithm>

#include <fmt/format.h>

#include "legacy/forward_tools.h"
#include "legacy/ipchains.h"
#include "legacy/ipfwadm.h"
#include "legacy/iptables.h"
#include "legacy/usage.h"
#include "legacy/wrapper.h"

namespace sekisho::legacy {
namespace {

constexpr std::string_view kTools[] = {
    "ipfwadm",
    "ipfwadm-wrapper",
    "ipchains",
    "ipchains-save",
    "ipchains-restore",
    "iptables",
    "iptables-save",
    "iptables-restore",
    "ipautofw",
    "ipportfw",
    "ipmasqadm",
    "redir",
    "modprobe",
    "insmod",
    "rmmod",
    "depmod",
    "lsmod"};

constexpr std::string_view kListings[] = {
    "ip_masquerade", "ip_conntrack", "ip_fwchains", "ip_fwnames", "ip_tables_names"};

constexpr Table kEveryTable[] = {Table::kFilter, Table::kNat, Table::kMangle, Table::kRaw};

std::optional<Family> family_of(std::string_view tool) {
    if (tool == "ipfwadm") {
        return Family::kIpfwadm;
    }
    if (tool == "ipfwadm-wrapper" || tool.starts_with("ipchains")) {
        return Family::kIpchains;
    }
    return tool.starts_with("iptables") ? std::optional(Family::kIptables) : std::nullopt;
}

bool asks_for_help(const Words& words) {
    constexpr std::string_view kHelp[] = {"-h", "--help", "-V", "--version"};
    return !words.empty() && std::ranges::find(kHelp, words.front()) != std::end(kHelp);
}

// As its kernel's would, and who is there instead.
Answer wrong_kernel(const std::string& tool, Family asked, Family in_force) {
    const char* const other = name_of(in_force);
    constexpr const char* kHow = "its rules are in force, and go by sekisho-legacy clear";
    switch (asked) {
        case Family::kIpfwadm:
            return refusal(
                tool,
                fmt::format("setsockopt failed: Protocol not available ({}: {})", other, kHow),
                255
            );
        case Family::kIpchains:
            return refusal(
                tool, fmt::format("Incompatible with this kernel ({}: {})", other, kHow), 1
            );
        case Family::kIptables:
            break;
    }
    return refusal(tool, fmt::format("can't initialize iptables: {}: {}", other, kHow), 3);
}

bool is_fresh(const Firewall& firewall) {
    for (const Point point : {Point::kInput, Point::kOutput, Point::kForward, Point::kAccounting}) {
        if (!firewall.entries(point).empty() || firewall.policy(point) != FirewallPolicy::kAccept) {
            return false;
        }
    }
    return true;
}

bool is_fresh(const Chains& chains) {
    return std::ranges::all_of(chains.all(), [](const Chains::Chain& chain) {
        return chain.point && chain.policy == "ACCEPT" && chain.entries.empty();
    });
}

bool is_fresh(const Tables& tables) {
    const auto is_fresh_chain = [](const Tables::Chain& chain) {
        return chain.is_built_in && chain.policy == "ACCEPT" && chain.entries.empty();
    };
    for (const Table table : kEveryTable) {
        if (!std::ranges::all_of(tables.chains(table), is_fresh_chain)) {
            return false;
        }
    }
    return true;
}

// What is built in stays, as it was at the start.
void clear_table(Tables& tables, Table table) {
    std::vector<std::string> names;
    for (const Tables::Chain& chain : tables.chains(table)) {
        names.push_back(chain.name);
    }
    for (const std::string& name : names) {
        (void)tables.flush(table, name);
        (void)tables.set_policy(table, name, "ACCEPT");
    }
    for (const std::string& name : names) {
        (void)tables.remove_chain(table, name);
    }
}

std::vector<TrackedSession> tracked_of(const Machine& machine) {
    return machine.tracked ? machine.tracked() : std::vector<TrackedSession>{};
}

// The machine as one family's tools see it.
class FamilyView final : public Appliance {
  public:
    FamilyView(const Machine& machine, Family family) : machine_(machine), family_(family) {}
    Links links() const override { return machine_.links; }
    Counts counts() const override { return machine_.counts ? machine_.counts(family_) : Counts{}; }
    std::vector<MasqueradedSession> masqueraded() const override {
        std::vector<MasqueradedSession> all;
        for (const TrackedSession& each : tracked_of(machine_)) {
            all.push_back(each.session);
        }
        return all;
    }

  private:
    const Machine& machine_;
    Family family_;
};

}  // namespace

const char* name_of(Family family) {
    constexpr const char* kNames[] = {"ipfwadm", "ipchains", "iptables"};
    return kNames[static_cast<size_t>(family)];
}

std::span<const std::string_view> tool_names() {
    return kTools;
}

bool is_tool(std::string_view name) {
    return name == kOwnTool || std::ranges::find(kTools, name) != std::end(kTools);
}

std::span<const std::string_view> listing_names() {
    return kListings;
}

bool reads_input(std::string_view tool) {
    return tool == "ipchains-restore" || tool == "iptables-restore";
}

// One call.
class Tools {
  public:
    Tools(Kernel& kernel, const ToolCall& call, const Machine& machine)
        : kernel_(kernel), call_(call), machine_(machine) {}

    Answer run() {
        const auto family = family_of(call_.tool);
        if (!family) {
            return run_another();
        }
        const auto in_force = kernel_.in_force();
        if (in_force && *in_force != *family && !asks_for_help(call_.words)) {
            return wrong_kernel(call_.tool, *family, *in_force);
        }
        const FamilyView view(machine_, *family);
        switch (*family) {
            case Family::kIpfwadm:
                return run_firewall(view);
            case Family::kIpchains:
                return run_chains(view);
            case Family::kIptables:
                break;
        }
        return run_tables(view);
    }

  private:
    Answer run_firewall(const Appliance& view) {
        kernel_.firewall_.timeouts = kernel_.tracking_.timeouts;
        Answer answer =
            run_ipfwadm(call_.words, kernel_.firewall_, view, machine_.names, call_.tool);
        kernel_.tracking_.timeouts = kernel_.firewall_.timeouts;
        return answer;
    }

    Answer run_chains(const Appliance& view) {
        if (call_.tool == "ipchains-save") {
            return save_chains(call_.words, kernel_.chains_);
        }
        if (call_.tool == "ipchains-restore") {
            return restore_chains(call_.words, call_.input, kernel_.chains_, view, machine_.names);
        }
        kernel_.chains_.timeouts = kernel_.tracking_.timeouts;
        Answer answer =
            call_.tool == "ipfwadm-wrapper"
                ? run_ipfwadm_wrapper(call_.words, kernel_.chains_, view, machine_.names)
                : run_ipchains(call_.words, kernel_.chains_, view, machine_.names, call_.tool);
        kernel_.tracking_.timeouts = kernel_.chains_.timeouts;
        return answer;
    }

    Answer run_tables(const Appliance& view) {
        const TableContext context{machine_.links, machine_.pool_of};
        const TableMachine tables{view, context, machine_.names};
        if (call_.tool == "iptables-save") {
            return save_tables(call_.words, kernel_.tables_, view);
        }
        if (call_.tool == "iptables-restore") {
            return restore_tables(call_.words, call_.input, kernel_.tables_, tables);
        }
        return run_iptables(call_.words, kernel_.tables_, tables, call_.tool);
    }

    Answer run_another() {
        if (call_.tool == "ipautofw") {
            return run_ipautofw(call_.words, kernel_.forwards_, machine_.names);
        }
        if (call_.tool == "ipportfw") {
            return run_ipportfw(call_.words, kernel_.forwards_);
        }
        if (call_.tool == "ipmasqadm") {
            return run_ipmasqadm(call_.words, kernel_.forwards_, machine_.names);
        }
        if (call_.tool == "redir") {
            return run_redir(call_.words, kernel_.forwards_, machine_.names);
        }
        if (call_.tool == kOwnTool) {
            return kernel_.run_own(call_.words, machine_);
        }
        if (is_tool(call_.tool)) {
            return run_module_tool(call_.tool, call_.words, kernel_.modules_);
        }
        return refusal(call_.tool, "there is no such tool", 127);
    }

    Kernel& kernel_;
    const ToolCall& call_;
    const Machine& machine_;
};

// What fails halfway has changed nothing.
Answer Kernel::run(const ToolCall& call, const Machine& machine) {
    Kernel next = *this;
    Answer answer = Tools(next, call, machine).run();
    if (answer.status == 0) {
        *this = std::move(next);
    }
    return answer;
}

Answer Kernel::run_own(const Words& words, const Machine& machine) {
    const std::string command = words.empty() ? "" : words.front();
    if (command == "clear" && words.size() == 1) {
        return clear();
    }
    if (command == "listing" && words.size() == 2) {
        return list(words[1], machine);
    }
    if (command == "set" && words.size() == 3) {
        return settings_.write(words[1], words[2], tracking_);
    }
    if (command != "settings" || words.size() != 1) {
        return refusal(
            std::string(kOwnTool), "wanted: clear, settings, set PATH VALUE or listing NAME", 2
        );
    }
    Answer answer;
    for (const auto& [path, value] : settings_.all(machine.links, tracking_)) {
        answer.out += fmt::format("{}\t{}\n", path, value);
    }
    return answer;
}

// As the kernel would have it that is in force.
Answer Kernel::list(std::string_view name, const Machine& machine) const {
    const auto counts = [&machine] {
        return machine.counts ? machine.counts(Family::kIpchains) : Counts{};
    };
    Answer answer;
    if (name == "ip_fwchains") {
        answer.out = ip_fwchains(chains_, counts());
    } else if (name == "ip_fwnames") {
        answer.out = ip_fwnames(chains_, counts());
    } else if (name == "ip_tables_names") {
        answer.out = in_force() == Family::kIptables ? "raw\nmangle\nnat\nfilter\n" : "";
    } else if (name == "ip_masquerade") {
        answer.out = ip_masquerade_header();
        for (const TrackedSession& each : tracked_of(machine)) {
            answer.out += ip_masquerade_line(each.session);
        }
    } else if (name == "ip_conntrack") {
        for (const TrackedSession& each : tracked_of(machine)) {
            answer.out += ip_conntrack_line(each);
        }
    } else {
        return refusal(std::string(kOwnTool), fmt::format("there is no listing {}", name), 2);
    }
    return answer;
}

// The states stay those that they were: ids of rules are never given twice.
Answer Kernel::clear() {
    for (const Point point : {Point::kInput, Point::kOutput, Point::kForward, Point::kAccounting}) {
        firewall_.flush(point);
        (void)firewall_.set_policy(point, FirewallPolicy::kAccept);
    }
    std::vector<std::string> names;
    for (const Chains::Chain& chain : chains_.all()) {
        names.push_back(chain.name);
    }
    for (const std::string& name : names) {
        (void)chains_.flush(name);
        (void)chains_.set_policy(name, "ACCEPT");
    }
    for (const std::string& name : names) {
        (void)chains_.remove_chain(name);
    }
    for (const Table table : kEveryTable) {
        clear_table(tables_, table);
    }
    forwards_ = {};
    return {};
}

std::optional<Family> Kernel::in_force() const {
    if (!is_fresh(firewall_)) {
        return Family::kIpfwadm;
    }
    if (!is_fresh(chains_)) {
        return Family::kIpchains;
    }
    return is_fresh(tables_) ? std::nullopt : std::optional(Family::kIptables);
}

std::span<const rules::Pattern> Kernel::patterns(Family family) const {
    return family == Family::kIptables ? std::span<const rules::Pattern>(tables_.patterns())
                                       : std::span<const rules::Pattern>();
}

const rules::RuleSet& Kernel::rules(Family family) const {
    switch (family) {
        case Family::kIpfwadm:
            return firewall_.rules();
        case Family::kIpchains:
            return chains_.rules();
        case Family::kIptables:
            break;
    }
    return tables_.rules();
}

void Kernel::follow_links(const Machine& machine) {
    const auto counts = [&machine](Family family) {
        return machine.counts ? machine.counts(family) : Counts{};
    };
    firewall_.follow_links(machine.links, counts(Family::kIpfwadm));
    chains_.follow_links(machine.links, counts(Family::kIpchains));
    tables_.follow_links({machine.links, machine.pool_of}, counts(Family::kIptables));
}

}  // namespace sekisho::legacy
