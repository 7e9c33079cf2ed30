// Appliance: everything that runs, put together from a checked configuration.
//
//   Order     EAL, devices, buffers, network, slow path, workers, shards with their tables; only then are the devices
//             started, as making tables may take seconds, in which a far end would send in vain. Ended in the opposite
//             order.
//   Threads   create(), start() and stop() by the main thread. Workers run on their CPUs, the slow
//             path on a thread of its own; both look at one stop flag.
//   Errors    create() fails with one sentence and has then undone what it had done.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/rest_gate.h"
#include "base/result.h"
#include "base/toeplitz.h"
#include "config/config.h"
#include "dataplane/dataplane_inspector.h"
#include "dataplane/fabric.h"
#include "dataplane/network.h"
#include "dataplane/rules_in_force.h"
#include "dataplane/shard.h"
#include "dataplane/slow_path.h"
#include "dataplane/worker.h"
#include "dpdk/eal.h"
#include "dpdk/eth_device.h"
#include "dpdk/mbuf_store.h"
#include "eventlog/logger.h"
#include "nat/external_directory.h"
#include "sekishod/limit_watch.h"
#include "sekishod/opened_device.h"
#include "sekishod/payload_search.h"
#include "sekishod/rule_teller.h"

namespace sekisho::daemon {

class Appliance {
  public:
    static Result<std::unique_ptr<Appliance>> create(const config::Config& config);
    ~Appliance();
    Appliance(const Appliance&) = delete;
    Appliance& operator=(const Appliance&) = delete;

    Result<void> start();
    void stop();
    // A few times a second while it runs: tends the devices, logs what has changed by itself and which
    // limits are reached.
    void watch();
    // The log's file was renamed: writes to a new one. False if there is no log.
    bool reopen_log();
    // Runs `change`, which makes `next` of the configuration that this was created with, while no worker and not the slow path
    // takes a turn, and has network and shards follow. Returns how long they rested at most. By the control thread.
    Result<std::chrono::nanoseconds> change(
        const config::Config& next, const std::function<void()>& change
    );
    dataplane::Inspector& inspector() { return *inspector_; }
    // The rules in force, which the main thread may otherwise be exchanging for the same ones compiled anew. By the control
    // thread, while it runs.
    void with_rules(const std::function<void(dataplane::RulesInForce&)>& use);

  private:
    explicit Appliance(const config::Config& config);

    unsigned queues_wished(const config::LinkSettings& link) const;
    Result<void> start_eal();
    Result<void> make_stores();
    Result<void> probe_devices();
    Result<void> prepare_devices();
    Result<void> make_shards();
    Result<void> make_rules();
    Result<void> start_devices();
    using Judges = dataplane::RulesInForce::Judges;
    struct NewRules;
    Result<NewRules> prepare_rules(const config::Config& next, bool is_renumbered);
    std::shared_ptr<const rules::CompiledRules> unsettled_rules();
    void settle_rules();
    void tell_time();
    void make_workers();
    using Queues = std::vector<std::pair<unsigned, unsigned>>;
    dataplane::WorkerPlan::SendPath take_queues(
        unsigned worker, const dpdk::EthDevicePlan& device, Queues& queues
    ) const;
    dataplane::WorkerPlan worker_plan(unsigned worker);
    void send_through_owner(
        dataplane::WorkerPlan& plan,
        const dpdk::EthDevicePlan& device,
        std::vector<dataplane::WorkerPlan>& plans
    );
    void connect_transmission(std::vector<dataplane::WorkerPlan>& plans);
    nat::TableShares table_shares() const;
    Result<void> make_shard(unsigned number, const HashSecret& secret);
    Result<void> make_logger();
    void make_inspector();
    void report() const;
    void report_log() const;
    void report_queues(const dpdk::EthDevicePlan& device) const;
    void run_worker(unsigned worker);
    void run_slow_path();
    void let_drained_go();
    bool has_drained();
    nat::TableLimits table_limits();
    void tell_limits();
    struct Renumbering;
    Renumbering renumber(const config::Config& next) const;
    Result<void> plan_statics(const nat::NatSettings& next, Renumbering& renumbering) const;
    std::vector<MacAddr> macs() const;
    Result<std::chrono::nanoseconds> change_locked(
        Renumbering& renumbering, const std::function<void()>& change
    );
    void run_logger();
    void finish_log();
    dataplane::Fabric::Sizes ring_sizes() const;
    unsigned buffers_per_worker() const;
    unsigned buffers_of(unsigned worker) const;
    size_t buffer_bytes(bool huge_pages) const;
    unsigned worker_of_queue(unsigned device, unsigned queue) const;

    const config::Config& config_;
    unsigned workers_count_;
    unsigned shards_count_;
    base::TickClock clock_;
    std::unique_ptr<dpdk::Eal> eal_;
    bool huge_pages_ = false;
    std::vector<std::unique_ptr<dpdk::MbufStore>> stores_;  // by worker
    std::vector<unsigned> device_of_link_;
    std::vector<dpdk::EthDevicePlan> device_plans_;  // by device
    std::vector<uint64_t> kept_frames_;  // by device: of its worker's buffers, those that it keeps
    std::vector<OpenedDevice> devices_;
    std::unique_ptr<dataplane::Network> network_;
    Toeplitz toeplitz_;
    ShardTable table_;
    base::RestGate gate_;  // of the workers
    base::RestGate slow_gate_{1};
    std::chrono::steady_clock::time_point next_rest_{};  // of the main thread
    std::chrono::steady_clock::time_point next_settling_{};
    std::mutex
        change_lock_;  // of settings and directory while they follow, which the main thread reads
    std::unique_ptr<nat::ExternalDirectory> directory_;
    std::unique_ptr<dataplane::Fabric> fabric_;
    std::unique_ptr<dataplane::SlowPath> slow_path_;
    std::vector<std::unique_ptr<base::SpscRing<PacketRef>>> send_rings_;
    std::vector<std::unique_ptr<dataplane::Worker>> workers_;
    std::vector<std::unique_ptr<dataplane::Shard>> shards_;
    std::unique_ptr<dataplane::RulesInForce> rules_;
    std::unique_ptr<PayloadSearch> payload_search_;
    std::unique_ptr<RuleTeller> rule_teller_;
    std::unique_ptr<dataplane::DataplaneInspector> inspector_;
    std::unique_ptr<eventlog::Logger> logger_;  // empty: no log
    std::function<void(unsigned)> worker_body_;
    std::thread slow_path_thread_;
    std::thread logger_thread_;
    std::atomic<bool> stop_logger_{false};
    std::atomic<bool> stop_{false};
    bool running_ = false;
    uint64_t conflicts_seen_ = 0;
    LimitWatch limit_watch_;
};

}  // namespace sekisho::daemon
