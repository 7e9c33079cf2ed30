// Stages: what a burst and the tables of a shard look like to the stages of the pipeline, and the stages themselves.
//
//   parse (lib/packet) - hash - probe - screen - (gather) - steer - find - (make) - (judge) - (fit) - (bind) - track - (clamp) -
//   (set_tos) - write - route - (divide) - finish (Shard)
//
//   Law       a stage is a function over the whole burst; it looks only at packets whose verdict is kPending (make: kMiss
//             too), ends some of them with another verdict, and leaves the rest to the next stage. None calls a later one.
//   Never     allocates, locks, logs, reads a clock. Thread: the shard's worker.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "base/toeplitz.h"
#include "dataplane/fragment_ids.h"
#include "dataplane/fragment_table.h"
#include "dataplane/hop_table.h"
#include "dataplane/judge.h"
#include "dataplane/network.h"
#include "dataplane/scanned_flows.h"
#include "dataplane/unsolicited_syns.h"
#include "nat/external_directory.h"
#include "nat/nat_shard.h"
#include "nat/policy.h"
#include "packet/batch.h"
#include "packet/parse.h"

namespace sekisho::dataplane {

using packet::kBurst;

// How a burst came to this pass.
enum class Origin : uint8_t {
    kFresh,      // from a device's queue
    kHandedOff,  // from another shard, which believes that the packets belong here
    kResumed,    // was held here, or begins the second half of a hairpin here
};

struct StageTables {
    ShardId self;
    unsigned shards = 1;
    const Network* network = nullptr;
    const nat::ExternalDirectory* directory = nullptr;
    const base::Toeplitz* toeplitz = nullptr;
    const base::ShardTable* table = nullptr;
    nat::NatShard* nat = nullptr;
    HopTable* hops = nullptr;
    FragmentTable* fragments = nullptr;
    FragmentIds* fragment_ids = nullptr;
    const nat::Exemptions* exemptions = nullptr;
    Judge* judge = nullptr;                  // empty: there are no rules
    nat::RemoteClaims* forwarded = nullptr;  // ExternalDirectory::forwarded()
    UnsolicitedSyns* unsolicited_syns = nullptr;
    ScannedFlows* scanned = nullptr;          // empty: no rule asks for payloads
    std::span<const packet::LinkView> links;  // by LinkId
    uint16_t smallest_mtu = 1500;             // of all links: what fits there fits everywhere

