#include "test_bed.h"

#include <algorithm>
#include <stdexcept>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "base/text.h"
#include "dataplane/inspector.h"
#include "dataplane/shard_setup.h"
#include "dataplane/shut_down.h"
#include "naive_scanner.h"

namespace sekisho::test {

using dataplane::Shard;
using dataplane::Worker;
using dataplane::WorkerPlan;

struct MemoryDevice::Queue final : dataplane::DeviceQueue {
    Queue(MemoryDevice& d, unsigned index, HeapStore& s, std::deque<Sent>& out)
        : device(d), number(index), store(s), sent(out) {
        kept.reserve(kMostKept);
    }
    unsigned receive(std::span<PacketRef> out) override {
        unsigned n = 0;
        for (; n < out.size() && next < waiting.size(); ++n) {
            out[n] = waiting[next++];
        }
        if (next == waiting.size()) {
            waiting.clear();
            next = 0;
        }
        return n;
    }
    unsigned send(std::span<PacketRef> packets) override {
        unsigned n = 0;
        for (; n < packets.size() && device.room > 0; ++n, --device.room) {
            kept.push_back(packets[n]);
        }
        if (!device.quiet) {
            collect();
        }
        return n;
    }
    void collect() {
        for (const PacketRef& packet : kept) {
            sent.push_back({LinkId{static_cast<uint8_t>(number)}, bytes_of(packet)});
            store.free_one(packet);
        }
        kept.clear();
    }
    static constexpr size_t kMostKept = 8192;
    MemoryDevice& device;
    unsigned number;
    HeapStore& store;
    std::deque<Sent>& sent;
    std::vector<PacketRef> waiting;
    size_t next = 0;  // of `waiting`, to be received
    std::vector<PacketRef> kept;
};

MemoryDevice::MemoryDevice(
    unsigned index, MacAddr mac, unsigned queues, HeapStore& store, std::deque<Sent>& sent
)
    : mac_(mac) {
    for (unsigned i = 0; i < queues; ++i) {
        queues_.push_back(std::make_unique<Queue>(*this, index, store, sent));
    }
}

MemoryDevice::~MemoryDevice() {
    for (auto& queue : queues_) {
        for (const PacketRef& packet : std::span(queue->waiting).subspan(queue->next)) {
            queue->store.free_one(packet);
        }
    }
}

void MemoryDevice::push(const PacketRef& packet, unsigned queue) {
    queues_[queue]->waiting.push_back(packet);
}

size_t MemoryDevice::waiting() const {
    size_t n = 0;
    for (const auto& queue : queues_) {
        n += queue->waiting.size() - queue->next;
    }
    return n;
}

void MemoryDevice::collect() {
    for (auto& queue : queues_) {
        queue->collect();
    }
}

dataplane::DeviceQueue& MemoryDevice::queue(unsigned index) {
    return *queues_[index];
}

nat::NatSettings nat_settings(std::string_view first, std::string_view last) {
    nat::NatSettings settings;
    nat::PoolSettings pool;
    pool.name = "main";
    pool.addresses = {{ip(first), ip(last)}};
    settings.pools.push_back(pool);
    nat::PolicySettings policy;
    policy.name = "subscribers";
    policy.source = {{ip("100.64.0.0"), 10}, {ip("10.0.0.0"), 8}};
    settings.policies.push_back(policy);
    return settings;
}

std::string text(const Endpoint& endpoint) {
    return fmt::format("{}:{}", endpoint.address, endpoint.port);
}

TestBed::TestBed(const BedOptions& options)
    : options_(options),
      store_(options.buffers, options.checking),
      macs_{MacAddr{{0x02, 0, 0, 0, 0x10, 0}}, MacAddr{{0x02, 0, 0, 0, 0x10, 1}}},
      table_(base::ShardTable::even(options.shards)) {
    if (options_.nat.pools.empty()) {
        options_.nat = nat_settings();
    }
    build_network();
    directory_ = std::make_unique<nat::ExternalDirectory>(
        options_.nat,
        options_.shards,
        [this](Ipv4Addr subscriber) { return table_.of(toeplitz_(subscriber)); }
    );
    fabric_ = std::make_unique<dataplane::Fabric>(options_.shards, options_.rings);
    for (unsigned d = 0; d < 2; ++d) {
        devices_.push_back(
            std::make_unique<MemoryDevice>(d, macs_[d], options_.queues, store_, sent_)
        );
    }
    devices_[0]->steers = options_.spread_by_source;
    build_workers();
    build_shards();
    slow_path_ =
        std::make_unique<dataplane::SlowPath>(*network_, *directory_, *fabric_, options_.slow_path);
    run();  // the gateways are resolved from here on
    take();
}

TestBed::~TestBed() {
    shut_down();
}

void TestBed::shut_down() {
    if (slow_path_) {
        dataplane::shut_down(workers_, *slow_path_);
        slow_path_.reset();
    }
}

void TestBed::build_network() {
    config::Config config;
    config::LinkSettings internal;
    internal.name = "int0";
    internal.realm = kInternalRealm;
    internal.side = config::Side::kInternal;
    internal.addresses = {{ip("100.64.0.1"), 10}};
    internal.mtu = options_.internal_mtu;
    internal.vlans = options_.internal_vlans;
    config::LinkSettings external;
    external.name = "ext0";
    external.realm = kExternalRealm;
    external.side = config::Side::kExternal;
    external.addresses = {{ip("198.51.100.2"), 24}};
    external.mtu = options_.external_mtu;
    external.proxy_arp = true;
    config.links = {internal, external};
    config.routes = {
        {Ipv4Prefix{ip("0.0.0.0"), 0}, ip("198.51.100.1"), kExternalLink},
        {Ipv4Prefix{ip("10.0.0.0"), 8}, ip("100.64.0.2"), kInternalLink},
    };
    if (options_.two_realms) {
        divide_inside(config);
    }
    config.nat = options_.nat;
    config.multicast = options_.multicast;
    network_ = std::make_unique<dataplane::Network>(config, std::vector<unsigned>{0, 1, 0}, macs_);
}

void TestBed::divide_inside(config::Config& config) {
    config::LinkSettings& red = config.links[0];
    red.name = "red0";
    red.addresses = {{ip("10.0.0.1"), 24}};
    red.vlans = {10};
    config::LinkSettings blue = red;
    blue.name = "blue0";
    blue.realm = kBlueRealm;
    blue.addresses.push_back({ip("10.9.0.1"), 16});
    blue.vlans = {20};
    config.links.push_back(blue);
    config.routes.pop_back();
    for (const LinkId link : {kInternalLink, kBlueLink}) {
        config.routes.push_back({Ipv4Prefix{ip("172.16.0.0"), 16}, ip("10.0.0.9"), link});
    }
}

void TestBed::build_workers() {
    for (unsigned w = 0; w < options_.workers; ++w) {
        WorkerPlan plan;
        plan.id = WorkerId{static_cast<uint8_t>(w)};
        plan.devices = {devices_[0].get(), devices_[1].get()};
        plan.store = &store_;
        for (unsigned device = 0; device < 2; ++device) {
            WorkerPlan::SendPath path;
            if (w < options_.queues) {
                plan.queues.emplace_back(device, w);
                path.queue = w;
            } else {
                path.own = false;
                tx_rings_.push_back(std::make_unique<base::SpscRing<PacketRef>>(256));
                path.ring = tx_rings_.back().get();
            }
            plan.send_paths.push_back(path);
        }
        if (w == 0) {  // sends for all that own no queue; their rings are made first
            for (unsigned other = options_.queues; other < options_.workers; ++other) {
                for (unsigned device = 0; device < 2; ++device) {
                    plan.sends_for.push_back({device, nullptr});
                }
            }
        }
        workers_.push_back(nullptr);
        plans_.push_back(plan);
    }
    for (size_t i = 0; i < plans_[0].sends_for.size(); ++i) {
        plans_[0].sends_for[i].ring = tx_rings_[i].get();
    }
    for (unsigned w = 0; w < options_.workers; ++w) {
        workers_[w] = std::make_unique<Worker>(plans_[w]);
    }
}

void TestBed::build_shards() {
    const dataplane::Commons commons{
        *network_, options_.nat, *directory_, toeplitz_, table_, *fabric_};
    std::vector<std::vector<Shard*>> carried(options_.workers);
    for (unsigned i = 0; i < options_.shards; ++i) {
        nat::NatShardPlan plan;
        plan.shard = ShardId{static_cast<uint8_t>(i)};
        plan.sessions = options_.sessions;
        plan.mappings = options_.mappings;
        plan.subscribers = options_.subscribers;
        plan.secret = HashSecret{
            {0x243f6a8885a308d3, 0x13198a2e03707344, 0xa4093822299f31d0, 0x082efa98ec4e6c89}};
        auto shard = dataplane::make_shard(
            commons, plan, {store_, *workers_[i % options_.workers], options_.held_packets}, now_
        );
        if (!shard) {
            throw std::runtime_error(shard.error().message);
        }
        shards_.push_back(std::move(*shard));
        carried[i % options_.workers].push_back(shards_.back().get());
    }
    for (unsigned w = 0; w < options_.workers; ++w) {
        workers_[w]->carry(carried[w]);
    }
    std::vector<Shard*> all;
    std::ranges::transform(shards_, std::back_inserter(all), &std::unique_ptr<Shard>::get);
    rules_ = std::make_unique<dataplane::RulesInForce>(all, HashSecret{{1, 2, 3, 4}});
}

void TestBed::put_rules(
    const rules::RuleSet& set, bool cuts, std::shared_ptr<const rules::AddressSets> sets
) {
    auto judges = rules_->prepare(
        {rules::CompiledRules::build(set), std::move(sets), nullptr, patterns_, cuts}
    );
    if (!judges) {
        throw std::runtime_error(judges.error().message);
    }
    rules_->put(*judges);
    rules_->settle(*judges);
}

dataplane::InspectorPlan TestBed::inspector_plan() {
    dataplane::InspectorPlan plan;
    plan.network = network_.get();
    plan.settings = &options_.nat;
    plan.fabric = fabric_.get();
    plan.slow_path = slow_path_.get();
    for (const auto& device : devices_) {
        plan.devices.push_back(device.get());
    }
    for (const auto& worker : workers_) {
        plan.workers.push_back(worker.get());
    }
    for (const auto& shard : shards_) {
        plan.shards.push_back(shard.get());
    }
    return plan;
}

void TestBed::search_for(
    const rules::PatternSet& patterns, const dataplane::ScannedFlows::Sizes& sizes
) {
    for (auto& shard : shards_) {
        if (shard->scanned() == nullptr) {
            shard->begin_scanning(sizes, std::make_unique<NaiveScanner>(sizes.streams, patterns));
        } else {
            static_cast<NaiveScanner&>(shard->scanned()->scanner()).follow(patterns);
        }
    }
    auto names = rules::PatternNames::same(patterns.id_bound());
    bool is_bounded = true;
    for (uint16_t id = 0; id < patterns.id_bound(); ++id) {
        const rules::Pattern* const pattern = patterns.find(rules::PatternId{id});
        is_bounded &= pattern != nullptr && pattern->within != 0;
        names.first_bytes = std::max(names.first_bytes, pattern != nullptr ? pattern->within : 0);
    }
    names.first_bytes = is_bounded ? names.first_bytes : 0;
    patterns_ = std::make_shared<const rules::PatternNames>(std::move(names));
}

uint64_t TestBed::scanned() const {
    uint64_t sum = 0;
    for (const auto& shard : shards_) {
        sum += shard->scanned() != nullptr ? shard->scanned()->size() : 0;
    }
    return sum;
}

void TestBed::push(LinkId link, const ByteVector& bytes) {
    const PacketRef packet = store_.make(bytes, link);
    unsigned queue = next_queue_++ % options_.queues;
    if (link == kInternalLink && options_.spread_by_source) {
        queue = shard_of(decode(bytes).source) % options_.queues;
    } else if (options_.spread_by_source) {
        queue = 0;
    }
    devices_[link.value]->push(packet, queue);
}

void TestBed::turn() {
    for (auto& worker : workers_) {
        worker->run_once(now_);
    }
}

void TestBed::turn_quietly(unsigned turns) {
    for (auto& device : devices_) {
        device->quiet = true;
    }
    for (unsigned i = 0; i < turns; ++i) {
        turn();
        slow_path_->poll(now_);
    }
    for (auto& device : devices_) {
        device->quiet = false;
    }
}

// Everyone who is asked answers: the station address is made from the tag and the address.
bool TestBed::answer_arp() {
    std::deque<MemoryDevice::Sent> rest;
    bool answered = false;
    for (MemoryDevice::Sent& sent : sent_) {
        const Decoded seen = decode(sent.bytes);
        const bool ours = !seen.is_arp;
        if (ours || !options_.answer_arp) {
            rest.push_back(std::move(sent));
            continue;
        }
        if (seen.arp_operation != 1 || seen.arp_target == seen.arp_sender ||
            (answers_arp && !answers_arp(seen))) {
            continue;
        }
        const uint32_t host = seen.arp_target.host();
        const MacAddr mac{
            {0x06,
             static_cast<uint8_t>(seen.vlans.empty() ? 0 : seen.vlans[0]),
             static_cast<uint8_t>(host >> 24),
             static_cast<uint8_t>(host >> 16),
             static_cast<uint8_t>(host >> 8),
             static_cast<uint8_t>(host)}};
        PacketBuilder reply = frame().mac(mac, macs_[sent.device.value]);
        for (const uint16_t vlan : seen.vlans) {
            reply.vlan(vlan);
        }
        push(
            sent.device,
            reply.arp(2, mac, seen.arp_target, seen.arp_sender_mac, seen.arp_sender).bytes()
        );
        answered = true;
    }
    sent_ = std::move(rest);
    return answered;
}

void TestBed::run() {
    for (auto& device : devices_) {
        device->collect();
    }
    unsigned idle = 0;
    for (unsigned turns = 0; idle < 3; ++turns) {
        unsigned work = 0;
        for (auto& worker : workers_) {
            work += worker->run_once(now_);
        }
        work += slow_path_->poll(now_);
        work += answer_arp() ? 1 : 0;
        idle = work == 0 ? idle + 1 : 0;
        if (turns > 20000) {
            throw std::runtime_error("the appliance never comes to rest");
        }
    }
    for (const MemoryDevice::Sent& sent : sent_) {
        if (!options_.broken_frames && !decode(sent.bytes).is_arp && !checksums_ok(sent.bytes)) {
            FAIL_CHECK("wrong checksum in " << describe(sent.bytes));
        }
    }
    const std::string wrong = imbalance();
    if (!wrong.empty()) {
        FAIL_CHECK(wrong);
    }
}

void TestBed::advance(uint32_t ms) {
    while (ms > 0) {
        const uint32_t step = std::min<uint32_t>(ms, 512);
        now_ = now_ + step;
        ms -= step;
        run();
    }
}

std::vector<MemoryDevice::Sent> TestBed::take() {
    std::vector<MemoryDevice::Sent> taken(
        std::make_move_iterator(sent_.begin()), std::make_move_iterator(sent_.end())
    );
    sent_.clear();
    return taken;
}

Decoded TestBed::take_one(LinkId link) {
    const auto sent = take();
    if (sent.size() != 1) {
        std::string all;
        for (const auto& s : sent) {
            all += "\n  " + describe(s.bytes);
        }
        FAIL("wanted one frame, " << sent.size() << " left:" << all);
    }
    CHECK(sent.front().device == link);
    return decode(sent.front().bytes);
}

dataplane::CounterTotals TestBed::totals() const {
    dataplane::CounterTotals sum;
    for (const auto& shard : shards_) {
        const PacketCounters& counters = shard->counters();
        sum.received += counters.received.read();
        sum.generated += counters.generated.read();
        sum.forwarded += counters.forwarded.read();
        sum.consumed += counters.consumed.read();
        sum.handed_off += counters.handed_off.read();
        sum.untranslated += counters.untranslated.read();
        sum.punted += counters.punted.read();
        sum.held += shard->held();
        for (size_t result = 0; result < nat::kPcpResults; ++result) {
            sum.pcp[result] += shard->pcp_counters().answered[result].read();
        }
        for (size_t reason = 0; reason < base::kDropReasonCount; ++reason) {
            sum.dropped[reason] += counters.dropped[reason].read();
        }
    }
    sum.held += slow_path_ ? slow_path_->held() : 0;
    return sum;
}

std::string TestBed::imbalance() const {
    const dataplane::CounterTotals sum = totals();
    uint64_t dropped = 0;
    std::string reasons;
    for (size_t reason = 0; reason < base::kDropReasonCount; ++reason) {
        dropped += sum.dropped[reason];
        if (sum.dropped[reason] > 0) {
            reasons += fmt::format(" {}={}", base::kDropReasons[reason].text, sum.dropped[reason]);
        }
    }
    const uint64_t waiting = devices_[0]->waiting() + devices_[1]->waiting();
    const std::string figures = fmt::format(
        "received {} + generated {} = forwarded {} + consumed {} + held {} + dropped {} (buffers "
        "{}):{}",
        sum.received,
        sum.generated,
        sum.forwarded,
        sum.consumed,
        sum.held,
        dropped,
        store_.in_use(),
        reasons
    );
    if (sum.received + sum.generated != sum.forwarded + sum.consumed + sum.held + dropped) {
        return "packets are lost or counted twice: " + figures;
    }
    if (store_.in_use() != sum.held + waiting) {
        return "buffers are lost: " + figures;
    }
    if (sum.dropped[static_cast<size_t>(DropReason::kBug)] > 0) {
        return "internal error: " + figures;
    }
    return "";
}

std::vector<nat::MappingView> TestBed::mappings() const {
    std::vector<nat::MappingView> all;
    for (const auto& shard : shards_) {
        uint32_t cursor = 0;
        bool more = true;
        while (more) {
            std::array<nat::MappingView, 64> views;
            size_t filled = 0;
            more = shard->nat().list_mappings(cursor, 64, views, filled);
            const auto in_use = std::span(views).first(filled);
            std::ranges::copy_if(in_use, std::back_inserter(all), [](const nat::MappingView& v) {
                return v.kind != nat::MappingView::kStatic;
            });
        }
    }
    return all;
}

std::vector<nat::SessionView> TestBed::sessions() const {
    std::vector<nat::SessionView> all;
    for (const auto& shard : shards_) {
        uint32_t cursor = 0;
        bool more = true;
        while (more) {
            std::array<nat::SessionView, 64> views;
            size_t filled = 0;
            more = shard->nat().list_sessions(cursor, 64, now_, views, filled);
            all.insert(
                all.end(), views.begin(), views.begin() + static_cast<std::ptrdiff_t>(filled)
            );
        }
    }
    return all;
}

size_t TestBed::session_count() const {
    size_t count = 0;
    for (const auto& shard : shards_) {
        count += shard->nat().session_count();
    }
    return count;
}

size_t TestBed::mapping_count() const {
    size_t count = 0;
    for (const auto& shard : shards_) {
        count += shard->nat().mapping_count();
    }
    return count;
}

std::optional<Endpoint> TestBed::external_of(
    Protocol protocol, Ipv4Addr internal, uint16_t port, RealmId realm
) const {
    const auto& nat = shards_[shard_of(internal)]->nat();
    const MappingIndex index = nat.find_mapping_of_outbound(
        FlowKey::of(internal, {}, Port::from_host(port), {}, protocol, realm)
    );
    if (index.value == kNoIndex) {
        return std::nullopt;
    }
    const nat::Mapping& mapping = nat.mapping(index);
    return Endpoint{{mapping.external_address}, Port{mapping.external_port}.host()};
}

}  // namespace sekisho::test
