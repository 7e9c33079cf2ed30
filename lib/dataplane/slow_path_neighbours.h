// NeighbourTable: the truth about next hops: resolution, ageing, and the packets that wait for it
// (RFC 826, 1122 2.3.2).
//
//   States    incomplete (asked by broadcast, `tries` times, retry_ms apart); reachable (for
//             reachable_ms from the last frame heard of it); probing (still believed; asked by
//             unicast `tries` times, then by broadcast `tries` times); failed (refuses packets for
//             kRefuseMs; then a gateway is asked for again, another entry is removed). Any ARP
//             frame of a known neighbour makes it reachable, with the link address that the frame
//             names. Static (the configuration gives its link address): never asked for, never ages,
//             and no ARP frame changes it.
//   Queues    one a state, and apart for gateways; all entries of a queue wait equally long, so
//             each is in order of time and only its head is looked at.
//   Bounds    kUnresolvedMost entries incomplete or failed: then the oldest failed one is reused,
//             or a new one refused. Begun resolutions, probes and entries made for askers have a
//             rate each; gateways are exempt.
//   Thread    the slow path's, but views() is anyone's: changes and its slices are under one lock.
#pragma once

#include <cstdint>
#include <mutex>
#include <utility>
#include <vector>

#include "base/keyed_hash.h"
#include "dataplane/network.h"
#include "dataplane/slow_path.h"
#include "dataplane/slow_path_limits.h"
#include "dataplane/slow_path_outbox.h"

namespace sekisho::dataplane {

class NeighbourTable {
  public:
    NeighbourTable(
        const Network& network,
        Outbox& outbox,
        const SlowPathSettings& settings,
        SlowPathCounters& counters,
        const HashSecret& secret
    );

    // Enters the static neighbours, and begins to resolve every other next hop of a static route;
    // their entries are never given up.
    void resolve_gateways(Tick now);
    // The network has changed. Who is no longer on its link is given up at once; who has become a gateway, or is none any more,
    // is kept as what it is now.
    void follow(Tick now);
    // Takes a kUnresolved packet: it is held, or sent on at once, or comes back as dropped (there
    // is room for that).
    void wait_for(ShardId from, const Punt& punt, Tick now);
    // An ARP frame has named the sender's link address. `asks_us`: it asks for an own address, so
    // we shall need it soon.
    void hear(LinkId link, Ipv4Addr sender, MacAddr mac, bool asks_us, Tick now);
    // Retries, ageing, failures: at most kTimersPerPoll of each queue. Returns the number.
    unsigned run_timers(Tick now);
    // At the end: releases every held packet as dropped.
    void drop_held(DropReason reason);

    NeighbourEntry entry(NeighbourId id) const;  // as shards are to have it
    std::vector<NeighbourView> views(Tick now) const;

  private:
    enum class State : uint8_t { kFree, kIncomplete, kReachable, kProbing, kFailed, kStatic };
    static constexpr unsigned kStates = 6;
    struct Entry {
        Ipv4Addr address;
        MacAddr mac;
        LinkId link;
        State state = State::kFree;
        bool gateway = false;
        uint8_t attempts = 0;
        Tick deadline;
        Tick since;  // last heard of, or made
        HeldPunts held;
        uint16_t before = 0;  // in its queue; 0: none
        uint16_t after = 0;
    };
    struct Queue {
        uint16_t head = 0;
        uint16_t tail = 0;
        uint32_t count = 0;
    };

    Queue& queue_of(const Entry& entry);
    Queue& queue_of(State state, bool gateway) {
        return queues_[gateway][static_cast<size_t>(state)];
    }
    void enter(uint16_t id, State state, Tick deadline);
    void leave(uint16_t id);

    size_t first_slot(Ipv4Addr address, LinkId link) const;
    uint16_t find(Ipv4Addr address, LinkId link) const;        // 0: none
    uint16_t create(Ipv4Addr address, LinkId link, Tick now);  // 0: no room; in no queue yet
    void remove(uint16_t id);
    void erase_from_index(uint16_t id);

    static bool is_resolved(State state) {
        return state == State::kReachable || state == State::kProbing || state == State::kStatic;
    }
    void enter_static(const config::NeighbourSettings& neighbour, Tick now);
    void resolve_new_gateways(Tick now);
    using Gateways = std::vector<std::pair<uint32_t, uint8_t>>;  // address, link; sorted
    void follow_one(uint16_t id, const Gateways& gateways, Tick now);
    void follow_role(uint16_t id, bool is_gateway, Tick now);
    void give_up(uint16_t id, Tick now);
    void begin(uint16_t id, ShardId preferred, Tick now);
    void ask(uint16_t id, ShardId preferred);
    void confirm(uint16_t id, MacAddr mac, Tick now);
    void fail(uint16_t id, Tick now);
    void hold(uint16_t id, ShardId from, const Punt& punt);
    void drop(ShardId from, const Punt& punt, DropReason reason);
    unsigned run_queue(State state, bool gateway, Tick now);
    bool on_deadline(uint16_t id, Tick now);
    ShardId next_shard();

    const Network& network_;
    Outbox& outbox_;
    SlowPathSettings settings_;
    SlowPathCounters& counters_;
    HashSecret secret_;
    mutable std::mutex lock_;      // of entries_, for views()
    std::vector<Entry> entries_;   // by id
    std::vector<uint16_t> index_;  // open addressing: ids; 0: empty
    std::vector<uint16_t> free_ids_;
    Queue queues_[2][kStates];
    TokenBucket resolutions_{500};
    TokenBucket probes_{1000};
    TokenBucket askers_{100};
    unsigned turn_ = 0;
};

}  // namespace sekisho::dataplane