    ShardId shard_of(Ipv4Addr address) const { return table->of((*toeplitz)(address)); }
    bool is_pool(Ipv4Addr address) const { return directory->find(address).value != kNoIndex; }
    // As a realm sees it (network.h).
    bool is_ours(RealmId realm, Ipv4Addr address) const {
        return is_pool(address) || network->is_own(realm, address);
    }
};

struct Burst {
    Batch batch;
    Origin origin = Origin::kFresh;
    bool steered = false;       // kFresh: the device has put outbound packets on their shard
    uint32_t misses = 0;        // find: packets without a session
    uint32_t untranslated = 0;  // make, if it was called: of them, those that are exempt
    uint32_t judged = 0;        // make: bit i: the rules were asked about packet i
    uint32_t changes_tos = 0;   // judge: bit i: packet i gets another TOS
    // make, judge: bit i: the session of packet i is to end, which was made for it alone; which new rules forbid.
    uint32_t made_in_vain = 0;
    uint32_t forbidden = 0;
    // steer, make: bit i: rules have led packet i inside, to led_to[i]. The first: another shard has asked them.
    uint32_t was_led = 0;
    uint32_t is_led = 0;
    std::array<uint32_t, kBurst> candidate;  // probe: what the index says first, not compared yet
    // Beside the metadata, for the few packets that need it:
    std::array<flow::Session, kBurst> scratch;    // make: translation from a mapping alone
    std::array<SubscriberIndex, kBurst> waiting;  // make: with kHold
    std::array<Hop, kBurst> hop;                  // route: with kPuntNeighbour of an unresolved hop
    std::array<uint8_t, kBurst> tos;              // judge: with its bit in changes_tos
    std::array<nat::Forward, kBurst> led_to;      // steer, make: with its bit in was_led or is_led
};
static_assert(kBurst <= 32);

// TTL, before anything else is decided: what would run out here goes no further, unless it is for the appliance. Only called
// when a TTL is that low.
void screen(Burst& burst, const StageTables& tables);

// The same of what is a subscriber's though it came to an own address (masquerade). Called behind make.
void screen_translated(Burst& burst, const StageTables& tables);

// Fragments, at the home of their datagram: later ones get their flow from the first one, or wait for it with kKept. Only
// called when the burst has fragments.
void gather(Burst& burst, const StageTables& tables, Tick now);

// What became of first fragments that began a datagram here: its others share their fate. Only called when the burst has
// fragments.
void bind(Burst& burst, const StageTables& tables, Tick now);

// Whose packet is it? Ends those of other shards with kHandOff. Only called when there are several shards.
void steer(Burst& burst, const StageTables& tables);

// Hashes every key and asks for its first bucket.
void hash(Burst& burst, const StageTables& tables);

// Looks the keys up without comparing, and asks for the session that each may be. Other bursts may pass before find: a
// candidate is a guess.
void probe(Burst& burst, const StageTables& tables);

// Sessions of known flows: meta.session and session_index; the others get kMiss and are counted in `misses`.
void find(Burst& burst, const StageTables& tables, Tick now);

// Judges misses and makes sessions; those that pass are kPending again.
void make(Burst& burst, const StageTables& tables, Tick now);

// Asks the rules about packets that make has not asked them about, and ends what they forbid. Only called when there are rules.
void judge(Burst& burst, const StageTables& tables, Tick now);

// Its last part: ends the sessions in made_in_vain and forbidden. Not before the whole burst has been judged: other packets of it
// may have the same session.
void end_forbidden(Burst& burst, const StageTables& tables, Tick now);

// Of packets that the appliance itself sends.
void judge_own(Burst& burst, const StageTables& tables, Tick now);

// The TOS that rules have set. Only called when they have.
void set_tos(Burst& burst);

// Ends what is larger than the next link's MTU and must not be cut. Only called when a packet is larger than the smallest MTU.
void fit(Burst& burst, const StageTables& tables);

// Activity, counts, TCP state.
void track(Burst& burst, const StageTables& tables, Tick now);

// The segment size in SYNs, where a policy clamps it. Only called when track has seen such a SYN.
void clamp(Burst& burst, const StageTables& tables);

// Translates. Outbound packets to a pool address end with kHairpin: their second half begins.
void write(Burst& burst, const StageTables& tables);

// Next hop and link header: kTransmit, or kPuntNeighbour for a next hop without address.
void route(Burst& burst, const StageTables& tables);

// Of what is routed, that which its link takes only in pieces gets kCut. Only called when a packet is larger than the
// smallest MTU.
void divide(Burst& burst, const StageTables& tables);

// The same as route for packets of the appliance itself and for those that waited for a neighbour: by the destination in the packet.
void route_own(Burst& burst, const StageTables& tables);

// The next hop of a destination on the side where it must be, or the reason why there is none. One word (nat/results.h says
// why).
class HopResult {
  public:
    static constexpr HopResult of(const Hop& hop) {
        const uint64_t low = uint64_t{hop.link.value} << 16 | (hop.on_link ? kOnLink : 0) | kFound;
        return HopResult(uint64_t{hop.next_hop.raw} << 32 | low);
    }
    static constexpr HopResult none(DropReason reason) {
        return HopResult(uint64_t{static_cast<uint8_t>(reason)} << 16);
    }

    constexpr bool is_found() const { return (bits_ & kFound) != 0; }
    constexpr DropReason reason() const { return static_cast<DropReason>(middle()); }
    constexpr LinkId link() const { return {middle()}; }
    constexpr Hop hop() const {
        return {link(), {static_cast<uint32_t>(bits_ >> 32)}, (bits_ & kOnLink) != 0};
    }

  private:
    static constexpr uint64_t kFound = 1;
    static constexpr uint64_t kOnLink = 2;
    constexpr explicit HopResult(uint64_t bits) : bits_(bits) {}
    constexpr uint8_t middle() const { return static_cast<uint8_t>(bits_ >> 16); }

