// NatShard: the NAT state of one shard and all that changes it.
//
//   What it holds   sessions and their index (both directions), mappings and their index (both endpoints), subscribers, the
//                   blocks granted to it, the free blocks of the addresses homed here, timers. All in one arena.
//   Who owns it     one worker at a time; nothing in it is read by another thread. Readers ask by message and get slices.
//   Life of a flow  find (dataplane, over a burst) misses -> make_outbound or admit_inbound -> packets refresh it through
//                   track() -> its timer fires -> expire. With its last session a mapping ends and its port rests.
//   Time            `now` is an argument. An entry whose timeout has passed is dead at once for find, even before its timer
//                   fires.
//   Memory          everything is allocated by create(); nothing on a packet's route allocates, locks or calls the system.
//   Source          RFC 4787, 5382, 5508, 6888, 7857; ARCHITECTURE 2 and 3.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "base/arena.h"
#include "base/drop_reason.h"
#include "base/keyed_hash.h"
#include "base/result.h"
#include "base/types.h"
#include "flow/flow_index.h"
#include "flow/session.h"
#include "flow/session_table.h"
#include "flow/timing_wheel.h"
#include "nat/external_directory.h"
#include "nat/messages.h"
#include "nat/settings.h"
#include "packet/batch.h"

namespace sekisho::nat {

// Mapping (RFC 4787 REQ-1): X:x <-> X':x' of one protocol, shared by its sessions. Lives while it has sessions.
struct Mapping {
    uint32_t internal_address;  // network order, like Session's
    uint32_t external_address;
    uint16_t internal_port;
    uint16_t external_port;
    uint8_t protocol;
    uint8_t realm;
    uint16_t policy;            // PolicyId it was made under
    uint32_t subscriber;        // SubscriberIndex
    uint32_t block;             // BlockIndex that holds the external port
    uint32_t sessions;          // live sessions
    uint16_t inbound_openings;  // of them, TCP openings from outside that are not answered yet
    uint16_t state;             // written last: 0 free, 1 live
};
static_assert(sizeof(Mapping) == 32);

// What became of an outbound miss.
struct MakeResult {
    enum Kind : uint8_t { kMade, kHold, kRefused } kind = kRefused;
    DropReason reason{};           // with kRefused
    SessionIndex session{kNoIndex};  // with kMade
    SubscriberIndex waiting{kNoIndex};  // with kHold: the subscriber whose block is being asked for
};

// What became of an inbound miss.
struct AdmitResult {
    enum Kind : uint8_t { kSession, kMappingOnly, kRefused } kind = kRefused;
    DropReason reason{};           // with kRefused
    SessionIndex session{kNoIndex};  // with kSession: a TCP opening from outside
    MappingIndex mapping{kNoIndex};  // with kMappingOnly: translate from the mapping alone, no state changes
};

// Told when a subscriber's wait for a block is over; the packets that were held are judged anew.
class WaitListener {
  public:
    virtual ~WaitListener() = default;
    virtual void wait_is_over(SubscriberIndex subscriber) = 0;
};

// What a slice of a listing shows; plain values, copied out on the worker.
struct SessionView {
    Session session;             // as it stands
    uint32_t index;
    uint32_t idle_ms;
    uint32_t lifetime_ms;        // until it expires if nothing comes
    uint16_t pool;
    uint16_t policy;
    ShardId shard;
};
struct MappingView {
    Mapping mapping;
    uint32_t index;
    uint16_t pool;
    ShardId shard;
};
struct SubscriberView {
    Ipv4Addr address;
    RealmId realm;
    Ipv4Addr external_address;   // its paired address; 0.0.0.0 while it has none
    uint32_t sessions;
    uint32_t ports;
    uint32_t blocks;
    uint16_t policy;
    ShardId shard;
    bool waiting;
};
struct PoolView {                // what this shard knows; sums over the shards are the pool's
    uint32_t free_blocks = 0;    // at home here
    uint32_t granted_blocks = 0; // held here
    uint32_t ports_in_use = 0;   // of blocks held here
    uint32_t ports_resting = 0;
    uint64_t refused = 0;        // requests answered by a refusal here
};

struct NatShardPlan {
    ShardId shard;
    unsigned shards = 1;
    uint32_t sessions = 0;       // entries of this shard's tables
    uint32_t mappings = 0;
    uint32_t subscribers = 0;
    HashSecret secret;
    std::string arena_path;      // empty: anonymous memory
};

class NatShard {
  public:
    // Settings and directory must outlive the shard.
    static Result<std::unique_ptr<NatShard>> create(
        const NatShardPlan& plan, const NatSettings& settings, ExternalDirectory& directory, Tick now);
    ~NatShard();

