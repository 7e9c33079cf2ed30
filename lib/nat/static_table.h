// StaticTable: the mappings that the operator has made, found by either endpoint.
//
//   Entries   one for each static mapping and protocol: a run of internal ports and as many external
//             ones. They exist from the start and never end; what is in use of one is a Mapping like
//             any other, made for its first session and gone with its last (static.cc).
//   Law       no two entries share an internal or an external endpoint (checked by lib/config).
//   Order     addresses and ports are taken and given in network order; runs are host order.
//   Cost      find: a binary search; nothing where the table is empty. Thread: immutable.
//   Source    RFC 8512 (mapping-entry, type static), RFC 3022 2.1 (Basic NAT); ARCHITECTURE 2.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "base/keyed_hash.h"
#include "base/types.h"
#include "nat/original.h"
#include "nat/settings.h"
#include "nat/target_choice.h"

namespace sekisho::nat {

// The shard of a subscriber, by its internal address.
using ShardOfSubscriber = std::function<ShardId(Ipv4Addr)>;

struct StaticEntry {
    Ipv4Addr internal;
    Ipv4Addr external;
    uint16_t internal_first = 0;
    uint16_t external_first = 0;
    uint16_t more = 0;  // ports of the run besides the first
    Protocol protocol{};
    RealmId realm;
    ShardId shard;  // of the subscriber
    bool is_whole = false;
    uint32_t setting =
        0;  // index in NatSettings::static_mappings, or of a member in destination_nat
    uint32_t service = kNoIndex;  // of a member: its external endpoints are those of others too

    bool is_member() const { return service != kNoIndex; }

    Port external_of(Port internal_port) const {
        return Port::from_host(
            static_cast<uint16_t>(internal_port.host() - internal_first + external_first)
        );
    }
    Port internal_of(Port external_port) const {
        return Port::from_host(
            static_cast<uint16_t>(external_port.host() - external_first + internal_first)
        );
    }
};

class StaticTable {
  public:
    StaticTable() = default;
    // `settings` must outlive it.
    StaticTable(
        const NatSettings& settings, const ShardOfSubscriber& shard_of, const HashSecret& secret
    );

    bool empty() const { return entries_.empty(); }
    const std::vector<StaticEntry>& entries() const { return entries_; }
    // nullptr: none.
    const StaticEntry* find_internal(Ipv4Addr address, RealmId realm, Port port, Protocol protocol)
        const;
    // Of a service the member that `from` gets.
    const StaticEntry* find_external(
        const RemoteEndpoint& endpoint, Protocol protocol, const RemoteEndpoint& from
    ) const;
    bool has_members() const { return !services_.empty(); }
    // Whether `from` gets this member by its external port.
    bool chooses(const StaticEntry& member, Port external_port, const RemoteEndpoint& from) const;
    // The external address of any entry of this subscriber; 0.0.0.0: it has none.
    Ipv4Addr external_of_subscriber(Ipv4Addr address, RealmId realm) const;
    // Whether the access list lets this remote host begin.
    bool admits(const StaticEntry& entry, Ipv4Addr remote) const;
    uint32_t id_of(const StaticEntry& entry) const {
        return static_cast<uint32_t>(&entry - entries_.data());
    }

  private:
    struct Service {
        TargetChoice choice;
        Affinity affinity;
        uint32_t first;  // of its members, in the order of the targets
    };
    void add_static_mappings(const ShardOfSubscriber& shard_of);
    void add_services(const ShardOfSubscriber& shard_of);
    void add_service(
        const DestinationNatSettings& rule, StaticEntry entry, const ShardOfSubscriber& shard_of
    );
    uint32_t member_for(
        const Service& service, const RemoteEndpoint& endpoint, const RemoteEndpoint& from
    ) const;

    const NatSettings* settings_ = nullptr;
    HashSecret secret_;
    std::vector<StaticEntry> entries_;
    std::vector<Service> services_;
    std::vector<uint32_t> by_internal_;
    std::vector<uint32_t> by_external_;
};

}  // namespace sekisho::nat
