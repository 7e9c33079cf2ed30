// EthQueue: one receive and one transmit queue of an ethdev port.
//
//   Cost      one indirect call a burst, and the copying of each mbuf's facts into a PacketRef and back.
//   Owner     one worker. While its door is closed it receives nothing and takes nothing; the port behind it may be
//             another afterwards.
#pragma once

#include <cstdint>

#include "dataplane/device.h"
#include "dpdk/burst_door.h"

namespace sekisho::dpdk {

class EthQueue final : public dataplane::DeviceQueue {
  public:
    EthQueue(uint16_t port, uint16_t queue, LinkId first_link)
        : port_(port), queue_(queue), first_link_(first_link) {}
    unsigned receive(std::span<PacketRef> out) override;
    unsigned send(std::span<PacketRef> packets) override;

    BurstDoor& door() { return door_; }
    void set_port(uint16_t port) { port_ = port; }  // while the door is closed

  private:
    BurstDoor door_;
    uint16_t port_;
    uint16_t queue_;
    LinkId first_link_;
};

}  // namespace sekisho::dpdk
