// What becomes of unsolicited SYNs when their six seconds have passed (RFC 5382 REQ-4).
#include <cstring>

#include "base/mutation.h"
#include "dataplane/shard.h"
#include "packet/build.h"

namespace sekisho::dataplane {
namespace {

constexpr unsigned kSynsAPoll = 8;

}  // namespace

// Errors that are owed to others find room in the ring first: these have waited, and can wait on.
unsigned Shard::answer_unsolicited_syns(Tick now) {
    unsigned ended = 0;
    const auto& ring = plan_.fabric->punt(tables_.self, PuntClass::kError);
    for (; ended < kSynsAPoll; ++ended) {
        const UnsolicitedSyns::Syn* const syn = unsolicited_syns_.due(now);
        if (syn == nullptr) {
            break;
        }
        const bool answered = is_mutated(Mutation::kRfc5382Req4Drop) || !is_solicited(*syn, now);
        if (answered && (ring.room() < ring.capacity() / 2 || !punt_unsolicited(*syn))) {
            break;
        }
        unsolicited_syns_.end_oldest(answered);
    }
    return ended;
}

// Whether there is such a connection, or was. If the port's block has become another shard's, or its address is the
// appliance's no more, this one cannot say, and silence is safe.
bool Shard::is_solicited(const UnsolicitedSyns::Syn& syn, Tick now) const {
    if (syn.solicited) {
        return true;
    }
    const FlowKey& key = syn.key;
    const ExternalIndex external = tables_.directory->find(key.destination());
    if (external.value == kNoIndex || tables_.directory->owner_of(external, key) != tables_.self) {
        return true;
    }
    const uint32_t found = nat_->session_index().find(syn.hash, [&](uint32_t value) {
        return (value & 1) == static_cast<uint32_t>(Direction::kInbound) &&
               flow::is_flow(nat_->session(SessionIndex{value >> 1}), key, Direction::kInbound);
    });
    return found != kNoIndex && !nat_->has_expired(nat_->session(SessionIndex{found >> 1}), now);
}

// The packet was counted as dropped when it came, as for every error. False: there is no buffer for it, or no room.
bool Shard::punt_unsolicited(const UnsolicitedSyns::Syn& syn) {
    PacketRef packet = plan_.store->allocate();
    if (packet.handle == nullptr) {
        return false;
    }
    const Link& link = plan_.network->link(syn.link);
    const size_t l2 =
        packet::write_l2_header(packet.data, link.mac, link.mac, link.vlans, packet::kEtherIpv4);
    std::memcpy(packet.data + l2, syn.bytes.data(), syn.length);
    packet.length = packet.frame_length = static_cast<uint16_t>(l2 + syn.length);
    packet.in_link = syn.link;
    packet.flags = packet::kGenerated | packet::kCounted;
    Punt punt;
    punt.packet = packet;
    punt.kind = Punt::kIcmpError;
    punt.link = syn.link;
    punt.reason = static_cast<uint8_t>(DropReason::kNoMapping);
    punt.l3_offset = static_cast<uint16_t>(l2);
    if (plan_.fabric->punt(tables_.self, PuntClass::kError).push(punt)) {
        counters_.punted.add(1);
        return true;
    }
    free_later(packet);
    return false;
}

}  // namespace sekisho::dataplane
