// Transmitter: where routed packets go. Collects by device and sends in bursts; one a worker.
//
//   Owner     the packets that are collected, until the device, another worker's ring or the store has them.
//   Cost      transmit(): one copy of 32 bytes; one indirect call a burst. Never allocates after it is made.
//   Thread    the worker's.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "packet/packet.h"

namespace sekisho::dataplane {

class Transmitter {
  public:
    explicit Transmitter(size_t devices) : outgoing_(devices) {}
    virtual ~Transmitter() = default;
    Transmitter(const Transmitter&) = delete;
    Transmitter& operator=(const Transmitter&) = delete;

    // Takes the packet; the frame is complete.
    void transmit(unsigned device, const PacketRef& packet) {
        Outgoing& outgoing = outgoing_[device];
        outgoing.packets[outgoing.count++] = packet;
        if (outgoing.count == packet::kBurst) {
            flush(device);
        }
    }
    // Sends what has been collected.
    void flush() {
        for (unsigned device = 0; device < outgoing_.size(); ++device) {
            if (outgoing_[device].count > 0) {
                flush(device);
            }
        }
    }

  protected:
    // Owns all packets from then on; counts each as forwarded or as a drop.
    virtual void send(unsigned device, std::span<PacketRef> packets) = 0;

  private:
    struct Outgoing {
        uint32_t count = 0;
        std::array<PacketRef, packet::kBurst> packets;
    };
    void flush(unsigned device) {
        Outgoing& outgoing = outgoing_[device];
        const uint32_t count = outgoing.count;
        outgoing.count = 0;
        send(device, std::span(outgoing.packets).first(count));
    }

    std::vector<Outgoing> outgoing_;
};

}  // namespace sekisho::dataplane
