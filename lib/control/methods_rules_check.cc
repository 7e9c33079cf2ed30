// rules.check: how a described packet fares, and past which rules it comes. By the linear matcher, which is what rules mean.
#include <unordered_map>

#include "base/protocol_name.h"
#include "base/text.h"
#include "config/rule_words.h"
#include "config/rules_to_yaml.h"
#include "control/described_packet.h"
#include "control/methods.h"
#include "rules/linear.h"

namespace sekisho::control {
namespace {

constexpr size_t kMostOfPath = 1000;

std::string_view name_of(rules::Disposition disposition) {
    switch (disposition) {
        case rules::Disposition::kAccept:
        case rules::Disposition::kPassed:
            return "accept";
        case rules::Disposition::kDeny:
            return "deny";
        case rules::Disposition::kReject:
            return "reject";
        case rules::Disposition::kMasquerade:
            return "masquerade";
        case rules::Disposition::kSnat:
            return "snat";
        case rules::Disposition::kDnat:
            return "dnat";
        case rules::Disposition::kRedirect:
            return "redirect";
    }
    return "accept";
}

bool ends_here(rules::Disposition disposition) {
    return disposition == rules::Disposition::kDeny || disposition == rules::Disposition::kReject;
}

// Where rules stand, by id, so that a long path need not be searched for rule by rule.
class PlacesOfRules {
  public:
    explicit PlacesOfRules(const config::Config& config) : config_(config) {
        const rules::RuleSet& set = config.rules.set;
        for (const rules::ChainId id : set.chains()) {
            const rules::Chain& chain = *set.chain(id);
            for (size_t i = 0; i < chain.rules.size(); ++i) {
                places_[chain.rules[i]->id.value] = {id, i};
            }
            if (chain.hook) {
                places_[chain.policy_id.value] = {id, chain.rules.size()};
            }
        }
    }

    // A rule, or a policy, which has no position.
    Document row_of(rules::RuleId rule) const {
        const rules::Place place = places_.at(rule.value);
        const rules::Chain& chain = *config_.rules.set.chain(place.chain);
        Document row = {{"chain", chain.name}, {"position", nullptr}, {"id", rule.value}};
        if (place.position == chain.rules.size()) {
            row["policy"] = config::action_to_yaml(config_, chain.policy);
        } else {
            row["position"] = place.position + 1;
            row["rule"] = config::rule_to_yaml(config_, *chain.rules[place.position]);
        }
        return row;
    }

  private:
    const config::Config& config_;
    std::unordered_map<uint32_t, rules::Place> places_;
};

Document name_of_link(const config::Config& config, LinkId link) {
    return link == rules::kNoLink ? Document() : Document(config.links[link.value].name);
}

// What the rules see of it there.
Document packet_row(const rules::RulePacket& packet, const config::Config& config) {
    const auto port = [&](Port p) { return packet.has_ports() ? Document(p.host()) : Document(); };
    const bool has_group = packet.group != rules::kNoGroup;
    return {
        {"protocol", base::protocol_name(packet.protocol)},
        {"source", base::to_text(packet.source)},
        {"source-port", port(packet.source_port)},
        {"destination", base::to_text(packet.destination)},
        {"destination-port", port(packet.destination_port)},
        {"in-link", name_of_link(config, packet.in_link)},
        {"out-link", name_of_link(config, packet.out_link)},
        {"realm", config.realms[packet.realm.value].name},
        {"group", has_group ? Document(config.rules.groups[packet.group.value].name) : Document()},
        {"state", config::word_of(config::kStateWords, static_cast<unsigned>(packet.state))},
        {"tos", packet.tos},
        {"ttl", packet.ttl},
        {"length", packet.length},
        {"mark", packet.mark}};
}

// Asks the chains at each hook, in turn, as long as the packet goes on.
class Check {
  public:
    Check(const config::Config& config, const RulesAccess::Named& named)
        : config_(config), places_(config), rates_(config.rules.set) {
        if (named.sets != nullptr) {
            sets_ = *named.sets;
        }
    }

    Document take(const PacketViews& views) {
        for (const HookView& view : views.views) {
            if (is_asked(view.hook)) {
                ask(view);
            }
        }
        return {
            {"way", name_of(views.way)},
            {"verdict", verdict_},
            {"by", std::move(by_)},
            {"steps", std::move(steps_)}};
    }

  private:
    // What is denied where it departs has been counted there all the same.
    bool is_asked(rules::Hook hook) const {
        const bool departs =
            denied_at_ == rules::Hook::kEgress || denied_at_ == rules::Hook::kLocalOut;
        return !denied_at_ || (departs && hook == rules::Hook::kAccounting);
    }

    static bool chooses(rules::Hook hook) {
        return hook == rules::Hook::kNatDestination || hook == rules::Hook::kNatSource;
    }

    void ask(const HookView& view) {
        for (const rules::ChainId chain : config_.rules.set.chains_at(view.hook)) {
            const rules::Disposition said = ask(view, chain);
            const bool has_chosen = chooses(view.hook) && said != rules::Disposition::kAccept;
            if (denied_at_ == view.hook || has_chosen) {
                return;
            }
        }
    }

    rules::Disposition ask(const HookView& view, rules::ChainId chain) {
        rules::RulePacket packet = view.packet;
        packet.tos = has_changed_ ? tos_ : packet.tos;
        packet.mark = has_changed_ ? mark_ : packet.mark;
        rules::Rates rates = rates_;  // full ones: those of the packets stay as they are
        const auto walked = rules::walk_linear(config_.rules.set, chain, packet, sets_, rates);
        const rules::Outcome& outcome = walked.outcome;
        tos_ = outcome.tos;
        mark_ = outcome.mark;
        has_changed_ = true;
        const std::string_view verdict = name_of(outcome.disposition);
        Document by = outcome.by == rules::kNoRule ? Document() : places_.row_of(outcome.by);
        if (view.must_pass && ends_here(outcome.disposition)) {
            denied_at_ = view.hook;
            verdict_ = verdict;
            by_ = by;
        }
        Document step = {
            {"hook", rules::name_of(view.hook)},
            {"chain", config_.rules.set.chain(chain)->name},
            {"packet", packet_row(packet, config_)},
            {"verdict", verdict},
            {"by", std::move(by)},
            {"for-flow", walked.is_for_flow || chooses(view.hook)},
            {"path", path_of(walked.path)},
            {"path-length", walked.path.size()}};
        steps_.push_back(std::move(step));
        return outcome.disposition;
    }

    Document path_of(const std::vector<rules::RuleId>& path) const {
        Document rows = Document::array();
        for (size_t i = 0; i < path.size() && i < kMostOfPath; ++i) {
            rows.push_back(places_.row_of(path[i]));
        }
        return rows;
    }

    const config::Config& config_;
    PlacesOfRules places_;
    rules::Rates rates_;
    rules::AddressSets sets_;
    std::string_view verdict_ = "accept";
    Document by_;
    Document steps_ = Document::array();
    std::optional<rules::Hook> denied_at_;
    bool has_changed_ = false;
    uint8_t tos_ = 0;
    uint32_t mark_ = 0;
};

}  // namespace

Reply Methods::rules_check(const Json& params) {
    if (rules_ == nullptr) {
        return refuse(kInternalError, "there is no appliance whose rules could be asked");
    }
    const auto packet = read_packet(params, config_);
    if (!packet) {
        return tl::make_unexpected(packet.error());
    }
    const RulesAccess::Named named = rules_->named();
    return Check(config_, named).take(views_of(*packet, inspector_.network(), named.groups.get()));
}

}  // namespace sekisho::control
