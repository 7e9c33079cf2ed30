// NatShard: the NAT state of one shard and all that changes it.
//
//   Holds     sessions and their index (both directions), mappings and their index (both endpoints), subscribers, the blocks
//             granted to it, the free blocks of the addresses homed here, timers. The records lie in one arena.
//   Owner     one worker at a time; nothing in it is read by another thread. Readers ask by message and get slices.
//   Life      of a flow: find (dataplane, over a burst) misses -> make_outbound or admit_inbound -> packets refresh it
//             through track() -> its timer fires -> expire. With its last session a mapping ends and its port rests.
//   Time      `now` is an argument. An entry whose timeout has passed is dead at once for find,
//             even before its timer fires.
//   Memory    everything is allocated by create(); nothing on a packet's route allocates, locks or
//             calls the system.
//   Files     as the groups of functions below.
//   Source    RFC 4787, 5382, 5508, 6888, 7857; ARCHITECTURE 2 and 3.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/arena.h"
#include "base/counters.h"
#include "base/drop_reason.h"
#include "base/keyed_hash.h"
#include "base/mutation.h"
#include "base/result.h"
#include "base/types.h"
#include "flow/flow_index.h"
#include "flow/record_pool.h"
#include "flow/session.h"
#include "flow/session_table.h"
#include "flow/timing_wheel.h"
#include "nat/empty_blocks.h"
#include "nat/event_log.h"
#include "nat/external_directory.h"
#include "nat/home.h"
#include "nat/late_inserts.h"
#include "nat/lease.h"
#include "nat/mapping.h"
#include "nat/messages.h"
#include "nat/opening.h"
#include "nat/original.h"
#include "nat/outbox.h"
#include "nat/pair_counts.h"
#include "nat/port_block.h"
#include "nat/recall_book.h"
#include "nat/redirects.h"
#include "nat/results.h"
#include "nat/session_timeouts.h"
#include "nat/settings.h"
#include "nat/shard_pool.h"
#include "nat/single_ports.h"
#include "nat/static_table.h"
#include "nat/subscriber.h"
#include "nat/sweeps.h"
#include "nat/tcp_window.h"
#include "nat/views.h"
#include "packet/batch.h"

namespace sekisho::nat {

class NatShard {
  public:
    // Waiting requests a shard, so that messages under way are bounded; beyond: kHeldOverflow.
    static constexpr uint32_t kMaxWaits = 1024;

    // Messages kept for the return of blocks that nobody has asked back.
    static constexpr size_t kReturnRoom = 1024;

    // Settings and directory must outlive the shard.
    static Result<std::unique_ptr<NatShard>> create(
        const NatShardPlan& plan,
        const NatSettings& settings,
        ExternalDirectory& directory,
        Tick now
    );
    NatShard(const NatShard&) = delete;
    NatShard& operator=(const NatShard&) = delete;

    // --- the fast route: dataplane's find, track and write use these inline ----------------------
    const HashSecret& secret() const { return secret_; }
    // Values: session << 1 | direction.
    const flow::FlowIndex& session_index() const { return session_index_; }
    Session& session(SessionIndex index) { return sessions_[index.value]; }
    const Session& session(SessionIndex index) const { return sessions_[index.value]; }
    // Whether its timeout has passed: then find treats it as absent.
    bool has_expired(const Session& s, Tick now) const {
        return elapsed_ms(Tick{s.last_activity}, now) >= timeout_ms(s, s.state);
    }
    // Under which a key is indexed. The direction is part of it through the realm byte.
    uint64_t hash_of(const FlowKey& key) const {
        return keyed_hash(secret_, key.addresses, key.rest);
    }

    bool is_flow_of(uint32_t value, const FlowKey& key) const;
    FlowKey key_of(uint32_t session, Direction direction) const;
    // Of a session with kRedirected: the remote endpoint that its subscriber sees.
    RemoteEndpoint original_of(uint32_t session) const {
        return {{originals_[session].address}, {originals_[session].port}};
    }
    const Redirects* redirects() const { return redirects_ ? &*redirects_ : nullptr; }