    uint64_t bits_;
};
// `realm`: the subscriber's, whichever side the destination is on.
HopResult find_hop(
    const StageTables& tables, RealmId realm, Ipv4Addr destination, Direction direction
);

// Whether nobody on the side from which a packet came can have sent it with this source address: it is the appliance's or a
// pool's, or the route to it does not lead back there, into any realm (RFC 2827, RFC 3704). Not of hairpins on their second half.
// `realm`: as which the packet was sent (realm_of, Network::view_of).
bool is_forged(RealmId realm, Ipv4Addr source, Direction direction, const StageTables& tables);
// The same of the packet's own source, where it may be another realm's address: asks whom the packet is for.
bool is_forged_inbound(const PacketMeta& meta, const StageTables& tables);

// The neighbour that a session may remember for packets to the outside by `hop`, or 0: not resolved, or an entry that may
// come to stand for somebody else.
NeighbourId known_neighbour(const StageTables& tables, const Hop& hop, Ipv4Addr destination);

// The realm as which a packet was sent: its link's, or that of the external side.
inline RealmId realm_of(const PacketMeta& meta) {
    return meta.key.realm();
}

// Bytes behind the TCP header of a packet that has one; kNoIndex of a fragment: it does not tell.
inline uint32_t tcp_data_of(const PacketRef& ref, const PacketMeta& meta) {
    const uint8_t* const tcp = ref.data + meta.l4_offset;
    const auto header = static_cast<uint32_t>(tcp[packet::offset::kTcpOffset] >> 4 << 2);
    const uint32_t data = meta.l3_length - (uint32_t{meta.l4_offset} - meta.l3_offset) - header;
    return ref.fragment == 0 ? data : kNoIndex;
}

// What stages do with a packet, alike in several.
void hand_off(PacketRef& ref, PacketMeta& meta, ShardId target);
void pass_by_session(PacketMeta& meta, SessionIndex index, const StageTables& tables);
void pass_by_mapping(Burst& burst, uint32_t i, MappingIndex mapping, const StageTables& tables);
void pass_by_static(Burst& burst, uint32_t i, const StageTables& tables);
// make, of a miss that is exempt from translation; false: it is not, and nothing has changed.
bool pass_untranslated(Burst& burst, uint32_t i, const StageTables& tables);
// make, where some rule lets packets pass untracked: the same of a miss that they have said it of. True also if they forbid it. False: the
// question has begun, as begin_asking() begins it.
bool pass_untracked(Burst& burst, uint32_t i, const StageTables& tables, Tick now);
// The flow of a packet, if it is exempt from translation, as its subscriber's packets show it; `by_port`: if only its ports can
// tell. Inbound: in the realm whose exemptions have it (the configuration has seen that there is but one).
std::optional<FlowKey> exempt_flow(
    const PacketMeta& meta, const StageTables& tables, bool by_port = false
);
// make, where there are rules, about a miss before anything is made of it. False: they forbid it, and its verdict says so. What
// they were asked is not counted until it is known what becomes of the packet: finish_asking() or nothing, before the next one.
struct Ahead {
    LinkId out_link;
    nat::RemoteEndpoint destination;  // translated
};
bool ask_of_outbound(
    Burst& burst, uint32_t i, const Ahead& ahead, const StageTables& tables, Tick now
);
// Its first part: all that is asked of a packet as it arrives. Unless it was asked already.
bool begin_asking(Burst& burst, uint32_t i, const StageTables& tables, Tick now);
// All the rest, of one that passes untracked, with its scratch session.
bool ask_of_untracked(Burst& burst, uint32_t i, const StageTables& tables);
// translate.cc: where rules lead a new flow. From inside: its target and pool, written into `newcomer`; the first begins the question
// (false: they forbid it), the second wants ask_of_outbound() before it. False of either: its verdict is there, maybe as what is to be
// searched first.
bool lead_destination(
    Burst& burst, uint32_t i, nat::NatShard::Newcomer& newcomer, const StageTables& tables, Tick now
);
bool lead_source(
    const PacketMeta& meta, nat::NatShard::Newcomer& newcomer, const StageTables& tables
);
// From outside, of a miss: false: its verdict is there, as it was handed to the shard of its host, or may not pass. True: it goes on, with
// its bit in is_led if it is led inside.
bool lead_inside(Burst& burst, uint32_t i, const StageTables& tables, Tick now);
// Of an inbound miss: true: its flow was led inside, and its packets go to the host's shard.
bool follow_inside(Burst& burst, uint32_t i, const StageTables& tables);
// Behind all of them.
void give_up_led(Burst& burst, const StageTables& tables);
bool ask_of_inbound(Burst& burst, uint32_t i, const StageTables& tables, Tick now);
// Of one that has passed, or that the NAT itself has ended.
void finish_asking(Burst& burst, uint32_t i, const StageTables& tables);
// make, of a later fragment without session.
void judge_later_fragment(Burst& burst, uint32_t i, const StageTables& tables, Tick now);

// The first internal realm that has a route to a host; kExternalRealm: none has.
RealmId realm_inside(Ipv4Addr host, const StageTables& tables);

// The addresses that an IPv4 packet carries.
inline Ipv4Addr source_of(const PacketRef& ref, const PacketMeta& meta) {
    return {packet::load<uint32_t>(ref.data + meta.l3_offset + packet::offset::kIpSource)};
}
inline Ipv4Addr destination_of(const PacketRef& ref, const PacketMeta& meta) {
    return {packet::load<uint32_t>(ref.data + meta.l3_offset + packet::offset::kIpDestination)};
}

}  // namespace sekisho::dataplane
