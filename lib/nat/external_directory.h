// ExternalDirectory: which addresses are the pools', where each has its home, and the hint of who
// holds a block.
//
//   Shape     addresses are numbered over all pools (ExternalIndex, pool by pool, in the order of
//             the settings); owner bytes: one a block and address. home = index mod shards.
//   Thread    built at start, then read by all; owner bytes are atomic: written with release by the
//             shard that takes a block in (and by it when it gives the block up), read with acquire
//             by every worker. A hint only: truth is in the arena of the holder (ARCHITECTURE 2).
//   Changes   follow() adds addresses behind the others, so that an index never changes its meaning, and closes those that are
//             taken away: what they have goes on, nothing new comes of them, and when their last block is back they are gone.
//             One that is the appliance's no more is withdrawn: it is found no longer, and what it has ends.
//             While no turn runs, and by one thread (follow.cc).
//   Statics   static mappings and forwards come and go as well (follow_statics.cc): what is taken away is a former entry until
//             nothing uses it any more and its ports have rested; until then they are granted to nobody else.
//   Cost      find: two comparisons for addresses beyond the pools', else one hash probe; owner: one byte. Nothing allocates after start.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "base/types.h"
#include "nat/remote_claims.h"
#include "nat/settings.h"
#include "nat/shared_blocks.h"
#include "nat/static_table.h"
#include "nat/trigger_table.h"
#include "packet/batch.h"

namespace sekisho::nat {

inline constexpr uint8_t kHasStatics = 0xfe;  // never granted: the static table tells each port
inline constexpr uint8_t kSingles = 0xfd;     // never granted: each port has an owner of its own

// The numbers of a pool's blocks: those with a usable port. Port 0 is never one.
struct BlockSpan {
    uint16_t first;
    uint16_t last;
    uint32_t count() const { return last + 1U - first; }  // first == last + 1: there are none
};
BlockSpan block_span(const PoolSettings& pool);
inline uint8_t block_shift(const PoolSettings& pool) {  // log2 of its block size
    return static_cast<uint8_t>(std::countr_zero(pool.port_block_size));
}

// Below it lie the well-known ports (RFC 4787 REQ-3 a).
inline constexpr uint16_t kFirstHighPort = 1024;
// The ports of a pool that are given out one by one (single_ports.h), if there are any.
bool has_single_ports(const PoolSettings& pool);
PortRange single_ports(const PoolSettings& pool);

enum class AddressState : uint8_t {
    kServing,
    kDraining,   // taken away, with blocks that are not back yet
    kWithdrawn,  // the same, but nothing reaches it any more
    kGone,
};
// Neither serving nor gone.
constexpr bool is_leaving(AddressState state) {
    return state == AddressState::kDraining || state == AddressState::kWithdrawn;
}

struct ExternalAddress {
    Ipv4Addr address;
    PoolId pool;
    ShardId home;
    uint8_t block_shift = 8;  // log2 of the pool's block size
    AddressState state = AddressState::kServing;
    std::atomic<uint8_t>* owners = nullptr;  // its owner bytes, by block
    uint32_t first_single = 0;               // of those of its ports that are given out alone
};

class ExternalDirectory {
  public:
    // `settings` must outlive it. Without `shard_of` all subscribers of static mappings are the first shard's.
    ExternalDirectory(
        const NatSettings& settings,
        unsigned shards,
        const ShardOfSubscriber& shard_of = {},
        const HashSecret& secret = {}
    );

