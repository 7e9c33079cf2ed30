#include "sekishod/reloader.h"

#include <fmt/format.h>

#include "sekishod/log.h"
#include "sekishod/payload_search.h"

namespace sekisho::daemon {
namespace {

std::string lines_of(const std::vector<config::Mistake>& mistakes) {
    std::string text;
    for (const config::Mistake& mistake : mistakes) {
        text += (text.empty() ? "" : "\n") + mistake.text();
    }
    return text;
}

std::string told(const config::Difference& change) {
    const auto shown = [](const std::string& text) { return text.empty() ? "nothing" : text; };
    return fmt::format("{}: {} -> {}", change.setting, shown(change.from), shown(change.to));
}

}  // namespace

control::Reloaded Reloader::reload(control::ReloadKind kind) {
    config::Checked wanted = config::load(file_, machine_);
    refuse_patterns(wanted, file_);
    if (!wanted.config) {
        return failure(lines_of(wanted.mistakes));
    }
    if (beside_) {
        if (auto added = beside_(*wanted.config); !added) {
            return tl::unexpected(added.error());
        }
    }
    const config::Change change = config::compare(running_, *wanted.config, at_start_);
    control::ReloadView view{change.at_once, change.after_restart, {}};
    if (kind == control::ReloadKind::kCompare) {
        return view;
    }
    if (!change.after_restart.empty()) {
        std::string text = "nothing was changed; a restart is wanted for";
        for (const config::Difference& each : change.after_restart) {
            text += "\n  " + told(each);
        }
        return failure(text);
    }
    config::Config next = running_;
    config::adopt(*wanted.config, at_start_, next);
    const auto adopt = [&] {
        config::adopt_settings(*wanted.config, at_start_, running_);
        // What was is given up when nobody waits for it.
        std::swap(running_.rules, next.rules);
        std::swap(running_.source_text, next.source_text);
    };
    const auto rested = appliance_.change(next, adopt);
    if (!rested) {
        return tl::unexpected(rested.error());
    }
    for (const config::Difference& each : change.at_once) {
        log("changed {}", told(each));
    }
    view.rested = *rested;
    return view;
}

}  // namespace sekisho::daemon
