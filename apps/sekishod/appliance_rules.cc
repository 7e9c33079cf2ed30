// The rules of the configuration, in force.
#include "sekishod/appliance_rules.h"

#include <ctime>

#include "base/secret.h"
#include "sekishod/log.h"

namespace sekisho::daemon {
namespace {

using InForce = dataplane::RulesInForce;

std::shared_ptr<const rules::AddressSets> make_sets(
    const config::RulesSettings& settings, const HashSecret& secret
) {
    auto sets = std::make_shared<rules::AddressSets>();
    for (size_t i = 0; i < settings.sets.size(); ++i) {
        auto set = std::make_shared<rules::AddressSet>(secret);
        for (const Ipv4Prefix& prefix : settings.sets[i].prefixes()) {
            set->insert(prefix);
        }
        sets->put(rules::SetId{static_cast<uint16_t>(i)}, std::move(set));
    }
    return sets;
}

std::shared_ptr<const rules::SubscriberGroups> make_groups(const config::RulesSettings& settings) {
    auto groups = std::make_shared<rules::SubscriberGroups>();
    for (size_t i = 0; i < settings.groups.size(); ++i) {
        for (const Ipv4Prefix& prefix : settings.groups[i].prefixes) {
            groups->add(settings.groups[i].realm, prefix, rules::GroupId{static_cast<uint16_t>(i)});
        }
    }
    return groups;
}

InForce::Rules compile(const config::RulesSettings& settings, const HashSecret& secret) {
    InForce::Rules rules;
    if (settings.set.chains().empty()) {
        return rules;
    }
    rules.compiled = rules::CompiledRules::build(settings.set);
    rules.sets = make_sets(settings, secret);
    rules.groups = make_groups(settings);
    rules.cuts = settings.change == config::RulesChange::kRevalidate;
    return rules;
}

// The same beside `before`, which was made of `settings_before`: what has not changed is not made again.
InForce::Rules follow(
    const InForce::Rules& before,
    const config::RulesSettings& settings_before,
    const config::RulesSettings& settings,
    const HashSecret& secret
) {
    if (before.compiled == nullptr || settings.set.chains().empty()) {
        return compile(settings, secret);
    }
    InForce::Rules rules;
    rules.compiled = before.compiled->follow(settings.set);
    const bool has_same_sets = settings.sets == settings_before.sets;
    rules.sets = has_same_sets ? before.sets : make_sets(settings, secret);
    const bool has_same_groups = settings.groups == settings_before.groups;
    rules.groups = has_same_groups ? before.groups : make_groups(settings);
    rules.cuts = settings.change == config::RulesChange::kRevalidate;
    return rules;
}

std::shared_ptr<const eventlog::RuleSites> sites_of(const config::RulesSettings& settings) {
    return std::make_shared<const eventlog::RuleSites>(eventlog::sites_of(settings.set));
}

}  // namespace

void Appliance::NewRules::settle(bool is_done) {
    if (in_force == nullptr) {
        return;
    }
    if (is_done) {
        in_force->settle(judges);
    } else {
        in_force->give_back(before);
    }
}

Result<void> Appliance::make_rules() {
    const auto secret = base::draw_secret();
    if (!secret) {
        return tl::unexpected(secret.error());
    }
    std::vector<dataplane::Shard*> shards;
    std::vector<dataplane::RuleLog*> logs;
    for (const auto& shard : shards_) {
        shards.push_back(shard.get());
        logs.push_back(&shard->rule_log());
    }
    rule_teller_ =
        std::make_unique<RuleTeller>(config_, std::move(logs), [this] { return clock_.now(); });
    rule_teller_->publish(sites_of(config_.rules));
    rules_ = std::make_unique<InForce>(std::move(shards), *secret);
    tell_time();
    payload_search_ = std::make_unique<PayloadSearch>(shards_count_, config_.payload_search);
    auto patterns = payload_search_->prepare(config_.rules);
    if (!patterns) {
        return tl::unexpected(patterns.error());
    }
    InForce::Rules rules = compile(config_.rules, *secret);
    rules.patterns = patterns->names;
    auto judges = rules_->prepare(rules);
    if (!judges) {
        return tl::unexpected(judges.error());
    }
    payload_search_->put(*patterns, shards_);
    rules_->put(*judges);
    return {};
}

// Routes and addresses of links decide by which link a packet departs.
Result<Appliance::NewRules> Appliance::prepare_rules(
    const config::Config& next, bool is_renumbered
) {
    NewRules made;
    const bool has_rules = rules_->compiled() != nullptr;
    if (next.rules == config_.rules && !(is_renumbered && has_rules)) {
        return made;
    }
    const auto secret = base::draw_secret();
    if (!secret) {
        return tl::unexpected(secret.error());
    }
    auto patterns = payload_search_->prepare(next.rules);
    if (!patterns) {
        return tl::unexpected(patterns.error());
    }
    made.before = rules_->rules();
    InForce::Rules rules = follow(made.before, config_.rules, next.rules, *secret);
    rules.patterns = patterns->names;
    auto judges = rules_->prepare(rules);
    if (!judges) {
        return tl::unexpected(judges.error());
    }
    made.in_force = rules_.get();
    made.judges = std::move(*judges);
    made.teller = rule_teller_.get();
    made.sites = sites_of(next.rules);
    made.search = payload_search_.get();
    made.patterns = std::move(*patterns);
    return made;
}

void Appliance::with_rules(const std::function<void(dataplane::RulesInForce&)>& use) {
    const std::lock_guard guard(change_lock_);
    use(*rules_);
}

std::shared_ptr<const rules::CompiledRules> Appliance::unsettled_rules() {
    const std::lock_guard guard(change_lock_);
    const auto compiled = rules_->compiled();
    return compiled == nullptr || compiled->is_settled() ? nullptr : compiled;
}

// Rules that have followed a change are made anew as a whole, in the time of the main thread. Where a worker does not come to
// rest, it is not tried again and again.
void Appliance::settle_rules() {
    constexpr std::chrono::seconds kPatience{2};
    constexpr std::chrono::minutes kAfterFailure{1};
    const auto now = std::chrono::steady_clock::now();
    if (now < next_settling_) {
        return;
    }
    const auto unsettled = unsettled_rules();
    if (unsettled == nullptr) {
        return;
    }
    const auto settled = rules::CompiledRules::build(unsettled->rules());
    const std::lock_guard guard(change_lock_);
    if (rules_->compiled() != unsettled) {
        return;  // changed meanwhile
    }
    if (!gate_.while_all_rest([&] { rules_->change_compiled(settled); }, kPatience)) {
        next_settling_ = now + kAfterFailure;
    }
}

void Appliance::tell_time() {
    const std::time_t now = std::time(nullptr);
    std::tm local{};
    localtime_r(&now, &local);
    const unsigned day = (static_cast<unsigned>(local.tm_wday) + 6) % 7;  // from Monday
    const auto second =
        static_cast<unsigned>(local.tm_hour * 3600 + local.tm_min * 60 + local.tm_sec);
    rules_->clock().set(
        clock_.now(), {day * rules::TimeOfWeek::kDay + second % rules::TimeOfWeek::kDay}
    );
}

}  // namespace sekisho::daemon
