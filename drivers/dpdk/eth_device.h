// EthDevice: dataplane::Device on a DPDK ethdev.
//
//   Steering  with several queues and a NIC that has RSS, the hash is set to the source address
//             alone on internal devices and to the destination address alone on external ones, with
//             the appliance's key and table. A device's queue is trusted only after a probe has
//             agreed (none exists yet: steers_by_source() is false), so software steering decides
//             and a packet that RSS has put right is not handed on.
//   Owner     queues belong to workers; make, start and stop are the main thread's.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/toeplitz.h"
#include "config/config.h"
#include "dataplane/device.h"
#include "dpdk/device_arguments.h"
#include "dpdk/eal.h"
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
    unsigned queues = 1;                        // wished for
    std::vector<MbufStore*> stores;             // of the worker that owns queue i
    const ToeplitzKey* toeplitz_key = nullptr;  // for RSS
    const ShardTable* table = nullptr;
    std::vector<unsigned> queue_of_shard;  // for RSS
};

class EthQueue final : public dataplane::DeviceQueue {
  public:
    EthQueue(uint16_t port, uint16_t queue, LinkId first_link)
        : port_(port), queue_(queue), first_link_(first_link) {}
    unsigned receive(std::span<PacketRef> out) override;
    unsigned send(std::span<PacketRef> packets) override;

  private:
    uint16_t port_;
    uint16_t queue_;
    LinkId first_link_;
};

class EthDevice final : public dataplane::Device {
  public:
    // Attaches the device and asks how many queues it can have: probe() first, then configure()
    // with the stores.
    static Result<std::unique_ptr<EthDevice>> probe(const EthDevicePlan& plan, Eal& eal);
    Result<void> start(const EthDevicePlan& plan, Eal& eal);
    ~EthDevice() override;

    MacAddr mac() const override;
    unsigned queues() const override { return static_cast<unsigned>(queues_.size()); }
    unsigned most_queues() const { return most_queues_; }
    dataplane::DeviceQueue& queue(unsigned index) override { return *queues_[index]; }
    bool is_up() const override;
    dataplane::DeviceStats stats() const override;
    std::string driver() const override;
    std::string steering() const override { return steering_; }
    bool steers_by_source() const override { return false; }
    int numa_node() const;

  private:
    EthDevice() = default;
    Result<void> configure(const EthDevicePlan& plan, Eal& eal);
    bool set_rss(const EthDevicePlan& plan);
    Result<void> set_up_queues(const EthDevicePlan& plan, Eal& eal);

    DeviceArguments arguments_;
    std::string text_;
    std::optional<KernelInterface> kernel_interface_;  // behind af_packet and af_xdp
    uint16_t port_ = 0;
    unsigned most_queues_ = 1;
    bool started_ = false;
    std::vector<std::unique_ptr<EthQueue>> queues_;
    std::string steering_;
};

}  // namespace sekisho::dpdk
