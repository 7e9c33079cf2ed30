// Subscribers: found, made and ended; their limits (RFC 6888 REQ-4, REQ-5).
#include <algorithm>
#include <atomic>

#include "base/mutation.h"
#include "nat/nat_shard.h"
#include "nat/policy.h"
#include "nat/tcp_state.h"

namespace sekisho::nat {
namespace {

constexpr uint32_t kTokensPerSession = 1000;
constexpr uint32_t kMsPerSecond = 1000;
constexpr int32_t kRefusalMs = 1;  // a refusal stands for this tick and the next

const ProtocolLimits& of_protocol(const SubscriberLimits& limits, unsigned slot) {
    return slot == 0 ? limits.tcp : slot == 1 ? limits.udp : limits.icmp;
}

// Whether one protocol may have one more: of all less what the others use or have kept for them,
// and of its own (0: no such limit).
// NOLINTNEXTLINE(readability-function-size): what is used, and the two limits
bool is_within(
    const SubscriberLimits& limits,
    const std::array<uint32_t, kProtocolSlots>& used,
    uint32_t all,
    unsigned slot,
    uint32_t own
) {
    uint64_t taken = 0;
    for (unsigned p = 0; p < kProtocolSlots; ++p) {
        taken += p == slot ? used[p] : std::max(used[p], of_protocol(limits, p).reserve);
    }
    return taken < all && (own == 0 || used[slot] < own);
}

}  // namespace

uint32_t NatShard::find_subscriber(uint64_t hash, const FlowKey& key) const {
    return subscriber_index_.find(hash, [&](uint32_t v) {
        const Subscriber& s = subscribers_[v];
        return s.state != 0 &&
               subscriber_key({s.address}, {s.realm}, numbers_.tag_of(s.policy)) == key;
    });
}

PolicyId NatShard::policy_of(Ipv4Addr address, RealmId realm) const {
    return find_policy(*settings_, address, realm);
}

// All its mappings are to have one external address (RFC 4787 REQ-2), so one with a static mapping
// takes its ports where that is, if it can.
ExternalIndex NatShard::first_external(PoolId pool, Ipv4Addr address, RealmId realm) const {
    const StaticTable& statics = directory_->statics();
    const ExternalIndex external =
        statics.empty() ? ExternalIndex{kNoIndex}
                        : directory_->find(statics.external_of_subscriber(address, realm));
    const bool will_do = external.value != kNoIndex && (*directory_)[external].pool == pool &&
                         directory_->grants_blocks(external) && directory_->is_serving(external);
    return will_do ? external : ExternalIndex{kNoIndex};
}

// `key`: subscriber_key().
NatShard::Outcome NatShard::find_or_make_subscriber(uint64_t hash, const FlowKey& key, Tick now) {
    const uint32_t found = find_subscriber(hash, key);
    return found != kNoIndex ? Outcome::made(found) : make_subscriber(hash, key, now);
}

// There is none yet.
NatShard::Outcome NatShard::make_subscriber(uint64_t hash, const FlowKey& key, Tick now) {
    const Ipv4Addr address = key.source();
    const RealmId realm = key.realm();
    const auto tag = static_cast<PoolTag>(key.rest >> kTagShift);
    const PolicyId policy = policy_of(address, realm);
    if (policy == kNoPolicy) {
        return Outcome::refused(DropReason::kNoPolicy);
    }
    const uint32_t index = subscribers_.has_room() ? subscribers_.allocate() : kNoIndex;
    if (index == kNoIndex) {
        return Outcome::refused(DropReason::kSubscriberTableFull);
    }
    Subscriber& s = subscribers_[index];
    const uint32_t generation = s.generation;
    s = Subscriber{};
    s.address = address.raw;
    s.realm = realm.value;
    s.policy = numbers_.of(policy, tag);
    s.external = first_external(numbers_.pool_of(policy, tag), address, realm).value;
    s.first_block = kNoIndex;
    s.generation = generation;
    s.tokens_at = now.ms;
    s.tokens = std::min(limits_of(s).sessions_per_second, 0xffffffff / kTokensPerSession) *
               kTokensPerSession;
    if (!subscriber_index_.insert(hash, index)) {
        subscribers_.release(index);
        return Outcome::refused(DropReason::kSubscriberTableFull);
    }
    numbers_.note(tag);
    std::atomic_signal_fence(std::memory_order_release);
    s.state = 1;
    return Outcome::made(index);
}

void NatShard::release_subscriber_if_idle(uint32_t subscriber) {
    Subscriber& s = subscribers_[subscriber];
    const bool is_idle = s.state != 0 && s.all_sessions() == 0 && s.mappings == 0 && s.ports == 0 &&
                         s.blocks == 0 && s.wait == BlockWait::kNone && !s.marks.lingers;
    if (!is_idle) {
        return;
    }
    const FlowKey key = subscriber_key({s.address}, {s.realm}, numbers_.tag_of(s.policy));
    subscriber_index_.erase(hash_of(key), subscriber);
    s.state = 0;
    ++s.generation;
    subscribers_.release(subscriber);
}

// What was refused is refused again at once in this tick and the next, without asking any home
// (PITFALLS 4). Its record stays that long even if the subscriber has nothing.
void NatShard::note_refusal(uint32_t subscriber, unsigned what, Tick now) {
    Subscriber& s = subscribers_[subscriber];
    const unsigned others = s.refused_at == now.ms ? s.marks.refused : 0U;
    s.marks.refused = static_cast<uint8_t>((others | 1U << what) & 0xf);
    s.refused_at = now.ms;
    if (!s.marks.lingers) {
        append_lingering(subscriber);
    }
}

// What a subscriber without a record would be refused for anyway is told before a record is made: at
// exhaustion most packets are of such.
std::optional<DropReason> NatShard::why_no_newcomer(const FlowKey& key, PoolTag tag, Tick now) {
    const bool has_sessions = has_room_for_session();
    const bool has_mappings = mappings_.has_room() && mapping_index_.has_room(LateInserts::kMost);
    if (has_sessions && has_mappings && none_left_at_ != now) [[likely]] {
        return std::nullopt;
    }
    const PolicyId policy = policy_of(key.source(), key.realm());
    if (policy == kNoPolicy || !subscribers_.has_room() ||
        find_static(key, Direction::kOutbound) != nullptr) {
        return std::nullopt;  // what that means is told where the record would be made
    }
    if (!has_sessions) {
        make_room(now);
        return DropReason::kSessionTableFull;
    }
    if (!has_mappings) {
        return DropReason::kMappingTableFull;
    }
    const PoolId wanted = numbers_.pool_of(policy, tag);
    Pool& pool = pools_[wanted.value];
    const bool wants_any = !pool.is_deterministic && !(pool.has_singles && is_single(pool, key)) &&
                           first_external(wanted, key.source(), key.realm()).value == kNoIndex;
    if (!wants_any || pool.none_left_at != now) {
        return std::nullopt;
    }
    ++pool.refused;
    return DropReason::kPoolExhausted;
}

void NatShard::append_lingering(uint32_t subscriber) {
    Subscriber& s = subscribers_[subscriber];
    s.marks.lingers = true;
    s.next_lingering = kNoIndex;
    (lingering_.first == kNoIndex ? lingering_.first : subscribers_[lingering_.last].next_lingering
    ) = subscriber;
    lingering_.last = subscriber;
}

bool NatShard::was_refused_now(const Subscriber& s, unsigned what, Tick now) {
    const int32_t ago = elapsed_ms(Tick{s.refused_at}, now);
    return (s.marks.refused >> what & 1U) != 0 && ago >= 0 && ago <= kRefusalMs;
}

// One that was refused again meanwhile goes to the end, so that it holds up none behind it.
void NatShard::release_lingering(Tick now, uint32_t budget) {
    const uint32_t last = lingering_.last;
    for (bool more = lingering_.first != kNoIndex; more && budget > 0; --budget) {
        const uint32_t subscriber = lingering_.first;
        Subscriber& s = subscribers_[subscriber];
        lingering_.first = s.next_lingering;
        more = subscriber != last;
        const int32_t ago = elapsed_ms(Tick{s.refused_at}, now);
        if (s.marks.refused != 0 && ago >= 0 && ago <= kRefusalMs) {
            append_lingering(subscriber);
            continue;
        }
        s.marks.lingers = false;
        s.marks.refused = 0;
        release_subscriber_if_idle(subscriber);
    }
}

// A bucket of one second's worth; an absence of any length fills it.
uint32_t NatShard::available_tokens(const Subscriber& s, uint32_t rate, Tick now) const {
    const uint32_t elapsed = std::min(now.ms - s.tokens_at, kMsPerSecond);
    const uint64_t full = uint64_t{rate} * kTokensPerSession;
    const uint64_t tokens = s.tokens + uint64_t{elapsed} * rate;
    return static_cast<uint32_t>(std::min({tokens, full, uint64_t{0xffffffff}}));
}

void NatShard::take_token(Subscriber& s, uint32_t rate, Tick now) {
    if (rate != 0) {
        s.tokens = available_tokens(s, rate, now) - kTokensPerSession;
        s.tokens_at = now.ms;
    }
}

// Only asked where a protocol has limits of its own: the ports of each are counted by block.
bool NatShard::may_take_port(uint32_t subscriber, Protocol protocol) const {
    const Subscriber& s = subscribers_[subscriber];
    const SubscriberLimits& limits = limits_of(s);
    if (is_mutated(Mutation::kRfc6888Req4)) {
        return true;
    }
    if (s.ports >= limits.ports) {
        return false;
    }
    if (!policies_[numbers_.policy_of(s.policy)].has_protocol_limits) {
        return true;
    }
    ProtocolCounts used{};
    for (uint32_t block = s.first_block; block != kNoIndex; block = blocks_[block].next) {
        for (unsigned p = 0; p < kProtocolSlots; ++p) {
            used[p] += blocks_[block].in_use[p];
        }
    }
    for (unsigned p = 0; p < kProtocolSlots && !singles_used_.empty(); ++p) {
        used[p] += singles_used_[subscriber][p];
    }
    const unsigned slot = protocol_slot(protocol);
    return is_within(limits, used, limits.ports, slot, of_protocol(limits, slot).ports);
}

void NatShard::count_single(uint32_t mapping, int change) {
    const Mapping& m = mappings_[mapping];
    if (!singles_used_.empty() && has_single_port(m)) {
        uint32_t& used =
            singles_used_[m.subscriber][protocol_slot(static_cast<Protocol>(m.protocol))];
        used = static_cast<uint32_t>(static_cast<int>(used) + change);
    }
}

void NatShard::count_half_open(Subscriber& s, SessionState before, SessionState after) {
    constexpr uint16_t kMost = 0xffff;
    const bool was = is_half_open(before);
    const bool is = is_half_open(after);
    if (was != is && (is ? s.half_open < kMost : s.half_open > 0)) {
        s.half_open = static_cast<uint16_t>(s.half_open + (is ? 1 : -1));
    }
}

std::optional<DropReason> NatShard::check_limits(uint32_t subscriber, Protocol protocol, Tick now) {
    const Subscriber& s = subscribers_[subscriber];
    const SubscriberLimits& limits = limits_of(s);
    if (s.all_sessions() >= limits.sessions) {
        return DropReason::kSubscriberSessionLimit;
    }
    if (policies_[numbers_.policy_of(s.policy)].has_protocol_limits) {
        const ProtocolCounts used{s.sessions[0], s.sessions[1], s.sessions[2]};
        const unsigned slot = protocol_slot(protocol);
        const uint32_t own = of_protocol(limits, slot).sessions;
        if (!is_within(limits, used, limits.sessions, slot, own)) {
            return DropReason::kSubscriberSessionLimit;
        }
    }
    if (protocol == Protocol::kTcp && limits.half_open != 0 && s.half_open >= limits.half_open) {
        return DropReason::kSubscriberHalfOpen;
    }
    const uint32_t rate = limits.sessions_per_second;
    if (rate != 0 && available_tokens(s, rate, now) < kTokensPerSession) {
        return DropReason::kSubscriberRate;
    }
    if (!has_room_for_session()) {
        make_room(now);
        return DropReason::kSessionTableFull;
    }
    if (!log_.may_start(session_class(protocol), waits_)) {
        return DropReason::kLogFull;
    }
    return std::nullopt;
}

// Of what is opened from outside. The rate is that of what the subscriber begins.
std::optional<DropReason> NatShard::check_opening_limits(const Subscriber& s, Protocol protocol)
    const {
    const SubscriberLimits& limits = limits_of(s);
    const ProtocolCounts used{s.sessions[0], s.sessions[1], s.sessions[2]};
    const unsigned slot = protocol_slot(protocol);
    const uint32_t all = share_for_inbound(limits.sessions);
    const uint32_t own = of_protocol(limits, slot).sessions;
    if (!is_within(limits, used, all, slot, 0) ||
        (own != 0 && used[slot] >= share_for_inbound(own))) {
        return DropReason::kSubscriberSessionLimit;
    }
    const bool may_open = protocol != Protocol::kTcp || limits.half_open == 0 ||
                          s.half_open < share_for_inbound(limits.half_open);
    return may_open ? std::nullopt : std::optional(DropReason::kSubscriberHalfOpen);
}

// Where it is switched on, a session that nobody has answered ends when the table is full. What it
// frees serves from the next burst on, so the one that asked comes again. A hand goes round the
// table, a few entries a refusal.
void NatShard::make_room(Tick now) {
    constexpr unsigned kLooked = 16;
    constexpr uint16_t kAnswered = flow::kSeenInbound | flow::kSeenOutbound;
    if (!settings_->limits.unreplied_make_room && !is_mutated(Mutation::kRfc6888Req11d)) {
        return;
    }
    for (unsigned i = 0; i < kLooked; ++i) {
        unreplied_hand_ = unreplied_hand_ + 1 < sessions_.high_water() ? unreplied_hand_ + 1 : 0;
        const Session& s = sessions_[unreplied_hand_];
        if ((s.flags & flow::kLive) != 0 && (s.flags & kAnswered) != kAnswered) {
            expire_session(unreplied_hand_, EndCause::kMadeRoom, now);
            ++made_room_;
            return;
        }
    }
}

}  // namespace sekisho::nat
