#include "dataplane/slow_path.h"

#include <algorithm>
#include <array>
#include <mutex>
#include <random>

#include "base/mutation.h"
#include "dataplane/slow_path_icmp.h"
#include "dataplane/slow_path_limits.h"
#include "dataplane/slow_path_neighbours.h"
#include "dataplane/slow_path_outbox.h"
#include "dataplane/slow_path_reset.h"
#include "packet/batch.h"
#include "packet/views.h"

namespace sekisho::dataplane {

namespace {

// Punts a class and poll, over all shards.
constexpr std::array<unsigned, kPuntClasses> kBudgets = {128, 128, 64, 64, 64};

HashSecret draw_secret() {
    std::random_device source;
    HashSecret secret;
    for (uint64_t& word : secret.words) {
        word = uint64_t{source()} << 32 | source();
    }
    return secret;
}

// Of a SYN to a pool that nothing inside has asked for.
bool is_unsolicited(const Punt& punt) {
    return punt.kind == Punt::kIcmpError &&
           punt.reason == static_cast<uint8_t>(DropReason::kNoMapping);
}

bool is_station(const MacAddr& mac) {
    return (mac.bytes[0] & 1) == 0 && mac != MacAddr{};
}

}  // namespace

struct SlowPath::State {
    State(
        const Network& the_network,
        const nat::ExternalDirectory& the_directory,
        Fabric& the_fabric,
        const SlowPathSettings& settings
    )
        : network(the_network),
          directory(the_directory),
          fabric(the_fabric),
          outbox(the_fabric),
          secret(draw_secret()),
          neighbours(the_network, outbox, settings, counters, secret),
          echoes(settings.echo_per_second),
          pool_echoes(settings.pool_echo_per_second),
          errors(settings.errors_per_second),
          unsolicited(settings.unsolicited_per_second),
          errors_by_source(settings.errors_per_source_per_second, secret) {}

    unsigned flush() {
        return outbox.flush([this](NeighbourId id) { return neighbours.entry(id); });
    }
    void start(Tick now);
    void follow(const Network& before, Tick now);
    void announce_later(LinkId link, Ipv4Addr own);
    void announce();
    unsigned drain(PuntClass punt_class, Tick now);
    void handle(ShardId from, const Punt& punt, Tick now);
    void handle_arp(ShardId from, const Punt& punt, Tick now);
    bool answers_for(LinkId link, Ipv4Addr target) const;
    bool is_conflict(const Punt& punt, const packet::ArpView& arp);
    void answer_arp(ShardId from, const Punt& punt, const packet::ArpView& request);
    void handle_to_appliance(ShardId from, const Punt& punt, Tick now);
    void answer_echo(ShardId from, const Punt& punt, Ipv4Addr asked, Tick now);
    void handle_error(ShardId from, const Punt& punt, Tick now);
    Ipv4Addr speaker_of(const Punt& punt, const packet::Ipv4View& ip) const;
    bool make_error(PacketRef& packet, const Punt& punt, const IcmpErrorKind& kind, Tick now);
    void give_back(ShardId to, const Punt& punt, Back::Kind kind, DropReason reason = {});
    void send(ShardId to, const Punt& punt, const PacketRef& packet, Back::Kind kind, uint16_t l3);
    bool drop_punts();

