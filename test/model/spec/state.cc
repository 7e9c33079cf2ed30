// Sessions and mappings: made, kept alive, ended.
#include <algorithm>

#include "nat44.h"

namespace sekisho::spec {
namespace {

constexpr Time kTimerLate = 1100;  // two slots of a timer

}  // namespace

Nat44::Nat44(const Settings& settings, Choice choice)
    : settings_(settings), choice_(std::move(choice)) {
    for (const Pool& pool : settings_.pools) {
        ports_.emplace_back(pool);
    }
}

bool Nat44::is_pool(Address a) const {
    return std::ranges::any_of(settings_.pools, [a](const Pool& p) { return p.has(bare(a)); });
}

bool Nat44::is_own(Address a) const {
    return std::ranges::find(settings_.own, a) != settings_.own.end() ||
           bare(a) == settings_.own.back();
}

bool Nat44::is_inside_any(Address a) const {
    for (Address realm = 0; realm < settings_.realms; ++realm) {
        if (settings_.is_routed_inside(beside(realm << 32, a))) {
            return true;
        }
    }
    return false;
}

std::optional<unsigned> Nat44::policy_of(Address subscriber) const {
    for (unsigned i = 0; i < settings_.policies.size(); ++i) {
        if (settings_.policies[i].covers(subscriber)) {
            return i;
        }
    }
    return std::nullopt;
}

// RFC 4787 4.1: of the remote endpoint nothing counts, the address, or both.
SessionName Nat44::mapping_key(const SessionName& name, unsigned policy) const {
    SessionName key = name;
    const Dependence by = settings_.policies[policy].mapping[name.protocol];
    if (by == Dependence::kNone) {
        key.remote = {};
    } else if (by == Dependence::kAddress) {
        key.remote.port = 0;
    }
    return key;
}

Time Nat44::deadline_of(const SessionName& name, const Session& s) const {
    const Timeouts& t = settings_.timeouts;
    if (name.protocol != Proto::kTcp) {
        return s.last + (name.protocol == Proto::kUdp ? t.udp : t.icmp);
    }
    switch (s.tcp.phase()) {
        case Tcp::kEstablished:
            return s.last + t.established;
        case Tcp::kClosing:
            return s.last + t.closing;
        default:
            return s.last + t.transitory;
    }
}

std::vector<SessionName> Nat44::mappings_at(Proto p, const Endpoint& external) const {
    const auto found = by_external_.find({p, external});
    return found == by_external_.end()
               ? std::vector<SessionName>()
               : std::vector<SessionName>(found->second.begin(), found->second.end());
}

std::optional<SessionName> Nat44::find_inbound(
    Proto p, const Endpoint& external, const Endpoint& remote
) const {
    for (const SessionName& key : mappings_at(p, external)) {
        const auto found = sessions_.find({p, key.internal, remote});
        if (found != sessions_.end() && found->second.mapping_remote == key.remote) {
            return found->first;
        }
    }
    return std::nullopt;
}

Session& Nat44::make_session(
    const SessionName& key, const SessionName& name, Side opener, Time now
) {
    Session& session = sessions_[name];
    session.mapping_remote = key.remote;
    session.last = now;
    session.tcp = Tcp(opener);
    mappings_.at(key).sessions.insert(name);
    ++sessions_in_[settings_.part_of(name.internal.address)];
    return session;
}

// RFC 4787 REQ-6: both directions keep a session alive; of TCP the connection knows better.
void Nat44::track(const SessionName& name, Side from, const Packet& packet, Time now) {
    Session& session = sessions_.at(name);
    ++session.packets[static_cast<size_t>(from)];
    if (name.protocol != Proto::kTcp || session.tcp.take(from, packet)) {
        session.last = now;
    }
}

bool Nat44::was_closed(const SessionName& name, const Session& session) {
    return name.protocol == Proto::kTcp && session.tcp.phase() >= Tcp::kClosing;
}

// With its last session a mapping ends. Its port rests, but after a connection that was seen to close
// (RFC 6888 REQ-8 A).
// NOLINTNEXTLINE(performance-unnecessary-value-param): nat44.h says why
void Nat44::end_session(SessionName name, Time from, Time now, bool is_order_known) {
    const Session session = sessions_.at(name);
    const SessionName key{name.protocol, name.internal, session.mapping_remote};
    const unsigned part = settings_.part_of(name.internal.address);
    Mapping& mapping = mappings_.at(key);
    mapping.sessions.erase(name);
    sessions_.erase(name);
    --sessions_in_[part];
    ++sessions_freed_;
    if (!mapping.sessions.empty()) {
        return;
    }
    const External external{name.protocol, mapping.external};
    by_external_.at(external).erase(key);
    if (by_external_.at(external).empty()) {
        by_external_.erase(external);
        const Pool& pool = settings_.pools[settings_.policies[mapping.policy].pool];
        const bool rests = !is_order_known || !was_closed(name, session);
        ports_[settings_.policies[mapping.policy].pool].release(
            name.protocol,
            mapping.external,
            rests,
            is_order_known ? from : now - pool.quarantine,
            now
        );
    }
    mappings_.erase(key);
    --mappings_in_[part];
    ++mappings_freed_;
}

void Nat44::end_if_dead(const SessionName& name, Time now) {
    const auto found = sessions_.find(name);
    if (found != sessions_.end() && is_dead(name, found->second, now)) {
        end_session(name, now, now);
    }
}

std::string Nat44::end_overdue(const std::function<bool(const SessionName&)>& is_there, Time now) {
    std::string wrong;
    std::vector<SessionName> dead;
    std::map<External, std::set<bool>> ends;  // of a port's last users: by closing, by silence
    const auto external_of = [&](const SessionName& name, const Session& session) {
        const SessionName key{name.protocol, name.internal, session.mapping_remote};
        return External{name.protocol, mappings_.at(key).external};
    };
    for (const auto& [name, session] : sessions_) {
        if (is_dead(name, session, now)) {
            dead.push_back(name);
            ends[external_of(name, session)].insert(was_closed(name, session));
        }
    }
    for (const SessionName& name : dead) {
        const Session& session = sessions_.at(name);
        const Time deadline = deadline_of(name, session);
        const bool is_order_known = ends.at(external_of(name, session)).size() == 1;
        if (!is_there(name)) {
            end_session(name, deadline, now, is_order_known);
        } else if (deadline + kTimerLate < now) {
            wrong += "a session outlives its time; ";
        }
    }
    return wrong;
}

void Nat44::clear(const SessionName& name, Time now) {
    end_session(name, now, now);
}

std::string Nat44::observe_blocks(const std::vector<HeldBlock>& held, Time now) {
    std::string wrong;
    for (Ports& ports : ports_) {
        wrong += ports.observe(held, now);
    }
    return wrong;
}

}  // namespace sekisho::spec