    // kNoIndex if no pool has the address, or it is withdrawn.
    ExternalIndex find(Ipv4Addr address) const {
        // Nearly all that is asked for lies far from the pools.
        return address.host() - lowest_ <= reach_ ? find_near(address) : ExternalIndex{kNoIndex};
    }
    const ExternalAddress& operator[](ExternalIndex index) const { return addresses_[index.value]; }
    size_t size() const { return addresses_.size(); }
    // What follow() may make of size(), at most.
    size_t capacity() const { return capacity_; }
    static size_t most_addresses(size_t at_start) {
        return at_start + at_start / 4 + kSpareAddresses;
    }
    // Wanted ones for which there is no room before others are gone.
    size_t waiting() const { return waiting_; }
    // `lost`: former own addresses of links. Cost: linear in the addresses, but for sorting the ranges.
    void follow(const NatSettings& settings, std::span<const Ipv4Addr> lost = {});
    bool is_serving(ExternalIndex index) const {
        return addresses_[index.value].state == AddressState::kServing;
    }
    // Of one that is not serving: whether all its blocks are back.
    bool is_drained(ExternalIndex index) const;
    // Whether some have been taken away and are not gone yet; and whether follow() would let one go.
    bool are_any_draining() const { return are_any_draining_; }
    bool has_drained() const;
    // A few at most: own addresses that links have lost.
    bool are_any_withdrawn() const { return !withdrawn_.empty(); }
    bool is_withdrawn(Ipv4Addr address) const {
        return std::ranges::find(withdrawn_, address) != withdrawn_.end();
    }
    // Whether the appliance answers for it on its links.
    bool is_answered(Ipv4Addr address) const {
        const ExternalIndex index = find(address);
        return index.value != kNoIndex && (is_serving(index) || !is_drained(index));
    }
    // A bit for each shard that is the home of an address of the pool.
    uint64_t homes_of(PoolId pool) const { return homes_[pool.value]; }
    unsigned shards() const { return shards_; }
    // First index and number of a pool's addresses.
    ExternalIndex first_of(PoolId pool) const { return {first_of_pool_[pool.value]}; }
    size_t count_of(PoolId pool) const {
        return first_of_pool_[pool.value + 1U] - first_of_pool_[pool.value];
    }

    // The shard that answers for a packet's external endpoint: the block's owner, or the address's
    // home; of an address-only protocol who has claimed its sender.
    ShardId owner_of(ExternalIndex index, const FlowKey& inbound) const;
    // The same where it does not matter who asks.
    ShardId owner_of(ExternalIndex index, Port port, Protocol protocol) const {
        return owner_of(index, FlowKey::of({}, {}, {}, port, protocol, {}));
    }
    // Whether a shard other than `self` holds the endpoint, as far as the owner bytes and claims
    // tell. A single port that nobody has is not elsewhere, wherever its home is.
    bool is_elsewhere(ExternalIndex index, const FlowKey& inbound, ShardId self) const;
    RemoteClaims& claims() { return *claims_; }
    const RemoteClaims& claims() const { return *claims_; }
    // Of flows that rules have led inside; nullptr: where none can be, or one shard has all.
    RemoteClaims* forwarded() { return forwarded_.get(); }
    const RemoteClaims* forwarded() const { return forwarded_.get(); }
    const StaticTable& statics() const { return statics_; }
    TriggerTable& triggers() { return triggers_; }
    const TriggerTable& triggers() const { return triggers_; }
    // Blocks of an address that hold external ports of static mappings, first and last.
    struct Reserved {
        ExternalIndex external;
        uint16_t first;
        uint16_t last;
    };
    const std::vector<Reserved>& reserved() const { return reserved_; }

    // What static mappings become by other settings; made beside, by whoever changes them.
    struct StaticPlan {
        StaticTable statics;
        TriggerRules triggers;
        bool is_empty() const { return statics.empty() && triggers.rules.empty(); }
    };
    Result<StaticPlan> plan_statics(const NatSettings& next) const;
    // Puts it in the place of what was, and lets former entries go; `settings` are by now those that it was made of. While no
    // turn runs, behind follow(). What it has changed stands below until the next time.
    void follow_statics(const NatSettings& settings, StaticPlan&& next, Tick now);
    // What follow_statics() has changed. Single ports are those of entries, each with its address's place.
    struct StaticRun {
        ExternalIndex external;
        StaticEntry entry;
    };
    struct StaticChange {
        bool is_any = false;
        std::vector<Reserved> fixed;    // to be granted to nobody from now on
        std::vector<Reserved> unfixed;  // no longer so
        std::vector<StaticRun> added;
        std::vector<StaticRun> let_go;
    };
    const StaticChange& static_change() const { return static_change_; }
    // Whether there are former entries or rules; whether follow_statics() would let some go. `uses`: of how many sessions
    // one is, by the `block` of its mappings.
    bool have_former() const;
    bool have_rested(
        const NatSettings& settings, const std::function<uint32_t(uint32_t)>& uses, Tick now
    );
    // Whether a port of an external address is a static mapping's or a forward's, former ones included.
    bool is_fixed(Ipv4Addr external, Port port, Protocol protocol) const;
    // Who holds a block that is fixed: SharedBlocks.
    uint8_t holder_of(ExternalIndex index, uint16_t block) const {
        const uint8_t byte = owner_byte(index, block);
        return byte == kHasStatics ? shared_.holder_of(index, block) : byte;
    }
    bool is_fixed_block(ExternalIndex index, uint16_t block) const {
        return owner_byte(index, block) == kHasStatics;
    }
    bool are_any_shared() const { return !shared_.empty(); }
    // A block goes home.
    void give_up(ExternalIndex index, uint16_t block);
    // Whether there are blocks of an address that may be granted, taken or not.
    bool grants_blocks(ExternalIndex index) const {
        return is_full_.empty() || is_full_[index.value] == 0;
    }
    // The byte itself: a shard, kSingles, kHasStatics or kOwnedByHome.
    uint8_t owner_byte(ExternalIndex index, uint16_t block) const;
    void set_owner(ExternalIndex index, uint16_t block, uint8_t owner);
    // The same of a port that is given out alone: a shard or kOwnedByHome.
    void set_port_owner(ExternalIndex index, unsigned slot, uint16_t port, uint8_t owner);

