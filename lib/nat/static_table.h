// StaticTable: the mappings that the operator has made, found by either endpoint.
//
//   Entries   one for each static mapping and protocol: a run of internal ports and as many external
//             ones. What is in use of one is a Mapping like any other, made for its first session and
//             gone with its last (static.cc).
//   Change    a table is made from the one before it: what stays keeps its number, and what is taken away
//             is a former entry, found by nobody new, until nothing is in use of it any more and it is let
//             go (ExternalDirectory::follow_statics); then its number is given again.
//   Law       no two entries in force share an external endpoint, nor an internal one (checked by lib/config), but that of
//             members whose protocol is TCP: what such an endpoint begins is the first one's.
//   Order     addresses and ports are taken and given in network order; runs are host order.
//   Cost      find: a binary search; nothing where the table is empty. Thread: immutable, but for let_go().
//   Source    RFC 8512 (mapping-entry, type static), RFC 3022 2.1 (Basic NAT); ARCHITECTURE 2.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <tuple>
#include <vector>

#include "base/keyed_hash.h"
#include "base/types.h"
#include "nat/original.h"
#include "nat/settings.h"
#include "nat/target_choice.h"

namespace sekisho::nat {

// The shard of a subscriber, by its internal address.
using ShardOfSubscriber = std::function<ShardId(Ipv4Addr)>;

// In StaticEntry::service of one that is former.
inline constexpr uint32_t kFormerService = kNoIndex - 2;

enum class EntryState : uint8_t { kInForce, kFormer, kFree };

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
    EntryState state = EntryState::kInForce;
    uint32_t setting =
        0;  // index in NatSettings::static_mappings, or of a member in destination_nat
    uint32_t service = kNoIndex;  // of a member: its external endpoints are those of others too

    bool is_member() const { return service != kNoIndex; }
    bool is_in_force() const { return state == EntryState::kInForce; }
    PortRange external_ports() const {
        return {external_first, static_cast<uint16_t>(external_first + more)};
    }

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
    // All that tells whether an entry is the one that it was.
    using EntryName = std::tuple<
        uint32_t,  // addresses
        uint32_t,
        uint16_t,  // ports
        uint16_t,
        uint16_t,
        Protocol,
        uint8_t,  // realm
        bool,     // is a whole address, or a member of a service
        bool>;

  public:
    StaticTable() = default;
    // The entries of `settings`; `before`: what is to be in its place.
    StaticTable(
        const NatSettings& settings,
        const ShardOfSubscriber& shard_of,
        const HashSecret& secret,
        const StaticTable* before = nullptr
    );
    // Where access lists are, in step with what it was made of; must outlive it.
    void stand_on(const NatSettings& settings) { settings_ = &settings; }

    bool empty() const { return entries_.empty(); }
    bool has_former() const { return !former_.empty(); }
    // Whether it came in the place of another, so that mappings may be others' than its entries'.
    bool has_followed() const { return has_followed_; }
    // By number.
    const std::vector<StaticEntry>& entries() const { return entries_; }
    // nullptr: none.
    const StaticEntry* find_internal(Ipv4Addr address, RealmId realm, Port port, Protocol protocol)
        const;
    // Former ones; of those that had the same endpoint the last.
    const StaticEntry* find_former(const RemoteEndpoint& endpoint, Protocol protocol) const;
    const std::vector<uint32_t>& former() const { return former_; }
    // Whether an external port is an entry's, former ones included.
    bool has_external(const RemoteEndpoint& endpoint, Protocol protocol) const;
    // Whether one of these ports of an external address is.
    bool has_any_of(Ipv4Addr external, PortRange ports) const;
    // Former entries of which nothing is in use.
    void let_go(std::span<const uint32_t> ids);
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
        std::vector<uint32_t> members;  // in the order of the targets
    };
    using Numbers = std::map<EntryName, uint32_t>;
    static EntryName name_of(const StaticEntry& entry);
    void take_numbers(std::vector<uint32_t>& ended);
    void close_former(const std::vector<uint32_t>& ended);
    uint32_t add(const StaticEntry& entry);
    bool has_any_of(Ipv4Addr external, PortRange ports, Protocol protocol) const;
    void sort_former();
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
    bool has_followed_ = false;
    std::vector<StaticEntry> entries_;
    std::vector<Service> services_;
    std::vector<uint32_t> by_internal_;  // in force, as those by external endpoint
    std::vector<uint32_t> by_external_;
    std::vector<uint32_t> former_;  // by external endpoint, then as they ended
    std::vector<uint32_t> ended_;   // the same, as they ended
    // By place in former_: the highest port of these so far, of the same address and protocol.
    std::vector<uint16_t> former_reach_;
    // While it is made: entries of the table before by what they are, and numbers that nobody has.
    Numbers known_;
    std::vector<uint32_t> free_;
};

}  // namespace sekisho::nat