    // A packet of a session: activity, counts, TCP state (`tcp`: its header, bounds checked by parse; nullptr otherwise). Moves the timer at
    // once when the timeout became shorter. Errors quoted in ICMP never come here (RFC 5508 REQ-6). Both directions refresh (RFC 4787 REQ-6),
    // but a TCP session without a handshake, or closed, is not kept alive from outside (track.cc).
    void track(SessionIndex index, Direction direction, const uint8_t* tcp, Tick now);

    // Whether a segment of a session with kTrackWindow passes; false only where its policy drops. To be asked before track(). `data`: bytes
    // behind its header, or kNoIndex: a fragment's.
    bool admits_segment(
        SessionIndex index, Direction direction, const uint8_t* tcp, uint32_t data, Tick now
    );
    // The same question, whatever the policy does then; nothing changes.
    bool is_in_window(SessionIndex index, Direction direction, const uint8_t* tcp, uint32_t data)
        const;
    // Of a session with kRedirected: what a trigger forward learns of a packet; false: it is no longer its holder's.
    bool touch_trigger(SessionIndex index, Direction direction, Tick now);
    // SYNs of sessions whose policy clamps them, tracked since the last call.
    uint32_t take_syns_to_clamp() { return std::exchange(syns_to_clamp_, 0); }
    uint16_t mss_clamp_of(const Session& s) const {
        return numbers_.at(mappings_[s.mapping].policy).mss_clamp;
    }

    // --- misses ----------------------------------------------------------------------------------
    // Foresight: what a burst's new outbound flows will need is asked for in three passes. Decides nothing.
    static constexpr unsigned kInternalSide = 0;  // of a mapping, in the mapping index's values
    static constexpr unsigned kExternalSide = 1;
    using Newcomer = nat::Newcomer;
    Newcomer foresee(const FlowKey& key, uint64_t session_hash) const;
    void foresee_subscriber(Newcomer& newcomer) const;
    void foresee_port(const Newcomer& newcomer, Protocol protocol) const;
    void foresee_inbound(const FlowKey& key) const;

    // An outbound packet without session: policy, limits, mapping, port, session; builds whole, then publishes. Looks again first: an earlier
    // packet of the burst may have made it. kHold: ask again after wait_is_over(). `tcp_flags` as in PacketMeta.
    //   Refused   kNoSession (a TCP segment that is no SYN), kIcmpNoSession (a reply), kNoPolicy, kSubscriber*Limit, kSubscriberRate,
    //             k*TableFull, kPoolExhausted, kHeldOverflow; nothing is changed then.
    MakeResult make_outbound(const FlowKey& key, PacketKind kind, uint8_t tcp_flags, Tick now);
    // The same for one of a burst, but the new session and mapping can be found from outside only after settle(), which must be called
    // before anything is looked up from there and at the end of the stage. Nobody outside can know of the new endpoint before then.
    MakeResult open_outbound(
        const FlowKey& key, const Newcomer& newcomer, PacketKind kind, uint8_t tcp_flags, Tick now
    );
    // Whether it may open one, as far as it shows itself; and the live session that an earlier packet of the burst has made.
    bool may_open(const FlowKey& key, PacketKind kind, uint8_t tcp_flags) const;
    SessionIndex find_made(const FlowKey& key, Direction direction, Tick now);
    void settle() {
        if (!late_.empty()) {
            settle_all();
        }
    }
    // Entries that an index has not taken: bugs (STYLE 9). What belongs to them is_indexed() finds, clear_session() ends.
    uint64_t failed_inserts() const { return late_.failed(); }
    // Whether a session and its mapping can be found from either side.
    bool is_indexed(SessionIndex index) const;
    // An inbound packet without session: mapping, filtering behaviour; a TCP SYN may make a session within the bounds: so many
    // a mapping without a handshake, and a quarter of the session table and of the subscriber's limits is kept for outbound ones.
    //   Refused   kStaleOwner (the block is another shard's now), kNoMapping, kIcmpNoSession (the same, of ICMP), kFiltered,
    //             kNoSession (TCP but no SYN), kTcpUnsolicited, kSubscriberSessionLimit, kSubscriberHalfOpen,
    //             kSessionTableFull.
    AdmitResult admit_inbound(const FlowKey& key, PacketKind kind, uint8_t tcp_flags, Tick now);
    // The same of what rules lead inside (forward.cc): kSession, or refused, also with kTargetInUse; who may be led so, and how.
    AdmitResult forward_inbound(
        const FlowKey& key, const Forward& to, PacketKind kind, uint8_t tcp_flags, Tick now
    );
    bool may_forward(const FlowKey& inbound) const;
    Session scratch_forwarded(const FlowKey& inbound, const Forward& to) const;
    // The mapping that translates a packet with this key, or kNoIndex; for ICMP errors whose session is gone.
    MappingIndex find_mapping_of_inbound(const FlowKey& key) const;
    MappingIndex find_mapping_of_outbound(const FlowKey& key) const;
    PoolId pool_of_link(LinkId link) const { return numbers_.pool_of_link(link); }
    // What a subscriber asks of a mapping by PCP (lease.cc); all of its own, policy and bounds are looked at here.
    LeaseAnswer lease(const LeaseRequest& request, Tick now);
    // The external address of its mappings: of its pair, which it gets if it has none. Only kind, result and address count.
    LeaseAnswer external_for(RealmId realm, Ipv4Addr internal, Tick now);
    uint32_t lease_epoch(Tick now) { return lease_epoch_.seconds(now); }
    const LeaseTable& leases() const { return leases_; }
    // Ends what a subscriber has asked of a mapping, and the mapping unless it has sessions. False: it has asked for nothing.
    bool clear_lease(MappingIndex index, Tick now);
    // A mapping with this external endpoint; an overloaded port has several.
    MappingIndex find_mapping_by_external(Ipv4Addr address, Port port, Protocol protocol) const;
    const Mapping& mapping(MappingIndex index) const { return mappings_[index.value]; }
    MappingRemote remote_of(MappingIndex index) const;
    // Whether a packet's own end is an endpoint of a static mapping of this shard.
    bool has_static(const FlowKey& key, Direction direction) const {
        return find_static(key, direction) != nullptr;
    }
    std::optional<Session> scratch_static(const FlowKey&, Direction, PacketKind kind) const;
    // A session-shaped value that translates from a mapping alone (deltas included); in no table.
    Session scratch_session(MappingIndex index, Ipv4Addr remote, Port remote_port) const;