  private:
    static constexpr size_t kSpareAddresses = 64;
    void add(PoolId pool, AddressRange range, uint8_t shift);
    AddressState state_after(uint32_t index, bool is_wanted, std::span<const Ipv4Addr> lost) const;
    std::vector<std::vector<uint32_t>> gone_by_pool() const;
    void add_missing(PoolId pool, const PoolSettings& settings, std::span<const uint32_t> gone);
    void index_addresses();
    void reserve_statics(const NatSettings& settings);
    Reserved reserve(const StaticEntry& entry, ExternalIndex index);
    void mark_full(const NatSettings& settings, ExternalIndex index);
    bool has_fixed_port(ExternalIndex index, uint16_t block) const;
    bool is_of_whole(const StaticEntry& entry) const;
    void fix(ExternalIndex index, uint16_t block, const StaticEntry& entry);
    void unfix(ExternalIndex index, uint16_t block);
    // `block`: of its mappings.
    StaticEntry entry_of(uint32_t block) const;
    EntryState state_of(uint32_t block) const;
    ExternalIndex& place_of(uint32_t block);
    std::vector<uint32_t> blocks_of_all() const;
    void let_rested_go(const NatSettings& settings, const std::vector<uint32_t>& all, Tick now);
    void begin_entry(uint32_t block);
    bool has_rested(const NatSettings& settings, uint32_t block, Tick now);
    static void add_runs(
        std::vector<StaticRun>& runs, ExternalIndex index, const StaticEntry& entry
    );
    void mark_singles(const NatSettings& settings);
    ShardId owner_by_flow(const ExternalAddress& address, const FlowKey& inbound) const;
    ShardId owner_of_port(const ExternalAddress& address, const FlowKey& inbound) const;
    ExternalIndex find_near(Ipv4Addr address) const;
    ShardId owner_by_remote(ExternalIndex index, const FlowKey& inbound) const;

    unsigned shards_ = 1;
    uint32_t lowest_ = 0;  // of all addresses, host order
    uint32_t reach_ = 0;   // how far the highest lies above it
    std::vector<ExternalAddress> addresses_;
    std::vector<uint32_t> first_of_pool_;  // one more than there are pools
    std::vector<uint32_t> slots_;  // open addressing, half full at most: indexes of addresses_
    uint32_t mask_ = 0;
    std::vector<std::unique_ptr<std::atomic<uint8_t>[]>> owners_;  // as they were added
    std::vector<uint64_t> homes_;                                  // by PoolId
    size_t capacity_ = 0;
    size_t waiting_ = 0;
    bool are_any_draining_ = false;
    std::vector<Ipv4Addr> withdrawn_;
    // By address, protocol_slot() and port; none where one shard has all.
    std::vector<std::atomic<uint8_t>> port_owners_;
    std::vector<uint16_t> last_single_;  // by PoolId; 0: none
    ShardOfSubscriber shard_of_;
    HashSecret secret_;
    StaticTable statics_;
    TriggerTable triggers_;
    SharedBlocks shared_;
    StaticChange static_change_;
    // Of the addresses of entries and rules, by number; kNoIndex: nothing is reserved.
    std::vector<ExternalIndex> places_;
    std::vector<ExternalIndex> trigger_places_;
    // Former ones without a session, by the `block` of their mappings.
    std::map<uint32_t, Tick> empty_since_;
    std::unique_ptr<RemoteClaims> claims_;
    std::unique_ptr<RemoteClaims> forwarded_;
    std::vector<Reserved> reserved_;
    std::vector<uint8_t>
        is_full_;  // by ExternalIndex, where there are static mappings: no block is left
};

}  // namespace sekisho::nat
