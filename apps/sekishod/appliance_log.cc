// The log of bindings: its thread, from the first event to the last.
#include <chrono>
#include <thread>

#include "sekishod/appliance.h"
#include "sekishod/log.h"

namespace sekisho::daemon {

namespace {

constexpr std::chrono::milliseconds kLoggerPause{2};
// How long an ending process waits for a log that takes nothing.
constexpr uint32_t kLogPatienceMs = 2000;

}  // namespace

Result<void> Appliance::make_logger() {
    if (config_.log.file.empty()) {
        return {};
    }
    eventlog::LoggerPlan plan;
    plan.file = config_.log.file;
    plan.name = config_.system.name;
    plan.version = SEKISHO_VERSION;
    for (const auto& realm : config_.realms) {
        plan.realms.push_back(realm.name);
    }
    for (const auto& pool : config_.nat.pools) {
        plan.pools.push_back(pool.name);
    }
    for (const auto& shard : shards_) {
        plan.shards.push_back(&shard->nat());
    }
    plan.clocks = eventlog::LoggerClocks::of_this_machine([this] { return clock_.now(); });
    plan.say = [](const std::string& text) { log("{}", text); };
    auto made = eventlog::Logger::create(plan);
    if (!made) {
        return tl::unexpected(made.error());
    }
    logger_ = std::move(*made);
    return {};
}

void Appliance::report_log() const {
    if (!logger_) {
        log("no log of bindings is kept (log: file)");
        return;
    }
    const nat::EventSettings& events = config_.nat.events;
    log("log {}: rings of {} events ({} MiB in all), on-log-loss {}",
        config_.log.file,
        events.ring,
        shards_count_ * nat::event_ring_bytes(events.ring) >> 20,
        events.on_loss == nat::OnLogLoss::kRefuse ? "refuse" : "count");
}

// The ends that still wait for room in a ring are put there; the workers have stopped.
void Appliance::finish_log() {
    if (!logger_) {
        return;
    }
    stop_logger_.store(true);
    if (logger_thread_.joinable()) {
        logger_thread_.join();
    }
    const uint64_t left = logger_->finish(kLogPatienceMs, [this] {
        for (const auto& shard : shards_) {
            shard->nat().flush_log(clock_.now());
        }
    });
    if (left > 0) {
        log("{} events are lost: {} could not be written", left, config_.log.file);
    }
}

bool Appliance::reopen_log() {
    if (!logger_) {
        return false;
    }
    logger_->reopen();
    return true;
}

void Appliance::run_logger() {
    while (!stop_logger_.load(std::memory_order_relaxed)) {
        if (logger_->turn() == 0) {
            std::this_thread::sleep_for(kLoggerPause);
        }
    }
}

}  // namespace sekisho::daemon
