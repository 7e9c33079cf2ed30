// Inspector: what the control side may ask of a running dataplane, and the little that it may change.
//
//   Thread    one control thread. Listings are asked of the workers in bounded slices and never stop them (PITFALLS 31).
//   Errors    a worker that does not answer within a second: an Error that names it.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/counters.h"
#include "base/result.h"
#include "base/types.h"
#include "dataplane/device.h"
#include "dataplane/log_view.h"
#include "dataplane/network.h"
#include "dataplane/slow_path.h"
#include "nat/nat_shard.h"

namespace sekisho::dataplane {

struct CounterTotals {
    uint64_t received = 0, generated = 0, forwarded = 0, consumed = 0, held = 0, handed_off = 0,
             punted = 0, untranslated = 0;
    uint64_t syns_waiting = 0, syns_answered = 0;  // unsolicited ones (RFC 5382 REQ-4)
    uint64_t multicast = 0;                        // to groups that may pass
    uint64_t pings_answered = 0;                   // to own addresses and to pools that answer
    std::array<uint64_t, nat::kPcpResults>
        pcp{};  // requests of subscribers, by what was answered (nat/lease.h)
    std::array<uint64_t, base::kDropReasonCount> dropped{};
};

struct WorkerView {
    WorkerId id;
    unsigned cpu = 0;
    std::vector<unsigned> shards;
    uint64_t heartbeat = 0, busy = 0, packets = 0, pauses = 0, tx_handed = 0;
    bool alive = true;                // its heartbeat moved within the last second
    std::vector<std::string> queues;  // "int0/0", ...
};

struct LinkView {
    LinkId id;
    DeviceStats stats;  // of the device that carries it
    bool up = false;
    MacAddr mac;
    std::string driver;
    std::string steering;
    unsigned queues = 0;
};

struct Occupancy {
    uint64_t used = 0, capacity = 0;
};

struct StatusView {
    std::string name, version;
    uint64_t uptime_seconds = 0;
    unsigned workers = 0, shards = 0;
    bool huge_pages = false;
    Occupancy sessions, mappings, subscribers, address_only, buffers;
    uint64_t arena_bytes = 0;
};

// Where a listing stands; a default one is the beginning. Plain numbers: the control side puts them into a client's hands
// and gets them back, so any value must be safe (a shard or an entry beyond the end: the listing is over).
struct ListCursor {
    unsigned shard = 0;
    uint32_t entry = 0;
    friend bool operator==(const ListCursor&, const ListCursor&) = default;
};

class Inspector {
  public:
    virtual ~Inspector() = default;
    virtual StatusView status() = 0;
    virtual std::vector<WorkerView> workers() = 0;
    virtual std::vector<LinkView> links() = 0;  // by LinkId
    virtual std::vector<NeighbourView> neighbours() = 0;
    virtual const Network& network() const = 0;
    virtual Result<std::vector<nat::PoolView>> pools() = 0;  // summed over shards, by PoolId
    virtual CounterTotals counters(
    ) = 0;  // since start, or since the last clear (a baseline is kept)
    virtual void clear_counters() = 0;
    virtual LogView log() = 0;  // of bindings; since start
    // Calls visit for every entry, slice by slice; visit returns false to stop.
    virtual Result<void> sessions(const std::function<bool(const nat::SessionView&)>& visit) = 0;
    virtual Result<void> mappings(const std::function<bool(const nat::MappingView&)>& visit) = 0;
    virtual Result<void> subscribers(const std::function<bool(const nat::SubscriberView&)>& visit
    ) = 0;
    // The same, resumable (for whoever implements Inspector: lib/control uses only these three for its listings). Looks at
    // no more than `entries` table entries from `cursor` on, in as many bounded requests to the workers as that takes,
    // calls visit for each live one (so at most `entries` times) and moves the cursor behind the last entry looked at.
    // Going from a shard to the next within a call is welcome. True: there may be more; false: the listing is over.
    // Ends at each table's high-water mark, so that a large empty table costs nothing.
    virtual Result<bool> list_sessions(
        ListCursor& cursor,
        uint32_t entries,
        const std::function<void(const nat::SessionView&)>& visit
    ) = 0;
    virtual Result<bool> list_mappings(
        ListCursor& cursor,
        uint32_t entries,
        const std::function<void(const nat::MappingView&)>& visit
    ) = 0;
    virtual Result<bool> list_subscribers(
        ListCursor& cursor,
        uint32_t entries,
        const std::function<void(const nat::SubscriberView&)>& visit
    ) = 0;
    // Ends those that still are what was listed, in bounded requests to the workers; how many have ended.
    virtual Result<size_t> clear_sessions(std::span<const nat::SessionView> sessions) = 0;
    // The same of what subscribers have asked for (nat/lease.h): of those with is_leased.
    virtual Result<size_t> clear_leases(std::span<const nat::MappingView> mappings) = 0;
};

}  // namespace sekisho::dataplane
