// Who may have one more session, mapping or port (RFC 6888 REQ-4, REQ-5), and whether the endpoint that
// a mapping was given is a right one.
#include <algorithm>

#include "nat44.h"

namespace sekisho::spec {
namespace {

constexpr int64_t kTokens = 1000;             // of one session
constexpr Time kRefusalStands = 2;            // a refusal may be repeated so long without a look
constexpr unsigned kLookedAtForSharing = 32;  // ports in use of a block

// What outsiders may use of a table or a limit; the rest, one at least, is kept for those inside.
unsigned share_of_outsiders(unsigned size) {
    return size - std::max(size / 4, 1U);
}

}  // namespace

unsigned Nat44::sessions_of(Address subscriber, Proto protocol) const {
    const SessionName first{protocol, {subscriber, 0}, {}};
    unsigned count = 0;
    for (auto s = sessions_.lower_bound(first);
         s != sessions_.end() && s->first.protocol == protocol &&
         s->first.internal.address == subscriber;
         ++s) {
        ++count;
    }
    return count;
}

unsigned Nat44::half_open_of(Address subscriber) const {
    return static_cast<unsigned>(std::ranges::count_if(sessions_, [&](const auto& s) {
        return s.first.protocol == Proto::kTcp && s.first.internal.address == subscriber &&
               s.second.tcp.phase() == Tcp::kOpening;
    }));
}

// Where it has mappings; of several addresses any.
std::optional<Address> Nat44::address_of(Address subscriber) const {
    const auto found = std::ranges::find_if(mappings_, [&](const auto& m) {
        return m.second.subscriber == subscriber;
    });
    return found == mappings_.end() ? std::nullopt : std::optional(found->second.external.address);
}

unsigned Nat44::ports_in_use_of(Address subscriber, Proto protocol) const {
    return static_cast<unsigned>(std::ranges::count_if(mappings_, [&](const auto& m) {
        return m.second.subscriber == subscriber && m.first.protocol == protocol;
    }));
}

unsigned Nat44::mappings_of(Address subscriber) const {
    return static_cast<unsigned>(std::ranges::count_if(mappings_, [&](const auto& m) {
        return m.first.internal.address == subscriber;
    }));
}

// Of all less what the others use or have kept for them, and of its own.
bool Nat44::is_within(
    unsigned used[3], unsigned all, unsigned own, Proto protocol, const Limits& limits
) const {
    unsigned taken = 0;
    for (const Proto p : kProtos) {
        const unsigned reserve = p == protocol ? 0 : limits.of[p].reserve;
        taken += std::max(used[static_cast<size_t>(p)], reserve);
    }
    return taken < all && (own == 0 || used[static_cast<size_t>(protocol)] < own);
}

std::set<DropReason> Nat44::over_limits(const SessionName& name, unsigned policy, Time now) {
    const Address subscriber = name.internal.address;
    const Limits& limits = settings_.policies[policy].limits;
    std::set<DropReason> over;
    unsigned used[3];
    for (const Proto p : kProtos) {
        used[static_cast<size_t>(p)] = sessions_of(subscriber, p);
    }
    const unsigned half_open = half_open_of(subscriber);
    const unsigned own = limits.of[name.protocol].sessions;
    if (!is_within(used, limits.sessions, own, name.protocol, limits)) {
        over.insert(DropReason::kSubscriberSessionLimit);
    }
    if (name.protocol == Proto::kTcp && limits.half_open != 0 && half_open >= limits.half_open) {
        over.insert(DropReason::kSubscriberHalfOpen);
    }
    if (const int64_t rate = limits.sessions_per_second; rate != 0) {
        const auto fresh = buckets_.insert({subscriber, {now, rate * kTokens}});
        Bucket& bucket = fresh.first->second;  // one second's worth at most
        bucket.tokens = std::min(bucket.tokens + (now - bucket.at) * rate, rate * kTokens);
        bucket.at = now;
        if (bucket.tokens < kTokens) {
            over.insert(DropReason::kSubscriberRate);
        }
    }
    if (sessions_in_[settings_.part_of(subscriber)] + sessions_freed_ >= settings_.sessions) {
        over.insert(DropReason::kSessionTableFull);
    }
    return over;
}

std::set<DropReason> Nat44::over_mapping_limits(Address subscriber, unsigned policy) const {
    const Limits& limits = settings_.policies[policy].limits;
    std::set<DropReason> over;
    if (limits.mappings != 0 && mappings_of(subscriber) >= limits.mappings) {
        over.insert(DropReason::kSubscriberMappingLimit);
    }
    const auto in_part = mappings_in_.find(settings_.part_of(subscriber));
    if (in_part != mappings_in_.end() && in_part->second + mappings_freed_ >= settings_.mappings) {
        over.insert(DropReason::kMappingTableFull);
    }
    return over;
}

// RFC 4787 REQ-4: parity is UDP's.
Wish Nat44::wish_of(const SessionName& name, unsigned policy) const {
    const bool has_parity = settings_.pools[settings_.policies[policy].pool].parity;
    if (!has_parity || name.protocol != Proto::kUdp) {
        return Wish::kAny;
    }
    return name.internal.port % 2 == 0 ? Wish::kEven : Wish::kOdd;
}

// The subscriber is within its limits of sessions; only the mapping is missing. Returns why there is
// none.
std::set<DropReason> Nat44::make_mapping(
    const SessionName& key, const SessionName& name, unsigned policy, Outcome& outcome, Time now
) {
    const Address subscriber = key.internal.address;
    const Policy& rules = settings_.policies[policy];
    Ports& ports = ports_[rules.pool];
    const std::set<DropReason> over = over_mapping_limits(subscriber, policy);
    if (!over.empty()) {
        return over;
    }
    unsigned used[3];
    for (const Proto p : kProtos) {
        used[static_cast<size_t>(p)] =
            ports.pool().preserve ? ports_in_use_of(subscriber, p) : ports.in_use_of(subscriber, p);
    }
    const bool has_port_left = is_within(
        used, rules.limits.ports, rules.limits.of[key.protocol].ports, key.protocol, rules.limits
    );
    const bool may_have_block = ports.blocks_of(subscriber) < ports.pool().blocks_per_subscriber;
    const auto external = choice_(name);
    const bool shares = external && by_external_.contains({key.protocol, *external});
    if (!external || shares) {
        const Wish wish = wish_of(key, policy);
        const Chance own =
            ports.pool().preserve
                ? ports.single_port(
                      address_of(subscriber), key.protocol, key.internal.port, wish, now
                  )
                : ports.own_port(subscriber, key.protocol, wish, now);
        const Chance other = may_have_block ? ports.new_block(subscriber, now) : Chance::kNo;
        const auto repeated = last_refusal_.find(rules.pool);
        const bool may_repeat =
            repeated != last_refusal_.end() && now - repeated->second <= kRefusalStands;
        const bool is_own_sure = own == Chance::kSure && !(ports.pool().preserve && may_repeat);
        if (has_port_left && (is_own_sure || (other == Chance::kSure && !may_repeat))) {
            outcome.wrong += "a port was free, and none was given; ";
        }
    }
    if (!external) {
        if (must_share(key, policy)) {
            outcome.wrong += "a port could be shared, and none was; ";
        }
        const bool at_limit = !has_port_left || (!may_have_block && !ports.pool().preserve);
        if (!at_limit) {
            last_refusal_[rules.pool] = now;
        }
        return {at_limit ? DropReason::kSubscriberPortLimit : DropReason::kPoolExhausted};
    }
    if (!has_port_left && !shares) {
        outcome.wrong += "the limit of ports was passed; ";
    }
    outcome.wrong += check_choice(key, *external, policy, now);
    mappings_[key] = {*external, subscriber, policy, {}};
    by_external_[{key.protocol, *external}].insert(key);
    ++mappings_in_[settings_.part_of(subscriber)];
    return {};
}

std::string Nat44::check_choice(
    const SessionName& key, const Endpoint& external, unsigned policy, Time now
) {
    const Address subscriber = key.internal.address;
    Ports& ports = ports_[settings_.policies[policy].pool];
    std::string wrong;
    const auto paired = address_of(subscriber);
    if (ports.pool().is_paired && paired && *paired != external.address) {
        wrong = "a subscriber has two external addresses; ";  // RFC 4787 REQ-2, RFC 6888 REQ-2
    }
    if (ports.pool().preserve) {
        wrong += ports.check_single(paired, key.protocol, key.internal.port, external, now);
    }
    if (by_external_.contains({key.protocol, external})) {
        const bool right = may_share(key, external, policy);
        return wrong + (right ? "" : "two mappings share an external endpoint; ");
    }
    const Wish wish = wish_of(key, policy);
    if (wish != Wish::kAny && (external.port % 2 == 0) != (wish == Wish::kEven)) {
        wrong += "parity is not preserved; ";
    }
    if (ports.pool().contiguity && wish == Wish::kOdd) {
        SessionName before = key;
        --before.internal.port;
        const auto first = mappings_.find(before);
        if (first != mappings_.end()) {
            Endpoint next = first->second.external;
            ++next.port;
            const bool same_block =
                next.port % ports.pool().block_size != 0 && next.port <= ports.pool().last_port;
            const bool sure = same_block && next.port % 2 != 0 &&
                              ports.may_give(key.protocol, next, now) == Chance::kSure;
            wrong += sure && external != next ? "contiguity is not preserved; " : "";
        }
    }
    return wrong + ports.take(subscriber, key.protocol, external, wish, now);
}

// ---- port overloading (RFC 7857 3): only where the session alone says whose a packet is

bool Nat44::may_share(const SessionName& key, const Endpoint& external, unsigned policy) const {
    const Policy& rules = settings_.policies[policy];
    const auto users = mappings_at(key.protocol, external);
    return rules.overloading && rules.mapping[key.protocol] == Dependence::kAddressAndPort &&
           std::ranges::all_of(users, [&](const SessionName& other) {
               return other.remote != key.remote && other.internal.address == key.internal.address;
           });
}

// Of each block only some of the ports in use are looked at.
bool Nat44::must_share(const SessionName& key, unsigned policy) const {
    const Policy& rules = settings_.policies[policy];
    if (!rules.overloading || rules.mapping[key.protocol] != Dependence::kAddressAndPort) {
        return false;
    }
    std::map<std::pair<Address, unsigned>, std::pair<unsigned, unsigned>> blocks;  // free, taken
    for (const auto& [external, users] : by_external_) {
        const bool is_ours = external.first == key.protocol &&
                             users.begin()->internal.address == key.internal.address;
        if (!is_ours) {
            continue;
        }
        const unsigned size = settings_.pools[rules.pool].block_size;
        auto& [free, taken] = blocks[{external.second.address, external.second.port / size}];
        ++(may_share(key, external.second, policy) ? free : taken);
    }
    return std::ranges::any_of(blocks, [](const auto& b) {
        return b.second.first > 0 && b.second.second < kLookedAtForSharing;
    });
}

// ---- TCP openings from outside: few a mapping, none where nothing else lives, and never the last of
// anything

std::set<DropReason> Nat44::refuses_opening(const SessionName& key, const Mapping& m) const {
    const Limits& limits = settings_.policies[m.policy].limits;
    std::set<DropReason> refused;
    const auto openings =
        static_cast<size_t>(std::ranges::count_if(m.sessions, [&](const SessionName& s) {
            return sessions_.at(s).tcp.was_opened_from_outside();
        }));
    if (openings >= limits.inbound_openings || openings == m.sessions.size()) {
        refused.insert(DropReason::kTcpUnsolicited);
    }
    unsigned used[3];
    for (const Proto p : kProtos) {
        used[static_cast<size_t>(p)] = sessions_of(m.subscriber, p);
    }
    const unsigned own = limits.of[Proto::kTcp].sessions;
    if (!is_within(used, share_of_outsiders(limits.sessions), 0, Proto::kTcp, limits) ||
        (own != 0 && used[static_cast<size_t>(Proto::kTcp)] >= share_of_outsiders(own))) {
        refused.insert(DropReason::kSubscriberSessionLimit);
    }
    if (limits.half_open != 0 &&
        half_open_of(m.subscriber) >= share_of_outsiders(limits.half_open)) {
        refused.insert(DropReason::kSubscriberHalfOpen);
    }
    const auto in_part = sessions_in_.find(settings_.part_of(key.internal.address));
    if (in_part->second >= share_of_outsiders(settings_.sessions)) {
        refused.insert(DropReason::kSessionTableFull);
    }
    return refused;
}

}  // namespace sekisho::spec
