// Listings for readers, in bounded slices: copied out on the worker, never walked whole.
#include "nat/nat_shard.h"

namespace sekisho::nat {
namespace {

// Entries from `cursor` to `end`: at most `limit`, and as many as `room` takes.
struct Slice {
    uint32_t& cursor;
    uint32_t end;
    uint32_t limit;
    size_t room;
};

// fill(i) says whether entry i was taken. False at the end.
template <class Fill>
bool walk(Slice slice, size_t& filled, Fill fill) {
    filled = 0;
    for (; slice.cursor < slice.end && slice.limit > 0 && filled < slice.room;
         ++slice.cursor, --slice.limit) {
        if (fill(slice.cursor)) {
            ++filled;
        }
    }
    return slice.cursor < slice.end;
}

}  // namespace

bool NatShard::list_sessions(
    uint32_t& cursor, uint32_t limit, Tick now, std::span<SessionView> out, size_t& filled
) const {
    return walk({cursor, sessions_.high_water(), limit, out.size()}, filled, [&](uint32_t i) {
        const Session& s = sessions_[i];
        if ((s.flags & flow::kLive) == 0 || has_expired(s, now)) {
            return false;
        }
        const Mapping& m = mappings_[s.mapping];
        const int32_t idle = elapsed_ms(Tick{s.last_activity}, now);
        const int32_t left = timeout_ms(s, s.state) - idle;
        out[filled] = {
            s,
            i,
            static_cast<uint32_t>(idle < 0 ? 0 : idle),
            static_cast<uint32_t>(left),
            pool_of_mapping(m).value,
            numbers_.policy_of(m.policy),
            shard_,
            (s.realm & flow::kRedirectedRealm) != 0 ? original_of(i) : RemoteEndpoint{}};
        return true;
    });
}

// The static ones come first, in use or not, then trigger forwards: each kind at a place of its own, so that a cursor stays right
// when their number changes.
bool NatShard::list_mappings(
    uint32_t& cursor, uint32_t limit, std::span<MappingView> out, size_t& filled
) const {
    const std::vector<StaticEntry>& statics = directory_->statics().entries();
    constexpr uint32_t kTriggers = uint32_t{1} << 30;
    constexpr uint32_t kMappings = uint32_t{1} << 31;
    if (cursor < kTriggers && cursor >= statics.size()) {
        cursor = kTriggers;
    }
    if (cursor < kMappings && cursor >= kTriggers + trigger_entries_.size()) {
        cursor = kMappings;
    }
    if (cursor < kTriggers) {
        const auto end = static_cast<uint32_t>(statics.size());
        (void)walk({cursor, end, limit, out.size()}, filled, [&](uint32_t at) {
            return show_static(statics[at], out[filled]);
        });
        return true;
    }
    if (cursor < kMappings) {
        const auto end = kTriggers + static_cast<uint32_t>(trigger_entries_.size());
        (void)walk({cursor, end, limit, out.size()}, filled, [&](uint32_t at) {
            return show_trigger(at - kTriggers, out[filled]);
        });
        return true;
    }
    const uint32_t end = kMappings + mappings_.high_water();
    return walk({cursor, end, limit, out.size()}, filled, [&](uint32_t at) {
        const uint32_t i = at - kMappings;
        const Mapping& m = mappings_[i];
        if (m.state != 1) {
            return false;
        }
        out[filled] = {m, i, pool_of_mapping(m).value, shard_, remote_of({i})};
        out[filled].mapping.external_port = shown_external_port(m);
        out[filled].mapping.policy = numbers_.policy_of(m.policy);
        out[filled].kind = is_in_force(m) ? MappingView::kStaticUse : MappingView::kDynamic;
        if (const uint32_t lease = leases_.find(i); lease != kNoIndex) [[unlikely]] {
            out[filled].is_leased = true;
            out[filled].lease_ms = leases_.left_ms(lease);
            --out[filled].mapping.sessions;  // it is counted there
        }
        return true;
    });
}

// Those in force at an address that the appliance has by now.
bool NatShard::show_static(const StaticEntry& entry, MappingView& view) const {
    if (!entry.is_in_force() || entry.shard != shard_ ||
        directory_->find(entry.external).value == kNoIndex) {
        return false;
    }
    view = view_of(entry);
    return !is_address_only(entry.protocol) || view.mapping.sessions != 0;
}

// As a mapping of its first port.
MappingView NatShard::view_of(const StaticEntry& entry) const {
    MappingView view{};
    view.mapping.internal_address = entry.internal.raw;
    view.mapping.external_address = entry.external.raw;
    view.mapping.internal_port = Port::from_host(entry.internal_first).raw;
    view.mapping.external_port = Port::from_host(entry.external_first).raw;
    view.mapping.protocol = static_cast<uint8_t>(entry.protocol);
    view.mapping.realm = entry.realm.value;
    view.mapping.policy = policy_of(entry.internal, entry.realm).value;
    view.mapping.sessions = static_cast<uint32_t>(sessions_of(block_of(entry)).read());
    view.index = kNoIndex;
    view.pool = pool_at(entry.external).value;
    view.shard = shard_;
    view.kind = MappingView::kStatic;
    view.more_ports = entry.more;
    return view;
}

// That its external endpoint is of; of one that keeps its source, its policy's.
PoolId NatShard::pool_of_mapping(const Mapping& m) const {
    const ExternalIndex external = external_of(m);
    return external.value == kNoIndex ? numbers_.at(m.policy).pool : (*directory_)[external].pool;
}

// Of its port's block, since an address that is withdrawn cannot be looked up. kNoIndex: it keeps its source.
ExternalIndex NatShard::external_of(const Mapping& m) const {
    if (is_static(m)) {
        return directory_->find({m.external_address});
    }
    return {has_single_port(m) ? m.block & ~kSinglePort : blocks_[m.block].external};
}

// Of a static entry's address. One that is withdrawn cannot be looked up, but what stands there is still released by its pool.
// 0xffff: no pool has it.
PoolId NatShard::pool_at(Ipv4Addr external) const {
    ExternalIndex index = directory_->find(external);
    for (uint32_t i = 0; index.value == kNoIndex && i < directory_->size(); ++i) {
        const ExternalAddress& address = (*directory_)[{i}];
        index.value = is_leaving(address.state) && address.address == external ? i : kNoIndex;
    }
    return index.value == kNoIndex ? PoolId{0xffff} : (*directory_)[index].pool;
}

bool NatShard::list_subscribers(
    uint32_t& cursor, uint32_t limit, std::span<SubscriberView> out, size_t& filled
) const {
    return walk({cursor, subscribers_.high_water(), limit, out.size()}, filled, [&](uint32_t i) {
        const Subscriber& s = subscribers_[i];
        if (s.state == 0) {
            return false;
        }
        const Ipv4Addr paired =
            s.external == kNoIndex ? Ipv4Addr{} : (*directory_)[{s.external}].address;
        const bool waits = s.wait == BlockWait::kNeeded;
        out[filled] = {
            {s.address},
            {s.realm},
            paired,
            s.all_sessions(),
            s.ports,
            s.blocks,
            numbers_.policy_of(s.policy),
            shard_,
            waits};
        return true;
    });
}

bool NatShard::list_blocks(
    uint32_t& cursor, uint32_t limit, std::span<BlockView> out, size_t& filled
) const {
    return walk({cursor, blocks_.high_water(), limit, out.size()}, filled, [&](uint32_t i) {
        const PortBlock& b = blocks_[i];
        if (b.state == 0) {
            return false;
        }
        out[filled] = {
            {b.external},
            b.number,
            {b.in_use[0], b.in_use[1], b.in_use[2]},
            {b.subscriber},
            {blocks_.marked(i, 0), blocks_.marked(i, 1), blocks_.marked(i, 2)}};
        return true;
    });
}

PoolView NatShard::pool_view(PoolId pool, Tick /*now*/) const {
    const Pool& p = pools_[pool.value];
    PoolView view;
    view.free_blocks = home_.free_blocks(pool);
    view.granted_blocks = p.held;
    view.ports_in_use = p.in_use;
    view.ports_resting = p.clock.resting();
    view.draining = home_.draining(pool, *directory_);
    view.refused = p.refused;
    view.withdrawn = p.withdrawn;
    return view;
}

bool NatShard::is_free_at_home(ExternalIndex external, uint16_t block) const {
    return (*directory_)[external].home == shard_ && home_.is_free(external, block);
}

bool NatShard::is_at_home(ExternalIndex external, uint16_t block) const {
    return is_free_at_home(external, block) ||
           ((*directory_)[external].home == shard_ && home_.is_kept(external, block));
}

}  // namespace sekisho::nat
