// TestBed: a whole appliance in one thread, without DPDK: shards, workers, slow path, links in memory.
//
//   Shape     two devices: 0 carries int0 (100.64.0.1/10, internal), 1 carries ext0 (198.51.100.2/24, external). Routes:
//             default by 198.51.100.1, 10.0.0.0/8 by 100.64.0.2. Everyone on the links answers ARP at once (setting).
//   Time      a simulated clock: advance() moves it and lets all timers run.
//   Checks    every run() checks conservation (counters.h) and that every buffer is held by somebody known; every frame
//             that leaves must have right checksums.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/dataplane_inspector.h"
#include "dataplane/fabric.h"
#include "dataplane/inspector.h"
#include "dataplane/network.h"
#include "dataplane/rules_in_force.h"
#include "dataplane/shard.h"
#include "dataplane/slow_path.h"
#include "dataplane/worker.h"
#include "heap_store.h"
#include "nat/external_directory.h"
#include "nat/nat_shard.h"
#include "packet_builder.h"
#include "rules/patterns.h"

namespace sekisho::test {

inline constexpr LinkId kInternalLink{0};
inline constexpr LinkId kExternalLink{1};
inline constexpr LinkId kBlueLink{2};
inline constexpr RealmId kBlueRealm{2};

// A device in memory. Frames go in by push(); what the appliance sends is kept until take(). While `quiet` it allocates
// nothing: what is sent stays in its buffers until collect().
class MemoryDevice final : public dataplane::Device {
  public:
    struct Sent {
        LinkId device;
        ByteVector bytes;
    };
    MemoryDevice(
        unsigned index, MacAddr mac, unsigned queues, HeapStore& store, std::deque<Sent>& sent
    );
    ~MemoryDevice() override;

    void push(const PacketRef& packet, unsigned queue);
    size_t waiting() const;
    void collect();

    MacAddr mac() const override { return mac_; }
    unsigned queues() const override { return static_cast<unsigned>(queues_.size()); }
    dataplane::DeviceQueue& queue(unsigned index) override;
    bool is_up() const override { return true; }
    dataplane::DeviceStats stats() const override { return {}; }
    std::string driver() const override { return "memory"; }
    std::string steering() const override { return steers ? "by source" : "none"; }
    bool steers_by_source() const override { return steers; }

    bool steers = false;
    bool quiet = false;
    size_t room = ~size_t{0};  // frames that it still accepts

  private:
    struct Queue;
    MacAddr mac_;
    std::vector<std::unique_ptr<Queue>> queues_;
};

struct BedOptions {
    unsigned shards = 1;
    unsigned workers = 1;
    unsigned queues = 1;  // of each device, at most `workers`
    bool spread_by_source =
        false;  // int0 puts a packet into the queue of its subscriber's worker, and says so
    nat::NatSettings nat;
    uint32_t sessions = 4096;  // a shard
    uint32_t mappings = 4096;
    uint32_t subscribers = 256;
    size_t buffers = 4096;
    size_t held_packets = 512;
    dataplane::Fabric::Sizes rings;
    dataplane::SlowPathSettings slow_path;
    bool answer_arp = true;
    bool broken_frames =
        false;  // frames with wrong transport checksums come in, so they leave as well
    uint16_t external_mtu = 1500;
    uint16_t internal_mtu = 1500;
    std::vector<uint16_t> internal_vlans;
    std::vector<config::MulticastSettings> multicast;
    // Of device 0 two VLANs that are a realm each, with the same addresses, in place of int0: red0 (tag 10, realm 1) and blue0
    // (tag 20, realm 2) are 10.0.0.1/24; blue0 is 10.9.0.1/16 besides; 172.16.0.0/16 lies behind 10.0.0.9 in both.
    bool two_realms = false;
    HeapStore::Checking checking = HeapStore::Checking::kFull;
};

// Settings with one pool of `addresses`, one policy for 100.64.0.0/10 and 10.0.0.0/8.
nat::NatSettings nat_settings(
    std::string_view first = "203.0.113.0", std::string_view last = "203.0.113.7"
);

struct Endpoint {
    Ipv4Addr address;
    uint16_t port = 0;
    friend bool operator==(const Endpoint&, const Endpoint&) = default;
    friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
};
std::string text(const Endpoint& endpoint);

class TestBed {
  public:
    explicit TestBed(const BedOptions& options);
    ~TestBed();

