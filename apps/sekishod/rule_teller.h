// RuleTeller: what rules that log have said, from the shards' rings to syslog, on a thread of its own.
//
//   Order     made with the shards, start() before the first packet, finish() when no worker runs any more: then all that is
//             in the rings is sent.
//   Rules     publish() where other rules are put in force.
//   Thread    publish() and view() by anybody, the rest by the main thread.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "config/config.h"
#include "dataplane/log_view.h"
#include "dataplane/rule_log.h"
#include "eventlog/rule_logger.h"
#include "eventlog/syslog_sink.h"

namespace sekisho::daemon {

class RuleTeller {
  public:
    // `shards`: outlive this.
    RuleTeller(
        const config::Config& config,
        std::vector<dataplane::RuleLog*> shards,
        std::function<Tick()> ticks
    );
    ~RuleTeller();
    RuleTeller(const RuleTeller&) = delete;
    RuleTeller& operator=(const RuleTeller&) = delete;

    void start();
    void finish();
    void publish(std::shared_ptr<const eventlog::RuleSites> sites) {
        logger_.publish(std::move(sites));
    }
    dataplane::RuleLogView view() const;

  private:
    void run();

    std::vector<dataplane::RuleLog*> shards_;
    eventlog::SyslogSink sink_;
    eventlog::RuleLogger logger_;
    std::atomic<bool> stop_{false};
    std::thread thread_;
};

}  // namespace sekisho::daemon
