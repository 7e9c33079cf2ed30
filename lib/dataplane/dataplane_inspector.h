// DataplaneInspector: the Inspector over running shards, workers, devices and the slow path.
//
//   Thread    one control thread. Counters are read where they lie; listings go by the request and reply rings, one slice
//             of at most 256 entries a poll of the shard.
//   Errors    a shard that does not answer within a second: an Error that names it and its worker. Its request stays where
//             it is (ControlRequest's law); until it is answered, asking that shard again fails too.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "dataplane/inspector.h"
#include "dataplane/shard.h"
#include "dataplane/slow_path.h"
#include "dataplane/worker.h"

namespace sekisho::dataplane {

struct InspectorPlan {
    std::string name;
    std::string version;
    bool huge_pages = false;
    const Network* network = nullptr;
    const nat::NatSettings* settings = nullptr;
    Fabric* fabric = nullptr;
    SlowPath* slow_path = nullptr;
    std::vector<Device*> devices;        // by device index
    std::vector<Worker*> workers;        // by WorkerId
    std::vector<unsigned> cpus;          // by WorkerId
    std::vector<Shard*> shards;          // by ShardId
    std::function<Occupancy()> buffers;  // packet buffers in use; may be empty
    std::function<LogView()> log;        // empty: no log is kept
    std::function<Tick()> now;           // the workers' clock, for the age of neighbours
    std::function<void()>
        pump;  // runs the workers while waiting, where they have no threads; may be empty
};

class DataplaneInspector final : public Inspector {
  public:
    explicit DataplaneInspector(const InspectorPlan& plan);
    ~DataplaneInspector() override;

    StatusView status() override;
    std::vector<WorkerView> workers() override;
    std::vector<LinkView> links() override;
    std::vector<NeighbourView> neighbours() override;
    const Network& network() const override { return *plan_.network; }
    Result<std::vector<nat::PoolView>> pools() override;
    CounterTotals counters() override;
    void clear_counters() override;
    LogView log() override { return plan_.log ? plan_.log() : LogView{}; }
    Result<void> sessions(const std::function<bool(const nat::SessionView&)>& visit) override;
    Result<void> mappings(const std::function<bool(const nat::MappingView&)>& visit) override;
    Result<void> subscribers(const std::function<bool(const nat::SubscriberView&)>& visit) override;
    Result<bool> list_sessions(
        ListCursor& cursor,
        uint32_t entries,
        const std::function<void(const nat::SessionView&)>& visit
    ) override;
    Result<bool> list_mappings(
        ListCursor& cursor,
        uint32_t entries,
        const std::function<void(const nat::MappingView&)>& visit
    ) override;
    Result<bool> list_subscribers(
        ListCursor& cursor,
        uint32_t entries,
        const std::function<void(const nat::SubscriberView&)>& visit
    ) override;
    Result<size_t> clear_sessions(std::span<const nat::SessionView> sessions) override;
    Result<size_t> clear_leases(std::span<const nat::MappingView> mappings) override;

  private:
    struct Asking;  // a shard's request and the memory that it fills

    CounterTotals totals() const;
    // `in`: what request.out is to hold when it is asked.
    Result<ControlRequest*> ask(
        unsigned shard, const ControlRequest& request, std::span<const std::byte> in = {}
    );
    Result<ControlRequest*> wait_for_reply(unsigned shard);
    Error no_answer(unsigned shard) const;
    void wait() const;
    template <class View>
    Result<bool> list(
        ControlRequest::Kind kind,
        ListCursor& cursor,
        uint32_t entries,
        const std::function<bool(const View&)>& visit
    );
    template <class View>
    Result<size_t> clear(ControlRequest::Kind kind, std::span<const View> views);
    template <class View>
    Result<void> visit_all(
        ControlRequest::Kind kind, const std::function<bool(const View&)>& visit
    );

    InspectorPlan plan_;
    std::vector<std::unique_ptr<Asking>> asking_;  // by shard
    CounterTotals baseline_;
    std::chrono::steady_clock::time_point start_;
};

}  // namespace sekisho::dataplane