    // --- between bursts --------------------------------------------------------------------------
    // Fires timers, at most `budget` entries of each kind; releases empty blocks; sends messages that had to wait.
    void advance(Tick now, uint32_t budget);
    // Entries freed during the burst may be reused from here on.
    void end_of_burst();
    // Then the packets of those whose wait is over must run, before the next message is handled.
    void handle(const ShardMessage& message, Tick now);
    void connect(MessageSink* sink, WaitListener* listener);
    // The settings have changed in what config/change.h lets change, and the directory has followed (change.cc). While no turn
    // runs. What ends by that does so at once for whoever asks for it, or a moment later. `routes_changed`: no session believes its next hop.
    void change_settings(const TableShares& shares, Tick now, bool routes_changed = false);

    // --- control, in bounded slices --------------------------------------------------------------
    // Fills `out` from entry `cursor` on and moves it; looks at no more than `limit` entries. False at the end.
    bool list_sessions(
        uint32_t& cursor, uint32_t limit, Tick now, std::span<SessionView> out, size_t& filled
    ) const;
    bool list_mappings(uint32_t& cursor, uint32_t limit, std::span<MappingView> out, size_t& filled)
        const;
    bool list_subscribers(
        uint32_t& cursor, uint32_t limit, std::span<SubscriberView> out, size_t& filled
    ) const;
    bool list_blocks(uint32_t& cursor, uint32_t limit, std::span<BlockView> out, size_t& filled)
        const;
    Ipv4Addr subscriber_address(SubscriberIndex s) const { return {subscribers_[s.value].address}; }
    RealmId subscriber_realm(SubscriberIndex s) const { return {subscribers_[s.value].realm}; }
    // Ends one session, its mapping with it if it was the last.
    void clear_session(SessionIndex index, Tick now);
    PoolView pool_view(PoolId pool, Tick now) const;
    bool answers_unsolicited_syns(PoolId pool) const;
    const NatSettings& settings() const { return *settings_; }
    // Whether a block lies free at its home here.
    bool is_free_at_home(ExternalIndex external, uint16_t block) const;
    bool is_at_home(ExternalIndex external, uint16_t block) const;  // or kept for static mappings
    uint32_t sessions_of_static(uint32_t block) const;  // of an entry's mappings; by any thread
    bool has_originals() const { return !originals_.empty(); }  // room for trigger forwards
    void give_originals(std::vector<OriginalDestination> originals);
    const RemoteClaims& claims() const { return directory_->claims(); }  // of all shards
    size_t session_count() const { return sessions_.size(); }
    uint64_t made_room() const { return made_room_; }          // unanswered sessions ended for that
    uint64_t sessions_made() const { return sessions_made_; }  // since the shard was made
    size_t mapping_count() const { return mappings_.size(); }
    size_t subscriber_count() const { return subscribers_.size(); }
    size_t session_capacity() const { return sessions_.capacity(); }
    uint32_t session_high_water() const { return sessions_.high_water(); }  // above every index
    TableShares table_limits() const {
        return {sessions_.limit(), mappings_.limit(), subscribers_.limit()};
    }
    size_t arena_bytes() const { return arena_.bytes(); }
    const Arena& arena() const { return arena_; }
    const EventLog& log() const { return log_; }  // its ring is the logger's to read
    void flush_log(Tick now) { write_pending(now, kNoIndex); }
    EventReader event_reader() const;

