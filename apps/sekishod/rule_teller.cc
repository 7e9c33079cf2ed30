#include "sekishod/rule_teller.h"

#include <array>
#include <chrono>

#include <unistd.h>

#include "eventlog/logger.h"
#include "sekishod/log.h"

namespace sekisho::daemon {
namespace {

// A ring holds what comes meanwhile.
constexpr std::chrono::milliseconds kPause{10};

std::string host_name() {
    std::array<char, 256> name{};
    return gethostname(name.data(), name.size() - 1) == 0 ? std::string(name.data())
                                                          : std::string();
}

eventlog::RuleLoggerPlan plan_of(
    const config::Config& config,
    const std::vector<dataplane::RuleLog*>& shards,
    const std::function<Tick()>& ticks
) {
    eventlog::RuleLoggerPlan plan;
    plan.shards = shards;
    for (const auto& link : config.links) {
        plan.names.links.push_back(link.name);
    }
    for (const auto& realm : config.realms) {
        plan.names.realms.push_back(realm.name);
    }
    plan.host = host_name();
    plan.process = std::to_string(getpid());
    plan.facility = config.syslog.facility;
    plan.utc_ms = eventlog::LoggerClocks::of_this_machine(ticks).utc_ms;
    plan.ticks = ticks;
    return plan;
}

}  // namespace

RuleTeller::RuleTeller(
    const config::Config& config,
    std::vector<dataplane::RuleLog*> shards,
    std::function<Tick()> ticks
)
    : shards_(std::move(shards)),
      sink_(
          {config.syslog.socket, config.syslog.address, config.syslog.port},
          [](const std::string& text) { log("{}", text); }
      ),
      logger_([&] {
          auto plan = plan_of(config, shards_, ticks);
          plan.send = [this](const std::string& message) { return sink_.send(message); };
          return plan;
      }()) {}

RuleTeller::~RuleTeller() {
    finish();
}

void RuleTeller::start() {
    thread_ = std::thread([this] { run(); });
}

void RuleTeller::run() {
    while (!stop_.load(std::memory_order_relaxed)) {
        if (logger_.turn() == 0) {
            std::this_thread::sleep_for(kPause);
        }
    }
}

void RuleTeller::finish() {
    stop_.store(true);
    if (!thread_.joinable()) {
        return;
    }
    thread_.join();
    while (logger_.turn() != 0) {
    }
}

dataplane::RuleLogView RuleTeller::view() const {
    dataplane::RuleLogView view;
    view.to = sink_.name();
    view.error = sink_.trouble();
    view.sent = logger_.sent();
    view.failed = logger_.failed();
    for (const dataplane::RuleLog* const shard : shards_) {
        view.lost += shard->lost();
        view.suppressed += shard->suppressed();
    }
    view.suppressed += logger_.suppressed();
    return view;
}

}  // namespace sekisho::daemon
