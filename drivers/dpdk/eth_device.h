// EthDevice: dataplane::Device on a DPDK ethdev.
//
//   Steering  with several queues and a NIC that has RSS, the hash is set to the source address
//             alone on internal devices and to the destination address alone on external ones, with
//             the appliance's key and table. A device's queue is trusted only after a probe has
//             agreed (none exists yet: steers_by_source() is false), so software steering decides
//             and a packet that RSS has put right is not handed on.
//   Owner     queues belong to workers; make, start and stop are the main thread's.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/toeplitz.h"
#include "config/config.h"
#include "dataplane/device.h"
#include "dpdk/device_arguments.h"
#include "dpdk/eal.h"
#include "dpdk/eth_queue.h"
#include "dpdk/mbuf_store.h"

namespace sekisho::dpdk {

inline constexpr uint16_t kRxDescriptors = 1024;
inline constexpr uint16_t kTxDescriptors = 1024;

struct EthDevicePlan {
    config::DeviceSettings device;
    unsigned index = 0;
    LinkId first_link;
    config::Side side = config::Side::kInternal;
    uint16_t mtu = 1500;
    bool takes_groups = false;                  // frames to all groups, not only the station's
    unsigned queues = 1;                        // wished for
    std::vector<MbufStore*> stores;             // of the worker that owns queue i
    const ToeplitzKey* toeplitz_key = nullptr;  // for RSS
    const ShardTable* table = nullptr;
    std::vector<unsigned> queue_of_shard;  // for RSS
};

class EthDevice final : public dataplane::Device {
  public:
    // Attaches the device and asks how many queues it can have; make_queues() makes as many as the plan says, which pass
    // nothing until start() has set the device up with the stores.
    static Result<std::unique_ptr<EthDevice>> probe(const EthDevicePlan& plan, Eal& eal);
    void make_queues(const EthDevicePlan& plan);
    Result<void> start(const EthDevicePlan& plan, Eal& eal);
    // Looks whether what is behind it has gone or come back; a few times a second. What is worth a
    // line in the log, if anything is.
    std::string tend(const EthDevicePlan& plan, Eal& eal);
    ~EthDevice() override;

    MacAddr mac() const override { return mac_; }
    unsigned queues() const override { return static_cast<unsigned>(queues_.size()); }
    unsigned most_queues() const { return most_queues_; }
    dataplane::DeviceQueue& queue(unsigned index) override { return *queues_[index]; }
    bool is_up() const override;
    dataplane::DeviceStats stats() const override;
    std::string driver() const override { return driver_; }
    std::string steering() const override;
    bool steers_by_source() const override { return false; }
    int numa_node() const { return numa_node_; }

  private:
    EthDevice() = default;
    Result<void> attach(const EthDevicePlan& plan, unsigned queues, Eal& eal);
    MacAddr port_mac() const;
    Result<void> learn(const EthDevicePlan& plan, Eal& eal);
    Result<void> configure(const EthDevicePlan& plan, Eal& eal);
    bool set_rss(const EthDevicePlan& plan);
    Result<void> set_up_queues(const EthDevicePlan& plan, Eal& eal);
    Result<void> bring_up(const EthDevicePlan& plan, Eal& eal);
    bool is_gone() const;
    bool is_running() const;
    bool observe() const;
    void close_doors();
    void open_doors();
    void look_at_counts() const;
    void keep_counts();
    void detach();
    Result<void> make_anew(const EthDevicePlan& plan, Eal& eal);
    bool reconnect();
    std::string tell_refusals(const EthDevicePlan& plan);

    DeviceArguments arguments_;
    std::string text_;
    config::DeviceKind kind_ = config::DeviceKind::kPci;
    std::optional<KernelInterface> kernel_interface_;  // behind af_packet, af_xdp and tap
    uint16_t port_ = 0;
    MacAddr mac_;
    std::string driver_;
    int numa_node_ = 0;
    unsigned most_queues_ = 1;
    std::vector<std::unique_ptr<EthQueue>> queues_;

    mutable std::mutex lock_;  // of what follows: the port may be made anew while others ask
    std::string steering_;
    bool attached_ = false;
    bool started_ = false;
    mutable bool up_ = false;  // when last looked at
    mutable uint64_t downs_ = 0;
    bool up_told_ = false;  // as tend() has last said
    uint64_t downs_told_ = 0;
    uint64_t refusals_to_tell_ = 1;   // of a memif's socket: the next number that is worth a line
    unsigned patience_ = 0;           // turns of tend() before the next try
    dataplane::DeviceStats earlier_;  // of ports that were given up
    mutable dataplane::DeviceStats seen_;  // of this one, when last asked
};

}  // namespace sekisho::dpdk