  private:
    using Pool = ShardPool;
    using Outcome = nat::Outcome;
    using Way = nat::Way;
    using Sought = nat::Sought;

    NatShard() = default;
    Result<void> build(const NatShardPlan& plan, Tick now);
    void lay_out_records(const NatShardPlan& plan, Tick now);
    void build_pools(Tick now);
    void tune(Pool& pool, const PoolSettings& p) const;
    void build_policies();

    int32_t timeout_ms(const Session& s, SessionState state) const {
        return timeouts_.ms(s.flags, state);
    }
    uint32_t random_below(uint32_t end);  // evenly, but for less than one part in 2^32 / end

    // session.cc
    uint32_t find_session(const FlowKey& key, uint64_t hash, Direction direction) const;
    uint32_t find_live_session(const FlowKey& key, uint64_t hash, Direction direction, Tick now);
    uint32_t make_session(uint32_t mapping, const Remote& remote, SessionState state, Tick now);
    void index_session(uint32_t session, uint64_t outbound_hash);
    void settle_all();
    bool has_room_for_session() const;
    void expire_session(uint32_t session, EndCause cause, Tick now);
    void fire_session(uint32_t session, Tick now);
    // change.cc
    void sweep(Tick now, uint32_t budget);
    void begin_sweeps(SessionTimeouts::Change timeouts, bool routes_changed);
    void end_session_sweep();
    bool is_cut_off(const Session& s) const;
    bool sweep_session(uint32_t session, Tick now);
    void sweep_blocks(Tick now, uint32_t budget);
    // track.cc
    void track_tcp(uint32_t session, Direction direction, const uint8_t* tcp, Tick now);
    void change_state(uint32_t session, SessionState next, Direction direction, Tick now);
    void set_opener(Session& s, Direction opener);
    bool take_unanswered(uint32_t session, Direction direction, Tick now);
    // window.cc
    bool tracks_window(const Mapping& m) const;
    void log_invalid(
        uint32_t session,
        Direction direction,
        const TcpSegment& segment,
        WindowFault fault,
        Tick now
    );
    bool may_log_invalid(Tick now);
    struct Inside {  // an internal endpoint
        RealmId realm;
        Ipv4Addr address;
        Port port;
    };
    void log_stray(
        const FlowKey& key, Direction direction, const Inside& inside, uint8_t flags, Tick now
    );
    // mapping.cc
    Sought seek_mapping(const FlowKey& key, const Newcomer& newcomer, Tick now);
    void take_away_mapping(const FlowKey& key, Sought& sought) const;
    uint32_t find_mapping(uint64_t hash, const FlowKey& key, unsigned side) const;
    MappingIndex find_mapping_of(const FlowKey& outbound, PoolTag tag) const;
    Newcomer for_chosen(const FlowKey& key, const Newcomer& newcomer) const;
    Outcome allocate_mapping(const Way& way, uint64_t hash, uint32_t subscriber, Tick now);
    std::optional<DropReason> why_no_mapping(const FlowKey& key, uint32_t subscriber);
    struct Taken {  // who has got which port for a new mapping
        uint32_t subscriber;
        Outcome port;
    };
    Outcome enter_mapping(const Way& way, uint64_t hash, const Taken& taken, Tick now);
    uint32_t make_mapping(
        const FlowKey& key, uint32_t subscriber, Ipv4Addr external, const Outcome& port
    );
    void release_mapping(uint32_t mapping, bool rests, EndCause cause, Tick now);
    void free_mapping(uint32_t mapping, bool rests, Tick now);
    FlowKey mapping_key(uint32_t mapping, unsigned side) const;
    MappingBehaviour behaviour_of(uint32_t subscriber, Protocol protocol) const {
        return numbers_.at(subscribers_[subscriber].policy).mapping[protocol];
    }
    // lease.cc
    LeaseAnswer make_leased(const LeaseRequest& request, const FlowKey& key, Tick now);
    LeaseAnswer lease_found(const LeaseRequest& request, uint32_t mapping, Tick now);
    LeaseAnswer attach_lease(const LeaseRequest& request, uint32_t mapping, Tick now);
    LeaseAnswer end_leases(const LeaseRequest& request, Tick now);
    Outcome take_suggested(uint32_t subscriber, const LeaseRequest& request, Tick now);
    void drop_lease(uint32_t lease, EndCause cause, Tick now);
    void advance_leases(Tick now, uint32_t budget);
    // forward.cc
    Outcome find_or_make_forwarded(const FlowKey& key, const Forward& to, Tick now);
    Outcome make_forwarded(const FlowKey& key, const Forward& to, Tick now);
    // outbound.cc
    Refusal answer_to(const FlowKey& key) const;
    bool picks_up(const FlowKey& key) const;
    Outcome open_new(const Way& way, const Newcomer& newcomer, SessionState first, Tick now);
    Outcome make_outbound_session(const Way& way, uint32_t mapping, SessionState first, Tick now);
    bool passes_protocol(const FlowKey& key) const;
    bool claim_remote(const FlowKey& key, const Mapping& m, DropReason& reason);
    void release_remote(const Mapping& m, Ipv4Addr remote);
    // service.cc
    bool is_of_service(const Mapping& m) const;
    static FlowKey service_key(const Mapping& m);
    FlowKey member_key(const StaticEntry& entry, Port internal_port) const;
    uint32_t find_member(const StaticEntry& entry, Port internal_port) const;
    Sought seek_member(
        const StaticEntry& entry, const FlowKey& key, const Newcomer& newcomer, Tick now
    );
    // trigger.cc
    void build_triggers();
    const StaticEntry* find_trigger(const FlowKey& key, Direction direction) const;
    static bool is_trigger(const StaticEntry& entry);
    uint32_t block_of(const StaticEntry& entry) const;  // of its mappings
    const Counter& sessions_of(uint32_t block) const;
    void count_session(uint32_t block, int change);
    bool admits_remote(const StaticEntry& entry, Ipv4Addr remote) const;
    bool show_trigger(uint32_t rule, MappingView& view) const;
    void note_trigger(uint32_t session);
    void mark_control(uint32_t session);
    bool is_from_control(const FlowKey& inbound, const Mapping& m) const;
    void take_triggers(SessionIndex index, Tick now);
    void log_trigger(EventKind kind, size_t rule, Ipv4Addr host, Tick now);
    void release_idle_triggers(Tick now);
    void advance_triggers(Tick now);
    // redirect.cc
    Way redirected_way(const Way& direct, const RemoteEndpoint& target) const;
    Sought seek_redirected(const Way& way, const Newcomer& newcomer, Tick now);
    Outcome make_untranslated(const Way& way, uint64_t hash, uint32_t subscriber);
    bool is_taken(uint32_t mapping, const Way& way);
    void note_original(uint32_t session, const RemoteEndpoint& original);
    // inbound.cc
    bool admits(uint32_t mapping, Ipv4Addr remote) const;
    AdmitResult admit_opening(const FlowKey& key, uint32_t mapping, Tick now);
    DropReason no_mapping_reason(const FlowKey& key) const;
    // subscriber.cc
    static FlowKey subscriber_key(Ipv4Addr address, RealmId realm, PoolTag tag = kOwnPool) {
        return tagged(FlowKey::of(address, {}, {}, {}, Protocol{}, realm), tag);
    }
    uint32_t find_subscriber(uint64_t hash, const FlowKey& key) const;
    Outcome find_or_make_subscriber(uint64_t hash, const FlowKey& key, Tick now);
    Outcome make_subscriber(uint64_t hash, const FlowKey& key, Tick now);
    PolicyId policy_of(Ipv4Addr address, RealmId realm) const;
    ExternalIndex first_external(PoolId pool, Ipv4Addr address, RealmId realm) const;
    void release_subscriber_if_idle(uint32_t subscriber);
    void note_refusal(uint32_t subscriber, unsigned what, Tick now);
    std::optional<DropReason> why_no_newcomer(const FlowKey& key, PoolTag tag, Tick now);
    void append_lingering(uint32_t subscriber);
    static bool was_refused_now(const Subscriber& s, unsigned what, Tick now);
    void release_lingering(Tick now, uint32_t budget);
    using ProtocolCounts = std::array<uint32_t, kProtocolSlots>;
    std::optional<DropReason> check_limits(uint32_t subscriber, Protocol protocol, Tick now);
    std::optional<DropReason> check_opening_limits(const Subscriber& s, Protocol protocol) const;
    bool may_take_port(uint32_t subscriber, Protocol protocol) const;
    void count_single(uint32_t mapping, int change);
    static void count_half_open(Subscriber& s, SessionState before, SessionState after);
    void make_room(Tick now);
    uint32_t available_tokens(const Subscriber& s, uint32_t rate, Tick now) const;
    void take_token(Subscriber& s, uint32_t rate, Tick now);
    const SubscriberLimits& limits_of(const Subscriber& s) const {
        static constexpr SubscriberLimits kDefaults;
        return is_mutated(Mutation::kRfc6888Req4a) ? kDefaults : numbers_.at(s.policy).limits;
    }
    PoolId pool_of(const Subscriber& s) const { return numbers_.pool_of(s.policy); }
    // holder.cc
    Outcome allocate_port(uint32_t subscriber, const FlowKey& key, Tick now);
    Outcome allocate_from_held(uint32_t subscriber, const FlowKey& key, Tick now);
    uint32_t allocate_from(uint32_t block, const FlowKey& key, Tick now);
    uint32_t take_port(uint32_t block, Protocol protocol, PortWish wish, Tick now);
    Outcome allocate_neighbour(uint32_t subscriber, const FlowKey& key, Tick now);
    void note_taken(uint32_t block, bool was_empty);
    void release_port(const Mapping& m, bool rests, Tick now);
    // single.cc
    bool is_single(const Pool& pool, const FlowKey& key) const;
    SingleWish single_wish(PoolId pool, unsigned slot, uint16_t port) const;
    Outcome allocate_single(uint32_t subscriber, const FlowKey& key, Tick now);
    Outcome claim_single(uint32_t subscriber, const FlowKey& key);
    void request_single(uint32_t subscriber, const FlowKey& key, Tick now);
    void serve_single(ShardMessage request, Tick now);
    bool grant_single(const ShardMessage& request, Tick now);
    bool grant_single_of(const ShardMessage& request, ExternalIndex external, Tick now);
    bool pass_on_single(ShardMessage& request, Tick now);
    void take_in_single(const ShardMessage& grant, Tick now);
    void return_unclaimed(Tick now);
    void release_single(const Mapping& m, bool rests, Tick now);
    void give_back_single(const SingleGrant& port, bool rests, Tick now);
    bool may_release(const Mapping& m) const;
    ExternalIndex external_of(const Outcome& port) const;
    uint32_t& in_use_of(ExternalIndex external);
    void process(const ShardMessage& message, Tick now);
    // deterministic.cc
    bool is_by_formula(const PortBlock& b) const;
    bool hold_own_block(uint32_t subscriber, Tick now);
    PoolId pool_to_ask(const Subscriber& s) const;
    ExternalIndex external_to_ask(const Subscriber& s) const;
    // statics.cc
    void follow_statics(Tick now);
    void withhold_fixed_of(uint32_t block);
    void withhold_fixed(const Mapping& m);
    bool is_fixed_single(const SingleGrant& port) const;
    bool is_in_force(const Mapping& m) const;
    bool is_displaced(const Mapping& m, const RemoteEndpoint& remote) const;
    uint32_t find_static_mapping(const StaticEntry& entry, const FlowKey& key, unsigned side) const;
    uint32_t mapping_in_force(const FlowKey& inbound, uint32_t found) const;
    // static.cc
    const StaticEntry* find_static(const FlowKey& key, Direction direction) const;
    Outcome make_static(const StaticEntry& entry, Port internal_port, uint32_t subscriber);
    AdmitResult admit_to_static(const FlowKey& key, PacketKind kind, uint8_t tcp_flags, Tick now);
    AdmitResult open_static(const StaticEntry& entry, const FlowKey& key, Tick now);
    bool is_admitted_by_access(const Mapping& m, Ipv4Addr remote) const;
    MappingView view_of(const StaticEntry& entry) const;
    bool show_static(const StaticEntry& entry, MappingView& view) const;
    PoolId pool_at(Ipv4Addr external) const;
    PoolId pool_of_mapping(const Mapping& m) const;
    ExternalIndex external_of(const Mapping& m) const;
    Session scratch_of(const Mapping& m, uint32_t index, Ipv4Addr remote, Port remote_port) const;
    // overload.cc
    bool overloads(uint32_t subscriber, Protocol protocol) const;
    Outcome share_port(uint32_t subscriber, const FlowKey& key, Tick now);
    bool is_withheld(Ipv4Addr external, Port port, const FlowKey& key) const;
    uint32_t find_sharable(uint32_t block, Ipv4Addr external, const FlowKey& key);
    void count_use(const Mapping& m);
    bool end_use(const Mapping& m);
    bool is_shared(const FlowKey& inbound) const;
    BitSpan usable_bits(const PortBlock& b) const;
    Outcome acquire_block(uint32_t subscriber, Tick now);
    void ask_ahead(uint32_t subscriber, uint32_t block, Protocol protocol, Tick now);
    bool request_block(uint32_t subscriber, BlockWait wait, Tick now);
    void take_in(const ShardMessage& grant, Tick now);
    void accept_refusal(const ShardMessage& refusal, Tick now);
    bool is_awaited(const ShardMessage& answer) const;
    void end_wait(uint32_t subscriber);
    void note_granted(uint32_t block, Tick now);
    bool may_have_block(uint32_t subscriber, Tick now) const;
    bool is_aged(uint32_t block, Tick now) const;
    uint32_t ms_to_grow_old(uint32_t block, Tick now) const;
    void watch_age(uint32_t block);
    void grow_old(uint32_t block, Tick now);
    bool park(uint32_t block, Tick now);
    void end_parking(uint32_t subscriber, Tick now);
    bool has_rested(uint32_t block, Tick now);
    void note_empty(uint32_t block, Tick now);
    void fire_block(uint32_t block, Tick now);
    void give_up_block(uint32_t block, Tick now);
    void answer_recall(const ShardMessage& recall, Tick now);
    bool may_give_up_block();  // its end can be logged
    // events.cc
    void log_mapping(uint32_t mapping, Tick now);
    void log_session(uint32_t session, Tick now);
    Event session_event(EventKind kind, uint32_t session, Tick now) const;
    Event mapping_event(EventKind kind, uint32_t mapping, Tick now) const;
    void log_block(EventKind kind, const PortBlock& b, Tick now);
    void log_refusal(const FlowKey& of_whom, uint32_t subscriber, DropReason reason, Tick now);
    void forget_limits(Tick now);
    static bool is_subscriber_limit_due(Subscriber& s, DropReason reason, Tick now);
    void end_session(uint32_t session, EndCause cause, Tick now);
    void end_mapping(uint32_t mapping, bool rests, EndCause cause, Tick now);
    uint32_t& pending_link(uint32_t pending);
    bool may_end_now(uint32_t pending);
    void append_pending(uint32_t pending);
    void write_pending(Tick now, uint32_t budget);
    // recall.cc
    void serve(const ShardMessage& request, Tick now);
    bool grant_free(const ShardMessage& request, Tick now);
    bool reclaim_own(const ShardMessage& request, Tick now);
    void recall(const ShardMessage& request, Tick now);
    void start_recall(const ShardMessage& request);
    void finish_recall(const ShardMessage& done, Tick now);
    void none_left(ShardMessage request, Tick now);
    void take_back(ExternalIndex external, uint16_t block);
    void dispatch(ShardId to, const ShardMessage& message, Tick now);
    size_t recall_slot(ExternalIndex external, PoolId pool) const;
    bool is_home_of(ShardId shard, PoolId pool) const;
    void refuse(const ShardMessage& request, Tick now);

