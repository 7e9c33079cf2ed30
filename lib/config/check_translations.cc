// What must hold between rules that translate and what stands around them.
#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "config/draft.h"
#include "config/on_link.h"
#include "config/rule_text.h"
#include "config/scalars.h"
#include "nat/policy.h"
#include "nat/policy_numbers.h"

namespace sekisho::config {
namespace {

constexpr const char* kAnyHost = "a host that has the service, behind a link";

// Of the rules that translate, or a policy that does.
struct Case {
    const Draft& draft;
    const std::vector<OnLink>& prefixes;
    const TranslationPlaces& places;
    Mistakes& mistakes;

    void add(std::string found, std::string wanted) const {
        mistakes.add(places.place, std::move(found), std::move(wanted));
    }
};

// Whether a link may be the departing one, as far as the rule's own conditions tell.
bool may_depart_by(const rules::Rule* rule, LinkId link) {
    return rule == nullptr ||
           std::ranges::none_of(rule->conditions, [link](const rules::Condition& condition) {
               const auto* test = std::get_if<rules::LinkTest>(&condition.test);
               return test != nullptr && test->way == rules::Way::kOut &&
                      test->links.has(link.value) == condition.negated;
           });
}

// That of the link's own address alone.
const nat::PoolSettings* pool_of_link(const Config& config, LinkId link) {
    const auto found = std::ranges::find_if(config.nat.pools, [link](const auto& pool) {
        return pool.links.size() == 1 && pool.links[0] == link && pool.addresses.size() == 1;
    });
    return found == config.nat.pools.end() ? nullptr : &*found;
}

void check_masquerade(const Case& in, const rules::Masquerade& masquerade) {
    const Config& config = in.draft.config;
    for (size_t i = 0; i < config.links.size(); ++i) {
        const LinkId link{static_cast<uint8_t>(i)};
        if (config.links[i].side != Side::kExternal || !may_depart_by(in.places.rule.get(), link)) {
            continue;
        }
        const nat::PoolSettings* const pool = pool_of_link(config, link);
        const std::string& name = config.links[i].name;
        if (pool == nullptr) {
            in.add(
                fmt::format("masquerade behind the link {}, whose address is in no pool", name),
                fmt::format("a pool with nothing but its address: addresses: [link: {}]", name)
            );
            continue;
        }
        const rules::Range<uint16_t> wanted = masquerade.ports;
        const bool has_ports = wanted.last == 0 || (wanted.first <= pool->ports.first &&
                                                    pool->ports.last <= wanted.last);
        if (!has_ports) {
            in.add(
                fmt::format(
                    "masquerade with the ports {}-{} behind the link {}, where the pool {} gives "
                    "{}-{}",
                    wanted.first,
                    wanted.last,
                    name,
                    pool->name,
                    pool->ports.first,
                    pool->ports.last
                ),
                fmt::format("ports: {}-{} in that pool", wanted.first, wanted.last)
            );
        }
    }
}

void check_snat(const Case& in, const rules::Snat& snat) {
    const nat::PoolSettings& pool = in.draft.config.nat.pools[snat.pool.value];
    if (pool.port_selection == nat::PortSelection::kDeterministic) {
        in.add(
            fmt::format("snat to the pool {}, whose blocks are given by a formula", pool.name),
            "a pool with another port-selection"
        );
    }
}

// What mappings and subscribers tell of in one number.
void check_numbers(const Case& in) {
    const Config& config = in.draft.config;
    if (!nat::PolicyNumbers::have_room(config.nat.policies.size(), config.nat.pools.size())) {
        in.add(
            fmt::format(
                "a rule that chooses pools, beside {} policies and {} pools",
                config.nat.policies.size(),
                config.nat.pools.size()
            ),
            "policies times pools less than 65535"
        );
    }
}

// Whether somebody outside, or a subscriber of a policy, has that address.
bool is_anybody(const Case& in, Ipv4Addr host) {
    const Config& config = in.draft.config;
    if (!std::ranges::all_of(in.draft.policies, &PolicyPlaces::realm_read)) {
        return true;  // nobody knows
    }
    return std::ranges::any_of(config.realms, [&](const RealmSettings& realm) {
        const auto side = side_of(in.draft, in.prefixes, realm.id, host);
        return side == Side::kExternal ||
               (side == Side::kInternal && realm.side == Side::kInternal &&
                nat::find_policy(config.nat, host, realm.id) != nat::kNoPolicy);
    });
}

void check_host(const Case& in, Ipv4Addr host, const char* what) {
    const bool is_own = std::ranges::any_of(in.prefixes, [host](const OnLink& prefix) {
        return prefix.own == host;
    });
    if (is_own) {
        in.add(
            fmt::format(
                "{} {}, the appliance's own address, where it has no local ports",
                what,
                format(host)
            ),
            kAnyHost
        );
    } else if (is_in_pool(in.draft, host)) {
        in.add(
            fmt::format("{} {}, an address of a pool", what, format(host)), "the host's own address"
        );
    } else if (!is_anybody(in, host)) {
        in.add(
            fmt::format(
                "{} {}, to which no route leads, or a host inside whom no policy covers",
                what,
                format(host)
            ),
            "a host that can be reached"
        );
    }
}

// Ports that subscribers are given are nobody's to lead inside (nat/forward.cc).
bool gives_out(const nat::PoolSettings& pool, rules::Range<uint16_t> ports) {
    const uint32_t first = std::max(ports.first, pool.ports.first);
    const uint32_t last = std::min(ports.last, pool.ports.last);
    for (uint32_t port = first; port <= last; ++port) {
        const bool is_reserved = std::ranges::any_of(pool.reserved_ports, [port](auto range) {
            return range.first <= port && port <= range.last;
        });
        if (!is_reserved) {
            return true;
        }
    }
    return false;
}

template <class Test>
const Test* find_test(const rules::Rule& rule, rules::Side side) {
    for (const rules::Condition& condition : rule.conditions) {
        const auto* test = std::get_if<Test>(&condition.test);
        if (test != nullptr && test->side == side && !condition.negated) {
            return test;
        }
    }
    return nullptr;
}

// Whether some link of this side agrees with a condition.
bool has_link_of(Side side, const rules::LinkTest& test, bool negated, const Config& config) {
    for (size_t i = 0; i < config.links.size(); ++i) {
        const bool agrees = test.links.has(static_cast<uint8_t>(i)) != negated;
        if (agrees && config.links[i].side == side) {
            return true;
        }
    }
    return false;
}

// Whether a packet from this side may agree with a rule, as far as the rule's own conditions tell.
bool may_come_from(Side side, const rules::Rule& rule, const Config& config) {
    return std::ranges::none_of(rule.conditions, [&](const rules::Condition& condition) {
        const auto* test = std::get_if<rules::LinkTest>(&condition.test);
        return test != nullptr && test->way == rules::Way::kIn &&
               !has_link_of(side, *test, condition.negated, config);
    });
}

bool is_of_pools(const rules::AddressTest& test, const Config& config) {
    return test.masked.empty() && test.sets.empty() &&
           std::ranges::all_of(test.ranges, [&config](const rules::AddressRange& range) {
               return std::ranges::any_of(config.nat.pools, [&range](const nat::PoolSettings& p) {
                   return p.has(range.first) && p.has(range.last);
               });
           });
}

bool is_inside(const Case& in, Ipv4Addr host) {
    return std::ranges::any_of(in.draft.config.realms, [&](const RealmSettings& realm) {
        return realm.side == Side::kInternal &&
               side_of(in.draft, in.prefixes, realm.id, host) == Side::kInternal;
    });
}

// A subscriber reaches a host inside by the external endpoint of its static mapping, or where the rule leads somebody on who calls an
// address of a pool.
void warn_of_unreached(const Case& in, Ipv4Addr host) {
    const Config& config = in.draft.config;
    const rules::Rule* const rule = in.places.rule.get();
    const auto* to =
        rule != nullptr ? find_test<rules::AddressTest>(*rule, rules::Side::kDestination) : nullptr;
    const bool is_static = std::ranges::any_of(
        config.nat.static_mappings, [host](const auto& mapping) { return mapping.internal == host; }
    );
    const bool may_call = rule == nullptr || may_come_from(Side::kInternal, *rule, config);
    if (is_inside(in, host) && !is_static && may_call &&
        (to == nullptr || !is_of_pools(*to, config))) {
        in.mistakes.warn(
            in.places.place,
            fmt::format(
                "{}, a host inside without a static mapping: who calls it from inside is refused, "
                "unless he calls an address of a pool",
                format(host)
            ),
            "a static mapping of the host, or a rule with in-link or the destination"
        );
    }
}

// Said only where the rule itself names addresses of a pool.
void warn_of_given_ports(const Case& in) {
    if (in.places.rule == nullptr ||
        !may_come_from(Side::kExternal, *in.places.rule, in.draft.config)) {
        return;
    }
    const rules::Rule& rule = *in.places.rule;
    const auto* to = find_test<rules::AddressTest>(rule, rules::Side::kDestination);
    const auto* named = find_test<rules::PortTest>(rule, rules::Side::kDestination);
    if (to == nullptr) {
        return;
    }
    const rules::PortTest all{rules::Side::kDestination, {{1, 65535}}, false};
    const rules::PortTest& ports = named != nullptr ? *named : all;
    for (const nat::PoolSettings& pool : in.draft.config.nat.pools) {
        const bool is_named =
            std::ranges::any_of(to->ranges, [&](const rules::AddressRange& range) {
                return pool.has(range.first) && pool.has(range.last);
            });
        const auto given = std::ranges::find_if(ports.ranges, [&](rules::Range<uint16_t> range) {
            return gives_out(pool, range);
        });
        if (is_named && given != ports.ranges.end()) {
            in.mistakes.warn(
                in.places.place,
                fmt::format(
                    "ports {}-{} that the pool {} gives to subscribers: from outside no rule leads "
                    "them inside",
                    given->first,
                    given->last,
                    pool.name
                ),
                "ports beyond those of the pool, or among its reserved-ports"
            );
        }
    }
}

void check_dnat(const Case& in, const rules::Dnat& dnat) {
    for (const rules::DnatTarget& target : dnat.targets) {
        check_host(in, target.address, "the target");
        warn_of_unreached(in, target.address);
    }
    warn_of_given_ports(in);
}

// Who has a proxy for his subscribers seldom means to have it for everybody.
void warn_of_open_redirect(const Case& in) {
    const rules::Rule* const rule = in.places.rule.get();
    const bool is_open = rule != nullptr &&
                         may_come_from(Side::kExternal, *rule, in.draft.config) &&
                         find_test<rules::AddressTest>(*rule, rules::Side::kSource) == nullptr &&
                         find_test<rules::AddressTest>(*rule, rules::Side::kDestination) == nullptr;
    if (is_open && is_inside(in, in.draft.config.nat.local_host)) {
        in.mistakes.warn(
            in.places.place,
            "redirect of what comes from outside to addresses of pools, too, to a local-host "
            "inside",
            "in-link, source or destination"
        );
    }
}

void check_redirect(const Case& in) {
    if (in.draft.config.nat.local_host == Ipv4Addr{}) {
        in.add(
            "redirect without a local-host: the appliance has no local ports on its links, since "
            "it takes their "
            "packets from the kernel",
            "local-host in system, or dnat to the host that has the service"
        );
    } else {
        warn_of_unreached(in, in.draft.config.nat.local_host);
        warn_of_open_redirect(in);
    }
    const bool is_local = in.draft.config.rules.set.facts(in.places.chain).reached_from &
                          mask_of(rules::Hook::kLocalIn);
    if (is_local) {
        in.add(
            "redirect at local-in, where it is known already that a packet is the appliance's own",
            "redirect at nat-destination or ingress"
        );
    }
}

void check_one(const Case& in) {
    const rules::Action& action = in.places.action;
    if (const auto* masquerade = std::get_if<rules::Masquerade>(&action)) {
        check_masquerade(in, *masquerade);
        check_numbers(in);
    } else if (const auto* snat = std::get_if<rules::Snat>(&action)) {
        check_snat(in, *snat);
        check_numbers(in);
    } else if (const auto* dnat = std::get_if<rules::Dnat>(&action)) {
        check_dnat(in, *dnat);
    } else if (std::holds_alternative<rules::Redirect>(action)) {
        check_redirect(in);
    }
}

// Of the rules that translate, of a set by itself.
std::vector<TranslationPlaces> translations_of(const rules::RuleSet& set) {
    std::vector<TranslationPlaces> all;
    const auto note = [&](rules::ChainId chain, const rules::Action* action, rules::RulePtr rule) {
        if (action != nullptr && translates(*action)) {
            all.push_back({{}, *action, chain, std::move(rule)});
        }
    };
    for (const rules::ChainId id : set.chains()) {
        for (const rules::RulePtr& rule : set.chain(id)->rules) {
            note(id, rule->deciding(), rule);
        }
        note(id, &set.chain(id)->policy, nullptr);
    }
    return all;
}

// All that is asked of a configuration that stands around rules.
Draft draft_around(const Config& config, const rules::RuleSet& set) {
    Draft draft;
    draft.config.links = config.links;
    draft.config.routes = config.routes;
    draft.config.realms = config.realms;
    draft.config.nat = config.nat;
    draft.config.rules.set = set;
    draft.links.resize(config.links.size());
    draft.routes.resize(config.routes.size());
    for (RoutePlaces& places : draft.routes) {
        places.prefix_read = places.next_hop_read = true;
    }
    return draft;
}

bool is_of_destinations(const rules::Action& action) {
    return std::holds_alternative<rules::Dnat>(action) ||
           std::holds_alternative<rules::Redirect>(action);
}

}  // namespace

bool translates(const rules::Action& action) {
    return is_of_destinations(action) || std::holds_alternative<rules::Masquerade>(action) ||
           std::holds_alternative<rules::Snat>(action);
}

void check_translations(Draft& draft, Mistakes& mistakes) {
    const std::vector<OnLink> prefixes = on_link_prefixes(draft);
    for (const TranslationPlaces& places : draft.translations) {
        check_one({draft, prefixes, places, mistakes});
        draft.config.nat.has_destination_rules |= is_of_destinations(places.action);
    }
    draft.config.nat.has_destination_rules |=
        !draft.config.rules.set.chains_at(rules::Hook::kNatDestination).empty();
    if (draft.config.nat.local_host != Ipv4Addr{}) {
        TranslationPlaces places;
        places.place = draft.local_host;
        check_host({draft, prefixes, places, mistakes}, draft.config.nat.local_host, "local-host");
    }
}

std::optional<std::string> find_unfit(const Config& config, const rules::RuleSet& set) {
    std::vector<TranslationPlaces> translations = translations_of(set);
    const bool wants_room =
        std::ranges::any_of(translations, is_of_destinations, &TranslationPlaces::action);
    if (wants_room && !config.nat.has_destination_rules) {
        return "rules that translate destinations, for which room is taken at the start: they want "
               "such a rule in the file, or a chain at nat-destination, and a restart";
    }
    if (translations.empty()) {
        return std::nullopt;
    }
    Mistakes mistakes({});
    Draft draft = draft_around(config, set);
    draft.translations = std::move(translations);
    check_translations(draft, mistakes);
    const std::vector<Mistake> found = std::move(mistakes).in_file_order();
    return found.empty() ? std::nullopt
                         : std::optional(found[0].found + "; wanted is " + found[0].wanted);
}

}  // namespace sekisho::config
