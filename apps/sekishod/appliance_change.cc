// The settings that change while the appliance runs.
#include "sekishod/appliance.h"
#include "sekishod/log.h"

namespace sekisho::daemon {
namespace {

// An even share of the appliance's table, with room for uneven hashing between several shards.
uint32_t share(uint32_t whole, unsigned shards) {
    return shards == 1 ? whole : whole / shards + whole / shards / 4 + 64;
}

}  // namespace

nat::TableShares Appliance::table_shares() const {
    const nat::TableLimits& limits = config_.nat.limits;
    return {
        share(limits.sessions, shards_count_),
        share(limits.mappings, shards_count_),
        share(limits.subscribers, shards_count_)};
}

// The slow path first, which shares its CPU with others and may be long in coming: its rings hold what the workers leave
// there meanwhile. The workers wait only for each other.
Result<std::chrono::nanoseconds> Appliance::change(const std::function<void()>& change) {
    constexpr std::chrono::seconds kPatience{2};
    std::optional<std::chrono::nanoseconds> rested;
    const std::lock_guard guard(change_lock_);
    const auto change_shards = [&] {
        change();
        directory_->follow(config_.nat);
        for (const auto& shard : shards_) {
            shard->nat().change_settings(table_shares(), clock_.now());
        }
    };
    const auto change_all = [&] { rested = gate_.while_all_rest(change_shards, kPatience); };
    if (!slow_gate_.while_all_rest(change_all, kPatience) || !rested) {
        return failure("a worker or the slow path does not come to rest; nothing was changed");
    }
    if (directory_->waiting() > 0) {
        log("{} addresses of pools have no room yet; they serve when as many others are drained",
            directory_->waiting());
    }
    return *rested;
}

// Addresses that were taken from a pool, when their last block is back.
void Appliance::let_drained_go() {
    {
        const std::lock_guard guard(change_lock_);
        if (!directory_->has_drained()) {
            return;
        }
    }
    if (change([] {})) {
        log("addresses that were taken from their pools are drained{}",
            directory_->are_any_draining() ? ", but not all of them" : "");
    }
}

}  // namespace sekisho::daemon
