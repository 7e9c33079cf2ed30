// SlowPath: neighbour resolution, ICMP to the appliance, errors that it owes. One thread of its own; in tests a plain call.
//
//   Never     writes a shard or allocates a packet buffer: it gets buffers through the punt rings and gives them back
//             through `back`. ARP requests that need a buffer reuse the held packet's shard's spare buffers, asked for by
//             command, or are made by the shard itself (documented in slow_path.cc).
//   Bounds    kHeldPerNeighbour packets wait for one neighbour, kHeldInAll for all; errors are rate-limited by a token
//             bucket for the whole appliance and one a source (RFC 1812 4.3.2.8); a full ring is a counted drop.
//   Thread    poll() by one thread; the neighbour table for `show` is read under its own lock by the control thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/counters.h"
#include "dataplane/fabric.h"
#include "dataplane/network.h"
#include "nat/external_directory.h"

namespace sekisho::dataplane {

struct NeighbourView {
    Ipv4Addr address;
    LinkId link;
    MacAddr mac;
    std::string state;       // incomplete | reachable | probing | failed
    uint32_t age_seconds = 0;
    uint32_t held = 0;
    bool gateway = false;
};

struct SlowPathSettings {
    uint32_t errors_per_second = 1000;
    uint32_t errors_per_source_per_second = 50;
    uint32_t echo_per_second = 1000;
    uint32_t reachable_ms = 30000;       // after which a used entry is probed again
    uint32_t retry_ms = 1000;
    uint32_t tries = 3;
};

class SlowPath {
  public:
    SlowPath(const Network& network, const nat::ExternalDirectory& directory, Fabric& fabric, const SlowPathSettings& settings);
    ~SlowPath();
    // Drains the punt rings within their budgets, runs its timers. Returns the work done.
    unsigned poll(Tick now);
    size_t held() const;                              // packets that wait for a neighbour
    std::vector<NeighbourView> neighbours(Tick now) const;
    void shut_down();                                 // gives every held buffer back, as kDropped kShutdown

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace sekisho::dataplane
