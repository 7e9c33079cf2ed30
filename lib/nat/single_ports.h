// SinglePorts: the ports that a home gives out one by one, of the addresses homed on one shard.
//
//   Which     all of a pool whose `port-selection` is preserve; of one with `port-ranges: preserve`
//             those below 1024. All others are granted by the block (home.h, port_block.h).
//   Free      means free on the whole appliance, so that what a subscriber gets does not depend on
//             the number of shards.
//   Shape     for each address and protocol three bitmaps (free, resting now, resting before; as in
//             port_block.h) and a summary with a bit for each word that has a free port: 74 KiB an
//             address with all ports.
//   Cost      take, release: O(1). take_any: O(words of the summary), until the last port; next_address:
//             O(addresses / 64), and an address that is full is met once an epoch (PITFALLS 1, 4). Once an
//             epoch (a quarantine) the first look at an address goes through its bitmaps.
//   Fixed     a static mapping's port is nobody else's. One that a subscriber has when the static mapping comes stays out until it comes
//             back; what came back, or was here, is kept until the static mapping is let go.
//   Owner     the home shard. Derived state: what no mapping has is free.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "base/types.h"
#include "nat/external_directory.h"
#include "nat/port_block.h"
#include "nat/settings.h"

namespace sekisho::nat {

// What will do in place of a wanted port.
struct SingleWish {
    unsigned slot = 0;  // protocol_slot()
    PortRange range;
    PortWish parity = PortWish::kAny;
};

// A port that a subscriber was given, until its mapping is made.
struct SingleGrant {
    uint32_t subscriber = kNoIndex;  // kNoIndex: there is none
    ExternalIndex external{kNoIndex};
    uint16_t port = 0;    // host order
    uint16_t wanted = 0;  // the internal one
    uint8_t slot = 0;
};

class SinglePorts {
  public:
    SinglePorts() = default;
    SinglePorts(const NatSettings& settings, const ExternalDirectory& directory, ShardId home);

    // Static mappings that have come and gone: ExternalDirectory::static_change().
    void follow_statics(const ExternalDirectory& directory);
    // False if the port is in use, rests, or is none that is given out alone.
    bool take(ExternalIndex external, unsigned slot, uint16_t port, const RestClock& clock);
    // The first that will do at or after `start`, going round; 0: there is none.
    uint16_t take_any(
        ExternalIndex external, const SingleWish& wish, uint16_t start, const RestClock& clock
    );
    void release(
        ExternalIndex external, unsigned slot, uint16_t port, bool rests, RestClock& clock
    );
    bool is_free(ExternalIndex external, unsigned slot, uint16_t port, const RestClock& clock);

    // How many addresses of the pool are homed here; and the next one, going round, that may have a port for
    // the wish. kNoIndex: there is none.
    uint32_t homed_of(PoolId pool) const { return parts_[pool.value].count; }
    ExternalIndex next_address(PoolId pool, const SingleWish& wish, const RestClock& clock);

  private:
    // What a wish may be for: an even or an odd port, below 1024 or not, of each protocol.
    static constexpr size_t kKinds = size_t{kProtocolSlots} * 4;
    struct Part {  // of addresses_, a pool's
        uint32_t first = 0;
        uint32_t count = 0;
        uint32_t epoch =
            ~uint32_t{0};  // in which all of them have been given the chance to have free ports
        uint32_t hand = 0;
    };
    static size_t kind_of(unsigned slot, uint32_t port) {
        return size_t{slot} * 4 + (port < kFirstHighPort ? 0U : 2U) + port % 2;
    }
    static uint32_t kinds_of(const SingleWish& wish);
    uint64_t candidates(uint32_t kinds, size_t word) const;
    uint32_t find_address(uint32_t kinds, uint32_t from, uint32_t end) const;
    void give_all_a_chance(Part& part, uint32_t epoch);
    struct Address {
        size_t first_word = 0;
        uint32_t words = 0;  // of one bitmap; 0: it has no such ports
        uint32_t epoch = 0;  // in which the bitmaps were last looked at
    };
    struct Maps {
        uint64_t* free;
        uint64_t* now;
        uint64_t* before;
        uint64_t* summary;
        uint32_t words;
    };
    static size_t words_of_slot(uint32_t words) { return 3 * size_t{words} + (words + 63) / 64; }
    Address& address_of(ExternalIndex external) { return addresses_[external.value / shards_]; }
    Maps maps_of(const Address& address, unsigned slot);
    void add(const PoolSettings& pool, Address& address);
    struct Fixed {
        std::vector<uint64_t> fixed;  // a bit each port
        std::vector<uint64_t> kept;   // the same: those of them that are here
    };
    void fix(ExternalIndex external, const StaticEntry& entry);
    void unfix(
        const ExternalDirectory& directory, ExternalIndex external, const StaticEntry& entry
    );
    void fix_port(Address& address, unsigned slot, uint32_t port);
    // Whether one that comes back is kept.
    bool keep(ExternalIndex external, unsigned slot, uint16_t port);
    void look(Address& address, const RestClock& clock);
    static void mark_free(const Maps& maps, uint32_t port);
    static void mark_range_free(
        const Maps& maps, PortRange ports, const std::vector<uint64_t>& reserved
    );
    static void mark_taken(const Maps& maps, uint32_t port);
    static uint32_t find(const Maps& maps, uint32_t from, uint32_t to, PortWish parity);

    unsigned shards_ = 1;
    unsigned home_ = 0;
    std::vector<Address> addresses_;  // by ExternalIndex / shards
    std::vector<uint64_t> bits_;
    std::map<uint32_t, Fixed> fixed_;  // by address and slot, where there are any
    std::vector<Part> parts_;          // by PoolId
    // By kind: which of addresses_ may have a free port of it, a bit each.
    std::array<std::vector<uint64_t>, kKinds> may_have_;
};

}  // namespace sekisho::nat
