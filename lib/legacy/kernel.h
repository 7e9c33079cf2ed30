// Kernel: what the old tools talk to: all that lived in the kernels of their times, as one value.
//
//   Families  the packet filters of Linux 2.0 (ipfwadm), 2.2 (ipchains, ipfwadm-wrapper) and 2.4 (iptables). As no kernel had two,
//             only one is in force: the one that has rules, chains or policies. To the tools of the others it is another
//             kernel, until all of that is taken back.
//   Rules     of each family a rule set in step (firewall.h, chains.h, tables.h), with ids of its own.
//   Our own   tool, "sekisho-legacy": clear takes back all rules, chains, policies and forwards; settings tells all of settings.h, a line
//             each: path, a tab, value; set PATH VALUE writes one; listing NAME is a file of /proc/net (proc.h).
//   Errors    an answer of the tool that was called; nothing is changed then.
//   Thread    a value; one at a time.
//   Source    issue 5; LEGACY S, C, F, I.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "legacy/answer.h"
#include "legacy/appliance.h"
#include "legacy/chains.h"
#include "legacy/firewall.h"
#include "legacy/forwards.h"
#include "legacy/modules.h"
#include "legacy/names.h"
#include "legacy/proc.h"
#include "legacy/settings.h"
#include "legacy/tables.h"

namespace sekisho::legacy {

enum class Family : uint8_t { kIpfwadm, kIpchains, kIptables };
inline constexpr size_t kFamilies = 3;
inline constexpr Family kEveryFamily[] = {Family::kIpfwadm, Family::kIpchains, Family::kIptables};
// By its tool: "ipfwadm", "ipchains", "iptables".
const char* name_of(Family family);

// Every name by which one of the old tools may be called.
std::span<const std::string_view> tool_names();
// One of them, or ours.
inline constexpr std::string_view kOwnTool = "sekisho-legacy";
bool is_tool(std::string_view name);
// The names of the files of /proc/net.
std::span<const std::string_view> listing_names();
// Whether it reads its standard input.
bool reads_input(std::string_view tool);

struct ToolCall {
    std::string tool;   // its name, without a folder
    Words words;        // of its command line
    std::string input;  // its standard input
};

// On what the tools run. What is not given is not there.
struct Machine {
    const Names& names;
    Links links;
    std::function<Counts(Family)> counts;  // by the ids of the family's own rules
    std::function<std::vector<TrackedSession>()> tracked;
    PoolFinder pool_of;
};

class Kernel {
  public:
    Answer run(const ToolCall& call, const Machine& machine);

    // The family that has something to say; none: all are as after a start.
    std::optional<Family> in_force() const;
    const rules::RuleSet& rules(Family family) const;
    // What they look for in payloads, by rules::PatternId.
    std::span<const rules::Pattern> patterns(Family family) const;
    const Forwards& forwards() const { return forwards_; }
    const Modules& modules() const { return modules_; }
    const Tracking& tracking() const { return tracking_; }
    void set_tracking(const Tracking& tracking) { tracking_ = tracking; }
    // Rules that name links get those that are there now.
    void follow_links(const Machine& machine);

    const Firewall& firewall() const { return firewall_; }
    const Chains& chains() const { return chains_; }
    const Tables& tables() const { return tables_; }

  private:
    friend class Tools;
    Answer run_own(const Words& words, const Machine& machine);
    Answer clear();
    Answer list(std::string_view name, const Machine& machine) const;

    Firewall firewall_;
    Chains chains_;
    Tables tables_;
    Forwards forwards_;
    Modules modules_;
    Settings settings_;
    Tracking tracking_;
};

}  // namespace sekisho::legacy
