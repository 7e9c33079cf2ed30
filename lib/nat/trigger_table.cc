#include "nat/trigger_table.h"

#include <algorithm>

namespace sekisho::nat {
namespace {

constexpr uint64_t kHeld = uint64_t{1} << 32;

bool has_protocol(const TriggerForwardSettings& rule, Protocol protocol) {
    return protocol == Protocol::kTcp ? rule.tcp : protocol == Protocol::kUdp && rule.udp;
}

bool holds(PortRange ports, Port port) {
    return ports.first <= port.host() && port.host() <= ports.last;
}

Ipv4Addr host_of(uint64_t who) {
    return {static_cast<uint32_t>(who)};
}

// Whether they are one rule, whatever it is called and whatever its holder may do.
bool are_one(const TriggerForwardSettings& a, const TriggerForwardSettings& b) {
    return a.realm == b.realm && a.external == b.external && a.tcp == b.tcp && a.udp == b.udp &&
           a.ports == b.ports && a.trigger_protocol == b.trigger_protocol &&
           a.trigger_port == b.trigger_port;
}

Tick tick_of(uint64_t since) {
    return {static_cast<uint32_t>(since)};
}

}  // namespace

TriggerTable::TriggerTable(const NatSettings& settings, const ShardOfSubscriber& shard_of)
    : shard_of_(shard_of), holders_(std::make_unique<Holder[]>(kMost)) {
    if (auto rules = plan(settings)) {
        follow(std::move(*rules));
    }
}

// Those in force are former first; what is the same but for its name and what its holder may do goes on.
Result<TriggerRules> TriggerTable::plan(const NatSettings& next) const {
    TriggerRules planned = all_;
    planned.order.clear();
    for (TriggerRule& rule : planned.rules) {
        rule.state = rule.state == EntryState::kInForce ? EntryState::kFormer : rule.state;
    }
    for (const TriggerForwardSettings& setting : next.trigger_forwards) {
        auto place = std::ranges::find_if(planned.rules, [&](const TriggerRule& rule) {
            return rule.state == EntryState::kFormer && are_one(rule.setting, setting);
        });
        if (place == planned.rules.end()) {
            place = std::ranges::find(planned.rules, EntryState::kFree, &TriggerRule::state);
        }
        if (place == planned.rules.end() && planned.rules.size() >= kMost) {
            return failure("too many former trigger forwards are still in use");
        }
        if (place == planned.rules.end()) {
            place = planned.rules.emplace(planned.rules.end());
        }
        *place = {setting, EntryState::kInForce};
        planned.order.push_back(static_cast<uint8_t>(place - planned.rules.begin()));
    }
    return planned;
}

void TriggerTable::follow(TriggerRules&& next) {
    all_ = std::move(next);
    note_any();
}

void TriggerTable::note_any() {
    are_any_ = std::ranges::any_of(all_.rules, [](const TriggerRule& rule) {
        return rule.state != EntryState::kFree;
    });
}

void TriggerTable::let_go(size_t rule) {
    all_.rules[rule] = {};
    holders_[rule].who.store(0, std::memory_order_release);
    holders_[rule].since.store(0, std::memory_order_release);
    note_any();
}

bool TriggerTable::has_port(size_t rule, const FlowKey& inbound) const {
    const TriggerForwardSettings& s = setting(rule);
    return s.external == inbound.destination() && has_protocol(s, inbound.protocol()) &&
           holds(s.ports, inbound.destination_port());
}

std::optional<size_t> TriggerTable::find_forwarded(const FlowKey& inbound) const {
    const auto found =
        std::ranges::find_if(all_.order, [&](uint8_t rule) { return has_port(rule, inbound); });
    return found == all_.order.end() ? std::nullopt : std::optional<size_t>(*found);
}

std::optional<size_t> TriggerTable::find_former(const FlowKey& inbound) const {
    for (size_t rule = 0; rule < size(); ++rule) {
        if (state(rule) == EntryState::kFormer && has_port(rule, inbound)) {
            return rule;
        }
    }
    return std::nullopt;
}

std::optional<size_t> TriggerTable::find_control(const FlowKey& outbound) const {
    const auto found =
        std::ranges::find_if(all_.order, [&](uint8_t rule) { return is_control(rule, outbound); });
    return found == all_.order.end() ? std::nullopt : std::optional<size_t>(*found);
}

bool TriggerTable::is_control(size_t rule, const FlowKey& outbound) const {
    const TriggerForwardSettings& s = setting(rule);
    const auto covers = [&](const Ipv4Prefix& prefix) {
        return prefix.contains(outbound.source());
    };
    return s.trigger_protocol == outbound.protocol() && s.realm == outbound.realm() &&
           s.trigger_port == outbound.destination_port().host() &&
           (s.source.empty() || std::ranges::any_of(s.source, covers));
}

std::optional<size_t> TriggerTable::find_held(const FlowKey& outbound) const {
    const auto found = std::ranges::find_if(all_.order, [&](uint8_t i) {
        const TriggerForwardSettings& rule = setting(i);
        return rule.realm == outbound.realm() && has_protocol(rule, outbound.protocol()) &&
               holds(rule.ports, outbound.source_port()) && holder(i) == outbound.source();
    });
    return found == all_.order.end() ? std::nullopt : std::optional<size_t>(*found);
}

StaticEntry TriggerTable::entry(size_t rule) const {
    const TriggerForwardSettings& s = setting(rule);
    StaticEntry entry;
    entry.external = s.external;
    entry.internal_first = entry.external_first = s.ports.first;
    entry.more = static_cast<uint16_t>(s.ports.last - s.ports.first);
    entry.realm = s.realm;
    entry.setting = static_cast<uint32_t>(rule);
    entry.service = kTriggerService;
    return entry;
}

bool TriggerTable::has_external(Ipv4Addr external, Port port, Protocol protocol) const {
    const FlowKey inbound = FlowKey::of({}, external, {}, port, protocol, {});
    return find_forwarded(inbound).has_value() || find_former(inbound).has_value();
}

bool TriggerTable::has_any_of(Ipv4Addr external, PortRange ports) const {
    return std::ranges::any_of(all_.rules, [&](const TriggerRule& rule) {
        const PortRange& own = rule.setting.ports;
        return rule.state != EntryState::kFree && rule.setting.external == external &&
               own.first <= ports.last && ports.first <= own.last;
    });
}

Ipv4Addr TriggerTable::holder(size_t rule) const {
    const bool is_held = (holders_[rule].since.load(std::memory_order_acquire) & kHeld) != 0;
    return is_held ? last_holder(rule) : Ipv4Addr{};
}

Ipv4Addr TriggerTable::last_holder(size_t rule) const {
    return host_of(holders_[rule].who.load(std::memory_order_acquire));
}

bool TriggerTable::admits(size_t rule, Ipv4Addr remote) const {
    const uint64_t who = holders_[rule].who.load(std::memory_order_acquire);
    return setting(rule).access == TriggerAccess::kAnyone ||
           remote == Ipv4Addr{static_cast<uint32_t>(who >> 32)};
}

// Whose it is before when: a release for another that is under way then fails, or is made good.
Ipv4Addr TriggerTable::take(size_t rule, Ipv4Addr host, Ipv4Addr remote, Tick now) {
    const Ipv4Addr before = holder(rule);
    const uint64_t who = uint64_t{host.raw} | uint64_t{remote.raw} << 32;
    uint64_t last = holders_[rule].who.load(std::memory_order_relaxed);
    if (last != who) {
        last = holders_[rule].who.exchange(who, std::memory_order_acq_rel);
    }
    refresh(rule, now);
    return before == Ipv4Addr{} ? before : host_of(last);
}

void TriggerTable::refresh(size_t rule, Tick now) {
    const uint64_t since = kHeld | now.ms;
    if (holders_[rule].since.load(std::memory_order_relaxed) != since) {
        holders_[rule].since.store(since, std::memory_order_release);
    }
}

bool TriggerTable::is_over(size_t rule, uint64_t since, Tick now) const {
    return (since & kHeld) != 0 &&
           (state(rule) != EntryState::kInForce ||
            elapsed_ms(tick_of(since), now) >= static_cast<int32_t>(setting(rule).idle.ms()));
}

bool TriggerTable::is_idle(size_t rule, ShardId shard, Tick now) const {
    const uint64_t since = holders_[rule].since.load(std::memory_order_acquire);
    return is_over(rule, since, now) && shard_of(last_holder(rule)) == shard;
}

bool TriggerTable::release(size_t rule, Tick now) {
    uint64_t since = holders_[rule].since.load(std::memory_order_acquire);
    return is_over(rule, since, now) &&
           holders_[rule].since.compare_exchange_strong(since, since & ~kHeld);
}

}  // namespace sekisho::nat
