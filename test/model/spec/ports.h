// Ports: the external ports of one pool: who holds which block, what is in use, what rests.
//
//   The specification does not choose: it is told which port or block somebody got and says whether
//   that was right, or that nobody got any and says whether that had to be.
//   Rest      a freed port is given to nobody for the quarantine T, and to somebody again before 2 T
//             have passed (RFC 6888 REQ-8; the manual). In between it may be either. A closed TCP
//             connection's port need not rest (REQ-8 A).
//   Preserve  in a pool that preserves ports there are no blocks; the internal port is given where it
//             is free for sure at the paired address, or, without pairing, at any.
//   Blocks    a block belongs to one subscriber; it leaves it only empty and rested.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "settings.h"

namespace sekisho::spec {

enum class Chance : uint8_t { kNo, kMaybe, kSure };
enum class Wish : uint8_t { kAny, kEven, kOdd };

struct HeldBlock {
    Address address = 0;
    unsigned number = 0;  // first port / block size
    Address subscriber = 0;
    ByProto<unsigned> in_use;
    ByProto<unsigned> marked;  // the same, and those that are reserved
};

class Ports {
  public:
    explicit Ports(const Pool& pool);

    // Whether a subscriber could be given a port out of its own blocks now.
    // `at`: out of those of this address alone.
    Chance own_port(
        Address subscriber,
        Proto protocol,
        Wish wish,
        Time now,
        std::optional<Address> at = std::nullopt
    ) const;
    // The same of a new block: free, or empty and rested with whoever has it.
    Chance new_block(Address subscriber, Time now) const;
    // The same of a pool without blocks; `paired`: where the subscriber has mappings.
    Chance single_port(
        std::optional<Address> paired, Proto protocol, uint16_t internal, Wish wish, Time now
    ) const;
    // What is wrong with this choice, beside what take() says of it.
    std::string check_single(
        std::optional<Address> paired,
        Proto protocol,
        uint16_t internal,
        const Endpoint& external,
        Time now
    ) const;
    unsigned blocks_of(Address subscriber) const;
    Chance may_give(Proto protocol, const Endpoint& external, Time now) const;

    // What is wrong with giving this one to this subscriber; empty if nothing is.
    std::string take(
        Address subscriber, Proto protocol, const Endpoint& external, Wish wish, Time now
    );
    // The mapping ended between `from` and `now`.
    void release(Proto protocol, const Endpoint& external, bool rests, Time from, Time now);
    // Who holds what now; what is wrong with that.
    std::string observe(const std::vector<HeldBlock>& held, Time now);
    // What must be true at rest: counts of blocks and ports, nothing held for too long.
    std::string audit(const std::vector<HeldBlock>& held, Time now) const;

    size_t in_use() const { return used_.size(); }
    unsigned in_use_of(Address subscriber, Proto protocol) const;
    size_t blocks() const { return blocks_.size(); }
    // How many ports rest for sure, and how many may.
    std::pair<size_t, size_t> resting(Time now) const;
    const Pool& pool() const { return pool_; }

  private:
    using Name = std::pair<Proto, Endpoint>;
    using BlockName = std::pair<Address, unsigned>;
    struct Freed {
        Time from = 0;  // it was free at this time at the earliest
        Time to = 0;    // and at the latest
    };
    struct Block {
        std::optional<Address> owner;
        std::multiset<Proto> used;
        std::optional<Freed> rest;  // of the port that was freed last
        Time empty_since = 0;       // at the latest
    };
    BlockName block_of(const Endpoint& external) const {
        return {external.address, external.port / pool_.block_size};
    }
    unsigned reserved_in(unsigned block) const;
    bool keeps_range(Proto protocol, uint16_t internal, uint16_t external) const;
    Chance has_rested(const std::optional<Freed>& freed, Time now) const;
    std::string observe_pairing(const std::map<BlockName, Address>& owners, Time now);
    std::string put_owner(const BlockName& name, std::optional<Address> owner, Time now);

    const Pool& pool_;
    std::map<BlockName, Block> blocks_;
    std::map<Address, Address> paired_;  // subscribers; where pairing is soft
    std::set<Name> used_;
    std::map<Name, Freed> freed_;
};

}  // namespace sekisho::spec
