#include "rules/effects.h"

#include <algorithm>

namespace sekisho::rules {
namespace {

struct Effect {
    RulePacket& packet;
    Rates& rates;
    Outcome& outcome;

    bool set_tos(uint8_t keep, uint8_t flip) const {
        packet.tos = static_cast<uint8_t>((packet.tos & keep) ^ flip);
        outcome.tos_keep &= keep;
        outcome.tos_flip = static_cast<uint8_t>((outcome.tos_flip & keep) ^ flip);
        return true;
    }
    bool operator()(const SetTos& a) const { return set_tos(a.keep, a.flip); }
    bool operator()(const SetDscp& a) const {
        return set_tos(0x03, static_cast<uint8_t>(a.value << 2));
    }
    bool operator()(const Log& /*action*/) const {
        outcome.logs = true;
        return true;
    }
    bool operator()(const SetMark& a) const {
        packet.mark = (packet.mark & ~a.mask) | a.value;
        return true;
    }
    bool operator()(const NoTrack& /*action*/) const {
        outcome.no_track = true;
        return true;
    }
    bool operator()(const Police& a) const {
        return rates.take_bytes(a.bucket, packet.length, packet.now);
    }
    template <class Other>
    bool operator()(const Other& /*action*/) const {
        return true;
    }
};

}  // namespace

Disposition disposition_of(const Action& action) {
    if (std::holds_alternative<Accept>(action)) {
        return Disposition::kAccept;
    }
    if (std::holds_alternative<Reject>(action)) {
        return Disposition::kReject;
    }
    if (std::holds_alternative<Masquerade>(action)) {
        return Disposition::kMasquerade;
    }
    if (std::holds_alternative<Snat>(action)) {
        return Disposition::kSnat;
    }
    if (std::holds_alternative<Dnat>(action)) {
        return Disposition::kDnat;
    }
    if (std::holds_alternative<Redirect>(action)) {
        return Disposition::kRedirect;
    }
    return Disposition::kDeny;
}

bool take_rates(const Rule& rule, const RulePacket& packet, Rates& rates) {
    return std::ranges::all_of(rule.conditions, [&](const Condition& condition) {
        const auto* rate = std::get_if<RateTest>(&condition.test);
        return rate == nullptr || rates.take_packet(rate->bucket, packet.now) != condition.negated;
    });
}

bool apply_effects(const Rule& rule, RulePacket& packet, Rates& rates, Outcome& outcome) {
    for (const Action& action : rule.actions) {
        if (!std::visit(Effect{packet, rates, outcome}, action)) {
            outcome.disposition = Disposition::kDeny;
            outcome.by = rule.id;
            outcome.action = nullptr;
            return false;
        }
    }
    outcome.tos = packet.tos;
    outcome.mark = packet.mark;
    return true;
}

void decide(const Action& action, RuleId by, Outcome& outcome) {
    outcome.disposition = disposition_of(action);
    outcome.by = by;
    outcome.action = &action;
}

}  // namespace sekisho::rules
