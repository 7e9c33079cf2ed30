// Device: what the dataplane wants of a NIC or virtual device. One indirect call a burst; ethdev, flowgen and the
// memory devices of tests stand behind it.
//
//   Words     a device may carry several links (VLANs); queues belong to workers.
//   Thread    a queue pair is used by one worker; stats() and is_up() by the control thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/types.h"
#include "packet/packet.h"

namespace sekisho::dataplane {

// One receive and one transmit queue of a device.
class DeviceQueue {
  public:
    virtual ~DeviceQueue() = default;
    // Takes at most out.size() frames; in_link is the device's first link, flags say what the NIC has checked.
    virtual unsigned receive(std::span<PacketRef> out) = 0;
    // Takes the first n packets and owns them from then on; the others stay the caller's.
    virtual unsigned send(std::span<PacketRef> packets) = 0;
};

struct DeviceStats {
    uint64_t rx_packets = 0;
    uint64_t rx_bytes = 0;
    uint64_t rx_missed = 0;  // the NIC or the kernel had no room
    uint64_t rx_errors = 0;
    uint64_t tx_packets = 0;
    uint64_t tx_bytes = 0;
    uint64_t tx_errors = 0;
    uint64_t no_buffer = 0;
    uint64_t downs = 0;  // times that the link has gone down since the start
};

class Device {
  public:
    virtual ~Device() = default;
    virtual MacAddr mac() const = 0;
    virtual unsigned queues() const = 0;  // queue pairs, at least 1
    virtual DeviceQueue& queue(unsigned index) = 0;
    virtual bool is_up() const = 0;
    virtual DeviceStats stats() const = 0;
    virtual std::string driver() const = 0;    // net_af_packet, net_virtio, ...
    virtual std::string steering() const = 0;  // how it spreads packets over its queues, for people
    // Whether a queue's packets are already on the right shard (the start-up probe agreed); false: steer computes.
    virtual bool steers_by_source() const = 0;
};

}  // namespace sekisho::dataplane
