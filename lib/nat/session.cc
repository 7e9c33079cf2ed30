// Sessions: found, made and ended; each stands in the index under its key of either direction.
#include <cassert>

#include "nat/nat_shard.h"
#include "nat/tcp_state.h"
#include "packet/checksum.h"

namespace sekisho::nat {
namespace {

bool translates_icmp(const Mapping& m) {
    return static_cast<Protocol>(m.protocol) == Protocol::kIcmp;
}

// Everything of a session that follows from its mapping and its remote endpoint; all else is zero. Written where it lies: a
// copy would read in wide pieces what has just been written in narrow ones, and wait for it.
void translate(Session& s, const Mapping& m, uint32_t mapping, Ipv4Addr remote, Port remote_port) {
    s.internal_address = m.internal_address;
    s.remote_address = remote.raw;
    s.external_address = m.external_address;
    s.internal_port = m.internal_port;
    s.remote_port = remote_port.raw;
    s.external_port = shown_external_port(m);
    s.protocol = m.protocol;
    s.realm = m.realm;
    s.mapping = mapping;
    s.ip_delta = packet::checksum_delta(m.internal_address, m.external_address);
    const uint16_t port_delta = packet::checksum_delta16(m.internal_port, shown_external_port(m));
    s.l4_delta = translates_icmp(m) ? port_delta : packet::add_deltas(s.ip_delta, port_delta);
    s.last_activity = 0;
    s.packets[0] = s.packets[1] = 0;
    s.verdict = 0;
    s.next_hop[0] = s.next_hop[1] = 0;
    s.tcp_ack[0] = s.tcp_ack[1] = 0;
    s.tcp_window[0] = s.tcp_window[1] = 0;
    s.state = SessionState::kFree;
    s.window_scales = static_cast<uint8_t>(kNoScale << 4 | kNoScale);
    s.flags = 0;
}

}  // namespace

uint32_t NatShard::find_session(const FlowKey& key, uint64_t hash, Direction direction) const {
    const uint32_t value = session_index_.find(hash, [&](uint32_t v) {
        return (v & 1) == static_cast<uint32_t>(direction) && is_flow_of(v, key);
    });
    return value == kNoIndex ? kNoIndex : value >> 1;
}

// One whose timeout has passed is ended here, so that what follows does not depend on when its
// timer fires.
uint32_t NatShard::find_live_session(
    const FlowKey& key, uint64_t hash, Direction direction, Tick now
) {
    const uint32_t found = find_session(key, hash, direction);
    if (found == kNoIndex || !has_expired(sessions_[found], now)) {
        return found;
    }
    expire_session(found, EndCause::kIdle, now);
    return kNoIndex;
}

uint32_t NatShard::make_session(
    uint32_t mapping, const Remote& remote, SessionState state, Tick now
) {
    if (!has_room_for_session()) {
        return kNoIndex;
    }
    const uint32_t index = sessions_.allocate();
    session_wheel_.prefetch(index);
    Mapping& m = mappings_[mapping];
    Session& s = sessions_[index];
    translate(s, m, mapping, remote.target.address, remote.target.port);
    s.last_activity = now.ms;
    s.state = state;
    s.flags = timeouts_.class_of(static_cast<Protocol>(m.protocol), remote.target.port);
    if (directory_->find(remote.target.address).value != kNoIndex) {
        s.flags = static_cast<uint16_t>(s.flags | flow::kSessionHairpin);
    }
    if (remote.original) [[unlikely]] {
        note_original(index, *remote.original);
    }
    if (directory_->triggers().are_any()) [[unlikely]] {
        note_trigger(index);
    }
    if (mss_clamp_of(s) != 0) {
        s.flags = static_cast<uint16_t>(s.flags | flow::kClampMss);
    }
    if (tracks_window(m)) {
        s.flags = static_cast<uint16_t>(s.flags | flow::kTrackWindow);
        windows_[index] = TcpWindow{};
        windows_[index].picked_up = state == SessionState::kTcpPickedUp ? 1 : 0;
    }
    ++m.sessions;
    if (has_static_entry(m)) [[unlikely]] {
        count_session(m.block, 1);
    }
    Subscriber& subscriber = subscribers_[m.subscriber];
    ++subscriber.sessions[protocol_slot(static_cast<Protocol>(m.protocol))];
    count_half_open(subscriber, SessionState::kFree, state);
    session_wheel_.schedule(index, now + static_cast<uint32_t>(timeout_ms(s, state)));
    sessions_.publish(index);
    ++sessions_made_;
    log_session(index, now);
    return index;
}

// There is room for both: has_room_for_session() was asked.
void NatShard::index_session(uint32_t session, uint64_t outbound_hash) {
    late_.insert_now(session_index_, outbound_hash, session << 1);
    late_.add(session_index_, hash_of(key_of(session, Direction::kInbound)), session << 1 | 1);
}

void NatShard::settle_all() {
    late_.settle();
    assert(late_.failed() == 0);
}

bool NatShard::is_indexed(SessionIndex index) const {
    const Session& s = sessions_[index.value];
    const auto finds_session = [&](Direction direction) {
        const FlowKey key = key_of(index.value, direction);
        return find_session(key, hash_of(key), direction) == index.value;
    };
    const auto finds_mapping = [&](unsigned side) {
        const FlowKey key = mapping_key(s.mapping, side);
        const uint32_t value = s.mapping << 1 | side;
        const auto same = [value](uint32_t v) { return v == value; };
        return mapping_index_.find(hash_of(key), same) == value;
    };
    return finds_session(Direction::kOutbound) && finds_session(Direction::kInbound) &&
           finds_mapping(kInternalSide) && finds_mapping(kExternalSide);
}

// A closed TCP connection has ended when both sides have closed it, whatever took its record.
void NatShard::expire_session(uint32_t session, EndCause cause, Tick now) {
    settle();
    Session& s = sessions_[session];
    const uint32_t mapping = s.mapping;
    Mapping& m = mappings_[mapping];
    const bool was_closed = is_tcp_closed(s.state);
    [[maybe_unused]] const bool outbound =
        session_index_.erase(hash_of(key_of(session, Direction::kOutbound)), session << 1);
    const FlowKey inbound_key = key_of(session, Direction::kInbound);
    const uint64_t inbound_hash = hash_of(inbound_key);
    [[maybe_unused]] const bool inbound = session_index_.erase(inbound_hash, session << 1 | 1);
    assert(outbound && inbound);
    if (static_cast<Protocol>(s.protocol) == Protocol::kTcp && listener_ != nullptr) {
        listener_->tcp_session_ended(inbound_key, inbound_hash);
    }
    if (listener_ != nullptr) {
        listener_->session_ended(SessionIndex{session});
    }
    session_wheel_.cancel(session);
    if ((s.flags & flow::kPermission) != 0) {
        permissions_.remove(mapping, s.remote_address);
    }
    if ((s.flags & flow::kInboundOpened) != 0) {
        --m.inbound_openings;
    }
    release_remote(m, {s.remote_address});
    const bool may_be_claimed = is_forwarded(m) || has_static_entry(m);
    if (may_be_claimed && directory_->forwarded() != nullptr) [[unlikely]] {
        directory_->forwarded()->release_flow(inbound_key, shard_);
    }
    Subscriber& subscriber = subscribers_[m.subscriber];
    --subscriber.sessions[protocol_slot(static_cast<Protocol>(m.protocol))];
    count_half_open(subscriber, s.state, SessionState::kFree);
    if (was_closed && cause == EndCause::kIdle) {
        cause = EndCause::kClosed;
    }
    end_session(session, cause, now);
    if (has_static_entry(m)) [[unlikely]] {
        count_session(m.block, -1);
    }
    if (--m.sessions == 0) {
        release_mapping(mapping, !was_closed, cause, now);
    }
}

void NatShard::fire_session(uint32_t session, Tick now) {
    const Session& s = sessions_[session];
    if (has_expired(s, now)) {
        expire_session(session, EndCause::kIdle, now);
        return;
    }
    const Tick deadline = Tick{s.last_activity} + static_cast<uint32_t>(timeout_ms(s, s.state));
    session_wheel_.schedule(session, deadline);
}

void NatShard::clear_session(SessionIndex index, Tick now) {
    const bool is_live =
        index.value < sessions_.high_water() && (sessions_[index.value].flags & flow::kLive) != 0;
    if (is_live) {
        expire_session(index.value, EndCause::kCleared, now);
    }
}

Session NatShard::scratch_session(MappingIndex index, Ipv4Addr remote, Port remote_port) const {
    return scratch_of(mappings_[index.value], index.value, remote, remote_port);
}

Session NatShard::scratch_of(const Mapping& m, uint32_t index, Ipv4Addr remote, Port remote_port)
    const {
    Session s{};
    translate(s, m, index, remote, remote_port);
    s.flags = flow::kLive;
    if (directory_->find(remote).value != kNoIndex) {
        s.flags = static_cast<uint16_t>(s.flags | flow::kSessionHairpin);
    }
    return s;
}

}  // namespace sekisho::nat