    const Network& network;
    const nat::ExternalDirectory& directory;
    Fabric& fabric;
    Outbox outbox;
    SlowPathCounters counters;
    HashSecret secret;
    NeighbourTable neighbours;
    TokenBucket echoes;
    TokenBucket pool_echoes;
    TokenBucket errors;
    TokenBucket unsolicited;  // errors about SYNs
    SourceLimiter errors_by_source;
    std::vector<Back> announcements;  // gratuitous ARP that no ring has taken yet
    bool started = false;
    unsigned turn = 0;
    mutable std::mutex conflict_lock;
    std::optional<AddressConflict> conflict;
};

// ---- start and turn

void SlowPath::State::start(Tick now) {
    started = true;
    for (const auto& [link, own] : network.own_addresses()) {
        announce_later(link, own);
    }
    neighbours.resolve_gateways(now);
}

void SlowPath::State::announce_later(LinkId link, Ipv4Addr own) {
    Back back;
    back.kind = Back::kArpRequest;
    back.sender = own;
    back.update.entry.address = own;
    back.update.entry.link = link;
    back.update.entry.mac = packet::kBroadcastMac;
    announcements.push_back(back);
}

void SlowPath::State::follow(const Network& before, Tick now) {
    if (!started) {
        return;
    }
    std::erase_if(announcements, [&](const Back& back) {
        return !network.is_own_on(back.update.entry.link, back.sender);
    });
    for (const auto& [link, own] : network.own_addresses()) {
        if (!before.is_own_on(link, own)) {
            announce_later(link, own);
        }
    }
    neighbours.follow(now);
}

void SlowPath::State::announce() {
    while (!announcements.empty() && outbox.push_spare(ShardId{0}, announcements.back())) {
        announcements.pop_back();
    }
}

unsigned SlowPath::State::drain(PuntClass punt_class, Tick now) {
    const unsigned shards = fabric.shards();
    const unsigned share = std::max(8u, kBudgets[static_cast<size_t>(punt_class)] / shards);
    unsigned work = 0;
    for (unsigned i = 0; i < shards; ++i) {
        const ShardId from{static_cast<uint8_t>((turn + i) % shards)};
        Punt punt;
        // One place back is there for each packet before it is taken.
        for (unsigned n = 0;
             n < share && outbox.room(from) > 0 && fabric.punt(from, punt_class).pop(punt);
             ++n) {
            handle(from, punt, now);
            ++work;
        }
    }
    return work;
}

void SlowPath::State::handle(ShardId from, const Punt& punt, Tick now) {
    if (punt.link.value >= network.links().size()) {
        const bool counted = punt.kind == Punt::kIcmpError;
        return give_back(from, punt, counted ? Back::kFree : Back::kDropped, DropReason::kBug);
    }
    switch (punt.kind) {
        case Punt::kArp:
            return handle_arp(from, punt, now);
        case Punt::kToAppliance:
            return handle_to_appliance(from, punt, now);
        case Punt::kUnresolved:
            return neighbours.wait_for(from, punt, now);
        case Punt::kIcmpError:
            return handle_error(from, punt, now);
    }
    give_back(from, punt, Back::kDropped, DropReason::kBug);
}

void SlowPath::State::give_back(ShardId to, const Punt& punt, Back::Kind kind, DropReason reason) {
    Back back;
    back.kind = kind;
    back.reason = static_cast<uint8_t>(reason);
    back.packet = punt.packet;
    outbox.push(to, back);
}

// Sends what stands in the buffer now: a packet of the appliance's own.
void SlowPath::State::send(
    ShardId to, const Punt& punt, const PacketRef& packet, Back::Kind kind, uint16_t l3
) {
    Back back;
    back.kind = kind;
    back.l3_offset = l3;
    back.packet = packet;
    back.packet.in_link = punt.link;
    back.packet.next_hop = {};
    back.packet.hops = 0;
    back.packet.flags = packet::kGenerated | packet::kCounted;
    outbox.push(to, back);
}

// ---- ARP

// A request for an address that stands for us: our own on this link, or a pool's by proxy (RFC
// 1027).
bool SlowPath::State::answers_for(LinkId id, Ipv4Addr target) const {
    const Link& link = network.link(id);
    const bool stands_for_pools = link.proxy_arp && link.side == config::Side::kExternal;
    return network.is_own_on(id, target) || (stands_for_pools && directory.is_answered(target));
}

// Somebody else claims an address of ours (RFC 5227 2.4). Frames that a bridge sends back to us are
// none.
bool SlowPath::State::is_conflict(const Punt& punt, const packet::ArpView& arp) {
    if (arp.sender().raw == 0 || (!network.is_own(network.view_of(punt.link), arp.sender()) &&
                                  directory.find(arp.sender()).value == kNoIndex)) {
        return false;
    }
    if (arp.sender_mac() != network.link(punt.link).mac) {
        counters.conflicts.add(1);
        const std::lock_guard guard(conflict_lock);
        conflict = AddressConflict{arp.sender(), punt.link, arp.sender_mac()};
    }
    return true;
}

void SlowPath::State::handle_arp(ShardId from, const Punt& punt, Tick now) {
    const size_t length = punt.packet.length;
    const bool has_body = punt.l3_offset >= packet::kEthernetHeader && punt.l3_offset <= length;
    const auto arp = packet::ArpView::at(
        has_body ? packet::Bytes(punt.packet.data, length).subspan(punt.l3_offset) : packet::Bytes()
    );
    if (!arp || !is_station(arp->sender_mac())) {
        return give_back(from, punt, Back::kDropped, DropReason::kMalformedArp);
    }
    if (is_conflict(punt, *arp)) {
        return give_back(from, punt, Back::kConsumed);
    }
    const bool asks_us =
        arp->operation() == packet::ArpView::kRequest && answers_for(punt.link, arp->target());
    neighbours.hear(punt.link, arp->sender(), arp->sender_mac(), asks_us, now);
    if (asks_us) {
        return answer_arp(from, punt, *arp);
    }
    give_back(from, punt, Back::kConsumed);
}

void SlowPath::State::answer_arp(ShardId from, const Punt& punt, const packet::ArpView& request) {
    const MacAddr asker = request.sender_mac();
    const Ipv4Addr asker_address = request.sender();
    const Ipv4Addr target = request.target();
    const MacAddr& own = network.link(punt.link).mac;
    PacketRef packet = punt.packet;
    packet::store(packet.data, asker);
    packet::store(packet.data + 6, own);
    uint8_t* const body = packet.data + punt.l3_offset;
    packet::store(body + 6, Be16::from_host(packet::ArpView::kReply).raw);
    packet::store(body + 8, own);
    packet::store(body + 14, target.raw);
    packet::store(body + 18, asker);
    packet::store(body + 24, asker_address.raw);
    packet.length = packet.frame_length =
        static_cast<uint16_t>(punt.l3_offset + packet::kArpLength);
    counters.arp_answers.add(1);
    send(from, punt, packet, Back::kAnswer, 0);
}

// ---- ICMP

void SlowPath::State::handle_to_appliance(ShardId from, const Punt& punt, Tick now) {
    const size_t length = punt.packet.length;
    const bool has_body = punt.l3_offset >= packet::kEthernetHeader && punt.l3_offset <= length;
    const auto ip = packet::Ipv4View::at(
        has_body ? packet::Bytes(punt.packet.data, length).subspan(punt.l3_offset) : packet::Bytes()
    );
    if (!ip) {
        return give_back(from, punt, Back::kDropped, DropReason::kBadIpHeader);
    }
    if (ip->is_fragment()) {
        return give_back(from, punt, Back::kDropped, DropReason::kFragment);
    }
    // A hairpin's own source is a subscriber, where the link's address is a pool.
    const bool is_hairpin = (punt.packet.flags & packet::kHairpin) != 0;
    if (network.is_own(network.view_of(punt.link), ip->source()) && !is_hairpin) {
        return give_back(from, punt, Back::kDropped, DropReason::kSpoofedSource);
    }
    const packet::Bytes payload = ip->payload();
    if (ip->protocol() == static_cast<uint8_t>(Protocol::kIcmp) && !payload.empty() &&
        payload[0] == packet::kIcmpEchoRequest && !is_mutated(Mutation::kRfc5508Req10aEcho)) {
        return answer_echo(from, punt, ip->destination(), now);
    }
    if (ip->protocol() != static_cast<uint8_t>(Protocol::kUdp)) {
        return give_back(from, punt, Back::kDropped, DropReason::kToAppliance);
    }
    // So that a traceroute to the appliance ends.
    PacketRef packet = punt.packet;
    if (!may_be_answered(*ip, network, network.view_of(punt.link))) {
        return give_back(from, punt, Back::kDropped, DropReason::kToAppliance);
    }
    const IcmpErrorKind kind{packet::kIcmpUnreachable, packet::kCodePortUnreachable};
    if (!make_error(packet, punt, kind, now)) {
        return give_back(from, punt, Back::kDropped, DropReason::kRateLimited);
    }
    send(from, punt, packet, Back::kAnswer, punt.l3_offset);
}

void SlowPath::State::answer_echo(ShardId from, const Punt& punt, Ipv4Addr asked, Tick now) {
    TokenBucket& bucket = network.is_own(network.view_of(punt.link), asked) ? echoes : pool_echoes;
    if (!bucket.take(now)) {
        return give_back(from, punt, Back::kDropped, DropReason::kRateLimited);
    }
    PacketRef packet = punt.packet;
    if (!make_echo_reply(packet, punt.l3_offset)) {
        return give_back(from, punt, Back::kDropped, DropReason::kTruncatedTransport);
    }
    counters.echo_answers.add(1);
    send(from, punt, packet, Back::kAnswer, punt.l3_offset);
}

// A port is unreachable at the address that has it; of all else a router speaks.
Ipv4Addr SlowPath::State::speaker_of(const Punt& punt, const packet::Ipv4View& ip) const {
    return network.is_own(network.view_of(punt.link), ip.destination()) || is_unsolicited(punt)
               ? ip.destination()
               : network.own_address(punt.link, ip.source());
}

// False, and the packet is as it was: over a limit, or it cannot be made.
bool SlowPath::State::make_error(
    PacketRef& packet, const Punt& punt, const IcmpErrorKind& kind, Tick now
) {
    const auto ip =
        packet::Ipv4View::at(packet::Bytes(packet.data, packet.length).subspan(punt.l3_offset));
    const Ipv4Addr source = speaker_of(punt, *ip);
    TokenBucket& all = is_unsolicited(punt) ? unsolicited : errors;
    // The source's own bucket first, so that one source cannot use up what is for all.
    const bool may = source.raw != 0 &&
                     errors_by_source.take(network.view_of(punt.link), ip->source(), now) &&
                     all.take(now);
    const bool is_reset = static_cast<DropReason>(punt.reason) == DropReason::kDeniedByRule &&
                          (punt.detail & packet::kRefuseByReset) != 0 &&
                          ip->protocol() == static_cast<uint8_t>(Protocol::kTcp);
    const bool made = may && (is_reset ? make_tcp_reset(packet, punt.l3_offset)
                                       : make_icmp_error(packet, punt.l3_offset, kind, source));
    (made ? counters.errors_sent : counters.errors_suppressed).add(1);
    return made;
}

void SlowPath::State::handle_error(ShardId from, const Punt& punt, Tick now) {
    const size_t length = punt.packet.length;
    const bool has_body = punt.l3_offset >= packet::kEthernetHeader && punt.l3_offset <= length;
    const auto ip = packet::Ipv4View::at(
        has_body ? packet::Bytes(punt.packet.data, length).subspan(punt.l3_offset) : packet::Bytes()
    );
    const auto kind = error_of(static_cast<DropReason>(punt.reason), punt.detail);
    const bool is_hairpin = (punt.packet.flags & packet::kHairpin) != 0;
    if (!ip || !kind || !may_be_answered(*ip, network, network.view_of(punt.link), is_hairpin)) {
        counters.errors_suppressed.add(1);
        return give_back(from, punt, Back::kFree);
    }
    PacketRef packet = punt.packet;
    if (!make_error(packet, punt, *kind, now)) {
        return give_back(from, punt, Back::kFree);
    }
    send(from, punt, packet, Back::kGeneratedSend, punt.l3_offset);
}

// ---- end

// False: a ring back had no room for all.
bool SlowPath::State::drop_punts() {
    const auto drop_all = [&](ShardId from, base::SpscRing<Punt>& ring) {
        Punt punt;
        while (outbox.room(from) > 0 && ring.pop(punt)) {
            const bool counted = punt.kind == Punt::kIcmpError;
            give_back(from, punt, counted ? Back::kFree : Back::kDropped, DropReason::kShutdown);
        }
    };
    bool all = true;
    for (unsigned s = 0; s < fabric.shards(); ++s) {
        const ShardId from{static_cast<uint8_t>(s)};
        for (unsigned c = 0; c < kPuntClasses; ++c) {
            base::SpscRing<Punt>& ring = fabric.punt(from, static_cast<PuntClass>(c));
            drop_all(from, ring);
            all = all && ring.empty();
        }
    }
    return all;
}

SlowPath::SlowPath(
    const Network& network,
    const nat::ExternalDirectory& directory,
    Fabric& fabric,
    const SlowPathSettings& settings
)
    : state_(std::make_unique<State>(network, directory, fabric, settings)) {}

SlowPath::~SlowPath() = default;

unsigned SlowPath::poll(Tick now) {
    State& s = *state_;
    unsigned work = s.flush();
    if (!s.started) {
        s.start(now);
    }
    s.announce();
    // Who is first changes from turn to turn: the places back are few when a worker is late.
    for (unsigned i = 0; i < kPuntClasses; ++i) {
        work += s.drain(static_cast<PuntClass>((s.turn + i) % kPuntClasses), now);
    }
    ++s.turn;
    work += s.neighbours.run_timers(now);
    return work + s.flush();
}

void SlowPath::follow(const Network& before, Tick now) {
    state_->follow(before, now);
}

size_t SlowPath::held() const {
    return state_->outbox.held();
}

const SlowPathCounters& SlowPath::counters() const {
    return state_->counters;
}

std::vector<NeighbourView> SlowPath::neighbours(Tick now) const {
    return state_->neighbours.views(now);
}

std::optional<AddressConflict> SlowPath::last_conflict() const {
    const std::lock_guard guard(state_->conflict_lock);
    return state_->conflict;
}

bool SlowPath::shut_down() {
    State& s = *state_;
    s.neighbours.drop_held(DropReason::kShutdown);
    s.flush();
    return s.drop_punts() && s.outbox.held() == 0;
}

}  // namespace sekisho::dataplane
