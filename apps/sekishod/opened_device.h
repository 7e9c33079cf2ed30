// OpenedDevice: a device of whichever driver, as the appliance treats it: probed, prepared, started, tended.
//
//   Law       one of `ethernet` and `far_end` is there. A flowgen device is made only by prepare(), because it takes its
//             buffers then; nothing is asked of it before. Nothing passes before start(), which is called when all is
//             ready for packets.
//   Errors    as the drivers'. Thread: the main thread.
#pragma once

#include <memory>
#include <string>

#include "dpdk/eth_device.h"
#include "flowgen/flowgen_device.h"

namespace sekisho::daemon {

class OpenedDevice {
  public:
    static Result<OpenedDevice> probe(const dpdk::EthDevicePlan& plan, dpdk::Eal& eal);
    Result<void> prepare(const dpdk::EthDevicePlan& plan);
    Result<void> start(const dpdk::EthDevicePlan& plan, dpdk::Eal& eal);
    std::string tend(const dpdk::EthDevicePlan& plan, dpdk::Eal& eal);

    unsigned most_queues() const { return ethernet_ ? ethernet_->most_queues() : 1; }
    // Where it lies; `usual` if it lies nowhere.
    int numa_node(int usual) const { return ethernet_ ? ethernet_->numa_node() : usual; }
    dataplane::Device* get() const;
    dataplane::Device* operator->() const { return get(); }
    dataplane::Device& operator*() const { return *get(); }

    // Buffers that it keeps for itself.
    static unsigned buffers_of(config::DeviceKind kind);

  private:
    std::unique_ptr<dpdk::EthDevice> ethernet_;
    std::unique_ptr<flowgen::Rotation> rotation_;
    std::unique_ptr<flowgen::FlowgenDevice> far_end_;
    config::FlowgenProfile profile_;  // of the far end
};

}  // namespace sekisho::daemon