    bool may_rest(PoolId pool, Tick now);
    RestClock& clock_of(PoolId pool, Tick now);

    HashSecret secret_;
    flow::FlowIndex session_index_;
    flow::SessionTable sessions_;
    uint64_t sessions_made_ = 0;
    SessionTimeouts timeouts_;
    flow::TimingWheel session_wheel_;
    Sweeps sweeps_;

    flow::FlowIndex mapping_index_;  // values: mapping << 1 | side (0 internal, 1 external)
    flow::RecordPool<Mapping> mappings_;
    flow::FlowIndex subscriber_index_;
    flow::RecordPool<Subscriber> subscribers_;
    std::span<MappingRemote> remotes_;  // by mapping; empty where all are endpoint-independent
    PairCounts permissions_;            // mapping, remote address
    PairCounts port_uses_;              // of shared ports: external address, protocol and port
    PortBlockTable blocks_;
    EmptyBlocks empty_;
    uint32_t max_age_of_any_ = 0;       // pool's block_max_age
    bool may_be_aged_ = false;          // some block may be one that is_aged()
    bool keeps_any_first_ = false;      // a pool's keeps_first_block
    std::vector<uint32_t> granted_at_;  // Tick, by block; empty where none has an age
    flow::TimingWheel block_wheel_;
    std::vector<Pool> pools_;  // by PoolId
    struct Policy {
        bool has_protocol_limits = false;
    };
    std::vector<Policy> policies_;  // by PolicyId
    PolicyNumbers numbers_;
    uint32_t unreplied_hand_ = 0;  // of make_room()
    uint64_t made_room_ = 0;
    uint32_t syns_to_clamp_ = 0;
    std::optional<Redirects> redirects_;
    std::span<OriginalDestination> originals_;  // by session; empty without redirects_
    std::vector<OriginalDestination> late_originals_;
    std::span<TcpWindow> windows_;  // by session; empty where no policy tracks them
    uint32_t invalid_told_at_ = 0;  // Tick
    bool picks_up_any_ = false;
    Lingering lingering_;
    std::optional<Tick> none_left_at_;  // the latest of all pools
    uint32_t waits_ = 0;                // requests under way
    LateInserts late_;
    LeaseTable leases_;  // empty where nobody may ask for mappings
    LeaseEpoch lease_epoch_;
    EventLog log_;
    uint32_t pending_first_ = kNoIndex;  // ended, not logged yet: the list's first and last
    uint32_t pending_last_ = kNoIndex;
    std::array<bool, 4> table_limits_told_{};  // sessions, mappings, subscribers, address-only
    bool limits_were_told_ = false;
    uint32_t limits_told_at_ = 0;  // Tick
    HashSecret port_secret_;
    uint64_t port_draws_ = 0;
    mutable std::vector<StaticEntry> trigger_entries_;  // find_trigger() fills in the holder
    std::vector<uint32_t> outdated_;                    // sessions of former holders
    std::deque<Counter> static_sessions_;               // by entry of the static table
    std::deque<Counter> trigger_sessions_;              // by rule

    HomeBlocks home_;
    SinglePorts singles_;
    SingleGrant granted_;                       // to be claimed before the next message
    std::vector<ProtocolCounts> singles_used_;  // by subscriber; empty where no limit asks for it
    RecallBook recalls_;
    Outbox outbox_;
    size_t outbox_reserve_ = 0;  // what is under way at most, besides returns
    WaitListener* listener_ = nullptr;

    ShardId shard_;
    unsigned shards_ = 1;
    const NatSettings* settings_ = nullptr;
    ExternalDirectory* directory_ = nullptr;
    Arena arena_;
};

}  // namespace sekisho::nat

#include "nat/nat_shard_track.h"  // IWYU pragma: keep
