// What becomes of a packet. Each function is a page of the RFCs.
#include "nat44.h"

#include <algorithm>

namespace sekisho::spec {
namespace {

constexpr uint8_t kHostUnreachableProhibited = 13;
constexpr size_t kLeastQuote = 28;  // an IPv4 header and eight bytes

Outcome drop(DropReason reason) {
    Outcome outcome;
    outcome.dropped = {reason};
    return outcome;
}
Outcome drop(DropReason reason, uint8_t type, uint8_t code) {
    Outcome outcome = drop(reason);
    outcome.answer = {type, code};
    return outcome;
}
Outcome send(Side to, const Packet& packet) {
    Outcome outcome;
    outcome.sent = {to, packet};
    return outcome;
}

bool is_opening(const Packet& p) {
    return (p.tcp_flags & (kSyn | kAck | kRst | kFin)) == kSyn;
}

// What no stack sends, whoever gets it.
std::optional<DropReason> is_malformed(const Packet& p) {
    if (p.is_error()) {
        if (p.wrong_checksum) {
            return DropReason::kBadIcmpChecksum;  // RFC 5508 REQ-3
        }
        // REQ-3 a; who is told must be who sent the quoted packet
        const bool is_bad = p.quote_is_damaged || p.quoted_bytes < kLeastQuote ||
                            p.quote[0].from.address != p.to.address;
        return is_bad ? std::optional(DropReason::kBadIcmpQuote) : std::nullopt;
    }
    if (p.protocol == Proto::kIcmp) {
        return std::nullopt;
    }
    if (p.from.port == 0 || p.to.port == 0) {
        return DropReason::kPortZero;
    }
    const uint8_t flags = p.tcp_flags;
    const bool contradicts = (flags & kSyn) != 0 && (flags & (kFin | kRst)) != 0;
    return p.protocol == Proto::kTcp && (flags == 0 || contradicts)
               ? std::optional(DropReason::kBadTcpFlags)
               : std::nullopt;
}

}  // namespace

Outcome Nat44::receive(Side from, const Packet& p, Time now) {
    sessions_freed_ = mappings_freed_ = 0;
    if (const auto reason = is_malformed(p)) {
        return drop(*reason);
    }
    if (p.ttl <= 1) {  // RFC 1812 5.3.1; nothing is owed to a forged source, or about an error
        const bool is_inside = from == Side::kInside ? settings_.is_routed_inside(p.from.address)
                                                     : is_inside_any(p.from.address);
        const bool is_other_side = (from == Side::kInside) != is_inside;
        if (is_pool(p.from.address) || is_own(p.from.address) || is_other_side) {
            return drop(DropReason::kSpoofedSource);
        }
        return p.is_error() ? drop(DropReason::kTtlExceeded)
                            : drop(DropReason::kTtlExceeded, kTimeExceeded, 0);
    }
    Packet forwarded = p;
    --forwarded.ttl;
    if (p.is_error()) {
        return from == Side::kInside ? error_outbound(forwarded, now)
                                     : error_inbound(forwarded, false);
    }
    return from == Side::kInside ? outbound(forwarded, now) : inbound(forwarded, false, now);
}

// ---- from inside

Outcome Nat44::outbound(const Packet& p, Time now) {
    const SessionName name{p.protocol, p.from, p.to};
    const bool is_forged = is_pool(p.from.address) || is_own(p.from.address);
    if (is_forged) {
        return drop(DropReason::kSpoofedSource);
    }
    if (!is_pool(p.to.address) &&
        settings_.is_routed_inside(beside(p.from.address, p.to.address))) {
        return drop(DropReason::kWrongSide);
    }
    end_if_dead(name, now);
    Outcome opened;
    if (!sessions_.contains(name)) {
        opened = open(p, name, now);
        if (!opened.dropped.empty()) {
            return opened;
        }
    }
    const Session& session = sessions_.at(name);
    const SessionName key{p.protocol, p.from, session.mapping_remote};
    const Packet translated = with_source(p, mappings_.at(key).external);
    track(name, Side::kInside, p, now);
    Outcome outcome = leave(translated, now);
    outcome.wrong = opened.wrong + outcome.wrong;
    return outcome;
}

// RFC 5382 REQ-2: only a SYN opens. An echo reply answers nothing.
Outcome Nat44::open(const Packet& p, const SessionName& name, Time now) {
    if (p.protocol == Proto::kTcp && !is_opening(p)) {
        return drop(DropReason::kNoSession);
    }
    if (p.protocol == Proto::kIcmp && p.icmp_type == kEchoReply) {
        return drop(DropReason::kIcmpNoSession);
    }
    const auto policy = policy_of(p.from.address);
    if (!policy) {
        return drop(DropReason::kNoPolicy, kUnreachable, kHostUnreachableProhibited);
    }
    Outcome outcome;
    const SessionName key = mapping_key(name, *policy);
    outcome.dropped = over_limits(name, *policy, now);
    if (outcome.dropped.empty() && !mappings_.contains(key)) {
        outcome.dropped = make_mapping(key, name, *policy, outcome, now);
    }
    if (!outcome.dropped.empty()) {  // RFC 6888 REQ-11: dropped, the sender told, nothing changed
        const uint8_t code = settings_.policies[*policy].refusal_code;
        if (code != 0) {
            outcome.answer = {kUnreachable, code};
        }
        return outcome;
    }
    make_session(key, name, Side::kInside, now).is_permission = true;
    if (const unsigned rate = settings_.policies[*policy].limits.sessions_per_second; rate != 0) {
        buckets_[p.from.address].tokens -= 1000;
    }
    return outcome;
}

// To the outside, or by way of it to another subscriber (RFC 4787 REQ-9).
Outcome Nat44::leave(const Packet& translated, Time now) {
    if (!is_pool(translated.to.address)) {
        return send(Side::kOutside, translated);
    }
    return translated.is_error() ? error_inbound(translated, true) : inbound(translated, true, now);
}

// ---- from outside

// An address that lies inside, in the realm of whom the packet is for; what is for nobody comes from nobody.
bool Nat44::claims_inside(const Packet& p) const {
    if (!is_inside_any(p.from.address)) {
        return false;
    }
    const auto there = mappings_at(p.protocol, p.to);
    return there.empty() ||
           settings_.is_routed_inside(beside(there.front().internal.address, p.from.address));
}

Outcome Nat44::inbound(const Packet& p, bool is_hairpin, Time now) {
    const bool is_forged =
        is_pool(p.from.address) || p.from.address == settings_.own.back() || claims_inside(p);
    if (!is_hairpin && is_forged) {
        return drop(DropReason::kSpoofedSource);
    }
    if (!is_pool(p.to.address)) {
        return drop(DropReason::kNotForwarded);
    }
    if (const auto dead = find_inbound(p.protocol, p.to, p.from)) {
        end_if_dead(*dead, now);
    }
    const auto name = find_inbound(p.protocol, p.to, p.from);
    if (!name) {
        return inbound_miss(p, now);
    }
    track(*name, Side::kOutside, p, now);
    return send(Side::kInside, with_destination(p, name->internal));
}

// RFC 4787 REQ-8, RFC 5382 REQ-3: what only the filter admits is translated and changes nothing,
// but for a TCP opening.
Outcome Nat44::inbound_miss(const Packet& p, Time now) {
    const auto there = mappings_at(p.protocol, p.to);
    if (there.empty()) {
        const bool icmp = p.protocol == Proto::kIcmp;
        return drop(icmp ? DropReason::kIcmpNoSession : DropReason::kNoMapping);
    }
    const SessionName key = there.front();
    const Mapping& mapping = mappings_.at(key);
    if (!admits(key, mapping, p.from)) {
        return drop(DropReason::kFiltered);
    }
    const Packet translated = with_destination(p, key.internal);
    if (p.protocol != Proto::kTcp) {
        return send(Side::kInside, translated);
    }
    if (!is_opening(p)) {
        return drop(DropReason::kNoSession);
    }
    const auto refused = refuses_opening(key, mapping);
    if (!refused.empty()) {
        Outcome outcome;
        outcome.dropped = refused;
        return outcome;
    }
    const SessionName name{p.protocol, key.internal, p.from};
    make_session(key, name, Side::kOutside, now);
    track(name, Side::kOutside, p, now);
    return send(Side::kInside, translated);
}

bool Nat44::admits(const SessionName& key, const Mapping& mapping, const Endpoint& remote) const {
    switch (settings_.policies[mapping.policy].filtering[key.protocol]) {
        case Dependence::kNone:
            return true;
        case Dependence::kAddress:
            return std::ranges::any_of(mapping.sessions, [&](const SessionName& s) {
                return s.remote.address == remote.address && sessions_.at(s).is_permission;
            });
        case Dependence::kAddressAndPort:
            return false;
    }
    return false;
}

// ---- ICMP errors: of the session, or of the mapping, that the quoted packet belongs to. They change
// nothing (RFC 4787 REQ-12, RFC 5508 REQ-6).

bool Nat44::knows(const SessionName& name, Time now) const {
    const auto found = sessions_.find(name);
    return found != sessions_.end() && !is_dead(name, found->second, now);
}

// RFC 5508 REQ-5. The quoted packet is one that the NAT has delivered.
Outcome Nat44::error_outbound(const Packet& p, Time now) {
    const Packet& quote = p.quote[0];
    const SessionName name{quote.protocol, quote.to, quote.from};
    std::optional<SessionName> key;
    if (knows(name, now)) {
        key = {name.protocol, name.internal, sessions_.at(name).mapping_remote};
    } else if (const auto policy = policy_of(name.internal.address)) {
        const SessionName wanted = mapping_key(name, *policy);
        key = mappings_.contains(wanted) ? std::optional(wanted) : std::nullopt;
    }
    if (!key) {
        return drop(DropReason::kIcmpNoSession);
    }
    if (is_pool(p.from.address) || is_own(p.from.address)) {
        return drop(DropReason::kSpoofedSource);
    }
    if (!is_pool(p.to.address) &&
        settings_.is_routed_inside(beside(p.from.address, p.to.address))) {
        return drop(DropReason::kWrongSide);
    }
    const Endpoint external = mappings_.at(*key).external;
    const bool is_subscriber = p.from.address == name.internal.address;
    Packet translated = p;
    translated.quote[0].to = external;
    translated.from.address =
        is_subscriber || is_pool(p.to.address) ? external.address : settings_.own.back();
    return leave(translated, now);
}

// RFC 5508 REQ-4. The quoted packet is one that has left the NAT.
Outcome Nat44::error_inbound(const Packet& p, bool is_hairpin) {
    if (!is_pool(p.to.address)) {
        return drop(DropReason::kIcmpNoSession);
    }
    const Packet& quote = p.quote[0];
    std::optional<SessionName> key;
    for (const SessionName& m : mappings_at(quote.protocol, quote.from)) {
        const bool is_for = m.remote.address == 0 || m.remote.address == quote.to.address;
        if (is_for && (m.remote.port == 0 || m.remote.port == quote.to.port)) {
            key = m;
        }
    }
    if (!key) {
        return drop(DropReason::kIcmpNoSession);
    }
    // A packet between two subscribers never left; and nobody speaks in our name.
    const bool forged =
        is_pool(p.from.address) || is_own(beside(key->internal.address, p.from.address));
    if (!is_hairpin && (is_pool(quote.to.address) || forged)) {
        return drop(DropReason::kSpoofedSource);
    }
    Packet translated = with_destination(p, {key->internal.address, 0});
    translated.quote[0].from = key->internal;
    return send(Side::kInside, translated);
}

}  // namespace sekisho::spec
