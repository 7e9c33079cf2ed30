#include "dataplane/dataplane_inspector.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <thread>

#include <fmt/format.h>

namespace sekisho::dataplane {
namespace {

using std::chrono::steady_clock;

constexpr uint32_t kSlice = 256;
constexpr auto kPatience = std::chrono::seconds(1);
constexpr auto kPause = std::chrono::microseconds(50);
constexpr size_t kLargestView = std::max(
    {sizeof(nat::SessionView),
     sizeof(nat::MappingView),
     sizeof(nat::SubscriberView),
     sizeof(nat::PoolView)}
);

}  // namespace

struct DataplaneInspector::Asking {
    ControlRequest request;
    bool outstanding = false;
    std::vector<std::byte> memory;  // what request.out names

    template <class View>
    View* views() {
        return reinterpret_cast<View*>(memory.data());
    }
};

DataplaneInspector::DataplaneInspector(const InspectorPlan& plan)
    : plan_(plan), start_(steady_clock::now()) {
    const size_t views = std::max<size_t>(kSlice, plan_.settings->pools.size());
    for (size_t shard = 0; shard < plan_.shards.size(); ++shard) {
        asking_.push_back(std::make_unique<Asking>());
        asking_.back()->memory.resize(views * kLargestView);
    }
}

DataplaneInspector::~DataplaneInspector() = default;

StatusView DataplaneInspector::status() {
    StatusView view;
    view.name = plan_.name;
    view.version = plan_.version;
    view.uptime_seconds = static_cast<uint64_t>(
        std::chrono::duration_cast<std::chrono::seconds>(steady_clock::now() - start_).count()
    );
    view.workers = static_cast<unsigned>(plan_.workers.size());
    view.shards = static_cast<unsigned>(plan_.shards.size());
    view.huge_pages = plan_.huge_pages;
    for (Shard* shard : plan_.shards) {
        view.sessions.used += shard->gauges().sessions.read();
        const nat::TableShares limits = shard->nat().table_limits();
        view.sessions.capacity += limits.sessions;
        view.mappings.used += shard->gauges().mappings.read();
        view.mappings.capacity += limits.mappings;
        view.subscribers.used += shard->gauges().subscribers.read();
        view.subscribers.capacity += limits.subscribers;
        view.arena_bytes += shard->nat().arena_bytes();
        view.address_only = {shard->nat().claims().size(), shard->nat().claims().capacity()};
    }
    if (plan_.buffers) {
        view.buffers = plan_.buffers();
    }
    return view;
}

void DataplaneInspector::wait() const {
    if (plan_.pump) {
        plan_.pump();
    } else {
        std::this_thread::sleep_for(kPause);
    }
}

// A worker is alive if its heartbeat moves while we look; a busy one moves at once.
std::vector<WorkerView> DataplaneInspector::workers() {
    std::vector<WorkerView> views(plan_.workers.size());
    for (size_t i = 0; i < views.size(); ++i) {
        views[i].id = plan_.workers[i]->id();
        views[i].heartbeat = plan_.workers[i]->counters().heartbeat.read();
        views[i].alive = false;
    }
    const auto link_of = [&](auto device) -> const Link* {
        const auto& all = plan_.network->links();
        const auto link = std::find_if(all.begin(), all.end(), [&](const Link& each) {
            return each.device == device;
        });
        return link == all.end() ? nullptr : &*link;
    };
    const auto all_alive = [&] {
        for (size_t i = 0; i < views.size(); ++i) {
            views[i].alive |= plan_.workers[i]->counters().heartbeat.read() != views[i].heartbeat;
        }
        return std::all_of(views.begin(), views.end(), [](const WorkerView& view) {
            return view.alive;
        });
    };
    for (const auto deadline = steady_clock::now() + kPatience;
         !all_alive() && steady_clock::now() < deadline;) {
        wait();
    }
    for (size_t i = 0; i < views.size(); ++i) {
        const Worker& worker = *plan_.workers[i];
        WorkerView& view = views[i];
        view.cpu = i < plan_.cpus.size() ? plan_.cpus[i] : 0;
        view.heartbeat = worker.counters().heartbeat.read();
        view.busy = worker.counters().busy.read();
        view.packets = worker.counters().packets.read();
        view.pauses = worker.counters().pauses.read();
        view.tx_handed = worker.counters().tx_handed.read();
        for (const Shard* shard : worker.shards()) {
            view.shards.push_back(shard->id().value);
        }
        for (const auto& [device, queue] : worker.plan().queues) {
            const Link* link = link_of(device);
            view.queues.push_back(fmt::format("{}/{}", link == nullptr ? "?" : link->name, queue));
        }
    }
    return views;
}

std::vector<LinkView> DataplaneInspector::links() {
    std::vector<LinkView> views;
    for (const Link& link : plan_.network->links()) {
        const Device& device = *plan_.devices[link.device];
        LinkView view;
        view.id = LinkId{static_cast<uint8_t>(views.size())};
        view.stats = device.stats();
        view.up = device.is_up();
        view.mac = link.mac;
        view.driver = device.driver();
        view.steering = device.steering();
        view.queues = device.queues();
        views.push_back(std::move(view));
    }
    return views;
}

std::vector<NeighbourView> DataplaneInspector::neighbours() {
    return plan_.slow_path->neighbours(plan_.now ? plan_.now() : Tick{});
}

CounterTotals DataplaneInspector::totals() const {
    CounterTotals sum;
    for (Shard* shard : plan_.shards) {
        const PacketCounters& counters = shard->counters();
        sum.received += counters.received.read();
        sum.generated += counters.generated.read();
        sum.forwarded += counters.forwarded.read();
        sum.consumed += counters.consumed.read();
        sum.handed_off += counters.handed_off.read();
        sum.untranslated += counters.untranslated.read();
        sum.multicast += counters.multicast.read();
        sum.punted += counters.punted.read();
        sum.held += shard->held();
        sum.syns_waiting += shard->unsolicited_syns().size();
        sum.syns_answered += shard->unsolicited_syns().answered();
        for (size_t result = 0; result < nat::kPcpResults; ++result) {
            sum.pcp[result] += shard->pcp_counters().answered[result].read();
        }
        for (size_t reason = 0; reason < base::kDropReasonCount; ++reason) {
            sum.dropped[reason] += counters.dropped[reason].read();
        }
    }
    sum.held += plan_.slow_path->held();
    sum.pings_answered = plan_.slow_path->counters().echo_answers.read();
    return sum;
}

CounterTotals DataplaneInspector::counters() {
    CounterTotals since = totals();
    since.received -= baseline_.received;
    since.generated -= baseline_.generated;
    since.forwarded -= baseline_.forwarded;
    since.consumed -= baseline_.consumed;
    since.handed_off -= baseline_.handed_off;
    since.untranslated -= baseline_.untranslated;
    since.multicast -= baseline_.multicast;
    since.punted -= baseline_.punted;
    since.syns_answered -= baseline_.syns_answered;
    since.pings_answered -= baseline_.pings_answered;
    for (size_t result = 0; result < nat::kPcpResults; ++result) {
        since.pcp[result] -= baseline_.pcp[result];
    }
    for (size_t reason = 0; reason < base::kDropReasonCount; ++reason) {
        since.dropped[reason] -= baseline_.dropped[reason];
    }
    return since;
}

// What is held now will end after the clearing, so it counts as received after it: the law of counters.h goes on holding.
void DataplaneInspector::clear_counters() {
    baseline_ = totals();
    baseline_.received -= baseline_.held;
    baseline_.held = 0;
}

Error DataplaneInspector::no_answer(unsigned shard) const {
    for (const Worker* worker : plan_.workers) {
        const auto& carried = worker->shards();
        if (std::any_of(carried.begin(), carried.end(), [&](const Shard* each) {
                return each->id().value == shard;
            })) {
            return Error{fmt::format(
                "worker {} (shard {}) did not answer within a second", worker->id().value, shard
            )};
        }
    }
    return Error{fmt::format("shard {} did not answer within a second", shard)};
}

Result<ControlRequest*> DataplaneInspector::wait_for_reply(unsigned shard) {
    Asking& asking = *asking_[shard];
    auto& replies = plan_.fabric->reply(ShardId{static_cast<uint8_t>(shard)});
    const auto deadline = steady_clock::now() + kPatience;
    ControlRequest* answered = nullptr;
    while (!replies.pop(answered)) {
        if (steady_clock::now() >= deadline) {
            return tl::unexpected<Error>(no_answer(shard));
        }
        wait();
    }
    asking.outstanding = false;
    return answered;
}

Result<ControlRequest*> DataplaneInspector::ask(
    unsigned shard, const ControlRequest& request, std::span<const std::byte> in
) {
    Asking& asking = *asking_[shard];
    if (asking.outstanding) {
        if (auto late = wait_for_reply(shard); !late) {
            return late;
        }
    }
    std::ranges::copy(in, asking.memory.begin());
    asking.request = request;
    asking.request.out = asking.memory.data();
    if (!plan_.fabric->request(ShardId{static_cast<uint8_t>(shard)}).push(&asking.request)) {
        return tl::unexpected<Error>(no_answer(shard));
    }
    asking.outstanding = true;
    return wait_for_reply(shard);
}

Result<std::vector<nat::PoolView>> DataplaneInspector::pools() {
    const size_t count = plan_.settings->pools.size();
    std::vector<nat::PoolView> sum(count);
    for (unsigned shard = 0; shard < plan_.shards.size(); ++shard) {
        ControlRequest request;
        request.kind = ControlRequest::kPools;
        request.room = static_cast<uint32_t>(count);
        const auto answer = ask(shard, request);
        if (!answer) {
            return tl::unexpected<Error>(answer.error());
        }
        const auto* views = asking_[shard]->views<nat::PoolView>();
        for (size_t pool = 0; pool < (*answer)->filled; ++pool) {
            sum[pool].free_blocks += views[pool].free_blocks;
            sum[pool].granted_blocks += views[pool].granted_blocks;
            sum[pool].ports_in_use += views[pool].ports_in_use;
            sum[pool].ports_resting += views[pool].ports_resting;
            sum[pool].draining += views[pool].draining;
            sum[pool].refused += views[pool].refused;
            sum[pool].withdrawn += views[pool].withdrawn;
        }
    }
    return sum;
}

// True: there may be more. A slice looks at `limit` entries at most, so `entries` of them bound the call.
template <class View>
Result<bool> DataplaneInspector::list(
    ControlRequest::Kind kind,
    ListCursor& cursor,
    uint32_t entries,
    const std::function<bool(const View&)>& visit
) {
    while (entries > 0 && cursor.shard < plan_.shards.size()) {
        ControlRequest request;
        request.kind = kind;
        request.cursor = cursor.entry;
        request.limit = std::min(entries, kSlice);
        request.room = kSlice;
        const auto answer = ask(cursor.shard, request);
        if (!answer) {
            return tl::unexpected<Error>(answer.error());
        }
        const View* views = asking_[cursor.shard]->views<View>();
        if (!std::all_of(views, views + (*answer)->filled, visit)) {
            return false;
        }
        entries -= request.limit;
        cursor.entry = (*answer)->cursor;
        if (!(*answer)->more) {
            cursor = ListCursor{cursor.shard + 1, 0};
        }
    }
    return cursor.shard < plan_.shards.size();
}

template <class View>
Result<void> DataplaneInspector::visit_all(
    ControlRequest::Kind kind, const std::function<bool(const View&)>& visit
) {
    ListCursor cursor;
    for (;;) {
        const auto more = list<View>(kind, cursor, kSlice, visit);
        if (!more) {
            return tl::unexpected<Error>(more.error());
        }
        if (!*more) {
            return {};
        }
    }
}

namespace {

template <class View>
std::function<bool(const View&)> to_the_end(const std::function<void(const View&)>& visit) {
    return [&visit](const View& view) {
        visit(view);
        return true;
    };
}

}  // namespace

Result<void> DataplaneInspector::sessions(const std::function<bool(const nat::SessionView&)>& visit
) {
    return visit_all(ControlRequest::kSessions, visit);
}

Result<void> DataplaneInspector::mappings(const std::function<bool(const nat::MappingView&)>& visit
) {
    return visit_all(ControlRequest::kMappings, visit);
}

Result<void> DataplaneInspector::subscribers(
    const std::function<bool(const nat::SubscriberView&)>& visit
) {
    return visit_all(ControlRequest::kSubscribers, visit);
}

Result<bool> DataplaneInspector::list_sessions(
    ListCursor& cursor, uint32_t entries, const std::function<void(const nat::SessionView&)>& visit
) {
    return list(ControlRequest::kSessions, cursor, entries, to_the_end(visit));
}

Result<bool> DataplaneInspector::list_mappings(
    ListCursor& cursor, uint32_t entries, const std::function<void(const nat::MappingView&)>& visit
) {
    return list(ControlRequest::kMappings, cursor, entries, to_the_end(visit));
}

Result<bool> DataplaneInspector::list_subscribers(
    ListCursor& cursor,
    uint32_t entries,
    const std::function<void(const nat::SubscriberView&)>& visit
) {
    return list(ControlRequest::kSubscribers, cursor, entries, to_the_end(visit));
}

template <class View>
Result<size_t> DataplaneInspector::clear(ControlRequest::Kind kind, std::span<const View> views) {
    size_t cleared = 0;
    while (!views.empty()) {
        const ShardId shard = views.front().shard;
        const auto of_others =
            std::ranges::find_if(views, [shard](const auto& view) { return view.shard != shard; });
        const auto same = static_cast<size_t>(of_others - views.begin());
        const auto some = views.first(std::min<size_t>(same, ControlRequest::kMostCleared));
        views = views.subspan(some.size());
        if (shard.value >= plan_.shards.size()) {
            continue;
        }
        ControlRequest request;
        request.kind = kind;
        request.room = static_cast<uint32_t>(some.size());
        const auto answer = ask(shard.value, request, std::as_bytes(some));
        if (!answer) {
            return tl::unexpected<Error>(answer.error());
        }
        cleared += (*answer)->filled;
    }
    return cleared;
}

Result<size_t> DataplaneInspector::clear_sessions(std::span<const nat::SessionView> sessions) {
    return clear(ControlRequest::kClearSessions, sessions);
}

Result<size_t> DataplaneInspector::clear_leases(std::span<const nat::MappingView> mappings) {
    return clear(ControlRequest::kClearLeases, mappings);
}

}  // namespace sekisho::dataplane
