#include "sekishod/legacy_tools.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "config/external_links.h"
#include "config/pattern_places.h"
#include "config/pool_with.h"
#include "config/read_file.h"
#include "config/rule_text.h"
#include "control/json_text.h"
#include "legacy/demasquerade.h"
#include "legacy/usage.h"
#include "sekishod/log.h"

namespace sekisho::daemon {
namespace {

using legacy::Family;

size_t place_of(Family family) {
    return static_cast<size_t>(family);
}

legacy::NameTables names_of_machine() {
    constexpr size_t kMostBytes = size_t{1} << 20;
    const auto text_of = [](const char* path) {
        return config::read_regular_file(path, kMostBytes).value_or("");
    };
    legacy::NameTables names;
    names.read_services(text_of("/etc/services"));
    names.read_protocols(text_of("/etc/protocols"));
    names.read_networks(text_of("/etc/networks"));
    names.read_hosts(text_of("/etc/hosts"));
    return names;
}

// Whether nothing has changed from one to the other: a rule that came has another place in memory.
bool are_one(const rules::RuleSet& a, const rules::RuleSet& b) {
    return std::ranges::equal(a.chains(), b.chains(), [&](rules::ChainId x, rules::ChainId y) {
        const rules::Chain& one = *a.chain(x);
        const rules::Chain& other = *b.chain(y);
        return one.name == other.name && one.policy == other.policy && one.rules == other.rules;
    });
}

std::string prefix_of(Family family) {
    return fmt::format("{}:", legacy::name_of(family));
}

// The names of the tools' chains are theirs alone.
Result<void> check_names(const rules::RuleSet& set, Family family) {
    for (const rules::ChainId id : set.chains()) {
        const std::string& name = set.chain(id)->name;
        if (name.starts_with(prefix_of(family))) {
            return failure(fmt::format(
                "chain {}: names that begin with {} are those of the tool's own chains",
                name,
                prefix_of(family)
            ));
        }
    }
    return {};
}

legacy::Tracking tracking_of(const nat::NatSettings& settings) {
    const nat::TimeoutSettings& timeouts = settings.timeouts;
    return {
        settings.limits.sessions, {timeouts.tcp_established, timeouts.tcp_closing, timeouts.udp}};
}

// As the listing of tracked connections of Linux 2.4 has it; of all but TCP there is none.
std::string_view state_name(SessionState state) {
    switch (state) {
        case SessionState::kTcpOpenOutbound:
        case SessionState::kTcpOpenInbound:
            return "SYN_SENT";
        case SessionState::kTcpHalfOpen:
            return "SYN_RECV";
        case SessionState::kTcpEstablished:
        case SessionState::kTcpPickedUp:
            return "ESTABLISHED";
        case SessionState::kTcpFinOutbound:
        case SessionState::kTcpFinInbound:
            return "FIN_WAIT";
        case SessionState::kTcpClosing:
            return "TIME_WAIT";
        case SessionState::kTcpReset:
            return "CLOSE";
        default:
            return "";
    }
}

legacy::TrackedSession tracked_of(const nat::SessionView& view) {
    legacy::TrackedSession tracked;
    legacy::MasqueradedSession& each = tracked.session;
    each.protocol = static_cast<Protocol>(view.session.protocol);
    each.expires_ms = view.lifetime_ms;
    each.source = {view.session.internal_address};
    each.destination = {view.session.remote_address};
    each.source_port = {view.session.internal_port};
    each.mapped_port = {view.session.external_port};
    each.destination_port = {view.session.remote_port};
    tracked.external = {view.session.external_address};
    tracked.state = state_name(static_cast<SessionState>(view.session.state));
    const unsigned both = flow::kSeenInbound | flow::kSeenOutbound;
    tracked.is_answered = (view.session.flags & both) == both;
    tracked.is_assured =
        tracked.is_answered && (tracked.state.empty() || tracked.state == "ESTABLISHED");
    return tracked;
}

// What the tool ends with when the kernel refuses.
int refused(std::string_view tool) {
    return tool == "ipfwadm" || tool == "ipautofw" || tool == "ipportfw" || tool == "ipmasqadm"
               ? 255
               : 1;
}

}  // namespace

LegacyTools::FamilyState::FamilyState(Family family, const rules::ByteSet& external)
    : mirror(prefix_of(family), {[family, external](const rules::Chain& chain) {
                 return legacy::rules_before(family, chain, external);
             }}) {}

LegacyTools::LegacyTools(const Plan& plan)
    : plan_(plan),
      most_sessions_(plan.running.nat.limits.sessions),
      external_(config::external_links(plan.running)),
      names_(names_of_machine()),
      states_{
          FamilyState(Family::kIpfwadm, external_),
          FamilyState(Family::kIpchains, external_),
          FamilyState(Family::kIptables, external_)} {
    kernel_.set_tracking(tracking_of(plan_.running.nat));
}

legacy::Links LegacyTools::links() const {
    legacy::Links links;
    for (size_t i = 0; i < plan_.running.links.size(); ++i) {
        const config::LinkSettings& settings = plan_.running.links[i];
        legacy::Link link{settings.name, LinkId{static_cast<uint8_t>(i)}, {}};
        for (const config::InterfaceAddress& own : settings.addresses) {
            link.addresses.push_back(own.address);
        }
        links.push_back(std::move(link));
    }
    return links;
}

std::vector<legacy::TrackedSession> LegacyTools::tracked() const {
    constexpr size_t kMost = 65536;
    std::vector<legacy::TrackedSession> all;
    (void)plan_.inspector.sessions([&all](const nat::SessionView& view) {
        all.push_back(tracked_of(view));
        return all.size() < kMost;
    });
    return all;
}

legacy::Counts LegacyTools::counts(Family family) const {
    const FamilyState& state = states_[place_of(family)];
    if (!state.is_used) {
        return {};
    }
    const legacy::Counts counted = plan_.rules.counted();
    legacy::Counts own(kernel_.rules(family).id_bound());
    for (uint32_t id = 0; id < own.size(); ++id) {
        const rules::RuleId there = state.mirror.id_of({id});
        if (there != rules::kNoRule) {
            const rules::RuleTotal base =
                id < state.base.size() ? state.base[id] : rules::RuleTotal{};
            own[id] = legacy::count_since(counted, there, base);
        }
    }
    return own;
}

legacy::Machine LegacyTools::machine(const legacy::Names& names) const {
    return {
        names,
        links(),
        [this](Family family) { return counts(family); },
        [this] { return tracked(); },
        [this](const auto& addresses, const auto& ports) {
            return config::pool_with(plan_.running, addresses, ports);
        }};
}

control::LegacyAnswer LegacyTools::call(const control::LegacyCall& call) {
    const legacy::AskedNames names(names_, call.hosts);
    legacy::Kernel next = kernel_;
    legacy::Answer answer = next.run(call.call, machine(names));
    if (answer.status != 0) {
        return {std::move(answer), names.unknown()};
    }
    const std::string what = control::printable_start(
        fmt::format("{} {}", call.call.tool, fmt::join(call.call.words, " ")), control::kMostLogged
    );
    if (const auto taken = take(next, what); !taken) {
        const std::string& tool = call.call.tool;
        return {legacy::refusal(tool, taken.error().message, refused(tool)), {}};
    }
    return {std::move(answer), {}};
}

Result<void> LegacyTools::take(const legacy::Kernel& next, const std::string& what) {
    return take_rules(next, what)
        .and_then([&] { return take_forwards(next, what); })
        .and_then([&] { return take_tracking(next); })
        .map([&] { kernel_ = next; });
}

Result<void> LegacyTools::take_forwards(const legacy::Kernel& next, const std::string& what) {
    const legacy::Forwards& asked = next.forwards();
    const legacy::Forwards& standing = kernel_.forwards();
    if (asked.fixed == standing.fixed && asked.called == standing.called) {
        return {};
    }
    LegacyForwards forwards = forwards_;
    config::Config wanted = plan_.running;
    return forwards.take(next.forwards(), standing, wanted)
        .and_then([&] { return plan_.change_nat(wanted.nat); })
        .map([&] {
            log("forwards changed: {}", what);
            forwards_ = std::move(forwards);
        });
}

Result<void> LegacyTools::take_tracking(const legacy::Kernel& next) {
    const legacy::Tracking& wanted = next.tracking();
    if (wanted == kernel_.tracking()) {
        return {};
    }
    if (wanted.most_sessions > most_sessions_) {
        return failure(fmt::format(
            "found {} sessions: there is room for {}, and for more only after a restart with "
            "limits.sessions",
            wanted.most_sessions,
            most_sessions_
        ));
    }
    nat::NatSettings settings = plan_.running.nat;
    settings.limits.sessions = wanted.most_sessions;
    settings.timeouts.tcp_established = wanted.timeouts.tcp;
    settings.timeouts.tcp_closing = wanted.timeouts.tcp_fin;
    settings.timeouts.udp = wanted.timeouts.udp;
    return plan_.change_nat(settings);
}

Result<void> LegacyTools::take_rules(const legacy::Kernel& next, const std::string& what) {
    if (!has_changed(next) && next.forwards().marks == kernel_.forwards().marks) {
        return {};
    }
    const auto in_force = next.in_force();
    States states = states_;
    if (in_force) {
        states[place_of(*in_force)].is_used = true;
    }
    const bool is_first = in_force && !states_[place_of(*in_force)].is_used;
    const auto make = [&](const config::Config& running) {
        config::RulesSettings made = running.rules;
        return (is_first ? check_names(made.set, *in_force) : Result<void>{})
            .and_then([&] { return follow(next, states, made); })
            .and_then([&] { return put_marks(next, made.set); })
            .map([&] { return std::move(made); });
    };
    note_counts();
    if (const auto changed = plan_.rules.change(what, make); !changed) {
        return tl::unexpected(changed.error());
    }
    find_again(next, states);
    states_ = std::move(states);
    had_marks_ = had_marks_ || !next.forwards().marks.empty();
    return {};
}

// Whether the rules of a family that is or was in force are others now.
bool LegacyTools::has_changed(const legacy::Kernel& next) const {
    return std::ranges::any_of(legacy::kEveryFamily, [&](Family family) {
        return !are_one(kernel_.rules(family), next.rules(family));
    });
}

Result<void> LegacyTools::follow(
    const legacy::Kernel& kernel, States& states, config::RulesSettings& made
) const {
    for (const Family family : legacy::kEveryFamily) {
        FamilyState& state = states[place_of(family)];
        if (!state.is_used) {
            continue;
        }
        const rules::RuleSet& own = kernel.rules(family);
        const std::string prefix = prefix_of(family) + "string-";
        auto followed = config::place_patterns(own, kernel.patterns(family), prefix, made)
                            .and_then([&](std::vector<rules::PatternId> places) {
                                return state.mirror.follow(own, made.set, std::move(places));
                            });
        if (!followed) {
            return followed;
        }
    }
    return {};
}

// Before other rules are put in force.
void LegacyTools::note_counts() {
    for (const Family family : legacy::kEveryFamily) {
        had_[place_of(family)] = counts(family);
    }
    ids_before_ = plan_.running.rules.set.id_bound();
}

// After that: which rules those of the tools are. Where they are others than they were, their counts go on from what they had.
void LegacyTools::find_again(const legacy::Kernel& kernel, States& states) const {
    const legacy::Counts counted = plan_.rules.counted();
    for (const Family family : legacy::kEveryFamily) {
        FamilyState& state = states[place_of(family)];
        if (!state.is_used) {
            continue;
        }
        const rules::RuleSet& own = kernel.rules(family);
        const rules::Mirror& before = states_[place_of(family)].mirror;
        state.mirror.find_again(own, plan_.running.rules.set);
        state.base.resize(own.id_bound());
        for (uint32_t id = 0; id < own.id_bound(); ++id) {
            const rules::RuleId there = state.mirror.id_of({id});
            const bool is_same = there == rules::kNoRule || there == before.id_of({id});
            state.base[id] = is_same ? state.base[id] : base_of(family, {id}, there, counted);
        }
    }
}

// What is to be taken from the count of a rule in force, so that the own one goes on from what it had.
rules::RuleTotal LegacyTools::base_of(
    Family family, rules::RuleId own, rules::RuleId there, const legacy::Counts& counted
) const {
    const legacy::Counts& had = had_[place_of(family)];
    const bool is_old = there.value < ids_before_ && there.value < counted.size();
    const rules::RuleTotal since = is_old ? counted[there.value] : rules::RuleTotal{};
    const rules::RuleTotal shown = own.value < had.size() ? had[own.value] : rules::RuleTotal{};
    return {since.packets - shown.packets, since.bytes - shown.bytes};
}

Result<void> LegacyTools::add_to(config::Config& wanted) {
    note_counts();
    for (const Family family : legacy::kEveryFamily) {
        auto free = states_[place_of(family)].is_used ? check_names(wanted.rules.set, family)
                                                      : Result<void>{};
        if (!free) {
            return free;
        }
    }
    States states = states_;
    return follow(kernel_, states, wanted.rules)
        .and_then([&] {
            return daemon::put_marks(kernel_.forwards(), external_, false, wanted.rules.set);
        })
        .and_then([&] {
            for (const std::string& dead : without_address(kernel_.forwards(), wanted)) {
                log("forward {} stands no more until a pool has that address again", dead);
            }
            return LegacyForwards().take(kernel_.forwards(), kernel_.forwards(), wanted);
        });
}

// Those that stand are left alone where they say the same.
Result<void> LegacyTools::put_marks(const legacy::Kernel& next, rules::RuleSet& set) const {
    return next.forwards().marks == kernel_.forwards().marks
               ? Result<void>{}
               : daemon::put_marks(next.forwards(), external_, had_marks_, set);
}

void LegacyTools::settle() {
    States states = states_;
    find_again(kernel_, states);
    states_ = std::move(states);
    kernel_.set_tracking(tracking_of(plan_.running.nat));
    forwards_.settle(kernel_.forwards(), plan_.running);
    legacy::Kernel next = kernel_;
    next.follow_links(machine(names_));
    if (const auto taken = take_rules(next, "the tools' rules follow the links"); !taken) {
        log("the rules of ipfwadm, ipchains and iptables are as the links were: {}",
            taken.error().message);
        return;
    }
    kernel_ = std::move(next);
}

}  // namespace sekisho::daemon
