#include "sekishod/appliance.h"

#include <algorithm>
#include <numeric>

#include <unistd.h>

#include "base/secret.h"
#include "base/text.h"
#include "config/device.h"
#include "dataplane/shut_down.h"
#include "dpdk/huge_page_mount.h"
#include "dpdk/launch.h"
#include "sekishod/idle.h"
#include "sekishod/log.h"

namespace sekisho::daemon {

namespace {

constexpr size_t kSendRing = 1024;
// What a worker holds beside its queues: lists of packets that wait, and the pool's caches.
constexpr unsigned kHeldPackets = 512;
constexpr unsigned kHeldForNeighbours = 1024;
constexpr unsigned kPoolCaches = 1024;
// Beyond this a full set of rings would hold up reception (counted by the device) instead of taking more memory.
constexpr size_t kMostBuffers = 98304;

template <class T>
Result<void> keep(Result<T>&& made, T& place) {
    if (!made) {
        return tl::unexpected(made.error());
    }
    place = std::move(*made);
    return {};
}

// The CPUs for everything but the workers; all of them where the workers leave none.
std::vector<unsigned> other_cpus(const config::Config& config) {
    const std::vector<unsigned> all = config::MachineFacts::of_this_machine().cpus;
    std::vector<unsigned> others;
    for (const unsigned cpu : all) {
        if (std::ranges::find(config.system.worker_cpus, cpu) == config.system.worker_cpus.end()) {
            others.push_back(cpu);
        }
    }
    return others.empty() ? all : others;
}

}  // namespace

Appliance::Appliance(const config::Config& config)
    : config_(config),
      workers_count_(static_cast<unsigned>(config.system.worker_cpus.size())),
      shards_count_(std::max(config.system.shards, workers_count_)),
      table_(ShardTable::even(shards_count_)),
      gate_(workers_count_) {}

Result<std::unique_ptr<Appliance>> Appliance::create(const config::Config& config) {
    std::unique_ptr<Appliance> appliance(new Appliance(config));
    using Step = Result<void> (Appliance::*)();
    for (const Step step :
         {&Appliance::probe_devices,
          &Appliance::make_stores,
          &Appliance::prepare_devices,
          &Appliance::make_shards,
          &Appliance::make_rules,
          &Appliance::make_logger,
          &Appliance::start_devices}) {
        if (auto done = (appliance.get()->*step)(); !done) {
            return tl::unexpected(done.error());
        }
    }
    appliance->make_inspector();
    appliance->report();
    return appliance;
}

// Rings between shards get shorter when there are many of them, as their number grows with the square.
dataplane::Fabric::Sizes Appliance::ring_sizes() const {
    const unsigned crowd = std::max(1U, shards_count_ / 8);
    dataplane::Fabric::Sizes sizes;
    sizes.hand_off = std::max<size_t>(sizes.hand_off / crowd, 128);
    sizes.punt = std::max<size_t>(sizes.punt / crowd, 64);
    sizes.back = std::max<size_t>(sizes.back / crowd, 256);
    return sizes;
}

// What may hold a worker's buffers at once: its queues, and the rings and lists of the shards that its packets can reach. With
// a queue for each worker those are its own shards'; where one queue feeds several workers, everybody's.
unsigned Appliance::buffers_per_worker() const {
    const auto devices = static_cast<unsigned>(device_plans_.size());
    const dataplane::Fabric::Sizes rings = ring_sizes();
    const bool shared = std::ranges::any_of(device_plans_, [&](const auto& plan) {
        return plan.queues < workers_count_;
    });
    const size_t own = (shards_count_ + workers_count_ - 1) / workers_count_;
    const size_t shards = shared ? shards_count_ : own;
    const size_t fragments = dataplane::FragmentTable::most_held(
        dataplane::FragmentTable::Sizes::of(config_.nat, shards_count_)
    );
    const size_t per_shard = (shards_count_ - 1) * rings.hand_off +
                             dataplane::kPuntClasses * rings.punt + rings.back + kHeldPackets +
                             fragments + dataplane::ScannedFlows::Sizes{}.held +
                             dataplane::Assembler::kMostHeld;
    const size_t wanted = devices * (dpdk::kRxDescriptors + dpdk::kTxDescriptors + kSendRing) +
                          shards * per_shard + kHeldForNeighbours + kPoolCaches;
    return static_cast<unsigned>(std::min<size_t>(wanted, kMostBuffers));
}

// Those that only stay in a queue's own list are worker by worker.
unsigned Appliance::buffers_of(unsigned worker) const {
    uint64_t looped = 0;
    for (const auto& device : device_plans_) {
        looped += worker_of_queue(device.index, 0) == worker ? kept_frames_[device.index] : 0;
    }
    return static_cast<unsigned>(buffers_per_worker() + looped);
}

size_t Appliance::buffer_bytes(bool huge_pages) const {
    size_t bytes = 0;
    for (unsigned worker = 0; worker < workers_count_; ++worker) {
        bytes += dpdk::MbufStore::bytes_for(buffers_of(worker), huge_pages);
    }
    return bytes;
}

Result<void> Appliance::start_eal() {
    // Queues, pools' rings and DPDK's own tables beside the buffers: pointers to each buffer in a pool's ring and in that of a
    // loop, both rounded up to a power of two.
    const auto memory_for = [&](bool huge_pages) {
        const uint64_t looped = std::accumulate(kept_frames_.begin(), kept_frames_.end(), 0UL);
        return static_cast<unsigned>(
            ((buffer_bytes(huge_pages) + looped * 4 * sizeof(void*)) >> 20) + 96
        );
    };
    const bool free = dpdk::huge_pages_free(memory_for(true));
    if (config_.system.huge_pages == config::HugePages::kRequired && !free) {
        return failure(fmt::format(
            "{} MiB of huge pages are wanted and not free; `echo {} > /proc/sys/vm/nr_hugepages`, "
            "or set system.huge-pages: auto",
            memory_for(true),
            memory_for(true) / 2 + 1
        ));
    }
    huge_pages_ = free && config_.system.huge_pages != config::HugePages::kNever;
    if (!huge_pages_) {
        auto fits = dpdk::check_memory(memory_for(false), dpdk::memory_available_mb());
        if (!fits) {
            return fits;
        }
    }
    dpdk::EalPlan plan;
    plan.worker_cpus = config_.system.worker_cpus;
    plan.other_cpus = other_cpus(config_);
    plan.memory_mb = memory_for(huge_pages_);
    plan.huge_pages = huge_pages_;
    plan.prefix = fmt::format("sekisho-{}", getpid());
    for (const auto& device : device_plans_) {
        if (device.device.kind == config::DeviceKind::kPci) {
            plan.pci.push_back(device.device.arguments[0]);
        }
        plan.shares_memory |= device.device.kind == config::DeviceKind::kVirtioUser;
    }
    return keep(dpdk::Eal::start(plan), eal_);
}

// A far end must have as many queues, so their number does not follow from ours of workers.
unsigned Appliance::queues_wished(const config::LinkSettings& link) const {
    if (dpdk::has_far_end(link.device.kind)) {
        return std::max(1U, link.queues);
    }
    return link.queues == 0 ? workers_count_ : std::min(link.queues, workers_count_);
}

Result<void> Appliance::probe_devices() {
    for (size_t i = 0; i < config_.links.size(); ++i) {
        const auto& link = config_.links[i];
        const auto same = std::ranges::find_if(device_plans_, [&](const auto& plan) {
            return config::device_identity(plan.device) == config::device_identity(link.device);
        });
        device_of_link_.push_back(static_cast<unsigned>(same - device_plans_.begin()));
        if (same != device_plans_.end()) {
            same->mtu = std::max(same->mtu, link.mtu);
            continue;
        }
        if (auto fits = dpdk::check_device(link.device, link.mtu); !fits) {
            return failure(fmt::format("link {}: {}", link.name, fits.error().message));
        }
        dpdk::EthDevicePlan plan;
        plan.device = link.device;
        plan.index = static_cast<unsigned>(device_plans_.size());
        plan.first_link = LinkId{static_cast<uint8_t>(i)};
        plan.side = link.side;
        plan.mtu = link.mtu;
        plan.queues = queues_wished(link);
        kept_frames_.push_back(
            dpdk::looped_frames(link.device) + OpenedDevice::buffers_of(link.device.kind)
        );
        device_plans_.push_back(plan);
    }
    for (const config::MulticastSettings& entry : config_.multicast) {
        device_plans_[device_of_link_[entry.from.value]].takes_groups = true;
    }
    if (auto done = start_eal(); !done) {
        return done;
    }
    for (auto& plan : device_plans_) {
        auto device = OpenedDevice::probe(plan, *eal_);
        if (!device) {
            return failure(fmt::format(
                "link {}: {}", config_.links[plan.first_link.value].name, device.error().message
            ));
        }
        plan.queues = std::min(plan.queues, device->most_queues());
        devices_.push_back(std::move(*device));
    }
    return {};
}

// Queue q of device d belongs to worker (d + q) mod workers, so that single queues are spread.
unsigned Appliance::worker_of_queue(unsigned device, unsigned queue) const {
    return (device + queue) % workers_count_;
}

Result<void> Appliance::make_stores() {
    for (unsigned worker = 0; worker < workers_count_; ++worker) {
        auto store = dpdk::MbufStore::create(
            worker, buffers_of(worker), huge_pages_, dpdk::numa_node_of_worker(worker)
        );
        if (!store) {
            return tl::unexpected(store.error());
        }
        stores_.push_back(std::move(*store));
    }
    return {};
}

Result<void> Appliance::prepare_devices() {
    for (auto& plan : device_plans_) {
        plan.toeplitz_key = &toeplitz_.key();
        plan.table = &table_;
        for (unsigned queue = 0; queue < plan.queues; ++queue) {
            plan.stores.push_back(stores_[worker_of_queue(plan.index, queue)].get());
        }
        for (unsigned shard = 0; shard < shards_count_; ++shard) {
            const unsigned worker = shard % workers_count_;
            plan.queue_of_shard.push_back(
                (worker + workers_count_ - plan.index % workers_count_) % workers_count_ %
                std::max(1U, plan.queues)
            );
        }
        if (auto done = devices_[plan.index].prepare(plan); !done) {
            return failure(fmt::format(
                "link {}: {}", config_.links[plan.first_link.value].name, done.error().message
            ));
        }
    }
    network_ = std::make_unique<dataplane::Network>(config_, device_of_link_, macs());
    return {};
}

std::vector<MacAddr> Appliance::macs() const {
    std::vector<MacAddr> macs;
    for (const auto& device : devices_) {
        macs.push_back(device->mac());
    }
    return macs;
}

Result<void> Appliance::start_devices() {
    for (const auto& plan : device_plans_) {
        if (auto done = devices_[plan.index].start(plan, *eal_); !done) {
            return failure(fmt::format(
                "link {}: {}", config_.links[plan.first_link.value].name, done.error().message
            ));
        }
    }
    return {};
}

Result<void> Appliance::make_shards() {
    const auto secret = base::draw_secret();
    if (!secret) {
        return tl::unexpected(secret.error());
    }
    directory_ = std::make_unique<nat::ExternalDirectory>(
        config_.nat,
        shards_count_,
        [this](Ipv4Addr subscriber) { return table_.of(toeplitz_(subscriber)); },
        *secret
    );
    fabric_ = std::make_unique<dataplane::Fabric>(shards_count_, ring_sizes());
    slow_path_ = std::make_unique<dataplane::SlowPath>(
        *network_, *directory_, *fabric_, dataplane::SlowPathSettings{}
    );
    make_workers();
    for (unsigned i = 0; i < shards_count_; ++i) {
        if (auto made = make_shard(i, *secret); !made) {
            return made;
        }
    }
    for (unsigned worker = 0; worker < workers_count_; ++worker) {
        std::vector<dataplane::Shard*> carried;
        for (unsigned shard = worker; shard < shards_count_; shard += workers_count_) {
            carried.push_back(shards_[shard].get());
        }
        workers_[worker]->carry(std::move(carried));
    }
    return {};
}

Result<void> Appliance::make_shard(unsigned number, const HashSecret& secret) {
    nat::NatShardPlan plan;
    plan.shard = ShardId{static_cast<uint8_t>(number)};
    plan.shards = shards_count_;
    const nat::TableShares shares = table_shares();
    plan.sessions = shares.sessions;
    plan.mappings = shares.mappings;
    plan.subscribers = shares.subscribers;
    plan.secret = secret;
    plan.arena_name = fmt::format("sekisho-{}-{}", getpid(), number);
    plan.facts.toeplitz_key = toeplitz_.key();
    std::ranges::transform(table_.entries, plan.facts.shard_table.begin(), &ShardId::value);
    plan.facts.origin_ns = static_cast<int64_t>(clock_.origin_ns());
    if (huge_pages_) {
        plan.huge_directory = dpdk::huge_page_mount();
    }
    auto nat = nat::NatShard::create(plan, config_.nat, *directory_, clock_.now());
    if (!nat) {
        return tl::unexpected(nat.error());
    }
    const Arena& arena = (*nat)->arena();
    if (huge_pages_ && arena.backing() != Arena::Backing::kHugePages) {
        if (config_.system.huge_pages == config::HugePages::kRequired) {
            return failure(fmt::format("the state of shard {}: {}", number, arena.note()));
        }
        log("the state of shard {}: {}", number, arena.note());
    }
    dataplane::ShardPlan shard;
    shard.id = plan.shard;
    shard.network = network_.get();
    shard.settings = &config_.nat;
    shard.directory = directory_.get();
    shard.toeplitz = &toeplitz_;
    shard.table = &table_;
    shard.fabric = fabric_.get();
    shard.store = stores_[number % workers_count_].get();
    shard.transmitter = workers_[number % workers_count_].get();
    shard.held_packets = kHeldPackets;
    shard.fragments = dataplane::FragmentTable::Sizes::of(config_.nat, shards_count_);
    shards_.push_back(std::make_unique<dataplane::Shard>(shard, std::move(*nat)));
    return {};
}

// Adds the queues of `device` that belong to the worker to `queues`; it sends on the last of them.
dataplane::WorkerPlan::SendPath Appliance::take_queues(
    unsigned worker, const dpdk::EthDevicePlan& device, Queues& queues
) const {
    dataplane::WorkerPlan::SendPath path;
    path.own = false;
    for (unsigned queue = 0; queue < device.queues; ++queue) {
        if (worker_of_queue(device.index, queue) == worker) {
            queues.emplace_back(device.index, queue);
            path.own = true;
            path.queue = queue;
        }
    }
    return path;
}

dataplane::WorkerPlan Appliance::worker_plan(unsigned worker) {
    dataplane::WorkerPlan plan;
    plan.id = WorkerId{static_cast<uint8_t>(worker)};
    plan.store = stores_[worker].get();
    for (const auto& device : device_plans_) {
        plan.devices.push_back(devices_[device.index].get());
        plan.send_paths.push_back(take_queues(worker, device, plan.queues));
    }
    return plan;
}

void Appliance::make_workers() {
    std::vector<dataplane::WorkerPlan> plans;
    for (unsigned worker = 0; worker < workers_count_; ++worker) {
        plans.push_back(worker_plan(worker));
    }
    connect_transmission(plans);
    for (const auto& plan : plans) {
        workers_.push_back(std::make_unique<dataplane::Worker>(plan));
    }
}

// A worker without a queue on a device gives its packets to the owner of one of the device's queues.
void Appliance::connect_transmission(std::vector<dataplane::WorkerPlan>& plans) {
    for (auto& plan : plans) {
        for (const auto& device : device_plans_) {
            send_through_owner(plan, device, plans);
        }
    }
}

void Appliance::send_through_owner(
    dataplane::WorkerPlan& plan,
    const dpdk::EthDevicePlan& device,
    std::vector<dataplane::WorkerPlan>& plans
) {
    auto& path = plan.send_paths[device.index];
    if (path.own) {
        return;
    }
    send_rings_.push_back(std::make_unique<base::SpscRing<PacketRef>>(kSendRing));
    path.ring = send_rings_.back().get();
    const unsigned owner = worker_of_queue(device.index, plan.id.value % device.queues);
    plans[owner].sends_for.push_back({device.index, path.ring});
}

void Appliance::make_inspector() {
    dataplane::InspectorPlan plan;
    plan.name = config_.system.name;
    plan.version = SEKISHO_VERSION;
    plan.huge_pages = huge_pages_;
    plan.network = network_.get();
    plan.settings = &config_.nat;
    plan.fabric = fabric_.get();
    plan.slow_path = slow_path_.get();
    plan.cpus = config_.system.worker_cpus;
    for (const auto& device : devices_) {
        plan.devices.push_back(device.get());
    }
    for (const auto& worker : workers_) {
        plan.workers.push_back(worker.get());
    }
    for (const auto& shard : shards_) {
        plan.shards.push_back(shard.get());
    }
    plan.buffers = [this] {
        dataplane::Occupancy buffers;
        for (const auto& store : stores_) {
            buffers.used += store->in_use();
            buffers.capacity += store->capacity();
        }
        return buffers;
    };
    plan.log = [this] {
        dataplane::LogView view = logger_ ? logger_->view() : dataplane::LogView{};
        view.rules = rule_teller_->view();
        return view;
    };
    plan.now = [this] { return clock_.now(); };
    inspector_ = std::make_unique<dataplane::DataplaneInspector>(plan);
}

void Appliance::report() const {
    log("{} worker{} on CPU {}, {} shard{}, {} packet buffers ({} MiB), {}",
        workers_count_,
        workers_count_ == 1 ? "" : "s",
        fmt::join(config_.system.worker_cpus, ","),
        shards_count_,
        shards_count_ == 1 ? "" : "s",
        std::accumulate(
            stores_.begin(),
            stores_.end(),
            size_t{0},
            [](size_t sum, const auto& store) { return sum + store->capacity(); }
        ),
        buffer_bytes(huge_pages_) >> 20,
        huge_pages_ ? "huge pages" : "without huge pages");
    report_log();
    for (size_t i = 0; i < config_.links.size(); ++i) {
        const auto& device = *devices_[device_of_link_[i]];
        const bool handed = shards_count_ > 1;
        if (!device.is_up()) {
            log("link {}: {} is down; nothing passes until it is up",
                config_.links[i].name,
                config_.links[i].device.text);
        }
        log("link {}: {} ({}), MTU {}, {}; {}",
            config_.links[i].name,
            config_.links[i].device.text,
            device.driver(),
            config_.links[i].mtu,
            device.steering(),
            handed ? "software steering hands packets to their shards"
                   : "one shard, nothing to steer");
    }
    for (const auto& device : device_plans_) {
        report_queues(device);
    }
}

void Appliance::report_queues(const dpdk::EthDevicePlan& device) const {
    if (device.queues < workers_count_) {
        log("device {}: {} queue{} for {} workers; the others send through their owners",
            device.device.text,
            device.queues,
            device.queues == 1 ? "" : "s",
            workers_count_);
    }
    for (unsigned queue = 0; queue < device.queues; ++queue) {
        const unsigned worker = worker_of_queue(device.index, queue);
        const int near = dpdk::numa_node_of_worker(worker);
        if (const int node = devices_[device.index].numa_node(near); node != near) {
            log("device {}: NUMA node {}, its worker {} runs on node {}",
                device.device.text,
                node,
                worker,
                near);
        }
    }
}

void Appliance::run_worker(unsigned worker) {
    IdlePause pause(config_.system.idle, workers_[worker]->counters().pauses, gate_, worker);
    while (!stop_.load(std::memory_order_relaxed)) {
        pause.turn(workers_[worker]->run_once(clock_.now()));
    }
}

void Appliance::run_slow_path() {
    Counter pauses;
    IdlePause pause(config::IdleMode::kAdaptive, pauses, slow_gate_, 0);
    while (!stop_.load(std::memory_order_relaxed)) {
        pause.turn(slow_path_->poll(clock_.now()));
    }
}

Result<void> Appliance::start() {
    running_ = true;  // from here on stop() has something to end, also when only a part has started
    if (logger_) {
        logger_thread_ = std::thread([this] { run_logger(); });
    }
    rule_teller_->start();
    // What the configuration says of neighbours is to be there before the first packet.
    slow_path_->poll(clock_.now());
    worker_body_ = [this](unsigned worker) { run_worker(worker); };
    if (auto launched = dpdk::launch(workers_count_, worker_body_); !launched) {
        return launched;
    }
    slow_path_thread_ = std::thread([this] { run_slow_path(); });
    return {};
}

void Appliance::stop() {
    if (!running_) {
        return;
    }
    running_ = false;
    stop_.store(true);
    dpdk::join();
    if (slow_path_thread_.joinable()) {
        slow_path_thread_.join();
    }
    dataplane::shut_down(workers_, *slow_path_);
    finish_log();
    rule_teller_->finish();
    const auto totals = inspector_->counters();
    uint64_t dropped = 0;
    for (const uint64_t n : totals.dropped) {
        dropped += n;
    }
    log("received {}, generated {}, forwarded {}, consumed {}, dropped {}",
        totals.received,
        totals.generated,
        totals.forwarded,
        totals.consumed,
        dropped);
}

Appliance::~Appliance() {
    stop();
    inspector_.reset();
    logger_.reset();
    rule_teller_.reset();
    shards_.clear();
    workers_.clear();
    slow_path_.reset();
    devices_.clear();
    stores_.clear();
    eal_.reset();
}

}  // namespace sekisho::daemon
