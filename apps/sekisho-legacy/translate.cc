#include "sekisho-legacy/translate.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "config/external_links.h"
#include "config/pattern_places.h"
#include "config/recheck.h"
#include "config/rules_to_yaml.h"
#include "legacy/demasquerade.h"
#include "legacy/forwards.h"
#include "rules/mirror.h"
#include "sekisho-legacy/output.h"
#include "sekisho-legacy/run_script.h"

namespace sekisho::old {
namespace {

constexpr const char* kProgram = "sekisho-legacy";

// Of a text in the language of the file: one of its sections, with all that belongs to it; empty: there is none.
std::string section(const std::string& text, const std::string& key) {
    const std::string head = key + ":";
    std::string found;
    bool is_in = false;
    for (size_t at = 0; at < text.size();) {
        const size_t end = std::min(text.find('\n', at), text.size() - 1);
        const std::string line = text.substr(at, end + 1 - at);
        if (line[0] != ' ' && line[0] != '-' && line[0] != '\n') {
            is_in = line.starts_with(head);
        }
        found += is_in ? line : "";
        at = end + 1;
    }
    return found;
}

std::string forwards_of(const legacy::Kernel& kernel, const config::Config& config) {
    legacy::ForwardSettings made = legacy::settings_of(
        kernel.forwards(), config::usual_external_address(config), kInternalRealm
    );
    config::Config with = config;
    with.nat.static_mappings = std::move(made.static_mappings);
    with.nat.destination_nat = std::move(made.destination_nat);
    with.nat.trigger_forwards = std::move(made.trigger_forwards);
    const std::string text = config::to_yaml_without_rules(with);
    std::string found;
    const std::pair<const char*, bool> sections[] = {
        {"static-mappings", with.nat.static_mappings.empty()},
        {"destination-nat", with.nat.destination_nat.empty()},
        {"trigger-forwards", with.nat.trigger_forwards.empty()}};
    for (const auto& [key, is_empty] : sections) {
        found += is_empty ? "" : section(text, key);
    }
    return found;
}

Result<void> add_marks(
    const legacy::Kernel& kernel, const config::Config& config, rules::RuleSet& set
) {
    if (kernel.forwards().marks.empty()) {
        return {};
    }
    const auto chain =
        set.add_built_in("ipmasqadm-mfw", rules::Hook::kNatDestination, 0, rules::Accept{});
    if (!chain) {
        return tl::unexpected(chain.error());
    }
    const rules::ByteSet external = config::external_links(config);
    for (rules::Rule& rule : legacy::rules_of_marks(kernel.forwards(), external)) {
        if (const auto added = set.append(*chain, std::move(rule)); !added) {
            return tl::unexpected(added.error());
        }
    }
    return {};
}

std::string tracking_of(const legacy::Kernel& kernel, const config::Config& config) {
    const legacy::Tracking& made = kernel.tracking();
    const nat::TimeoutSettings& before = config.nat.timeouts;
    std::string text;
    if (made.most_sessions != config.nat.limits.sessions) {
        text += fmt::format("limits: {{sessions: {}}}\n", made.most_sessions);
    }
    const legacy::MasqueradeTimeouts old{before.tcp_established, before.tcp_closing, before.udp};
    if (made.timeouts != old) {
        text += fmt::format(
            "timeouts: {{tcp-established: {}, tcp-closing: {}, udp: {}}}\n",
            made.timeouts.tcp.value,
            made.timeouts.tcp_fin.value,
            made.timeouts.udp.value
        );
    }
    return text;
}

std::string as_comment(std::string_view text) {
    std::string comment;
    while (!text.empty()) {
        const std::string_view line = text.substr(0, text.find('\n'));
        comment += fmt::format("# {}\n", line);
        text.remove_prefix(std::min(text.size(), line.size() + 1));
    }
    return comment;
}

// Chains of the user that say nothing: without rules, or, of one that ipchains has at three points, where no rule leads to it.
bool says_nothing(const rules::RuleSet& set, const rules::Chain& chain, rules::ChainId id) {
    if (chain.hook || set.references_to(id) > 0) {
        return false;
    }
    const std::string name = chain.name.substr(0, chain.name.rfind('.') + 1);
    const bool is_of_three = name.starts_with(legacy::name_of(legacy::Family::kIpchains));
    const auto leads_elsewhere = [&](rules::ChainId other) {
        return set.chain(other)->name.starts_with(name) && set.references_to(other) > 0;
    };
    return chain.rules.empty() ||
           (is_of_three && std::ranges::any_of(set.chains(), leads_elsewhere));
}

std::optional<rules::ChainId> find_what_says_nothing(const rules::RuleSet& set) {
    const std::vector<rules::ChainId> all = set.chains();
    const auto found = std::ranges::find_if(all, [&set](rules::ChainId id) {
        return says_nothing(set, *set.chain(id), id);
    });
    return found == all.end() ? std::nullopt : std::optional(*found);
}

// One after the other: what led from one to the next leads there no more.
void drop_what_says_nothing(rules::RuleSet& set) {
    while (const auto id = find_what_says_nothing(set)) {
        if (!set.flush(*id) || !set.remove_chain(*id)) {
            return;
        }
    }
}

}  // namespace

Result<std::string> sections_of(const legacy::Kernel& kernel, const config::Config& config) {
    config::Config made = config;
    made.rules.set = {};
    made.rules.sets.clear();
    made.rules.patterns.clear();
    for (const legacy::Family family : legacy::kEveryFamily) {
        if (kernel.in_force() != family) {
            continue;
        }
        rules::MirrorChanges changes;
        changes.before = [&, family](const rules::Chain& chain) {
            return legacy::rules_before(family, chain, config::external_links(config));
        };
        changes.without = 0xff;
        const std::string prefix = fmt::format("{}-", legacy::name_of(family));
        const rules::RuleSet& own = kernel.rules(family);
        auto places =
            config::place_patterns(own, kernel.patterns(family), prefix + "string-", made.rules);
        if (!places) {
            return tl::unexpected(places.error());
        }
        rules::Mirror mirror(prefix, std::move(changes));
        if (auto followed = mirror.follow(own, made.rules.set, *std::move(places)); !followed) {
            return tl::unexpected(followed.error());
        }
    }
    drop_what_says_nothing(made.rules.set);
    if (auto added = add_marks(kernel, config, made.rules.set); !added) {
        return tl::unexpected(added.error());
    }
    return config::patterns_to_yaml(made.rules.patterns) + config::rules_to_yaml(made) +
           forwards_of(kernel, config) + tracking_of(kernel, config);
}

std::string comments_of(const std::vector<DryCall>& calls) {
    std::string text;
    for (const DryCall& each : calls) {
        if (each.answer.err.empty() ||
            (each.answer.status == 0 && each.call.tool.ends_with("-save"))) {
            continue;
        }
        const std::string line =
            fmt::format("{} {}", each.call.tool, fmt::join(each.call.words, " "));
        text += as_comment(fmt::format(
            "{}{}{}\n{}",
            each.place,
            each.place.empty() ? "" : ": ",
            each.call.tool == legacy::kOwnTool ? "written before this line" : line,
            each.answer.err
        ));
    }
    return text;
}

int translate(std::vector<std::string> words) {
    std::string file = "/etc/sekisho/sekisho.yaml";
    if (words.size() >= 2 && words[0] == "--config") {
        file = words[1];
        words.erase(words.begin(), words.begin() + 2);
    }
    if (words.empty()) {
        complain(kProgram, "wanted: translate [--config FILE] SCRIPT [ARGUMENT...]");
        return kUnusable;
    }
    const config::Checked checked = config::load(file, config::MachineFacts::of_any_machine());
    if (!checked.config) {
        for (const config::Mistake& mistake : checked.mistakes) {
            complain(kProgram, mistake.text());
        }
        return kUnusable;
    }
    DryKernel dry(*checked.config);
    const int status = run_dry(words, dry);
    const auto sections = sections_of(dry.kernel(), *checked.config);
    if (!sections) {
        complain(kProgram, sections.error().message);
        return 1;
    }
    const auto failed = [](const DryCall& each) { return each.answer.status != 0; };
    const bool is_whole = status == 0 && std::ranges::none_of(dry.calls(), failed);
    return print(comments_of(dry.calls()) + *sections) && is_whole ? 0 : 1;
}

}  // namespace sekisho::old
