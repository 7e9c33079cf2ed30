#include "sekisho-bench/rig.h"

#include <array>
#include <atomic>
#include <cstdio>
#include <cstring>

#include <fmt/format.h>
#include <unistd.h>

#include "base/secret.h"
#include "dataplane/shut_down.h"

namespace sekisho::bench {
namespace {

using Checks = flowgen::FlowgenQueue::Checks;

constexpr unsigned kLinks = 2;
const Ipv4Addr kSubscriberGateway = Ipv4Addr::of(100, 64, 0, 2);
const Ipv4Addr kInternetGateway = Ipv4Addr::of(192, 0, 2, 1);

// At least a /20, and one more for each so many subscribers that want a block each.
Ipv4Addr last_pool_address(uint32_t subscribers) {
    constexpr uint32_t kLeast = 4096;
    const nat::PoolSettings defaults;
    const uint32_t blocks =
        (uint32_t{defaults.ports.last} - defaults.ports.first) / defaults.port_block_size;
    const uint32_t wanted = std::max(kLeast, subscribers / blocks * 10 / 9);
    return Ipv4Addr::from_host(Ipv4Addr::of(203, 0, 112, 0).host() + wanted - 1);
}

// Two links with a gateway behind each, one pool, and for all else the defaults.
config::Config make_config(const RigPlan& plan) {
    config::Config config;
    config::LinkSettings internal;
    internal.name = "int0";
    internal.realm = kInternalRealm;
    internal.addresses = {{Ipv4Addr::of(100, 64, 0, 1), 10}};
    config::LinkSettings external;
    external.name = "ext0";
    external.side = config::Side::kExternal;
    external.addresses = {{Ipv4Addr::of(192, 0, 2, 2), 24}};
    config.links = {internal, external};
    config.routes = {
        {Ipv4Prefix{{}, 0}, kInternetGateway, LinkId{1}},
        {plan.profile.prefix, kSubscriberGateway, LinkId{0}},
    };
    nat::PoolSettings pool;
    pool.name = "main";
    pool.addresses = {{Ipv4Addr::of(203, 0, 112, 0), last_pool_address(plan.subscribers)}};
    config.nat.pools = {pool};
    nat::PolicySettings policy;
    policy.name = "subscribers";
    policy.source = {plan.profile.prefix};
    config.nat.policies = {policy};
    config.nat.limits = {plan.sessions, plan.mappings, plan.subscribers};
    if (plan.logs) {
        config.nat.events.logged = nat::kLogMappings | nat::kLogBlocks | nat::kLogLimits;
    }
    if (plan.change) {
        plan.change(config.nat);
    }
    return config;
}

}  // namespace

Result<std::unique_ptr<Rig>> Rig::create(const RigPlan& plan, Machine& machine) {
    std::unique_ptr<Rig> rig(new Rig);
    rig->config_ = make_config(plan);
    if (auto made = rig->make_devices(plan, machine); !made) {
        return tl::unexpected(made.error());
    }
    if (auto made = rig->make_shard(plan, machine); !made) {
        return tl::unexpected(made.error());
    }
    if (auto known = rig->resolve(); !known) {
        return tl::unexpected(known.error());
    }
    return rig;
}

Result<void> Rig::make_devices(const RigPlan& plan, Machine& machine) {
    rotation_ = std::make_unique<flowgen::Rotation>(machine.store(plan.worker), kLinks);
    const auto make = [&](flowgen::FlowgenRole role, uint8_t number) {
        flowgen::FlowgenPlan device;
        device.profile = plan.profile;
        device.profile.role = role;
        device.index = number;
        device.first_link = LinkId{number};
        device.rotation = rotation_.get();
        device.peer = LinkId{static_cast<uint8_t>(1 - number)};
        return flowgen::FlowgenDevice::create(device);
    };
    auto subscribers = make(flowgen::FlowgenRole::kSubscribers, 0);
    auto internet = make(flowgen::FlowgenRole::kInternet, 1);
    if (!subscribers || !internet) {
        return tl::unexpected((subscribers ? internet : subscribers).error());
    }
    subscribers_ = std::move(*subscribers);
    internet_ = std::move(*internet);
    network_ = std::make_unique<dataplane::Network>(
        config_,
        std::vector<unsigned>{0, 1},
        std::vector<MacAddr>{subscribers_->mac(), internet_->mac()}
    );
    return {};
}

Result<void> Rig::make_shard(const RigPlan& plan, Machine& machine) {
    directory_ = std::make_unique<nat::ExternalDirectory>(config_.nat, 1);
    fabric_ = std::make_unique<dataplane::Fabric>(1);
    slow_path_ = std::make_unique<dataplane::SlowPath>(
        *network_, *directory_, *fabric_, dataplane::SlowPathSettings{}
    );
    dataplane::WorkerPlan worker;
    worker.devices = {subscribers_.get(), internet_.get()};
    worker.queues = {{0, 0}, {1, 0}};
    worker.send_paths.resize(kLinks);
    store_ = &machine.store(plan.worker);
    worker.store = store_;
    worker_ = std::make_unique<dataplane::Worker>(worker);
    const auto secret = base::draw_secret();
    if (!secret) {
        return tl::unexpected(secret.error());
    }
    static std::atomic<unsigned> made = 0;
    nat::NatShardPlan nat;
    nat.sessions = plan.sessions;
    nat.mappings = plan.mappings;
    nat.subscribers = plan.subscribers;
    nat.secret = *secret;
    nat.arena_name = fmt::format("sekisho-{}-{}", getpid(), made++);
    nat.huge_directory = machine.huge_directory();
    auto shard = nat::NatShard::create(nat, config_.nat, *directory_, now());
    if (!shard) {
        return tl::unexpected(shard.error());
    }
    std::remove((*shard)->arena().path().c_str());  // the memory stays while it is mapped
    dataplane::ShardPlan whole;
    whole.network = network_.get();
    whole.settings = &config_.nat;
    whole.directory = directory_.get();
    whole.toeplitz = &toeplitz_;
    whole.table = &table_;
    whole.fabric = fabric_.get();
    whole.store = &machine.store(plan.worker);
    whole.transmitter = worker_.get();
    shard_ = std::make_unique<dataplane::Shard>(whole, std::move(*shard));
    worker_->carry({shard_.get()});
    rules_ = std::make_unique<dataplane::RulesInForce>(
        std::vector<dataplane::Shard*>{shard_.get()}, *secret
    );
    if (plan.reads_log) {
        log_ = shard_->nat().event_reader();
    }
    return {};
}

void Rig::put_rules(std::shared_ptr<const rules::CompiledRules> compiled) {
    dataplane::RulesInForce::Rules rules;
    rules.compiled = std::move(compiled);
    auto judges = rules_->prepare(rules);
    if (!judges) {
        throw std::runtime_error(judges.error().message);
    }
    rules_->put(*judges);
    rules_->settle(*judges);
}

// Looks at every event, as the logger does before it makes a line of it.
void Rig::read_log() {
    if (!log_.is_made()) {
        return;
    }
    for (auto events = log_.front(); !events.empty(); events = log_.front()) {
        for (const nat::Event& event : events) {
            mappings_logged_ += event.kind == nat::EventKind::kMappingCreated ? 1 : 0;
        }
        log_.pop(events.size());
    }
}

// Both gateways answer before anything is sent through them.
Result<void> Rig::resolve() {
    constexpr unsigned kTurns = 1000;
    for (unsigned i = 0; i < kTurns; ++i) {
        slow_path_->poll(now());
        turn();
        const auto neighbours = slow_path_->neighbours(now());
        const auto known =
            std::ranges::count_if(neighbours, [](const auto& n) { return n.state == "reachable"; });
        if (known == kLinks) {
            turn();
            return {};
        }
    }
    return failure("the gateways behind the flowgen links do not answer ARP");
}

Rig::~Rig() {
    if (shard_ == nullptr) {
        return;
    }
    send_nothing();
    while (!slow_path_->shut_down()) {
        turn();
    }
    turn();
    worker_->shut_down();
}

namespace {

void swap_link_addresses(std::span<PacketRef> packets) {
    for (PacketRef& packet : packets) {
        uint8_t* at = packet.data;
        const auto to = packet::load<uint64_t>(at);
        const auto from = packet::load<uint64_t>(at + 6);
        constexpr uint64_t kMac = 0xffffffffffff;
        // Twelve bytes in two stores that lie as the next reader's loads do.
        packet::store<uint64_t>(at, (from & kMac) | to << 48);
        packet::store<uint32_t>(at + 8, static_cast<uint32_t>(to >> 16 & 0xffffffff));
    }
}

}  // namespace

void Rig::io_turn() {
    std::array<PacketRef, packet::kBurst> burst;
    const std::array<dataplane::DeviceQueue*, kLinks> queues = {
        &subscribers_->queue(0), &internet_->queue(0)};
    for (unsigned link = 0; link < kLinks; ++link) {
        const auto packets = std::span(burst).first(queues[link]->receive(burst));
        for (const PacketRef& packet : packets) {
            __builtin_prefetch(packet.data, 1);
        }
        swap_link_addresses(packets);
        queues[1 - link]->send(packets);
    }
}

void Rig::discard_turn() {
    std::array<PacketRef, packet::kBurst> burst;
    const auto packets = std::span(burst).first(subscribers_->queue(0).receive(burst));
    for (const PacketRef& packet : packets) {
        __builtin_prefetch(packet.data, 1);
    }
    swap_link_addresses(packets);
    store_->free(packets);
}

uint64_t Rig::checked_pass(bool outbound, bool inbound) {
    set_checks(Checks::kAll);
    auto& from = subscribers();
    auto& to = internet();
    send_nothing();
    if (outbound) {
        from.send_pass();
        to.checker().expect_pass(from.pass());
    }
    if (inbound) {
        to.send_pass();
        from.checker().expect_pass(to.pass());
    }
    constexpr unsigned kTail = 64;  // turns after the last frame, for what had to wait
    for (unsigned idle = 0; idle < kTail;) {
        turn();
        idle = (outbound && !from.is_pass_over()) || (inbound && !to.is_pass_over()) ? 0 : idle + 1;
    }
    uint64_t sent_frames = 0;
    if (outbound) {
        to.checker().finish_pass(from.sent_in_pass());
        sent_frames += from.sent_in_pass();
    }
    if (inbound) {
        from.checker().finish_pass(to.sent_in_pass());
        sent_frames += to.sent_in_pass();
    }
    send_nothing();
    return sent_frames;
}

void Rig::set_checks(Checks checks) {
    subscribers().set_checks(checks);
    internet().set_checks(checks);
}

void Rig::send(config::FlowgenDirection direction) {
    send_nothing();
    if (direction != config::FlowgenDirection::kInbound) {
        subscribers().send_endlessly();
    }
    if (direction != config::FlowgenDirection::kOutbound) {
        internet().send_endlessly();
    }
}

void Rig::send_nothing() {
    subscribers().send_nothing();
    internet().send_nothing();
}

void Rig::set_translated(bool translated) {
    subscribers().set_translated(translated);
    internet().set_translated(translated);
}

uint64_t Rig::sent() const {
    return subscribers_->counters().sent.read() + internet_->counters().sent.read();
}

uint64_t Rig::received() const {
    return subscribers_->counters().received.read() + internet_->counters().received.read();
}

uint64_t Rig::faults() const {
    return subscribers_->faults().total() + internet_->faults().total();
}

uint64_t Rig::dropped() const {
    uint64_t sum = 0;
    for (const Counter& counter : counters().dropped) {
        sum += counter.read();
    }
    return sum;
}

namespace {

void describe(const flowgen::FaultCounters& faults, const char* side, std::string& text) {
    for (size_t i = 0; i < flowgen::kFaults; ++i) {
        if (const uint64_t n = faults.read(static_cast<flowgen::Fault>(i)); n > 0) {
            text +=
                fmt::format("  {} frames for the {} side: {}\n", n, side, flowgen::kFaultTexts[i]);
        }
    }
}

}  // namespace

std::string Rig::describe_faults() const {
    std::string text;
    describe(subscribers_->faults(), "internal", text);
    describe(internet_->faults(), "external", text);
    for (size_t r = 0; r < base::kDropReasonCount; ++r) {
        if (const uint64_t n = counters().dropped[r].read(); n > 0) {
            text += fmt::format("  {} packets dropped: {}\n", n, base::kDropReasons[r].text);
        }
    }
    return text;
}

}  // namespace sekisho::bench
