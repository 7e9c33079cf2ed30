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

Tick tick_of(uint64_t since) {
    return {static_cast<uint32_t>(since)};
}

}  // namespace

TriggerTable::TriggerTable(const NatSettings& settings, const ShardOfSubscriber& shard_of)
    : settings_(&settings), count_(settings.trigger_forwards.size()), shard_of_(shard_of) {
    holders_ = std::make_unique<Holder[]>(count_);
}

std::optional<size_t> TriggerTable::find_forwarded(const FlowKey& inbound) const {
    for (size_t i = 0; i < count_; ++i) {
        const TriggerForwardSettings& rule = setting(i);
        if (rule.external == inbound.destination() && has_protocol(rule, inbound.protocol()) &&
            holds(rule.ports, inbound.destination_port())) {
            return i;
        }
    }
    return std::nullopt;
}

std::optional<size_t> TriggerTable::find_control(const FlowKey& outbound) const {
    for (size_t i = 0; i < count_; ++i) {
        if (is_control(i, outbound)) {
            return i;
        }
    }
    return std::nullopt;
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
    for (size_t i = 0; i < count_; ++i) {
        const TriggerForwardSettings& rule = setting(i);
        if (rule.realm == outbound.realm() && has_protocol(rule, outbound.protocol()) &&
            holds(rule.ports, outbound.source_port()) && holder(i) == outbound.source()) {
            return i;
        }
    }
    return std::nullopt;
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

bool TriggerTable::is_idle(size_t rule, ShardId shard, Tick now) const {
    const uint64_t since = holders_[rule].since.load(std::memory_order_acquire);
    return (since & kHeld) != 0 && shard_of(last_holder(rule)) == shard &&
           elapsed_ms(tick_of(since), now) >= static_cast<int32_t>(setting(rule).idle.ms());
}

bool TriggerTable::release(size_t rule, Tick now) {
    uint64_t since = holders_[rule].since.load(std::memory_order_acquire);
    const bool is_idle = (since & kHeld) != 0 && elapsed_ms(tick_of(since), now) >=
                                                     static_cast<int32_t>(setting(rule).idle.ms());
    return is_idle && holders_[rule].since.compare_exchange_strong(since, since & ~kHeld);
}

}  // namespace sekisho::nat
