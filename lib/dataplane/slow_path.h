// SlowPath: neighbour resolution, ICMP to the appliance, errors that it owes. One thread of its
// own; in tests a plain call.
//
//   Never     writes a shard or allocates a packet buffer: it gets buffers through the punt rings
//             and gives each back through `back` of the shard from which it came. What needs a
//             buffer of its own (ARP requests) a shard makes when asked (Back::kArpRequest).
//   Bounds    kHeldPerNeighbour packets wait for one neighbour, then the oldest is dropped;
//             kHeldInAll for all, then the newest. Errors are rate-limited by a token bucket for
//             the whole appliance and one a source (RFC 1812 4.3.2.8). A class of punts has a
//             budget a poll, so that a flood of one starves none. Punts are taken only while `back`
//             has room: what does not fit stays in its ring, and a full punt ring is the shard's
//             counted drop.
//   Strangers An entry is made only for a next hop that is asked for, or (slowly) for a host that
//             asks for an own address; unresolved ones have a bound of their own, so a scan cannot
//             push out what is resolved.
//   Thread    poll() and shut_down() by one thread; held(), counters(), neighbours() and
//             last_conflict() by any: the table for `show` is read under a lock, in slices, and the
//             slow path never waits for more than one slice.
//   Source    RFC 826, 1122 2.3.2, 1812 4.3.2, 5227; ARCHITECTURE 4.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/counters.h"
#include "dataplane/fabric.h"
#include "dataplane/network.h"
#include "nat/external_directory.h"

namespace sekisho::dataplane {

inline constexpr unsigned kHeldPerNeighbour = 8;
inline constexpr unsigned kHeldInAll = 1024;  // buffers that it may keep, besides those in rings
inline constexpr uint32_t kRefuseMs = 5000;   // how long a next hop that did not answer is refused
inline constexpr unsigned kUnresolvedMost = 4096;  // entries without a link address

struct NeighbourView {
    Ipv4Addr address;
    LinkId link;
    MacAddr mac;
    std::string state;  // incomplete | reachable | probing | failed | static
    uint32_t age_seconds = 0;
    uint32_t held = 0;
    bool gateway = false;
};

struct SlowPathSettings {
    uint32_t errors_per_second = 1000;
    uint32_t errors_per_source_per_second = 50;
    uint32_t echo_per_second = 1000;
    uint32_t pool_echo_per_second = 1000;  // of pings to pool addresses: outsiders' alone
    // Errors about unsolicited SYNs have a bucket of their own: outsiders can ask for any number.
    uint32_t unsolicited_per_second = 250;
    uint32_t reachable_ms = 30000;  // after which a used entry is probed again
    uint32_t retry_ms = 1000;
    uint32_t tries = 3;
};

struct SlowPathCounters {
    Counter arp_answers;   // for own addresses and by proxy
    Counter echo_answers;  // for own addresses and pools' ones
    Counter errors_sent;
    Counter errors_suppressed;  // over the limit, or never to be answered
    Counter resolutions;        // begun
    Counter failures;           // next hops that did not answer
    Counter probes;             // of known neighbours
    Counter conflicts;          // ARP frames of others that claim an own or a pool's address
};

struct AddressConflict {
    Ipv4Addr address;
    LinkId link;
    MacAddr mac;
};

class SlowPath {
  public:
    SlowPath(
        const Network& network,
        const nat::ExternalDirectory& directory,
        Fabric& fabric,
        const SlowPathSettings& settings
    );
    ~SlowPath();
    // Drains the punt rings within their budgets, runs its timers. Returns the work done. The first
    // call announces the own addresses and begins to resolve the gateways.
    unsigned poll(Tick now);
    // The network has changed, and was `before`: announces what is new of the own addresses, gives up neighbours that are no
    // longer on their links, resolves the new gateways. While it takes no turn.
    void follow(const Network& before, Tick now);
    size_t held() const;  // packets that wait for a neighbour
    const SlowPathCounters& counters() const;
    std::vector<NeighbourView> neighbours(Tick now) const;
    std::optional<AddressConflict> last_conflict() const;
    // At the end, instead of poll(): gives every held or punted buffer back, as kDropped kShutdown.
    // What does not fit into the rings back stays: true when nothing is left, otherwise the shards
    // poll and it is called again.
    bool shut_down();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace sekisho::dataplane
