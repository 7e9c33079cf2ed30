// A shard's packet counters: one writer, any number of readers.
//
//   Law       received + generated = forwarded + consumed + held + sum(dropped), summed over all shards and the
//             slow path when nothing is in a ring. Tests check it after every run.
//   Thread    only the owning worker calls add() and set(); anyone may read. Plain moves on x86: no locked instruction.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "base/drop_reason.h"

namespace sekisho::base {

// A 64-bit number with one writer.
class Counter {
  public:
    void add(uint64_t n) {
        value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    }
    void set(uint64_t n) { value_.store(n, std::memory_order_relaxed); }
    uint64_t read() const { return value_.load(std::memory_order_relaxed); }

  private:
    std::atomic<uint64_t> value_{0};
};

struct alignas(64) PacketCounters {
    Counter received;      // frames taken from links
    Counter generated;     // packets that the appliance made: ARP, ICMP answers and errors
    Counter forwarded;     // accepted by a link's transmit queue
    Counter consumed;      // ARP and packets to the appliance that it has dealt with
    Counter handed_off;    // passed to another shard (each pass counts; no end of a packet)
    Counter punted;        // passed to the slow path (no end of a packet)
    Counter untranslated;  // exempt from translation (no end of a packet)
    Counter multicast;     // to groups that the configuration lets pass (no end of a packet)
    std::array<Counter, kDropReasonCount> dropped;

    void drop(DropReason r, uint64_t n = 1) { dropped[static_cast<size_t>(r)].add(n); }
};

}  // namespace sekisho::base

namespace sekisho {
using base::Counter;
using base::PacketCounters;
}  // namespace sekisho
