// What the main thread looks at while the appliance runs.
#include "base/text.h"
#include "sekishod/appliance.h"
#include "sekishod/log.h"

namespace sekisho::daemon {

// What changes by itself and an operator wants to know.
void Appliance::watch() {
    let_drained_go();
    for (size_t device = 0; device < devices_.size(); ++device) {
        const auto& plan = device_plans_[device];
        if (const std::string news = devices_[device].tend(plan, *eal_); !news.empty()) {
            log("device {} {}", plan.device.text, news);
        }
    }
    const auto conflict = slow_path_->last_conflict();
    const uint64_t conflicts = slow_path_->counters().conflicts.read();
    if (conflict && conflicts != conflicts_seen_) {
        log("somebody on link {} claims our address {} (from {}, {} times so far)",
            config_.links[conflict->link.value].name,
            conflict->address,
            conflict->mac,
            conflicts);
        conflicts_seen_ = conflicts;
    }
    tell_limits();
    tell_time();
    settle_rules();
}

nat::TableLimits Appliance::table_limits() {
    const std::lock_guard guard(change_lock_);
    return config_.nat.limits;
}

// The counters themselves: an operator who clears them hides nothing from this.
void Appliance::tell_limits() {
    LimitWatch::Drops dropped{};
    for (const auto& shard : shards_) {
        for (size_t reason = 0; reason < dropped.size(); ++reason) {
            dropped[reason] += shard->counters().dropped[reason].read();
        }
    }
    const auto now = std::chrono::steady_clock::now();
    for (const std::string& line : limit_watch_.look(dropped, table_limits(), shards_count_, now)) {
        log("{}", line);
    }
}

}  // namespace sekisho::daemon
