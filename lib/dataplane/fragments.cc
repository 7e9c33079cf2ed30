// Fragments on their way: to the home of their datagram, into its table, behind their first one. Only called for bursts that
// have fragments.
#include "dataplane/fragment_table.h"
#include "dataplane/stages.h"

namespace sekisho::dataplane {
namespace {

using packet::Ipv4View;

FragmentFacts facts_of(const PacketRef& ref, const PacketMeta& meta) {
    const auto ip = *Ipv4View::at(packet::Bytes(ref.data, ref.length).subspan(meta.l3_offset));
    FragmentFacts facts;
    facts.addresses = meta.key.addresses;
    facts.id = packet::load<uint16_t>(ref.data + meta.l3_offset + packet::offset::kIpId);
    facts.protocol = static_cast<uint8_t>(meta.key.protocol());
    facts.realm = meta.key.realm();
    facts.extent = packet::extent_of(ip);
    facts.ports = meta.key.ports();
    return facts;
}

void drop(PacketMeta& meta, DropReason reason) {
    meta.verdict = Verdict::kDrop;
    meta.reason = reason;
}

// The shard that keeps a fragment's datagram; this one for what no NAT translates: it tells why. A device spreads fragments
// as it likes, so what it says of others is not believed.
ShardId home_of(const PacketMeta& meta, const StageTables& tables) {
    if (meta.direction == Direction::kOutbound) {
        return tables.shard_of(meta.key.source());
    }
    const ExternalIndex external = tables.directory->find(meta.key.destination());
    return external.value != kNoIndex ? (*tables.directory)[external].home
                                      : tables.shard_of(meta.key.destination());
}

// Inbound fragments that are exempt go on by themselves, unless it takes a port to tell, or a session.
bool has_exempt_ports(const PacketMeta& meta, const StageTables& tables) {
    const bool by_port = tables.nat->redirects() == nullptr;
    return tables.exemptions->are_any() && exempt_flow(meta, tables, by_port).has_value();
}

// Whether what a subscriber sends to the appliance itself may go elsewhere.
bool may_be_redirected(const PacketMeta& meta, const StageTables& tables) {
    const nat::Redirects* const redirects = tables.nat->redirects();
    const bool may_rules =
        tables.nat->settings().has_destination_rules && meta.key.protocol() != Protocol::kIcmp;
    return redirects != nullptr && (may_rules || redirects->covers_any_port(meta.key));
}

bool has_flow(const PacketMeta& meta, const StageTables& tables) {
    if (meta.direction == Direction::kInbound) {
        return !tables.is_ours(realm_of(meta), meta.key.source()) &&
               (tables.is_pool(meta.key.destination()) || has_exempt_ports(meta, tables));
    }
    return !tables.network->is_own(realm_of(meta), meta.key.destination()) ||
           tables.is_pool(meta.key.destination()) || may_be_redirected(meta, tables);
}

// Its key has changed since the burst was hashed and probed.
void find_again(Burst& burst, uint32_t i, const StageTables& tables) {
    PacketMeta& meta = burst.batch.meta[i];
    const nat::NatShard& nat = *tables.nat;
    meta.hash = nat.hash_of(meta.key);
    burst.candidate[i] = nat.session_index().find(meta.hash, [&](uint32_t value) {
        return (value & 1) == static_cast<uint32_t>(meta.direction) &&
               nat.is_flow_of(value, meta.key);
    });
}

// The home of an external address need not know whether the first fragment is admitted: the port's owner judges each.
void note_first(
    PacketRef& ref,
    PacketMeta& meta,
    const FragmentFacts& facts,
    const StageTables& tables,
    Tick now
) {
    ref.fragment = static_cast<uint8_t>(ref.fragment | packet::kFragmentNoted);
    if (meta.direction == Direction::kOutbound) {
        return;
    }
    ref.fragment = static_cast<uint8_t>(ref.fragment | packet::kFragmentBound);
    if (!tables.fragments->bind(facts, {meta.key.ports(), false, {}}, now)) {
        drop(meta, DropReason::kOverlappingFragment);
    }
}

void gather_one(Burst& burst, uint32_t i, const StageTables& tables, Tick now) {
    PacketRef& ref = burst.batch.ref[i];
    PacketMeta& meta = burst.batch.meta[i];
    const FragmentFacts facts = facts_of(ref, meta);
    const auto outcome = tables.fragments->take(facts, ref, meta.l3_offset, now);
    switch (outcome.kind) {
        case FragmentTable::Outcome::kNoted:
            return note_first(ref, meta, facts, tables, now);
        case FragmentTable::Outcome::kFollow:
            follow(ref, meta.l3_offset, outcome.binding);
            meta.key.rest |= outcome.binding.ports;
            return find_again(burst, i, tables);
        case FragmentTable::Outcome::kHeld:
            meta.verdict = Verdict::kKept;
            return;
        case FragmentTable::Outcome::kDropped:
            return drop(meta, outcome.reason);
    }
}

}  // namespace

void gather(Burst& burst, const StageTables& tables, Tick now) {
    Batch& batch = burst.batch;
    for (uint32_t i = 0; i < batch.count; ++i) {
        PacketRef& ref = batch.ref[i];
        PacketMeta& meta = batch.meta[i];
        const bool is_new =
            (ref.fragment & packet::kFragment) != 0 && (ref.fragment & packet::kFragmentNoted) == 0;
        const bool goes_alone = meta.kind == PacketKind::kAddressOnly;
        if (meta.verdict != Verdict::kPending || !is_new || goes_alone || !has_flow(meta, tables)) {
            continue;
        }
        const ShardId home = home_of(meta, tables);
        if (home != tables.self) {
            hand_off(ref, meta, home);
        } else {
            gather_one(burst, i, tables, now);
        }
    }
}

namespace {

// Its identification is not the subscriber's any more from here on (RFC 6864 5.3.1).
void bind_one(PacketRef& ref, PacketMeta& meta, const StageTables& tables, Tick now) {
    const auto& session = *static_cast<const flow::Session*>(meta.session);
    FragmentBinding binding;
    binding.ports = meta.key.ports();
    binding.has_new_id = meta.kind != PacketKind::kUntranslated;
    if (binding.has_new_id) {
        binding.new_id = tables.fragment_ids->next(
            {session.external_address}, {session.remote_address}, session.protocol
        );
    }
    if (!tables.fragments->bind(facts_of(ref, meta), binding, now)) {
        return drop(meta, DropReason::kOverlappingFragment);
    }
    ref.fragment = static_cast<uint8_t>(ref.fragment | packet::kFragmentBound);
    if (binding.has_new_id) {
        packet::rewrite_id(ref.data + meta.l3_offset, binding.new_id);
    }
}

}  // namespace

void bind(Burst& burst, const StageTables& tables, Tick now) {
    Batch& batch = burst.batch;
    for (uint32_t i = 0; i < batch.count; ++i) {
        PacketRef& ref = batch.ref[i];
        PacketMeta& meta = batch.meta[i];
        constexpr uint8_t kNews = packet::kFragmentNoted | packet::kFragmentBound;
        if ((ref.fragment & kNews) != packet::kFragmentNoted) {
            continue;
        }
        if (meta.verdict == Verdict::kPending) {
            bind_one(ref, meta, tables, now);
        } else if (meta.verdict == Verdict::kKept) {  // it waits for the others, to be searched
            (void)tables.fragments->bind(facts_of(ref, meta), {meta.key.ports(), false, {}}, now);
        } else if (meta.verdict == Verdict::kDrop || meta.verdict == Verdict::kPuntError) {
            tables.fragments->refuse(facts_of(ref, meta), meta.reason, now);
        } else if (meta.verdict == Verdict::kPuntNeighbour) {  // the appliance's own: the first one is enough for it
            tables.fragments->refuse(facts_of(ref, meta), DropReason::kToAppliance, now);
        }
    }
}

// A later fragment makes no session and asks no limit: its first one has. Inbound ones of a flow without session are what the
// first one was to the filter.
void judge_later_fragment(Burst& burst, uint32_t i, const StageTables& tables, Tick now) {
    PacketMeta& meta = burst.batch.meta[i];
    const FlowKey& key = meta.key;
    const bool inbound = meta.direction == Direction::kInbound;
    if (tables.network->is_own(realm_of(meta), key.destination()) &&
        !tables.is_pool(key.destination())) {
        meta.verdict = Verdict::kPuntNeighbour;
        return;
    }
    const bool hairpin = (burst.batch.ref[i].flags & packet::kHairpin) != 0;
    if (!hairpin && inbound && is_forged_inbound(meta, tables)) {
        return drop(meta, DropReason::kSpoofedSource);
    }
    // Of a static mapping, an echo reply has no session that its later fragments could follow.
    if (!inbound) {
        const bool follows = key.protocol() == Protocol::kIcmp && key.ports() != 0 &&
                             tables.nat->has_static(key, Direction::kOutbound);
        return follows ? pass_by_static(burst, i, tables) : drop(meta, DropReason::kFragmentOrphan);
    }
    if (!tables.is_pool(key.destination())) {
        return drop(meta, DropReason::kNotForwarded);
    }
    const nat::AdmitResult admitted =
        tables.nat->admit_inbound(key, PacketKind::kLaterFragment, 0, now);
    const bool by_mapping =
        admitted.kind == nat::AdmitResult::kMappingOnly && key.protocol() != Protocol::kTcp;
    const bool by_static =
        admitted.kind == nat::AdmitResult::kStaticOnly && key.protocol() != Protocol::kTcp;
    if (by_mapping) {
        pass_by_mapping(burst, i, admitted.mapping, tables);
    } else if (by_static) {
        pass_by_static(burst, i, tables);
    } else if (admitted.kind == nat::AdmitResult::kSession) {
        pass_by_session(meta, admitted.session, tables);
    } else {
        drop(
            meta,
            admitted.kind == nat::AdmitResult::kRefused ? admitted.reason
                                                        : DropReason::kFragmentOrphan
        );
    }
}

}  // namespace sekisho::dataplane