    MacAddr mac(LinkId link) const { return macs_[link.value]; }
    // Frames towards the appliance: the station addresses are filled in; fields may still be set.
    PacketBuilder from_internal() const { return frame().mac(kHostMac, macs_[0]); }
    PacketBuilder from_external() const { return frame().mac(kHostMac, macs_[1]); }
    // Puts a frame into the device's receive queue; nothing runs yet.
    void push(LinkId link, const ByteVector& bytes);
    void push_internal(const PacketBuilder& builder) { push(kInternalLink, builder.bytes()); }
    void push_external(const PacketBuilder& builder) { push(kExternalLink, builder.bytes()); }
    // Runs everybody until nothing moves; what left meanwhile is in sent().
    void run();
    // One turn of each worker, without the slow path.
    void turn();
    // As turn(), several times and with the slow path; the bed itself allocates nothing meanwhile.
    void turn_quietly(unsigned turns);
    // Time passes, and nobody has had a turn yet.
    void pass(uint32_t ms) { now_ = now_ + ms; }
    void advance(uint32_t ms);
    Tick now() const { return now_; }

    // Frames that left since the last take, ARP left out unless answer_arp is off.
    std::vector<MemoryDevice::Sent> take();
    // As take(), but exactly one frame must have left, on this link.
    Decoded take_one(LinkId link);

    dataplane::CounterTotals totals() const;
    uint64_t dropped(DropReason reason) const {
        return totals().dropped[static_cast<size_t>(reason)];
    }
    // Empty, or what is wrong with the counters and buffers.
    std::string imbalance() const;

    std::optional<Endpoint> external_of(
        Protocol protocol, Ipv4Addr internal, uint16_t port, RealmId realm = kInternalRealm
    ) const;
    std::vector<nat::MappingView> mappings() const;
    std::vector<nat::SessionView> sessions() const;
    size_t session_count() const;
    size_t mapping_count() const;

    HeapStore& store() { return store_; }
    dataplane::Fabric& fabric() { return *fabric_; }
    dataplane::Shard& shard(unsigned i) { return *shards_[i]; }
    dataplane::Worker& worker(unsigned i) { return *workers_[i]; }
    unsigned shards() const { return static_cast<unsigned>(shards_.size()); }
    dataplane::SlowPath& slow_path() { return *slow_path_; }
    MemoryDevice& device(LinkId link) { return *devices_[link.value]; }
    const dataplane::Network& network() const { return *network_; }
    nat::ExternalDirectory& directory() { return *directory_; }
    const nat::NatSettings& settings() const { return options_.nat; }
    unsigned shard_of(Ipv4Addr subscriber) const { return table_.of(toeplitz_(subscriber)).value; }
    // Puts rules in force, as a change of the configuration does.
    void put_rules(
        const rules::RuleSet& set,
        bool cuts = true,
        std::shared_ptr<const rules::AddressSets> sets = nullptr
    );
    // Patterns that the rules put from now on may ask for, by their PatternId; all shards search payloads. Where all of them are tied to the
    // first bytes, no more than those are searched.
    void search_for(
        const rules::PatternSet& patterns, const dataplane::ScannedFlows::Sizes& sizes = {}
    );
    // Directions that are scanned.
    uint64_t scanned() const;
    dataplane::RulesInForce& rules() const { return *rules_; }
    rules::RuleTotal counted(rules::RuleId rule) const { return rules_->totals()[rule.value]; }
    // For an inspector over all of it; who asks by rings sets `pump`.
    dataplane::InspectorPlan inspector_plan();
    void shut_down();
    // Whether somebody answers this request; nothing: everybody does.
    std::function<bool(const Decoded&)> answers_arp;

  private:
    void build_network();
    static void divide_inside(config::Config& config);
    void build_shards();
    void build_workers();
    bool answer_arp();

    BedOptions options_;
    HeapStore store_;
    std::deque<MemoryDevice::Sent> sent_;
    std::vector<MacAddr> macs_;
    base::Toeplitz toeplitz_;
    base::ShardTable table_;
    std::unique_ptr<dataplane::Network> network_;
    std::unique_ptr<nat::ExternalDirectory> directory_;
    std::unique_ptr<dataplane::Fabric> fabric_;
    std::vector<std::unique_ptr<MemoryDevice>> devices_;
    std::vector<std::unique_ptr<base::SpscRing<PacketRef>>> tx_rings_;
    std::vector<dataplane::WorkerPlan> plans_;
    std::vector<std::unique_ptr<dataplane::Worker>> workers_;
    std::vector<std::unique_ptr<dataplane::Shard>> shards_;
    std::unique_ptr<dataplane::RulesInForce> rules_;
    std::shared_ptr<const rules::PatternNames> patterns_;
    std::unique_ptr<dataplane::SlowPath> slow_path_;
    unsigned next_queue_ = 0;
    Tick now_{1000};
};

}  // namespace sekisho::test
