#include "sekishod/rules_changer.h"

#include <algorithm>

#include "config/rule_text.h"

namespace sekisho::daemon {

Result<std::chrono::nanoseconds> RulesChanger::change(const control::MakeRules& make) {
    auto made = make(running_);
    if (!made) {
        return tl::unexpected(made.error());
    }
    if (const auto unfit = config::find_unfit(running_, made->set)) {
        return failure(*unfit);
    }
    // Where they say the same, the ids in force stay those of the configuration.
    if (*made == running_.rules) {
        return std::chrono::nanoseconds{0};
    }
    config::Config next = running_;
    next.rules = std::move(*made);
    constexpr std::chrono::nanoseconds kLeast{1};
    return put_(next, [&] { std::swap(running_.rules, next.rules); }).map([&](auto rested) {
        return std::max(rested, kLeast);
    });
}

}  // namespace sekisho::daemon