    // --- the fast route: dataplane's find, track and write use these inline -----------------------------------------
    const HashSecret& secret() const;
    const flow::FlowIndex& session_index() const;  // values: session << 1 | direction
    Session& session(SessionIndex index);
    // Whether its timeout has passed: then find treats it as absent.
    bool has_expired(const Session& session, Tick now) const;
    // Hash under which a key is indexed. The direction is part of it through the realm byte.
    uint64_t hash_of(const FlowKey& key) const { return keyed_hash(secret(), key.addresses, key.rest); }

    // A packet of a session: activity, counts, TCP state (`tcp`: its header, bounds checked by parse; nullptr otherwise).
    // Moves the timer at once when the timeout became shorter. Errors quoted in ICMP never come here (RFC 5508 REQ-6).
    void track(SessionIndex index, Direction direction, const uint8_t* tcp, Tick now);

    // --- misses ---------------------------------------------------------------------------------------------------
    // An outbound packet without session: policy, limits, mapping, port, session; builds whole, then publishes.
    // Looks again first: an earlier packet of the burst may have made it. kHold: ask again after wait_is_over().
    MakeResult make_outbound(const FlowKey& key, PacketKind kind, uint8_t tcp_flags, Tick now);
    // An inbound packet without session: mapping, filtering behaviour; a TCP SYN may make a session within the bounds.
    AdmitResult admit_inbound(const FlowKey& key, PacketKind kind, uint8_t tcp_flags, Tick now);
    // The mapping of an endpoint, or kNoIndex; for ICMP errors whose session is gone.
    MappingIndex find_mapping_by_external(Ipv4Addr address, Port port, Protocol protocol) const;
    MappingIndex find_mapping_by_internal(RealmId realm, Ipv4Addr address, Port port, Protocol protocol) const;
    const Mapping& mapping(MappingIndex index) const;
    // A session-shaped value that translates from a mapping alone (deltas included); not in any table.
    Session scratch_session(MappingIndex index, Ipv4Addr remote, Port remote_port) const;

    // --- between bursts -------------------------------------------------------------------------------------------
    // Fires timers, at most `budget` entries; releases empty blocks; sends messages that had to wait.
    void advance(Tick now, uint32_t budget);
    // Entries freed during the burst may be reused from here on.
    void end_of_burst();
    void handle(const ShardMessage& message, Tick now);
    void connect(MessageSink* sink, WaitListener* listener);

    // --- control, in bounded slices --------------------------------------------------------------------------------
    // Fills `out` from entry `cursor` on and moves the cursor; looks at no more than `limit` entries. False at the end.
    bool list_sessions(uint32_t& cursor, uint32_t limit, Tick now, std::span<SessionView> out, size_t& filled) const;
    bool list_mappings(uint32_t& cursor, uint32_t limit, std::span<MappingView> out, size_t& filled) const;
    bool list_subscribers(uint32_t& cursor, uint32_t limit, std::span<SubscriberView> out, size_t& filled) const;
    // Ends one session (its mapping with it if it was the last) or one mapping with all its sessions. For a mapping the
    // sessions are found by a walk in slices: clear_mapping() forbids new sessions at once, list and clear the rest.
    void clear_session(SessionIndex index, Tick now);
    PoolView pool_view(PoolId pool, Tick now) const;
    size_t session_count() const;
    size_t mapping_count() const;
    size_t subscriber_count() const;
    size_t session_capacity() const;
    size_t mapping_capacity() const;
    size_t subscriber_capacity() const;
    size_t arena_bytes() const;

  private:
    NatShard();
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace sekisho::nat
