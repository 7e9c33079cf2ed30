// ipautofw, ipportfw, ipmasqadm and redir on any lines: what fails changes nothing, what is made makes sense.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "fuzz/legacy_lines.h"
#include "legacy/forward_tools.h"

using namespace sekisho;
using namespace sekisho::legacy;

namespace {

void want(bool holds) {
    if (!holds) {
        std::abort();
    }
}

Answer run(const Words& words, Forwards& forwards, const Names& names) {
    const std::string tool = words.empty() ? "" : words.front();
    const Words rest(words.begin() + (words.empty() ? 0 : 1), words.end());
    if (tool == "ipautofw") {
        return run_ipautofw(rest, forwards, names);
    }
    if (tool == "ipportfw") {
        return run_ipportfw(rest, forwards);
    }
    return tool == "redir" ? run_redir(rest, forwards, names)
                           : run_ipmasqadm(rest, forwards, names);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const NameTables names = fuzz::few_names();
    Forwards forwards;
    for (const Words& words : fuzz::lines_of(data, size)) {
        const Forwards before = forwards;
        const Answer answer = run(words, forwards, names);
        want(answer.status == 0 || forwards == before);
        want(answer.status != 0 || answer.err.empty());
    }
    const ForwardSettings made =
        settings_of(forwards, Ipv4Addr::of(203, 0, 113, 5), kInternalRealm);
    for (const auto& mapping : made.static_mappings) {
        const int inside = mapping.internal_ports.last - mapping.internal_ports.first;
        want(inside >= 0 && inside == mapping.external_ports.last - mapping.external_ports.first);
        want(mapping.internal_ports.first != 0 && mapping.external_ports.first != 0);
    }
    for (const auto& trigger : made.trigger_forwards) {
        want(trigger.ports.first != 0 && trigger.ports.first <= trigger.ports.last);
        want(trigger.trigger_port != 0);
    }
    rules::RuleSet set;
    const auto chain = set.add_built_in("mfw", rules::Hook::kNatDestination, 0, rules::Accept{});
    for (const rules::Rule& rule : rules_of_marks(forwards)) {
        want(set.append(*chain, rule).has_value());
    }
    return 0;
}
