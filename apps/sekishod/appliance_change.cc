// The settings that change while the appliance runs.
#include "sekishod/appliance.h"
#include "sekishod/appliance_rules.h"
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

// What follows from the addresses of links and from routes, made before anybody rests.
struct Appliance::Renumbering {
    std::unique_ptr<dataplane::Network> network;  // empty: they stay
    std::vector<Ipv4Addr> lost;                   // addresses that are no link's any more
    std::optional<nat::ExternalDirectory::StaticPlan> statics;  // empty: there are none
    // Of each shard, where trigger forwards come that had no room until now.
    std::vector<std::vector<nat::OriginalDestination>> originals;

    void put_statics(
        nat::ExternalDirectory& directory,
        const nat::NatSettings& settings,
        const std::vector<std::unique_ptr<dataplane::Shard>>& shards,
        Tick now
    ) {
        if (!statics) {
            return;
        }
        directory.follow_statics(settings, std::move(*statics), now);
        for (size_t i = 0; i < originals.size(); ++i) {
            shards[i]->nat().give_originals(std::move(originals[i]));
        }
    }
};

// Made before anybody rests.
Result<void> Appliance::plan_statics(const nat::NatSettings& next, Renumbering& renumbering) const {
    auto planned = directory_->plan_statics(next);
    if (!planned) {
        return tl::unexpected(planned.error());
    }
    const bool lacks_room =
        !next.trigger_forwards.empty() && !shards_.front()->nat().has_originals();
    for (size_t i = 0; lacks_room && i < shards_.size(); ++i) {
        renumbering.originals.emplace_back(shards_[i]->nat().session_capacity());
    }
    if (!planned->is_empty()) {
        renumbering.statics = std::move(*planned);
    }
    return {};
}

Appliance::Renumbering Appliance::renumber(const config::Config& next) const {
    if (next.links == config_.links && next.routes == config_.routes) {
        return {};
    }
    Renumbering result;
    result.network = std::make_unique<dataplane::Network>(next, device_of_link_, macs());
    for (const auto& [link, own] : network_->own_addresses()) {
        if (!result.network->is_own(result.network->view_of(link), own)) {
            result.lost.push_back(own);
        }
    }
    return result;
}

Result<std::chrono::nanoseconds> Appliance::change(
    const config::Config& next, const std::function<void()>& change
) {
    const std::lock_guard guard(change_lock_);
    Renumbering renumbering = renumber(next);
    auto prepared = prepare_rules(next, renumbering.network != nullptr);
    if (!prepared) {
        return tl::unexpected(prepared.error());
    }
    if (auto planned = plan_statics(next.nat, renumbering); !planned) {
        prepared->settle(false);
        return tl::unexpected(planned.error());
    }
    const auto change_with_rules = [&] {
        change();
        prepared->put(shards_);
    };
    auto rested = change_locked(renumbering, change_with_rules);
    prepared->settle(rested.has_value());
    return rested;
}

// The slow path first, which shares its CPU with others and may be long in coming: its rings hold what the workers leave
// there meanwhile. The workers wait only for each other.
Result<std::chrono::nanoseconds> Appliance::change_locked(
    Renumbering& renumbering, const std::function<void()>& change
) {
    constexpr std::chrono::seconds kPatience{2};
    std::optional<std::chrono::nanoseconds> rested;
    const bool is_renumbered = renumbering.network != nullptr;
    const auto change_shards = [&] {
        change();
        if (is_renumbered) {
            std::swap(*network_, *renumbering.network);
            slow_path_->follow(*renumbering.network, clock_.now());
        }
        directory_->follow(config_.nat, renumbering.lost);
        renumbering.put_statics(*directory_, config_.nat, shards_, clock_.now());
        for (const auto& shard : shards_) {
            shard->nat().change_settings(table_shares(), clock_.now(), is_renumbered);
        }
    };
    const auto rest_and_change = [&] { rested = gate_.while_all_rest(change_shards, kPatience); };
    if (!slow_gate_.while_all_rest(rest_and_change, kPatience) || !rested) {
        return failure("a worker or the slow path does not come to rest; nothing was changed");
    }
    if (directory_->waiting() > 0) {
        log("{} addresses of pools have no room yet; they serve when as many others are drained",
            directory_->waiting());
    }
    return *rested;
}

// With change_lock_.
bool Appliance::has_drained() {
    const auto uses = [this](uint32_t block) {
        uint32_t sessions = 0;
        for (const auto& shard : shards_) {
            sessions += shard->nat().sessions_of_static(block);
        }
        return sessions;
    };
    const bool have_rested = directory_->have_rested(config_.nat, uses, clock_.now());
    return directory_->has_drained() || have_rested;
}

// Addresses that were taken from a pool, when their last block is back. Where a worker does not come to rest, the others stand
// still until the patience with it is over, so that is not tried again and again. The lock is held all the while: a plan
// that is made of the settings, and what it is put in the place of, must be those that stand then.
void Appliance::let_drained_go() {
    constexpr std::chrono::minutes kAfterFailure{1};
    const auto now = std::chrono::steady_clock::now();
    const std::lock_guard guard(change_lock_);
    if (now < next_rest_ || !has_drained()) {
        return;
    }
    Renumbering nothing;
    if (!plan_statics(config_.nat, nothing)) {
        return;
    }
    const bool had_former = directory_->have_former();
    const auto rested = change_locked(nothing, [] {});
    if (!rested) {
        next_rest_ = now + kAfterFailure;
        log("addresses that were taken from their pools are not let go: {}",
            rested.error().message);
        return;
    }
    log("{}{}",
        had_former ? "ports of former static mappings, or addresses that were taken from their "
                     "pools, are free"
                   : "addresses that were taken from their pools are drained",
        directory_->are_any_draining() || directory_->have_former() ? ", but not all of them" : "");
}

}  // namespace sekisho::daemon
