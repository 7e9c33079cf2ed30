// Where rules lead new flows: dnat, redirect, masquerade and snat (make calls it, the judge asks).
//
//   From inside   a target is reached as one of destination-nat is; a source goes to another pool than its policy's. A target among the
//                 subscribers is reached by its static mapping; or, where a subscriber has called an external endpoint that rules lead
//                 inside, as by anybody outside: its packets turn back first, and the rules are asked about their second half.
//   From outside  the shard that gets the packet, which is its endpoint's home or has its block, asks. The session is the host's shard's:
//                 it gets the packet with a mark, and a claim tells all shards whose the flow is from then on.
//   Source        ARCHITECTURE 5; LEGACY I5, C17.
#include <bit>
#include <cassert>

#include "dataplane/stages.h"

namespace sekisho::dataplane {
namespace {

using rules::Hook;

constexpr rules::HookMask kDestination = mask_of(Hook::kNatDestination);

void drop(PacketMeta& meta, DropReason reason) {
    assert(meta.verdict != Verdict::kKept);  // its buffer has another owner
    meta.verdict = Verdict::kDrop;
    meta.reason = reason;
}

// Where an action sends a packet; nothing: it says nothing of destinations. `port`: what the packet has.
std::optional<nat::RemoteEndpoint> target_of(
    const rules::Action* action, const FlowKey& key, const StageTables& tables
) {
    const auto endpoint = [&](Ipv4Addr address, uint16_t port) {
        const bool keeps = port == 0 || key.protocol() == Protocol::kIcmp;
        return nat::RemoteEndpoint{address, keeps ? key.destination_port() : Port::from_host(port)};
    };
    if (action == nullptr) {
        return std::nullopt;
    }
    if (const auto* dnat = std::get_if<rules::Dnat>(action)) {
        const rules::DnatTarget& target = tables.judge->target_of(*dnat, key);
        return endpoint(target.address, target.port);
    }
    if (const auto* redirect = std::get_if<rules::Redirect>(action)) {
        return endpoint(tables.nat->settings().local_host, redirect->port);
    }
    return std::nullopt;
}

bool is_inside(Ipv4Addr host, RealmId realm, const StageTables& tables) {
    return find_hop(tables, realm, host, Direction::kInbound).is_found();
}

// The shard whose subscriber a packet is led to.
bool is_mine(const nat::Forward& to, const StageTables& tables) {
    return tables.shards == 1 || tables.shard_of(to.to.address) == tables.self;
}

// No translation, since the packet's payload is to be searched first, and its verdict is there.
bool is_stopped(Judge& judge) {
    if (!judge.is_stopped()) [[likely]] {
        return false;
    }
    judge.drop_question();
    return true;
}

// Only the claim tells the shards apart: with one there is none.
bool claim(const FlowKey& key, const nat::Forward& to, const StageTables& tables) {
    return tables.forwarded == nullptr ||
           tables.forwarded->claim_flow(key, tables.shard_of(to.to.address)) ==
               nat::RemoteClaims::Answer::kGranted;
}

// To the shard of its host, with what the rules have said.
void pass_on(PacketRef& ref, PacketMeta& meta, const nat::Forward& to, const StageTables& tables) {
    hand_off(ref, meta, tables.shard_of(to.to.address));
    if (meta.verdict != Verdict::kHandOff) {
        tables.forwarded->release_flow(meta.key, tables.shard_of(to.to.address));
        return;
    }
    ref.flags = static_cast<uint8_t>(ref.flags | packet::kLedInside);
    ref.fragment_ports = to.to.address.raw;
    ref.next_hop = {to.to.port.raw};
}

bool may_be_led(const PacketMeta& meta, const StageTables& tables) {
    return tables.nat->settings().has_destination_rules && packet::is_usual(meta.kind) &&
           tables.judge->may_translate() &&
           tables.nat->may_open(meta.key, meta.kind, meta.tcp_flags) &&
           tables.nat->may_forward(meta.key);
}

}  // namespace

RealmId realm_inside(Ipv4Addr host, const StageTables& tables) {
    for (const RealmId realm : tables.network->internal_realms()) {
        if (is_inside(host, realm, tables)) {
            return realm;
        }
    }
    return kExternalRealm;
}

bool lead_destination(
    Burst& burst, uint32_t i, nat::NatShard::Newcomer& newcomer, const StageTables& tables, Tick now
) {
    const PacketMeta& meta = burst.batch.meta[i];
    if (!begin_asking(burst, i, tables, now)) {
        return false;
    }
    const bool is_to_us = meta.kind == PacketKind::kIcmpQuery &&
                          tables.network->is_own(realm_of(meta), meta.key.destination());
    const bool is_new = meta.kind != PacketKind::kAddressOnly && !is_to_us &&
                        tables.nat->settings().has_destination_rules &&
                        tables.nat->may_open(meta.key, meta.kind, meta.tcp_flags);
    if (!is_new) {
        return true;
    }
    const auto target =
        target_of(tables.judge->translation(Hook::kNatDestination), meta.key, tables);
    if (is_stopped(*tables.judge)) [[unlikely]] {
        return false;
    }
    const bool turns_back = target && tables.is_pool(meta.key.destination()) &&
                            is_inside(target->address, realm_of(meta), tables);
    if (target && target->address != meta.key.source() && !turns_back) {
        newcomer.target = tables.nat->redirects()->reached_as(*target, meta.key);
    }
    return true;
}

bool lead_source(
    const PacketMeta& meta, nat::NatShard::Newcomer& newcomer, const StageTables& tables
) {
    if (!tables.nat->may_open(meta.key, meta.kind, meta.tcp_flags)) {
        return true;
    }
    const rules::Action* const action = tables.judge->translation(Hook::kNatSource);
    if (is_stopped(*tables.judge)) [[unlikely]] {
        return false;
    }
    if (action == nullptr) {
        return true;
    }
    if (const auto* snat = std::get_if<rules::Snat>(action)) {
        newcomer.pool = snat->pool;
    } else if (std::holds_alternative<rules::Masquerade>(*action)) {
        newcomer.pool = tables.nat->pool_of_link(tables.judge->packet().out_link);
    }
    return true;
}

bool lead_inside(Burst& burst, uint32_t i, const StageTables& tables, Tick now) {
    PacketRef& ref = burst.batch.ref[i];
    PacketMeta& meta = burst.batch.meta[i];
    if ((burst.was_led >> i & 1) != 0) {
        burst.is_led |= uint32_t{1} << i;
        return true;
    }
    if (tables.judge == nullptr || !may_be_led(meta, tables) ||
        tables.nat->find_made(meta.key, Direction::kInbound, now).value != kNoIndex) {
        return true;
    }
    if (!begin_asking(burst, i, tables, now)) {
        return false;
    }
    const auto target =
        target_of(tables.judge->translation(Hook::kNatDestination), meta.key, tables);
    if (is_stopped(*tables.judge)) [[unlikely]] {
        return false;
    }
    if (!target) {
        return true;
    }
    const nat::Forward to{*target, realm_inside(target->address, tables)};
    if (to.realm == kExternalRealm) {
        drop(meta, DropReason::kNoRoute);
        return false;
    }
    if (!claim(meta.key, to, tables)) {
        drop(meta, DropReason::kTargetInUse);
        return false;
    }
    if (is_mine(to, tables)) {
        burst.led_to[i] = to;
        burst.is_led |= uint32_t{1} << i;
        burst.was_led |= tables.forwarded != nullptr ? uint32_t{1} << i : 0;
        return true;
    }
    pass_on(ref, meta, to, tables);
    tables.judge->count_led(meta.l3_length);
    return false;
}

bool follow_inside(Burst& burst, uint32_t i, const StageTables& tables) {
    PacketMeta& meta = burst.batch.meta[i];
    const bool may_be = tables.forwarded != nullptr && tables.forwarded->size() != 0 &&
                        meta.direction == Direction::kInbound && (burst.was_led >> i & 1) == 0;
    const auto shard = may_be ? tables.forwarded->find_flow(meta.key) : std::nullopt;
    if (!shard || *shard == tables.self) {
        return false;
    }
    hand_off(burst.batch.ref[i], meta, *shard);
    return true;
}

// What was claimed for a packet that goes no further here has no session that would release it.
void give_up_led(Burst& burst, const StageTables& tables) {
    for (uint32_t left = burst.was_led; left != 0; left &= left - 1) {
        const PacketMeta& meta = burst.batch.meta[std::countr_zero(left)];
        if (meta.verdict != Verdict::kPending) {
            tables.forwarded->release_flow(meta.key, tables.self);
        }
    }
}

}  // namespace sekisho::dataplane
